//! Judges on series with a known story: what opens a breach, what does not, and how one ends.

use std::f64::consts::TAU;
use std::time::Duration;

use richter::detect::{Trial, Tried};
use richter::model::{Judge, Timestamp};
use richter::rules::{Files, check};

use super::case::{Case, events, line};
use super::random::Random;

const EVERY: Duration = Duration::from_secs(300);
pub(crate) const DAY: usize = 288;

/// Where the clocks go back on 2026-10-25, which is the 34th day; the 38th is a holiday, a Thursday.
const DUTY: &str = "calendars: [ { name: berlin, time_zone: Europe/Berlin, holidays: [ 2026-10-29 ] } ]";

/// A monitor's judges, evaluated once in five minutes.
fn trial(judge: &str) -> Trial {
    trial_of(judge, EVERY)
}

pub(crate) fn trial_of(judge: &str, every: Duration) -> Trial {
    let seconds = every.as_secs();
    let text = format!("monitors: [ {{ name: m, entity: \"a=b\", query: m, every: {seconds}s, judge: {judge} }} ]");
    let files = Files { monitors: vec![("m.yaml".into(), text)], duty: vec![("d.yaml".into(), DUTY.into())], ..Files::default() };
    let (rules, faults) = check(&files);
    assert_eq!(faults, []);
    Trial::new(rules.watches().next().expect("a monitor").1.judge.clone(), every)
}

fn at(place: usize) -> Timestamp {
    Timestamp(1_789_941_600_000 + place as i64 * 300_000)
}

/// What became of each value; none where there was none.
pub(crate) fn tried(judge: &str, values: impl IntoIterator<Item = Option<f64>>) -> Vec<Option<Tried>> {
    tried_every(EVERY, judge, values)
}

/// The same, evaluated once in so long.
pub(crate) fn tried_every(every: Duration, judge: &str, values: impl IntoIterator<Item = Option<f64>>) -> Vec<Option<Tried>> {
    let mut trial = trial_of(judge, every);
    let times = (0..).map(|place| at(0) + every * place);
    times.zip(values).map(|(time, value)| trial.see(time, value?)).collect()
}

/// Where breaches opened, and by whom. One in 10,000 evaluations may be false, so a test looks where something happens.
fn opened(judge: &str, values: impl IntoIterator<Item = f64>) -> Vec<(usize, Judge)> {
    let tried = tried(judge, values.into_iter().map(Some));
    let opened =
        tried.iter().enumerate().filter_map(|(place, tried)| tried.filter(|tried| tried.opened).map(|tried| (place, tried.breach)));
    opened.map(|(place, judge)| (place, judge.expect("an open breach has a judge"))).collect()
}

pub(crate) fn normal(random: &mut Random) -> f64 {
    (-2.0 * random.share().max(1e-300).ln()).sqrt() * (TAU * random.share()).cos()
}

/// The level of a day's wave, with so many steps a day.
pub(crate) fn level(place: usize, steps: usize) -> f64 {
    100.0 + 30.0 * (TAU * place as f64 / steps as f64).sin()
}

/// A day's wave with noise.
fn wave(seed: u64, days: usize) -> Vec<f64> {
    let mut random = Random(seed);
    (0..days * DAY).map(|place| level(place, DAY) + 2.0 * normal(&mut random)).collect()
}

/// The same with something done to a part of it.
fn changed(mut values: Vec<f64>, part: std::ops::Range<usize>, change: impl Fn(f64) -> f64) -> Vec<f64> {
    values[part].iter_mut().for_each(|value| *value = change(*value));
    values
}

const BASELINE: &str = "{ baseline: {} }";

#[test]
fn a_cold_start_learns_and_never_pages_on_a_guess() {
    let values = changed(wave(1, 1), 200..220, |value| value / 4.0);
    let tried = tried(BASELINE, values.into_iter().map(Some));
    assert!(tried.iter().flatten().all(|tried| tried.reading.is_none() && tried.breach.is_none()), "a day is not known before it is over");
}

#[test]
fn a_dip_opens_at_once_and_ends_when_it_is_over() {
    let dip = 10 * DAY + 100..10 * DAY + 124;
    let values = changed(wave(2, 14), dip.clone(), |value| value - 40.0);
    assert_eq!(opened(BASELINE, values.clone()), [(dip.start, Judge::Baseline)]);
    let tried = tried(BASELINE, values.into_iter().map(Some));
    let open: Vec<usize> = (0..tried.len()).filter(|place| tried[*place].is_some_and(|tried| tried.breach.is_some())).collect();
    assert!((dip.end..dip.end + 20).contains(open.last().expect("it was open")), "{:?}", open.last());
    let reading = tried[dip.start + 10].and_then(|tried| tried.reading).expect("judged");
    assert!((reading.expected.expect("known") - 120.0).abs() < 5.0 && reading.score >= 1.0, "{reading:?}");
}

#[test]
fn what_declines_slowly_is_measured_by_what_is_usual() {
    // A third is lost over eight hours, in so much noise that the forecast has gone along when it is noticed.
    let decline = 10 * DAY..10 * DAY + 96;
    let mut random = Random(6);
    let usual = |place: usize| level(place, DAY);
    let lost = |place: usize| (place.saturating_sub(decline.start) as f64 / 96.0).min(1.0) / 3.0;
    let values: Vec<f64> = (0..11 * DAY).map(|place| usual(place) * (1.0 - lost(place)) + 8.0 * normal(&mut random)).collect();
    let tried = tried("{ baseline: { direction: down } }", values.into_iter().map(Some));
    let opened: Vec<usize> = (decline.start..11 * DAY).filter(|place| tried[*place].is_some_and(|tried| tried.opened)).collect();
    assert!(opened.len() == 1 && decline.contains(&opened[0]), "{opened:?}");
    for place in [opened[0], decline.end, decline.end + 36] {
        let reading = tried[place].and_then(|tried| tried.reading).expect("judged");
        let expected = reading.expected.expect("known");
        assert!((expected / usual(place) - 1.0).abs() < 0.05, "{place}: {expected} for {}", usual(place));
    }
}

#[test]
fn an_anomaly_does_not_teach_itself() {
    let values = changed(wave(3, 14), 10 * DAY..10 * DAY + 140, |value| value - 50.0);
    let tried = tried(BASELINE, values.into_iter().map(Some));
    let next_day =
        |place: usize| tried[11 * DAY + place].and_then(|tried| tried.reading).and_then(|reading| reading.expected).expect("known");
    for place in [40, 72, 100] {
        let usual = level(place, DAY);
        assert!((next_day(place) - usual).abs() < 8.0, "{place}: {} where {usual} is usual", next_day(place));
    }
}

#[test]
fn the_band_does_not_follow_a_fault_between_two_buckets_of_the_season() {
    // Twenty steps to a bucket of five minutes: orders fall to a sixth, for an hour.
    const DAY: usize = 5760;
    let mut random = Random(4);
    let usual = |place: usize| level(place, DAY);
    let dip = 4 * DAY + 1000..4 * DAY + 1240;
    let mut judge = trial_of("{ baseline: { direction: down } }", Duration::from_secs(15));
    for place in 0..dip.end {
        let share = if dip.contains(&place) { 1.0 / 6.0 } else { 1.0 };
        let tried = judge.see(Timestamp(1_789_941_600_000 + place as i64 * 15_000), usual(place) * share + 3.0 * normal(&mut random));
        if dip.contains(&place) {
            let reading = tried.and_then(|tried| tried.reading).expect("judged");
            let expected = reading.expected.expect("known");
            assert!((expected / usual(place) - 1.0).abs() < 0.05, "{place}: {expected} for {}", usual(place));
        }
    }
}

#[test]
fn what_comes_back_from_an_outage_is_normal_at_once() {
    // An hour without orders, one a minute: what was learnt meanwhile is no measure of what comes next.
    const DAY: usize = 1440;
    let mut random = Random(9);
    let usual = |place: usize| level(place, DAY);
    let outage = 5 * DAY + 600..5 * DAY + 660;
    let mut judge = trial_of("{ baseline: {} }", Duration::from_secs(60));
    for place in 0..6 * DAY {
        let value = if outage.contains(&place) { 0.0 } else { usual(place) + 3.0 * normal(&mut random) };
        let tried = judge.see(Timestamp(1_789_941_600_000 + place as i64 * 60_000), value).expect("a value");
        assert!(place < outage.end + 30 || tried.breach.is_none(), "{place}: {tried:?}");
    }
}

#[test]
fn what_mostly_never_deviates_still_has_a_limit() {
    // A failure in a thousand minutes, for a month, then thousands of them.
    let values = (0..43_200).map(|place| if place % 997 == 500 { 1.0 } else { 0.0 });
    let mut judge = trial_of("{ baseline: {} }", Duration::from_secs(60));
    let at = |place: usize| Timestamp(1_789_941_600_000 + place as i64 * 60_000);
    values.enumerate().for_each(|(place, value)| _ = judge.see(at(place), value));
    let opened = (43_200..43_210).any(|place| judge.see(at(place), 5000.0).is_some_and(|tried| tried.opened));
    assert!(opened, "5000 where there was at most one");
}

#[test]
fn a_value_that_is_none_at_all_does_not_hide_what_comes_after_it() {
    for glitch in [1e3, 4_294_967_296.0, 1.8e19] {
        let values = changed(wave(4, 16), 10 * DAY + 7..10 * DAY + 8, |_| glitch);
        let values = changed(values, 11 * DAY + 50..11 * DAY + 60, |value| value * 0.6);
        let opened = opened(BASELINE, values);
        assert!(opened.contains(&(11 * DAY + 50, Judge::Baseline)), "{glitch}: {opened:?}");
    }
}

#[test]
fn directions_and_least_changes_are_minded() {
    let values = changed(wave(4, 12), 10 * DAY + 100..10 * DAY + 112, |value| value - 40.0);
    let there = |judge| opened(judge, values.clone()).into_iter().filter(|(place, _)| *place > 10 * DAY + 90).collect::<Vec<_>>();
    assert_eq!(there("{ baseline: { direction: up } }"), [], "coming back is no rise");
    assert_eq!(there("{ baseline: { direction: down, min_change: { relative: 80% } } }"), []);
    let found = there("{ baseline: { direction: down, min_change: { absolute: 20, relative: 10% } } }");
    assert_eq!(found, [(10 * DAY + 100, Judge::Baseline)]);
}

/// What is odd but smaller than `min_change` says nothing of where an alert comes from.
#[test]
fn what_is_too_small_is_no_evidence() {
    let text =
        include_str!("../cases/what_is_odd_explains_an_alert.txt").replace("direction: up", "direction: up, min_change: { relative: 60% }");
    let case = Case::parse("what_is_too_small", &text);
    let told: Vec<String> = events(&case.run().messages).iter().map(line).collect();
    assert!(told[0].ends_with("suspects shop, pay, db"), "{told:#?}");
}

#[test]
fn a_new_level_becomes_normal_and_the_profile_follows() {
    let values = changed(wave(5, 16), 10 * DAY..16 * DAY, |value| value + 60.0);
    let tried = tried("{ baseline: { relearn: 12h } }", values.into_iter().map(Some));
    let settled: Vec<usize> = (0..tried.len()).filter(|place| tried[*place].is_some_and(|tried| tried.new_normal)).collect();
    assert_eq!(settled.len(), 1, "{settled:?}");
    assert!((10 * DAY + 144..10 * DAY + 150).contains(&settled[0]), "{settled:?}");
    let later = tried[12 * DAY..].iter().flatten();
    assert!(later.clone().all(|tried| tried.breach.is_none()), "it is normal");
    let expected = tried[13 * DAY + 72].and_then(|tried| tried.reading).and_then(|reading| reading.expected).expect("known");
    assert!((expected - 190.0).abs() < 10.0, "{expected}");
}

#[test]
fn a_gap_is_no_anomaly_and_neither_is_its_end() {
    let gap = 10 * DAY + 50..10 * DAY + 98;
    let values = wave(6, 13).into_iter().enumerate().map(|(place, value)| (!gap.contains(&place)).then_some(value));
    assert!(tried(BASELINE, values)[gap.start - 5..gap.end + DAY].iter().flatten().all(|tried| !tried.opened));
}

#[test]
fn what_wanders_has_wandered_on_behind_a_gap() {
    let mut random = Random(61);
    let mut level = 100.0;
    let mut walk = |place: usize| {
        level += if place == 2500 { 7.0 } else { normal(&mut random) };
        level
    };
    let values: Vec<f64> = (0..2600).map(&mut walk).collect();
    let there = |missing: usize| {
        let before = values[..2500].iter().map(|value| Some(*value)).chain(std::iter::repeat_n(None, missing));
        let tried = tried("{ baseline: { season: none } }", before.chain(values[2500..].iter().map(|value| Some(*value))));
        tried[2490 + missing..2510 + missing].iter().flatten().any(|tried| tried.opened)
    };
    assert!(there(0), "seven usual steps at once are an anomaly");
    assert!(!there(100), "but not in a hundred of them");
}

#[test]
fn behind_a_gap_the_season_is_where_it_should_be_by_now() {
    let mut random = Random(62);
    let mut drift = 0.0;
    let mut value = |place: usize| {
        drift = 0.97 * drift + 0.3 * normal(&mut random);
        100.0 + 30.0 * (TAU * place as f64 / DAY as f64).sin() + drift
    };
    let values: Vec<f64> = (0..13 * DAY).map(&mut value).collect();
    // From the top of the day to its bottom.
    let gap = 11 * DAY + 72..11 * DAY + 216;
    let values = values.into_iter().enumerate().map(|(place, value)| (!gap.contains(&place)).then_some(value));
    assert!(tried(BASELINE, values)[gap.end - 5..gap.end + 20].iter().flatten().all(|tried| !tried.opened));
}

#[test]
fn what_is_no_number_says_nothing_what_is_beyond_any_is_too_much_and_both_spoil_nothing() {
    let values = changed(wave(7, 12), 10 * DAY..10 * DAY + 9, |_| f64::NAN);
    let values = changed(values, 10 * DAY + 20..10 * DAY + 23, |_| f64::INFINITY);
    let tried = tried(BASELINE, values.into_iter().map(Some));
    assert!(tried[10 * DAY].is_some_and(|tried| tried.reading.is_none()));
    let opened = |place: &usize| tried[*place].is_some_and(|tried| tried.opened);
    assert_eq!((10 * DAY - 5..10 * DAY + 60).filter(opened).collect::<Vec<_>>(), [10 * DAY + 20]);
    let expected = tried[11 * DAY].and_then(|tried| tried.reading).and_then(|reading| reading.expected).expect("known");
    assert!((expected - 100.0).abs() < 10.0, "{expected}");
}

#[test]
fn late_and_duplicate_values_change_nothing() {
    let mut trial = trial(BASELINE);
    let values = wave(8, 11);
    for (place, value) in values.iter().enumerate() {
        let first = trial.see(at(place), *value);
        assert!(first.is_some());
        assert_eq!(trial.see(at(place), 0.0), None, "twice");
        assert_eq!(trial.see(at(place.saturating_sub(5)), 0.0), None, "late");
    }
}

#[test]
fn training_with_faults_in_it_still_finds_the_next() {
    let mut random = Random(9);
    let mut dirty = wave(9, 14);
    for day in 0..13 {
        // An hour of outage on each day.
        let start = day * DAY + random.below(270) as usize;
        dirty = changed(dirty, start..start + 12, |value| value / 10.0);
    }
    let values = changed(dirty, 13 * DAY + 100..13 * DAY + 130, |value| value - 40.0);
    let found = opened("{ baseline: { direction: down } }", values);
    assert!(found.iter().any(|(place, _)| (13 * DAY + 100..13 * DAY + 130).contains(place)), "{found:?}");
}

#[test]
fn a_sparse_series_does_not_page_with_each_event() {
    let mut found = 0;
    for seed in 10..20 {
        let mut random = Random(seed);
        let values = (0..30 * DAY).map(|_| if random.chance(3) { (1 + random.below(4)) as f64 } else { 0.0 });
        found += opened(BASELINE, values).len();
    }
    assert!(found <= 60, "of about 2,600 in ten months: {found}");
}

#[test]
fn a_constant_series_is_anomalous_as_rarely_as_it_changes() {
    let steps = |calm: usize| std::iter::repeat_n(5.0, calm).chain(std::iter::repeat_n(6.0, 3));
    assert_eq!(opened(BASELINE, steps(2_000)), [], "once in 2,000 is not once in 10,000");
    assert_eq!(opened(BASELINE, steps(12_000)), [(12_000, Judge::Baseline)]);
}

#[test]
fn hours_that_are_noisy_by_nature_are_allowed_their_noise() {
    let mut random = Random(12);
    let noisy = |place: usize| (120..168).contains(&(place % DAY));
    let values: Vec<f64> = (0..30 * DAY).map(|place| 100.0 + if noisy(place) { 10.0 } else { 1.0 } * normal(&mut random)).collect();
    let false_alarms = opened(BASELINE, values.clone());
    assert!(false_alarms.iter().filter(|(place, _)| *place > 7 * DAY).count() <= 2, "{false_alarms:?}");
    let night = 28 * DAY + 20;
    let values = changed(values, night..night + 3, |value| value + 25.0);
    assert!(opened(BASELINE, values).contains(&(night, Judge::Baseline)), "what is usual at noon is not at night");
}

#[test]
fn an_outage_in_a_quiet_night_is_told() {
    // A thousand at noon, fifty at night, each a twentieth more or less; six weeks of it.
    let mut random = Random(6);
    let level = |place: usize| 50.0 + 950.0 * (TAU / 2.0 * (place % DAY) as f64 / DAY as f64).sin().powi(4);
    let values: Vec<f64> = (0..46 * DAY).map(|place| level(place) * (1.0 + 0.05 * normal(&mut random))).collect();
    let night = 45 * DAY + 12;
    let values = changed(values, night..night + 9, |_| 0.0);
    let opened = opened(BASELINE, values);
    assert!(opened.contains(&(night, Judge::Baseline)), "{opened:?}");
}

#[test]
fn size_and_offset_do_not_matter() {
    let values = changed(wave(13, 14), 11 * DAY + 30..11 * DAY + 60, |value| value + 25.0);
    let plain = opened(BASELINE, values.clone());
    assert!(plain.contains(&(11 * DAY + 30, Judge::Baseline)), "{plain:?}");
    for (factor, offset) in [(1e-30, 0.0), (1e-9, 0.0), (1e12, 0.0), (1e30, 0.0), (-4.0, 0.0), (1.0, 1e6)] {
        assert_eq!(opened(BASELINE, values.iter().map(|value| value * factor + offset)), plain, "× {factor} + {offset}");
    }
    let huge = values.iter().enumerate().map(|(place, value)| if place % 3 == 0 { 1.7e308 } else { value * -1e307 });
    opened(BASELINE, huge);
}

#[test]
fn a_season_is_found_where_there_is_one() {
    let mut random = Random(20);
    let mut season = |steps: usize| {
        let values =
            (0..30 * DAY).map(|place| 100.0 + 30.0 * (TAU * (place % steps) as f64 / steps as f64).sin() + 2.0 * normal(&mut random));
        changed(values.collect(), 29 * DAY + 50..29 * DAY + 53, |value| value - 25.0)
    };
    for (name, steps) in [("a day", DAY), ("half a day", DAY / 2), ("a week", 7 * DAY)] {
        let found = opened("{ baseline: { season: auto } }", season(steps));
        assert!(found.contains(&(29 * DAY + 50, Judge::Baseline)), "{name}: {found:?}");
    }
    let tried = tried("{ baseline: { season: auto } }", season(DAY).into_iter().map(Some));
    let gap =
        tried[28 * DAY + 72].and_then(|tried| tried.reading).and_then(|reading| Some(reading.upper? - reading.lower?)).expect("known");
    assert!(gap < 30.0, "the band is that of the noise: {gap}");
}

#[test]
fn summer_time_and_holidays_are_known_to_a_calendar() {
    // People work from nine to five by their own clock, and not on Sundays and holidays. The first day is a Monday.
    let mut random = Random(21);
    let mut week = |place: usize| {
        let local = if at(place) < Timestamp(1_792_890_000_000) { place } else { place - 12 };
        let (day, hour) = (local / DAY, local % DAY / 12);
        let works = (9..17).contains(&hour) && day % 7 != 6 && day != 38;
        let level = if works { 100.0 } else { 20.0 };
        level + 2.0 * normal(&mut random)
    };
    let values: Vec<f64> = (0..47 * DAY).map(&mut week).collect();
    let late = |judge: &str| {
        opened(judge, values.clone()).into_iter().filter(|(place, _)| *place >= 33 * DAY).map(|(place, _)| place / DAY).collect::<Vec<_>>()
    };
    let with = late("{ baseline: { season: week, calendar: berlin } }");
    let without = late("{ baseline: { season: week } }");
    assert_eq!(with, Vec::<usize>::new(), "they keep their hours");
    assert!(without.contains(&35) && without.contains(&38), "{without:?}");
}

#[test]
fn a_fixed_limit_lasts_until_it_clears() {
    let values = [50.0, 91.0, 85.0, 81.0, 79.0, 85.0];
    let open = |judge: &str| {
        tried(judge, values.map(Some)).iter().map(|tried| tried.is_some_and(|tried| tried.breach.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(open("{ static: { above: 90 } }"), [false, true, false, false, false, false]);
    assert_eq!(open("{ static: { above: 90, until: 80 } }"), [false, true, true, true, false, false]);
}

#[test]
fn a_change_is_judged_against_what_was_some_minutes_ago() {
    let slow = (0..100).map(|place| 100.0 + f64::from(place));
    let jump = (0..100).map(|place| if place < 60 { 100.0 } else { 160.0 });
    assert_eq!(opened("{ change: { within: 15m, rise: 50% } }", slow), []);
    assert_eq!(opened("{ change: { within: 15m, rise: 50% } }", jump.clone()), [(60, Judge::Change)]);
    assert_eq!(opened("{ change: { within: 15m, drop: 10, rise: 70 } }", jump), []);
}

#[test]
fn yesterday_is_the_measure_of_today() {
    let values = changed(wave(14, 3), 2 * DAY + 10..2 * DAY + 20, |value| value * 0.5);
    assert_eq!(opened("{ compare: { with: 1d, drop: 35% } }", values.clone()), [(2 * DAY + 10, Judge::Compare)]);
    assert_eq!(opened("{ compare: { with: 7d, drop: 35% } }", values), [], "last week is not known");
}

#[test]
fn a_trend_is_told_of_before_it_reaches_the_limit() {
    let mut random = Random(15);
    let disk: Vec<f64> = (0..400).map(|place| 40.0 + place as f64 * 0.1 + 0.3 * normal(&mut random)).collect();
    let found = opened("{ forecast: { above: 90, within: 8h } }", disk.clone());
    assert!(found.is_empty(), "50 is far from 90: {found:?}");
    let found = opened("{ forecast: { above: 75, within: 8h } }", disk);
    assert!(found.first().is_some_and(|(place, judge)| (230..300).contains(place) && *judge == Judge::Forecast), "75 at 350: {found:?}");
    let ramp = (0..400).map(|place| if place == 100 { f64::INFINITY } else { 40.0 + f64::from(place) * 0.1 });
    assert!(
        opened("{ forecast: { above: 75, within: 8h } }", ramp).iter().any(|(place, _)| *place > 200),
        "it goes on after what is no number"
    );
    let mut random = Random(16);
    let flat = (0..600).map(|_| 50.0 + normal(&mut random)).collect::<Vec<_>>();
    assert_eq!(opened("{ forecast: { above: 60, within: 4h } }", flat), []);
}

#[test]
fn what_begins_to_fill_is_told_of_while_there_is_time() {
    let mut random = Random(18);
    // Flat for two days; from then on it gains ten an hour and is full after three.
    let disk = (0..2 * DAY + 36).map(|place| 60.0 + 10.0 * place.saturating_sub(2 * DAY) as f64 / 12.0 + 0.2 * normal(&mut random));
    let found = opened("{ forecast: { above: 90, within: 4h } }", disk);
    assert!(found.first().is_some_and(|(place, _)| (2 * DAY..=2 * DAY + 18).contains(place)), "half of the time before: {found:?}");
    // What is filled and emptied each half hour fills up nothing.
    let mut random = Random(19);
    let teeth = (0..5 * DAY).map(|place| 60.0 + (place % 6) as f64 + 0.2 * normal(&mut random));
    assert_eq!(opened("{ forecast: { above: 90, within: 4h } }", teeth), []);
}

#[test]
fn a_sensor_that_is_stuck_is_flat_and_a_constant_one_is_not() {
    let values = wave(17, 2);
    let stuck = values[400];
    assert_eq!(opened("{ flatline: 1h }", changed(values, 400..440, |_| stuck)), [(412, Judge::Flatline)]);
    assert_eq!(opened("{ flatline: 1h }", std::iter::repeat_n(5.0, 2000)), []);
    let rare = (0..2000).map(|place| f64::from(place / 40));
    assert_eq!(opened("{ flatline: 1h }", rare), [], "it changes every 200 minutes by nature");
}

#[test]
fn absence_is_learnt_from_the_gaps_there_are() {
    let every = |step: usize, last: usize| (0..last).map(move |place| (place % step == 0).then_some(1.0));
    let silence = |step: usize, gap: usize| every(step, 600).chain(std::iter::repeat_n(None, gap)).chain([Some(1.0)]).collect::<Vec<_>>();
    let absent = |values: Vec<Option<f64>>| tried("{ absent: auto }", values).iter().flatten().any(|tried| tried.opened);
    assert!(!absent(silence(1, 3)) && absent(silence(1, 12)), "five steps are too long where each has a value");
    assert!(!absent(silence(6, 8)), "an hour is not, where there is one every half hour");
    assert!(absent(silence(6, 40)), "but four are");
}

#[test]
fn judges_agree_where_they_have_to() {
    let values = changed(wave(18, 12), 11 * DAY + 30..11 * DAY + 60, |value| value - 60.0);
    let values = changed(values, 10 * DAY + 216..10 * DAY + 219, |value| value - 8.0);
    let any = opened("{ static: { below: 75 }, baseline: { direction: down } }", values.clone());
    let all = opened("{ static: { below: 75 }, baseline: { direction: down }, combine: all }", values);
    assert!(any.len() > all.len() && all == [(11 * DAY + 30, all[0].1)], "{any:?} {all:?}");
}

#[test]
fn an_outage_after_a_rise_that_nobody_asked_about_is_told() {
    let values = changed(wave(22, 12), 10 * DAY + 100..10 * DAY + 105, |value| value * 2.0);
    let values = changed(values, 10 * DAY + 105..11 * DAY, |_| 0.0);
    let found = opened("{ baseline: { direction: down } }", values);
    assert!(found.contains(&(10 * DAY + 105, Judge::Baseline)), "{found:?}");
}

#[test]
fn a_breach_does_not_last_by_less_than_the_least_change() {
    let values = changed(wave(23, 12), 10 * DAY + 100..10 * DAY + 106, |value| value - 60.0);
    let values = changed(values, 10 * DAY + 106..11 * DAY, |value| value - 12.0);
    let tried = tried("{ baseline: { min_change: { absolute: 20 } } }", values.into_iter().map(Some));
    assert!(tried[10 * DAY + 102].is_some_and(|tried| tried.breach.is_some()));
    assert!(tried[10 * DAY + 140].is_some_and(|tried| tried.breach.is_none()), "twelve is less than twenty");
}

#[test]
fn a_breach_lasts_as_long_as_more_than_the_least_change_does() {
    // Hardly any noise: the least change is all of the band. What the fault itself teaches of noise does not widen it.
    let (minute, fault, end, mut random) = (Duration::from_secs(60), 12_070, 13_000, Random(5));
    let values = (0..end).map(|place| (if place < fault { 150.0 } else { 108.0 }) * (1.0 + 0.01 * normal(&mut random)));
    let judge = "{ baseline: { season: day, direction: down, min_change: { relative: 20% } } }";
    let tried = tried_every(minute, judge, values.map(Some));
    assert_eq!((fault..end).filter(|place| tried[*place].is_some_and(|tried| tried.breach.is_none())).count(), 0);
}

#[test]
fn a_judge_that_cannot_say_does_not_end_its_breach() {
    // Yesterday has a gap where today is still down.
    let yesterday = |place: usize| (!(40..50).contains(&place)).then_some(100.0);
    let today = |place: usize| Some(if (30..60).contains(&place) { 40.0 } else { 100.0 });
    let values = (0..DAY).map(yesterday).chain((0..DAY).map(today));
    let tried = tried("{ static: { above: 500 }, compare: { with: 1d, drop: 30% } }", values);
    let open = |place: usize| tried[DAY + place].is_some_and(|tried| tried.breach == Some(Judge::Compare));
    assert!(open(35) && open(45) && open(55) && !open(65));
    assert_eq!(tried.iter().flatten().filter(|tried| tried.opened).count(), 1);
}

/// The share of failures among three requests a minute, which stays what it is, and among 3,000, which rises for a
/// quarter of an hour.
fn of_few_and_many(judge: &str) -> Vec<String> {
    let mut random = Random(5);
    let mut counter = |each: usize| {
        let (mut failed, mut rows) = (0usize, String::new());
        for minute in 0..900 {
            let share = if each > 100 && (840..855).contains(&minute) { 0.2 } else { 0.05 };
            failed += (0..each).filter(|_| random.share() < share).count();
            rows.push_str(&format!(" {failed}"));
        }
        let all: String = (0..900).map(|minute| format!(" {}", minute * each)).collect();
        [rows, all]
    };
    let series = [("few", counter(3)), ("many", counter(3000))];
    let rows = series.iter().map(|(service, [failed, all])| {
        format!("metric failed_total{{service=\"{service}\"}}{failed}\nmetric all_total{{service=\"{service}\"}}{all}\n")
    });
    let text = format!(
        "== monitors\nmonitors:\n  - name: failures\n    scenario: Requests fail\n    entity: \"service={{{{ service }}}}\"\n    \
         query: sum by (service) (increase(failed_total[5m])) / sum by (service) (increase(all_total[5m]))\n    every: 1m\n    \
         judge: {judge}\n    fault: {{ sequence: P, ladder: [ {{ level: 3 }} ] }}\n\
         == records 2026-11-22T00:00:00Z every 1m\n{}",
        rows.collect::<String>()
    );
    let out = Case::parse("share", &text).run();
    events(&out.messages).iter().map(line).filter(|line| line.contains("declared")).collect()
}

#[test]
fn a_share_of_few_requests_is_judged_by_their_number() {
    let declared = of_few_and_many("{ baseline: { season: none, direction: up, sensitivity: high } }");
    assert!(declared.len() == 1 && declared[0].contains("declared P3 many"), "{declared:#?}");
}

#[test]
fn a_share_of_fewer_than_the_least_is_not_judged_at_all() {
    let declared = |judge: &str| of_few_and_many(judge).iter().filter(|line| line.contains(" few")).count();
    assert!(declared("{ static: { above: 0.3 } }") > 0);
    assert_eq!(declared("{ static: { above: 0.3 }, min_traffic: 100 }"), 0);
}

#[test]
fn the_level_of_a_week_is_no_staircase() {
    let (every, steps) = (Duration::from_secs(60), 1440);
    let mut random = Random(5);
    // From night to day within two hours, and back: in a bucket of 35 minutes it rises by more than a quarter.
    let level = |minute: usize| 100.0 + 60.0 * ((minute as f64 / steps as f64 - 0.5).abs() * 24.0 - 5.0).clamp(-1.0, 1.0);
    let values = (0..35 * steps).map(|place| level(place % steps) + 2.0 * normal(&mut random));
    let tried = tried_every(every, "{ baseline: { season: week } }", values.map(Some));
    let opened: Vec<(usize, usize)> =
        (0..tried.len()).filter(|place| tried[*place].is_some_and(|tried| tried.opened)).map(|p| (p / steps, p % steps)).collect();
    assert!(opened.len() <= 8, "one in 10,000 evaluations may be false, on these days and minutes {opened:?}");
    // What jumps is no slope either.
    let values =
        (0..35 * steps).map(|place| if (540..1020).contains(&(place % steps)) { 200.0 } else { 100.0 } + 2.0 * normal(&mut random));
    let tried = tried_every(every, "{ baseline: { season: week } }", values.map(Some));
    let opened = tried.iter().flatten().filter(|tried| tried.opened).count();
    assert!(opened <= 24, "{opened} false breaches in five weeks of jumps");
}

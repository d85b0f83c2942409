//! Judges on samples as scrapes give them: some are lost.

use std::time::Duration;

use richter::model::Timestamp;

use super::judges::{DAY, level, normal, trial_of, tried_every};
use super::random::Random;

/// A scrape that is lost makes a dip where it enters the range and where it leaves it. They are no noise, and no reason to hold
/// that an outage is as likely.
#[test]
fn lost_scrapes_do_not_hide_an_outage() {
    let minute = Duration::from_secs(60);
    for judge in ["{ baseline: { direction: down } }", "{ baseline: { direction: down, min_change: { relative: 10% } } }"] {
        let (mut trial, mut random, mut lost) = (trial_of(judge, minute), Random(3), usize::MAX);
        let (days, steps, mut opened) = (10, 1440, None);
        for place in 0..(days * steps + 60) {
            if random.below(60) == 0 {
                lost = place;
            }
            let dip = if place == lost || place == lost.wrapping_add(5) { 1.0 - 0.05 - 0.04 * random.share() } else { 1.0 };
            let part = 1.0 - (place as f64 - (days * steps) as f64 + 1.0).clamp(0.0, 5.0) / 5.0;
            let value = level(place, steps) * (1.0 + 0.001 * normal(&mut random)) * dip * part;
            let tried = trial.see(Timestamp(1_789_941_600_000 + place as i64 * 60_000), value).expect("in order");
            let into = place.checked_sub(days * steps);
            opened = opened.or(into.filter(|_| tried.breach.is_some()));
        }
        assert!(opened.is_some_and(|minutes| minutes <= 4), "{judge}: {opened:?}");
    }
}

/// Orders a second at steps of 30 seconds, as a rate over five minutes of three instances gives them, of which one scrape in
/// thirty is lost: then the rate is a little too low.
fn scraped(seed: u64, days: usize, falls: impl Fn(usize) -> f64) -> Vec<f64> {
    const RANGE: usize = 10;
    let mut random = Random(seed);
    let steps = 10 * DAY;
    let counted: Vec<f64> =
        (0..days * steps).map(|place| level(place, steps) * falls(place) * (1.0 + 0.03 * normal(&mut random))).collect();
    let rate = |place: usize| {
        let range = &counted[place.saturating_sub(RANGE - 1)..=place];
        range.iter().sum::<f64>() / range.len() as f64
    };
    (0..counted.len()).map(|place| rate(place) * if random.below(10) == 0 { 0.95 - 0.07 * random.share() } else { 1.0 }).collect()
}

/// Where a breach opened, at steps of 30 seconds.
fn opened_at_short_steps(judge: &str, values: &[f64]) -> Vec<usize> {
    let tried = tried_every(Duration::from_secs(30), judge, values.iter().copied().map(Some));
    (0..tried.len()).filter(|place| tried[*place].is_some_and(|tried| tried.opened)).collect()
}

#[test]
fn an_outage_shows_among_lost_scrapes() {
    let outage = 65 * DAY..65 * DAY + 120;
    for seed in 1..=4 {
        let ramp = |place: usize| if outage.contains(&place) { 0.7 } else { 1.0 };
        let opened = opened_at_short_steps("{ baseline: { direction: down } }", &scraped(seed, 7, ramp));
        let found = opened.iter().find(|place| outage.contains(place)).map(|place| place - outage.start);
        assert!(found.is_some_and(|steps| steps <= 30), "seed {seed}: within a quarter of an hour, not {found:?} of {opened:?}");
        assert!(opened.len() <= 3, "seed {seed}: {opened:?}");
    }
}

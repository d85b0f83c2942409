//! Outages that last through the night, or for days: until when they are one, and what is normal after them.

use std::f64::consts::TAU;

use super::judges::{DAY, normal, tried};
use super::random::Random;

/// Orders: much by day, little by night, and noise in proportion.
fn orders(random: &mut Random, days: usize) -> Vec<f64> {
    let usual = |place: usize| 170.0 - 140.0 * (TAU * place as f64 / DAY as f64).cos();
    (0..days * DAY).map(|place| usual(place) * (1.0 + 0.04 * normal(random))).collect()
}

/// At which steps a breach is open.
fn open(judge: &str, values: &[f64]) -> Vec<bool> {
    let tried = tried(judge, values.iter().map(|value| Some(*value)));
    tried.iter().map(|tried| tried.is_some_and(|tried| tried.breach.is_some())).collect()
}

#[test]
fn an_outage_that_lasts_through_dusk_is_not_over_by_night() {
    let mut values = orders(&mut Random(12), 20);
    let outage = 15 * DAY + 100..16 * DAY + 60;
    values[outage.clone()].iter_mut().for_each(|value| *value *= 0.1);
    let open = open("{ baseline: { direction: down } }", &values);
    assert!(
        !open[outage.start + 2..outage.end].contains(&false),
        "through the night, when a tenth of the day's orders is a third of what is usual"
    );
    assert!(!open[outage.end + 20..].contains(&true), "and over when it is over");
}

#[test]
fn what_ends_after_a_day_is_as_it_was_and_the_next_outage_is_told() {
    let mut values = orders(&mut Random(12), 24);
    let (first, second) = (15 * DAY + 100..17 * DAY, 18 * DAY + 130..18 * DAY + 160);
    values[first.clone()].iter_mut().for_each(|value| *value *= 0.1);
    values[second.clone()].iter_mut().for_each(|value| *value *= 0.3);
    for direction in ["down", "both"] {
        let open = open(&format!("{{ baseline: {{ direction: {direction} }} }}"), &values);
        assert!(!open[first.end + 30..second.start].contains(&true), "{direction}: what was usual before is so again");
        assert!(!open[second.start + 2..second.end].contains(&false), "{direction}: and what falls from there is told");
    }
}

#[test]
fn by_night_little_noise_is_usual_also_where_the_season_is_a_week() {
    let mut values = orders(&mut Random(12), 30);
    let outage = 28 * DAY + 12..28 * DAY + 24;
    values[outage.clone()].iter_mut().for_each(|value| *value *= 0.4);
    let open = open("{ baseline: { season: week, direction: down } }", &values);
    assert!(!open[outage].contains(&false), "at one o'clock, when all orders are a tenth of those at noon");
}

/// One day is not yet what is usual, and a week goes by the day before until it is over.
#[test]
fn an_outage_is_one_from_the_third_day_on() {
    for season in ["day", "week"] {
        let judge = format!("{{ baseline: {{ season: {season}, direction: down }} }}");
        let is_told = |day: usize| {
            let mut values = orders(&mut Random(12), 5);
            let outage = day * DAY + 100..day * DAY + 120;
            values[outage.clone()].iter_mut().for_each(|value| *value *= 0.1);
            !open(&judge, &values)[outage.start + 2..outage.end].contains(&false)
        };
        assert_eq!([1, 2, 3].map(is_told), [false, true, true], "{season}");
    }
}

//! Falls of what has a season, at steps of a minute: each is found, it is on until it is over, and there are no others.

use std::f64::consts::TAU;
use std::time::Duration;

use richter::detect::Tried;

use super::judges::{level, normal, tried_every};
use super::random::Random;

const MINUTE: Duration = Duration::from_secs(60);

const DAY: usize = 1440;

fn is_on(tried: &[Option<Tried>], place: usize) -> bool {
    tried[place].is_some_and(|tried| tried.breach.is_some())
}

#[test]
fn a_fall_lasts_until_it_is_over_however_wide_the_band() {
    // One minute in 300 is told three tenths too low, so a single value may be far off; then half of all is missing for six hours.
    let (fault, end) = (14 * DAY + 843, 14 * DAY + 1203);
    for seed in 1..=20 {
        let mut random = Random(seed);
        let missing = |place| if (fault..end).contains(&place) { 0.5 } else { 1.0 };
        let mut told = |place| 10.0 * level(place, DAY) * (1.0 + 0.01 * normal(&mut random)) * if random.chance(300) { 0.7 } else { 1.0 };
        let values: Vec<f64> = (0..end + 60).map(|place| told(place) * missing(place)).collect();
        let tried = tried_every(MINUTE, "{ baseline: { direction: down } }", values.into_iter().map(Some));
        let found = (fault..end).find(|place| is_on(&tried, *place)).unwrap_or(end);
        assert!(found <= fault + 15, "seed {seed}: found after {} minutes", found - fault);
        assert_eq!((found..end).find(|place| !is_on(&tried, *place)), None, "seed {seed}: it fell silent");
        assert!(!is_on(&tried, end + 30), "seed {seed}: over for half an hour");
    }
}

#[test]
fn a_fall_from_the_evening_on_lasts_through_the_night_and_the_next_day() {
    // Much by day, a fiftieth of it by night, and noise as of counts; three tenths are missing from eight in the evening on.
    let (fault, end) = (14 * DAY + 1200, 15 * DAY + 1190);
    for seed in 1..=6 {
        let mut random = Random(seed);
        let usual = |place: usize| 730.0 - 700.0 * (TAU * ((place % DAY) as f64 / 60.0 - 3.0) / 24.0).cos();
        let mut told = |place: usize| (usual(place) + usual(place).sqrt() * normal(&mut random)).max(0.0);
        let values: Vec<f64> = (0..end).map(|place| told(place) * if place < fault { 1.0 } else { 0.7 }).collect();
        let tried = tried_every(MINUTE, "{ baseline: { direction: down } }", values.into_iter().map(Some));
        let found = (fault..end).find(|place| is_on(&tried, *place)).unwrap_or(end);
        assert!(found <= fault + 15, "seed {seed}: found after {} minutes", found - fault);
        assert_eq!((found..end).find(|place| !is_on(&tried, *place)), None, "seed {seed}: it fell silent");
    }
}

/// Orders a minute, over five minutes, of a shop that is busiest in the evening and grows by a share of what it was at first each day.
/// On the evening of the 31st day it sells so many times as much, from eight to ten, and half an hour later all is as it was.
fn shop(seed: u64, growth: f64, times: f64) -> Vec<f64> {
    let (mut random, sale) = (Random(seed), 30 * DAY + 20 * 60);
    let extra = |place: usize| match place.saturating_sub(sale) {
        0 => 0.0,
        minute @ 1..120 => (minute as f64 / 10.0).min(1.0),
        minute @ 120..150 => (150 - minute) as f64 / 30.0,
        _ => 0.0,
    };
    let usual = |place: usize| {
        let (day, hour) = (place as f64 / DAY as f64, (place % DAY) as f64 / 60.0);
        let of_day = 0.625 - 0.375 * (TAU * (hour - 4.0) / 24.0).cos() + 0.2 * (-(hour - 20.0).powi(2) / 4.0).exp();
        100.0 * of_day * (1.0 + growth * day)
    };
    let minutes: Vec<f64> =
        (0..32 * DAY).map(|place| usual(place) * (1.0 + (times - 1.0) * extra(place)) * (1.0 + 0.02 * normal(&mut random))).collect();
    minutes.windows(5).map(|window| window.iter().sum::<f64>() / 5.0).collect()
}

const SHOP: &str = "{ baseline: { season: week, direction: down, min_change: { relative: 10% } }, for: 3m }";

#[test]
fn a_rise_that_nobody_asked_about_hides_no_fall_of_the_next_day() {
    for (seed, times) in [(1, 4.0), (2, 4.0), (3, 8.0), (4, 8.0)] {
        let fault = 31 * DAY + 21 * 60;
        let mut values = shop(seed, 0.0, times);
        values[fault..fault + 30].iter_mut().for_each(|value| *value *= 0.6);
        let tried = tried_every(MINUTE, SHOP, values.into_iter().map(Some));
        let found = (fault..fault + 30).find(|place| is_on(&tried, *place));
        assert!(found.is_some_and(|found| found <= fault + 5), "seed {seed}, times {times}: {found:?}");
    }
}

#[test]
fn after_a_rise_of_what_grows_all_is_as_it_was() {
    for seed in 1..=12 {
        let tried = tried_every(MINUTE, SHOP, shop(seed, 0.012, 4.0).into_iter().map(Some));
        let on = (30 * DAY..32 * DAY - 5).find(|place| is_on(&tried, *place));
        assert_eq!(on, None, "seed {seed}");
    }
}

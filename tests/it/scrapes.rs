//! Judges on samples as scrapes give them: some are lost.

use std::time::Duration;

use richter::model::Timestamp;

use super::judges::{level, normal, trial_of};
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

//! The rolling baseline: a profile of the day, an offset that follows slow drift, and a robust scale.
//!
//! Expected = profile at this time of day + offset. A bucket of the profile learns from the mean of its evaluations
//! on one day, after them, so that today never explains itself. The scale is the mean absolute residual, each residual
//! clipped at eight scales, so that an anomaly teaches little; while a breach is open nothing is learnt, for a day at
//! most: then the new level is taken for normal. A normal residual's standard deviation is √(π/2) times its mean
//! absolute value, so the band is `expected ± width · √(π/2) · scale`.

use std::f64::consts::FRAC_PI_2;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::rules::BaselineRule;

const DAY: Duration = Duration::from_secs(86_400);

/// Buckets of the day's profile: five minutes each, fewer for monitors that step more slowly.
const BUCKETS_MAX: u64 = 288;

/// Residuals before the scale is believed; the research prototype's tails start at the same number.
const LEARNING: u32 = 150;

/// Half-life of the offset in days. Faster, it follows a slow decline into the fault and the scale becomes that of
/// one step, which alarms at every drift; slower, a moved level stays an alarm for long.
const OFFSET_HALF_LIFE_DAYS: f64 = 0.5;

/// Half-life of the scale in evaluations, as in the research prototype.
const SCALE_HALF_LIFE: f64 = 2000.0;

/// A bucket follows at this rate a day at least: two thirds of a new habit are in the profile after ten days.
const PROFILE_GAIN_MIN: f64 = 0.1;

/// Residuals teach up to this many scales.
const CLIP: f64 = 8.0;

/// The scale is at least this share of the expected value, so that a series that hardly moves does not alarm at a breath.
const SCALE_FLOOR: f64 = 0.005;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Baseline {
    profile: Vec<Bucket>,
    /// The bucket that is being visited.
    visit: Visit,
    offset: f64,
    scale: f64,
    /// Residuals seen.
    residuals: u32,
    /// Evaluations that were not learnt from, in a row.
    frozen: u32,
    /// As many evaluations as a day has.
    relearn: u32,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Bucket {
    mean: f64,
    /// Days it was learnt from.
    days: u16,
}

/// The mean of a bucket's evaluations so far, without the offset.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Visit {
    bucket: usize,
    mean: f64,
    evaluations: u32,
}

/// What is normal at a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Band {
    pub(super) expected: f64,
    /// None where values below are not judged.
    pub(super) lower: Option<f64>,
    pub(super) upper: Option<f64>,
    /// How far from the expected value in the judged direction, 1 at the limit.
    pub(super) score: f64,
}

impl Baseline {
    pub(super) fn new(rule: &BaselineRule, every: Duration) -> Self {
        let a_day = u64::try_from(DAY.as_millis() / every.as_millis().max(1)).unwrap_or(u64::MAX).max(1);
        let buckets = if rule.daily { a_day.min(BUCKETS_MAX) } else { 1 };
        let profile = vec![Bucket::default(); usize::try_from(buckets).unwrap_or(1)];
        let relearn = u32::try_from(a_day).unwrap_or(u32::MAX);
        Self { profile, visit: Visit::default(), offset: 0.0, scale: 0.0, residuals: 0, frozen: 0, relearn }
    }

    /// Tells what was normal before this value, then learns from it. None while it is still learning.
    pub(super) fn see(&mut self, rule: &BaselineRule, step: Timestamp, value: f64, in_breach: bool) -> Option<Band> {
        let bucket = self.bucket(step);
        // A level, unlike a bucket of the day, is never left: every evaluation is a visit.
        if bucket != self.visit.bucket || self.profile.len() == 1 {
            self.leave(bucket);
        }
        let place = self.profile[bucket];
        let expected = (place.days > 0).then_some(place.mean + self.offset);
        // Not finite: nothing that a mean could survive.
        if !(value - expected.unwrap_or(0.0)).is_finite() {
            return None;
        }
        let band = expected.filter(|_| self.residuals >= LEARNING).map(|expected| self.band(rule, expected, value));
        self.frozen = if in_breach { self.frozen.saturating_add(1) } else { 0 };
        if self.frozen == 0 || self.frozen > self.relearn {
            self.learn(expected, value);
        }
        band
    }

    /// Folds the visit into its bucket, and begins one of another.
    fn leave(&mut self, bucket: usize) {
        let visit = std::mem::replace(&mut self.visit, Visit { bucket, ..Visit::default() });
        if visit.evaluations == 0 {
            return;
        }
        let place = &mut self.profile[visit.bucket];
        place.days = place.days.saturating_add(1);
        place.mean += PROFILE_GAIN_MIN.max(1.0 / f64::from(place.days)) * (visit.mean - place.mean);
    }

    fn bucket(&self, step: Timestamp) -> usize {
        let of_day = step.0.rem_euclid(DAY.as_millis() as i64);
        usize::try_from(of_day * self.profile.len() as i64 / DAY.as_millis() as i64).unwrap_or(0)
    }

    fn band(&self, rule: &BaselineRule, expected: f64, value: f64) -> Band {
        let floor = SCALE_FLOOR * expected.abs();
        let half = rule.width * FRAC_PI_2.sqrt() * self.scale.max(floor).max(f64::MIN_POSITIVE);
        let (lower, upper) = (rule.down.then_some(expected - half), rule.up.then_some(expected + half));
        let away = if value < expected { rule.down } else { rule.up };
        let score = if away { ((value - expected).abs() / half).min(1e6) } else { 0.0 };
        Band { expected, lower, upper, score }
    }

    fn learn(&mut self, expected: Option<f64>, value: f64) {
        // Where nothing was expected there is no residual to learn from.
        let residual = expected.map_or(0.0, |expected| {
            let most = if self.residuals > LEARNING { CLIP * self.scale } else { f64::INFINITY };
            (value - expected).clamp(-most, most)
        });
        let learnt = expected.map_or(value, |expected| expected + residual) - self.offset;
        self.visit.evaluations += 1;
        self.visit.mean += (learnt - self.visit.mean) / f64::from(self.visit.evaluations);
        if expected.is_some() {
            self.residuals = self.residuals.saturating_add(1);
            self.scale += gain(SCALE_HALF_LIFE).max(1.0 / f64::from(self.residuals)) * (residual.abs() - self.scale);
            self.offset += gain(OFFSET_HALF_LIFE_DAYS * f64::from(self.relearn)) * residual;
        }
    }
}

/// The weight of one more value that halves the past after `half_life` values.
fn gain(half_life: f64) -> f64 {
    1.0 - (-1.0 / half_life).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(300);
    const RULE: BaselineRule = BaselineRule { daily: true, width: 4.9, up: true, down: true };

    /// A day's wave with a small, repeatable ripple.
    fn wave(step: i64) -> f64 {
        let angle = step as f64 / 288.0 * std::f64::consts::TAU;
        100.0 + 40.0 * angle.sin() + ((step * 7919) % 13) as f64 / 6.0 - 1.0
    }

    fn learnt(days: i64) -> Baseline {
        let mut baseline = Baseline::new(&RULE, EVERY);
        for step in 0..days * 288 {
            baseline.see(&RULE, Timestamp(step * 300_000), wave(step), false);
        }
        baseline
    }

    #[test]
    fn says_nothing_while_it_learns() {
        let mut baseline = Baseline::new(&RULE, EVERY);
        let first = (0..1000).find(|step| baseline.see(&RULE, Timestamp(step * 300_000), wave(*step), false).is_some());
        assert_eq!(first, Some(288 + i64::from(LEARNING)), "a day for the profile, then the residuals");
    }

    #[test]
    fn expects_the_time_of_day_and_scores_what_leaves_the_band() {
        let mut baseline = learnt(7);
        let step = 7 * 288 + 72;
        let band = baseline.see(&RULE, Timestamp(step * 300_000), wave(step) - 40.0, false).expect("learnt");
        assert!((band.expected - 140.0).abs() < 5.0, "{band:?}");
        assert!(band.score > 2.0 && band.lower < Some(band.expected), "{band:?}");
        let quiet = baseline.see(&RULE, Timestamp((step + 1) * 300_000), wave(step + 1), false).expect("learnt");
        assert!(quiet.score < 1.0, "{quiet:?}");
        assert!((1.0..50.0).contains(&(band.expected - band.lower.unwrap_or_default())), "the band is that of the noise: {band:?}");
    }

    #[test]
    fn a_fault_on_the_first_day_is_not_taken_for_normal() {
        let every = Duration::from_secs(60);
        let mut baseline = Baseline::new(&RULE, every);
        let mut see = |step: i64, value: f64, open| baseline.see(&RULE, Timestamp(step * 60_000), value, open);
        assert!((0..200).all(|step| see(step, 100.0, false).is_none()), "within a day nothing is expected");
        assert!((200..400).all(|step| see(step, 20.0, true).is_none()));
        for step in 400..4 * 1440 {
            see(step, 100.0 + (step % 7) as f64, false);
        }
        let band = see(4 * 1440 + 300, 103.0, false).expect("learnt");
        assert!((95.0..110.0).contains(&band.expected), "{band:?}");
    }

    #[test]
    fn huge_values_break_nothing() {
        let rule = BaselineRule { daily: false, ..RULE };
        let mut baseline = Baseline::new(&rule, EVERY);
        for step in 0..1000 {
            let value = [1.7e308, -1.7e308, f64::INFINITY, f64::NAN, 1.0][(step % 5) as usize];
            if let Some(band) = baseline.see(&rule, Timestamp(step * 300_000), value, false) {
                assert!(!band.score.is_nan(), "{band:?}");
            }
        }
    }

    #[test]
    fn an_open_breach_does_not_teach() {
        let mut baseline = learnt(7);
        let first = 7 * 288;
        let scores: Vec<f64> = (first..first + 280)
            .filter_map(|step| baseline.see(&RULE, Timestamp(step * 300_000), 20.0, true).map(|band| band.score))
            .collect();
        assert!(scores.iter().skip(1).all(|score| *score > 1.0), "it must not be taken for normal within a day");
    }
}

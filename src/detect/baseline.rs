//! The rolling baseline: a profile of the day, an offset that follows slow drift, and a robust scale.
//!
//! Expected = profile at this time of day + offset. The scale is the mean absolute residual, each residual clipped
//! at eight scales, so that an anomaly teaches little; while a breach is open nothing is learnt, for a day at most:
//! then the new level is taken for normal. A normal residual's standard deviation is √(π/2) times its mean absolute
//! value, so the band is `expected ± width · √(π/2) · scale`.

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

/// A bucket follows at this rate at least: a new habit is the profile after ten days.
const PROFILE_GAIN_MIN: f64 = 0.1;

/// Residuals teach up to this many scales.
const CLIP: f64 = 8.0;

/// The scale is at least this share of the expected value, so that a series that hardly moves does not alarm at a breath.
const SCALE_FLOOR: f64 = 0.005;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Baseline {
    profile: Vec<Bucket>,
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
    seen: u16,
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
        Self { profile, offset: 0.0, scale: 0.0, residuals: 0, frozen: 0, relearn: u32::try_from(a_day).unwrap_or(u32::MAX) }
    }

    /// Tells what was normal before this value, then learns from it. None while it is still learning.
    pub(super) fn see(&mut self, rule: &BaselineRule, step: Timestamp, value: f64, in_breach: bool) -> Option<Band> {
        if !value.is_finite() {
            return None;
        }
        let bucket = self.bucket(step);
        let known = self.profile[bucket].seen > 0;
        let expected = if known { self.profile[bucket].mean + self.offset } else { value };
        let band = (known && self.residuals >= LEARNING).then(|| self.band(rule, expected, value));
        self.frozen = if in_breach && band.is_some() { self.frozen.saturating_add(1) } else { 0 };
        if self.frozen == 0 || self.frozen > self.relearn {
            self.learn(bucket, expected, value);
        }
        band
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

    fn learn(&mut self, bucket: usize, expected: f64, value: f64) {
        let place = &mut self.profile[bucket];
        if place.seen == 0 {
            // Nothing was expected here, so there is no residual to learn from.
            *place = Bucket { mean: value - self.offset, seen: 1 };
            return;
        }
        let most = if self.residuals > LEARNING { CLIP * self.scale } else { f64::INFINITY };
        let residual = (value - expected).clamp(-most, most);
        self.residuals = self.residuals.saturating_add(1);
        self.scale += gain(SCALE_HALF_LIFE).max(1.0 / f64::from(self.residuals)) * (residual.abs() - self.scale);
        self.offset += gain(OFFSET_HALF_LIFE_DAYS * f64::from(self.relearn)) * residual;
        place.mean += PROFILE_GAIN_MIN.max(1.0 / f64::from(place.seen + 1)) * residual;
        place.seen = place.seen.saturating_add(1).min(u16::MAX - 1);
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
    fn an_open_breach_does_not_teach() {
        let mut baseline = learnt(7);
        let first = 7 * 288;
        let scores: Vec<f64> = (first..first + 280)
            .filter_map(|step| baseline.see(&RULE, Timestamp(step * 300_000), 20.0, true).map(|band| band.score))
            .collect();
        assert!(scores.iter().skip(1).all(|score| *score > 1.0), "it must not be taken for normal within a day");
    }
}

//! What repeats: a level for each bucket of the season, and how much noisier than usual it is by hour.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::rules::Dynamics;

/// Buckets of a season: five minutes each of a day, fewer for monitors that step more slowly.
const BUCKETS_MAX: usize = 288;

/// Of a longer season they are so wide that the level has a slope within each.
const NARROW_UP_TO_MS: i64 = DAY_MS;

const DAY_MS: i64 = 86_400_000;

/// Parts whose noise is known apart: the hours of a day, also where the season is a week; of a shorter season a share of it each.
const PARTS: usize = 24;

/// Visits before a part's noise is believed.
const PART_VISITS: f32 = 30.0;

/// Deviations count up to this many usual ones in a part's noise.
const PART_CLIP: f32 = 8.0;

/// All in one piece, so that a moment is found in two steps: each part's noise and visits, then the buckets' levels, which
/// are NaN until they were seen.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Profile {
    period_ms: i64,
    numbers: Box<[f32]>,
    visit: Visit,
}

/// The bucket that time is in, and what its values were so far. It learns of them when time has left it: what is judged is
/// not held against itself.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Visit {
    bucket: u16,
    values: u16,
    /// Of the deviations from the bucket's level, or of the values where it has none.
    sum: f32,
}

/// A moment of the season: where its part and its bucket are, and the buckets before and after that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    part: usize,
    bucket: usize,
    before: usize,
    after: usize,
    /// How far it is from the middle of the bucket, in buckets: from −½ to ½; 0 where that does not matter.
    off: f32,
}

impl Profile {
    pub(super) fn new(period: Duration, every: Duration) -> Self {
        let steps = usize::try_from(period.as_millis() / every.as_millis().max(1)).unwrap_or(usize::MAX);
        let buckets = steps.clamp(1, BUCKETS_MAX);
        let parts = [1.0, 0.0].into_iter().cycle().take(2 * PARTS);
        let numbers = parts.chain(std::iter::repeat_n(f32::NAN, buckets)).collect();
        Self { period_ms: i64::try_from(period.as_millis()).unwrap_or(i64::MAX).max(1), numbers, visit: Visit::default() }
    }

    pub(super) fn period(&self) -> Duration {
        Duration::from_millis(self.period_ms.unsigned_abs())
    }

    pub(super) fn moment(&self, at: Timestamp) -> Moment {
        let share = |period: i64| at.0.rem_euclid(period) as f64 / period as f64;
        let place = |share: f64, places: usize| ((share * places as f64) as usize).min(places - 1);
        let part = place(share(if self.period_ms % DAY_MS == 0 { DAY_MS } else { self.period_ms }), PARTS);
        let share = share(self.period_ms);
        let buckets = self.numbers.len() - 2 * PARTS;
        let bucket = place(share, buckets);
        let is_wide = self.period_ms > NARROW_UP_TO_MS && buckets == BUCKETS_MAX;
        let off = if is_wide { (share * buckets as f64 - bucket as f64 - 0.5) as f32 } else { 0.0 };
        let at = |bucket: usize| 2 * PARTS + bucket % buckets;
        Moment { part: 2 * part, bucket: at(bucket), before: at(bucket + buckets - 1), after: at(bucket + 1), off }
    }

    /// The usual level at that moment, once it was seen; of a week whose first one is not over, that of the day before.
    pub(super) fn level(&self, at: Moment) -> Option<f32> {
        let level = self.numbers[at.bucket];
        if level.is_nan() {
            return self.level_of_days_before(at);
        }
        if at.off == 0.0 {
            return Some(level);
        }
        // Where it rises or falls on both sides it does so evenly, by the lesser of the two; a jump stays one (the minmod
        // limiter: P. L. Roe, "Characteristic-based schemes for the Euler equations", 1986).
        let (from, to) = (level - self.numbers[at.before], self.numbers[at.after] - level);
        let slope = if from * to > 0.0 { if from.abs() < to.abs() { from } else { to } } else { 0.0 };
        Some(level + slope * at.off)
    }

    fn level_of_days_before(&self, at: Moment) -> Option<f32> {
        let buckets = self.numbers.len() - 2 * PARTS;
        let days = self.period_ms / DAY_MS;
        let before = |days_ago: i64| (days_ago as f64 * buckets as f64 / days as f64).round() as usize;
        let mut levels = (1..days).map(|ago| self.numbers[2 * PARTS + (at.bucket - 2 * PARTS + buckets - before(ago)) % buckets]);
        levels.find(|level| !level.is_nan())
    }

    /// How much noisier than usual it is.
    pub(super) fn noise(&self, at: Moment) -> f32 {
        if self.numbers[at.part + 1] >= PART_VISITS { self.numbers[at.part] } else { 1.0 }
    }

    /// Takes a value in: of the first visit all, then of each deviation at most so much.
    pub(super) fn learn(&mut self, dynamics: &Dynamics, at: Moment, value: f32, most: f32) {
        if usize::from(self.visit.bucket) != at.bucket {
            self.leave(dynamics);
            self.visit.bucket = at.bucket as u16;
        }
        if self.visit.values == u16::MAX {
            return;
        }
        self.visit.values += 1;
        let known = Some(self.numbers[at.bucket]).filter(|level| !level.is_nan()).and_then(|_| self.level(at));
        self.visit.sum += known.map_or(value, |level| (value - level).clamp(-most, most));
    }

    fn leave(&mut self, dynamics: &Dynamics) {
        let Visit { bucket, values, sum } = std::mem::take(&mut self.visit);
        if values == 0 {
            return;
        }
        let (level, mean) = (&mut self.numbers[usize::from(bucket)], sum / f32::from(values));
        *level = if level.is_nan() { mean } else { *level + dynamics.constants.profile_gain * mean };
    }

    /// Learns how large a deviation was, as a multiple of the usual one.
    pub(super) fn learn_noise(&mut self, dynamics: &Dynamics, at: Moment, deviation: f32) {
        let visits = (self.numbers[at.part + 1] + 1.0).min(PART_VISITS);
        let first = if visits < PART_VISITS { 1.0 / (visits + 10.0) } else { 0.0 };
        let part = &mut self.numbers[at.part];
        *part += dynamics.constants.part_gain.max(first) * (deviation.min(PART_CLIP) - *part);
        self.numbers[at.part + 1] = visits;
    }

    /// Moves all levels.
    pub(super) fn shift(&mut self, dynamics: &Dynamics, by: f32) {
        self.leave(dynamics);
        self.numbers[2 * PARTS..].iter_mut().for_each(|level| *level += by);
    }
}

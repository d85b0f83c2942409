//! What a value was some time ago: for the rate of change, and for the same time yesterday or last week.

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Judge, Timestamp};
use crate::rules::CompareRule;

use super::judges::{Measured, Opinion, SCORE_MAX};

/// Slots that are remembered: a week at five minutes. Where there are more steps, several share one.
const SLOTS_MAX: u128 = 2016;

/// What a change is from is remembered for so long; what has lasted until then is the normal level.
const HELD_MAX: Duration = Duration::from_secs(86_400);

/// A change is one against all that was within so many times as long as it is looked back: what had gone for a while may come back.
const BACK: i64 = 3;

/// Means of slots of time, in a ring.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Past {
    /// By slot number; NaN for none.
    means: Vec<f64>,
    newest: i64,
    /// Values in the newest.
    values: u32,
    /// Since when a change lasts, and from what: what was some time ago is the change itself before long.
    held: Option<(Timestamp, f64)>,
    /// A change has lasted for so long that it is normal, as of the last value.
    #[serde(skip)]
    pub(super) settled: bool,
}

impl Past {
    /// Judges a value that is a number or beyond any; `open` is the judge of the breach that is open.
    pub(super) fn see(&mut self, rule: &CompareRule, judge: Judge, measured: Measured, open: Option<Judge>) -> Opinion {
        let steps = (rule.lag.as_millis() / measured.every.as_millis().max(1)).max(1);
        let shared = steps.div_ceil(SLOTS_MAX);
        let slots = i64::try_from(steps.div_ceil(shared)).unwrap_or(i64::MAX);
        let slot_ms = i64::try_from(measured.every.as_millis() * shared).unwrap_or(i64::MAX).max(1);
        let slot = measured.step.0.div_euclid(slot_ms);
        let changes = judge == Judge::Change;
        let then = self.mean(slot - slots);
        let was_held = self.held;
        self.held = was_held.filter(|(since, _)| measured.step.since(*since) < HELD_MAX);
        self.settled = was_held.is_some() && open == Some(judge) && self.held.is_none();
        if self.settled {
            self.means.clear();
        }
        let known = self.held.map(|(_, from)| from).or(then);
        let opinion = known.map(|then| self.judge(rule, judge, measured, then, slot - BACK * slots..slot - slots, open));
        // What changes is no level that something changes from, nor is what is beyond any number.
        let level = self.held.map_or(measured.value, |(_, from)| from);
        if level.is_finite() {
            self.add(slot, if changes { BACK * slots } else { slots }, level);
        }
        opinion.unwrap_or_else(|| Opinion::unknown(judge))
    }

    /// Judges a value by what it was then, and in the slots before that.
    fn judge(
        &mut self,
        rule: &CompareRule,
        judge: Judge,
        measured: Measured,
        then: f64,
        before: Range<i64>,
        open: Option<Judge>,
    ) -> Opinion {
        let (upper, lower) = (rule.rise.map(|by| then + by.of(then)), rule.drop.map(|by| then - by.of(then)));
        // Of nothing, anything is more than a share.
        let score = |by: f64, most: f64| match by > 0.0 {
            true if most > 0.0 => (by / most).min(SCORE_MAX),
            true => SCORE_MAX,
            false => 0.0,
        };
        let by = |from: f64| {
            let up = rule.rise.map_or(0.0, |most| score(measured.value - from, most.of(from)));
            let down = rule.drop.map_or(0.0, |most| score(from - measured.value, most.of(from)));
            (up, down)
        };
        let (mut up, mut down) = by(then);
        // What comes back to where it was is no change.
        if judge == Judge::Change && self.held.is_none() && up.max(down) >= 1.0 {
            for (was_up, was_down) in before.filter_map(|slot| self.mean(slot)).map(by) {
                (up, down) = (up.min(was_up), down.min(was_down));
            }
        }
        let score = up.max(down);
        if score < 1.0 && open != Some(judge) {
            self.held = None;
        }
        // The same time of another day goes on by itself.
        if judge == Judge::Change && score >= 1.0 && !self.settled {
            self.held.get_or_insert((measured.step, then));
        }
        Opinion { judge, score: Some(score), expected: Some(then), lower, upper }
    }

    fn place(&self, slot: i64) -> usize {
        usize::try_from(slot.rem_euclid(self.means.len().max(1) as i64)).unwrap_or(0)
    }

    fn mean(&self, slot: i64) -> Option<f64> {
        let remembered = slot <= self.newest && slot > self.newest - self.means.len() as i64;
        self.means.get(self.place(slot)).copied().filter(|mean| remembered && !mean.is_nan())
    }

    fn add(&mut self, slot: i64, slots: i64, value: f64) {
        let long = usize::try_from(slots + 1).unwrap_or(usize::MAX);
        if self.means.len() != long {
            (self.means, self.newest) = (vec![f64::NAN; long], slot - 1);
        }
        if slot > self.newest {
            for missed in (self.newest + 1).max(slot - slots)..=slot {
                let place = self.place(missed);
                self.means[place] = f64::NAN;
            }
            (self.newest, self.values) = (slot, 0);
        }
        let place = self.place(slot);
        self.values += 1;
        let mean = if self.values == 1 { value } else { self.means[place] };
        self.means[place] = mean + (value - mean) / f64::from(self.values);
    }
}

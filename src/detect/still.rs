//! Flatline: a value that stays the very same for longer than is usual for the series.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Judge, Timestamp};

use super::judges::{Measured, Opinion, SCORE_MAX};

/// Evaluations before anything is said.
const LEARNING: u32 = 150;

/// Weight of one more evaluation in how often nothing changes: a half-life of 2,000.
const GAIN: f32 = 0.000_346_5;

/// −log₁₀ of how rare so long a run must be.
const SURPRISE: f32 = 4.0;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Still {
    value: f64,
    since: Timestamp,
    /// When it was seen last.
    last: Timestamp,
    /// Evaluations without a change.
    run: u32,
    /// The share of evaluations without a change, runs that are told aside.
    same: f32,
    seen: u32,
}

impl Default for Still {
    fn default() -> Self {
        Self { value: f64::NAN, since: Timestamp::MIN, last: Timestamp::MIN, run: 0, same: 0.0, seen: 0 }
    }
}

impl Still {
    /// A series that rarely changes by nature is never flat: its runs are no surprise.
    pub(super) fn see(&mut self, after: Duration, measured: Measured) -> Opinion {
        let changed = measured.value.to_bits() != self.value.to_bits();
        // While nothing was measured nothing was seen to stay the same.
        let gap = measured.step.since(self.last).saturating_sub(measured.every);
        (self.since, self.last) = (self.since + gap, measured.step);
        if changed {
            (self.value, self.since, self.run) = (measured.value, measured.step, 0);
        } else {
            self.run = self.run.saturating_add(1);
        }
        let lasted = measured.step.since(self.since).as_secs_f64() / after.as_secs_f64().max(1e-3);
        let surprise = -libm::log10f(self.same.max(1e-3)) * self.run as f32 / SURPRISE;
        let learning = self.seen < LEARNING;
        let score = lasted.min(f64::from(surprise)).min(SCORE_MAX);
        if learning || score < 1.0 {
            self.seen = self.seen.saturating_add(1);
            self.same += GAIN.max(1.0 / self.seen as f32) * (f32::from(u8::from(!changed)) - self.same);
        }
        if learning {
            return Opinion::unknown(Judge::Flatline);
        }
        Opinion { judge: Judge::Flatline, score: Some(score), expected: None, lower: None, upper: None }
    }
}

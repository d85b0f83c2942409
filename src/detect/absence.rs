//! Absence: no data where there was some, for longer than the monitor allows, or than is usual for the series.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Judge, Reading, Timestamp};
use crate::rules::{Absent, JudgeRules};

use super::judges::Verdict;

/// Gaps before anything is said of what is usual.
const LEARNING: u32 = 20;

/// Gaps of which one in so many is longer are usual.
const RARE: f32 = 0.01;

/// Absence is longer than so many usual gaps, and than so many steps.
const GAPS: f32 = 3.0;
const STEPS: u32 = 5;

/// What comes no more seldom than so many mean gaps is usual; an outage of old is not.
const MEANS: f32 = 3.0;

/// The gaps between a series' samples: their mean, and the 99 % quantile by stochastic approximation, in seconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Gaps {
    mean: f32,
    long: f32,
    seen: u32,
}

impl Gaps {
    pub(super) fn learn(&mut self, gap: Duration) {
        let gap = gap.as_secs_f32();
        self.seen = self.seen.saturating_add(1);
        self.mean += (gap - self.mean) / (self.seen.min(1000) as f32);
        let step = self.mean * (1.0 / self.seen as f32).clamp(0.005, 0.05);
        self.long = if self.seen == 1 { gap } else { self.long + step * if gap > self.long { 1.0 - RARE } else { -RARE } };
    }

    /// How long it usually is until the next sample, where that is longer than any range of steps would show: as of what is
    /// counted once a day.
    fn seldom(&self, every: Duration) -> Option<Duration> {
        let usual = Duration::from_secs(self.long.min(MEANS * self.mean) as u64);
        (self.seen > 1 && usual > every * STEPS).then_some(usual)
    }

    /// After how long without a sample it is absent.
    pub(super) fn absent_after(&self, rules: &JudgeRules, every: Duration) -> Option<Duration> {
        Some(match rules.absent? {
            Absent::After(after) => after,
            Absent::Learnt if self.seen < LEARNING => return None,
            Absent::Learnt => (every * STEPS).max(Duration::from_secs((GAPS * self.long).ceil() as u64)),
        })
    }

    /// How long it may be until the next sample, where they come seldom; else nothing.
    pub(super) fn patience(&self, every: Duration) -> Duration {
        self.seldom(every).map_or(Duration::ZERO, |usual| usual * 3 / 2)
    }

    /// Judges a step without a value. Without an `absent` judge, no data is no verdict: silence is not recovery. What comes
    /// seldom is missing from when it was due.
    pub(super) fn missing(&self, rules: &JudgeRules, every: Duration, seen: Timestamp, now: Timestamp) -> Verdict {
        match self.absent_after(rules, every) {
            Some(after) if now.since(seen) >= after => {
                let score = now.since(seen).as_secs_f64() / after.as_secs_f64();
                let due = seen + self.seldom(every).unwrap_or_default().min(after);
                Verdict::Bad { judge: Judge::Absent, reading: Reading { value: f64::NAN, score, ..Reading::default() }, sampled: due }
            }
            Some(_) | None => Verdict::Unknown { value: f64::NAN },
        }
    }
}

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

/// The shortest gap is forgotten by so much with each longer one.
const LONGER: f32 = 1.25;

/// The gaps between a series' samples: their mean, the 99 % quantile by stochastic approximation, and the
/// shortest, in seconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Gaps {
    mean: f32,
    long: f32,
    /// The shortest of late.
    short: f32,
    seen: u32,
}

impl Gaps {
    pub(super) fn learn(&mut self, gap: Duration) {
        let gap = gap.as_secs_f32();
        self.seen = self.seen.saturating_add(1);
        self.short = if self.seen == 1 { gap } else { gap.min(LONGER * self.short) };
        self.mean += (gap - self.mean) / (self.seen.min(1000) as f32);
        let step = self.mean * (1.0 / self.seen as f32).clamp(0.005, 0.05);
        self.long = if self.seen == 1 { gap } else { self.long + step * if gap > self.long { 1.0 - RARE } else { -RARE } };
    }

    /// How long it is at the least until the next sample, where that is longer than so many steps: as of what is counted once a
    /// day. What comes in bursts is none such, nor is what an outage has torn apart.
    fn seldom(&self, every: Duration) -> Option<Duration> {
        let short = Duration::from_secs(self.short as u64);
        (self.seen > 1 && short > every * STEPS).then_some(short)
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
        self.seldom(every).map_or(Duration::ZERO, |gap| gap * 3 / 2)
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

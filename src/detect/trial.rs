//! A trial: one series through a monitor's judges, as detection would have them judge it.

use std::time::Duration;

use crate::model::{Judge, Phase, Reading, Timestamp};
use crate::rules::JudgeRules;

use super::absence::Gaps;
use super::hold::{Hold, Terms};
use super::judges::{Judges, Measured, Verdict};

/// A series under trial.
#[derive(Debug)]
pub struct Trial {
    rules: JudgeRules,
    every: Duration,
    judges: Judges,
    hold: Hold,
    gaps: Gaps,
    seen: Option<Timestamp>,
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tried {
    /// The judged value; none while all judges are learning, or where there is no value.
    pub reading: Option<Reading>,
    /// The judge of the breach that is open, if one is.
    pub breach: Option<Judge>,
    /// A breach has opened since the value before.
    pub opened: bool,
    /// What was outside is taken for normal from here on.
    pub new_normal: bool,
}

impl Trial {
    /// With nothing learnt yet; values come once in so long.
    #[must_use]
    pub fn new(rules: JudgeRules, every: Duration) -> Self {
        Self { rules, every, judges: Judges::default(), hold: Hold::default(), gaps: Gaps::default(), seen: None }
    }

    /// Judges the next value, NaN being none; what is not later than the one before counts as late, and is not judged.
    pub fn see(&mut self, at: Timestamp, value: f64) -> Option<Tried> {
        if self.seen.is_some_and(|seen| at <= seen) {
            return None;
        }
        let mut opened = self.bridge(at);
        if value.is_nan() {
            return Some(Tried { reading: None, breach: self.hold.judge(), opened, new_normal: false });
        }
        if let Some(seen) = self.seen.replace(at) {
            self.gaps.learn(at.since(seen));
        }
        let measured = Measured { step: at, every: self.every, sampled: at, value, filling: false, counted: None, divisor: None };
        let verdict = self.judges.judge(&self.rules, measured, &self.hold);
        let reading = match verdict {
            Verdict::Unknown { .. } => None,
            Verdict::Good { reading } | Verdict::Bad { reading, .. } | Verdict::NewNormal { reading } => Some(reading),
        };
        opened |= self.step(at, verdict);
        Some(Tried { reading, breach: self.hold.judge(), opened, new_normal: matches!(verdict, Verdict::NewNormal { .. }) })
    }

    /// The steps without a value before this one; tells whether a breach has opened in them.
    fn bridge(&mut self, at: Timestamp) -> bool {
        let Some(seen) = self.seen else { return false };
        let after = self.gaps.absent_after(&self.rules, self.every);
        let Some(absent) = after.map(|after| seen + after).filter(|absent| *absent < at) else { return false };
        self.step(absent, self.gaps.missing(&self.rules, self.every, seen, absent))
    }

    fn step(&mut self, at: Timestamp, verdict: Verdict) -> bool {
        let patience = self.gaps.patience(self.every);
        let terms =
            Terms { rules: &self.rules, definition: None, every: self.every, patience, impact: None, recover_after: Duration::ZERO };
        match self.hold.step(terms, at, verdict).map(|moved| moved.phase) {
            Some(Phase::Opened) => true,
            Some(Phase::Ended) => {
                self.hold.settle(Duration::ZERO);
                false
            }
            Some(Phase::Changed | Phase::Stale) | None => false,
        }
    }
}

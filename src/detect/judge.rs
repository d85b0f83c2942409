//! The judges' common verdict on one evaluation.

use std::time::Duration;

use crate::model::{Judge, Reading, Timestamp};
use crate::rules::JudgeRules;

use super::baseline::Baseline;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// No judge can say: no data, or still learning.
    Unknown,
    /// Within all limits.
    Good { reading: Reading },
    /// Outside; the judge is the one with the highest score.
    Bad { judge: Judge, reading: Reading, sampled: Timestamp },
}

/// Judges a value that was measured. While a breach is open (`open` is its judge) the baseline does not learn.
pub(super) fn judge(
    rules: &JudgeRules,
    baseline: &mut Option<Baseline>,
    every: Duration,
    step: Timestamp,
    sampled: Timestamp,
    value: f64,
    open: Option<Judge>,
) -> Verdict {
    if value.is_nan() {
        return Verdict::Unknown;
    }
    let fixed = fixed_score(rules, value);
    let band = rules
        .baseline
        .as_ref()
        .map(|rule| baseline.get_or_insert_with(|| Baseline::new(rule, every)).see(rule, step, value, open.is_some()));
    let learnt = band.flatten();
    let reading = Reading {
        value,
        expected: learnt.map(|b| b.expected),
        lower: highest(rules.below, learnt.and_then(|b| b.lower)),
        upper: lowest(rules.above, learnt.and_then(|b| b.upper)),
        score: fixed.unwrap_or(0.0).max(learnt.map_or(0.0, |b| b.score)),
    };
    let outside = learnt.map(|b| b.score).filter(|score| *score >= 1.0);
    let learning = rules.baseline.is_some() && learnt.is_none() && rules.above.is_none() && rules.below.is_none();
    match (fixed, outside) {
        // Learning is no opinion on the value; but that there is one ends an absence.
        (None, None) if learning && open != Some(Judge::Absent) => Verdict::Unknown,
        (None, None) => Verdict::Good { reading },
        (Some(fixed), Some(learnt)) if learnt > fixed => Verdict::Bad { judge: Judge::Baseline, reading, sampled },
        (Some(_), _) => Verdict::Bad { judge: Judge::Static, reading, sampled },
        (None, Some(_)) => Verdict::Bad { judge: Judge::Baseline, reading, sampled },
    }
}

/// How far outside the fixed limits, 1 at the limit; none inside them.
fn fixed_score(rules: &JudgeRules, value: f64) -> Option<f64> {
    let beyond = |by: f64, limit: f64| (by > 0.0).then(|| 1.0 + by / limit.abs().max(f64::MIN_POSITIVE)).map(|s| s.min(1e6));
    let above = rules.above.and_then(|limit| beyond(value - limit, limit));
    let below = rules.below.and_then(|limit| beyond(limit - value, limit));
    above.or(below)
}

fn highest(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    [a, b].into_iter().flatten().reduce(f64::max)
}

fn lowest(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    [a, b].into_iter().flatten().reduce(f64::min)
}

//! Absence: no data where there was some, for longer than the monitor allows.

use crate::model::{Judge, Reading, Timestamp};
use crate::rules::JudgeRules;

use super::judge::Verdict;

/// Judges a step without a value. Without an `absent` judge, no data is no verdict: silence is not recovery.
pub(super) fn missing(rules: &JudgeRules, seen: Timestamp, now: Timestamp) -> Verdict {
    match rules.absent {
        Some(after) if now.since(seen) >= after => {
            let score = now.since(seen).as_secs_f64() / after.as_secs_f64();
            Verdict::Bad { judge: Judge::Absent, reading: Reading { value: f64::NAN, score, ..Reading::default() }, sampled: seen }
        }
        Some(_) | None => Verdict::Unknown,
    }
}

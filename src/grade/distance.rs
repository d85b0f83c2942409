//! How far a condition is from being met, in words.

use std::time::Duration;

use crate::model::number::significant;
use crate::model::{Comparison, Condition, Measure, Test, duration};

use super::Facts;

/// A distance in time beyond this is none that anybody waits for.
const FAR: Duration = Duration::from_secs(7 * 86_400);

/// What is missing until the condition is met.
pub(super) fn to(condition: &Condition, facts: &Facts<'_>) -> String {
    let missing = condition.tests.iter().filter(|test| !test.holds(facts.reading, facts.numbers));
    let mut parts: Vec<String> = missing.map(|test| more(test, facts)).collect();
    if parts.iter().any(String::is_empty) {
        return String::new();
    }
    let left = condition.hold.saturating_sub(facts.held(condition));
    if !left.is_zero() {
        let how = if parts.is_empty() { "in" } else { "for" };
        let lasts = if parts.is_empty() { " if it lasts" } else { "" };
        parts.push(format!("{how} {}{lasts}", minutes(left)));
    }
    match parts.as_slice() {
        [all @ .., last] if last.starts_with("for ") => format!("{} {last}", all.join(" and ")),
        all => all.join(" and "),
    }
}

/// How much more of a measure; nothing where it is not known.
fn more(test: &Test, facts: &Facts<'_>) -> String {
    let Some(now) = test.measured(facts.reading, facts.numbers) else { return String::new() };
    let upward = matches!(test.comparison, Comparison::Above | Comparison::AtLeast);
    let gap = if upward { test.limit - now } else { now - test.limit };
    let so_far = facts.heard_at.min(facts.at).since(facts.starts_at);
    if test.measure.grows() && upward && !so_far.is_zero() {
        return at_this_rate(now, so_far, test, facts);
    }
    let way = if upward { "more" } else { "less" };
    match test.measure {
        Measure::Value => format!("a value {} {}", amount(gap), if upward { "higher" } else { "lower" }),
        share if share.is_share() => format!("{} points {way} {share}", amount(gap * 100.0)),
        number => format!("{} {way} {number}", amount(gap)),
    }
}

/// What grows with time gets there by itself: at the rate since it began.
fn at_this_rate(now: f64, so_far: Duration, test: &Test, facts: &Facts<'_>) -> String {
    let passed = facts.at.since(facts.heard_at).as_secs_f64();
    // At its own, for what others cost may be over.
    let own = now - facts.beside.get(&test.measure).copied().unwrap_or(0.0);
    let left = (test.limit - now) * so_far.as_secs_f64() / own - passed;
    let left = Duration::try_from_secs_f64(left.max(0.0)).ok().filter(|left| *left < FAR);
    left.map_or_else(String::new, |left| format!("{} in {} at this rate", test.measure, minutes(left)))
}

/// Whole minutes, or seconds below one.
fn minutes(long: Duration) -> String {
    let seconds = long.as_secs_f64().ceil() as u64;
    duration::show(Duration::from_secs(if seconds <= 60 { seconds } else { seconds.div_ceil(60) * 60 }))
}

/// Three significant digits: nobody waits for the fourth.
fn amount(x: f64) -> String {
    significant(x, 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grade::{Stated, Watched};
    use crate::model::{Numbers, Reading, Timestamp};

    fn distance(test: Test, hold: u64) -> String {
        let reading = Reading { value: 70.0, expected: Some(100.0), ..Reading::default() };
        let numbers = Numbers::from([(Measure::Lost, 100.0), (Measure::AffectedUsers, 250.0)]);
        let watched = Watched::Detection { met: &[], holding: &[], rest_held: &[] };
        let facts = Facts {
            reading: &reading,
            numbers: &numbers,
            starts_at: Timestamp(0),
            at: Timestamp(600_000),
            heard_at: Timestamp(600_000),
            said: &Stated::new(),
            beside: &Numbers::new(),
            watched,
        };
        to(&Condition { tests: vec![test], hold: Duration::from_secs(hold) }, &facts)
    }

    #[test]
    fn distances_are_told_in_the_measures_own_words() {
        let at_least = |measure, limit| Test { measure, comparison: Comparison::AtLeast, limit };
        assert_eq!(distance(at_least(Measure::Drop, 0.333), 0), "3.3 points more drop");
        assert_eq!(distance(at_least(Measure::Drop, 0.35), 300), "5 points more drop for 5m");
        assert_eq!(distance(at_least(Measure::Drop, 0.2), 300), "in 5m if it lasts");
        assert_eq!(distance(at_least(Measure::Lost, 140.0), 0), "lost in 4m at this rate");
        assert_eq!(distance(at_least(Measure::AffectedUsers, 1000.0), 0), "750 more affected_users");
        assert_eq!(distance(at_least(Measure::Complaints, 10.0), 0), "");
        assert_eq!(distance(Test { measure: Measure::Value, comparison: Comparison::Below, limit: 50.0 }, 0), "a value 20 lower");
    }
}

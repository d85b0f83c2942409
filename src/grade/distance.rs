//! How far a condition is from being met, in words.

use std::time::Duration;

use crate::model::number::significant;
use crate::model::{Comparison, Condition, Measure, Test, duration};

use super::Facts;

/// A distance in time beyond this is none that anybody waits for.
const FAR: Duration = Duration::from_secs(7 * 86_400);

/// What is missing until the condition is met: `in 5m if it lasts`, `if the drop grows by 3 points for 5m`, `in 9m at this rate`.
pub(super) fn to(condition: &Condition, facts: &Facts<'_>) -> String {
    let missing: Vec<&Test> = condition.tests.iter().filter(|test| !test.holds(facts.reading, facts.numbers)).collect();
    let (growing, others): (Vec<&Test>, Vec<&Test>) = missing.into_iter().partition(|test| grows(test, facts));
    let others: Option<Vec<String>> = others.into_iter().map(|test| more(test, facts)).collect();
    let grown: Option<Vec<Duration>> = growing.into_iter().map(|test| grown_in(test, facts)).collect();
    let Some((others, grown)) = others.zip(grown) else { return String::new() };
    let held = condition.hold.saturating_sub(facts.held(condition));
    match (others.is_empty(), grown.into_iter().max()) {
        (true, None) if held.is_zero() => String::new(),
        (true, None) => format!("in {} if it lasts", minutes(held)),
        // It has to hold from then on.
        (true, Some(grown)) => format!("in {} at this rate", minutes(grown + held)),
        (false, grown) => {
            let held = if held.is_zero() { String::new() } else { format!(" for {}", minutes(held)) };
            let grown = grown.map_or_else(String::new, |grown| format!(", in {} at this rate", minutes(grown)));
            format!("if {}{held}{grown}", others.join(" and "))
        }
    }
}

/// Whether time alone gets a measure there.
fn grows(test: &Test, facts: &Facts<'_>) -> bool {
    test.measure.grows() && is_upward(test) && facts.heard_at.min(facts.at) > facts.starts_at
}

fn is_upward(test: &Test) -> bool {
    matches!(test.comparison, Comparison::Above | Comparison::AtLeast)
}

/// How much more or less of a measure; none where it is not known.
fn more(test: &Test, facts: &Facts<'_>) -> Option<String> {
    let now = test.measured(facts.reading, facts.numbers)?;
    let upward = is_upward(test);
    let gap = if upward { test.limit - now } else { now - test.limit };
    let (way, grows) = if upward { ("more", "grows") } else { ("fewer", "shrinks") };
    let (amount, points) = (amount(gap), amount(gap * 100.0));
    Some(match test.measure {
        Measure::Value => format!("the value {} by {amount}", if upward { "rises" } else { "falls" }),
        Measure::Rise | Measure::Drop => format!("the {} {grows} by {points} points", test.measure),
        Measure::LostShare => format!("the share of a usual day that is lost {grows} by {points} points"),
        Measure::NegativeShare => format!("the share of negative mentions {grows} by {points} points"),
        Measure::Lost | Measure::Money => format!("{} {grows} by {amount}", test.measure),
        Measure::AffectedUsers => format!("{amount} {way} users are affected"),
        Measure::AffectedMerchants => format!("{amount} {way} merchants are affected"),
        Measure::Complaints | Measure::Mentions => format!("there are {amount} {way} {}", test.measure),
        Measure::Reach => format!("it reaches {amount} {way} people"),
    })
}

/// When what grows with time gets there, at the rate since it began; none where that is too far.
fn grown_in(test: &Test, facts: &Facts<'_>) -> Option<Duration> {
    let now = test.measured(facts.reading, facts.numbers)?;
    let so_far = facts.heard_at.min(facts.at).since(facts.starts_at);
    let passed = facts.at.since(facts.heard_at).as_secs_f64();
    // At its own, for what others cost may be over.
    let own = now - facts.beside.get(&test.measure).copied().unwrap_or(0.0);
    let left = (test.limit - now) * so_far.as_secs_f64() / own - passed;
    Duration::try_from_secs_f64(left.max(0.0)).ok().filter(|left| *left < FAR)
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
        assert_eq!(distance(at_least(Measure::Drop, 0.333), 0), "if the drop grows by 3.3 points");
        assert_eq!(distance(at_least(Measure::Drop, 0.35), 300), "if the drop grows by 5 points for 5m");
        assert_eq!(distance(at_least(Measure::Drop, 0.2), 300), "in 5m if it lasts");
        assert_eq!(distance(at_least(Measure::Lost, 140.0), 0), "in 4m at this rate");
        assert_eq!(distance(at_least(Measure::Lost, 140.0), 180), "in 7m at this rate");
        assert_eq!(distance(at_least(Measure::AffectedUsers, 1000.0), 0), "if 750 more users are affected");
        assert_eq!(distance(at_least(Measure::Complaints, 10.0), 0), "");
        let below = Test { measure: Measure::Value, comparison: Comparison::Below, limit: 50.0 };
        assert_eq!(distance(below, 0), "if the value falls by 20");
    }
}

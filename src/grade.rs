//! Grade: the conditions that are met → levels.
//!
//! The business definition speaks for the scenario, the generic ones are the floor and the fallback: the effective
//! level is the more severe of the two, and both are kept.

use serde::{Deserialize, Serialize};

use crate::model::{Condition, Definition, Ladder, Level, Rung, Timestamp};

/// A level and what met it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Met {
    /// The level.
    pub level: Level,
    /// The condition, in words.
    pub by: String,
}

/// What a member is graded as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grade {
    /// By the business definition.
    pub business: Option<Met>,
    /// By the generic definitions.
    pub generic: Option<Met>,
    /// What would raise it next, by either.
    pub next: Option<Met>,
}

impl Grade {
    /// The more severe of the two.
    #[must_use]
    pub fn effective(&self) -> Option<&Met> {
        let both = self.business.iter().chain(&self.generic);
        both.min_by(|a, b| a.level.cmp(&b.level))
    }
}

/// Grades by the conditions that detection found met.
#[must_use]
pub fn by_conditions(definition: &Definition, met: &[String]) -> Grade {
    grade(definition, |condition| met.contains(&condition.to_string()))
}

/// Grades an external alert, of which only the duration is known, as of a time.
#[must_use]
pub fn by_duration(definition: &Definition, starts_at: Timestamp, at: Timestamp) -> Grade {
    grade(definition, |condition| condition.tests.is_empty() && at.since(starts_at) >= condition.hold)
}

/// When, if it lasts, an external alert's level can next change.
#[must_use]
pub fn next_change(definition: &Definition, starts_at: Timestamp, after: Timestamp) -> Option<Timestamp> {
    let times = definition.ladders().flat_map(|l| &l.rungs).map(|r| starts_at + r.condition.hold);
    times.filter(|at| *at > after).min()
}

fn grade(definition: &Definition, holds: impl Fn(&Condition) -> bool) -> Grade {
    let best = |ladder: &Ladder| ladder.rungs.iter().find(|rung| holds(&rung.condition)).map(met);
    let mut grade = Grade {
        business: definition.business.as_ref().and_then(best),
        generic: definition.generic.iter().filter_map(best).min_by(|a, b| a.level.cmp(&b.level)),
        next: None,
    };
    let now = grade.effective().map(|met| met.level.rank);
    let above = definition.ladders().flat_map(|l| &l.rungs).filter(|r| now.is_none_or(|now| r.level.rank < now));
    // The nearest level above; of several ways there the business definition's comes first.
    grade.next = above.min_by(|a, b| b.level.rank.cmp(&a.level.rank)).map(met);
    grade
}

fn met(rung: &Rung) -> Met {
    Met { level: rung.level.clone(), by: rung.condition.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ladder(rungs: &[(u8, u64)]) -> Ladder {
        let rung = |(rank, minutes): &(u8, u64)| Rung {
            level: Level { rank: *rank, place: 0, sequence: "P".into() },
            condition: Condition { tests: vec![], hold: Duration::from_secs(60 * minutes) },
        };
        Ladder { rungs: rungs.iter().map(rung).collect() }
    }

    #[test]
    fn the_effective_level_is_never_less_severe_than_the_generic_one() {
        let (business, generic) = (Some(ladder(&[(3, 0)])), vec![ladder(&[(2, 10), (4, 0)])]);
        let definition = Definition { business, generic, ..Definition::default() };
        let at = |minutes: i64| {
            let grade = by_duration(&definition, Timestamp(0), Timestamp(minutes * 60_000));
            grade.effective().map(|met| (met.level.to_string(), met.by.clone()))
        };
        assert_eq!(at(0), Some(("P3".into(), "breach".into())));
        assert_eq!(at(10), Some(("P2".into(), "breach for 10m".into())));
    }
}

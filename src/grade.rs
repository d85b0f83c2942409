//! Grade: the conditions that are met → levels.
//!
//! The business definition speaks for the scenario, the generic ones are the floor and the fallback: in each sequence the
//! effective level is the more severe of the two, and both are kept. The most severe of all sequences leads.

mod distance;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Condition, Definition, Ladder, Level, Measure, Numbers, Reading, Rung, Test, Timestamp};

/// A level and what met it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Met {
    /// The level.
    pub level: Level,
    /// The condition, in words.
    pub by: String,
}

/// The next level, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// The level.
    pub level: Level,
    /// The condition, in words.
    pub by: String,
    /// What is missing to it, in words; empty where that cannot be said.
    pub distance: String,
}

/// What a member is graded as in one sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// By the business definition.
    pub business: Option<Met>,
    /// By the generic definitions.
    pub generic: Option<Met>,
    /// What would raise it next, by either.
    pub next: Option<Next>,
}

/// What a member is graded as: its standing in each sequence, by the sequence's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grade(pub BTreeMap<String, Standing>);

/// What people have said a fault costs, and when, in that order.
pub type Stated = BTreeMap<Measure, Vec<(f64, Timestamp)>>;

/// What is known of what is graded.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'f> {
    /// The last reading; without a value where there is none.
    pub reading: &'f Reading,
    /// What it costs, as it is measured and as people say.
    pub numbers: &'f Numbers,
    /// When it began.
    pub starts_at: Timestamp,
    /// As of when.
    pub at: Timestamp,
    /// When it was last heard how it stands.
    pub heard_at: Timestamp,
    /// Those of the numbers that people say.
    pub said: &'f Stated,
    /// How much of the numbers others of the same fault cost, which detection does not know of.
    pub beside: &'f Numbers,
    /// Who has watched how long conditions held.
    pub watched: Watched<'f>,
}

/// Who has watched how long conditions held.
#[derive(Clone, Copy, Debug)]
pub enum Watched<'f> {
    /// Detection.
    Detection {
        /// Conditions that were met.
        met: &'f [String],
        /// Conditions that hold: for how long by then.
        holding: &'f [(String, Duration)],
        /// Conditions that need what people say: for how long the rest of them had held by then.
        rest_held: &'f [(String, Duration)],
    },
    /// Nobody: an alert lasts, and that is all that is known.
    Nobody,
}

impl Met {
    /// Whether it is the same level by the same condition.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.level.is(&other.level) && self.by == other.by
    }
}

impl Standing {
    /// The more severe of the two.
    #[must_use]
    pub fn effective(&self) -> Option<&Met> {
        let both = self.business.iter().chain(&self.generic);
        both.min_by(|a, b| a.level.cmp(&b.level))
    }

    /// By what the effective level was met, and whether the generic definition says so.
    #[must_use]
    pub fn reason(&self) -> String {
        let Some(met) = self.effective() else { return String::new() };
        let which = if self.business.as_ref() == Some(met) { "" } else { "generic definition, " };
        format!("{which}{}", if met.by == "breach" { "any breach" } else { &met.by })
    }
}

impl Grade {
    /// The standing that leads: the most severe one.
    #[must_use]
    pub fn leading(&self) -> Option<&Standing> {
        let met = self.0.values().filter_map(|standing| Some((&standing.effective()?.level, standing)));
        met.min_by(|a, b| a.0.cmp(b.0)).map(|(_, standing)| standing)
    }

    /// The most severe level.
    #[must_use]
    pub fn level(&self) -> Option<&Level> {
        self.leading().and_then(Standing::effective).map(|met| &met.level)
    }
}

impl Facts<'_> {
    fn meet(&self, condition: &Condition) -> bool {
        let by_now = || condition.tests.iter().all(|test| test.holds(self.reading, self.numbers)) && self.held(condition) >= condition.hold;
        match self.watched {
            Watched::Nobody => by_now(),
            // What was met stays so; what people say, detection does not watch.
            Watched::Detection { met, .. } => {
                met.contains(&condition.to_string()) || ((self.said_since(condition).is_some() || self.adds_up(condition)) && by_now())
            }
        }
    }

    /// Whether others of the same fault add to what a condition asks for.
    fn adds_up(&self, condition: &Condition) -> bool {
        condition.tests.iter().any(|test| self.beside.contains_key(&test.measure))
    }

    /// Since when what people say has met all tests of a condition that it has to.
    fn said_since(&self, condition: &Condition) -> Option<Timestamp> {
        let since = |test: &Test| {
            let said = self.said.get(&test.measure)?;
            let holds = |number: f64| test.holds(self.reading, &Numbers::from([(test.measure, number)]));
            let since = said.iter().rev().take_while(|(number, _)| holds(*number)).last()?;
            Some(self.starts_at.max(since.1))
        };
        condition.tests.iter().filter_map(since).max()
    }

    /// For how long a condition has held, as far as somebody watched.
    fn held(&self, condition: &Condition) -> Duration {
        let words = condition.to_string();
        // What held when it was last heard of is taken to hold since.
        let told = |holding: &[(String, Duration)]| {
            let held = holding.iter().find(|(holds, _)| *holds == words).map(|(_, held)| *held);
            held.map_or(Duration::ZERO, |held| held + self.at.since(self.heard_at))
        };
        if let Some(since) = self.said_since(condition) {
            let rest = condition.tests.iter().any(|test| !test.measure.can_be_said());
            let said = self.at.since(since);
            return match self.watched {
                Watched::Detection { rest_held, .. } if rest => said.min(told(rest_held)),
                _ => said,
            };
        }
        match self.watched {
            Watched::Nobody => self.at.since(self.starts_at),
            Watched::Detection { holding, .. } => told(holding),
        }
    }
}

/// Grades by a definition.
#[must_use]
pub fn grade(definition: &Definition, facts: &Facts<'_>) -> Grade {
    let mut grade = Grade::default();
    let best = |ladder: &Ladder| ladder.rungs.iter().find(|rung| facts.meet(&rung.condition)).map(met);
    let severe = |a: Option<Met>, b: Option<Met>| a.into_iter().chain(b).min_by(|a, b| a.level.cmp(&b.level));
    for ladder in &definition.own {
        let Some(sequence) = sequence(ladder) else { continue };
        let standing = grade.0.entry(sequence.clone()).or_default();
        standing.business = severe(standing.business.take(), best(ladder));
    }
    for ladder in &definition.generic {
        let Some(sequence) = sequence(ladder) else { continue };
        let standing = grade.0.entry(sequence.clone()).or_default();
        standing.generic = severe(standing.generic.take(), best(ladder));
    }
    for (sequence, standing) in &mut grade.0 {
        standing.next = next(definition, sequence, standing.effective().map(|met| met.level.rank), facts);
    }
    grade
}

/// The nearest level above, by whichever of the definitions' conditions, the business definition's first.
fn next(definition: &Definition, sequence: &str, now: Option<u8>, facts: &Facts<'_>) -> Option<Next> {
    let rungs = definition.ladders().flat_map(|ladder| &ladder.rungs);
    // Of what is measured without anything that is expected nothing drops.
    let expected = facts.reading.value.is_nan() || facts.reading.expected.is_some();
    let within_reach =
        |rung: &&Rung| expected || rung.condition.tests.iter().all(|test| !matches!(test.measure, Measure::Rise | Measure::Drop));
    let is_above = |rung: &&Rung| rung.level.sequence == sequence && now.is_none_or(|now| rung.level.rank < now);
    let above: Vec<&Rung> = rungs.filter(is_above).filter(within_reach).collect();
    // Where a worse level is met no later, there is no way to this one.
    let passed = |rung: &Rung| above.iter().any(|worse| worse.level.rank < rung.level.rank && rung.condition.implies(&worse.condition));
    let nearest = &above.iter().filter(|rung| !passed(rung)).max_by_key(|rung| rung.level.rank)?.level;
    let (mut by, mut distances): (Vec<String>, Vec<String>) = (vec![], vec![]);
    let ways: Vec<&Rung> = above.iter().copied().filter(|rung| rung.level == *nearest && !passed(rung)).collect();
    // What takes longer than another way there is none.
    let longer = |(place, rung): &(usize, &&Rung)| {
        let shorter = |(other, way): (usize, &&Rung)| {
            rung.condition.implies(&way.condition) && (other < *place || !way.condition.implies(&rung.condition))
        };
        ways.iter().enumerate().any(shorter)
    };
    for (_, rung) in ways.iter().enumerate().filter(|way| !longer(way)) {
        let distance = distance::to(&rung.condition, facts);
        by.extend(Some(rung.by()).filter(|words| !by.contains(words)));
        distances.extend(Some(distance).filter(|words| !words.is_empty() && !distances.contains(words)));
    }
    Some(Next { level: nearest.clone(), by: by.join(" or "), distance: distances.join(", or ") })
}

/// When, if it lasts, an external alert's level can next change.
#[must_use]
pub fn next_change(definition: &Definition, starts_at: Timestamp, after: Timestamp) -> Option<Timestamp> {
    let times = definition.ladders().flat_map(|l| &l.rungs).map(|r| starts_at + r.condition.hold);
    times.filter(|at| *at > after).min()
}

fn sequence(ladder: &Ladder) -> Option<&String> {
    ladder.rungs.first().map(|rung| &rung.level.sequence)
}

fn met(rung: &Rung) -> Met {
    Met { level: rung.level.clone(), by: rung.by() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Comparison;

    fn ladder(sequence: &str, place: u8, rungs: &[(u8, u64)]) -> Ladder {
        let rung = |(rank, minutes): &(u8, u64)| Rung {
            level: Level { rank: *rank, place, sequence: sequence.into() },
            condition: Condition { tests: vec![], hold: Duration::from_secs(60 * minutes) },
            because: String::new(),
        };
        Ladder { rungs: rungs.iter().map(rung).collect() }
    }

    fn at(definition: &Definition, minutes: i64) -> Grade {
        let facts = Facts {
            reading: &Reading::default(),
            numbers: &Numbers::new(),
            starts_at: Timestamp(0),
            at: Timestamp(minutes * 60_000),
            heard_at: Timestamp(0),
            said: &Stated::new(),
            beside: &Numbers::new(),
            watched: Watched::Nobody,
        };
        grade(definition, &facts)
    }

    #[test]
    fn the_effective_level_is_never_less_severe_than_the_generic_one() {
        let (own, generic) = (vec![ladder("P", 0, &[(3, 0)])], vec![ladder("P", 0, &[(2, 10), (4, 0)])]);
        let definition = Definition { own, generic, ..Definition::default() };
        let standing = |minutes| at(&definition, minutes).leading().map(|s| (s.effective().map(|met| met.level.to_string()), s.reason()));
        assert_eq!(standing(0), Some((Some("P3".into()), "any breach".into())));
        assert_eq!(standing(10), Some((Some("P2".into()), "generic definition, breach for 10m".into())));
    }

    #[test]
    fn what_detection_has_seen_met_is_not_undone_by_what_people_say() {
        let users = Test { measure: Measure::AffectedUsers, comparison: Comparison::AtLeast, limit: 1000.0 };
        let condition = Condition { tests: vec![users], hold: Duration::from_secs(600) };
        let words = [condition.to_string()];
        let rung = Rung { level: Level { rank: 1, place: 0, sequence: "P".into() }, condition, because: String::new() };
        let definition = Definition { own: vec![Ladder { rungs: vec![rung] }], ..Definition::default() };
        let level = |met: &[String], said_at: i64| {
            let facts = Facts {
                reading: &Reading::default(),
                numbers: &Numbers::from([(Measure::AffectedUsers, 2000.0)]),
                starts_at: Timestamp(0),
                at: Timestamp(900_000),
                heard_at: Timestamp(900_000),
                said: &Stated::from([(Measure::AffectedUsers, vec![(2000.0, Timestamp(said_at))])]),
                beside: &Numbers::new(),
                watched: Watched::Detection { met, holding: &[], rest_held: &[] },
            };
            grade(&definition, &facts).level().map(ToString::to_string)
        };
        assert_eq!(level(&words, 840_000), Some("P1".into()), "it was met before");
        assert_eq!(level(&[], 840_000), None, "a minute is too short");
        assert_eq!(level(&[], 300_000), Some("P1".into()), "ten are not");
    }

    #[test]
    fn each_sequence_has_its_own_level_and_the_most_severe_leads() {
        let own = vec![ladder("P", 0, &[(2, 30), (3, 0)]), ladder("S", 3, &[(1, 20), (4, 0)])];
        let definition = Definition { own, ..Definition::default() };
        let levels =
            |minutes| at(&definition, minutes).0.values().filter_map(|s| Some(s.effective()?.level.to_string())).collect::<Vec<_>>();
        assert_eq!((levels(0), at(&definition, 0).level().map(ToString::to_string)), (vec!["P3".into(), "S4".into()], Some("P3".into())));
        assert_eq!((levels(20), at(&definition, 20).level().map(ToString::to_string)), (vec!["P3".into(), "S1".into()], Some("S1".into())));
    }

    #[test]
    fn the_way_to_the_next_level_is_told() {
        let definition = Definition { own: vec![ladder("P", 0, &[(2, 30), (3, 0)])], ..Definition::default() };
        let grade = at(&definition, 26);
        let next = grade.leading().and_then(|standing| standing.next.clone()).expect("a level above");
        assert_eq!((next.level.to_string(), next.distance), ("P2".into(), "in 4m if it lasts".into()));
    }

    #[test]
    fn a_level_that_a_worse_one_comes_before_is_not_the_next() {
        let own = vec![ladder("P", 0, &[(2, 60), (3, 10)]), ladder("P", 0, &[(4, 30)])];
        let grade = at(&Definition { own, ..Definition::default() }, 0);
        let next = grade.0.values().find_map(|standing| standing.next.clone()).expect("a level above");
        assert_eq!((next.level.to_string(), next.distance), ("P3".into(), "in 10m if it lasts".into()));
    }

    #[test]
    fn a_level_that_nothing_measures_is_not_the_next() {
        let drops = Test { measure: Measure::Drop, comparison: Comparison::AtLeast, limit: 0.9 };
        let condition = Condition { tests: vec![drops], hold: Duration::from_secs(1800) };
        let rung = Rung { level: Level { rank: 2, place: 0, sequence: "P".into() }, condition, because: String::new() };
        let (own, generic) = (vec![ladder("P", 0, &[(1, 120), (3, 0)])], vec![Ladder { rungs: vec![rung] }]);
        let grade = at(&Definition { own, generic, ..Definition::default() }, 0);
        let next = grade.leading().and_then(|standing| standing.next.clone()).expect("a level above");
        assert_eq!((next.level.to_string(), next.distance), ("P1".into(), "in 2h if it lasts".into()));
    }
}

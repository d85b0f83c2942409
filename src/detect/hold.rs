//! From verdicts to a breach: how long it has been bad before it opens, good before it ends, and for how long
//! each of the ladder's conditions has held. Time counts only where there was a verdict: a gap freezes it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Condition, Definition, Judge, Phase, Reading, Timestamp};
use crate::rules::JudgeRules;

use super::judges::Verdict;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Hold {
    bad: Option<Bad>,
    /// Of good verdicts while a breach is open.
    good: Option<Streak>,
    /// The last step with a verdict.
    last: Option<Timestamp>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Bad {
    onset: Timestamp,
    held: Duration,
    open: bool,
    judge: Judge,
    worst: Reading,
    /// The definition as it was when it began to be bad: a reload re-grades nothing that is open.
    definition: Option<Definition>,
    /// The conditions of its ladders.
    conditions: Vec<Held>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Held {
    condition: Condition,
    /// None while it does not hold.
    held: Option<Duration>,
    /// It has been told once; a condition that was met stays met.
    met: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Streak {
    since: Timestamp,
    held: Duration,
    reading: Reading,
}

/// A transition.
pub(super) struct Moved {
    pub(super) phase: Phase,
    pub(super) at: Timestamp,
    pub(super) judge: Judge,
    pub(super) reading: Reading,
    /// It has ended because what was bad is the normal from now on.
    pub(super) new_normal: bool,
}

impl Hold {
    pub(super) fn open(&self) -> bool {
        self.bad.as_ref().is_some_and(|bad| bad.open)
    }

    /// The judge that opened the breach, while one is open.
    pub(super) fn judge(&self) -> Option<Judge> {
        self.bad.as_ref().filter(|bad| bad.open).map(|bad| bad.judge)
    }

    /// Forgets what has been bad but opened no breach yet.
    pub(super) fn forget_pending(&mut self) {
        if !self.open() {
            self.bad = None;
        }
    }

    pub(super) fn onset(&self) -> Option<Timestamp> {
        self.bad.as_ref().map(|bad| bad.onset)
    }

    pub(super) fn worst(&self) -> Reading {
        self.bad.as_ref().map(|bad| bad.worst).unwrap_or_default()
    }

    pub(super) fn definition(&self) -> Option<Definition> {
        self.bad.as_ref().and_then(|bad| bad.definition.clone())
    }

    pub(super) fn met(&self) -> Vec<String> {
        let conditions = self.bad.iter().flat_map(|bad| &bad.conditions);
        conditions.filter(|c| c.met).map(|c| c.condition.to_string()).collect()
    }

    pub(super) fn step(
        &mut self,
        rules: &JudgeRules,
        definition: Option<&Definition>,
        every: Duration,
        step: Timestamp,
        verdict: Verdict,
    ) -> Option<Moved> {
        // Absence may have been judged by the clock, ahead of the steps: what it saw is not judged again.
        if self.last.is_some_and(|last| step <= last) {
            return None;
        }
        let passed = self.last.map_or(Duration::ZERO, |last| step.since(last).min(every));
        match verdict {
            Verdict::Unknown => None,
            Verdict::Good { reading } => {
                self.last = Some(step);
                self.good_step(rules, step, passed, reading)
            }
            Verdict::NewNormal { reading } => {
                self.last = Some(step);
                let bad = self.bad.as_ref().filter(|bad| bad.open)?;
                Some(Moved { phase: Phase::Ended, at: step, judge: bad.judge, reading, new_normal: true })
            }
            Verdict::Bad { judge, reading, sampled } => {
                self.last = Some(step);
                self.good = None;
                let passed = if self.bad.is_some() { passed } else { Duration::ZERO };
                let bad = self.bad.get_or_insert_with(|| Bad::new(sampled, judge, reading, definition));
                bad.step(rules, step, passed, judge, reading)
            }
        }
    }

    fn good_step(&mut self, rules: &JudgeRules, step: Timestamp, passed: Duration, reading: Reading) -> Option<Moved> {
        let Some(bad) = self.bad.as_mut().filter(|bad| bad.open) else {
            self.bad = None;
            return None;
        };
        bad.conditions.iter_mut().for_each(|c| c.relax(&reading));
        let good = match self.good {
            Some(streak) => Streak { held: streak.held + passed, ..streak },
            None => Streak { since: step, held: Duration::ZERO, reading },
        };
        self.good = Some(good);
        let ended = Moved { phase: Phase::Ended, at: good.since, judge: bad.judge, reading: good.reading, new_normal: false };
        (good.held >= rules.keep_firing).then_some(ended)
    }
}

impl Bad {
    fn new(onset: Timestamp, judge: Judge, reading: Reading, definition: Option<&Definition>) -> Self {
        let conditions = definition.map(Definition::conditions).unwrap_or_default();
        let conditions = conditions.into_iter().map(|c| Held { condition: c.clone(), held: None, met: false }).collect();
        let definition = definition.cloned();
        Self { onset, held: Duration::ZERO, open: false, judge, worst: reading, definition, conditions }
    }

    fn step(&mut self, rules: &JudgeRules, step: Timestamp, passed: Duration, judge: Judge, reading: Reading) -> Option<Moved> {
        self.held += passed;
        if reading.score > self.worst.score {
            self.worst = reading;
        }
        let newly_met = self.conditions.iter_mut().filter_map(|c| c.hold(&reading, passed).then_some(())).count();
        // Absence has waited already.
        let opens = !self.open && (self.held >= rules.hold || judge == Judge::Absent);
        if opens {
            self.open = true;
            self.judge = judge;
        }
        let phase = match (opens, self.open && newly_met > 0) {
            (true, _) => Phase::Opened,
            (false, true) => Phase::Changed,
            (false, false) => return None,
        };
        Some(Moved { phase, at: step, judge, reading, new_normal: false })
    }
}

impl Held {
    /// A bad step; tells whether the condition is met now and was not before.
    fn hold(&mut self, reading: &Reading, passed: Duration) -> bool {
        if !self.condition.tests.iter().all(|test| test.holds(reading)) {
            self.held = None;
            return false;
        }
        let held = self.held.map_or(Duration::ZERO, |held| held + passed);
        self.held = Some(held);
        let newly_met = !self.met && held >= self.condition.hold;
        self.met |= newly_met;
        newly_met
    }

    /// A good step while the breach is still open: what is measured no longer holds, how long it lasts stands still.
    fn relax(&mut self, reading: &Reading) {
        if self.condition.tests.iter().any(|test| !test.holds(reading)) {
            self.held = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Ladder, Level, Rung};

    const MINUTE: Duration = Duration::from_secs(60);

    fn reading(value: f64) -> Reading {
        Reading { value, score: 2.0, ..Reading::default() }
    }

    /// One verdict a minute: `!` bad, `.` good, `?` unknown. Gives the phases, with the minute they were told in.
    fn phases(hold_minutes: u32, keep_minutes: u32, verdicts: &str) -> String {
        let rules = JudgeRules { hold: MINUTE * hold_minutes, keep_firing: MINUTE * keep_minutes, ..JudgeRules::default() };
        let condition = Condition { tests: vec![], hold: MINUTE * 3 };
        let rung = Rung { level: Level { rank: 1, place: 0, sequence: "P".into() }, condition };
        let three = Definition { business: Some(Ladder { rungs: vec![rung] }), ..Definition::default() };
        let mut hold = Hold::default();
        let mut told = vec![];
        for (minute, verdict) in verdicts.chars().enumerate() {
            let step = Timestamp(60_000 * minute as i64);
            let verdict = match verdict {
                '!' => Verdict::Bad { judge: Judge::Static, reading: reading(1.0), sampled: step },
                '.' => Verdict::Good { reading: reading(0.0) },
                _ => Verdict::Unknown,
            };
            if let Some(moved) = hold.step(&rules, Some(&three), MINUTE, step, verdict) {
                told.push(format!("{minute}:{:?}", moved.phase));
                if moved.phase == Phase::Ended {
                    hold = Hold::default();
                }
            }
        }
        told.join(" ")
    }

    #[test]
    fn a_breach_opens_after_its_hold_and_ends_after_keeping() {
        assert_eq!(phases(0, 0, "!."), "0:Opened 1:Ended");
        assert_eq!(phases(2, 0, "!!.!!!."), "5:Opened 6:Ended");
        assert_eq!(phases(0, 2, "!..!...."), "0:Opened 6:Ended");
    }

    #[test]
    fn conditions_are_told_once_when_they_are_met() {
        assert_eq!(phases(0, 9, "!!!!!!"), "0:Opened 3:Changed");
        assert_eq!(phases(4, 9, "!!!!!!"), "4:Opened");
    }

    #[test]
    fn a_gap_freezes_time_instead_of_counting_it() {
        assert_eq!(phases(2, 0, "!??????!!"), "8:Opened");
        assert_eq!(phases(0, 2, "!.??????.."), "0:Opened 9:Ended");
    }
}

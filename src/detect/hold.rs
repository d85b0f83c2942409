//! From verdicts to a breach: how long it has been bad before it opens, good before it ends, and for how long
//! each of the ladder's conditions has held. Time counts only where there was a verdict: a gap freezes it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Condition, Definition, Judge, Numbers, Phase, Reading, Step, Timestamp};
use crate::rules::JudgeRules;

use super::impact::Impact;
use super::judges::Verdict;

/// An open breach without a verdict for this many steps, and at least this long, is stale.
const STALE_STEPS: u32 = 5;
const STALE_AFTER_MIN: Duration = Duration::from_secs(300);

/// An open breach that means something is told of this often, so that others know how it stands.
const TOLD_EVERY: Duration = Duration::from_secs(300);

/// Steps of a breach that are kept to be drawn; of more, every other one goes.
const CURVE_MAX: usize = 64;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Hold {
    bad: Option<Bad>,
    /// Of good verdicts while a breach is open.
    good: Option<Streak>,
    /// The last step with a verdict.
    last: Option<Timestamp>,
    /// It was told that there has been none for long.
    stale: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Bad {
    onset: Timestamp,
    held: Duration,
    open: bool,
    judge: Judge,
    worst: Reading,
    /// When it was last told of.
    told_at: Timestamp,
    /// The definition as it was when it began to be bad: a reload re-grades nothing that is open.
    definition: Option<Definition>,
    /// The conditions of its ladders.
    conditions: Vec<Held>,
    /// What it costs so far.
    numbers: Numbers,
    curve: Curve,
}

/// The steps of a breach, thinned out as it lasts.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Curve {
    steps: Vec<Step>,
    /// One in two to the power of this many is kept;
    thinned: u8,
    /// of so many that there were.
    seen: u32,
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

/// What a step is judged by.
#[derive(Clone, Copy)]
pub(super) struct Terms<'t> {
    pub(super) rules: &'t JudgeRules,
    /// What a breach means.
    pub(super) definition: Option<&'t Definition>,
    /// The time between two steps.
    pub(super) every: Duration,
    /// What a breach costs, where that is measured.
    pub(super) impact: Option<Impact<'t>>,
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

    /// The conditions that hold, but not for long enough yet.
    pub(super) fn holding(&self) -> Vec<(String, Duration)> {
        let conditions = self.bad.iter().flat_map(|bad| &bad.conditions);
        conditions.filter(|c| !c.met).filter_map(|c| Some((c.condition.to_string(), c.held?))).collect()
    }

    pub(super) fn numbers(&self) -> Numbers {
        self.bad.as_ref().map(|bad| bad.numbers.clone()).unwrap_or_default()
    }

    /// How it went so far; only at its ends, for it is long.
    pub(super) fn curve(&self, phase: Phase) -> Vec<Step> {
        let bad = self.bad.as_ref().filter(|_| phase == Phase::Ended);
        bad.map(|bad| bad.curve.steps.clone()).unwrap_or_default()
    }

    pub(super) fn step(&mut self, terms: Terms<'_>, step: Timestamp, verdict: Verdict) -> Option<Moved> {
        // Absence may have been judged by the clock, ahead of the steps: what it saw is not judged again.
        if self.last.is_some_and(|last| step <= last) {
            return None;
        }
        if verdict == Verdict::Unknown {
            return self.goes_stale(step, terms.every);
        }
        let passed = self.last.map_or(Duration::ZERO, |last| step.since(last).min(terms.every));
        self.last = Some(step);
        let fresh = std::mem::take(&mut self.stale);
        let moved = match verdict {
            Verdict::Unknown => None,
            Verdict::Good { reading } => self.good_step(terms.rules, step, passed, reading),
            Verdict::NewNormal { reading } => {
                let bad = self.bad.as_ref().filter(|bad| bad.open)?;
                Some(Moved { phase: Phase::Ended, at: step, judge: bad.judge, reading, new_normal: true })
            }
            Verdict::Bad { judge, reading, sampled } => {
                self.good = None;
                let passed = if self.bad.is_some() { passed } else { Duration::ZERO };
                let bad = self.bad.get_or_insert_with(|| Bad::new(sampled, judge, reading, terms.definition));
                bad.step(terms, step, passed, judge, reading)
            }
        };
        let reading = match verdict {
            Verdict::Unknown => return moved,
            Verdict::Good { reading } | Verdict::NewNormal { reading } | Verdict::Bad { reading, .. } => reading,
        };
        let back = || self.bad.as_ref().filter(|bad| fresh && bad.open).map(|bad| bad.judge);
        moved.or_else(|| Some(Moved { phase: Phase::Changed, at: step, judge: back()?, reading, new_normal: false }))
    }

    /// An open breach of which nothing is known any more, told once.
    pub(super) fn goes_stale(&mut self, now: Timestamp, every: Duration) -> Option<Moved> {
        let bad = self.bad.as_ref().filter(|bad| bad.open && !self.stale && bad.judge != Judge::Absent)?;
        let silent = now.since(self.last?);
        (silent >= (every * STALE_STEPS).max(STALE_AFTER_MIN)).then(|| {
            self.stale = true;
            let reading = Reading { value: f64::NAN, ..Reading::default() };
            Moved { phase: Phase::Stale, at: now, judge: bad.judge, reading, new_normal: false }
        })
    }

    fn good_step(&mut self, rules: &JudgeRules, step: Timestamp, passed: Duration, reading: Reading) -> Option<Moved> {
        let Some(bad) = self.bad.as_mut().filter(|bad| bad.open) else {
            self.bad = None;
            return None;
        };
        bad.curve.push(step, reading);
        let numbers = &bad.numbers;
        bad.conditions.iter_mut().for_each(|c| c.relax(&reading, numbers));
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
        let (numbers, curve) = (Numbers::new(), Curve::default());
        let told_at = Timestamp::MIN;
        Self { onset, held: Duration::ZERO, open: false, judge, worst: reading, told_at, definition, conditions, numbers, curve }
    }

    fn step(&mut self, terms: Terms<'_>, step: Timestamp, passed: Duration, judge: Judge, reading: Reading) -> Option<Moved> {
        self.held += passed;
        self.curve.push(step, reading);
        if let Some(impact) = terms.impact {
            impact.add(&reading, passed.max(if self.held.is_zero() { terms.every } else { Duration::ZERO }), &mut self.numbers);
        }
        if reading.score > self.worst.score {
            self.worst = reading;
        }
        let numbers = &self.numbers;
        let newly_met = self.conditions.iter_mut().filter_map(|c| c.hold(&reading, numbers, passed).then_some(())).count();
        // Absence has waited already.
        let opens = !self.open && (self.held >= terms.rules.hold || judge == Judge::Absent);
        if opens {
            self.open = true;
            self.judge = judge;
        }
        let due = self.open && self.definition.is_some() && step.since(self.told_at) >= TOLD_EVERY;
        let phase = match (opens, self.open && newly_met > 0 || due) {
            (true, _) => Phase::Opened,
            (false, true) => Phase::Changed,
            (false, false) => return None,
        };
        self.told_at = step;
        Some(Moved { phase, at: step, judge, reading, new_normal: false })
    }
}

impl Held {
    /// A bad step; tells whether the condition is met now and was not before.
    fn hold(&mut self, reading: &Reading, numbers: &Numbers, passed: Duration) -> bool {
        if !self.condition.tests.iter().all(|test| test.holds(reading, numbers)) {
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
    fn relax(&mut self, reading: &Reading, numbers: &Numbers) {
        if self.condition.tests.iter().any(|test| !test.holds(reading, numbers)) {
            self.held = None;
        }
    }
}

impl Curve {
    fn push(&mut self, at: Timestamp, reading: Reading) {
        if self.seen.trailing_zeros() >= u32::from(self.thinned) {
            self.steps.push(Step { at, reading });
        }
        self.seen = self.seen.saturating_add(1);
        if self.steps.len() > CURVE_MAX {
            let mut place = 0;
            self.steps.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            self.thinned += 1;
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
        let rung = Rung { level: Level { rank: 1, place: 0, sequence: "P".into() }, condition, because: String::new() };
        let three = Definition { business: vec![Ladder { rungs: vec![rung] }], ..Definition::default() };
        let mut hold = Hold::default();
        let mut told = vec![];
        for (minute, verdict) in verdicts.chars().enumerate() {
            let step = Timestamp(60_000 * minute as i64);
            let verdict = match verdict {
                '!' => Verdict::Bad { judge: Judge::Static, reading: reading(1.0), sampled: step },
                '.' => Verdict::Good { reading: reading(0.0) },
                _ => Verdict::Unknown,
            };
            let terms = Terms { rules: &rules, definition: Some(&three), every: MINUTE, impact: None };
            if let Some(moved) = hold.step(terms, step, verdict) {
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
        assert_eq!(phases(0, 9, "!!!!!!!!!!!!!!"), "0:Opened 3:Changed 8:Changed 13:Changed", "and every five minutes");
        assert_eq!(phases(4, 9, "!!!!!!"), "4:Opened");
    }

    #[test]
    fn a_gap_freezes_time_instead_of_counting_it() {
        assert_eq!(phases(2, 0, "!??????!!"), "8:Opened");
        assert_eq!(phases(0, 2, "!.????.."), "0:Opened 7:Ended");
    }

    #[test]
    fn data_that_stops_makes_an_open_breach_stale_once() {
        assert_eq!(phases(0, 0, "!???????!?."), "0:Opened 5:Stale 8:Changed 10:Ended");
    }

    #[test]
    fn a_curve_of_any_length_stays_short_and_begins_at_the_onset() {
        let mut curve = Curve::default();
        (0..1000).for_each(|step| curve.push(Timestamp(step), reading(1.0)));
        assert!(curve.steps.len() <= CURVE_MAX && curve.steps.len() > CURVE_MAX / 4);
        assert_eq!((curve.steps[0].at, curve.steps[1].at), (Timestamp(0), Timestamp(1 << curve.thinned)));
    }
}

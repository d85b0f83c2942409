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
    /// When it was told that there has been none for long. By the clock that may be ahead of steps that are judged only later.
    stale: Option<Timestamp>,
    /// What has ended, until it has stayed so for long enough.
    after: Option<Box<After>>,
}

/// A breach that has ended.
#[derive(Debug, Serialize, Deserialize)]
struct After {
    bad: Bad,
    ended_at: Timestamp,
    reading: Reading,
    new_normal: bool,
    /// For how long it has been good; none where it is not.
    good: Option<Duration>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Bad {
    pub(super) onset: Timestamp,
    held: Duration,
    open: bool,
    judge: Judge,
    pub(super) worst: Reading,
    /// When it was last told of.
    told_at: Timestamp,
    /// The definition as it was when it began to be bad, or to mean something: a reload re-grades nothing that is open.
    pub(super) definition: Option<Definition>,
    /// The conditions of its ladders.
    conditions: Vec<Held>,
    /// What it costs so far.
    pub(super) numbers: Numbers,
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
    /// For how long what people cannot say has held, where it needs both.
    rest: Option<Duration>,
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
    /// How long it may be until the next sample, where they come seldom: so long nothing is unknown.
    pub(super) patience: Duration,
    /// What a breach costs, where that is measured.
    pub(super) impact: Option<Impact<'t>>,
    /// How long it has to stay good, after a breach that means something, until that is told.
    pub(super) recover_after: Duration,
}

impl Terms<'_> {
    fn stale_after(&self) -> Duration {
        stale_after(self.every, self.patience)
    }
}

/// A transition.
pub(super) struct Moved {
    pub(super) phase: Phase,
    pub(super) at: Timestamp,
    /// The step by which that is known.
    pub(super) known_at: Timestamp,
    /// By when it had stayed good for long enough, once it has ended.
    pub(super) settled_at: Option<Timestamp>,
    pub(super) judge: Judge,
    pub(super) reading: Reading,
    /// It has ended because what was bad is the normal from now on.
    pub(super) new_normal: bool,
}

/// For how long nothing may be known of a breach until it is stale; where samples come seldom, so long.
pub(super) fn stale_after(every: Duration, patience: Duration) -> Duration {
    (every * STALE_STEPS).max(STALE_AFTER_MIN).max(patience)
}

impl Hold {
    pub(super) fn open(&self) -> bool {
        self.bad.as_ref().is_some_and(|bad| bad.open)
    }

    /// A breach is open, and nothing speaks for its end.
    pub(super) fn goes_on(&self) -> bool {
        self.open() && self.good.is_none()
    }

    /// It is bad, be it for long enough or not.
    pub(super) fn is_bad(&self) -> bool {
        self.bad.is_some()
    }

    /// The judge that opened the breach, while one is open.
    pub(super) fn judge(&self) -> Option<Judge> {
        self.bad.as_ref().filter(|bad| bad.open).map(|bad| bad.judge)
    }

    /// Whether what was told of last is an absence.
    pub(super) fn is_of_absence(&self) -> bool {
        self.told().is_some_and(|bad| bad.judge == Judge::Absent)
    }

    /// An absence is open.
    pub(super) fn is_absent(&self) -> bool {
        self.judge() == Some(Judge::Absent)
    }

    /// An absence is open, and the longer it lasts the more it means.
    pub(super) fn rises_by_absence(&self) -> bool {
        let rises = |bad: &Bad| bad.conditions.iter().any(|condition| !condition.met && condition.held.is_some());
        self.goes_on() && self.is_absent() && self.bad.as_ref().is_some_and(rises)
    }

    /// Forgets what has been bad but opened no breach yet.
    pub(super) fn forget_pending(&mut self) {
        if !self.open() {
            self.bad = None;
        }
    }

    /// What was told of last.
    pub(super) fn told(&self) -> Option<&Bad> {
        self.bad.as_ref().filter(|bad| bad.open).or(self.after.as_ref().map(|after| &after.bad))
    }

    /// It matters whether data goes on.
    pub(super) fn waits(&self) -> bool {
        self.open() || self.after.is_some()
    }

    /// Nothing was looked at until then.
    pub(super) fn resume(&mut self, now: Timestamp) {
        self.last = self.last.map(|last| last.max(now));
    }

    /// When it goes stale, where no data comes.
    pub(super) fn stale_from(&self, after: Duration) -> Option<Timestamp> {
        let last = self.last.filter(|_| self.waits() && self.stale.is_none() && !self.is_absent())?;
        Some(last + after)
    }

    pub(super) fn step(&mut self, terms: Terms<'_>, step: Timestamp, verdict: Verdict) -> Option<Moved> {
        // Absence may have been judged by the clock, ahead of the steps: what it saw is not judged again.
        if self.last.is_some_and(|last| step <= last) {
            return None;
        }
        if let Verdict::Unknown { value } = verdict {
            return self.goes_stale(step, value, terms.stale_after());
        }
        // Of an absence nothing more is known between two verdicts than at them.
        let still_absent = self.goes_on() && self.is_absent() && matches!(verdict, Verdict::Bad { judge: Judge::Absent, .. });
        let most = if still_absent { Duration::MAX } else { terms.every.max(terms.patience) };
        let passed = self.last.map_or(Duration::ZERO, |last| step.since(last).min(most));
        let gap = self.last.is_some_and(|last| step.since(last) >= terms.stale_after());
        self.last = Some(step);
        let fresh = self.stale.take_if(|told| step >= *told).is_some();
        let (moved, reading) = match verdict {
            Verdict::Unknown { .. } => return None,
            Verdict::Good { reading } => (self.good_step(terms, step, passed, reading, (fresh, gap)), reading),
            Verdict::NewNormal { reading } => {
                self.bad.as_ref().filter(|bad| bad.open)?;
                (self.ends(terms, (step, step), reading, Duration::ZERO, true), reading)
            }
            Verdict::Bad { judge, reading, sampled } => {
                self.good = None;
                self.after.iter_mut().for_each(|after| after.good = None);
                let passed = if self.bad.is_some() { passed } else { Duration::ZERO };
                let bad = self.bad.get_or_insert_with(|| Bad::new(sampled, judge, reading));
                if let Some(definition) = terms.definition.filter(|_| bad.definition.is_none()) {
                    bad.is_graded_by(definition);
                }
                let moved = bad.step(terms, step, passed, judge, reading);
                if bad.open {
                    self.after = None;
                }
                (moved, reading)
            }
        };
        let back = || self.bad.as_ref().filter(|bad| fresh && bad.open).map(|bad| bad.judge);
        // What was before the data stopped is no sign that it has come back.
        let moved = moved.filter(|moved| self.stale.is_none() || moved.phase != Phase::Changed);
        moved.or_else(|| Some(Moved::at(Phase::Changed, step, back()?, reading)))
    }

    /// What is open, or has just ended, and of which nothing is known any more, told once; the value is none where there is no data.
    pub(super) fn goes_stale(&mut self, now: Timestamp, value: f64, after: Duration) -> Option<Moved> {
        self.stale_from(after).filter(|from| *from <= now)?;
        let judge = self.told()?.judge;
        self.stale = Some(now);
        Some(Moved::at(Phase::Stale, now, judge, Reading { value, ..Reading::default() }))
    }

    /// `back`: whether its data is back after it was told to be stale, and after a gap as long.
    fn good_step(&mut self, terms: Terms<'_>, step: Timestamp, passed: Duration, reading: Reading, back: (bool, bool)) -> Option<Moved> {
        let Some(bad) = self.bad.as_mut().filter(|bad| bad.open) else {
            self.bad = None;
            return self.stays_good(terms, step, passed, back);
        };
        bad.curve.push(step, reading);
        let numbers = &bad.numbers;
        bad.conditions.iter_mut().for_each(|c| c.relax(&reading, numbers));
        let good = match self.good {
            Some(streak) => Streak { held: streak.held + passed, ..streak },
            None => Streak { since: step, held: Duration::ZERO, reading },
        };
        self.good = Some(good);
        if good.held < terms.rules.keep_firing {
            return None;
        }
        self.ends(terms, (good.since, step), good.reading, good.held, false)
    }

    fn ends(
        &mut self,
        terms: Terms<'_>,
        (ended_at, known_at): (Timestamp, Timestamp),
        reading: Reading,
        good: Duration,
        new_normal: bool,
    ) -> Option<Moved> {
        self.good = None;
        // What comes seldom is good until the next one says otherwise.
        let good = good.max(terms.patience.min(terms.recover_after));
        let after = After { bad: self.bad.take()?, ended_at, reading, new_normal, good: Some(good) };
        Some(self.after.insert(Box::new(after)).told(known_at, terms.recover_after))
    }

    /// What has ended stays so: that is told once it has for long enough, or when its data is back.
    fn stays_good(&mut self, terms: Terms<'_>, step: Timestamp, passed: Duration, (fresh, gap): (bool, bool)) -> Option<Moved> {
        let after = self.after.as_mut()?;
        let good = after.good.filter(|_| !fresh && !gap).map_or(Duration::ZERO, |good| good + passed);
        after.good = Some(good);
        (fresh || good >= terms.recover_after).then(|| after.told(step, terms.recover_after))
    }

    /// What has been told to have ended is forgotten where nobody waits to hear that it stays so.
    pub(super) fn settle(&mut self, recover_after: Duration) {
        self.after = self.after.take().filter(|after| after.bad.definition.is_some() && after.good.is_none_or(|good| good < recover_after));
    }
}

impl After {
    fn told(&self, known_at: Timestamp, recover_after: Duration) -> Moved {
        let Self { ended_at: at, reading, new_normal, .. } = *self;
        // It may have been good for longer than it has to: then it was so before.
        let settled_at = self.good.and_then(|good| good.checked_sub(recover_after)).map(|longer| known_at - longer);
        Moved { phase: Phase::Ended, at, known_at, settled_at, judge: self.bad.judge, reading, new_normal }
    }
}

impl Moved {
    fn at(phase: Phase, at: Timestamp, judge: Judge, reading: Reading) -> Self {
        Self { phase, at, known_at: at, settled_at: None, judge, reading, new_normal: false }
    }
}

impl Bad {
    fn new(onset: Timestamp, judge: Judge, reading: Reading) -> Self {
        Self {
            onset,
            held: Duration::ZERO,
            open: false,
            judge,
            worst: reading,
            told_at: Timestamp::MIN,
            definition: None,
            conditions: vec![],
            numbers: Numbers::new(),
            curve: Curve::default(),
        }
    }

    /// It means something from now on, which is to be told.
    fn is_graded_by(&mut self, definition: &Definition) {
        let held = |condition: &Condition| Held { condition: condition.clone(), held: None, rest: None, met: false };
        self.conditions = definition.conditions().into_iter().map(held).collect();
        self.definition = Some(definition.clone());
        self.told_at = Timestamp::MIN;
    }

    fn step(&mut self, terms: Terms<'_>, step: Timestamp, passed: Duration, judge: Judge, reading: Reading) -> Option<Moved> {
        self.held += passed;
        self.curve.push(step, reading);
        if let Some(impact) = terms.impact {
            impact.add(&reading, passed.max(if self.held.is_zero() { terms.every } else { Duration::ZERO }), &mut self.numbers);
        }
        if reading.is_worse_than(&self.worst) {
            self.worst = reading;
        }
        let numbers = &self.numbers;
        let counted: Vec<bool> = self.conditions.iter().map(Held::counts).collect();
        self.conditions.iter_mut().for_each(|condition| condition.hold(&reading, numbers, passed));
        let other = self.conditions.iter().map(Held::counts).ne(counted);
        // Absence has waited already.
        let opens = !self.open && (self.held >= terms.rules.hold || judge == Judge::Absent);
        if opens {
            self.open = true;
            self.judge = judge;
        }
        let due = self.open && self.definition.is_some() && step.since(self.told_at) >= TOLD_EVERY;
        let phase = match (opens, self.open && other || due) {
            (true, _) => Phase::Opened,
            (false, true) => Phase::Changed,
            (false, false) => return None,
        };
        self.told_at = step;
        Some(Moved::at(phase, step, judge, reading))
    }

    /// The conditions that were met.
    pub(super) fn met(&self) -> Vec<String> {
        self.conditions.iter().filter(|c| c.met).map(|c| c.condition.to_string()).collect()
    }

    /// The conditions that hold, and for how long.
    pub(super) fn holding(&self) -> Vec<(String, Duration)> {
        self.conditions.iter().filter_map(|c| Some((c.condition.to_string(), c.held?))).collect()
    }

    /// For how long the rest of each condition has held that needs what people say.
    pub(super) fn rest_held(&self) -> Vec<(String, Duration)> {
        self.conditions.iter().filter_map(|c| Some((c.condition.to_string(), c.rest?))).collect()
    }

    /// How it went so far; only at its ends, for it is long.
    pub(super) fn curve(&self, phase: Phase) -> Vec<Step> {
        if phase == Phase::Ended { self.curve.steps.clone() } else { vec![] }
    }
}

impl Held {
    /// It has held for long enough, and does so still.
    fn counts(&self) -> bool {
        self.held.is_some_and(|held| held >= self.condition.hold)
    }

    /// A bad step.
    fn hold(&mut self, reading: &Reading, numbers: &Numbers, passed: Duration) {
        self.rest = self.rest_holds(reading, numbers).then(|| self.rest.map_or(Duration::ZERO, |rest| rest + passed));
        if !self.condition.tests.iter().all(|test| test.holds(reading, numbers)) {
            self.held = None;
            return;
        }
        let held = self.held.map_or(Duration::ZERO, |held| held + passed);
        self.held = Some(held);
        self.met |= self.counts();
    }

    /// A good step while the breach is still open: what is measured no longer holds, how long it lasts stands still.
    fn relax(&mut self, reading: &Reading, numbers: &Numbers) {
        if self.condition.tests.iter().any(|test| !test.holds(reading, numbers)) {
            self.held = None;
        }
        self.rest = self.rest.filter(|_| self.rest_holds(reading, numbers));
    }

    /// Whether it needs what people can say as well as what they cannot, and all of that holds.
    fn rest_holds(&self, reading: &Reading, numbers: &Numbers) -> bool {
        let tests = &self.condition.tests;
        let mut rest = tests.iter().filter(|test| !test.measure.can_be_said()).peekable();
        rest.peek().is_some() && tests.iter().any(|test| test.measure.can_be_said()) && rest.all(|test| test.holds(reading, numbers))
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
        let three = Definition { own: vec![Ladder { rungs: vec![rung] }], ..Definition::default() };
        let mut hold = Hold::default();
        let mut told = vec![];
        for (minute, verdict) in verdicts.chars().enumerate() {
            let step = Timestamp(60_000 * minute as i64);
            let verdict = match verdict {
                '!' => Verdict::Bad { judge: Judge::Static, reading: reading(1.0), sampled: step },
                '.' => Verdict::Good { reading: reading(0.0) },
                _ => Verdict::Unknown { value: f64::NAN },
            };
            let terms = Terms {
                rules: &rules,
                definition: Some(&three),
                every: MINUTE,
                patience: Duration::ZERO,
                impact: None,
                recover_after: MINUTE * 2,
            };
            if let Some(moved) = hold.step(terms, step, verdict) {
                told.push(format!("{minute}:{:?}", moved.phase));
                if moved.phase == Phase::Ended {
                    told.extend(moved.settled_at.map(|at| format!("by {}", at.0 / 60_000)));
                    hold.settle(terms.recover_after);
                }
            }
        }
        told.join(" ")
    }

    #[test]
    fn a_breach_opens_after_its_hold_and_ends_after_keeping() {
        assert_eq!(phases(0, 0, "!."), "0:Opened 1:Ended");
        assert_eq!(phases(2, 0, "!!.!!!."), "5:Opened 6:Ended");
        assert_eq!(phases(0, 2, "!..!...."), "0:Opened 6:Ended by 6");
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
        assert_eq!(phases(0, 2, "!.????.."), "0:Opened 7:Ended by 7");
    }

    #[test]
    fn data_that_stops_makes_an_open_breach_stale_once() {
        assert_eq!(phases(0, 0, "!???????!?."), "0:Opened 5:Stale 8:Changed 10:Ended");
    }

    #[test]
    fn what_has_ended_is_told_once_more_when_it_has_stayed_good_with_data() {
        assert_eq!(phases(0, 0, "!....."), "0:Opened 1:Ended 3:Ended by 3");
        assert_eq!(phases(0, 0, "!.???????...."), "0:Opened 1:Ended 6:Stale 9:Ended 11:Ended by 11", "a gap says nothing");
        assert_eq!(phases(1, 0, "!!.!...."), "1:Opened 2:Ended 6:Ended by 6", "what is bad for a moment is not good");
        assert_eq!(phases(0, 0, "!.!..."), "0:Opened 1:Ended 2:Opened 3:Ended 5:Ended by 5", "the next breach is waited for instead");
    }

    #[test]
    fn a_curve_of_any_length_stays_short_and_begins_at_the_onset() {
        let mut curve = Curve::default();
        (0..1000).for_each(|step| curve.push(Timestamp(step), reading(1.0)));
        assert!(curve.steps.len() <= CURVE_MAX && curve.steps.len() > CURVE_MAX / 4);
        assert_eq!((curve.steps[0].at, curve.steps[1].at), (Timestamp(0), Timestamp(1 << curve.thinned)));
    }
}

//! One group: its judges' state, and its breach while one is open.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Breach, Dimension, Entity, Good, Hint, Judge, Labels, Measure, Phase, Reading, Timestamp};
use crate::rules::{Monitor, Watch};

use super::Findings;
use super::absence::Gaps;
use super::baseline::Baseline;
use super::chance::Counted;
use super::hold::{Hold, Moved, Terms, stale_after};
use super::impact::{Daily, Impact};
use super::judges::{Judges, Measured, Verdict};
use super::parts::{Parts, Usual};

/// What is counted beside a monitor, by step and group.
pub(super) type Counts = BTreeMap<(Timestamp, Labels), Vec<(Measure, f64)>>;

/// What values are made of, by step and group.
pub(super) type Broken = BTreeMap<(Timestamp, Labels), Parts>;

/// A score from here on is told as a hint; 1 makes a breach.
const HINTS_FROM: f64 = 0.5;

/// Hints of one monitor at one step; what is beyond it is told of at a later one.
pub(super) const HINTS_MAX: usize = 200;

/// What is good is told again after this long.
const GOOD_AGAIN: Duration = Duration::from_secs(3600);

/// What lasts is told again after this long.
const HINTS_AGAIN: Duration = Duration::from_secs(600);

/// Which monitor's group is evaluated.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) monitor: &'a Monitor,
    pub(super) watch: &'a Watch,
    pub(super) counted: &'a Counts,
    pub(super) parts: &'a Broken,
    /// How long what has recovered has to stay so.
    pub(super) recover_after: Duration,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) labels: Labels,
    /// When its first sample was seen.
    began: Timestamp,
    /// The newest sample's time.
    seen: Timestamp,
    /// The last step at which it had a value: a window may have one for long after its newest sample.
    measured: Timestamp,
    /// Before then, what is evaluated lacks samples that another query has not kept: its breach stays as it was.
    refilled: Timestamp,
    gaps: Gaps,
    judges: Judges,
    hold: Hold,
    /// What a usual day has, where it is asked what a breach costs.
    daily: Option<Box<Daily>>,
    hinted: Option<Hinted>,
    /// When it was told whether it is good.
    told_good: Option<(Timestamp, bool)>,
    /// What its parts usually are, where it is asked which of them carries a breach.
    usual: Option<Box<Usual>>,
}

/// What a group was hinted at for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Hinted {
    at: Timestamp,
    excess: f64,
    /// What was expected then.
    expected: f64,
    /// It is odd no more.
    over: bool,
    /// It had been hinted at shortly before.
    again: bool,
}

impl Group {
    pub(super) fn new(labels: Labels, seen: Timestamp) -> Self {
        Self {
            labels,
            began: seen,
            seen,
            measured: seen,
            refilled: Timestamp::MIN,
            gaps: Gaps::default(),
            judges: Judges::default(),
            hold: Hold::default(),
            daily: None,
            hinted: None,
            told_good: None,
            usual: None,
        }
    }

    /// What the group is about; where it lacks a label that the monitor names it by, the monitor itself.
    fn entity(&self, monitor: &Monitor) -> Entity {
        monitor.entity.entity(&self.labels).unwrap_or_else(|| Entity::new("monitor", &monitor.name))
    }

    /// What that calls, where the group is of calls.
    fn calls(&self, monitor: &Monitor) -> Option<Entity> {
        monitor.calls.as_ref()?.entity(&self.labels)
    }

    /// A sample of it was seen.
    pub(super) fn see(&mut self, at: Timestamp) {
        if at > self.seen {
            self.gaps.learn(at.since(self.seen));
            self.seen = at;
        }
    }

    /// It is listened to again from then on: what came before was not read.
    pub(super) fn resume(&mut self, now: Timestamp) {
        (self.seen, self.measured) = (self.seen.max(now), self.measured.max(now));
        self.hold.resume(now);
    }

    /// When something was last known of it.
    pub(super) fn known(&self) -> Timestamp {
        self.seen.max(self.measured)
    }

    /// What is normal for it, where that is learnt.
    pub(super) fn baseline(&self) -> Option<&Baseline> {
        self.judges.baseline()
    }

    /// It matters whether its data goes on.
    pub(super) fn waits(&self) -> bool {
        self.hold.waits()
    }

    /// Its absence is the breach that is open.
    pub(super) fn is_absent(&self) -> bool {
        self.hold.is_absent()
    }

    /// From when on its absence has to be judged; once it is told, only where it can still come to mean more.
    pub(super) fn absent_from(&self, watch: &Watch) -> Option<Timestamp> {
        let after = self.gaps.absent_after(&watch.judge, watch.every)?;
        (!self.hold.goes_on() || self.hold.rises_by_absence()).then_some(self.seen + watch.query.behind().least + after)
    }

    /// Something may be told of it though nothing comes: it is bad and not yet for long enough, or its absence is not told yet.
    pub(super) fn is_pending(&self, watch: &Watch, step: Timestamp) -> bool {
        self.hold.is_bad() || self.absent_from(watch).is_some_and(|due| due >= step)
    }

    /// Other judges or ladders from now on: what is pending starts anew under them, and so does what was
    /// learnt for others.
    pub(super) fn reconfigure(&mut self, same_judges: bool) {
        self.hold.forget_pending();
        if !same_judges {
            self.judges.forget();
        }
    }

    /// Forgets all but the breach that is open or has just ended, and leaves that as it is until then; tells whether there is one.
    pub(super) fn keep_breach_only(&mut self, refilled: Timestamp) -> bool {
        self.judges.forget();
        self.refilled = refilled;
        self.hold.waits()
    }

    /// When its breach goes stale, where no data comes.
    pub(super) fn stale_from(&self, watch: &Watch) -> Option<Timestamp> {
        self.hold.stale_from(self.stale_after(watch))
    }

    /// It has a value at this step, and a vector's element that it was divided by.
    pub(super) fn measured(
        &mut self,
        subject: Subject<'_>,
        step: Timestamp,
        sampled: Timestamp,
        value: f64,
        divisor: Option<f64>,
        findings: &mut Findings,
    ) -> Option<Breach> {
        self.see(sampled);
        self.measured = step;
        let watch = subject.watch;
        let counted = watch.query.share().zip(divisor).map(|(share, divisor)| Counted {
            of: share.counted(divisor),
            whole: share.whole,
            fresh: (watch.every.as_secs_f64() / share.range.as_secs_f64()).min(1.0),
        });
        let filling = step.since(self.began) < watch.query.fills();
        let measured = Measured { step, every: watch.every, sampled, value, filling, counted, divisor };
        // A long range has a value for as long, and what it is made of may be older than is allowed.
        let verdict = match self.absence(watch, step, watch.query.behind().most) {
            absent @ Verdict::Bad { .. } => absent,
            _ => self.judges.judge(&watch.judge, measured, &self.hold),
        };
        if watch.impact.is_some() && value.is_finite() && matches!(verdict, Verdict::Good { .. }) {
            self.daily.get_or_insert_default().see(value, watch.every);
        }
        if let Some(parts) = subject.watch.parts.as_ref().and_then(|_| subject.parts.get(&(step, self.labels.clone()))) {
            let teaches = matches!(verdict, Verdict::Good { .. } | Verdict::Unknown { .. }) && !self.hold.open();
            self.usual.get_or_insert_default().see(parts, watch.every, teaches);
        }
        let moved = self.moved(subject, step, verdict);
        if findings.hints.len() < HINTS_MAX {
            findings.hints.extend(self.hint(subject, step, verdict));
        }
        let good = matches!(verdict, Verdict::Good { .. }) && !self.hold.open() && self.hinted.is_none_or(|hinted| hinted.over);
        self.goodness(subject, step, good, findings);
        moved
    }

    /// Tells now and then that it is good, and at once that it is no more.
    pub(super) fn goodness(&mut self, subject: Subject<'_>, at: Timestamp, good: bool, findings: &mut Findings) {
        let news = match self.told_good {
            Some((_, true)) if !good => true,
            Some((told, _)) => good && at.since(told) >= GOOD_AGAIN,
            None => good,
        };
        if news && findings.good.len() < HINTS_MAX {
            self.told_good = Some((at, good));
            let Subject { monitor, .. } = subject;
            let entity = self.calls(monitor).unwrap_or_else(|| self.entity(monitor));
            findings.good.push(Good { monitor: monitor.name.clone(), entity, at, good });
        }
    }

    /// Tells of what is odd, and no breach: when it begins, each time it has doubled, and now and then while it lasts; and takes it back
    /// where that was one evaluation, after which all was as before.
    fn hint(&mut self, subject: Subject<'_>, at: Timestamp, verdict: Verdict) -> Option<Hint> {
        let (Verdict::Good { reading } | Verdict::Bad { reading, .. }) = verdict else { return None };
        let side = subject.watch.judge.side();
        let odd = !self.hold.open() && self.judges.surprise() >= HINTS_FROM;
        let bad_side = || reading.expected.is_some_and(|expected| side.by(reading.value - expected) > 0.0);
        let Some(excess) = reading.excess().filter(|excess| odd && *excess > 0.0 && bad_side()) else {
            let hinted = self.hinted.filter(|hinted| !hinted.over)?;
            self.hinted = Some(Hinted { over: true, ..hinted });
            // By chance one evaluation is so odd now and then. Where the next one is back, and it was none of several, it was that.
            let left = side.by(reading.value - hinted.expected) * reading.weight.unwrap_or(1.0);
            let was_one = at.since(hinted.at) <= subject.watch.every && left < hinted.excess / 2.0;
            let taken_back = was_one && !hinted.again && !self.hold.open();
            return taken_back.then(|| self.hint_of(subject, at, 0.0));
        };
        let lately = self.hinted.filter(|hinted| at.since(hinted.at) < HINTS_AGAIN);
        if lately.is_some_and(|hinted| !hinted.over && excess < 2.0 * hinted.excess) {
            return None;
        }
        let expected = reading.expected.unwrap_or(reading.value);
        self.hinted = Some(Hinted { at, excess, expected, over: false, again: lately.is_some() });
        Some(self.hint_of(subject, at, excess))
    }

    fn hint_of(&self, Subject { monitor, .. }: Subject<'_>, at: Timestamp, excess: f64) -> Hint {
        Hint { monitor: monitor.name.clone(), entity: self.entity(monitor), calls: self.calls(monitor), at, excess }
    }

    /// It has none, though what it is measured by is there: the query did not let it through.
    pub(super) fn filtered(&mut self, subject: Subject<'_>, step: Timestamp) -> Option<Breach> {
        let reading = Reading { value: f64::NAN, ..Reading::default() };
        self.moved(subject, step, Verdict::Good { reading })
    }

    /// It has none.
    pub(super) fn missing(&mut self, subject: Subject<'_>, step: Timestamp) -> Option<Breach> {
        let verdict = self.absence(subject.watch, step, subject.watch.query.behind().least);
        self.moved(subject, step, verdict)
    }

    fn stale_after(&self, watch: &Watch) -> Duration {
        stale_after(watch.every, self.gaps.patience(watch.every))
    }

    fn absence(&self, watch: &Watch, step: Timestamp, behind: Duration) -> Verdict {
        self.gaps.missing(&watch.judge, watch.every, self.seen + behind, step)
    }

    /// No step comes, for all inputs are silent: only absence can be judged.
    pub(super) fn silence(&mut self, subject: Subject<'_>, clock: Timestamp) -> Option<Breach> {
        // What has values that nobody can judge is found so by its steps.
        let after = self.stale_after(subject.watch);
        let silent = clock.since(self.measured) >= after;
        if silent && let Some(moved) = self.hold.goes_stale(clock, f64::NAN, after) {
            return self.told(subject, moved);
        }
        if self.hold.goes_on() && !self.hold.rises_by_absence() { None } else { self.missing(subject, clock) }
    }

    fn moved(&mut self, subject: Subject<'_>, step: Timestamp, verdict: Verdict) -> Option<Breach> {
        let Subject { monitor, watch, counted, recover_after, .. } = subject;
        let by_value = !matches!(verdict, Verdict::Unknown { .. } | Verdict::Bad { judge: Judge::Absent, .. });
        if by_value && step < self.refilled && self.hold.open() && !self.is_absent() {
            self.hold.resume(step);
            return None;
        }
        let impact = watch.impact.as_ref().map(|rules| {
            let beside = if rules.queries.is_empty() { None } else { counted.get(&(step, self.labels.clone())) };
            let daily = self.daily.as_ref().and_then(|daily| daily.a_day(rules.per));
            Impact { rules, counted: beside.map_or(&[], Vec::as_slice), daily, side: watch.judge.side() }
        });
        let (definition, patience) = (monitor.definition.as_ref(), self.gaps.patience(watch.every));
        let terms = Terms { rules: &watch.judge, definition, every: watch.every, patience, impact, recover_after };
        let moved = self.hold.step(terms, step, verdict)?;
        self.told(subject, moved)
    }

    fn told(&mut self, subject: Subject<'_>, moved: Moved) -> Option<Breach> {
        let Moved { phase, at, known_at, settled_at, judge, reading, new_normal } = moved;
        let of = self.hold.told()?;
        let breach = Breach {
            monitor: subject.monitor.name.clone(),
            group: self.labels.clone(),
            entity: self.entity(subject.monitor),
            calls: self.calls(subject.monitor),
            phase,
            began: self.began,
            onset: of.onset,
            at,
            known_at,
            settled_at,
            judge,
            new_normal,
            reading,
            worst: of.worst,
            definition: of.definition.clone(),
            met: of.met(),
            holding: of.holding(),
            rest_held: of.rest_held(),
            numbers: of.numbers.clone(),
            dimensions: self.dimensions(subject.watch, phase, &reading),
            curve: of.curve(phase),
        };
        if phase == Phase::Ended {
            self.hold.settle(subject.recover_after);
        }
        Some(breach)
    }

    /// Which of its parts carry its breach.
    fn dimensions(&self, watch: &Watch, phase: Phase, reading: &Reading) -> Vec<Dimension> {
        let (Some(rules), Some(usual)) = (&watch.parts, &self.usual) else { return vec![] };
        let expected = reading.expected.filter(|_| rules.is_multiple);
        let times = expected.map(|expected| expected / reading.value).filter(|times| times.is_finite() && *times > 0.0);
        if matches!(phase, Phase::Opened | Phase::Changed) { usual.carriers(rules.whole.is_some(), times) } else { vec![] }
    }
}

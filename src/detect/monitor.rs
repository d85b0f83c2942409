//! One monitor's cells and groups in this partition, and the step it is at.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Breach, Labels, Timestamp, Value};
use crate::query::{Cell, Memo, Output, Pushed, Query};
use crate::rules::{Monitor, Side, Tuning, Watch};
use crate::stage::{Count, Limit, Outbox, Outcome};

use super::Findings;
use super::baseline::Baseline;
use super::group::{Group, Subject};
use super::index::Index;

/// A group without data and without a breach is forgotten after this long; a profile of the day outlives a weekend.
const FORGET_AFTER: Duration = Duration::from_secs(8 * 86_400);

/// Or after this long, or so many steps, where nothing was learnt of it or there is hardly room for others.
const FORGET_SOON: Duration = Duration::from_secs(3600);
const FORGET_SOON_STEPS: u32 = 10;

/// One whose breach is open is forgotten after this long, and as others where there is hardly room: it was told to be stale, nothing
/// is told of its end any more, and what is new has to be judged.
const FORGET_BAD_AFTER: Duration = Duration::from_secs(30 * 86_400);

/// After how long without data a group is forgotten.
#[derive(Clone, Copy)]
struct Forgets {
    after: Duration,
    /// Where its breach is open.
    bad_after: Duration,
}

/// Of a time without any input, what speaks where there is nothing speaks of the last of it, so long.
const MADE_UP_MAX: Duration = Duration::from_secs(3600);

/// Samples of one series that are kept, three days of one each fifteen seconds; of more, the oldest goes, and is counted.
const SAMPLES_MAX: usize = 20_000;

/// Cells that are read ahead together: enough to wait for many lines of memory at once, few enough to stay in the cache.
const AHEAD: usize = 16;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MonitorState {
    pub(super) name: String,
    /// The last step evaluated.
    done: Option<Timestamp>,
    /// From when it listens, where it speaks of nothing.
    began: Option<Timestamp>,
    /// Its query has given a value.
    valued: bool,
    /// A place that was given up is filled by the next one that comes.
    cells: Vec<Option<Kept>>,
    #[serde(skip)]
    index: Index,
    #[serde(skip)]
    memo: Memo,
}

/// A cell, and the groups that its evaluations gave, in the order of their labels.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) key: Labels,
    pub(super) cell: Cell,
    pub(super) groups: Vec<Group>,
    /// The newest sample's time.
    seen: Timestamp,
}

impl MonitorState {
    pub(super) fn new(name: String) -> Self {
        Self { name, done: None, began: None, valued: false, cells: vec![], index: Index::default(), memo: Memo::default() }
    }

    /// It is followed again: what was meanwhile is not judged, as its samples were not read.
    pub(super) fn resumed(mut self, now: Timestamp, same_judges: bool) -> Self {
        (self.done, self.began) = (self.done.map(|done| done.max(now)), self.began.map(|_| now));
        self.cells.iter_mut().flatten().flat_map(|kept| &mut kept.groups).for_each(|group| group.resume(now));
        self.reconfigure(same_judges);
        self.restored();
        self
    }

    /// Finds its way about in what was restored.
    pub(super) fn restored(&mut self) {
        self.index = Index::of(&self.cells);
    }

    /// Whether its query has ever given a value.
    pub(super) fn is_valued(&self) -> bool {
        self.valued
    }

    /// Whether a sample is in any of its cells, or was.
    pub(super) fn has_samples(&self) -> bool {
        self.cells.iter().flatten().any(|kept| kept.seen > Timestamp::MIN)
    }

    pub(super) fn groups(&self) -> usize {
        self.index.groups
    }

    pub(super) fn reconfigure(&mut self, same_judges: bool) {
        let groups = self.cells.iter_mut().flatten().flat_map(|kept| &mut kept.groups);
        groups.for_each(|group| group.reconfigure(same_judges));
    }

    /// What outlives a change of the query: breaches that are open, each in the cell it belongs to now.
    pub(super) fn only_open_breaches(self, query: &Query, now: Timestamp) -> Self {
        let mut state = Self::new(self.name);
        let groups = self.cells.into_iter().flatten().flat_map(|kept| kept.groups);
        for group in groups.filter_map(|mut group| group.keep_breach_only(now + query.refills()).then_some(group)) {
            let place = state.cell(&query.key(&group.labels), query);
            if let Some(kept) = &mut state.cells[place] {
                let at = kept.groups.partition_point(|other| other.labels < group.labels);
                kept.groups.insert(at, group);
            }
        }
        state.restored();
        state
    }

    /// The place of a cell, made where there is none.
    fn cell(&mut self, key: &Labels, query: &Query) -> usize {
        if let Some(place) = self.index.cell(key) {
            return place;
        }
        let kept = Kept { key: key.clone(), cell: Cell::new(query), groups: vec![], seen: Timestamp::MIN };
        let place = self.index.free(self.cells.len());
        match self.cells.get_mut(place) {
            Some(free) => *free = Some(kept),
            None => self.cells.push(Some(kept)),
        }
        self.index.add_cell(key, place);
        place
    }

    pub(super) fn push(
        &mut self,
        watch: &Watch,
        series: &Labels,
        at: Timestamp,
        value: &Value,
        tuning: &Tuning,
        out: &mut Outbox,
    ) -> Outcome {
        if !self.index.knows(series.fingerprint())
            && let Some(limit) = self.add(watch, series, tuning)
        {
            out.count(Count::Limited(self.name.clone(), limit));
            return Outcome::Limited;
        }
        let mut outcome = None;
        for (cell, place) in self.index.series(series.fingerprint()) {
            let Some(kept) = self.cells.get_mut(*cell as usize).and_then(Option::as_mut) else { continue };
            kept.seen = kept.seen.max(at);
            let pushed = kept.cell.push(&watch.query, *place, at, value.clone(), SAMPLES_MAX);
            if pushed.is_none() {
                out.count(Count::Limited(self.name.clone(), Limit::Samples));
            }
            outcome = Some(match pushed {
                Some(Pushed::Applied) => Outcome::Applied,
                Some(Pushed::Duplicate) => Outcome::Duplicate,
                None => Outcome::Limited,
            });
        }
        outcome.unwrap_or(Outcome::NotWanted)
    }

    /// Takes in a new series; or gives the limit that is reached.
    fn add(&mut self, watch: &Watch, series: &Labels, tuning: &Tuning) -> Option<Limit> {
        // Of a state that was restored, what is in a cell may have gone from another one.
        let is_new = self.index.series(series.fingerprint()).is_empty();
        if is_new && self.index.series >= tuning.series_max {
            return Some(Limit::Series);
        }
        let key = watch.query.key(series);
        if self.index.cell(&key).is_none() && self.index.cells() >= tuning.groups_max {
            return Some(Limit::Groups);
        }
        let cell = self.cell(&key, &watch.query);
        let kept = self.cells[cell].as_mut()?;
        for leaf in watch.query.leaves_of(series) {
            if !self.index.is_in(series.fingerprint(), leaf) {
                let place = kept.cell.add(&watch.query, leaf, series);
                self.index.add_series(series.fingerprint(), cell, place);
            }
        }
        self.index.mend(series.fingerprint());
        None
    }

    /// Evaluates all steps up to `ready`. `own` where this partition is the one that speaks where nothing is measured.
    pub(super) fn evaluate(
        &mut self,
        subject: Subject<'_>,
        ready: Timestamp,
        own: bool,
        tuning: &Tuning,
        findings: &mut Findings,
        out: &mut Outbox,
    ) {
        let watch = subject.watch;
        let always = own && watch.query.speaks_of_nothing();
        if always {
            self.began.get_or_insert(ready);
            self.cell(&Labels::default(), &watch.query);
        }
        while let Some(step) = self.next_step(watch, always, ready).filter(|step| *step <= ready) {
            let (mut now, forgets) = (Findings::default(), self.forgets_after(watch, tuning));
            for place in 0..self.cells.len() {
                if place.is_multiple_of(AHEAD) {
                    self.read_ahead(watch, place, step);
                }
                self.step(subject, place, step, tuning, &mut now, out);
                self.forget(watch, place, step, forgets, always);
            }
            findings.append(now);
            self.done = Some(step);
        }
    }

    /// Reads ahead what judging the next cells will read.
    fn read_ahead(&self, watch: &Watch, place: usize, step: Timestamp) {
        let Some(rule) = &watch.judge.baseline else { return };
        let groups = self.cells[place..].iter().take(AHEAD).flatten().flat_map(|kept| &kept.groups);
        Baseline::read_ahead(groups.filter_map(Group::baseline).take(AHEAD), rule, step);
    }

    /// Gives what is evaluated beside the monitor, at all steps up to `ready`.
    pub(super) fn count(
        &mut self,
        monitor: &Monitor,
        watch: &Watch,
        ready: Timestamp,
        out: &mut Outbox,
        mut take: impl FnMut(Timestamp, Labels, f64),
    ) {
        while let Some(step) = self.next_step(watch, false, ready).filter(|step| *step <= ready) {
            for place in 0..self.cells.len() {
                let Some(kept) = &mut self.cells[place] else { continue };
                match kept.cell.evaluate(&watch.query, &mut self.memo, step) {
                    Ok(outputs) => {
                        let numbers = outputs.into_iter().filter_map(|output| Some((output.labels, output.value.float()?)));
                        numbers.for_each(|(labels, number)| take(step, labels, number));
                    }
                    Err(_) => out.count(Count::Unmatched(monitor.name.clone())),
                }
                self.forget(watch, place, step, Forgets { after: FORGET_AFTER, bad_after: FORGET_AFTER }, false);
            }
            self.done = Some(step);
        }
    }

    /// The next step, or, where no cell has data for it, the first step at which something can happen.
    fn next_step(&self, watch: &Watch, always: bool, ready: Timestamp) -> Option<Timestamp> {
        // Between two steps nothing can happen, and most records come between two.
        if self.done.is_some_and(|done| done.next_multiple(watch.every) > ready) {
            return None;
        }
        let kept = || self.cells.iter().flatten();
        let sampled = kept().filter_map(|kept| kept.cell.first_sample()).min();
        let groups = || kept().flat_map(|kept| &kept.groups);
        let absent = watch.judge.absent.and_then(|_| groups().filter_map(|group| group.absent_from(watch)).min());
        // That nothing is measured is known once it has listened for as long as a sample can matter.
        let listened = || self.began.unwrap_or(ready) + watch.query.reach();
        let now = always.then(|| self.done.map_or_else(listened, |done| done.max(listened())));
        // Where data comes, the step it makes comes before.
        let stale = || groups().filter_map(|group| group.stale_from(watch)).min();
        let stale = if sampled.is_some_and(|sampled| sampled <= ready) { None } else { stale() };
        let quiet = absent.into_iter().chain(stale).chain(now).min();
        // What speaks of nothing does at each step, but not of the years that one sample of an old clock lies back.
        let quiet = quiet.map(|due| if always { due.max(ready - MADE_UP_MAX) } else { due });
        let due = sampled.into_iter().chain(quiet).min()?;
        // The smallest step that is not earlier than what is due.
        let due = Timestamp(due.0 - 1).next_multiple(watch.every);
        Some(self.done.map_or(due, |done| due.max(done.next_multiple(watch.every))))
    }

    fn step(&mut self, subject: Subject<'_>, place: usize, step: Timestamp, tuning: &Tuning, findings: &mut Findings, out: &mut Outbox) {
        let Some(kept) = &mut self.cells[place] else { return };
        let query = &subject.watch.query;
        let (mut outputs, none) = match kept.cell.measure(query, &mut self.memo, step) {
            Ok(outputs) => outputs,
            Err(_) => {
                out.count(Count::Unmatched(subject.monitor.name.clone()));
                return;
            }
        };
        self.valued |= !outputs.is_empty();
        // That there is none of what is bad is no news; of what is good there has to be some somewhere, or else the query looks for
        // what there never is.
        if self.valued || subject.watch.judge.side() == Side::Above {
            outputs.extend(none);
        }
        outputs.sort_by(|a, b| a.labels.cmp(&b.labels));
        for output in &outputs {
            let at = kept.groups.partition_point(|group| group.labels < output.labels);
            if kept.groups.get(at).is_some_and(|group| group.labels == output.labels) {
                continue;
            }
            if self.index.groups >= tuning.groups_max {
                out.count(Count::Limited(subject.monitor.name.clone(), Limit::Groups));
                continue;
            }
            self.index.groups += 1;
            // Most cells have one.
            if kept.groups.is_empty() {
                kept.groups.reserve_exact(1);
            }
            kept.groups.insert(at, Group::new(output.labels.clone(), output.sampled));
        }
        out.add(Count::Evaluations, kept.groups.len() as u64);
        let filtered = outputs.len() < kept.groups.len() && query.filters() && kept.cell.is_alive(query, step);
        if let [group] = kept.groups.as_mut_slice() {
            group.see(kept.seen);
        }
        let mut outputs = outputs.into_iter().peekable();
        for group in &mut kept.groups {
            // What stands before it was one too many.
            while outputs.next_if(|output| output.labels < group.labels).is_some() {}
            let moved = match outputs.next_if(|output| output.labels == group.labels) {
                Some(Output { sampled, value: Value::Float(value), divisor, .. }) => {
                    group.measured(subject, step, sampled, value, divisor, findings)
                }
                // A histogram is not judged.
                Some(Output { value: Value::Histogram(_), .. }) => None,
                None if filtered => group.filtered(subject, step),
                None => {
                    group.goodness(subject, step, false, findings);
                    group.missing(subject, step)
                }
            };
            findings.breaches.extend(moved);
        }
    }

    /// How long a group without data is remembered. Who has learnt nothing has nothing to come back to; and where most of the limit
    /// is taken, what lives outranks what may come back.
    fn forgets_after(&self, watch: &Watch, tuning: &Tuning) -> Forgets {
        let is_crowded = 10 * self.index.groups.max(self.index.cells()) >= 9 * tuning.groups_max;
        let learns = watch.judge.learns() || watch.parts.is_some() || watch.impact.is_some();
        let soon = FORGET_SOON.max(watch.every * FORGET_SOON_STEPS);
        Forgets {
            after: if is_crowded || !learns { soon } else { FORGET_AFTER },
            bad_after: if is_crowded { FORGET_AFTER } else { FORGET_BAD_AFTER },
        }
    }

    /// Forgets what no later step needs, and whom nobody has heard of for so long.
    fn forget(&mut self, watch: &Watch, place: usize, step: Timestamp, forgets: Forgets, always: bool) {
        let Some(kept) = &mut self.cells[place] else { return };
        for gone in kept.cell.forget(&watch.query, step) {
            self.index.remove_series(&gone, place);
        }
        let before = kept.groups.len();
        kept.groups.retain(|group| {
            let after = match group.waits() {
                // That it is gone is what is bad.
                true if group.is_absent() => FORGET_BAD_AFTER,
                true => forgets.bad_after,
                false if group.is_pending(watch, step) => FORGET_AFTER,
                false => forgets.after,
            };
            step.since(group.known()) < after
        });
        self.index.groups -= before - kept.groups.len();
        let stays = always && kept.key.is_empty();
        if kept.groups.is_empty() && kept.cell.first_sample().is_none() && !stays {
            self.index.remove_cell(&kept.key, place);
            self.cells[place] = None;
        }
    }

    pub(super) fn silence(&mut self, subject: Subject<'_>, clock: Timestamp, breaches: &mut Vec<Breach>) {
        for kept in self.cells.iter_mut().flatten() {
            if let [group] = kept.groups.as_mut_slice() {
                group.see(kept.seen);
            }
            breaches.extend(kept.groups.iter_mut().filter_map(|group| group.silence(subject, clock)));
        }
    }
}

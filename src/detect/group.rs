//! One group: the windows of its series, its judges' state, and its breach while one is open.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Breach, Entity, Labels, Phase, Timestamp};
use crate::query::{Pushed, Window};
use crate::rules::{Monitor, Watch};

use super::absence::missing;
use super::baseline::Baseline;
use super::hold::{Hold, Moved};
use super::judge::{Verdict, judge};

/// Series in one group, and samples of one series, that are kept; what is more is counted as limited.
const SERIES_MAX: usize = 10_000;
const SAMPLES_MAX: usize = 10_000;

/// Which monitor's which group is evaluated.
pub(super) struct Subject<'a> {
    pub(super) monitor: &'a Monitor,
    pub(super) watch: &'a Watch,
    pub(super) group: &'a Labels,
}

impl Subject<'_> {
    /// What the group is about; where it lacks a label that the monitor names it by, the monitor itself.
    fn entity(&self) -> Entity {
        self.monitor.entity.entity(self.group).unwrap_or_else(|| Entity::new("monitor", &self.monitor.name))
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Group {
    series: BTreeMap<u64, Window>,
    /// The newest sample's time.
    seen: Timestamp,
    baseline: Option<Baseline>,
    hold: Hold,
}

impl Group {
    pub(super) fn new(seen: Timestamp) -> Self {
        Self { series: BTreeMap::new(), seen, baseline: None, hold: Hold::default() }
    }

    /// None where a limit is reached.
    pub(super) fn push(&mut self, series: u64, at: Timestamp, value: f64) -> Option<Pushed> {
        self.seen = self.seen.max(at);
        if !self.series.contains_key(&series) && self.series.len() >= SERIES_MAX {
            return None;
        }
        let window = self.series.entry(series).or_default();
        let pushed = window.push(at, value);
        if window.len() <= SAMPLES_MAX {
            return Some(pushed);
        }
        // The oldest gives way: the present matters more.
        window.first().into_iter().for_each(|first| window.forget(first));
        None
    }

    pub(super) fn seen(&self) -> Timestamp {
        self.seen
    }

    pub(super) fn open(&self) -> bool {
        self.hold.open()
    }

    pub(super) fn first_sample(&self) -> Option<Timestamp> {
        self.series.values().filter_map(Window::first).min()
    }

    /// When its absence has to be judged; never again while it is told already.
    pub(super) fn absent_from(&self, after: Duration) -> Option<Timestamp> {
        (!self.hold.open()).then_some(self.seen + after)
    }

    /// Other judges or ladders from now on: what is pending starts anew under them, and so does the baseline if it
    /// was made for other steps.
    pub(super) fn reconfigure(&mut self, same_baseline: bool) {
        self.hold.forget_pending();
        if !same_baseline {
            self.baseline = None;
        }
    }

    /// Forgets all but the open breach; tells whether there is one.
    pub(super) fn keep_breach_only(&mut self) -> bool {
        self.series.clear();
        self.baseline = None;
        self.hold.open()
    }

    pub(super) fn evaluate(&mut self, subject: &Subject<'_>, step: Timestamp) -> Option<Breach> {
        let watch = subject.watch;
        let found = watch.query.evaluate(self.series.values(), step);
        let next_needs = (step + watch.every) - watch.query.reach();
        self.series.retain(|_, window| {
            window.forget(next_needs);
            !window.is_empty()
        });
        let verdict = match found {
            Some((sampled, value)) => judge(&watch.judge, &mut self.baseline, watch.every, step, sampled, value, self.hold.judge()),
            None => missing(&watch.judge, self.seen, step),
        };
        self.moved(subject, step, verdict)
    }

    /// No step comes, for all inputs are silent: only absence can be judged.
    pub(super) fn silence(&mut self, subject: &Subject<'_>, clock: Timestamp) -> Option<Breach> {
        if self.hold.open() {
            return None;
        }
        let verdict = missing(&subject.watch.judge, self.seen, clock);
        self.moved(subject, clock, verdict)
    }

    fn moved(&mut self, subject: &Subject<'_>, step: Timestamp, verdict: Verdict) -> Option<Breach> {
        let watch = subject.watch;
        let definition = subject.monitor.definition.as_ref();
        let Moved { phase, at, judge, reading } = self.hold.step(&watch.judge, definition, watch.every, step, verdict)?;
        let breach = Breach {
            monitor: subject.monitor.name.clone(),
            group: subject.group.clone(),
            entity: subject.entity(),
            phase,
            onset: self.hold.onset()?,
            at,
            judge,
            reading,
            worst: self.hold.worst(),
            definition: self.hold.definition(),
            met: self.hold.met(),
        };
        if phase == Phase::Ended {
            self.hold = Hold::default();
        }
        Some(breach)
    }
}

//! One monitor's groups in this partition, and the step it is at.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Breach, Labels, Timestamp};
use crate::query::Pushed;
use crate::rules::{Monitor, Watch};
use crate::stage::Outcome;

use super::group::{Group, Subject};

/// A group without data and without a breach is forgotten after this long; a profile of the day outlives a weekend.
const FORGET_AFTER: Duration = Duration::from_secs(8 * 86_400);

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MonitorState {
    pub(super) name: String,
    /// The last step evaluated.
    done: Option<Timestamp>,
    groups: BTreeMap<Labels, Group>,
}

impl MonitorState {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), done: None, groups: BTreeMap::new() }
    }

    pub(super) fn groups(&self) -> usize {
        self.groups.len()
    }

    pub(super) fn reconfigure(&mut self, same_baseline: bool) {
        self.groups.values_mut().for_each(|group| group.reconfigure(same_baseline));
    }

    /// What outlives a change of the query.
    pub(super) fn only_open_breaches(mut self) -> Self {
        self.groups.retain(|_, group| group.keep_breach_only());
        self
    }

    pub(super) fn push(&mut self, watch: &Watch, series: &Labels, at: Timestamp, value: f64, groups_max: usize) -> Outcome {
        let name = watch.query.group(series);
        if !self.groups.contains_key(&name) && self.groups.len() >= groups_max {
            return Outcome::Limited;
        }
        let group = self.groups.entry(name).or_insert_with(|| Group::new(at));
        match group.push(series.fingerprint(), at, value) {
            Some(Pushed::Applied) => Outcome::Applied,
            Some(Pushed::Duplicate) => Outcome::Duplicate,
            None => Outcome::Limited,
        }
    }

    /// Evaluates all steps up to `ready`; gives how many evaluations that were.
    pub(super) fn evaluate(&mut self, monitor: &Monitor, watch: &Watch, ready: Timestamp, breaches: &mut Vec<Breach>) -> u64 {
        let mut evaluations = 0;
        while let Some(step) = self.next_step(watch).filter(|step| *step <= ready) {
            for (name, group) in &mut self.groups {
                let subject = Subject { monitor, watch, group: name };
                breaches.extend(group.evaluate(&subject, step));
                evaluations += 1;
            }
            self.groups.retain(|_, group| group.open() || step.since(group.seen()) < FORGET_AFTER);
            self.done = Some(step);
        }
        evaluations
    }

    /// The next step, or, where no group has data for it, the first step at which something can happen.
    fn next_step(&self, watch: &Watch) -> Option<Timestamp> {
        let sampled = self.groups.values().filter_map(Group::first_sample).min();
        let absent = watch.judge.absent.and_then(|after| self.groups.values().filter_map(|g| g.absent_from(after)).min());
        let due = sampled.into_iter().chain(absent).min()?;
        // The smallest step that is not earlier than what is due.
        let due = Timestamp(due.0 - 1).next_multiple(watch.every);
        Some(self.done.map_or(due, |done| due.max(done.next_multiple(watch.every))))
    }

    pub(super) fn silence(&mut self, monitor: &Monitor, watch: &Watch, clock: Timestamp, breaches: &mut Vec<Breach>) {
        for (name, group) in &mut self.groups {
            breaches.extend(group.silence(&Subject { monitor, watch, group: name }, clock));
        }
    }
}

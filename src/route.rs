//! Route: records of the sources → samples for the monitors that want them, and signals.
//!
//! Stateless but for a memo of where a series goes and for how far each origin is: it may repeat itself after a
//! crash. Samples are keyed so that all a group's query needs lands in one partition; alerts and changes go
//! straight to the signals topic. What cannot be decoded goes to the dead-letter topic.

mod batches;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Labels, Origin, Signal, Timestamp, labels::Fnv};
use crate::rules::{Config, Kind, Settings};
use crate::stage::{Count, Outbox, Outcome, Record};
use crate::wire::internal::{signals_messages, signals_partition};
use crate::wire::prometheus_json::Sample;
use crate::wire::{Reject, alertmanager, cdevents, dead_letter, prometheus_json};
use batches::Batches;

/// An origin's progress is passed on when it has grown by this much: finer than any monitor's step.
const PROGRESS_STEP: Duration = Duration::from_secs(1);

/// Series whose destinations are remembered; beyond it the memo starts anew.
const MEMO_MAX: usize = 1 << 20;

/// The route stage, for any number of input partitions.
#[derive(Debug)]
pub struct Route {
    config: Arc<Config>,
    settings: Arc<Settings>,
    memo: HashMap<u64, Arc<[Destination]>>,
    origins: BTreeMap<Origin, Sent>,
    batches: Batches,
}

#[derive(Clone, Copy, Debug)]
struct Destination {
    monitor: u64,
    partition: u32,
}

#[derive(Debug)]
struct Sent {
    progress: Timestamp,
    passed_on: Timestamp,
}

impl Route {
    /// A route that follows these rules.
    #[must_use]
    pub fn new(config: Arc<Config>, settings: Arc<Settings>) -> Self {
        Self { config, settings, memo: HashMap::new(), origins: BTreeMap::new(), batches: Batches::default() }
    }

    /// Follows another configuration from now on.
    pub fn follow(&mut self, config: Arc<Config>) {
        self.config = config;
        self.memo.clear();
    }

    /// Takes an input partition over: the stages behind wait for it until it tells its progress or is let go as idle.
    pub fn assign(&mut self, origin: Origin, out: &mut Outbox) {
        match self.kind(&origin.topic) {
            Some(Kind::Metrics) => {
                (0..self.settings.partitions.samples).for_each(|partition| self.batches.touch(&origin, partition));
                out.messages.extend(self.batches.drain(|_| Timestamp::MIN));
            }
            Some(Kind::Alerts | Kind::Changes) => {
                for partition in 0..self.settings.partitions.signals {
                    out.messages.extend(signals_messages(partition, &origin, Timestamp::MIN, vec![]));
                }
            }
            None => return,
        }
        self.origins.insert(origin, Sent { progress: Timestamp::MIN, passed_on: Timestamp::MIN });
    }

    /// Gives an input partition up.
    pub fn revoke(&mut self, origin: &Origin) {
        self.origins.remove(origin);
    }

    /// Takes in a record of a source. Samples wait in batches for [`Route::flush`].
    pub fn apply(&mut self, record: &Record<'_>, out: &mut Outbox) {
        let Some(kind) = self.kind(record.topic) else { return };
        let origin = Origin { topic: record.topic.to_owned(), partition: record.partition };
        let outcome = match kind {
            Kind::Metrics => prometheus_json::decode(record.payload).and_then(|sample| self.sample(&origin, record, sample, out)),
            Kind::Alerts => alertmanager::decode(record.payload)
                .map(|alerts| self.signals(&origin, record, alerts.into_iter().map(Signal::Alert).collect(), out)),
            Kind::Changes => cdevents::decode(record.payload)
                .map(|change| self.signals(&origin, record, change.map(Signal::Change).into_iter().collect(), out)),
        };
        let outcome = outcome.unwrap_or_else(|reject| {
            out.messages.push(dead_letter::letter(record, &reject));
            out.count(Count::DeadLetters(reject.reason));
            Outcome::DeadLettered
        });
        out.count(Count::Records(record.topic.to_owned(), outcome));
    }

    /// Sends the waiting batches, and passes on the progress of every origin that has grown enough.
    pub fn flush(&mut self, out: &mut Outbox) {
        for (origin, sent) in &mut self.origins {
            let grown = sent.passed_on == Timestamp::MIN && sent.progress > Timestamp::MIN;
            if !grown && sent.progress.since(sent.passed_on) < PROGRESS_STEP {
                continue;
            }
            sent.passed_on = sent.progress;
            for partition in 0..self.settings.partitions.samples {
                self.batches.touch(origin, partition);
            }
        }
        let progress = |origin: &Origin| self.origins.get(origin).map_or(Timestamp::MIN, |sent| sent.progress);
        out.messages.extend(self.batches.drain(progress));
    }

    fn kind(&self, topic: &str) -> Option<Kind> {
        self.settings.sources.iter().find(|s| s.topic == topic).map(|s| s.kind)
    }

    fn sample(&mut self, origin: &Origin, record: &Record<'_>, sample: Sample, out: &mut Outbox) -> Result<Outcome, Reject> {
        if sample.at > record.timestamp + self.config.tuning.ahead_max {
            let detail = format!("timestamp: {} is ahead of its record, appended at {}", sample.at, record.timestamp);
            return Err(Reject { reason: "timestamp_ahead", detail });
        }
        let sent = self.origins.entry(origin.clone()).or_insert(Sent { progress: Timestamp::MIN, passed_on: Timestamp::MIN });
        // Not beyond the record's own time: one clock that is fast makes nobody else late.
        sent.progress = sent.progress.max(sample.at.min(record.timestamp));
        let destinations = self.destinations(&sample.series);
        for to in destinations.iter() {
            out.messages.extend(self.batches.add(origin, to.partition, to.monitor, &sample));
            out.count(Count::Matched);
        }
        Ok(if destinations.is_empty() { Outcome::NotWanted } else { Outcome::Applied })
    }

    /// Where a series goes: for each monitor that selects it, the partition of its group.
    fn destinations(&mut self, series: &Labels) -> Arc<[Destination]> {
        let fingerprint = series.fingerprint();
        if let Some(known) = self.memo.get(&fingerprint) {
            return known.clone();
        }
        let partitions = u64::from(self.settings.partitions.samples);
        let wanted = self.config.rules.watches().filter(|(_, watch)| watch.query.selector.matches(series)).map(|(_, watch)| {
            let group = watch.query.group(series).fingerprint();
            let hash = Fnv::of(&[&watch.key.to_be_bytes(), &group.to_be_bytes()]);
            Destination { monitor: watch.key, partition: u32::try_from(hash % partitions).unwrap_or(0) }
        });
        let wanted: Arc<[Destination]> = wanted.collect();
        if self.memo.len() >= MEMO_MAX {
            self.memo.clear();
        }
        self.memo.insert(fingerprint, wanted.clone());
        wanted
    }

    /// Alerts and changes tell of times long past, so their origin's progress is the record's own time.
    fn signals(&self, origin: &Origin, record: &Record<'_>, signals: Vec<Signal>, out: &mut Outbox) -> Outcome {
        let outcome = if signals.is_empty() { Outcome::NotWanted } else { Outcome::Applied };
        let partition = signals_partition(self.settings.partitions.signals);
        out.messages.extend(signals_messages(partition, origin, record.timestamp, signals));
        outcome
    }
}

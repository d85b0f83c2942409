//! What a worker needs to know of a stage beyond its contract.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::declare::Declare;
use crate::detect::Detect;
use crate::model::Timestamp;
use crate::rules::{Config, Settings};
use crate::shell::metrics::Metrics;
use crate::stage::{Message, Outbox, Stage, Topic};
use crate::wire::internal::{samples_follow, samples_tick, signals_follow, signals_tick};

/// A stage with one state for each partition of its log.
pub(in crate::shell) trait Partitioned: Stage + Sized + Send + 'static {
    /// In metrics, logs, the consumer group and the state topic.
    const NAME: &'static str;

    /// Its log.
    const LOG: Topic;

    /// How many partitions the log has.
    fn partitions(settings: &Settings) -> u32;

    /// With no state yet.
    fn new(config: &Arc<Config>, settings: &Settings, partition: u32) -> Self;

    /// Its log is read once more though it had a state, which is lost: what was over before that time was told, where it tells of that.
    fn begins_anew(&mut self, _: Timestamp) {}

    /// Tells the stage behind that there is something to wait for.
    fn announce(&self, out: &mut Outbox);

    /// The wall clock, as a record of the log.
    fn tick(partition: u32, now: Timestamp) -> Message;

    /// What to follow, as a record of the log.
    fn follow(partition: u32, config: &Config) -> Message;

    /// Shows how it stands.
    fn show<'s>(stages: impl Iterator<Item = (u32, &'s Self)>, metrics: &Metrics);
}

impl Partitioned for Detect {
    const NAME: &'static str = "detect";
    const LOG: Topic = Topic::Samples;

    fn partitions(settings: &Settings) -> u32 {
        settings.partitions.samples
    }

    fn new(config: &Arc<Config>, settings: &Settings, partition: u32) -> Self {
        Self::new(config.clone(), partition, settings.partitions)
    }

    fn announce(&self, out: &mut Outbox) {
        self.announce(out);
    }

    fn tick(partition: u32, now: Timestamp) -> Message {
        samples_tick(partition, now)
    }

    fn follow(partition: u32, config: &Config) -> Message {
        samples_follow(partition, config)
    }

    fn show<'s>(stages: impl Iterator<Item = (u32, &'s Self)>, metrics: &Metrics) {
        let mut monitors: BTreeMap<String, i64> = BTreeMap::new();
        for (partition, stage) in stages {
            metrics.groups.with_label_values(&[&partition.to_string()]).set(gauge(stage.groups()));
            stage.watermark().into_iter().for_each(|at| metrics.watermark(Self::NAME, partition, at));
            for (monitor, groups) in stage.groups_by_monitor() {
                *monitors.entry(monitor.to_owned()).or_default() += gauge(groups);
            }
        }
        metrics.watched(&monitors);
    }
}

impl Partitioned for Declare {
    const NAME: &'static str = "declare";
    const LOG: Topic = Topic::Signals;

    fn partitions(_: &Settings) -> u32 {
        1
    }

    fn new(config: &Arc<Config>, _: &Settings, _: u32) -> Self {
        Self::new(config.clone())
    }

    fn begins_anew(&mut self, now: Timestamp) {
        self.listen_since(now);
    }

    fn announce(&self, _: &mut Outbox) {}

    fn tick(_: u32, now: Timestamp) -> Message {
        signals_tick(now)
    }

    fn follow(_: u32, config: &Config) -> Message {
        signals_follow(config)
    }

    fn show<'s>(stages: impl Iterator<Item = (u32, &'s Self)>, metrics: &Metrics) {
        let (mut levels, mut states) = (BTreeMap::new(), BTreeMap::new());
        for (partition, stage) in stages {
            let open = stage.open();
            metrics.situations.with_label_values(&[&partition.to_string()]).set(gauge(open.situations));
            for (level, count) in open.incidents {
                *levels.entry(level).or_default() += gauge(count);
            }
            for (state, count) in open.states {
                *states.entry(state.to_owned()).or_default() += gauge(count);
            }
            stage.watermark().into_iter().for_each(|at| metrics.watermark(Self::NAME, partition, at));
        }
        metrics.open(&levels, &states);
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

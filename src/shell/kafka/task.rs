//! The stages as a worker runs them: which topics they read, and one state for each partition owned.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::declare::Declare;
use crate::detect::Detect;
use crate::model::{Origin, Timestamp};
use crate::route::Route;
use crate::rules::{Rules, Settings};
use crate::shell::metrics::Metrics;
use crate::stage::{Message, Outbox, Record, Stage, Topic};
use crate::wire::internal::{samples_tick, signals_tick};

/// What a worker runs.
pub(in crate::shell) enum Task {
    /// Reads the sources.
    Route(Box<Route>),
    /// Reads the samples topic.
    Detect(Stages<Detect>),
    /// Reads the signals topic.
    Declare(Stages<Declare>),
}

/// A stage for each partition owned.
pub(in crate::shell) struct Stages<S> {
    rules: Arc<Rules>,
    settings: Arc<Settings>,
    owned: BTreeMap<u32, Owned<S>>,
}

struct Owned<S> {
    stage: S,
    /// Records before this offset were acted on before: they rebuild the state, and what comes of them is thrown away.
    committed: i64,
    /// The next record's offset.
    position: i64,
}

impl<S> Stages<S> {
    pub(in crate::shell) fn new(rules: Arc<Rules>, settings: Arc<Settings>) -> Self {
        Self { rules, settings, owned: BTreeMap::new() }
    }

    fn own(&mut self, partition: u32, committed: i64, stage: S) {
        self.owned.insert(partition, Owned { stage, committed, position: 0 });
    }
}

impl<S: Stage> Stages<S> {
    fn apply(&mut self, record: &Record<'_>, out: &mut Outbox) {
        let Some(owned) = self.owned.get_mut(&record.partition) else { return };
        owned.position = record.offset + 1;
        if record.offset < owned.committed {
            owned.stage.apply(record, &mut Outbox::default());
        } else {
            owned.stage.apply(record, out);
        }
    }

    fn caught_up(&self) -> bool {
        self.owned.values().all(|owned| owned.position >= owned.committed)
    }
}

impl Task {
    /// Its name, in metrics, logs and the consumer group.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Route(_) => "route",
            Self::Detect(_) => "detect",
            Self::Declare(_) => "declare",
        }
    }

    /// The topics it reads.
    pub(super) fn topics(&self, settings: &Settings) -> Vec<String> {
        let internal = |topic: Topic| vec![format!("{}.{}", settings.prefix, topic.suffix())];
        match self {
            Self::Route(_) => settings.sources.iter().map(|s| s.topic.clone()).collect(),
            Self::Detect(_) => internal(Topic::Samples),
            Self::Declare(_) => internal(Topic::Signals),
        }
    }

    /// Whether its state is rebuilt from the start of the log.
    pub(super) fn rebuilds(&self) -> bool {
        match self {
            Self::Route(_) => false,
            Self::Detect(_) | Self::Declare(_) => true,
        }
    }

    /// How long after a round's first record others are waited for.
    pub(super) fn gathers(&self) -> Duration {
        match self {
            // Enough for one fetch to bring what is there in the other inputs.
            Self::Route(_) => Duration::from_millis(20),
            Self::Detect(_) | Self::Declare(_) => Duration::ZERO,
        }
    }

    pub(super) fn assigned(&mut self, topic: &str, partition: u32, committed: i64, out: &mut Outbox) {
        match self {
            Self::Route(route) => route.assign(Origin { topic: topic.to_owned(), partition }, out),
            Self::Detect(stages) => {
                let stage = Detect::new(stages.rules.clone(), stages.settings.clone(), partition);
                stage.announce(out);
                stages.own(partition, committed, stage);
            }
            Self::Declare(stages) => {
                let stage = Declare::new(stages.rules.clone(), stages.settings.clone());
                stages.own(partition, committed, stage);
            }
        }
    }

    pub(super) fn revoked(&mut self, topic: &str, partition: u32) {
        match self {
            Self::Route(route) => route.revoke(&Origin { topic: topic.to_owned(), partition }),
            Self::Detect(stages) => drop(stages.owned.remove(&partition)),
            Self::Declare(stages) => drop(stages.owned.remove(&partition)),
        }
    }

    pub(super) fn apply(&mut self, record: &Record<'_>, out: &mut Outbox) {
        match self {
            Self::Route(route) => route.apply(record, out),
            Self::Detect(stages) => stages.apply(record, out),
            Self::Declare(stages) => stages.apply(record, out),
        }
    }

    pub(super) fn flush(&mut self, out: &mut Outbox) {
        match self {
            Self::Route(route) => route.flush(out),
            Self::Detect(_) | Self::Declare(_) => {}
        }
    }

    /// The wall clock for every partition owned, to be appended to it: replay then sees the same time.
    pub(super) fn ticks(&self, now: Timestamp) -> Vec<Message> {
        match self {
            Self::Route(_) => vec![],
            Self::Detect(stages) => stages.owned.keys().map(|partition| samples_tick(*partition, now)).collect(),
            Self::Declare(stages) => stages.owned.keys().map(|partition| signals_tick(*partition, now)).collect(),
        }
    }

    pub(super) fn reconfigure(&mut self, rules: &Arc<Rules>) {
        match self {
            Self::Route(route) => route.reconfigure(rules.clone()),
            Self::Detect(stages) => {
                stages.rules = rules.clone();
                stages.owned.values_mut().for_each(|owned| owned.stage.reconfigure(rules.clone()));
            }
            Self::Declare(stages) => {
                stages.rules = rules.clone();
                stages.owned.values_mut().for_each(|owned| owned.stage.reconfigure(rules.clone()));
            }
        }
    }

    /// Whether all partitions owned have been rebuilt.
    pub(super) fn caught_up(&self) -> bool {
        match self {
            Self::Route(_) => true,
            Self::Detect(stages) => stages.caught_up(),
            Self::Declare(stages) => stages.caught_up(),
        }
    }

    /// Shows in the metrics how it stands.
    pub(super) fn show(&self, metrics: &Metrics) {
        match self {
            Self::Route(_) => {}
            Self::Detect(stages) => {
                for (partition, owned) in &stages.owned {
                    metrics.groups.with_label_values(&[&partition.to_string()]).set(gauge(owned.stage.groups()));
                    owned.stage.watermark().into_iter().for_each(|at| metrics.watermark("detect", *partition, at));
                }
            }
            Self::Declare(stages) => {
                metrics.incidents.reset();
                for (partition, owned) in &stages.owned {
                    let open = owned.stage.open();
                    metrics.situations.with_label_values(&[&partition.to_string()]).set(gauge(open.situations));
                    for (level, count) in open.incidents {
                        metrics.incidents.with_label_values(&[&level]).add(gauge(count));
                    }
                    owned.stage.watermark().into_iter().for_each(|at| metrics.watermark("declare", *partition, at));
                }
            }
        }
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

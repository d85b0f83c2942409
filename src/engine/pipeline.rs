//! Route, detect and declare around a log in memory, with as many partitions of samples as the settings say.
//!
//! The log's clock is the records' own time: before a record, the owners of the partitions append a tick if one is
//! due, so that idle inputs are let go as they are on Kafka. Each record goes all the way before the next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::declare::Declare;
use crate::detect::Detect;
use crate::model::{Origin, Timestamp};
use crate::route::Route;
use crate::rules::{Config, Input, Monitor, Settings};
use crate::stage::{Message, Outbox, Record, Stage, Topic};
use crate::wire::internal::{samples_follow, samples_tick, signals_follow, signals_tick};

/// How often the owners tell the time, by the records' time.
const TICK_EVERY: Duration = Duration::from_secs(5);

/// Ticks through one pause of a recording: three and a half days of them by default. A longer pause is taken for time
/// in which nobody listened.
const TICKS_MAX: usize = 10_000;

/// The composed stages.
#[derive(Debug)]
pub struct Pipeline {
    route: Route,
    detect: Vec<Detect>,
    declare: Declare,
    settings: Arc<Settings>,
    origins: BTreeSet<Origin>,
    ticked: Timestamp,
    offsets: Offsets,
    traced: bool,
}

/// The end of each internal partition.
#[derive(Debug)]
struct Offsets {
    samples: Vec<i64>,
    signals: i64,
}

impl Pipeline {
    /// The stages with no state yet. The origins are all the input partitions there will be: time waits for each.
    #[must_use]
    pub fn new(config: &Arc<Config>, settings: &Arc<Settings>, origins: impl IntoIterator<Item = Origin>) -> (Self, Outbox) {
        let samples = settings.partitions.samples;
        let mut pipeline = Self {
            route: Route::new(config.clone(), settings.clone()),
            detect: (0..samples).map(|p| Detect::new(config.clone(), p, settings.partitions)).collect(),
            declare: Declare::from_the_start(config.clone()),
            settings: settings.clone(),
            origins: BTreeSet::new(),
            ticked: Timestamp::MIN,
            offsets: Offsets { samples: vec![0; samples as usize], signals: 0 },
            traced: false,
        };
        let mut out = Outbox::default();
        for origin in origins {
            pipeline.route.assign(origin.clone(), &mut out);
            pipeline.origins.insert(origin);
        }
        pipeline.detect.iter().for_each(|stage| stage.announce(&mut out));
        let out = pipeline.settle(out, Timestamp::MIN);
        (pipeline, out)
    }

    /// The same, and it tells all of the decision log.
    #[must_use]
    pub fn traced(self) -> Self {
        Self { traced: true, ..self }
    }

    fn outbox(&self) -> Outbox {
        Outbox { traced: self.traced, ..Outbox::default() }
    }

    /// What was over before that time only teaches, as if Richter had first listened then.
    pub fn listen_since(&mut self, since: Timestamp) {
        self.declare.listen_since(since);
    }

    /// Follows another configuration from now on.
    pub fn follow(&mut self, config: &Arc<Config>) -> Outbox {
        self.route.follow(config.clone());
        let samples = (0..self.settings.partitions.samples).map(|p| samples_follow(p, config));
        let messages = samples.chain([signals_follow(config)]).collect();
        self.settle(Outbox { messages, ..self.outbox() }, self.ticked)
    }

    /// Appends a record of a source, and gives what comes out at the other end.
    pub fn push(&mut self, record: &Record<'_>) -> Outbox {
        let mut out = self.ticks(record.timestamp);
        let origin = Origin { topic: record.topic.to_owned(), partition: record.partition };
        let mut routed = self.outbox();
        if self.origins.insert(origin.clone()) {
            self.route.assign(origin, &mut routed);
        }
        self.route.apply(record, &mut routed);
        self.route.flush(&mut routed);
        out.extend(self.settle(routed, record.timestamp));
        out
    }

    /// The monitors of which nothing was ever measured, or no heartbeat heard.
    pub fn unheard<'c>(&self, config: &'c Config) -> impl Iterator<Item = &'c Monitor> {
        let heard = |monitor: &Monitor| match &monitor.input {
            Input::Watch(watch) => self.detect.iter().any(|stage| stage.has_heard(watch)),
            Input::Heartbeat(..) => self.declare.has_heard(monitor),
            Input::Alerts(_) => true,
        };
        config.rules.monitors.iter().filter(move |monitor| !heard(monitor))
    }

    /// The monitors that were measured and never had a value: their queries find nothing, though what they read is there.
    pub fn valueless<'c>(&self, config: &'c Config) -> impl Iterator<Item = &'c Monitor> {
        let valueless = |monitor: &Monitor| match &monitor.input {
            Input::Watch(watch) => {
                let known = || self.detect.iter().filter(|stage| stage.has_heard(watch));
                known().next().is_some() && !watch.query.filters() && !known().any(|stage| stage.has_value(watch))
            }
            Input::Heartbeat(..) | Input::Alerts(_) => false,
        };
        config.rules.monitors.iter().filter(move |monitor| valueless(monitor))
    }

    /// Lines of the decision log: the suspects of all that is open, as they are ranked now.
    pub fn rankings(&self) -> impl Iterator<Item = serde_json::Value> {
        self.declare.rankings()
    }

    /// The owners append the ticks that are due by `now`. Through a pause they go on, a little less often.
    fn ticks(&mut self, now: Timestamp) -> Outbox {
        let mut out = self.outbox();
        let pace = self.settings.tuning.idle_after / 2;
        for _ in 0..TICKS_MAX {
            if self.ticked == Timestamp::MIN || now.since(self.ticked) <= pace || pace.is_zero() {
                break;
            }
            out.extend(self.tick(self.ticked + pace));
        }
        if self.ticked == Timestamp::MIN || now.since(self.ticked) >= TICK_EVERY {
            out.extend(self.tick(now));
        }
        out
    }

    fn tick(&mut self, now: Timestamp) -> Outbox {
        self.ticked = self.ticked.max(now);
        let samples = (0..self.settings.partitions.samples).map(|p| samples_tick(p, now));
        let ticks = Outbox { messages: samples.chain([signals_tick(now)]).collect(), ..self.outbox() };
        self.settle(ticks, now)
    }

    /// Runs messages to the end of the way: what is internal is consumed, the rest is given out.
    fn settle(&mut self, mut out: Outbox, now: Timestamp) -> Outbox {
        let mut waiting = std::mem::take(&mut out.messages);
        while !waiting.is_empty() {
            for message in std::mem::take(&mut waiting) {
                let mut next = self.outbox();
                match self.consume(&message, now, &mut next) {
                    Consumed::Internally => waiting.append(&mut next.messages),
                    Consumed::Not => out.messages.push(message),
                }
                out.extend(next);
            }
        }
        out
    }

    fn consume(&mut self, message: &Message, now: Timestamp, out: &mut Outbox) -> Consumed {
        let partition = message.partition.unwrap_or(0);
        let (stage, offset): (&mut dyn Stage, &mut i64) = match message.topic {
            Topic::Samples => (&mut self.detect[partition as usize], &mut self.offsets.samples[partition as usize]),
            Topic::Signals => (&mut self.declare, &mut self.offsets.signals),
            Topic::Incidents | Topic::DeadLetter | Topic::State => return Consumed::Not,
        };
        let record =
            Record { topic: message.topic.suffix(), partition, offset: *offset, timestamp: now, headers: &[], payload: &message.payload };
        *offset += 1;
        stage.apply(&record, out);
        Consumed::Internally
    }
}

enum Consumed {
    Internally,
    Not,
}

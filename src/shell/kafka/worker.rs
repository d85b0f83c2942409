//! A worker: polls, hands records to its task, delivers what comes of them, and only then commits their offsets.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message as _, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::{error, info, warn};

use crate::model::Timestamp;
use crate::rules::{Rules, Settings};
use crate::shell::metrics::Metrics;
use crate::stage::{Message, Outbox, Record};

use super::client::{Base, Event, Listener, Reports, consumer, producer};
use super::{Task, now};

/// A round takes in this many records and bytes at the most, and without any it ends after this time.
const ROUND_RECORDS_MAX: usize = 2000;
const ROUND_BYTES_MAX: usize = 16 << 20;
const IDLE_ROUND: Duration = Duration::from_millis(100);

/// How often owners append the time to their partitions.
const TICK_EVERY: Duration = Duration::from_secs(5);

/// After this long of waiting for deliveries the consumer is paused and polled, so that the group keeps us.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a worker that is told to stop waits for what it has sent.
const DRAIN_MAX: Duration = Duration::from_secs(10);

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What the daemon tells a worker.
#[derive(Clone, Debug)]
pub(in crate::shell) enum Control {
    /// Follow these rules from now on.
    Reload(Arc<Rules>),
}

/// A stage's loop and its clients.
pub(in crate::shell) struct Worker {
    task: Task,
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
    consumer: BaseConsumer<Listener>,
    producer: BaseProducer<Reports>,
    events: Receiver<Event>,
    controls: Receiver<Control>,
    stop: Arc<AtomicBool>,
    ready: Arc<AtomicBool>,
    /// The partitions that are ours, with the offset committed when they were taken over.
    owned: BTreeMap<(String, i32), i64>,
    /// Assigned, but how far was committed could not be asked yet.
    unasked: Vec<(String, i32)>,
    /// Told by callbacks, not acted on yet.
    told: VecDeque<Event>,
    /// Records that came while waiting for deliveries.
    waiting: Vec<OwnedMessage>,
    /// The next offset of each partition, all of whose outputs are delivered.
    uncommitted: BTreeMap<(String, i32), i64>,
    joined: bool,
    ticked: Option<Instant>,
    complained: Option<Instant>,
}

impl Worker {
    /// Joins the stage's consumer group. `ready` is set once its partitions are rebuilt.
    pub(in crate::shell) fn new(
        task: Task,
        base: &Base,
        settings: Arc<Settings>,
        metrics: Arc<Metrics>,
        controls: Receiver<Control>,
        stop: Arc<AtomicBool>,
        ready: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let (tell, events) = channel();
        let group = format!("{}.{}", settings.prefix, task.name());
        let consumer = consumer(base, &group, Listener { events: tell.clone(), from_start: task.rebuilds() })?;
        let topics = task.topics(&settings);
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).with_context(|| format!("cannot subscribe to {topics:?}"))?;
        Ok(Self {
            producer: producer(base, tell)?,
            task,
            settings,
            metrics,
            consumer,
            events,
            controls,
            stop,
            ready,
            owned: BTreeMap::new(),
            unasked: vec![],
            told: VecDeque::new(),
            waiting: vec![],
            uncommitted: BTreeMap::new(),
            joined: false,
            ticked: None,
            complained: None,
        })
    }

    /// Runs until it is told to stop; then what was sent is delivered and committed.
    pub(in crate::shell) fn run(mut self) -> anyhow::Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            let records = self.collect()?;
            let began = Instant::now();
            let mut out = Outbox::default();
            self.events(&mut out)?;
            self.controls();
            self.tick(&mut out);
            let mut offsets = BTreeMap::new();
            for record in &records {
                self.apply(record, &mut offsets, &mut out);
            }
            self.task.flush(&mut out);
            if !self.deliver(&out.messages)? {
                break;
            }
            self.metrics.count(&out);
            log_declarations(&out);
            self.uncommitted.extend(offsets);
            self.commit();
            if !records.is_empty() {
                self.metrics.took(self.task.name(), began.elapsed());
            }
            self.task.show(&self.metrics);
            self.ready.store(self.joined && self.unasked.is_empty() && self.task.caught_up(), Ordering::Relaxed);
        }
        self.ready.store(false, Ordering::Relaxed);
        info!(stage = self.task.name(), "stopped");
        Ok(())
    }

    /// The records of a round: what comes within a short while of the first one. Several inputs are put in order of
    /// time, so that after a pause an alert does not fall behind the metrics it came before.
    fn collect(&mut self) -> anyhow::Result<Vec<OwnedMessage>> {
        let mut records = std::mem::take(&mut self.waiting);
        let mut until = Instant::now() + if records.is_empty() { IDLE_ROUND } else { Duration::ZERO };
        let mut size = bytes(&records);
        while records.len() < ROUND_RECORDS_MAX && size < ROUND_BYTES_MAX {
            let before = records.len();
            let more = self.poll(until.saturating_duration_since(Instant::now()), &mut records)?;
            size += records.last().map_or(0, |record| bytes(std::slice::from_ref(record)));
            if before == 0 && !records.is_empty() {
                until = Instant::now() + self.task.gathers();
            }
            if !more {
                break;
            }
        }
        Ok(if self.task.gathers().is_zero() { records } else { in_order_of_time(records) })
    }

    /// Polls once; false where nothing came. Partitions may come and go inside: what was read of one that went is let
    /// go of, for whoever has it next, and be it ourselves, reads it again.
    fn poll(&mut self, patience: Duration, records: &mut Vec<OwnedMessage>) -> anyhow::Result<bool> {
        let polled = self.consumer.poll(patience).map(|result| result.map(|record| record.detach()));
        for event in self.events.try_iter() {
            if let Event::Revoked(gone) = &event {
                records.retain(|record| !gone.contains(&place(record)));
                self.waiting.retain(|record| !gone.contains(&place(record)));
            }
            self.told.push_back(event);
        }
        match polled {
            Some(Ok(record)) => records.push(record),
            Some(Err(why)) => self.complain(&why)?,
            None => return Ok(false),
        }
        Ok(true)
    }

    /// An error of the consumer: the client goes on by itself, unless it is fatal.
    fn complain(&mut self, why: &KafkaError) -> anyhow::Result<()> {
        if let Some((code, reason)) = self.consumer.client().fatal_error() {
            bail!("the {} consumer cannot go on: {code}: {reason}", self.task.name());
        }
        self.grumble(&why.to_string());
        Ok(())
    }

    /// One line of an outage is enough; the counter has them all.
    fn grumble(&mut self, what: &str) {
        self.metrics.kafka_errors.with_label_values(&[self.task.name()]).inc();
        if self.complained.is_none_or(|at| at.elapsed() > Duration::from_secs(10)) {
            self.complained = Some(Instant::now());
            warn!(stage = self.task.name(), error = what, "kafka");
        }
    }

    fn events(&mut self, out: &mut Outbox) -> anyhow::Result<()> {
        self.told.extend(self.events.try_iter());
        for event in std::mem::take(&mut self.told) {
            match event {
                Event::Assigned(partitions) => {
                    self.joined = true;
                    self.unasked.extend(partitions);
                }
                Event::Revoked(partitions) => self.revoked(&partitions),
                Event::Lag(lags) => {
                    for (topic, partition, lag) in lags {
                        if self.owned.contains_key(&(topic.clone(), partition)) {
                            self.metrics.consumer_lag.with_label_values(&[topic.as_str(), &partition.to_string()]).set(lag);
                        }
                    }
                }
                Event::Undelivered { topic, why } => bail!("a record for {topic} was not delivered: {why}"),
                Event::Error(what) => self.grumble(&what),
            }
        }
        self.take_over(out);
        Ok(())
    }

    /// Asks how far assigned partitions were committed, and gives them to the task. The broker may be away: then later.
    fn take_over(&mut self, out: &mut Outbox) {
        if self.unasked.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for (topic, partition) in &self.unasked {
            list.add_partition(topic, *partition);
        }
        let committed = match self.consumer.committed_offsets(list, REQUEST_TIMEOUT) {
            Ok(committed) => committed,
            Err(why) => return self.grumble(&format!("committed offsets: {why}")),
        };
        for (topic, partition) in std::mem::take(&mut self.unasked) {
            let offset = committed.find_partition(&topic, partition).and_then(|e| e.offset().to_raw()).filter(|o| *o >= 0);
            info!(stage = self.task.name(), topic, partition, committed = offset, "took a partition over");
            self.metrics.rebalances.with_label_values(&[self.task.name(), "assigned"]).inc();
            self.task.assigned(&topic, number(partition), offset.unwrap_or(0), out);
            self.owned.insert((topic, partition), offset.unwrap_or(0));
        }
    }

    fn revoked(&mut self, partitions: &[(String, i32)]) {
        for (topic, partition) in partitions {
            info!(stage = self.task.name(), topic, partition, "gave a partition up");
            self.metrics.rebalances.with_label_values(&[self.task.name(), "revoked"]).inc();
            let place = (topic.clone(), *partition);
            self.owned.remove(&place);
            self.unasked.retain(|unasked| *unasked != place);
            self.uncommitted.remove(&place);
            self.task.revoked(topic, number(*partition));
            self.metrics.forget(self.task.name(), number(*partition));
            self.metrics.consumer_lag.remove_label_values(&[topic.as_str(), &partition.to_string()]).ok();
        }
    }

    fn controls(&mut self) {
        for control in self.controls.try_iter().collect::<Vec<_>>() {
            match control {
                Control::Reload(rules) => self.task.reconfigure(&rules),
            }
        }
    }

    fn tick(&mut self, out: &mut Outbox) {
        if self.ticked.is_none_or(|at| at.elapsed() >= TICK_EVERY) {
            self.ticked = Some(Instant::now());
            out.messages.extend(self.task.ticks(now()));
        }
    }

    fn apply(&mut self, record: &OwnedMessage, offsets: &mut BTreeMap<(String, i32), i64>, out: &mut Outbox) {
        let place = place(record);
        if !self.owned.contains_key(&place) {
            // Not ours any more, or not yet: whoever owns it reads it from the committed offset.
            self.keep_if_coming(record, &place);
            return;
        }
        // A producer whose clock is fast must not make the future believable.
        let timestamp = record.timestamp().to_millis().map_or_else(now, |at| Timestamp(at).min(now()));
        let seen = Record {
            topic: record.topic(),
            partition: number(record.partition()),
            offset: record.offset(),
            timestamp,
            payload: record.payload().unwrap_or_default(),
        };
        self.task.apply(&seen, out);
        // While state is rebuilt, what is committed stays: it never goes back.
        if self.owned.get(&place).is_some_and(|committed| record.offset() >= *committed) {
            offsets.insert(place, record.offset() + 1);
        }
    }

    fn keep_if_coming(&mut self, record: &OwnedMessage, place: &(String, i32)) {
        if self.unasked.contains(place) {
            self.waiting.push(record.clone());
        }
    }

    /// Sends messages and waits until all are delivered. False: told to stop before they were.
    fn deliver(&mut self, messages: &[Message]) -> anyhow::Result<bool> {
        let mut wait = Wait::new();
        for message in messages {
            let topic = format!("{}.{}", self.settings.prefix, message.topic.suffix());
            loop {
                match self.producer.send(record(&topic, message)) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                        if !self.wait(&mut wait)? {
                            return Ok(false);
                        }
                    }
                    // It would be refused again after every restart.
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _)) => {
                        self.too_large(&topic, message.payload.len());
                        break;
                    }
                    Err((why, _)) => bail!("a record for {topic} cannot be sent: {why}"),
                }
            }
            self.metrics.produced.with_label_values(&[message.topic.suffix()]).inc();
        }
        while self.producer.in_flight_count() > 0 {
            if !self.wait(&mut wait)? {
                return Ok(false);
            }
        }
        if wait.paused {
            self.consumer.resume(&self.consumer.assignment()?)?;
        }
        self.undelivered()?;
        Ok(true)
    }

    /// One breath of waiting for deliveries. A long wait must not cost us our place in the group.
    fn wait(&mut self, wait: &mut Wait) -> anyhow::Result<bool> {
        self.producer.poll(Duration::from_millis(20));
        if let Some((code, reason)) = self.producer.client().fatal_error() {
            bail!("the {} producer cannot go on: {code}: {reason}", self.task.name());
        }
        if self.stop.load(Ordering::Relaxed) {
            let since = *wait.stopping.get_or_insert_with(Instant::now);
            if since.elapsed() > DRAIN_MAX {
                warn!(stage = self.task.name(), "stopping with records undelivered; they are made again after a restart");
                return Ok(false);
            }
        }
        if wait.began.elapsed() > PATIENCE {
            self.keep_place(wait)?;
        }
        Ok(true)
    }

    /// Polls, so that the group keeps us; what comes waits. When as much waits as a round takes, no more is fetched.
    fn keep_place(&mut self, wait: &mut Wait) -> anyhow::Result<()> {
        if !wait.paused && (self.waiting.len() >= ROUND_RECORDS_MAX || bytes(&self.waiting) >= ROUND_BYTES_MAX) {
            self.consumer.pause(&self.consumer.assignment()?)?;
            wait.paused = true;
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        let polled = self.poll(Duration::ZERO, &mut waiting);
        self.waiting = waiting;
        polled.map(drop)
    }

    fn too_large(&mut self, topic: &str, bytes: usize) {
        self.metrics.kafka_errors.with_label_values(&[self.task.name()]).inc();
        error!(topic, bytes, "a record is too large for Kafka and is lost; raise message.max.bytes");
    }

    fn undelivered(&mut self) -> anyhow::Result<()> {
        self.told.extend(self.events.try_iter());
        let undelivered = self.told.iter().find_map(|event| match event {
            Event::Undelivered { topic, why } => Some((topic, why)),
            Event::Assigned(_) | Event::Revoked(_) | Event::Lag(_) | Event::Error(_) => None,
        });
        match undelivered {
            Some((topic, why)) => bail!("a record for {topic} was not delivered: {why}"),
            None => Ok(()),
        }
    }

    fn commit(&mut self) {
        if self.uncommitted.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for ((topic, partition), offset) in &self.uncommitted {
            if list.add_partition_offset(topic, *partition, Offset::Offset(*offset)).is_err() {
                return;
            }
        }
        match self.consumer.commit(&list, CommitMode::Sync) {
            Ok(()) => self.uncommitted.clear(),
            // Tried again with the next round; a partition that was taken away is dropped by its revocation.
            Err(why) => self.grumble(&format!("commit: {why}")),
        }
    }
}

fn log_declarations(out: &Outbox) {
    for decision in out.trace.iter().filter(|decision| decision["kind"] == "declaration") {
        let text = |key: &str| decision[key].as_str().unwrap_or_default();
        info!(incident = text("incident"), level = text("level"), at = text("at"), reason = text("reason"), "{}", text("event"));
    }
}

fn place(record: &OwnedMessage) -> (String, i32) {
    (record.topic().to_owned(), record.partition())
}

fn bytes(records: &[OwnedMessage]) -> usize {
    records.iter().map(|record| record.payload().map_or(0, <[u8]>::len)).sum()
}

/// Records of several partitions in order of time; those of one partition stay in the order of their offsets.
fn in_order_of_time(records: Vec<OwnedMessage>) -> Vec<OwnedMessage> {
    let mut latest: BTreeMap<(String, i32), Option<i64>> = BTreeMap::new();
    let mut timed: Vec<(Option<i64>, OwnedMessage)> = records
        .into_iter()
        .map(|record| {
            let so_far = latest.entry(place(&record)).or_default();
            *so_far = record.timestamp().to_millis().max(*so_far);
            (*so_far, record)
        })
        .collect();
    timed.sort_by_key(|(at, _)| *at);
    timed.into_iter().map(|(_, record)| record).collect()
}

/// How a wait for deliveries stands.
struct Wait {
    began: Instant,
    paused: bool,
    stopping: Option<Instant>,
}

impl Wait {
    fn new() -> Self {
        Self { began: Instant::now(), paused: false, stopping: None }
    }
}

fn record<'m>(topic: &'m str, message: &'m Message) -> BaseRecord<'m, str, [u8]> {
    let mut headers = OwnedHeaders::new_with_capacity(message.headers.len());
    for (key, value) in &message.headers {
        headers = headers.insert(Header { key, value: Some(value) });
    }
    let record = BaseRecord::to(topic).payload(message.payload.as_slice()).key(message.key.as_str()).headers(headers);
    match message.partition {
        Some(partition) => record.partition(i32::try_from(partition).unwrap_or(i32::MAX)),
        None => record,
    }
}

/// Partitions are never negative once they are assigned.
fn number(partition: i32) -> u32 {
    u32::try_from(partition).unwrap_or(0)
}

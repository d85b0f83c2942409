//! A worker's membership in its group: what is polled, and which partitions come and go.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message as _, OwnedMessage};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};
use tracing::{error, warn};

use crate::shell::metrics::Metrics;

use super::client::{Base, Event, Grumbles, Listener, member};
use super::pulse::Pulse;

/// A round takes in this many records and bytes at the most.
const ROUND_RECORDS_MAX: usize = 2000;
const ROUND_BYTES_MAX: usize = 16 << 20;

/// What comes of them is delivered when it is so much, as a small record may say much: a histogram's labels are those of every bucket.
pub(super) const OUT_BYTES_MAX: usize = 32 << 20;

const REQUEST: Duration = Duration::from_secs(5);

/// A partition of ours that gives nothing for this long is asked after: an owner's own ticks come more often.
const SILENT_MAX: Duration = Duration::from_secs(15);

/// How long an answer to that is waited for.
const ASK: Duration = Duration::from_secs(1);

/// Expelled more often than this in this time, we share our name with somebody.
const EXPELLED_MAX: usize = 3;
const EXPELLED_WITHIN: Duration = Duration::from_secs(60);

/// What expels us again within this is the same one: what was read before is still to be committed when we have joined anew.
const EXPELLED_ONCE: Duration = Duration::from_secs(5);

/// A partition of a topic.
pub(super) type Place = (String, i32);

/// The consumer, and what it told.
pub(super) struct Intake {
    stage: &'static str,
    base: Base,
    group: String,
    pulse: Pulse,
    topics: Vec<String>,
    consumer: BaseConsumer<Listener>,
    events: Receiver<Event>,
    tell: Sender<Event>,
    closing: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
    /// Told by callbacks, not acted on yet.
    told: VecDeque<Event>,
    /// Records that came while something was waited for.
    waiting: Vec<OwnedMessage>,
    /// Partitions whose end was reached since this was asked last.
    ends: BTreeSet<i32>,
    paused: bool,
    /// When each partition of ours last gave a record, or was found to have none to give.
    heard: BTreeMap<Place, Instant>,
    /// At which offset it was silent when it was looked at last.
    suspected: BTreeMap<Place, i64>,
    grumbles: Grumbles,
    /// When we were expelled, of late.
    expelled: Vec<Instant>,
}

impl Intake {
    /// Joins the stage's group.
    pub(super) fn new(stage: &'static str, base: &Base, prefix: &str, topics: &[String], metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let (tell, events) = channel();
        let closing = Arc::new(AtomicBool::new(false));
        let (group, pulse) = (format!("{prefix}.{stage}"), Pulse::default());
        let listener = Listener { events: tell.clone(), closing: closing.clone(), token: base.token.clone(), pulse: pulse.clone() };
        let consumer = joined(base, &group, topics, listener)?;
        Ok(Self {
            stage,
            base: base.clone(),
            group,
            pulse,
            topics: topics.to_vec(),
            consumer,
            events,
            tell,
            closing,
            metrics,
            told: VecDeque::new(),
            waiting: vec![],
            ends: BTreeSet::new(),
            paused: false,
            heard: BTreeMap::new(),
            suspected: BTreeMap::new(),
            grumbles: Grumbles::default(),
            expelled: vec![],
        })
    }

    /// The group took us for somebody else who uses our name. That may have been ourselves, when answers were lost or came late;
    /// if it goes on, it is another instance.
    fn expelled(&mut self, reason: &str) -> anyhow::Result<()> {
        self.expelled.retain(|at| at.elapsed() < EXPELLED_WITHIN);
        if self.expelled.last().is_none_or(|last| last.elapsed() >= EXPELLED_ONCE) {
            self.expelled.push(Instant::now());
        }
        if self.expelled.len() > EXPELLED_MAX {
            bail!("another instance has the name {}; give each its own kafka.instance ({reason})", self.base.instance);
        }
        warn!(stage = self.stage, reason, "expelled from the group; joining anew");
        self.rejoin()
    }

    /// Joins anew, with nothing of what was ours.
    fn rejoin(&mut self) -> anyhow::Result<()> {
        self.closing.store(true, Ordering::Relaxed);
        self.closing = Arc::new(AtomicBool::new(false));
        self.pulse = Pulse::default();
        let (token, pulse) = (self.base.token.clone(), self.pulse.clone());
        let listener = Listener { events: self.tell.clone(), closing: self.closing.clone(), token, pulse };
        self.consumer = joined(&self.base, &self.group, &self.topics, listener)?;
        // What the old membership told does not hold any more.
        let told: Vec<Event> = self.told.drain(..).chain(self.events.try_iter()).collect();
        let moved = |event: &Event| matches!(event, Event::Assigned(..) | Event::Revoked(_) | Event::Lost(_));
        self.told = told.into_iter().filter(|event| !moved(event)).collect();
        self.told.push_back(Event::Expelled);
        self.waiting.clear();
        self.heard.clear();
        self.suspected.clear();
        self.ends.clear();
        self.paused = false;
        Ok(())
    }

    /// Where callbacks of other clients of this worker may tell the loop.
    pub(super) fn teller(&self) -> Sender<Event> {
        self.tell.clone()
    }

    /// The records of a round: what comes within `gathers` of the first one, for which `patience` is had.
    pub(super) fn collect(&mut self, patience: Duration, gathers: Duration) -> anyhow::Result<Vec<OwnedMessage>> {
        if std::mem::take(&mut self.paused) {
            self.consumer.resume(&self.consumer.assignment()?)?;
        }
        let mut records = std::mem::take(&mut self.waiting);
        let mut until = Instant::now() + if records.is_empty() { patience } else { Duration::ZERO };
        let mut size = bytes(&records);
        while records.len() < ROUND_RECORDS_MAX && size < ROUND_BYTES_MAX {
            let before = records.len();
            let more = self.poll(until.saturating_duration_since(Instant::now()), &mut records)?;
            // What is not ours any more has gone.
            size = records.get(before..).map_or_else(|| bytes(&records), |new| size + bytes(new));
            if before == 0 && !records.is_empty() {
                until = Instant::now() + gathers;
            }
            if !more {
                break;
            }
        }
        Ok(records)
    }

    /// Polls, so that the group keeps us; what comes waits. When as much waits as a round takes, no more is fetched.
    pub(super) fn keep_place(&mut self, patience: Duration) -> anyhow::Result<()> {
        if !self.paused && (self.waiting.len() >= ROUND_RECORDS_MAX || bytes(&self.waiting) >= ROUND_BYTES_MAX) {
            self.consumer.pause(&self.consumer.assignment()?)?;
            self.paused = true;
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        let polled = self.poll(patience, &mut waiting);
        self.waiting.append(&mut waiting);
        polled.map(drop)
    }

    /// Polls once; false where nothing came. Partitions may come and go inside: what was read of one that went is let
    /// go of, for whoever has it next, and be it ourselves, reads it again.
    fn poll(&mut self, patience: Duration, records: &mut Vec<OwnedMessage>) -> anyhow::Result<bool> {
        let polled = self.consumer.poll(patience).map(|result| result.map(|record| record.detach()));
        for event in self.events.try_iter() {
            if let Event::Revoked(gone) | Event::Lost(gone) = &event {
                records.retain(|record| !gone.contains(&place(record)));
            }
            self.told.push_back(event);
        }
        if let Some(Err(_)) = &polled
            && let Some((RDKafkaErrorCode::FencedInstanceId, reason)) = self.consumer.client().fatal_error()
        {
            records.clear();
            self.expelled(&reason)?;
            return Ok(false);
        }
        match polled {
            Some(Ok(record)) => {
                self.heard.insert(place(&record), Instant::now());
                records.push(record);
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(self.ends.insert(partition)),
            Some(Err(why)) => self.complain(&why)?,
            None => {
                let topic = self.topics.first().map_or("", String::as_str);
                if self.pulse.is_lost(&self.base, &self.group, topic) {
                    records.clear();
                    warn!(stage = self.stage, "the client does not find its group again; joining anew");
                    self.rejoin()?;
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// An error of the consumer: the client goes on by itself, unless it is fatal.
    fn complain(&mut self, why: &KafkaError) -> anyhow::Result<()> {
        if let Some((code, reason)) = self.consumer.client().fatal_error() {
            bail!("the {} consumer cannot go on: {code}: {reason}", self.stage);
        }
        self.grumble(&why.to_string());
        Ok(())
    }

    /// Counts an error of a client, and logs it unless one was logged just now.
    pub(super) fn grumble(&mut self, what: &str) {
        self.metrics.kafka_errors.with_label_values(&[self.stage]).inc();
        if self.grumbles.are_due() {
            warn!(stage = self.stage, error = what, "kafka");
        }
    }

    /// Counts a record that is too large for Kafka, and says so.
    pub(super) fn lost(&self, topic: &str, bytes: usize) {
        self.metrics.lost(topic, 1);
        error!(
            stage = self.stage,
            topic, bytes, "a record is too large for Kafka and is lost; raise the topic's max.message.bytes, then message.max.bytes"
        );
    }

    /// What was told since the last time, in order.
    pub(super) fn told(&mut self) -> Vec<Event> {
        self.told.extend(self.events.try_iter());
        self.told.drain(..).collect()
    }

    /// A record that was not delivered, if there is one.
    pub(super) fn undelivered(&mut self) -> Option<String> {
        self.told.extend(self.events.try_iter());
        self.told.iter().find_map(|event| match event {
            Event::Undelivered { topic, why } => Some(format!("a record for {topic} was not delivered: {why}")),
            Event::Assigned(..)
            | Event::Revoked(_)
            | Event::Lost(_)
            | Event::Expelled
            | Event::Ends(_)
            | Event::TooLarge { .. }
            | Event::Refused { .. }
            | Event::Error(_) => None,
        })
    }

    /// Whether partitions were lost that this has not been told of yet.
    pub(super) fn has_lost(&self) -> bool {
        self.told.iter().any(|event| matches!(event, Event::Lost(_) | Event::Expelled))
    }

    /// Partitions whose end was reached since the last time.
    pub(super) fn ends(&mut self) -> BTreeSet<i32> {
        std::mem::take(&mut self.ends)
    }

    /// Reads partitions from these offsets on; from where the group has committed where there is none.
    pub(super) fn take(&self, from: &[(Place, Option<i64>)]) -> anyhow::Result<()> {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), offset) in from {
            list.add_partition_offset(topic, *partition, offset.map_or(Offset::Invalid, Offset::Offset))?;
        }
        self.consumer.incremental_assign(&list).context("partitions cannot be taken over")
    }

    /// How many partitions a topic has; 0 where it is not there.
    pub(super) fn partitions(&self, topic: &str) -> Result<usize, KafkaError> {
        let metadata = self.consumer.fetch_metadata(Some(topic), ASK)?;
        Ok(metadata
            .topics()
            .iter()
            .find(|known| known.name() == topic && known.error().is_none())
            .map_or(0, |known| known.partitions().len()))
    }

    /// How many records of a partition have been removed since the group committed how far it had read, and the first there is.
    pub(super) fn gone(&self, place: &Place) -> anyhow::Result<(u64, i64)> {
        let committed = self.committed(&place.0, std::iter::once(number(place.1)))?;
        let low = self.first(place)?;
        let committed = committed.first().and_then(|(_, committed)| *committed);
        Ok((committed.map_or(0, |committed| u64::try_from(low - committed).unwrap_or(0)), low))
    }

    /// The first record of a partition that there still is.
    pub(super) fn first(&self, (topic, partition): &Place) -> anyhow::Result<i64> {
        Ok(self.consumer.fetch_watermarks(topic, *partition, ASK)?.0)
    }

    /// Where a partition of ours gives nothing though there is something: its place, the next offset and the log's end.
    /// `positions` are the next offsets. One that is silent is asked after at a time.
    pub(super) fn silent(&mut self, positions: impl Iterator<Item = (Place, i64)>) -> Option<(Place, i64, i64)> {
        let silent = |heard: &Instant| heard.elapsed() > SILENT_MAX;
        let found = positions.into_iter().find(|(place, _)| silent(self.heard.entry(place.clone()).or_insert_with(Instant::now)));
        let (place, position) = found?;
        self.heard.insert(place.clone(), Instant::now());
        // Once may be that we were frozen, and have not read what there is.
        if self.suspected.insert(place.clone(), position) != Some(position) {
            return None;
        }
        let (_, end) = self.consumer.fetch_watermarks(&place.0, place.1, ASK).ok()?;
        (position < end).then_some((place, position, end))
    }

    /// Lets partitions go; what was read of them is dropped.
    pub(super) fn give_up(&mut self, places: &[Place]) -> anyhow::Result<()> {
        let mut list = TopicPartitionList::new();
        let assigned = self.consumer.assignment()?;
        for (topic, partition) in places {
            // One that was still being prepared is not read yet.
            if assigned.find_partition(topic, *partition).is_some() {
                list.add_partition(topic, *partition);
            }
        }
        // A pause would outlive the assignment, and the partition be ours again without being read.
        if self.paused {
            self.consumer.resume(&list).ok();
        }
        self.consumer.incremental_unassign(&list).context("partitions cannot be given up")?;
        self.heard.retain(|place, _| !places.contains(place));
        self.suspected.retain(|place, _| !places.contains(place));
        self.waiting.retain(|record| !places.contains(&place(record)));
        // The end that was reached is none of who has it next.
        self.ends.retain(|partition| places.iter().all(|(_, gone)| gone != partition));
        Ok(())
    }

    /// How far the group has committed, as far as no transaction may still change it.
    pub(super) fn committed(&self, topic: &str, partitions: impl Iterator<Item = u32>) -> anyhow::Result<Vec<(u32, Option<i64>)>> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(topic, i32::try_from(partition)?);
        }
        let committed = self.consumer.committed_offsets(list, REQUEST)?;
        let offset =
            |e: TopicPartitionListElem<'_>| Ok((number(e.partition()), e.error().map(|()| e.offset().to_raw().filter(|o| *o >= 0))?));
        committed.elements().into_iter().map(offset).collect()
    }

    /// Commits without a transaction.
    pub(super) fn commit(&self, offsets: &BTreeMap<Place, i64>) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), offset) in offsets {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        self.consumer.commit(&list, rdkafka::consumer::CommitMode::Sync)
    }
}

impl Drop for Intake {
    /// Leaves: from here on the callbacks themselves give partitions up, for no loop does. What was told and not acted
    /// on is waited for by the protocol.
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        for event in self.told() {
            match event {
                Event::Assigned(..) => drop(self.take(&[])),
                Event::Revoked(places) | Event::Lost(places) => drop(self.give_up(&places)),
                Event::Expelled
                | Event::Ends(_)
                | Event::Undelivered { .. }
                | Event::TooLarge { .. }
                | Event::Refused { .. }
                | Event::Error(_) => {}
            }
        }
    }
}

fn joined(base: &Base, group: &str, topics: &[String], listener: Listener) -> anyhow::Result<BaseConsumer<Listener>> {
    let consumer = member(base, group, listener)?;
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    consumer.subscribe(&names).with_context(|| format!("cannot subscribe to {names:?}"))?;
    Ok(consumer)
}

/// Where a record came from.
pub(super) fn place(record: &OwnedMessage) -> Place {
    (record.topic().to_owned(), record.partition())
}

fn bytes(records: &[OwnedMessage]) -> usize {
    records.iter().map(|record| record.payload().map_or(0, <[u8]>::len)).sum()
}

/// Partitions are never negative once they are assigned.
pub(super) fn number(partition: i32) -> u32 {
    u32::try_from(partition).unwrap_or(0)
}

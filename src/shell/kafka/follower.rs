//! A group of its own that reads a topic's records one by one, and commits each when it and all before it are done with.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::OwnedMessage;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tracing::warn;

use crate::rules::Settings;
use crate::stage::Topic;

use super::client::{Base, Grumbles, PATIENCE, Quiet, client_config, reader, serve};
use super::pulse;

/// A record may take a day: whoever gets it may be away. That its reader has died is noticed by its heartbeat.
const POLL_INTERVAL_MS: &str = "86400000";

/// That we are a member is taken for so long to be as the group said last: less than a member may be silent.
const PROVEN: Duration = Duration::from_secs(5);

/// A member of the group.
pub(in crate::shell) struct Follower {
    base: Base,
    group: String,
    topic: String,
    consumer: BaseConsumer<Quiet>,
    /// What was given out from the committed offset on, by partition and offset, and whether it is done with.
    given: BTreeMap<(i32, i64), bool>,
    /// When the group took a commit of ours last.
    proven: Option<Instant>,
    grumbles: Grumbles,
}

impl Follower {
    /// Joins the group of that name, under the settings' prefix. A group that is new begins at the topic's end: what was
    /// said before it came was for others.
    pub(in crate::shell) fn new(settings: &Settings, group: &str, topic: Topic) -> anyhow::Result<Self> {
        let base = client_config(settings)?;
        let group = format!("{}.{group}", settings.prefix);
        let topic = topic.name(&settings.prefix);
        let consumer = joined(&base, &group, &topic)?;
        Ok(Self { base, group, topic, consumer, given: BTreeMap::new(), proven: None, grumbles: Grumbles::default() })
    }

    /// Joins anew, where the client does not find its group again.
    pub(in crate::shell) fn find_back(&mut self) -> anyhow::Result<()> {
        if self.consumer.context().pulse.is_lost(&self.base, &self.group, &self.topic) {
            warn!(group = self.group, "the client does not find its group again; joining anew");
            self.consumer = joined(&self.base, &self.group, &self.topic)?;
        }
        Ok(())
    }

    /// The next record; none for so long, or where the next one was given out before.
    ///
    /// # Errors
    /// The client cannot go on.
    pub(in crate::shell) fn poll(&mut self, wait: Duration) -> anyhow::Result<Option<OwnedMessage>> {
        match self.consumer.poll(wait).map(|polled| polled.map(|message| message.detach())) {
            Some(Ok(message)) => {
                let place = (message.partition(), message.offset());
                // Where partitions have come and gone they are read again from what is committed.
                return Ok((!self.given.contains_key(&place)).then(|| {
                    self.given.insert(place, false);
                    message
                }));
            }
            None | Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(why)) if self.grumbles.are_due() => warn!(group = self.group, error = %why, "kafka"),
            Some(Err(_)) => {}
        }
        match self.consumer.client().fatal_error() {
            Some((code, reason)) => bail!("the consumer cannot go on: {code}: {reason}"),
            None => Ok(None),
        }
    }

    /// The record is done with: it is not read again once all before it in its partition are done with, too.
    pub(in crate::shell) fn done(&mut self, message: &OwnedMessage) {
        let partition = message.partition();
        self.given.insert((partition, message.offset()), true);
        let own = || (partition, i64::MIN)..=(partition, i64::MAX);
        let mut next = None;
        while let Some((place, true)) = self.given.range(own()).next().map(|(place, done)| (*place, *done)) {
            self.given.remove(&place);
            next = Some(place.1 + 1);
        }
        // What is somebody else's by now is committed by them.
        let Some(next) = next.filter(|_| self.is_assigned(partition)) else { return };
        // If it fails somebody else has the partition by now, and reads it again: at least once.
        if let Err(why) = self.commit(partition, next) {
            warn!(error = %why, offset = next, "not committed");
        }
    }

    /// Whether a partition is still ours, as the group says: one that was frozen, or has waited for long, may not have heard of it.
    pub(in crate::shell) fn owns(&mut self, partition: i32) -> bool {
        if !self.is_assigned(partition) {
            return false;
        }
        let first = self.given.range((partition, i64::MIN)..=(partition, i64::MAX)).next().map(|((_, offset), _)| *offset);
        let Some(first) = first.filter(|_| self.proven.is_none_or(|at| at.elapsed() > PROVEN)) else { return true };
        let code = self.commit(partition, first).err().and_then(|why| why.rdkafka_error_code());
        let expelled = [RDKafkaErrorCode::UnknownMemberId, RDKafkaErrorCode::IllegalGeneration];
        // Where nobody answers nobody else is given it.
        code.is_none_or(|code| !expelled.contains(&code))
    }

    /// What was given out of a partition is somebody else's, or is read again.
    pub(in crate::shell) fn forget(&mut self, partition: i32) {
        self.given.retain(|(of, _), _| *of != partition);
    }

    fn is_assigned(&self, partition: i32) -> bool {
        self.consumer.assignment().is_ok_and(|ours| ours.find_partition(&self.topic, partition).is_some())
    }

    fn commit(&mut self, partition: i32, next: i64) -> KafkaResult<()> {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(&self.topic, partition, Offset::Offset(next))?;
        self.consumer.commit(&offsets, CommitMode::Sync)?;
        self.proven = Some(Instant::now());
        Ok(())
    }
}

fn joined(base: &Base, group: &str, topic: &str) -> anyhow::Result<BaseConsumer<Quiet>> {
    let fixed = [
        ("group.id", group),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("isolation.level", "read_committed"),
        ("max.poll.interval.ms", POLL_INTERVAL_MS),
    ];
    let defaults = [("auto.offset.reset", "earliest"), ("session.timeout.ms", "15000"), ("statistics.interval.ms", pulse::EVERY_MS)];
    let consumer: BaseConsumer<Quiet> =
        base.with(&defaults, &fixed).create_with_context(Quiet::new(base)).context("cannot make a Kafka consumer")?;
    consumer.subscribe(&[topic]).with_context(|| format!("cannot read {topic}"))?;
    Ok(consumer)
}

/// Lets a group that has never read the topic begin where it ends now. Before anything new is said, so that nothing of it
/// is missed.
pub(in crate::shell) fn begin_at_end(settings: &Settings, group: &str, topic: Topic) -> anyhow::Result<()> {
    let base = client_config(settings)?;
    let consumer = reader(&base, &format!("{}.{group}", settings.prefix))?;
    serve(&consumer, &base);
    let topic = topic.name(&settings.prefix);
    let metadata = consumer.fetch_metadata(Some(&topic), PATIENCE).with_context(|| format!("cannot ask for {topic}"))?;
    let mut partitions = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        partitions.add_partition(&topic, partition.id());
    }
    let committed = consumer.committed_offsets(partitions, PATIENCE)?;
    let mut new = TopicPartitionList::new();
    for partition in committed.elements() {
        partition.error().with_context(|| format!("cannot ask where notifying stands in {topic}"))?;
        if partition.offset() != Offset::Invalid {
            continue;
        }
        let (_, end) = consumer.fetch_watermarks(&topic, partition.partition(), PATIENCE)?;
        new.add_partition_offset(&topic, partition.partition(), Offset::Offset(end))?;
    }
    if new.count() > 0 {
        consumer.commit(&new, CommitMode::Sync).context("cannot set where notifying begins")?;
    }
    Ok(())
}

//! A group of its own that reads a topic's records one by one, and commits each when it and all before it are done with.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::OwnedMessage;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tracing::warn;

use crate::rules::Settings;
use crate::rules::settings::SESSION;
use crate::stage::Topic;

use super::client::{Base, CONSUMER_FIXED, Grumbles, PATIENCE, Quiet, client_config, reader, serve};
use super::pulse;

/// A record may take a day: whoever gets it may be away. That its reader has died is noticed by its heartbeat.
const POLL_INTERVAL_MS: &str = "86400000";

/// How long an answer is waited for before a record is done with.
const ASK: Duration = Duration::from_secs(5);

/// That we are a member is taken for so long to be as the group said last: less than a member may be silent.
const PROVEN: Duration = Duration::from_secs(5);

/// A partition that has not been ours for so long is somebody else's; until then it may come back, as in every rebalance.
const AWAY: Duration = Duration::from_secs(60);

/// What is given out past a record that is not done with; beyond it no more is read.
const GIVEN_MAX: usize = 100_000;

/// Whose a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell) enum Whose {
    /// Ours.
    Ours,
    /// That is not known now.
    Open,
    /// Somebody else has done with it.
    Done,
    /// Somebody else's, with all of its partition.
    Theirs,
}

/// A member of the group.
pub(in crate::shell) struct Follower {
    base: Base,
    group: String,
    topic: String,
    consumer: BaseConsumer<Quiet>,
    /// What was given out from the committed offset on, by partition and offset, and whether it is done with.
    given: BTreeMap<(i32, i64), bool>,
    /// When the group took a commit of ours last in a partition, and after how many assignments.
    proven: BTreeMap<i32, (Instant, u64)>,
    /// Since when a partition of which something was given out is not ours.
    away: BTreeMap<i32, Instant>,
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
        Ok(Self {
            base,
            group,
            topic,
            consumer,
            given: BTreeMap::new(),
            proven: BTreeMap::new(),
            away: BTreeMap::new(),
            grumbles: Grumbles::default(),
        })
    }

    /// Joins anew, where the client does not find its group again.
    pub(in crate::shell) fn find_back(&mut self) -> anyhow::Result<()> {
        if self.consumer.context().pulse.is_lost(&self.base, &self.group, &self.topic) {
            warn!(group = self.group, "the client does not find its group again; joining anew");
            self.consumer = joined(&self.base, &self.group, &self.topic)?;
            self.proven.clear();
        }
        Ok(())
    }

    /// Whether no more is to be read until some of what was given out is done with.
    pub(in crate::shell) fn is_full(&self) -> bool {
        self.given.len() >= GIVEN_MAX
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

    /// Whose a record is that was given out, as the group says: one that was frozen, or has waited for long, may not have heard of
    /// it. What somebody else has done with is committed.
    pub(in crate::shell) fn whose(&mut self, message: &OwnedMessage) -> Whose {
        let (partition, offset) = (message.partition(), message.offset());
        if !self.is_assigned(partition) {
            let away = self.away.entry(partition).or_insert_with(Instant::now).elapsed();
            return if away > AWAY { Whose::Theirs } else { Whose::Open };
        }
        self.away.remove(&partition);
        let assignments = self.consumer.context().assignments.load(Ordering::Relaxed);
        if self.proven.get(&partition).is_some_and(|(at, then)| *then == assignments && at.elapsed() < PROVEN) {
            return Whose::Ours;
        }
        // Where nobody answers nobody else is given it.
        let Ok(committed) = self.committed(partition) else { return Whose::Ours };
        let committed = committed.unwrap_or(i64::MIN);
        self.given.retain(|(of, at), _| *of != partition || *at >= committed);
        if committed > offset {
            return Whose::Done;
        }
        let first = self.given.range((partition, i64::MIN)..=(partition, i64::MAX)).next().map_or(offset, |((_, first), _)| *first);
        match self.commit(partition, first) {
            Ok(()) => drop(self.proven.insert(partition, (Instant::now(), assignments))),
            Err(why) => {
                let expelled = [RDKafkaErrorCode::UnknownMemberId, RDKafkaErrorCode::IllegalGeneration];
                if why.rdkafka_error_code().is_some_and(|code| expelled.contains(&code)) {
                    return Whose::Open;
                }
            }
        }
        Whose::Ours
    }

    fn committed(&self, partition: i32) -> KafkaResult<Option<i64>> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&self.topic, partition);
        let committed = self.consumer.committed_offsets(asked, ASK)?;
        Ok(committed.find_partition(&self.topic, partition).and_then(|found| found.offset().to_raw()).filter(|offset| *offset >= 0))
    }

    /// What was given out of a partition is somebody else's, or is read again.
    pub(in crate::shell) fn forget(&mut self, partition: i32) {
        self.given.retain(|(of, _), _| *of != partition);
        self.away.remove(&partition);
    }

    fn is_assigned(&self, partition: i32) -> bool {
        self.consumer.assignment().is_ok_and(|ours| ours.find_partition(&self.topic, partition).is_some())
    }

    fn commit(&mut self, partition: i32, next: i64) -> KafkaResult<()> {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(&self.topic, partition, Offset::Offset(next))?;
        self.consumer.commit(&offsets, CommitMode::Sync)
    }
}

fn joined(base: &Base, group: &str, topic: &str) -> anyhow::Result<BaseConsumer<Quiet>> {
    let fixed = [&CONSUMER_FIXED[..], &[("group.id", group), ("max.poll.interval.ms", POLL_INTERVAL_MS)]].concat();
    let session = SESSION.as_millis().to_string();
    let defaults =
        [("auto.offset.reset", "earliest"), ("session.timeout.ms", session.as_str()), ("statistics.interval.ms", pulse::EVERY_MS)];
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

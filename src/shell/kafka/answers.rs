//! What comes on the incidents topic from now on: the answers to a command.

use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::rules::Settings;
use crate::stage::Topic;

use super::client::{Quiet, client_config, reader, serve};

/// How long a broker may take to answer.
const ASK: Duration = Duration::from_secs(10);

/// A reader of the incidents topic that stands where its partitions ended.
pub(crate) struct Answers(BaseConsumer<Quiet>);

impl Answers {
    /// Stands at the ends of the topic; none where there is no topic yet.
    ///
    /// # Errors
    /// Kafka cannot be reached.
    pub(crate) fn from_now(settings: &Settings) -> anyhow::Result<Option<Self>> {
        let base = client_config(settings)?;
        let topic = Topic::Incidents.name(&settings.prefix);
        let consumer = reader(&base, &format!("{}.act", settings.prefix))?;
        serve(&consumer, &base);
        let asked = || format!("cannot ask {} for {topic}", settings.brokers.join(", "));
        let metadata = consumer.fetch_metadata(Some(&topic), ASK).with_context(asked)?;
        let mut assigned = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            let (_, end) = consumer.fetch_watermarks(&topic, partition.id(), ASK).with_context(asked)?;
            assigned.add_partition_offset(&topic, partition.id(), Offset::Offset(end))?;
        }
        if assigned.count() == 0 {
            return Ok(None);
        }
        consumer.assign(&assigned)?;
        Ok(Some(Self(consumer)))
    }

    /// The first event that is an answer; none where there was none for so long.
    pub(crate) fn wait<T>(&self, within: Duration, mut answer: impl FnMut(&[u8]) -> Option<T>) -> Option<T> {
        let began = Instant::now();
        while let Some(left) = within.checked_sub(began.elapsed()) {
            if let Some(Ok(record)) = self.0.poll(left)
                && let Some(answer) = answer(record.payload().unwrap_or_default())
            {
                return Some(answer);
            }
        }
        None
    }
}

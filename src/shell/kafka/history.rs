//! The incidents topic from its beginning to where it ends now.

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::rules::Settings;
use crate::stage::Topic;

use super::client::{PATIENCE, client_config, reader, serve};

/// Gives each event of the incidents topic, each partition's in order.
///
/// # Errors
/// Kafka cannot be reached, or the topic is not there.
pub(crate) fn incidents(settings: &Settings, mut take: impl FnMut(&[u8])) -> anyhow::Result<()> {
    let base = client_config(settings)?;
    let topic = Topic::Incidents.name(&settings.prefix);
    let consumer = reader(&base, &format!("{}.explain", settings.prefix))?;
    serve(&consumer, &base);
    let metadata = consumer
        .fetch_metadata(Some(&topic), PATIENCE)
        .with_context(|| format!("cannot ask {} for {topic}", settings.brokers.join(", ")))?;
    let partitions: BTreeSet<i32> = metadata.topics().iter().flat_map(|topic| topic.partitions()).map(|p| p.id()).collect();
    if partitions.is_empty() {
        bail!("there is no topic {topic}");
    }
    let mut assigned = TopicPartitionList::new();
    for partition in &partitions {
        assigned.add_partition_offset(&topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&assigned)?;
    let mut left = partitions;
    while !left.is_empty() {
        match consumer.poll(PATIENCE) {
            Some(Ok(record)) => take(record.payload().unwrap_or_default()),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                left.remove(&partition);
            }
            Some(Err(error)) => return Err(error).with_context(|| format!("cannot read {topic}")),
            None => bail!("nothing was heard of {topic} for {} s", PATIENCE.as_secs()),
        }
    }
    Ok(())
}

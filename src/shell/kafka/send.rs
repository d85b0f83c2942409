//! One record to a topic, and the wait until it is there.

use anyhow::{Context, anyhow};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::rules::Settings;

use super::client::{PATIENCE, Quiet, client_config};

/// Appends a record, and tells where it is: partition and offset.
///
/// # Errors
/// Kafka cannot be reached, or does not take it.
pub(crate) fn send(settings: &Settings, topic: &str, key: &str, payload: &[u8]) -> anyhow::Result<(i32, i64)> {
    let base = client_config(settings)?;
    // As with any producer, brokers that make topics make this one; where they do not, nobody waits for it for long.
    let fixed = [
        ("allow.auto.create.topics", "true"),
        ("topic.metadata.propagation.max.ms", "5000"),
        ("enable.idempotence", "true"),
        ("message.timeout.ms", "30000"),
        ("partitioner", "murmur2_random"),
    ];
    let producer: FutureProducer<Quiet> =
        base.with(&[], &fixed).create_with_context(Quiet::new(&base)).context("cannot make a Kafka producer")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sent = runtime.block_on(producer.send(FutureRecord::to(topic).key(key).payload(payload), PATIENCE));
    let brokers = settings.brokers.join(",");
    let failed = |why: KafkaError| match why.rdkafka_error_code() {
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            anyhow!(
                "there is no topic {topic} at {brokers}; make it: kafka-topics.sh --bootstrap-server {brokers} --create --topic {topic}"
            )
        }
        _ => anyhow!("{topic} at {brokers} does not take it: {why}"),
    };
    sent.map(|delivery| (delivery.partition, delivery.offset)).map_err(|(why, _)| failed(why))
}

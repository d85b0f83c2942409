//! librdkafka's configuration and callbacks. A callback only sends a message to the worker's loop.

use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::Context;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::ProducerContext;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::util::Timeout;
use tracing::{error, warn};

use crate::rules::{Property, Settings};

/// What all clients share: the brokers, and the properties from the settings, secrets read from where they are named.
pub(in crate::shell) fn client_config(settings: &Settings) -> anyhow::Result<Base> {
    let mut common = ClientConfig::new();
    common.set("bootstrap.servers", settings.brokers.join(","));
    common.set("client.id", "richter");
    // The default of ten seconds leaves a consumer blind long after an outage is over.
    common.set("reconnect.backoff.max.ms", "1000");
    common.set("topic.metadata.refresh.interval.ms", "10000");
    common.set("allow.auto.create.topics", "false");
    let mut properties = vec![];
    for (name, value) in &settings.properties {
        properties.push((name.clone(), read(value).with_context(|| format!("kafka property {name}"))?));
    }
    Ok(Base { common, properties })
}

/// The common configuration, and the settings' properties, which are applied after every default.
pub(in crate::shell) struct Base {
    common: ClientConfig,
    properties: Vec<(String, String)>,
}

impl Base {
    /// A client's configuration: the common one, its own defaults, the settings' properties, and what is not to be set.
    pub(super) fn with(&self, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = self.common.clone();
        let properties = self.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in defaults.iter().copied().chain(properties).chain(fixed.iter().copied()) {
            config.set(name, value);
        }
        config
    }
}

fn read(property: &Property) -> anyhow::Result<String> {
    match property {
        Property::Inline(value) => Ok(value.clone()),
        Property::File { file } => {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
            Ok(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        Property::Env { env } => std::env::var(env).with_context(|| format!("environment variable {env}")),
    }
}

/// The consumer of a stage.
pub(super) fn consumer(base: &Base, group: &str, listener: Listener) -> anyhow::Result<BaseConsumer<Listener>> {
    let defaults = [
        ("auto.offset.reset", "earliest"),
        ("statistics.interval.ms", "5000"),
        // What waits in memory of records fetched ahead, per consumer.
        ("queued.max.messages.kbytes", "32768"),
    ];
    let fixed = [("group.id", group), ("enable.auto.commit", "false"), ("enable.auto.offset.store", "false")];
    base.with(&defaults, &fixed).create_with_context(listener).context("cannot make a Kafka consumer")
}

/// The producer of a stage: idempotent, and it never gives up by itself.
pub(super) fn producer(base: &Base, reports: Sender<Event>) -> anyhow::Result<rdkafka::producer::BaseProducer<Reports>> {
    let defaults = [
        ("linger.ms", "5"),
        ("compression.type", "zstd"),
        ("queue.buffering.max.kbytes", "65536"),
        // Keyed as the Java client would, so that others find an incident's partition.
        ("partitioner", "murmur2_random"),
    ];
    let fixed = [("enable.idempotence", "true"), ("message.timeout.ms", "0")];
    base.with(&defaults, &fixed).create_with_context(Reports(reports)).context("cannot make a Kafka producer")
}

/// What callbacks tell the loop.
#[derive(Debug)]
pub(super) enum Event {
    /// These partitions are ours from now on.
    Assigned(Vec<(String, i32)>),
    /// These are not any more.
    Revoked(Vec<(String, i32)>),
    /// Records not yet consumed, by topic and partition.
    Lag(Vec<(String, i32, i64)>),
    /// A record was not delivered and will not be.
    Undelivered { topic: String, why: KafkaError },
    /// A client told of an error; it goes on by itself.
    Error(String),
}

/// The consumer's callbacks.
pub(super) struct Listener {
    /// To the worker's loop.
    pub(super) events: Sender<Event>,
    /// Whether state is rebuilt from the log: then it is read from its start, not from the committed offset.
    pub(super) from_start: bool,
}

impl Listener {
    fn tell(&self, event: Event) {
        // The loop has ended: nobody is left to act on it.
        self.events.send(event).ok();
    }
}

impl ClientContext for Listener {
    fn stats(&self, statistics: Statistics) {
        let topics = statistics.topics.into_values().flat_map(|topic| {
            let name = topic.topic;
            topic.partitions.into_values().map(move |p| (name.clone(), p.partition, p.consumer_lag))
        });
        self.tell(Event::Lag(topics.filter(|(_, partition, lag)| *partition >= 0 && *lag >= 0).collect()));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.tell(Event::Error(format!("{error}: {reason}")));
    }
}

impl ConsumerContext for Listener {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, err: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let list = partitions.elements().iter().map(|e| (e.topic().to_owned(), e.partition())).collect();
        let result = match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.tell(Event::Assigned(list));
                if self.from_start {
                    partitions.set_all_offsets(Offset::Beginning).and_then(|()| consumer.assign(partitions))
                } else {
                    consumer.assign(partitions)
                }
            }
            _ => {
                self.tell(Event::Revoked(list));
                consumer.unassign()
            }
        };
        if let Err(why) = result {
            error!(error = %why, "partitions could not be taken over");
        }
    }

    fn main_queue_min_poll_interval(&self) -> Timeout {
        Timeout::After(Duration::from_millis(100))
    }
}

/// The producer's callbacks.
pub(super) struct Reports(Sender<Event>);

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        self.0.send(Event::Error(format!("{error}: {reason}"))).ok();
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), message)) = result {
            // It would be refused again after every restart.
            error!(topic = message.topic(), bytes = message.payload_len(), "a record is too large for the broker and is lost");
        } else if let Err((why, message)) = result {
            warn!(topic = message.topic(), error = %why, "a record was not delivered");
            self.0.send(Event::Undelivered { topic: message.topic().to_owned(), why: why.clone() }).ok();
        }
    }
}

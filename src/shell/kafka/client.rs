//! librdkafka's configuration and callbacks. A callback only sends a message to the worker's loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{ProducerContext, ThreadedProducer};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::util::Timeout;
use tracing::warn;

use crate::rules::settings::SESSION;
use crate::rules::{Property, Settings};

use super::oauth::TokenFile;
use super::pulse::{self, Pulse};

/// How long the brokers may take to answer a command of one of ours.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// One line of an outage in this time is enough; where there is a counter, it has them all.
const GRUMBLE_EVERY: Duration = Duration::from_secs(10);

/// When a client's errors were logged last.
#[derive(Debug, Default)]
pub(in crate::shell) struct Grumbles(Option<Instant>);

impl Grumbles {
    /// Whether it is time for another line.
    pub(in crate::shell) fn are_due(&mut self) -> bool {
        let due = self.0.is_none_or(|at| at.elapsed() > GRUMBLE_EVERY);
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}

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
        properties.push((name.clone(), secret(value).with_context(|| format!("kafka property {name}"))?));
    }
    let instance = settings.instance.clone().unwrap_or_else(|| default_instance(settings));
    Ok(Base { common, properties, instance, token: settings.oauth_token_file.clone().map(TokenFile::new) })
}

/// The host's name and the port served: different for two instances on one host, the same after a restart.
fn default_instance(settings: &Settings) -> String {
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).take(180).collect();
    format!("{host}-{}", settings.listen.port())
}

/// The common configuration, and the settings' properties, which are applied after every default.
#[derive(Clone)]
pub(in crate::shell) struct Base {
    common: ClientConfig,
    properties: Vec<(String, String)>,
    /// This instance's name.
    pub(in crate::shell) instance: String,
    pub(super) token: Option<TokenFile>,
}

impl Base {
    /// The same for a member that reads sources with that fingerprint. With others it is another member: one that comes back
    /// under its own name is given what it had, and nobody looks at what else there is.
    pub(in crate::shell) fn of_sources(&self, fingerprint: u64) -> Self {
        Self { instance: format!("{}-{fingerprint:016x}", self.instance), ..self.clone() }
    }

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

/// What librdkafka does not know, or does not take, of the properties that are written out.
pub(in crate::shell) fn wrong_properties(settings: &Settings) -> Vec<String> {
    let inline = settings.properties.iter().filter_map(|(name, value)| match value {
        Property::Inline(value) => Some((name, value)),
        Property::File { .. } | Property::Env { .. } => None,
    });
    // The value may be a secret whose name is spelt wrong.
    let wrong = inline.filter_map(|(name, value)| match ClientConfig::new().set(name, value).create_native_config() {
        Err(KafkaError::ClientConfig(_, why, ..)) => Some(format!("kafka property {name}: {why}")),
        Ok(_) | Err(_) => None,
    });
    wrong.collect()
}

/// Which secrets are not where they are named.
pub(crate) fn missing_secrets(settings: &Settings) -> Vec<String> {
    let of_kafka = settings.properties.iter().map(|(name, property)| (format!("kafka property {name}"), property));
    let of_targets = settings.notify.iter().flat_map(|target| {
        let secret = target.secret.iter().map(|secret| ("secret", secret));
        std::iter::once(("url", &target.url)).chain(secret).map(|(what, of)| (format!("{what} of the target {}", target.name), of))
    });
    let missing = of_kafka.chain(of_targets).filter_map(|(what, property)| Some(format!("{what}: {:#}", secret(property).err()?)));
    missing.collect()
}

/// A property's value, read from where it is named.
pub(in crate::shell) fn secret(property: &Property) -> anyhow::Result<String> {
    match property {
        Property::Inline(value) => Ok(value.clone()),
        Property::File { file } => {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
            Ok(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        Property::Env { env } => std::env::var(env).with_context(|| format!("environment variable {env}")),
    }
}

/// What never changes for a consumer, whatever its purpose.
pub(super) const CONSUMER_FIXED: [(&str, &str); 3] =
    [("enable.auto.commit", "false"), ("enable.auto.offset.store", "false"), ("isolation.level", "read_committed")];

/// A consumer that is a member of a stage's group. It keeps its place through a restart: partitions do not move then.
pub(super) fn member(base: &Base, group: &str, listener: Listener) -> anyhow::Result<BaseConsumer<Listener>> {
    let session = SESSION.as_millis().to_string();
    let defaults = [
        ("auto.offset.reset", "earliest"),
        ("statistics.interval.ms", pulse::EVERY_MS),
        // What waits in memory of records fetched ahead, per consumer.
        ("queued.max.messages.kbytes", "32768"),
        ("session.timeout.ms", &session),
    ];
    let own = [("group.id", group), ("group.instance.id", &base.instance), ("partition.assignment.strategy", "cooperative-sticky")];
    let fixed = [own.as_slice(), &CONSUMER_FIXED, &[("enable.partition.eof", "true")]].concat();
    base.with(&defaults, &fixed).create_with_context(listener).context("cannot make a Kafka consumer")
}

/// A consumer that reads what it is told to, and asks how far a group has committed, without being a member of it.
pub(super) fn reader(base: &Base, group: &str) -> anyhow::Result<BaseConsumer<Quiet>> {
    let fixed = [[("group.id", group), ("enable.partition.eof", "true")].as_slice(), &CONSUMER_FIXED].concat();
    let context = Quiet::new(base);
    // What it reads is there, or is nothing: it does not wait for more.
    let defaults = [("auto.offset.reset", "earliest"), ("fetch.wait.max.ms", "50")];
    base.with(&defaults, &fixed).create_with_context(context).context("cannot make a Kafka consumer")
}

/// Serves a reader's callbacks before it is asked something: only there a token is renewed.
pub(super) fn serve(reader: &BaseConsumer<Quiet>, base: &Base) {
    let patience = if base.token.is_some() { Duration::from_millis(100) } else { Duration::ZERO };
    reader.poll(patience);
}

/// What producers have in common.
const PRODUCER: [(&str, &str); 4] = [
    // What belongs together is sent in one go, and waited for.
    ("linger.ms", "1"),
    ("compression.type", "zstd"),
    ("queue.buffering.max.kbytes", "65536"),
    // Keyed as the Java client would, so that others find an incident's partition.
    ("partitioner", "murmur2_random"),
];

/// Route's producer: idempotent, and it never gives up by itself.
pub(super) fn producer(base: &Base, events: Sender<Event>) -> anyhow::Result<ThreadedProducer<Reports>> {
    let fixed = [("enable.idempotence", "true"), ("message.timeout.ms", "0")];
    let reports = Reports { events, token: base.token.clone() };
    base.with(&PRODUCER, &fixed).create_with_context(reports).context("cannot make a Kafka producer")
}

/// A stage's producer: all it sends is in transactions.
pub(super) fn transactional(base: &Base, id: &str, events: Sender<Event>) -> anyhow::Result<ThreadedProducer<Reports>> {
    // Transactions are short; one that a dead instance left open holds its readers back for this long.
    let defaults = [PRODUCER.as_slice(), &[("transaction.timeout.ms", "10000")]].concat();
    let reports = Reports { events, token: base.token.clone() };
    base.with(&defaults, &[("transactional.id", id)]).create_with_context(reports).context("cannot make a Kafka producer")
}

/// What callbacks tell the loop.
pub(super) enum Event {
    /// These partitions are ours from now on, in the group's generation that this proves us to be a member of.
    Assigned(Vec<(String, i32)>, Option<ConsumerGroupMetadata>),
    /// These are to be given up.
    Revoked(Vec<(String, i32)>),
    /// These are not ours any more, and may be somebody else's already.
    Lost(Vec<(String, i32)>),
    /// None is ours any more; we have joined anew.
    Expelled,
    /// Where the logs end, by topic and partition.
    Ends(Vec<(String, i32, i64)>),
    /// A record was not delivered and will not be.
    Undelivered { topic: String, why: KafkaError },
    /// A record is larger than the client takes. It is lost, for it would be refused again after every restart.
    TooLarge { topic: String, bytes: usize },
    /// A record is larger than the broker takes for that topic.
    Refused { topic: String, bytes: usize },
    /// A client told of an error; it goes on by itself.
    Error(String),
}

/// A member's callbacks.
pub(super) struct Listener {
    /// To the worker's loop.
    pub(super) events: Sender<Event>,
    /// Set when the loop has ended: nobody is left to give partitions up.
    pub(super) closing: Arc<AtomicBool>,
    pub(super) token: Option<TokenFile>,
    pub(super) pulse: Pulse,
}

impl Listener {
    fn tell(&self, event: Event) {
        // The loop has ended: nobody is left to act on it.
        self.events.send(event).ok();
    }
}

impl ClientContext for Listener {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn stats(&self, statistics: Statistics) {
        self.pulse.see(&statistics);
        let topics = statistics.topics.into_values().flat_map(|topic| {
            let name = topic.topic;
            topic.partitions.into_values().map(move |p| (name.clone(), p.partition, p.ls_offset))
        });
        self.tell(Event::Ends(topics.filter(|(_, partition, end)| *partition >= 0 && *end >= 0).collect()));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The end of a partition is told as an error too.
        if error != KafkaError::Global(RDKafkaErrorCode::PartitionEOF) {
            self.tell(Event::Error(format!("{error}: {reason}")));
        }
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        TokenFile::token(self.token.as_ref())
    }
}

impl ConsumerContext for Listener {
    /// The loop takes over and gives up in its own time; the protocol waits for it.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, err: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let list = partitions.elements().iter().map(|e| (e.topic().to_owned(), e.partition())).collect();
        let assigned = err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Relaxed) {
            let nothing = TopicPartitionList::new();
            let result = if assigned { consumer.incremental_assign(&nothing) } else { consumer.incremental_unassign(partitions) };
            result.unwrap_or_else(|why| warn!(error = %why, "partitions could not be given up"));
        } else if assigned {
            self.tell(Event::Assigned(list, consumer.group_metadata()));
        } else if consumer.assignment_lost() {
            self.tell(Event::Lost(list));
        } else {
            self.tell(Event::Revoked(list));
        }
    }

    fn main_queue_min_poll_interval(&self) -> Timeout {
        Timeout::After(Duration::from_millis(100))
    }
}

/// A reader's callbacks. Its results tell that something failed; what and why is told here.
pub(super) struct Quiet {
    token: Option<TokenFile>,
    /// Of one that is a member of a group.
    pub(super) pulse: Pulse,
    /// How often partitions were assigned to it.
    pub(super) assignments: AtomicU64,
}

impl Quiet {
    pub(super) fn new(base: &Base) -> Self {
        Self { token: base.token.clone(), pulse: Pulse::default(), assignments: AtomicU64::new(0) }
    }
}

impl ClientContext for Quiet {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn stats(&self, statistics: Statistics) {
        self.pulse.see(&statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // That no broker is left is told for each of them, and again with the result.
        let told = [RDKafkaErrorCode::PartitionEOF, RDKafkaErrorCode::AllBrokersDown].map(KafkaError::Global);
        if !told.contains(&error) {
            warn!(%error, reason, "kafka");
        }
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        TokenFile::token(self.token.as_ref())
    }
}

impl ConsumerContext for Quiet {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Assign(_)) {
            self.assignments.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A producer's callbacks.
pub(super) struct Reports {
    events: Sender<Event>,
    token: Option<TokenFile>,
}

impl ClientContext for Reports {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn error(&self, error: KafkaError, reason: &str) {
        self.events.send(Event::Error(format!("{error}: {reason}"))).ok();
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        TokenFile::token(self.token.as_ref())
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), message)) = result {
            self.events.send(Event::Refused { topic: message.topic().to_owned(), bytes: message.payload_len() }).ok();
        } else if let Err((why, message)) = result {
            self.events.send(Event::Undelivered { topic: message.topic().to_owned(), why: why.clone() }).ok();
        }
    }
}

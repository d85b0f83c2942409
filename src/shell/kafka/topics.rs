//! Richter's own topics: made where they are missing, verified where they exist.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use tokio::runtime::Runtime;
use tracing::{info, warn};

use super::client::{Base, Quiet, reader, serve};
use crate::model::labels::Fnv;
use crate::rules::Settings;
use crate::stage::Topic;

const TIMEOUT: Duration = Duration::from_secs(10);

const DAY_MS: i64 = 86_400_000;

/// A replay begins at the snapshot before the newest, at most twelve hours each apart; a day also outlasts a night in
/// which no instance runs.
const RETENTION_MS_MIN: i64 = DAY_MS;

/// What is internal is split into records of at most half a megabyte; a single signal may be larger.
const RECORD_BYTES_MIN: i64 = 1_000_000;

/// What a topic is made with.
fn made_with(topic: Topic) -> &'static [(&'static str, &'static str)] {
    match topic {
        Topic::Samples | Topic::Signals => &[("cleanup.policy", "delete"), ("retention.ms", "604800000"), ("retention.bytes", "-1")],
        Topic::Incidents => &[("cleanup.policy", "delete"), ("retention.ms", "-1")],
        Topic::DeadLetter => &[("cleanup.policy", "delete"), ("retention.ms", "2592000000")],
        // Compaction leaves the newest segment alone: small ones keep short what a recovery reads.
        Topic::State => &[
            ("cleanup.policy", "compact"),
            ("segment.bytes", "67108864"),
            ("segment.ms", "3600000"),
            ("min.cleanable.dirty.ratio", "0.2"),
            ("max.compaction.lag.ms", "7200000"),
        ],
    }
}

/// How many partitions a topic is made with, and must have unless any number does.
fn partitions(topic: Topic, settings: &Settings) -> u32 {
    match topic {
        Topic::Samples | Topic::State => settings.partitions.samples,
        // One order over all of them is worth more than a second partition.
        Topic::Signals | Topic::Incidents | Topic::DeadLetter => 1,
    }
}

/// What a topic has to be for the promise to hold: (name, fits, value that mends it, why).
type Need = (&'static str, fn(&str) -> bool, &'static str, &'static str);

fn needs(topic: Topic) -> Vec<Need> {
    let record: Need =
        ("max.message.bytes", |v| v.parse().is_ok_and(|v: i64| v >= RECORD_BYTES_MIN), "1048588", "records may be as large as a megabyte");
    let delete: Need = ("cleanup.policy", |v| v == "delete", "delete", "a log that is compacted cannot be replayed");
    let kept: Need =
        ("retention.ms", |v| v.parse().is_ok_and(|v: i64| v == -1 || v >= RETENTION_MS_MIN), "604800000", "a replay may need a day of it");
    let whole: Need = ("retention.bytes", |v| v == "-1", "-1", "a replay needs all of it, however large");
    let compact: Need = ("cleanup.policy", |v| v == "compact", "compact", "snapshots must stay until newer ones replace them");
    match topic {
        Topic::Samples | Topic::Signals => vec![delete, kept, whole, record],
        Topic::State => vec![compact, record],
        Topic::Incidents => vec![delete, record],
        Topic::DeadLetter => vec![record],
    }
}

/// Why the topics are not ready.
#[derive(Debug)]
pub(in crate::shell) enum NotReady {
    /// The broker does not answer now; it may later.
    Unreachable(anyhow::Error),
    /// Somebody has to mend it.
    Wrong(anyhow::Error),
}

/// Makes and verifies the topics; gives a fingerprint of what there is of the sources. Blocks: it is called off the async runtime.
pub(in crate::shell) fn prepare(base: &Base, settings: &Settings) -> Result<u64, NotReady> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot make a runtime").map_err(NotReady::Wrong)?;
    // librdkafka's admin client gets no tokens from us: then topics are not made here, and not looked into.
    let admin = match base.token {
        Some(_) => None,
        None => {
            Some(base.with(&[], &[]).create_with_context(Quiet::new(base)).context("cannot make a Kafka client").map_err(NotReady::Wrong)?)
        }
    };
    let topics = Topics { admin, runtime: &runtime, settings };
    let existing = existing(base, settings)?;
    for source in settings.sources.iter().filter(|s| !existing.contains_key(&s.topic)) {
        warn!(topic = source.topic, "a source's topic does not exist; it is read as soon as it does");
    }
    let (there, missing): (Vec<Topic>, Vec<Topic>) = Topic::ALL.into_iter().partition(|t| existing.contains_key(&topics.name(*t)));
    let mut faults = topics.wrong_counts(&there, &existing);
    faults.extend(topics.wrong_configs(&there)?);
    if !faults.is_empty() {
        return Err(NotReady::Wrong(anyhow!(faults.join("\n"))));
    }
    match &topics.admin {
        Some(admin) => missing.into_iter().try_for_each(|topic| topics.create(admin, topic))?,
        None if missing.is_empty() => {}
        None => return Err(NotReady::Wrong(topics.to_be_made(&missing))),
    }
    Ok(sources(settings, &existing))
}

/// Which sources there are, and with how many partitions.
fn sources(settings: &Settings, existing: &BTreeMap<String, u32>) -> u64 {
    let mut sources: Vec<(&str, u32)> =
        settings.sources.iter().map(|s| (s.topic.as_str(), existing.get(&s.topic).copied().unwrap_or(0))).collect();
    sources.sort_unstable();
    let texts: Vec<String> = sources.into_iter().map(|(topic, partitions)| format!("{topic} {partitions}")).collect();
    Fnv::of(&texts.iter().map(String::as_bytes).collect::<Vec<_>>())
}

/// All topics, with how many partitions they have.
fn existing(base: &Base, settings: &Settings) -> Result<BTreeMap<String, u32>, NotReady> {
    let reader = reader(base, &format!("{}.topics", settings.prefix)).map_err(NotReady::Wrong)?;
    serve(&reader, base);
    let metadata = reader.fetch_metadata(None, TIMEOUT).context("the brokers do not answer").map_err(NotReady::Unreachable)?;
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(metadata.topics().iter().map(|t| (t.name().to_owned(), count(t.partitions().len()))).collect())
}

struct Topics<'t> {
    admin: Option<AdminClient<Quiet>>,
    runtime: &'t Runtime,
    settings: &'t Settings,
}

impl Topics<'_> {
    fn name(&self, topic: Topic) -> String {
        topic.name(&self.settings.prefix)
    }

    fn broker(&self) -> &str {
        self.settings.brokers.first().map_or("localhost:9092", String::as_str)
    }

    fn wrong_counts(&self, there: &[Topic], existing: &BTreeMap<String, u32>) -> Vec<String> {
        let mut faults = vec![];
        for topic in there.iter().copied().filter(|topic| !matches!(topic, Topic::Incidents | Topic::DeadLetter)) {
            let (name, wanted) = (self.name(topic), partitions(topic, self.settings));
            let Some(count) = existing.get(&name).filter(|count| **count != wanted) else { continue };
            let begin_anew = |topics: &str| {
                format!(
                    "To begin anew with {wanted}, stop all instances and run: kafka-topics.sh --bootstrap-server {} --delete --topic '{topics}'",
                    self.broker()
                )
            };
            let advice = if topic == Topic::Signals {
                begin_anew(&name)
            } else {
                format!(
                    "if it was made with {count}, set kafka.partitions.samples to {count}; it must never grow. {}",
                    begin_anew(&format!("{}\\.(samples|state)", self.settings.prefix))
                )
            };
            faults.push(format!("topic {name} has {count} partitions, and should have {wanted}: {advice}"));
        }
        faults
    }

    fn wrong_configs(&self, there: &[Topic]) -> Result<Vec<String>, NotReady> {
        let names: Vec<String> = there.iter().map(|topic| self.name(*topic)).collect();
        let resources: Vec<ResourceSpecifier<'_>> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let Some(admin) = self.admin.as_ref().filter(|_| !resources.is_empty()) else {
            return Ok(vec![]);
        };
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let described = self.runtime.block_on(admin.describe_configs(&resources, &options));
        let described = described.context("the brokers do not answer").map_err(NotReady::Unreachable)?;
        let mut faults = vec![];
        for ((topic, name), config) in there.iter().zip(&names).zip(described) {
            match config {
                Ok(config) => faults.extend(self.unmet(*topic, name, &config)),
                Err(why) => warn!(topic = name, error = %why, "its configuration cannot be seen, so it is not verified"),
            }
        }
        Ok(faults)
    }

    fn unmet(&self, topic: Topic, name: &str, config: &ConfigResource) -> Vec<String> {
        let values = config.entry_map();
        let value = |key: &str| values.get(key).and_then(|entry| entry.value.clone()).unwrap_or_default();
        let unmet = needs(topic).into_iter().filter(|(key, fits, ..)| !fits(&value(key)));
        let text = |(key, _, mended, why): Need| {
            format!(
                "topic {name} has {key}={}, but {why}; run: kafka-configs.sh --bootstrap-server {} --alter --entity-type topics \
                 --entity-name {name} --add-config {key}={mended}",
                value(key),
                self.broker()
            )
        };
        unmet.map(text).collect()
    }

    fn to_be_made(&self, missing: &[Topic]) -> anyhow::Error {
        let command = |topic: &Topic| {
            let config: String = made_with(*topic).iter().map(|(key, value)| format!(" --config {key}={value}")).collect();
            format!(
                "kafka-topics.sh --bootstrap-server {} --create --topic {} --partitions {} --replication-factor {}{config}",
                self.broker(),
                self.name(*topic),
                partitions(*topic, self.settings),
                self.settings.replication
            )
        };
        let commands: Vec<String> = missing.iter().map(command).collect();
        anyhow!("with a token for OAUTHBEARER topics cannot be made from here; run:\n{}", commands.join("\n"))
    }

    fn create(&self, admin: &AdminClient<Quiet>, topic: Topic) -> Result<(), NotReady> {
        let (name, partitions) = (self.name(topic), i32::try_from(partitions(topic, self.settings)).unwrap_or(i32::MAX));
        let plain = NewTopic::new(&name, partitions, TopicReplication::Fixed(self.settings.replication));
        let new = made_with(topic).iter().fold(plain, |new, (key, value)| new.set(key, value));
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
        let results = self.runtime.block_on(admin.create_topics([&new], &options));
        let results = results.context("the brokers do not answer").map_err(NotReady::Unreachable)?;
        match results.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) | None => Ok(()),
            Some(Err((name, code))) => refused(&name, code).map_err(NotReady::Wrong),
            Some(Ok(name)) => {
                info!(topic = name, partitions, "made a topic");
                Ok(())
            }
        }
    }
}

fn refused(name: &str, code: RDKafkaErrorCode) -> anyhow::Result<()> {
    bail!("cannot make topic {name}: {code}; make it by hand, or let this client create topics")
}

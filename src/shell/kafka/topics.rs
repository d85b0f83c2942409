//! Richter's own topics: made where they are missing, verified where they exist.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use tracing::{info, warn};

use super::client::Base;
use crate::rules::Settings;
use crate::stage::Topic;

const TIMEOUT: Duration = Duration::from_secs(10);

/// What a topic is made with: the internal ones keep a week, from which state is rebuilt; declarations stay.
fn retention_ms(topic: Topic) -> &'static str {
    match topic {
        Topic::Samples | Topic::Signals => "604800000",
        Topic::Incidents => "-1",
        Topic::DeadLetter => "2592000000",
    }
}

fn partitions(topic: Topic, settings: &Settings) -> u32 {
    match topic {
        Topic::Samples => settings.partitions.samples,
        Topic::Signals => settings.partitions.signals,
        // Few records: one order over all of them is worth more than a second partition.
        Topic::Incidents | Topic::DeadLetter => 1,
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

/// Makes and verifies the topics. Blocks: it is called off the async runtime.
pub(in crate::shell) fn prepare(base: &Base, settings: &Settings) -> Result<(), NotReady> {
    let admin: AdminClient<DefaultClientContext> =
        base.with(&[], &[]).create().context("cannot make a Kafka client").map_err(NotReady::Wrong)?;
    let existing = existing(&admin).map_err(NotReady::Unreachable)?;
    for source in settings.sources.iter().filter(|s| !existing.contains_key(&s.topic)) {
        warn!(topic = source.topic, "a source's topic does not exist; it is read as soon as it does");
    }
    for topic in Topic::ALL {
        let name = format!("{}.{}", settings.prefix, topic.suffix());
        let wanted = partitions(topic, settings);
        match existing.get(&name) {
            None => create(&admin, &name, topic, wanted, settings)?,
            Some(count) if *count == wanted || matches!(topic, Topic::Incidents | Topic::DeadLetter) => {}
            Some(count) => return Err(NotReady::Wrong(wrong_count(&name, *count, wanted, topic))),
        }
    }
    Ok(())
}

fn wrong_count(name: &str, count: u32, wanted: u32, topic: Topic) -> anyhow::Error {
    let key = if topic == Topic::Samples { "samples" } else { "signals" };
    anyhow::anyhow!(
        "topic {name} has {count} partitions, the settings say {wanted}: set kafka.partitions.{key} to {count}, \
         or delete the topic while no instance runs (kafka-topics.sh --delete --topic {name}) and it is made anew"
    )
}

fn existing(admin: &AdminClient<DefaultClientContext>) -> anyhow::Result<BTreeMap<String, u32>> {
    let metadata = admin.inner().fetch_metadata(None, TIMEOUT).context("the brokers do not answer")?;
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(metadata.topics().iter().map(|t| (t.name().to_owned(), count(t.partitions().len()))).collect())
}

fn create(
    admin: &AdminClient<DefaultClientContext>,
    name: &str,
    topic: Topic,
    partitions: u32,
    settings: &Settings,
) -> Result<(), NotReady> {
    let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
    let new = NewTopic::new(name, partitions, TopicReplication::Fixed(settings.replication)).set("retention.ms", retention_ms(topic));
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot make a runtime").map_err(NotReady::Wrong)?;
    let results = runtime.block_on(admin.create_topics([&new], &options));
    let results = results.context("the brokers do not answer").map_err(NotReady::Unreachable)?;
    match results.into_iter().next() {
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
        Some(Err((name, code))) => refused(&name, code).map_err(NotReady::Wrong),
        Some(Ok(name)) => {
            info!(topic = name, partitions, "made a topic");
            Ok(())
        }
        None => Ok(()),
    }
}

fn refused(name: &str, code: RDKafkaErrorCode) -> anyhow::Result<()> {
    bail!("cannot make topic {name}: {code}; make it by hand, or let this client create topics")
}

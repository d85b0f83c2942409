//! State in Kafka: what a restart finds, what it refuses, and what it says then.

use std::fs;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use richter::model::Timestamp;
use richter::wire::recording::Recorded;
use serde_json::Value;

use super::broker;
use super::case::Case;
use super::kafka::{case, in_order, offline};
use super::world::{PATIENCE, World};

/// A world in which the first half of a case has been told.
fn half_told(name: &str, case: &Case, kafka: &str) -> (World, super::world::Daemon) {
    let world = World::new(name, case, broker::shared());
    world.configure(case, kafka);
    world.make_sources(1);
    let daemon = world.start();
    world.ready();
    world.produce(&case.records[..case.records.len() / 2]);
    world.read("incidents", 2);
    (world, daemon)
}

/// The second half, and what was told in the end.
fn rest_told(world: &World, case: &Case) -> Vec<String> {
    world.produce(&case.records[case.records.len() / 2..]);
    let count = offline(case).len();
    let told: Vec<Value> = world.read("incidents", count).into_iter().map(|(_, event)| event).collect();
    in_order(&told)
}

#[test]
fn rules_changed_while_it_was_away_leave_what_is_open_alone() {
    let case = case("escalates_and_recovers");
    let (world, daemon) = half_told("away-rules", &case, "");
    drop(daemon);
    // The log from the last snapshot on is replayed under the rules it was first read under, and these come after it.
    let monitors = fs::read_to_string(world.folder.join("monitors.yaml")).expect("readable");
    fs::write(world.folder.join("monitors.yaml"), monitors.replace("\"< 20\"", "\"< 1\"")).expect("written");
    let daemon = world.start();
    world.until("the new rules", || world.metrics("richter_config_followed").iter().filter(|line| line.ends_with(" 1")).count() == 3);
    assert_eq!(rest_told(&world, &case), offline(&case));
    assert_eq!(daemon.stops(), Some(0));
}

#[test]
fn instances_with_different_rules_can_be_told_apart() {
    let case = case("escalates_and_recovers");
    let world = World::new("apart", &case, broker::shared());
    world.make_sources(1);
    let other = world.sibling("apart-other", &case);
    let monitors = fs::read_to_string(world.folder.join("monitors.yaml")).expect("readable");
    fs::write(other.folder.join("monitors.yaml"), monitors.replace("\"< 20\"", "\"< 1\"")).expect("written");
    let _daemons = [world.start(), other.start()];
    world.ready();
    other.ready();
    let fingerprint = |world: &World| world.metrics("richter_config_info").join("");
    assert_ne!(fingerprint(&world), fingerprint(&other));
    fs::write(other.folder.join("monitors.yaml"), monitors).expect("written");
    assert_eq!(other.http("POST", "/-/reload").map(|(code, _)| code), Some(200));
    other.until("the same rules", || fingerprint(&world) == fingerprint(&other));
}

/// The newest record of the state topic whose key begins so: the last chunk of the newest snapshot.
fn newest(world: &World, prefix: &str) -> (i32, String) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &world.address).set("group.id", "newest").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut found = None;
    for partition in 0..2 {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&world.topic("state"), partition, Offset::Beginning).expect("a partition");
        consumer.assign(&list).expect("assigned");
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(record)) => {
                    let key = String::from_utf8_lossy(record.key().unwrap_or_default()).into_owned();
                    if key.starts_with(prefix) && record.payload().is_some() {
                        found = Some((partition, key));
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(_)) | None => {}
            }
        }
    }
    found.expect("a snapshot")
}

fn overwrite(world: &World, (partition, key): &(i32, String), payload: &[u8]) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", &world.address).create().expect("a producer");
    let topic = world.topic("state");
    producer.send(BaseRecord::to(&topic).partition(*partition).key(key).payload(payload)).map_err(|(why, _)| why).expect("queued");
    producer.flush(PATIENCE).expect("delivered");
}

#[test]
fn a_damaged_snapshot_is_refused_and_the_one_before_is_used() {
    let case = case("escalates_and_recovers");
    let (world, mut daemon) = half_told("damaged", &case, "  snapshot_every: { min: 100ms, max: 1s }\n");
    let snapshots = || world.metric("richter_snapshots_total{stage=\"declare\"}").unwrap_or_default();
    let mut last = (0, String::new());
    for _ in 0..5 {
        world.until("a few snapshots", || snapshots() >= 3.0);
        drop(daemon);
        last = newest(&world, "declare/0/");
        overwrite(&world, &last, b"\x01 rubbish");
        daemon = world.start();
        world.ready();
        // One that was whole when it was killed, but not named yet, is none that it would look for.
        if world.log().contains("a snapshot is refused") {
            break;
        }
    }
    assert!(world.log().contains("a snapshot is refused; the one before is used"), "{}", world.log());
    assert!(!world.log().contains("there is no good snapshot"), "{}", world.log());
    drop(daemon);
    // An unknown version, in both slots: then the whole log is read.
    for slot in 0..2 {
        overwrite(&world, &(last.0, format!("declare/0/{slot}/00000")), b"\x63 from the future");
    }
    let daemon = world.start();
    world.ready();
    assert!(world.log().contains("chunk 0 is damaged: it has version 99, this program reads version 2"), "{}", world.log());
    assert!(world.log().contains("there is no good snapshot; the log is read from its start"), "{}", world.log());
    assert_eq!(rest_told(&world, &case), offline(&case));
    assert_eq!(daemon.stops(), Some(0));
}

fn admin(world: &World) -> (AdminClient<DefaultClientContext>, AdminOptions, tokio::runtime::Runtime) {
    let admin = ClientConfig::new().set("bootstrap.servers", &world.address).create().expect("a client");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    (admin, AdminOptions::new().operation_timeout(Some(PATIENCE)), runtime)
}

#[test]
fn what_was_told_is_not_told_again_when_the_groups_offsets_are_gone() {
    let case = case("escalates_and_recovers");
    let (world, daemon) = half_told("offsets", &case, "  snapshot_every: { min: 100ms, max: 1s }\n");
    let told = rest_told(&world, &case).len();
    world.until("a snapshot", || world.metric("richter_snapshots_total{stage=\"declare\"}").is_some_and(|number| number >= 1.0));
    assert_eq!(daemon.stops(), Some(0));
    let (admin, options, runtime) = admin(&world);
    let group = world.topic("declare");
    // A member that has left with a name of its own is one until its session is over.
    let gone = || runtime.block_on(admin.delete_groups(&[&group], &options)).is_ok_and(|gone| gone.iter().all(Result::is_ok));
    world.until("the group is gone", gone);
    let daemon = world.start();
    world.ready();
    assert!(world.log().contains("a state was kept, but the group's offsets are gone"), "{}", world.log());
    let silence = r#"{"id":"s","author":"ann","command":"silence","alerts":"Down","until":"2030-01-01T00:00:00Z"}"#;
    let ts = Timestamp(case.records.iter().map(|record| record.ts.0).max().unwrap_or_default() + 1000);
    world.produce(&[Recorded { topic: "commands".into(), ts, payload: Some(silence.into()), ..Recorded::default() }]);
    let (_, next) = world.read("incidents", told + 1).remove(told);
    assert_eq!(next["type"], "io.richter.command.accepted.v1");
    assert_eq!(daemon.stops(), Some(0));
}

#[test]
fn topics_that_break_the_promise_are_refused_with_the_remedy() {
    let case = case("escalates_and_recovers");
    let world = World::new("topics", &case, broker::shared());
    world.make_sources(1);
    let (admin, options, runtime) = admin(&world);
    let names = ["samples", "signals", "state"].map(|name| world.topic(name));
    let new = |name, count, key, value| NewTopic::new(name, count, TopicReplication::Fixed(1)).set(key, value);
    let topics = [
        new(&names[0], 2, "retention.ms", "3600000"),
        new(&names[1], 1, "cleanup.policy", "compact"),
        new(&names[2], 2, "segment.ms", "9000"),
    ];
    let made = runtime.block_on(admin.create_topics(&topics, &options)).expect("answered");
    made.into_iter().for_each(|topic| drop(topic.expect("made")));
    let mut daemon = world.start();
    assert_eq!(daemon.0.wait().expect("it ends").code(), Some(2));
    let log = world.log();
    for (name, wrong, remedy) in [
        (&names[0], "retention.ms=3600000", "retention.ms=604800000"),
        (&names[1], "cleanup.policy=compact", "cleanup.policy=delete"),
        (&names[2], "cleanup.policy=delete", "cleanup.policy=compact"),
    ] {
        assert!(log.contains(&format!("topic {name} has {wrong}, but")), "{log}");
        let command = format!(
            "kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {name} --add-config {remedy}",
            world.address
        );
        assert!(log.contains(&command), "{log}");
    }
}

#[test]
fn an_internal_topic_that_has_grown_is_refused() {
    let case = case("escalates_and_recovers");
    let (world, daemon) = half_told("grown", &case, "");
    assert_eq!(daemon.stops(), Some(0));
    let (admin, options, runtime) = admin(&world);
    let grown = ["samples", "state"].map(|name| world.topic(name));
    let more: Vec<NewPartitions<'_>> = grown.iter().map(|name| NewPartitions::new(name, 3)).collect();
    runtime.block_on(admin.create_partitions(&more, &options)).expect("answered").into_iter().for_each(|topic| drop(topic.expect("grown")));
    let mut daemon = world.start();
    assert_eq!(daemon.0.wait().expect("it ends").code(), Some(2));
    assert!(
        world
            .log()
            .contains("has 3 partitions, and should have 2: if it was made with 3, set kafka.partitions.samples to 3; it must never grow"),
        "{}",
        world.log()
    );
    // That the settings agree makes it no better: state lies where two partitions put it.
    let settings = fs::read_to_string(world.folder.join("richter.yaml")).expect("readable");
    fs::write(world.folder.join("richter.yaml"), settings.replace("samples: 2", "samples: 3")).expect("written");
    let mut daemon = world.start();
    let ended = Instant::now() + Duration::from_secs(30);
    while daemon.0.try_wait().expect("known").is_none() {
        assert!(Instant::now() < ended, "it does not end; {}", world.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let expected = "had 2 partitions when its state was written, now it has 3";
    assert!(world.log().contains(expected), "{}", world.log());
    assert!(world.log().contains("kafka-topics.sh --bootstrap-server"), "{}", world.log());
}

#[test]
fn what_was_removed_while_it_was_away_is_counted_as_lost() {
    let case = case("escalates_and_recovers");
    let (world, daemon) = half_told("removed", &case, "");
    assert_eq!(daemon.stops(), Some(0));
    let read = case.records[..case.records.len() / 2].iter().filter(|record| record.topic == "metrics").count();
    let rest = &case.records[case.records.len() / 2..];
    world.produce(rest);
    let missed = rest.iter().filter(|record| record.topic == "metrics").count();
    let (admin, options, runtime) = admin(&world);
    let name = world.topic("metrics");
    let mut list = TopicPartitionList::new();
    let end = Offset::Offset(i64::try_from(read + missed).expect("few"));
    list.add_partition_offset(&name, 0, end).expect("a place");
    runtime.block_on(admin.delete_records(&list, &options)).expect("answered");
    let _daemon = world.start();
    world.ready();
    let lost = || world.metrics("richter_lost_records_total").into_iter().find(|line| line.contains(&name));
    world.until("the loss", || lost().is_some_and(|line| line.ends_with(&format!(" {missed}"))));
    assert!(world.log().contains("removed before they were read"), "{}", world.log());
}

#[test]
fn a_source_that_came_while_it_was_away_is_read() {
    let case = case("escalates_and_recovers");
    let (world, daemon) = half_told("came", &case, "");
    assert_eq!(daemon.stops(), Some(0));
    let (admin, options, runtime) = admin(&world);
    let name = world.topic("metrics");
    let grown = runtime.block_on(admin.create_partitions(&[NewPartitions::new(&name, 2)], &options)).expect("answered");
    grown.into_iter().for_each(|topic| drop(topic.expect("grown")));
    let late = world.topic("late");
    let new = NewTopic::new(&late, 1, TopicReplication::Fixed(1));
    runtime.block_on(admin.create_topics(&[new], &options)).expect("answered").into_iter().for_each(|topic| drop(topic.expect("made")));
    let settings = fs::read_to_string(world.folder.join("richter.yaml")).expect("readable");
    let settings = settings.replace("sources:\n", &format!("sources:\n  - {{ topic: {late}, kind: alerts }}\n"));
    fs::write(world.folder.join("richter.yaml"), settings).expect("written");
    let daemon = world.start();
    let taken = |topic: &str, partition: u32| {
        world.log().contains(&format!("took a partition over stage=\"route\" topic=\"{topic}\" partition={partition}"))
    };
    world.until("the new source and the new partition", || taken(&late, 0) && taken(&name, 1));
    assert_eq!(daemon.stops(), Some(0));
}

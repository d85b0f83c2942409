//! The daemon on a real Apache Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use richter::wire::recording::Recorded;
use serde_json::Value;

use super::broker::{self, Broker};
use super::case::{Case, events, line};
use super::program::scratch;

const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon on topics and with a configuration of its own.
struct World {
    address: String,
    name: String,
    folder: PathBuf,
    port: u16,
}

struct Daemon(Child);

impl World {
    /// The topics exist and the configuration is a case's; nothing runs yet.
    fn new(name: &str, case: &Case, address: &str) -> Self {
        let folder = scratch(&format!("kafka-test-{name}"));
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let unique = format!("{name}-{}-{port}", std::process::id());
        let world = Self { address: address.to_owned(), name: unique, folder, port };
        for (file, section) in [("monitors.yaml", "monitors"), ("levels.yaml", "levels"), ("topology.yaml", "topology")] {
            fs::write(world.folder.join(file), case.section(section)).expect("written");
        }
        let settings = format!(
            "kafka: {{ brokers: [ \"{address}\" ], prefix: {0}, partitions: {{ samples: 2 }}, properties: {{ session.timeout.ms: 6000 }} }}\n\
             sources:\n  - {{ topic: {0}.metrics, kind: metrics }}\n  - {{ topic: {0}.alerts, kind: alerts }}\n  - {{ topic: {0}.changes, kind: changes }}\n\
             rule_files: [ monitors.yaml ]\nlevel_files: [ levels.yaml ]\ntopology_files: [ topology.yaml ]\n\
             http: {{ listen: \"127.0.0.1:{port}\" }}\n{1}",
            world.name,
            case.section("settings")
        );
        fs::write(world.folder.join("richter.yaml"), settings).expect("written");
        world
    }

    fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    fn make_sources(&self) {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.address).create().expect("a client");
        let names = ["metrics", "alerts", "changes"].map(|name| self.topic(name));
        let topics: Vec<NewTopic<'_>> =
            names.iter().map(|name| NewTopic::new(name, 1, TopicReplication::Fixed(1)).set("retention.ms", "-1")).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let made = runtime.block_on(admin.create_topics(&topics, &AdminOptions::new().operation_timeout(Some(PATIENCE))));
        made.expect("answered").into_iter().for_each(|topic| drop(topic.expect("made")));
    }

    fn start(&self) -> Daemon {
        let log = fs::File::options().create(true).append(true).open(self.folder.join("log")).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_richter"));
        command.args(["run", "--config"]).arg(&self.folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Daemon(command.spawn().expect("it starts"))
    }

    fn http(&self, method: &str, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: richter\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < until, "{what} did not come; see {}/log\n{}", self.folder.display(), self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn ready(&self) {
        self.until("readiness", || self.http("GET", "/-/ready").is_some_and(|(code, _)| code == 200));
    }

    fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.http("GET", "/metrics")?;
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn produce(&self, records: &[Recorded]) {
        let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", &self.address).create().expect("a producer");
        for record in records {
            let topic = self.topic(&record.topic);
            let message: BaseRecord<'_, (), str> =
                BaseRecord::to(&topic).payload(record.payload.as_deref().unwrap_or_default()).timestamp(record.ts.0).partition(0);
            producer.send(message).map_err(|(why, _)| why).expect("queued");
        }
        producer.flush(PATIENCE).expect("delivered");
    }

    /// As it was recorded: what came after an alert or a change comes after it again.
    fn produce_in_order(&self, records: &[Recorded]) {
        let mut told: BTreeMap<&str, f64> = BTreeMap::new();
        for part in records.chunk_by(|a, _| a.topic == "metrics") {
            self.produce(part);
            for record in part.iter().filter(|r| r.topic != "metrics") {
                *told.entry(&record.topic).or_default() += 1.0;
            }
            for (topic, count) in &told {
                let name = format!("richter_records_total{{outcome=\"applied\",topic=\"{}\"}}", self.topic(topic));
                self.until("an alert or a change", || self.metric(&name) == Some(*count));
            }
        }
    }

    /// The first `count` records of one of its topics, as (headers, payload).
    fn read(&self, topic: &str, count: usize) -> Vec<(BTreeMap<String, String>, Value)> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address).set("group.id", "reader").set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset(&self.topic(topic), 0, rdkafka::Offset::Beginning).expect("a partition");
        consumer.assign(&list).expect("assigned");
        let mut records = vec![];
        let until = Instant::now() + PATIENCE;
        while records.len() < count {
            if Instant::now() >= until {
                panic!("{} of {count} records in {topic}\n{:?}\n{}", records.len(), self.http("GET", "/metrics"), self.log());
            }
            let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) else { continue };
            let headers = message.headers().map(|headers| {
                let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
                headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
            });
            let payload = serde_json::from_slice(message.payload().unwrap_or_default()).expect("JSON");
            records.push((headers.unwrap_or_default(), payload));
        }
        records
    }
}

impl Daemon {
    fn signal(&self, signal: &str) {
        let killed = Command::new("kill").args([signal, &self.0.id().to_string()]).status().expect("kill starts");
        assert!(killed.success());
    }

    fn stops(mut self) -> Option<i32> {
        self.signal("-TERM");
        self.0.wait().expect("it ends").code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn case(name: &str) -> Case {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/{name}.txt"));
    Case::parse(name, &fs::read_to_string(path).expect("a case"))
}

/// The events offline, each in a line, by incident.
fn offline(case: &Case) -> Vec<String> {
    in_order(&events(&case.run().messages))
}

fn in_order(events: &[Value]) -> Vec<String> {
    let mut lines: Vec<(String, String)> =
        events.iter().map(|e| (format!("{} {:>4}", e["partitionkey"], e["data"]["incident"]["sequence"]), line(e))).collect();
    lines.sort();
    lines.into_iter().map(|(id, line)| format!("{id} {line}")).collect()
}

#[test]
fn a_recording_gives_on_kafka_what_replay_gives_offline() {
    for name in ["escalates_and_recovers", "names_suspects_and_changes", "relapse_reopens", "generic_definition_is_the_floor"] {
        let case = case(name);
        let world = World::new(name, &case, broker::shared());
        world.make_sources();
        let daemon = world.start();
        world.ready();
        world.produce_in_order(&case.records);
        let expected = offline(&case);
        let told = world.read("incidents", expected.len());
        for (headers, event) in &told {
            assert_eq!(headers["content-type"], "application/cloudevents+json; charset=UTF-8");
            assert_eq!(headers["ce_id"], event["id"].as_str().expect("an id"));
        }
        let told: Vec<Value> = told.into_iter().map(|(_, event)| event).collect();
        assert_eq!(in_order(&told), expected, "{name}");
        assert_eq!(daemon.stops(), Some(0), "{}", world.log());
    }
}

#[test]
fn a_bad_record_is_in_the_dead_letter_topic_and_harms_no_other() {
    let case = case("bad_records_harm_nobody");
    let world = World::new("bad", &case, broker::shared());
    world.make_sources();
    let _daemon = world.start();
    world.ready();
    world.produce(&case.records);
    let told: Vec<Value> = world.read("incidents", 2).into_iter().map(|(_, event)| event).collect();
    assert_eq!(in_order(&told), offline(&case));
    let letters: BTreeSet<(String, i64, String)> = world
        .read("dead-letter", 4)
        .into_iter()
        .map(|(_, letter)| {
            let text = |key: &str| letter[key].as_str().unwrap_or_default().to_owned();
            (text("topic").rsplit('.').next().unwrap_or_default().to_owned(), letter["offset"].as_i64().unwrap_or(-1), text("reason"))
        })
        .collect();
    let expected = [
        ("alerts", 0, "unexpected_shape"),
        ("changes", 0, "unexpected_shape"),
        ("metrics", 4, "not_json"),
        ("metrics", 8, "timestamp_ahead"),
    ];
    assert_eq!(letters, expected.map(|(topic, offset, reason)| (topic.to_owned(), offset, reason.to_owned())).into());
    world.until("the count of dead letters", || world.metric("richter_dead_letters_total{reason=\"timestamp_ahead\"}") == Some(1.0));
}

#[test]
fn killed_in_the_middle_it_goes_on_and_says_nothing_else() {
    let case = case("escalates_and_recovers");
    let world = World::new("killed", &case, broker::shared());
    world.make_sources();
    let (first, second) = case.records.split_at(case.records.len() / 2);
    let daemon = world.start();
    world.ready();
    world.produce(first);
    world.read("incidents", 2);
    drop(daemon);
    let daemon = world.start();
    world.produce(second);
    let expected = offline(&case);
    let mut told: Vec<Value> = vec![];
    for (_, event) in world.read("incidents", expected.len()) {
        match told.iter().find(|other| other["id"] == event["id"]) {
            Some(other) => assert_eq!(*other, event, "one id, one content"),
            None => told.push(event),
        }
    }
    assert_eq!(in_order(&told), expected);
    assert_eq!(daemon.stops(), Some(0));
}

#[test]
fn a_broker_that_is_away_is_waited_for() {
    let case = case("escalates_and_recovers");
    let mut broker = Broker::prepared("away");
    let world = World::new("away", &case, &broker.address.clone());
    let _daemon = world.start();
    world.until("health", || world.http("GET", "/-/healthy").is_some_and(|(code, _)| code == 200));
    assert_eq!(world.http("GET", "/-/ready").map(|(code, _)| code), Some(503));
    broker.start();
    world.make_sources();
    world.ready();
    let (first, second) = case.records.split_at(case.records.len() / 2);
    world.produce(first);
    world.read("incidents", 2);
    broker.kill();
    broker.start();
    world.produce(second);
    let expected = offline(&case);
    let told: Vec<Value> = world.read("incidents", expected.len()).into_iter().map(|(_, event)| event).collect();
    assert_eq!(in_order(&told), expected);
}

#[test]
fn a_reload_is_taken_or_refused_and_never_touches_what_is_open() {
    let case = case("escalates_and_recovers");
    let world = World::new("reload", &case, broker::shared());
    world.make_sources();
    let daemon = world.start();
    world.ready();
    let (first, second) = case.records.split_at(case.records.len() / 2);
    world.produce(first);
    world.read("incidents", 2);

    let monitors = fs::read_to_string(world.folder.join("monitors.yaml")).expect("readable");
    fs::write(world.folder.join("monitors.yaml"), monitors.replace("level: 3", "level: 33")).expect("written");
    let (code, why) = world.http("POST", "/-/reload").expect("answered");
    assert_eq!(code, 400);
    assert!(why.contains("monitors.yaml:13:20: level 33 of sequence P; it has 1 to 4"), "{why}");
    assert_eq!(world.metric("richter_config_last_reload_successful"), Some(0.0));

    // Other definitions: what is open keeps those it was declared under.
    fs::write(world.folder.join("monitors.yaml"), monitors.replace("\"< 20\"", "\"< 1\"")).expect("written");
    daemon.signal("-HUP");
    world.until("the reload", || world.metric("richter_config_last_reload_successful") == Some(1.0));
    world.produce(second);
    let expected = offline(&case);
    let told: Vec<Value> = world.read("incidents", expected.len()).into_iter().map(|(_, event)| event).collect();
    assert_eq!(in_order(&told), expected);
    assert_eq!(daemon.stops(), Some(0));
}

#[test]
fn a_topic_with_other_partitions_is_refused_with_the_remedy() {
    let case = case("escalates_and_recovers");
    let world = World::new("partitions", &case, broker::shared());
    world.make_sources();
    let daemon = world.start();
    world.ready();
    assert_eq!(daemon.stops(), Some(0));
    let settings = fs::read_to_string(world.folder.join("richter.yaml")).expect("readable");
    fs::write(world.folder.join("richter.yaml"), settings.replace("samples: 2", "samples: 3")).expect("written");
    let mut daemon = world.start();
    assert_eq!(daemon.0.wait().expect("it ends").code(), Some(2));
    let expected = format!("topic {}.samples has 2 partitions, the settings say 3: set kafka.partitions.samples to 2", world.name);
    assert!(world.log().contains(&expected), "{}", world.log());
}

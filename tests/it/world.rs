//! A world for a daemon: topics, a configuration and a port of its own, on a real Apache Kafka.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
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

use super::broker::{free_port, scratch};
use super::case::Case;

pub(crate) const PATIENCE: Duration = Duration::from_secs(200);

/// A crash is noticed after this, or a zombie becomes one.
const SESSION: &str = "  properties: { session.timeout.ms: 6000, heartbeat.interval.ms: 1000 }\n";

/// A daemon on topics and with a configuration of its own.
pub(crate) struct World {
    pub(crate) address: String,
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) port: u16,
}

pub(crate) struct Daemon(pub(crate) Child);

impl World {
    /// The configuration is a case's; nothing runs yet, and no topic exists.
    pub(crate) fn new(name: &str, case: &Case, address: &str) -> Self {
        let port = free_port();
        let world =
            Self { address: address.to_owned(), name: format!("{name}-{}-{port}", std::process::id()), folder: scratch(name), port };
        world.configure(case, "");
        world
    }

    /// Another instance of the same, with a folder and a port of its own.
    pub(crate) fn sibling(&self, name: &str, case: &Case) -> Self {
        let world = Self { address: self.address.clone(), name: self.name.clone(), folder: scratch(name), port: free_port() };
        world.configure(case, "");
        world
    }

    /// Writes the configuration; `kafka` is added to that section.
    pub(crate) fn configure(&self, case: &Case, kafka: &str) {
        for (file, section) in [("monitors.yaml", "monitors"), ("levels.yaml", "levels"), ("topology.yaml", "topology")] {
            fs::write(self.folder.join(file), format!("# {section}\n{}", case.section(section))).expect("written");
        }
        let Self { address, name, port, .. } = self;
        let session = if kafka.contains("properties:") { "" } else { SESSION };
        let settings = format!(
            "kafka:\n  brokers: [ \"{address}\" ]\n  prefix: {name}\n  partitions: {{ samples: 2 }}\n{kafka}\
             {session}sources:\n  - {{ topic: {name}.metrics, kind: metrics }}\n  - {{ topic: {name}.alerts, kind: alerts }}\n  - {{ topic: {name}.changes, kind: changes }}\n  - {{ topic: {name}.commands, kind: commands }}\n\
             rule_files: [ monitors.yaml ]\nlevel_files: [ levels.yaml ]\ntopology_files: [ topology.yaml ]\n\
             http: {{ listen: \"127.0.0.1:{port}\" }}\n{}",
            case.section("settings")
        );
        fs::write(self.folder.join("richter.yaml"), settings).expect("written");
    }

    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    /// Makes the sources' topics; that of metrics with so many partitions.
    pub(crate) fn make_sources(&self, metrics: i32) {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.address).create().expect("a client");
        let names = ["metrics", "alerts", "changes", "commands"].map(|name| self.topic(name));
        let replicas = self.address.split(',').count() as i32;
        let topics: Vec<NewTopic<'_>> = names
            .iter()
            .zip([metrics, 1, 1, 1])
            .map(|(name, count)| NewTopic::new(name, count, TopicReplication::Fixed(replicas)).set("retention.ms", "-1"))
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let made = runtime.block_on(admin.create_topics(&topics, &AdminOptions::new().operation_timeout(Some(PATIENCE))));
        made.expect("answered").into_iter().for_each(|topic| drop(topic.expect("made")));
    }

    /// Starts the daemon. What a test writes is of long ago, and all of it counts.
    pub(crate) fn start(&self) -> Daemon {
        self.start_with(&[("RICHTER__SITUATIONS__DECLARE_HISTORY", "true")])
    }

    pub(crate) fn start_with(&self, environment: &[(&str, &str)]) -> Daemon {
        let log = fs::File::options().create(true).append(true).open(self.folder.join("log")).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_richter"));
        command
            .args(["run", "--config"])
            .arg(&self.folder)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        Daemon(command.spawn().expect("it starts"))
    }

    pub(crate) fn http(&self, method: &str, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: richter\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    pub(crate) fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < until, "{what} did not come; see {}/log\n{}", self.folder.display(), self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn ready(&self) {
        self.until("readiness", || self.http("GET", "/-/ready").is_some_and(|(code, _)| code == 200));
    }

    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.http("GET", "/metrics")?;
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// The lines of a metric.
    pub(crate) fn metrics(&self, name: &str) -> Vec<String> {
        let (_, text) = self.http("GET", "/metrics").unwrap_or_default();
        text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    pub(crate) fn produce(&self, records: &[Recorded]) {
        let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", &self.address).create().expect("a producer");
        for record in records {
            let topic = self.topic(&record.topic);
            let message: BaseRecord<'_, (), [u8]> = BaseRecord::to(&topic).timestamp(record.ts.0).partition(0);
            let message = match &record.payload {
                Some(payload) => message.payload(payload),
                None => message,
            };
            producer.send(message).map_err(|(why, _)| why).expect("queued");
        }
        producer.flush(PATIENCE).expect("delivered");
    }

    /// As it was recorded: what came after an alert or a change comes after it again.
    pub(crate) fn produce_in_order(&self, records: &[Recorded]) {
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
    pub(crate) fn read(&self, topic: &str, count: usize) -> Vec<(BTreeMap<String, String>, Value)> {
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
    pub(crate) fn signal(&self, signal: &str) {
        let killed = Command::new("kill").args([signal, &self.0.id().to_string()]).status().expect("kill starts");
        assert!(killed.success());
    }

    pub(crate) fn stops(mut self) -> Option<i32> {
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

//! The daemon on a real Apache Kafka: throughput, latency and recovery. `cargo bench --bench kafka [-- NAME]`.
//!
//! The broker runs on the same machine and shares its cores; its CPU time is given beside Richter's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::{Value, json};

use broker::Broker;
use case::Case;
use world::{Daemon, World};

#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/it/broker.rs"]
mod broker;
#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/it/case.rs"]
mod case;
#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/it/world.rs"]
mod world;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let benches: [(&str, fn()); 3] = [("throughput", throughput), ("latency", latency), ("recovery", recovery)];
    for (name, bench) in benches {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            bench();
        }
    }
}

/// A configuration with these monitors and settings.
fn configuration(monitors: &str, settings: &str) -> Case {
    Case::parse("bench", &format!("== settings\n{settings}\n== monitors\n{monitors}\n== records 2026-11-20T00:00:00Z every 1m\n"))
}

/// Seconds of CPU that a process has used.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let after = stat.rsplit_once(')').expect("a name").1;
    let ticks: Vec<f64> = after.split_whitespace().skip(11).take(2).map(|text| text.parse().expect("a number")).collect();
    ticks.iter().sum::<f64>() / 100.0
}

fn producer(address: &str) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address).set("linger.ms", "5").set("compression.type", "lz4");
    config.set("queue.buffering.max.messages", "1000000").create().expect("a producer")
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, at_ms: i64, payload: &str) {
    let mut record: BaseRecord<'_, (), str> = BaseRecord::to(topic).partition(partition).payload(payload).timestamp(at_ms);
    loop {
        match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                producer.poll(Duration::from_millis(10));
                record = again;
            }
            Err((why, _)) => panic!("{why}"),
        }
    }
}

fn sample(metric: &str, id: usize, at_ms: i64, value: u64) -> String {
    let at = richter::model::Timestamp(at_ms);
    format!(
        r#"{{"labels":{{"__name__":"{metric}","id":"{id:07}","region":"eu-west-1"}},"name":"{metric}","timestamp":"{at}","value":"{value}"}}"#
    )
}

/// 2026-11-20T00:00:00Z
const START_MS: i64 = 1_795_132_800_000;

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

/// JSON metrics through all stages: two million samples of ten thousand series, ten monitors, each series matched by one.
fn throughput() {
    const RECORDS: usize = 2_000_000;
    const SERIES: usize = 10_000;
    println!("throughput: {RECORDS} JSON samples of {SERIES} series waiting in 2 partitions, 10 monitors, each series matched by one");
    let mut broker = Broker::prepared("bench-throughput");
    broker.start();
    let monitors: String = (0..10)
        .map(|n| {
            format!(
                "  - {{ name: m{n}, entity: \"id={{{{ id }}}}\", query: sum by (id) (load{n}), every: 1m, judge: {{ static: {{ above: 1000 }} }} }}\n"
            )
        })
        .collect();
    let case = configuration(&format!("monitors:\n{monitors}"), "limits: { groups_per_monitor: 100000 }");
    let world = World::new("bench-throughput", &case, &broker.address);
    world.make_sources(2);
    let producer = producer(&broker.address);
    let topic = world.topic("metrics");
    let mut bytes = 0;
    for number in 0..RECORDS {
        let (id, step) = (number % SERIES, (number / SERIES) as i64);
        let at = START_MS + step * 30_000;
        let payload = sample(&format!("load{}", id % 10), id, at, number as u64 % 900);
        bytes += payload.len();
        send(&producer, &topic, (id % 2) as i32, at, &payload);
    }
    producer.flush(Duration::from_secs(120)).expect("delivered");
    let bare = bare_consumer(&world, &topic);
    let broker_before = cpu(broker.pid());
    let daemon = world.start();
    let pid = daemon.0.id();
    world.ready();
    let began = Instant::now();
    let total = |name: &str| world.metrics(name).iter().filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>();
    while total("richter_samples_total") < RECORDS as f64 {
        assert!(began.elapsed() < Duration::from_secs(300), "it does not come to an end");
        std::thread::sleep(Duration::from_millis(50));
    }
    let (wall, own, brokers) = (began.elapsed().as_secs_f64(), cpu(pid), cpu(broker.pid()) - broker_before);
    let records = RECORDS as f64;
    println!("  {:.0} bytes a record; evaluations {:.0}", bytes as f64 / records, total("richter_evaluations_total"));
    let taken = |stage: &str| total(&format!("richter_stage_duration_seconds_sum{{stage=\"{stage}\""));
    println!("  at work: route {:.1} s, detect {:.1} s, declare {:.1} s", taken("route"), taken("detect"), taken("declare"));
    println!("  richter: {wall:.1} s, {:.0} samples/s; {own:.1} CPU-s, {:.0} samples per CPU-second", records / wall, records / own);
    println!("  the broker meanwhile: {brokers:.1} CPU-s");
    println!("  beside it, a bare consumer that parses the JSON and drops it: {bare:.1} CPU-s; richter / bare = {:.1}", own / bare);
    drop(daemon);
}

/// CPU seconds of a consumer in this process that reads a topic to its end and parses what it reads.
fn bare_consumer(world: &World, topic: &str) -> f64 {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &world.address).set("group.id", "bare").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    for partition in 0..2 {
        list.add_partition_offset(topic, partition, Offset::Beginning).expect("a partition");
    }
    let before = cpu(std::process::id());
    consumer.assign(&list).expect("assigned");
    let (mut ends, mut parsed) = (0, 0_usize);
    let until = Instant::now() + Duration::from_secs(60);
    while ends < 2 && Instant::now() < until {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(record)) => {
                let value: Value = serde_json::from_slice(record.payload().unwrap_or_default()).expect("JSON");
                parsed += usize::from(value["value"].is_string());
            }
            Some(Err(KafkaError::PartitionEOF(_))) => ends += 1,
            Some(Err(why)) => panic!("{why}"),
            None => {}
        }
    }
    assert_eq!((ends, parsed > 0), (2, true), "it reads to the end");
    cpu(std::process::id()) - before
}

/// The shops that alerts are about: each goes down and up again in turn, and each time is a declaration.
const SHOPS: usize = 300;

const ALERTS: &str = "monitors:\n  - { name: down, scenario: A shop is down, entity: \"shop={{ shop }}\", alerts: Down, fault: { sequence: P, ladder: [ { level: 2 } ] } }\n";

/// From an alert's append to its declaration's append, and to when a read_committed reader has it: open loop.
fn latency() {
    println!("latency: alerts that are each declared at once, of {SHOPS} shops; milliseconds from the alert's append");
    let mut broker = Broker::prepared("bench-latency");
    broker.start();
    let case = configuration(ALERTS, "time: { idle_after: 2s }\nsituations: { gap: 100ms, reopen_within: 1ms, update_every: 24h }");
    let saturation = {
        let world = latency_world("bench-saturation", &case, &broker, 100);
        let daemon = world.start();
        world.ready();
        // The first ones warm the broker.
        let burst = |rounds: usize| {
            let began = Instant::now();
            alerts(&world, rounds * SHOPS, f64::INFINITY).len() as f64 / began.elapsed().as_secs_f64()
        };
        let rate = [20, 100, 100].map(burst)[2];
        drop(daemon);
        rate
    };
    println!("  saturation at 100 ms: {saturation:.0} alerts/s, each declared; the rows are at half of it");
    println!("  {:>9} {:>30} {:>36}", "", "declaration appended", "seen by a read_committed reader");
    println!("  {:>9} {:>9} {:>9} {:>9} {:>12} {:>9} {:>9}", "interval", "p50", "p99", "p99.9", "p50", "p99", "p99.9");
    for interval in [10, 50, 100, 500] {
        let world = latency_world(&format!("bench-latency-{interval}"), &case, &broker, interval);
        let daemon = world.start();
        world.ready();
        alerts(&world, 2 * SHOPS, saturation / 4.0);
        let rate = saturation / 2.0;
        let mut told = alerts(&world, (rate * 15.0) as usize / SHOPS * SHOPS, rate);
        let mut row = format!("  {interval:>6} ms");
        for (place, width) in [(0, 9), (1, 12)] {
            told.sort_by_key(|both| both[place]);
            for (number, quantile) in [0.5, 0.99, 0.999].into_iter().enumerate() {
                let value = told[((told.len() - 1) as f64 * quantile) as usize][place];
                row += &format!(" {value:>width$}", width = if number == 0 { width } else { 9 });
            }
        }
        println!("{row}");
        drop(daemon);
    }
}

fn latency_world(name: &str, case: &Case, broker: &Broker, interval: u64) -> World {
    let world = World::new(name, case, &broker.address);
    world.configure(case, &format!("  commit_every: {interval}ms\n"));
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", &world.address).create().expect("a client");
    let names = ["metrics", "alerts", "changes", "incidents"].map(|name| world.topic(name));
    let new = |name| NewTopic::new(name, 1, TopicReplication::Fixed(1)).set("message.timestamp.type", "LogAppendTime");
    let topics: Vec<NewTopic<'_>> = names.iter().map(|name| new(name)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(admin.create_topics(&topics, &AdminOptions::new())).expect("answered");
    world
}

/// Sends alerts at a rate, shop after shop down and up, and gives for each how long it took: [appended, seen].
fn alerts(world: &World, count: usize, per_second: f64) -> Vec<[i64; 2]> {
    let (address, topic) = (world.address.clone(), world.topic("alerts"));
    let first = reader(world, "alerts", Offset::End);
    let incidents = reader(world, "incidents", Offset::End);
    let sender = std::thread::spawn(move || {
        let producer = producer(&address);
        let began = Instant::now();
        let mut starts = BTreeMap::new();
        for number in 0..count {
            let due = Duration::from_secs_f64(if per_second.is_finite() { number as f64 / per_second } else { 0.0 });
            producer.poll(due.saturating_sub(began.elapsed()));
            let shop = number % SHOPS;
            let at = richter::model::Timestamp(now_ms());
            let up = starts.remove(&shop);
            let (status, starts_at, ends_at) = match up {
                Some(start) => ("resolved", start, at.to_string()),
                None => ("firing", at, "0001-01-01T00:00:00Z".to_owned()),
            };
            if up.is_none() {
                starts.insert(shop, at);
            }
            let labels = json!({"alertname": "Down", "shop": shop.to_string()});
            let alert = json!({"status": status, "labels": labels, "startsAt": starts_at.to_string(), "endsAt": ends_at});
            send(&producer, &topic, 0, now_ms(), &json!({"version": "4", "alerts": [alert]}).to_string());
        }
        producer.flush(Duration::from_secs(60)).expect("delivered");
    });
    let mut appended: BTreeMap<String, std::collections::VecDeque<i64>> = BTreeMap::new();
    let (mut sent, mut told) = (0, vec![]);
    let mut pending: Vec<(String, i64, i64)> = vec![];
    let until = Instant::now() + Duration::from_secs(180);
    while told.len() < count && Instant::now() < until {
        while let Some(Ok(record)) = first.poll(Duration::ZERO) {
            let shop = between(&record, "\"shop\":\"");
            appended.entry(shop).or_default().push_back(record.timestamp().to_millis().expect("a time"));
            sent += 1;
        }
        if let Some(Ok(record)) = incidents.poll(Duration::from_millis(1)) {
            let seen = now_ms();
            let shop = between(&record, "\"subject\":\"shop=");
            pending.push((shop, record.timestamp().to_millis().expect("a time"), seen));
        }
        pending.retain(|(shop, at, seen)| match appended.get_mut(shop).and_then(std::collections::VecDeque::pop_front) {
            Some(alert) => {
                told.push([at - alert, seen - alert]);
                false
            }
            None => true,
        });
    }
    sender.join().expect("all is sent");
    assert_eq!((sent, told.len()), (count, count), "each alert is declared");
    told
}

/// What stands after a mark, up to the next quotation mark: cheaper than all of the JSON, for it shares the cores.
fn between(record: &impl Message, mark: &str) -> String {
    let text = std::str::from_utf8(record.payload().unwrap_or_default()).expect("text");
    let after = text.split_once(mark).expect(mark).1;
    after.split('"').next().unwrap_or_default().to_owned()
}

fn reader(world: &World, topic: &str, from: Offset) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &world.address).set("group.id", "bench").set("isolation.level", "read_committed");
    let consumer: BaseConsumer = config.set("fetch.wait.max.ms", "10").create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&world.topic(topic), 0, from).expect("a partition");
    consumer.assign(&list).expect("assigned");
    // The end is looked up when the first fetch is made.
    let (_, high) = consumer.fetch_watermarks(&world.topic(topic), 0, Duration::from_secs(10)).expect("told");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&world.topic(topic), 0, Offset::Offset(high)).expect("a partition");
    consumer.assign(&list).expect("assigned");
    consumer
}

/// From kill -9 to the first correct evaluation, against the number of groups in the state.
fn recovery() {
    println!("recovery: from kill -9 to the declaration of a fault whose samples came after it; all groups in 2 partitions");
    println!("  {:>8} {:>14} {:>10} {:>12} {:>10}", "groups", "snapshot MiB", "replayed", "by", "seconds");
    for groups in [10_000, 100_000, 1_000_000] {
        let mut broker = Broker::prepared("bench-recovery");
        broker.start();
        let monitors = "monitors:\n  - name: load\n    scenario: Overload\n    entity: \"id={{ id }}\"\n    query: sum by (id) (load)\n    every: 1m\n    judge: { baseline: { season: none }, static: { above: 1000 } }\n    fault: { sequence: P, ladder: [ { level: 3 } ] }\n";
        let case =
            configuration(monitors, "limits: { groups_per_monitor: 2000000, series_per_monitor: 2000000 }\ntime: { idle_after: 1h }");
        let world = World::new("bench-recovery", &case, &broker.address);
        world.configure(&case, "  snapshot_every: { min: 5s, max: 20s }\n");
        world.make_sources(1);
        let daemon = world.start();
        world.ready();
        let daemon = filled(&world, daemon, groups);
        let row = |by: &str, seconds: f64, world: &World| {
            let sum = |name: &str| -> f64 { world.metrics(name).iter().filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum() };
            let (mib, replayed) = (sum("richter_snapshot_bytes{partition") / (1 << 20) as f64, sum("richter_recovery_records{partition"));
            println!("  {groups:>8} {mib:>14.1} {replayed:>10.0} {by:>12} {seconds:>10.1}");
        };
        // The same instance, started again at once.
        drop(daemon);
        let killed = Instant::now();
        overload(&world, 3, 10);
        let daemon = world.start();
        world.read("incidents", 1);
        row("itself", killed.elapsed().as_secs_f64(), &world);
        // Another one, that gets the partitions when the session has timed out.
        let other = world.sibling("bench-recovery-other", &case);
        other.configure(&case, "  snapshot_every: { min: 5s, max: 20s }\n");
        drop(daemon);
        let killed = Instant::now();
        overload(&world, 13, 11);
        let _other = other.start();
        world.read("incidents", 2);
        row("another", (killed.elapsed() - SESSION).as_secs_f64(), &other);
    }
    println!("  (\"another\" without the {} s that the session takes to time out)", SESSION.as_secs());
}

/// As [`World`] configures it.
const SESSION: Duration = Duration::from_secs(6);

/// Two samples of each group, a snapshot of them all, and a tenth of the groups' samples once more.
fn filled(world: &World, daemon: Daemon, groups: usize) -> Daemon {
    let producer = producer(&world.address);
    let topic = world.topic("metrics");
    let sum = |name: &str| -> f64 { world.metrics(name).iter().filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum() };
    let wait = |what: &str, done: &dyn Fn() -> bool| {
        let until = Instant::now() + Duration::from_secs(300);
        while !done() {
            assert!(Instant::now() < until, "{what} did not come; see {}/log", world.folder.display());
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let mut sent = 0;
    for (step, count) in [(0, groups), (1, groups)] {
        for id in 0..count {
            let at = START_MS + step * 60_000;
            send(&producer, &topic, 0, at, &sample("load", id, at, 5));
        }
        sent += count;
        producer.flush(Duration::from_secs(120)).expect("delivered");
        wait("the samples", &|| sum("richter_samples_total") >= sent as f64);
    }
    let before = sum("richter_snapshots_total{stage=\"detect\"");
    // One of each partition may still be of fewer groups.
    wait("a snapshot", &|| sum("richter_snapshots_total{stage=\"detect\"") >= before + 4.0);
    for id in 0..groups / 10 {
        let at = START_MS + 2 * 60_000;
        send(&producer, &topic, 0, at, &sample("load", id, at, 5));
    }
    producer.flush(Duration::from_secs(120)).expect("delivered");
    wait("the samples", &|| sum("richter_samples_total") >= (sent + groups / 10) as f64);
    daemon
}

/// A sample that is a fault at that minute, and one later to make time pass.
fn overload(world: &World, minute: i64, id: usize) {
    let producer = producer(&world.address);
    for (step, value) in [(minute, 5000), (minute + 5, 5)] {
        let at = START_MS + step * 60_000;
        send(&producer, &world.topic("metrics"), 0, at, &sample("load", id, at, value));
    }
    producer.flush(Duration::from_secs(60)).expect("delivered");
}

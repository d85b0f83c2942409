//! Route from memory, on one core: samples per second, and allocations per sample, for each metrics format.
//!
//! `make bench-route`, or `cargo bench --bench route -- [FORMAT...] [SERIES...]`. The peer of each line, measured in the
//! same run, is the least that a JSON pipeline can do: serde_json into borrowed fields, and nothing done with them.

#[path = "route/load.rs"]
mod load;

use std::alloc::System;
use std::sync::Arc;
use std::time::{Duration, Instant};

use richter::detect::Detect;
use richter::model::{Origin, Timestamp};
use richter::route::Route;
use richter::rules::{Config, Files, Partitions, settings};
use richter::stage::{Outbox, Record, Stage as _, Topic};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use load::{Encoding, Load};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How long each line is measured.
const LONG: Duration = Duration::from_millis(1500);

/// A round, as on Kafka: then what waits is sent.
const ROUND: usize = 2000;

/// One in so many series is wanted.
const SHARES: [u64; 3] = [100, 10, 1];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let sizes: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![1_000, 100_000, 1_000_000] } else { sizes };
    let named: Vec<&String> = arguments.iter().filter(|argument| argument.parse::<usize>().is_err()).collect();
    println!("series by Zipf-distributed services, 1 % replaced a minute of event time; one core\n");
    println!("{:<26} {:>9} {:>7} {:>12} {:>8} {:>10} {:>10}", "format", "series", "wanted", "samples/s", "ns", "allocs", "bytes");
    for encoding in Encoding::ALL {
        if !named.is_empty() && !named.iter().any(|name| **name == encoding.name()) {
            continue;
        }
        for size in &sizes {
            for share in SHARES {
                measure(encoding, *size, share);
            }
        }
    }
    parse_only(&sizes);
    memory();
}

/// The monitor's query for one in `share` series.
fn query(share: u64) -> String {
    let slot = if share == 1 { ".+".to_owned() } else { format!("[0-9]*0{{{}}}", if share == 10 { 1 } else { 2 }) };
    format!("sum by (service) ({{__name__=~\".*requests.*\", slot=~\"{slot}\"}})")
}

fn route(encoding: Encoding, partitions: u32, query: &str) -> (Route, Arc<Config>) {
    let text = format!(
        "sources: [ {{ topic: m, kind: metrics, format: {} }} ]\nkafka: {{ partitions: {{ samples: {partitions} }} }}",
        encoding.name()
    );
    let (settings, _, faults) = settings("bench", &text, &std::collections::BTreeMap::new());
    assert_eq!(faults, []);
    let settings = Arc::new(settings.expect("settings"));
    let monitors =
        format!("monitors: [ {{ name: m, entity: 'service={{{{ service }}}}', query: '{query}', judge: {{ static: {{ above: 1 }} }} }} ]");
    let files = Files { monitors: vec![("m.yaml".into(), monitors)], ..Files::default() };
    let (config, faults) = Config::new(&files, settings.tuning.clone());
    assert_eq!(faults, []);
    let config = Arc::new(config);
    let mut route = Route::new(config.clone(), settings);
    route.assign(Origin { topic: "m".into(), partition: 0 }, &mut Outbox::default());
    (route, config)
}

fn measure(encoding: Encoding, size: usize, share: u64) {
    let mut load = Load::new(encoding, size);
    let (mut route, _) = route(encoding, 4, &query(share));
    let mut out = Outbox::default();
    let mut pass = |route: &mut Route, load: &mut Load, until: Option<Instant>| -> u64 {
        let mut samples = 0;
        loop {
            for _ in 0..load.records_per_round(ROUND) {
                let (payload, count, at) = load.next();
                let record = Record { topic: "m", partition: 0, offset: 0, timestamp: Timestamp(at), headers: &[], payload };
                route.apply(&record, &mut out);
                samples += count;
            }
            route.flush(&mut out);
            out.messages.clear();
            match until {
                Some(until) if Instant::now() < until => {}
                None if !load.is_through() => {}
                _ => return samples,
            }
        }
    };
    // Every series is seen once before it counts; then one in a hundred is a new one.
    pass(&mut route, &mut load, None);
    load.again();
    let began = Instant::now();
    let samples = pass(&mut route, &mut load, Some(began + LONG));
    let took = began.elapsed().as_secs_f64();
    // What is allocated for series that are known: all are, by now.
    load.again();
    pass(&mut route, &mut load, None);
    load.again();
    let region = Region::new(ALLOCATOR);
    let known = pass(&mut route, &mut load, None);
    let spent = region.change();
    println!(
        "{:<26} {size:>9} {:>5} % {:>12.0} {:>8.0} {:>10.4} {:>10.1}",
        encoding.name(),
        100 / share,
        samples as f64 / took,
        took * 1e9 / samples as f64,
        (spent.allocations + spent.reallocations) as f64 / known as f64,
        spent.bytes_allocated as f64 / known as f64,
    );
    assert!(out.counts.keys().all(|count| !format!("{count:?}").contains("Dead")), "{:?}", out.counts);
}

/// What detection keeps of a series in `sum by (service) (rate(..[5m]))` with a sample each 15 s, over ten minutes: bytes
/// that were allocated and not freed.
fn memory() {
    let series = 20_000;
    let (mut route, config) = route(Encoding::RemoteWrite, 1, "sum by (service) (rate(http_requests_total[5m]))");
    let mut detect = Detect::new(config, 0, Partitions { samples: 1 });
    let (mut out, mut kept) = (Outbox::default(), 0);
    for step in 0..40 {
        let (payloads, at) = load::at(series, 15_000 * step);
        for payload in &payloads {
            route.apply(&Record { topic: "m", partition: 0, offset: 0, timestamp: Timestamp(at), headers: &[], payload }, &mut out);
        }
        route.flush(&mut out);
        let messages = std::mem::take(&mut out.messages);
        let region = Region::new(ALLOCATOR);
        for message in messages.iter().filter(|message| message.topic == Topic::Samples) {
            let payload = &message.payload;
            let record = Record { topic: "", partition: 0, offset: 0, timestamp: Timestamp(at), headers: &[], payload };
            detect.apply(&record, &mut out);
        }
        out = Outbox::default();
        let change = region.change();
        kept += change.bytes_allocated as i64 - change.bytes_deallocated as i64;
    }
    let groups = detect.groups();
    println!("\ndetection keeps {} bytes a series ({series} series, 20 samples in a range, {groups} groups)", kept / series as i64);
}

/// The peer: the same JSON, parsed into borrowed fields that are known beforehand, and dropped.
fn parse_only(sizes: &[usize]) {
    #[derive(serde::Deserialize)]
    #[allow(dead_code)]
    struct Labels<'a> {
        __name__: &'a str,
        code: &'a str,
        instance: &'a str,
        job: &'a str,
        service: &'a str,
        slot: &'a str,
    }
    #[derive(serde::Deserialize)]
    #[allow(dead_code)]
    struct Raw<'a> {
        #[serde(borrow)]
        labels: Labels<'a>,
        name: &'a str,
        timestamp: &'a str,
        value: &'a str,
    }
    for size in sizes {
        let mut load = Load::new(Encoding::PrometheusKafkaAdapter, *size);
        let (began, mut samples) = (Instant::now(), 0u64);
        while began.elapsed() < LONG {
            for _ in 0..ROUND {
                let (payload, count, _) = load.next();
                let raw: Raw<'_> = serde_json::from_slice(payload).expect("JSON");
                std::hint::black_box(&raw);
                samples += count;
            }
        }
        let took = began.elapsed().as_secs_f64();
        println!("{:<26} {size:>9} {:>7} {:>12.0} {:>8.0}", "(serde_json alone)", "", samples as f64 / took, took * 1e9 / samples as f64);
    }
}

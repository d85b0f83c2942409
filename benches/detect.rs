//! Detection from memory, on one core: nanoseconds per evaluation by the baseline, and bytes per series.
//!
//! `cargo bench --bench detect -- [SERIES...]`. Series are visited in random order, as groups of many monitors are; beside
//! it an exponential average with a variance, the least that a detector can be, over the same number of series.

#[path = "../tests/it/random.rs"]
#[allow(dead_code, reason = "the tests draw more than is drawn here")]
mod random;

use std::alloc::System;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use richter::detect::Detect;
use richter::detect::baseline::Baseline;
use richter::model::{Labels, Origin, Timestamp, Value};
use richter::rules::{BaselineRule, Config, Files, Partitions, Tuning, check};
use richter::stage::{Message, Outbox, Record, Stage as _};
use richter::wire::internal::{BatchSample, samples_messages};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use random::Random;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const EVERY: Duration = Duration::from_secs(60);

/// Evaluations before it counts: the tails have begun.
const WARM: i64 = 200;

/// Series that are read ahead together, as monitors do it.
const AHEAD: usize = 16;

/// Steps of the stage before it counts: every group is there.
const FIRST: i64 = 5;

/// Samples in a record, about as many as route puts into one.
const BATCH: usize = 2_000;

/// How long each line is measured, at the least.
const LONG: Duration = Duration::from_millis(1000);

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![64, 1_000, 100_000, 400_000, 1_000_000] } else { sizes };
    println!("{:<24} {:>10} {:>14} {:>14}", "", "series", "ns/evaluation", "bytes/series");
    for size in sizes {
        baseline("baseline, no season", "{ baseline: { season: none } }", size);
        baseline("baseline, daily season", "{ baseline: { season: day } }", size);
        stage(size);
        average(size);
    }
}

fn rule(judge: &str) -> BaselineRule {
    let text = format!("monitors: [ {{ name: m, entity: \"a=b\", query: m, every: 60s, judge: {judge} }} ]");
    let (rules, faults) = check(&Files { monitors: vec![("bench.yaml".into(), text)], ..Files::default() });
    assert_eq!(faults, []);
    rules.watches().next().and_then(|(_, watch)| watch.judge.baseline.clone()).expect("a baseline")
}

/// A value with noise about a level; now and then far off.
fn value(random: &mut Random) -> f64 {
    let noise = random.share() + random.share() + random.share() - 1.5;
    if random.below(500) == 0 { 100.0 + 30.0 * noise } else { 100.0 + noise }
}

fn order(size: usize, random: &mut Random) -> Vec<u32> {
    let mut order: Vec<u32> = (0..size as u32).collect();
    random.shuffle(&mut order);
    order
}

fn baseline(name: &str, judge: &str, size: usize) {
    let (rule, mut random) = (rule(judge), Random(1));
    let region = Region::new(ALLOCATOR);
    let mut all: Vec<Baseline> = (0..size).map(|_| Baseline::new(&rule, EVERY)).collect();
    let bytes = region.change().bytes_allocated / size;
    for baseline in &mut all {
        for step in 0..WARM {
            black_box(baseline.see(&rule, EVERY, Timestamp(step * 60_000), value(&mut random), None));
        }
    }
    let order = order(size, &mut random);
    let values: Vec<f64> = (0..4096).map(|_| value(&mut random)).collect();
    let (began, mut step, mut seen) = (Instant::now(), WARM, 0u64);
    while began.elapsed() < LONG {
        for (number, place) in order.iter().enumerate() {
            if number.is_multiple_of(AHEAD) {
                let ahead = order[number..].iter().take(AHEAD).map(|place| &all[*place as usize]);
                Baseline::read_ahead(ahead, &rule, Timestamp(step * 60_000));
            }
            black_box(all[*place as usize].see(&rule, EVERY, Timestamp(step * 60_000), values[number % values.len()], None));
        }
        (step, seen) = (step + 1, seen + size as u64);
    }
    line(name, size, began.elapsed(), seen, Some(bytes));
}

/// The same through the stage, one monitor with a group for each series: a sample decoded, kept, its query evaluated at the
/// step, and judged.
fn stage(size: usize) {
    let monitor = "{ name: m, entity: 's={{ s }}', query: m, every: 60s, judge: { baseline: { season: day } } }";
    let files = Files { monitors: vec![("bench.yaml".into(), format!("monitors: [ {monitor} ]"))], ..Files::default() };
    let (config, faults) = Config::new(&files, Tuning { series_max: size, groups_max: size, ..Tuning::default() });
    assert_eq!(faults, []);
    let key = config.rules.watches().next().expect("the monitor").1.key;
    let mut detect = Detect::new(Arc::new(config), 0, Partitions { samples: 1 });
    let mut random = Random(1);
    let series: Vec<Labels> = (0..size).map(|i| Labels::of([("__name__", "m"), ("s", &*i.to_string())])).collect();
    let (order, origin) = (order(size, &mut random), Origin { topic: "m".into(), partition: 0 });
    let mut out = Outbox::default();
    let mut round = |step: i64| {
        let at = Timestamp(step * 60_000);
        let messages = order.chunks(BATCH).enumerate().flat_map(|(number, part)| {
            let sample = |(i, _)| BatchSample { monitor: key, series: i, at, value: Value::Float(value(&mut random)) };
            let samples: Vec<BatchSample> = (0..).zip(part).map(sample).collect();
            let named: Vec<Labels> = part.iter().map(|place| series[*place as usize].clone()).collect();
            samples_messages(0, &origin, if number == 0 { at } else { Timestamp::MIN }, &named, &samples)
        });
        let messages: Vec<Message> = messages.collect();
        let began = Instant::now();
        for message in &messages {
            let record = Record { topic: "samples", partition: 0, offset: 0, timestamp: at, headers: &[], payload: &message.payload };
            detect.apply(&record, &mut out);
        }
        out.messages.clear();
        began.elapsed()
    };
    let (mut took, mut seen, mut step) = (Duration::ZERO, 0, FIRST);
    (0..FIRST).for_each(|step| {
        round(step);
    });
    while took < LONG {
        took += round(step);
        (seen, step) = (seen + size as u64, step + 1);
    }
    line("the same, as a monitor", size, took, seen, None);
}

fn average(size: usize) {
    let mut random = Random(1);
    let mut all = vec![(100.0f64, 1.0f64); size];
    let order = order(size, &mut random);
    let values: Vec<f64> = (0..4096).map(|_| value(&mut random)).collect();
    let (began, mut seen) = (Instant::now(), 0u64);
    while began.elapsed() < LONG {
        for (number, place) in order.iter().enumerate() {
            let (mean, variance) = &mut all[*place as usize];
            let off = values[number % values.len()] - *mean;
            *mean += 0.02 * off;
            *variance = 0.98 * (*variance + 0.02 * off * off);
            black_box(off * off > 16.0 * *variance);
        }
        seen += size as u64;
    }
    line("(average and variance)", size, began.elapsed(), seen, None);
}

fn line(name: &str, size: usize, took: Duration, seen: u64, bytes: Option<usize>) {
    let each = took.as_nanos() as f64 / seen as f64;
    println!("{name:<24} {size:>10} {each:>14.0} {:>14}", bytes.map_or_else(String::new, |bytes| bytes.to_string()));
}

//! What the stages pass on: a version byte, then postcard. Batches, never one record a sample.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::model::{Call, Labels, Origin, Signal, Timestamp, Value};
use crate::rules::Config;
use crate::stage::{Message, Topic};

use super::Reject;

const VERSION: u8 = 16;

/// The one domain there is today: everything may belong to one incident.
const DOMAIN: &str = "default";

/// Its signals are in one partition, the only one of the topic: one order over all that may belong together.
const SIGNALS_PARTITION: u32 = 0;

/// A record of the samples topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SamplesRecord {
    /// Samples that came from one origin, and how far it is.
    Batch(Batch),
    /// The wall clock.
    Tick(Timestamp),
    /// The bundle of the configuration to follow from here on.
    Follow(Vec<u8>),
}

/// Samples from one origin; each series' labels are written once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Where they came from.
    pub origin: Origin,
    /// How far that origin is.
    pub progress: Timestamp,
    /// The series that samples refer to.
    pub series: Vec<Labels>,
    /// In the order they came.
    pub samples: Vec<BatchSample>,
}

/// The same, of what somebody else holds.
#[derive(Clone, Copy, Serialize)]
struct BatchRef<'b> {
    origin: &'b Origin,
    progress: Timestamp,
    series: &'b [Labels],
    samples: &'b [BatchSample],
}

/// The same record as [`SamplesRecord::Batch`].
#[derive(Serialize)]
enum BatchRecord<'b> {
    Batch(BatchRef<'b>),
}

/// A sample for one monitor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchSample {
    /// The monitor's key.
    pub monitor: u64,
    /// Index into the batch's series.
    pub series: u32,
    /// When.
    pub at: Timestamp,
    /// The value, or the staleness marker.
    pub value: Value,
}

/// A record of the signals topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SignalsRecord {
    /// Signals that came from one origin, and how far it is.
    Signals {
        /// Where they came from.
        origin: Origin,
        /// How far that origin is.
        progress: Timestamp,
        /// In order.
        signals: Vec<Signal>,
    },
    /// The wall clock.
    Tick(Timestamp),
    /// The bundle of the configuration to follow from here on.
    Follow(Vec<u8>),
    /// Who was seen to call whom; of no origin's progress does this tell.
    Calls(Vec<Call>),
}

/// The record's bytes.
#[must_use]
pub fn encode(record: &impl Serialize) -> Vec<u8> {
    let mut bytes = postcard::to_extend(record, vec![VERSION]).expect("records are plain data of known length");
    // Many may wait to be delivered.
    bytes.shrink_to_fit();
    bytes
}

/// The record from its bytes.
///
/// # Errors
/// Another version, or not such a record.
pub fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Reject> {
    match payload.split_first() {
        Some((&VERSION, record)) => postcard::from_bytes(record).map_err(|e| Reject::new("internal_unreadable", e.to_string())),
        Some((version, _)) => Err(Reject::new("internal_version", format!("version {version}, expected {VERSION}"))),
        None => Err(Reject::new("internal_unreadable", "an empty record")),
    }
}

/// A record larger than this is split: clients and brokers refuse more than a megabyte by default.
const RECORD_BYTES_AIM: usize = 512 << 10;

/// Samples of one origin, and the series they refer to, as messages for a partition of the samples topic; only the last
/// of several tells the progress.
#[must_use]
pub fn samples_messages(partition: u32, origin: &Origin, progress: Timestamp, series: &[Labels], samples: &[BatchSample]) -> Vec<Message> {
    let payload = encode(&BatchRecord::Batch(BatchRef { origin, progress, series, samples }));
    if payload.len() <= RECORD_BYTES_AIM || samples.len() < 2 {
        return vec![message(Topic::Samples, partition, "", payload)];
    }
    let (first, second) = samples.split_at(samples.len() / 2);
    let part = |samples: &[BatchSample], progress| {
        let (series, samples) = renumbered(series, samples);
        samples_messages(partition, origin, progress, &series, &samples)
    };
    part(first, Timestamp::MIN).into_iter().chain(part(second, progress)).collect()
}

/// Only the series that these samples refer to.
fn renumbered(series: &[Labels], samples: &[BatchSample]) -> (Vec<Labels>, Vec<BatchSample>) {
    let (mut kept, mut places): (Vec<Labels>, BTreeMap<u32, u32>) = (vec![], BTreeMap::new());
    let sample = |sample: &BatchSample| {
        let next = u32::try_from(kept.len()).unwrap_or(u32::MAX);
        let place = *places.entry(sample.series).or_insert(next);
        if place == next {
            kept.extend(usize::try_from(sample.series).ok().and_then(|i| series.get(i)).cloned());
        }
        BatchSample { series: place, ..sample.clone() }
    };
    let samples = samples.iter().map(sample).collect();
    (kept, samples)
}

/// Calls that were seen, as messages for a partition of the signals topic.
#[must_use]
pub fn calls_messages(mut calls: Vec<Call>) -> Vec<Message> {
    let payload = encode(&SignalsRecord::Calls(calls.clone()));
    if payload.len() <= RECORD_BYTES_AIM || calls.len() < 2 {
        return vec![message(Topic::Signals, SIGNALS_PARTITION, DOMAIN, payload)];
    }
    let second = calls.split_off(calls.len() / 2);
    calls_messages(calls).into_iter().chain(calls_messages(second)).collect()
}

/// One origin's signals as messages for the signals topic; only the last of several tells the progress.
#[must_use]
pub fn signals_messages(origin: &Origin, progress: Timestamp, mut signals: Vec<Signal>) -> Vec<Message> {
    let payload = encode(&SignalsRecord::Signals { origin: origin.clone(), progress, signals: signals.clone() });
    if payload.len() <= RECORD_BYTES_AIM || signals.len() < 2 {
        return vec![message(Topic::Signals, SIGNALS_PARTITION, DOMAIN, payload)];
    }
    let second = signals.split_off(signals.len() / 2);
    let first = signals_messages(origin, Timestamp::MIN, signals);
    first.into_iter().chain(signals_messages(origin, progress, second)).collect()
}

/// The wall clock as a message for a partition of the samples topic.
#[must_use]
pub fn samples_tick(partition: u32, now: Timestamp) -> Message {
    message(Topic::Samples, partition, "", encode(&SamplesRecord::Tick(now)))
}

/// The wall clock as a message for the signals topic.
#[must_use]
pub fn signals_tick(now: Timestamp) -> Message {
    message(Topic::Signals, SIGNALS_PARTITION, DOMAIN, encode(&SignalsRecord::Tick(now)))
}

/// What to follow from there on, as a message for a partition of the samples topic.
#[must_use]
pub fn samples_follow(partition: u32, config: &Config) -> Message {
    message(Topic::Samples, partition, "", encode(&SamplesRecord::Follow(config.bundle().to_vec())))
}

/// What to follow from there on, as a message for the signals topic.
#[must_use]
pub fn signals_follow(config: &Config) -> Message {
    message(Topic::Signals, SIGNALS_PARTITION, DOMAIN, encode(&SignalsRecord::Follow(config.bundle().to_vec())))
}

fn message(topic: Topic, partition: u32, key: &str, payload: Vec<u8>) -> Message {
    Message { topic, partition: Some(partition), key: key.into(), headers: vec![], payload }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_batch_is_split_and_loses_nothing() {
        let origin = Origin { topic: "metrics".into(), partition: 0 };
        let label = |i: u32| [("pod".to_owned(), format!("{i}-{}", "x".repeat(900)))].into_iter().collect();
        let sample = |i: u32| BatchSample { monitor: 1, series: i, at: Timestamp(i64::from(i)), value: Value::Float(f64::from(i)) };
        let (series, samples): (Vec<Labels>, Vec<BatchSample>) = (0..2000).map(|i| (label(i), sample(i))).unzip();
        let messages = samples_messages(0, &origin, Timestamp(7), &series, &samples);
        assert!(messages.len() > 2 && messages.iter().all(|m| m.payload.len() <= RECORD_BYTES_AIM));
        let mut seen = vec![];
        for (number, message) in messages.iter().enumerate() {
            let Ok(SamplesRecord::Batch(part)) = decode(&message.payload) else { panic!("a batch") };
            assert_eq!(part.progress == Timestamp(7), number == messages.len() - 1);
            seen.extend(part.samples.iter().map(|s| (s.value.clone(), part.series[s.series as usize].clone())));
        }
        let expected: Vec<(Value, Labels)> = series.into_iter().enumerate().map(|(i, labels)| (Value::Float(i as f64), labels)).collect();
        assert_eq!(seen, expected);
    }
}

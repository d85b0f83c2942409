//! What the stages pass on: a version byte, then postcard. Batches, never one record a sample.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::model::{Labels, Origin, Signal, Timestamp, labels::Fnv};
use crate::stage::{Message, Topic};

use super::Reject;

const VERSION: u8 = 1;

/// The one domain there is today: everything may belong to one incident.
const DOMAIN: &str = "default";

/// A record of the samples topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SamplesRecord {
    /// Samples that came from one origin, and how far it is.
    Batch(Batch),
    /// The wall clock.
    Tick(Timestamp),
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

/// A sample for one monitor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchSample {
    /// The monitor's key.
    pub monitor: u64,
    /// Index into the batch's series.
    pub series: u32,
    /// When.
    pub at: Timestamp,
    /// The value's bits, so that no NaN is lost.
    pub value: u64,
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
}

/// The record's bytes.
#[must_use]
pub fn encode(record: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(record, vec![VERSION]).expect("records are plain data of known length")
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

/// The signals partition of the one domain.
#[must_use]
pub fn signals_partition(partitions: u32) -> u32 {
    u32::try_from(Fnv::of(&[DOMAIN.as_bytes()]) % u64::from(partitions.max(1))).unwrap_or(0)
}

/// A batch as a message for a partition of the samples topic.
#[must_use]
pub fn samples_message(partition: u32, batch: Batch) -> Message {
    message(Topic::Samples, partition, "", encode(&SamplesRecord::Batch(batch)))
}

/// One origin's signals as a message for a partition of the signals topic.
#[must_use]
pub fn signals_message(partition: u32, origin: Origin, progress: Timestamp, signals: Vec<Signal>) -> Message {
    message(Topic::Signals, partition, DOMAIN, encode(&SignalsRecord::Signals { origin, progress, signals }))
}

/// The wall clock as a message for a partition of the samples topic.
#[must_use]
pub fn samples_tick(partition: u32, now: Timestamp) -> Message {
    message(Topic::Samples, partition, "", encode(&SamplesRecord::Tick(now)))
}

/// The wall clock as a message for a partition of the signals topic.
#[must_use]
pub fn signals_tick(partition: u32, now: Timestamp) -> Message {
    message(Topic::Signals, partition, DOMAIN, encode(&SignalsRecord::Tick(now)))
}

fn message(topic: Topic, partition: u32, key: &str, payload: Vec<u8>) -> Message {
    Message { topic, partition: Some(partition), key: key.into(), headers: vec![], payload }
}

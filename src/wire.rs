//! Formats: what others write, what the stages pass on, what consumers read.
//!
//! A record that cannot be decoded is a [`Reject`]: a reason from a closed set and the detail in words.

pub mod alertmanager;
pub mod cdevents;
pub mod cloudevent;
pub mod dead_letter;
pub mod internal;
pub mod prometheus_json;
pub mod recording;
pub mod state;

use crate::model::Timestamp;

/// The largest record that is looked into, in bytes.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// Why a record was not decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// From a closed set, for counters.
    pub reason: &'static str,
    /// In words, with the value.
    pub detail: String,
}

impl Reject {
    fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// Not JSON, or not of the expected shape.
    fn json(error: &serde_json::Error) -> Self {
        let reason = if error.is_data() { "unexpected_shape" } else { "not_json" };
        Self::new(reason, error.to_string())
    }
}

/// Reads JSON of a known shape within the size limit.
fn json<'a, T: serde::Deserialize<'a>>(payload: &'a [u8]) -> Result<T, Reject> {
    if payload.len() > RECORD_BYTES_MAX {
        return Err(Reject::new("too_large", format!("{} bytes, at most {RECORD_BYTES_MAX} are read", payload.len())));
    }
    serde_json::from_slice(payload).map_err(|e| Reject::json(&e))
}

/// Reads a time and refuses what only a wrong unit can give.
fn time(field: &str, text: &str) -> Result<Timestamp, Reject> {
    let parsed = Timestamp::parse(text).map_err(|why| Reject::new("bad_timestamp", format!("{field}: {why}")))?;
    const YEAR_1980: Timestamp = Timestamp(315_532_800_000);
    const YEAR_2200: Timestamp = Timestamp(7_258_118_400_000);
    if parsed < YEAR_1980 || parsed > YEAR_2200 {
        return Err(Reject::new("bad_timestamp", format!("{field}: {text} is not in this age; was it written in another unit?")));
    }
    Ok(parsed)
}

//! Formats: what others write, what the stages pass on, what consumers read.
//!
//! A record that cannot be decoded is a [`Reject`]: a reason from a closed set and the detail in words.

pub mod alerts;
pub mod changes;
pub mod cloudevent;
pub mod commands;
pub mod csv;
pub mod dead_letter;
pub mod decoder;
pub mod internal;
mod mapped;
pub mod metrics;
mod protobuf;
pub mod recording;
pub mod series;
mod shape;
pub mod state;

pub use crate::rules::Unit;
pub use series::SeriesBuf;
pub use shape::shape;

use crate::model::Timestamp;

/// The largest record that is looked into, in bytes, compressed or not.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// A record's headers, each a name and a value.
pub type Headers<'h> = [(&'h str, &'h [u8])];

/// Why a record was not decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// From a closed set, for counters.
    pub reason: &'static str,
    /// In words, with the value.
    pub detail: String,
}

/// What a record holds, part by part, with why one was refused.
pub type Parts = Vec<Result<crate::model::Signal, Reject>>;

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

/// Alerts, changes or commands that one record may hold.
const PARTS_MAX: usize = 20_000;

/// Refuses a record of too many parts.
fn few_enough(parts: usize) -> Result<(), Reject> {
    if parts > PARTS_MAX { Err(Reject::new("too_large", format!("more than {PARTS_MAX} parts in one record"))) } else { Ok(()) }
}

/// Refuses what is too large to look into.
pub(crate) fn within_limits(payload: &[u8]) -> Result<(), Reject> {
    if payload.len() > RECORD_BYTES_MAX {
        return Err(Reject::new("too_large", format!("{} bytes, at most {RECORD_BYTES_MAX} are read", payload.len())));
    }
    Ok(())
}

/// Reads JSON of a known shape within the size limit.
fn json<'a, T: serde::Deserialize<'a>>(payload: &'a [u8]) -> Result<T, Reject> {
    within_limits(payload)?;
    serde_json::from_slice(payload).map_err(|e| Reject::json(&e))
}

/// The value of a header.
fn header<'h>(headers: &Headers<'h>, name: &str) -> Option<&'h [u8]> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

const YEAR_1980: Timestamp = Timestamp(315_532_800_000);
const YEAR_2200: Timestamp = Timestamp(7_258_118_400_000);

/// Reads a time and refuses what only a wrong unit can give.
fn time(field: &str, text: &str) -> Result<Timestamp, Reject> {
    let parsed = Timestamp::parse(text).map_err(|why| Reject::new("bad_timestamp", format!("{field}: {why}")))?;
    if parsed < YEAR_1980 || parsed > YEAR_2200 {
        return Err(Reject::new("bad_timestamp", format!("{field}: {text} is not in this age; was it written in another unit?")));
    }
    Ok(parsed)
}

/// A record whose own time only a producer without a clock can give would date all that it tells.
pub(crate) fn dated(appended: Timestamp) -> Result<(), Reject> {
    if appended < YEAR_1980 {
        return Err(Reject::new("bad_timestamp", format!("the record's own time is {appended}: has its producer no clock?")));
    }
    Ok(())
}

impl Unit {
    const ALL: [Self; 4] = [Self::Seconds, Self::Milliseconds, Self::Microseconds, Self::Nanoseconds];

    fn word(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Milliseconds => "milliseconds",
            Self::Microseconds => "microseconds",
            Self::Nanoseconds => "nanoseconds",
        }
    }

    fn timestamp(self, number: i64) -> Timestamp {
        Timestamp(match self {
            Self::Seconds => number.saturating_mul(1000),
            Self::Milliseconds => number,
            Self::Microseconds => number.div_euclid(1000),
            Self::Nanoseconds => number.div_euclid(1_000_000),
        })
    }
}

/// A time from a number of that unit; one that is not of this age is refused, with the unit it would be right in.
fn instant(field: &str, number: i64, unit: Unit) -> Result<Timestamp, Reject> {
    let of_this_age = |at: Timestamp| at >= YEAR_1980 && at <= YEAR_2200;
    let at = unit.timestamp(number);
    if of_this_age(at) {
        return Ok(at);
    }
    let right = Unit::ALL.into_iter().find(|other| of_this_age(other.timestamp(number)));
    let hint = right.map_or_else(String::new, |right| format!("; in {} it would be {}", right.word(), right.timestamp(number)));
    Err(Reject::new("bad_timestamp", format!("{field}: {number} {} is not in this age{hint}", unit.word())))
}

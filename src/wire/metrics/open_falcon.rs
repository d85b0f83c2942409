//! Metrics as Open-Falcon writes them: a list in JSON, seconds, tags in one text. With Nightingale's tolerances: a value
//! may be a text, a time may count milliseconds, and `.` and `-` in a name become `_`.

use serde::Deserialize;

use crate::model::Value;
use crate::wire::{Reject, Unit, instant};

use super::{Number, Scratch, Sink, Text, each};

/// A time above this counts milliseconds: as seconds it would be the year 2106.
const SECONDS_MAX: i64 = 0xffff_ffff;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw<'a> {
    #[serde(borrow)]
    endpoint: Option<Text<'a>>,
    #[serde(borrow)]
    metric: Text<'a>,
    timestamp: i64,
    value: Number,
    /// Of no interest but for its presence: no other format has it.
    #[serde(borrow)]
    counter_type: Option<Text<'a>>,
    #[serde(borrow)]
    tags: Option<Text<'a>>,
}

/// Decodes one record.
///
/// # Errors
/// It is not of this shape.
pub fn decode(payload: &[u8], scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    each(payload, |raw: Raw<'_>| {
        if let Err(reject) = sample(&raw, scratch, sink) {
            sink.refuse(reject);
        }
    })
}

fn sample(raw: &Raw<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    if raw.counter_type.is_none() {
        return Err(Reject::new("unexpected_shape", "`counterType` is needed"));
    }
    let unit = if raw.timestamp > SECONDS_MAX { Unit::Milliseconds } else { Unit::Seconds };
    let at = instant("timestamp", raw.timestamp, unit)?;
    let Number::Of(value) = raw.value else { return Err(Reject::new("bad_value", "value: not a number")) };
    let series = &mut scratch.series;
    series.clear();
    series.begin_name()?;
    series.part_spelt(&raw.metric.0);
    series.end()?;
    if let Some(endpoint) = &raw.endpoint {
        series.label("endpoint", &endpoint.0)?;
    }
    let tags = raw.tags.as_ref().map_or("", |tags| tags.0.as_ref());
    for (name, value) in tags.split(',').filter_map(|tag| tag.split_once('=')) {
        series.label(name.trim(), value.trim())?;
    }
    sink.sample(series, at, Value::Float(value));
    Ok(())
}

//! Metrics as prometheus-kafka-adapter writes them: one JSON object a sample, the value as text, whole seconds.
//!
//! The adapter writes Prometheus' staleness marker as `"NaN"`, so that is read as the series' end: a real NaN is
//! rare, and a series that never ends would be worse. What is home-made and has the same keys is read as well: the value and
//! the time may be numbers.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::{Value, labels::METRIC_NAME, value::STALE};
use crate::wire::{Reject, SeriesBuf};

use super::{Context, Scratch, Sink, Text, milliseconds, objects, pairs, parse};

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    labels: &'a RawValue,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    timestamp: Text<'a>,
    #[serde(borrow)]
    value: Text<'a>,
}

/// Decodes one record; times that are numbers count milliseconds where nothing else is said.
///
/// # Errors
/// It is not of this shape.
pub fn decode(payload: &[u8], context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    objects(payload, |raw: Raw<'_>| {
        if let Err(reject) = sample(&raw, context, scratch, sink) {
            sink.refuse(reject);
        }
    })
}

fn sample(raw: &Raw<'_>, context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let at = milliseconds("timestamp", &raw.timestamp, context)?;
    let value = match raw.value.0.as_ref() {
        "NaN" => STALE,
        text => parse(text).ok_or_else(|| Reject::new("bad_value", format!("value: {text:?} is not a number")))?,
    };
    let series = &mut scratch.series;
    series.clear();
    series.lies_as(&["prometheus_kafka_adapter", raw.name.as_ref().map_or("", |name| name.0.as_ref())], raw.labels.get().as_bytes());
    if !sink.knows(series) {
        labels(raw, series)?;
    }
    sink.sample(series, at, Value::Float(value));
    Ok(())
}

fn labels(raw: &Raw<'_>, series: &mut SeriesBuf) -> Result<(), Reject> {
    let labels = pairs(raw.labels)?.0;
    if let Some(name) = &raw.name {
        series.name(&[name.0.as_ref()])?;
    } else if !labels.iter().any(|(name, value)| name.0 == METRIC_NAME && !value.0.is_empty()) {
        return Err(Reject::new("no_metric_name", "neither `name` nor the label `__name__`"));
    }
    labels.iter().try_for_each(|(name, value)| series.label(&name.0, &value.0))
}

//! Metrics as Telegraf's `json` serializer writes them: one object a metric, or several in `metrics`; each field that is
//! a number, or a boolean, becomes a series `name_field`, as in Telegraf's own Prometheus output.

use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::model::Value;
use crate::wire::{Reject, SeriesBuf, Unit, instant};

use super::{Context, Number, Scratch, Sink, Text, objects, pairs};

/// One metric, or a batch of them.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    fields: Option<Fields<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    tags: Option<&'a RawValue>,
    timestamp: Option<i64>,
    #[serde(borrow)]
    metrics: Option<Vec<Metric<'a>>>,
}

#[derive(Deserialize)]
struct Metric<'a> {
    #[serde(borrow)]
    fields: Fields<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    tags: Option<&'a RawValue>,
    timestamp: i64,
}

struct Fields<'a>(SmallVec<[(Text<'a>, Number); 8]>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        super::entries(d).map(Self)
    }
}

/// Decodes one record; times count seconds where nothing else is said.
///
/// # Errors
/// It is not of this shape.
pub fn decode(payload: &[u8], context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let unit = context.unit.unwrap_or(Unit::Seconds);
    let mut wrong = None;
    objects(payload, |raw: Raw<'_>| match raw {
        Raw { metrics: Some(metrics), .. } => metrics.iter().for_each(|metric| take(metric, unit, scratch, sink)),
        Raw { fields: Some(fields), name: Some(name), tags, timestamp: Some(timestamp), .. } => {
            take(&Metric { fields, name, tags, timestamp }, unit, scratch, sink);
        }
        Raw { .. } => wrong = Some(Reject::new("unexpected_shape", "`name`, `fields` and `timestamp` are needed, or `metrics`")),
    })?;
    wrong.map_or(Ok(()), Err)
}

fn take(metric: &Metric<'_>, unit: Unit, scratch: &mut Scratch, sink: &mut dyn Sink) {
    if let Err(reject) = samples(metric, unit, scratch, sink) {
        sink.refuse(reject);
    }
}

fn samples(metric: &Metric<'_>, unit: Unit, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let at = instant("timestamp", metric.timestamp, unit)?;
    let series = &mut scratch.series;
    let (name, raw) = (metric.name.0.as_ref(), metric.tags.map_or("", RawValue::get));
    for (field, value) in &metric.fields.0 {
        let Number::Of(value) = value else {
            sink.skip("text_value");
            continue;
        };
        series.clear();
        series.lies_as(&["telegraf_json", name, &field.0], raw.as_bytes());
        if !sink.knows(series) {
            labels(metric, series)?;
            super::influx::name(series, name, &field.0)?;
        }
        sink.sample(series, at, Value::Float(*value));
    }
    Ok(())
}

fn labels(metric: &Metric<'_>, series: &mut SeriesBuf) -> Result<(), Reject> {
    let tags = metric.tags.map(pairs).transpose()?.unwrap_or_default();
    tags.0.iter().try_for_each(|(name, value)| {
        series.begin_spelt(&name.0)?;
        series.part(&value.0);
        series.end()
    })
}

//! Metrics as Nightingale's Kafka writer sends them: a list of Prometheus' series in JSON. It leaves out what is zero.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::model::Value;
use crate::wire::{Reject, SeriesBuf, Unit, instant};

use super::{Number, Scratch, Sink, Text, list};

#[derive(Deserialize)]
struct Series<'a> {
    #[serde(borrow)]
    labels: &'a RawValue,
    samples: Option<SmallVec<[Sample; 8]>>,
    histograms: Option<SmallVec<[IgnoredAny; 1]>>,
}

#[derive(Deserialize)]
struct Label<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow, default = "nothing")]
    value: Text<'a>,
}

fn nothing<'a>() -> Text<'a> {
    Text("".into())
}

#[derive(Deserialize)]
struct Sample {
    #[serde(default = "zero")]
    value: Number,
    #[serde(default)]
    timestamp: i64,
}

fn zero() -> Number {
    Number::Of(0.0)
}

/// Decodes one record.
///
/// # Errors
/// It is not of this shape.
pub fn decode(payload: &[u8], scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    list(payload, |raw: Series<'_>| {
        let series = &mut scratch.series;
        series.clear();
        series.lies_as(&["nightingale"], raw.labels.get().as_bytes());
        if !sink.knows(series)
            && let Err(reject) = labels(raw.labels, series)
        {
            return sink.refuse(reject);
        }
        for sample in raw.samples.iter().flatten() {
            match (instant("timestamp", sample.timestamp, Unit::Milliseconds), sample.value) {
                (Ok(at), Number::Of(value)) => sink.sample(series, at, Value::Float(value)),
                (Err(reject), _) => sink.refuse(reject),
                (Ok(_), Number::Text) => sink.refuse(Reject::new("bad_value", "value: not a number")),
            }
        }
        if raw.histograms.is_some_and(|histograms| !histograms.is_empty()) {
            sink.refuse(Reject::new("unknown_metric_type", "native histograms in this JSON are not read"));
        }
    })
}

fn labels(raw: &RawValue, series: &mut SeriesBuf) -> Result<(), Reject> {
    let labels: SmallVec<[Label<'_>; 16]> = serde_json::from_str(raw.get()).map_err(|e| Reject::json(&e))?;
    labels.iter().try_for_each(|label| series.label(&label.name.0, &label.value.0))
}

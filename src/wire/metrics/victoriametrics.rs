//! VictoriaMetrics' JSON lines: a series a line, with parallel lists of values and of times in milliseconds.

use serde::Deserialize;
use smallvec::SmallVec;

use crate::model::Value;
use crate::wire::{Reject, Unit, instant};

use super::{Number, Pairs, Scratch, Sink, objects};

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    metric: Pairs<'a>,
    values: SmallVec<[Number; 16]>,
    timestamps: SmallVec<[i64; 16]>,
}

/// Decodes one record.
///
/// # Errors
/// It is not of this shape.
pub fn decode(payload: &[u8], scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    objects(payload, |raw: Raw<'_>| {
        let series = &mut scratch.series;
        series.clear();
        if let Err(reject) = raw.metric.0.iter().try_for_each(|(name, value)| series.label(&name.0, &value.0)) {
            return sink.refuse(reject);
        }
        if raw.values.len() != raw.timestamps.len() {
            let detail = format!("{} values and {} timestamps", raw.values.len(), raw.timestamps.len());
            sink.refuse(Reject::new("missing_value", detail));
        }
        for (value, at) in raw.values.iter().zip(&raw.timestamps) {
            match (instant("timestamps", *at, Unit::Milliseconds), value) {
                (Ok(at), Number::Of(value)) => sink.sample(series, at, Value::Float(*value)),
                (Ok(_), Number::Text) => sink.refuse(Reject::new("missing_value", "values: not a number")),
                (Err(reject), _) => sink.refuse(reject),
            }
        }
    })
}

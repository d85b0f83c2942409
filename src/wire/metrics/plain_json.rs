//! A plain object with `name`, `value` and `timestamp`, and labels if there are any; also inside the envelope that Kafka
//! Connect's `JsonConverter` puts around it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::Value;
use crate::wire::Reject;

use super::{Context, Number, Pairs, Scratch, Sink, Text, milliseconds, objects};

/// Nothing else may be in it: with labels of another name it would be another series.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw<'a> {
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    value: Option<Number>,
    #[serde(borrow)]
    timestamp: Option<Text<'a>>,
    #[serde(borrow, default, alias = "labels")]
    tags: Pairs<'a>,
}

/// Decodes one record; times count milliseconds where nothing else is said.
///
/// # Errors
/// It is not of this shape.
pub fn decode(payload: &[u8], context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let mut wrong = Ok(());
    objects(payload, |raw: Raw<'_>| {
        let read = match (raw.schema, raw.payload) {
            (Some(_), Some(inner)) => objects(inner.get().as_bytes(), |raw: Raw<'_>| {
                if let Err(reject) = sample(&raw, context, scratch, sink) {
                    sink.refuse(reject);
                }
            }),
            _ => sample(&raw, context, scratch, sink),
        };
        wrong = std::mem::replace(&mut wrong, Ok(())).and(read);
    })?;
    wrong
}

fn sample(raw: &Raw<'_>, context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let (Some(name), Some(value)) = (&raw.name, raw.value) else {
        return Err(Reject::new("unexpected_shape", "`name` and `value` are needed"));
    };
    let Number::Of(value) = value else { return Err(Reject::new("bad_value", "value: not a number")) };
    let at = raw.timestamp.as_ref().map_or(Ok(context.appended), |text| milliseconds("timestamp", text, context))?;
    let series = &mut scratch.series;
    series.clear();
    series.name(&[name.0.as_ref()])?;
    for (name, value) in &raw.tags.0 {
        series.label(&name.0, &value.0)?;
    }
    sink.sample(series, at, Value::Float(value));
    Ok(())
}

//! Metrics as Metricbeat writes them: a document in the Elastic Common Schema. Each number below the module's own object
//! becomes a series, named by its path.

use serde_json::Value as Json;

use crate::model::{Timestamp, Value};
use crate::wire::{Reject, json, time};

use super::{Scratch, Sink};

/// What the document says of itself and of where it is from; the rest is measured.
const ABOUT: [&str; 9] = ["@timestamp", "@metadata", "event", "metricset", "service", "host", "agent", "ecs", "cloud"];

/// Where the labels are.
const LABELS: [(&str, &str); 4] =
    [("host", "/host/name"), ("dataset", "/event/dataset"), ("service", "/service/name"), ("address", "/service/address")];

/// Decodes one record.
///
/// # Errors
/// It is not of this shape.
pub fn decode(payload: &[u8], scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let document: Json = json(payload)?;
    let text = |pointer: &str| document.pointer(pointer).and_then(Json::as_str);
    let (Some(when), Some(_)) = (text("/@timestamp"), text("/agent/type")) else {
        return Err(Reject::new("unexpected_shape", "`@timestamp` and `agent.type` are needed"));
    };
    let at = time("@timestamp", when)?;
    scratch.series.clear();
    for (label, pointer) in LABELS {
        scratch.series.label(label, text(pointer).unwrap_or_default())?;
    }
    let Json::Object(fields) = &document else { return Ok(()) };
    for (key, value) in fields.iter().filter(|(key, _)| !ABOUT.contains(&key.as_str())) {
        numbers(key, value, at, scratch, sink);
    }
    Ok(())
}

fn numbers(path: &str, value: &Json, at: Timestamp, scratch: &mut Scratch, sink: &mut dyn Sink) {
    match value {
        Json::Object(fields) => fields.iter().for_each(|(key, value)| numbers(&format!("{path}.{key}"), value, at, scratch, sink)),
        Json::Number(number) => {
            let mark = scratch.series.mark();
            let named = scratch.series.begin_name().and_then(|()| {
                scratch.series.part_spelt(path);
                scratch.series.end()
            });
            match named {
                Ok(()) => sink.sample(&scratch.series, at, Value::Float(number.as_f64().unwrap_or(f64::NAN))),
                Err(reject) => sink.refuse(reject),
            }
            scratch.series.back(mark);
        }
        Json::String(_) | Json::Bool(_) | Json::Array(_) | Json::Null => sink.skip("text_value"),
    }
}

//! Changes as CDEvents in a structured CloudEvent. Matched by the type's prefix: its trailing version does not matter.
//! Source: <https://cdevents.dev>, CloudEvents binding.

use serde::Deserialize;
use serde_json::Value;

use crate::model::{Change, Labels};

use super::{Reject, json, time};

const PREFIX: &str = "dev.cdevents.";

#[derive(Deserialize)]
struct Raw {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    time: Option<String>,
    data: Value,
}

/// Decodes one record; none for an event that changes nothing that runs.
///
/// # Errors
/// It is no CloudEvent, no CDEvent, or its time cannot be read.
pub fn decode(payload: &[u8]) -> Result<Option<Change>, Reject> {
    let raw: Raw = json(payload)?;
    if raw.specversion != "1.0" {
        return Err(Reject::new("unexpected_shape", format!("specversion: {:?}, expected 1.0", raw.specversion)));
    }
    let Some(kind) = raw.kind.strip_prefix(PREFIX) else {
        return Err(Reject::new("unknown_type", format!("type: {:?} does not start with {PREFIX}", raw.kind)));
    };
    let kind: Vec<&str> = kind.split('.').take(2).collect();
    if !matches!(kind.first(), Some(&"service" | &"environment")) {
        return Ok(None);
    }
    let text = |pointer: &str| raw.data.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let when = raw.time.or_else(|| text("/context/timestamp")).ok_or_else(|| Reject::new("bad_timestamp", "time: missing"))?;
    let subject = text("/subject/id").ok_or_else(|| Reject::new("unexpected_shape", "data.subject.id: missing"))?;
    let version = text("/customData/version").or_else(|| text("/subject/content/artifactId"));
    Ok(Some(Change {
        at: time("time", &when)?,
        labels: labels(&subject, kind[0], text("/subject/content/environment/id")),
        summary: version.unwrap_or_default(),
        kind: kind.join("."),
        id: raw.id,
        source: raw.source,
    }))
}

/// A subject such as `shop/checkout` names a namespace and a service.
fn labels(subject: &str, kind: &str, environment: Option<String>) -> Labels {
    let (namespace, name) = subject.rsplit_once('/').unwrap_or(("", subject));
    let environment = environment.map(|e| ("environment".to_owned(), e));
    let pairs = [(kind.to_owned(), name.to_owned()), ("namespace".to_owned(), namespace.to_owned())];
    environment.into_iter().chain(pairs).collect()
}

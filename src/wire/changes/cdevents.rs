//! Changes as CDEvents: in a CloudEvent, structured or binary, or bare, as a notification's template writes them. Matched
//! by the type's prefix: its trailing version does not matter.
//! Source: <https://cdevents.dev>, CloudEvents binding; <https://github.com/cloudevents/spec>, Kafka binding.

use serde_json::Value as Json;

use crate::model::{Change, Labels};
use crate::wire::{Headers, Reject, header, time};

const PREFIX: &str = "dev.cdevents.";

/// Of events that the specification does not name: `dev.cdeventsx.<tool>-<subject>.<predicate>.<version>`.
const CUSTOM: &str = "dev.cdeventsx.";

/// Decodes one record; none for an event that changes nothing that runs.
///
/// # Errors
/// It is no CDEvent, or its time cannot be read.
pub fn decode(record: &Json, headers: &Headers<'_>) -> Result<Option<Change>, Reject> {
    let binary = header(headers, "ce_specversion");
    let structured = record["specversion"].as_str();
    let version = binary.map(|version| String::from_utf8_lossy(version).into_owned()).or_else(|| structured.map(str::to_owned));
    if let Some(version) = version.filter(|version| version != "1.0") {
        return Err(Reject::new("unexpected_shape", format!("specversion: {version:?}, expected 1.0")));
    }
    let event = if structured.is_some() { &record["data"] } else { record };
    let attribute = |name: &str| {
        let own = header(headers, &format!("ce_{name}")).map(|value| String::from_utf8_lossy(value).into_owned());
        own.filter(|_| binary.is_some()).or_else(|| structured.and_then(|_| record[name].as_str()).map(str::to_owned))
    };
    let text = |pointer: &str| event.pointer(pointer).and_then(Json::as_str).map(str::to_owned);
    let known = |name: &str| attribute(name).or_else(|| text(&format!("/context/{name}")));
    let needed = |name: &str| known(name).ok_or_else(|| Reject::new("unexpected_shape", format!("{name}: missing")));
    let full = needed("type")?;
    let (kind, custom) = match (full.strip_prefix(PREFIX), full.strip_prefix(CUSTOM)) {
        (Some(kind), _) => (kind, false),
        (None, Some(kind)) => (kind, true),
        (None, None) => return Err(Reject::new("unknown_type", format!("type: {full:?} does not start with {PREFIX}"))),
    };
    let kind: Vec<&str> = kind.split('.').take(2).collect();
    if !custom && !matches!(kind.first(), Some(&"service" | &"environment")) {
        return Ok(None);
    }
    let when = attribute("time").or_else(|| text("/context/timestamp")).ok_or_else(|| Reject::new("bad_timestamp", "time: missing"))?;
    let subject = text("/subject/id").ok_or_else(|| Reject::new("unexpected_shape", "subject.id: missing"))?;
    let content = |pointer: &str| text(&format!("/subject/content/{pointer}"));
    let version = text("/customData/version").or_else(|| content("artifactId")).or_else(|| content("to"));
    let mut labels = labels(&content("service/id").unwrap_or_else(|| subject.clone()), if custom { "service" } else { kind[0] });
    if let Some(environment) = content("environment/id") {
        labels = labels.with("environment", &environment);
    }
    if custom {
        // Such as `openfeature-featureflag`: a tool and what it is about.
        labels = labels.with(kind[0].rsplit('-').next().unwrap_or(kind[0]), &subject);
    }
    Ok(Some(Change {
        at: time("time", &when)?,
        labels,
        summary: version.unwrap_or_default(),
        kind: kind.join("."),
        id: needed("id")?,
        source: needed("source")?,
    }))
}

/// A subject such as `shop/checkout` names a namespace and a service.
fn labels(subject: &str, kind: &str) -> Labels {
    let (namespace, name) = subject.rsplit_once('/').unwrap_or(("", subject));
    Labels::of([(kind, name), ("namespace", namespace)])
}

//! Declarations as CloudEvents 1.0, structured JSON, with the attributes mirrored as `ce_*` headers.
//! Source: <https://github.com/cloudevents/spec>, JSON format and Kafka binding.

use serde::Serialize;

use crate::stage::{Message, Topic};

/// The attributes of an event; extension names are lower case without separators, as the specification asks.
#[derive(Clone, Debug, Serialize)]
pub struct Attributes {
    /// Always `1.0`.
    pub specversion: &'static str,
    /// `<incident>.<sequence>`.
    pub id: String,
    /// Who declares.
    pub source: &'static str,
    /// `io.richter.incident.<what>.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The entity the incident is about.
    pub subject: String,
    /// The event's time.
    pub time: String,
    /// Of the data.
    pub datacontenttype: &'static str,
    /// The incident's id, so that its events stay in order.
    pub partitionkey: String,
    /// The event's number within its incident, padded so that texts sort as numbers do; none of what is no incident's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<String>,
    /// The effective level, e.g. `P1`; none before one is met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
}

#[derive(Serialize)]
struct Event<'a, T> {
    #[serde(flatten)]
    attributes: &'a Attributes,
    data: &'a T,
}

/// The record for the incidents topic.
#[must_use]
pub fn message<T: Serialize>(attributes: &Attributes, data: &T) -> Message {
    let a = attributes;
    let headers = [
        ("content-type", "application/cloudevents+json; charset=UTF-8"),
        ("ce_specversion", a.specversion),
        ("ce_id", &a.id),
        ("ce_source", a.source),
        ("ce_type", &a.kind),
        ("ce_subject", &a.subject),
        ("ce_time", &a.time),
        ("ce_partitionkey", &a.partitionkey),
    ];
    let further = [("ce_sequence", &a.sequence), ("ce_level", &a.level)];
    let further = further.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    Message {
        topic: Topic::Incidents,
        partition: None,
        key: a.partitionkey.clone(),
        headers: headers.into_iter().chain(further).map(|(name, value)| (name, value.to_owned())).collect(),
        payload: serde_json::to_vec(&Event { attributes, data }).expect("an event is plain data"),
    }
}

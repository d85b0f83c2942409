//! Declarations as CloudEvents 1.0, structured JSON, with the attributes mirrored as `ce_*` headers.
//! Source: <https://github.com/cloudevents/spec>, JSON format and Kafka binding.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::model::text::cut;
use crate::stage::{Message, Topic};

/// An event is smaller than this: brokers and clients refuse more than a megabyte by default.
pub const EVENT_BYTES_MAX: usize = 900 << 10;

/// Where an event would be larger, its texts are cut to at most so many bytes: the first of these by which it fits.
const TEXT_BYTES: [usize; 4] = [4096, 1024, 256, 64];

/// The attributes of an event; extension names are lower case without separators, as the specification asks.
#[derive(Clone, Debug, Serialize)]
pub struct Attributes {
    /// Always `1.0`.
    pub specversion: &'static str,
    /// `<incident>.<sequence>`, or `command.<id>` of an answer to a command.
    pub id: String,
    /// Who declares.
    pub source: &'static str,
    /// `io.richter.incident.<what>.v1`, or `io.richter.command.<what>.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The entity the incident is about; of an answer to a command that incident, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The event's time.
    pub time: String,
    /// Of the data.
    pub datacontenttype: &'static str,
    /// The incident's id, so that its events stay in order; of an answer to a command `command.<id>`.
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

/// The record for the incidents topic. However much is told in it, it is never too large to be told.
#[must_use]
pub fn message<T: Serialize>(attributes: &Attributes, data: &T) -> Message {
    let a = attributes;
    let headers = [
        ("content-type", "application/cloudevents+json; charset=UTF-8"),
        ("ce_specversion", a.specversion),
        ("ce_id", &a.id),
        ("ce_source", a.source),
        ("ce_type", &a.kind),
        ("ce_time", &a.time),
        ("ce_partitionkey", &a.partitionkey),
    ];
    let further = [("ce_subject", &a.subject), ("ce_sequence", &a.sequence), ("ce_level", &a.level)];
    let further = further.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    Message {
        topic: Topic::Incidents,
        partition: None,
        key: a.partitionkey.clone(),
        headers: headers.into_iter().chain(further).map(|(name, value)| (name, value.to_owned())).collect(),
        payload: payload(&Event { attributes, data }),
    }
}

/// The data of an event, if its type begins so.
///
/// # Errors
/// It is no event, or its data is of another shape.
pub fn data<T: DeserializeOwned>(event: &[u8], kind: &str) -> serde_json::Result<Option<T>> {
    #[derive(Deserialize)]
    struct Envelope<'e> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'e, str>,
        #[serde(borrow)]
        data: &'e RawValue,
    }
    let told: Envelope<'_> = serde_json::from_slice(event)?;
    if told.kind.starts_with(kind) { serde_json::from_str(told.data.get()).map(Some) } else { Ok(None) }
}

fn payload<T: Serialize>(event: &Event<'_, T>) -> Vec<u8> {
    let mut payload = serde_json::to_vec(event).expect("an event is plain data");
    if payload.len() < EVENT_BYTES_MAX {
        return payload;
    }
    let mut value = serde_json::to_value(event).expect("an event is plain data");
    for bytes in TEXT_BYTES {
        cut_texts(&mut value["data"], bytes);
        payload = value.to_string().into_bytes();
        if payload.len() < EVENT_BYTES_MAX {
            break;
        }
    }
    payload
}

/// Cuts every text in it.
fn cut_texts(value: &mut Json, bytes: usize) {
    match value {
        Json::String(text) if text.len() > bytes => *text = cut(text, bytes),
        Json::Array(list) => list.iter_mut().for_each(|one| cut_texts(one, bytes)),
        Json::Object(object) => object.values_mut().for_each(|one| cut_texts(one, bytes)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

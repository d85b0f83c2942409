//! Alerts as others tell them.

pub mod alertmanager;
pub mod recorder;
pub mod recorder_proto;

use serde_json::Value as Json;

use crate::model::{Signal, Timestamp};
use crate::rules::preset::Preset;
use crate::rules::{Format, Kind, Mapping};

use super::mapped::{self, Use};
use super::{PARTS_MAX, Parts, Reject, few_enough, within_limits};

/// How a source's records are decoded.
#[derive(Clone, Debug)]
pub struct Decoder {
    kind: Kind,
    format: Format,
    mapping: Option<Mapping>,
    /// What `auto` tries, for its kind.
    presets: Vec<Preset>,
}

impl Decoder {
    /// For records of that kind and format; a mapped one needs its mapping.
    #[must_use]
    pub fn new(kind: Kind, format: Format, mapping: Option<Mapping>) -> Self {
        let presets = match format {
            Format::Auto => Preset::of(kind).collect(),
            _ => vec![],
        };
        Self { kind, format, mapping, presets }
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// The signals of a record by a mapping: the source's own, or the preset that fits.
    pub(super) fn mapped(&self, record: &Json, appended: Timestamp) -> Result<Parts, Reject> {
        let fitting = || self.presets.iter().find(|preset| mapped::fits(&preset.marks, record)).map(|preset| &preset.mapping);
        let Some(mapping) = self.mapping.as_ref().or_else(fitting) else {
            return Err(Reject::new("unknown_shape", "JSON of no shape that is known; name the format, or write a mapping"));
        };
        mapped::signals(Use { mapping, kind: self.kind, appended }, record)
    }

    /// Decodes one record of alerts.
    ///
    /// # Errors
    /// It is no record at all; what of it cannot be read is a part that is refused.
    pub fn alerts(&self, payload: &[u8], appended: Timestamp) -> Result<Parts, Reject> {
        within_limits(payload)?;
        if self.format == Format::AlertmanagerEventsProto {
            return recorder_proto::decode(payload).map(whole);
        }
        let parts = |record: Json| match self.alert_format(&record) {
            Format::AlertmanagerWebhook => alertmanager::webhook(record),
            Format::AlertmanagerApi => alertmanager::api(record, appended),
            Format::AlertmanagerEvents => recorder::decode(record).map(whole),
            _ => self.mapped(&record, appended),
        };
        all_parts(documents(payload)?, parts)
    }

    /// The format named, or the one whose marks the record has.
    fn alert_format(&self, record: &Json) -> Format {
        if self.format != Format::Auto {
            return self.format;
        }
        if record["alerts"].is_array() {
            Format::AlertmanagerWebhook
        } else if record["@timestamp"].is_string() && record["data"].is_object() && record["instance"].is_string() {
            Format::AlertmanagerEvents
        } else if record[0]["labels"].is_object() {
            Format::AlertmanagerApi
        } else {
            Format::Mapped
        }
    }
}

/// The parts of all documents of a record.
pub(super) fn all_parts(documents: Documents, parts: impl Fn(Json) -> Result<Parts, Reject>) -> Result<Parts, Reject> {
    let mut all = vec![];
    for document in documents {
        all.extend(document.and_then(&parts).unwrap_or_else(refused));
        few_enough(all.len())?;
    }
    Ok(all)
}

/// All of a record was read.
fn whole(signals: Vec<Signal>) -> Parts {
    signals.into_iter().map(Ok).collect()
}

/// Nothing of a document was.
fn refused(reject: Reject) -> Parts {
    vec![Err(reject)]
}

/// JSON values, and at the end what cannot be read as one.
type Documents = Vec<Result<Json, Reject>>;

/// The JSON values of a record, one after the other, as far as it can be read.
pub(super) fn documents(payload: &[u8]) -> Result<Documents, Reject> {
    let mut documents: Documents = vec![];
    for document in serde_json::Deserializer::from_slice(payload).into_iter().take(PARTS_MAX + 1) {
        let unreadable = document.is_err();
        documents.push(document.map_err(|e| Reject::json(&e)));
        if unreadable {
            break;
        }
    }
    few_enough(documents.len())?;
    match &documents[..] {
        [] => Err(Reject::new("not_json", "an empty record")),
        [Err(nothing)] => Err(nothing.clone()),
        _ => Ok(documents),
    }
}

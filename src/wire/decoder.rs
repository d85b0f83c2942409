//! Decoders of alerts and changes: what they know of their source, and how a record's parts are told apart.

use serde_json::Value as Json;

use crate::model::Timestamp;
use crate::rules::preset::Preset;
use crate::rules::{Format, Kind, Mapping};

use super::mapped::{self, Use};
use super::{PARTS_MAX, Parts, Reject, few_enough};

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

//! Alerts as others tell them.

pub mod alertmanager;
pub mod recorder;
pub mod recorder_proto;

use serde_json::Value as Json;

use crate::model::{Signal, Timestamp};
use crate::rules::Format;

use super::decoder::{Decoder, all_parts, documents};
use super::{Parts, Reject, within_limits};

impl Decoder {
    /// Decodes one record of alerts.
    ///
    /// # Errors
    /// It is no record at all; what of it cannot be read is a part that is refused.
    pub fn alerts(&self, payload: &[u8], appended: Timestamp) -> Result<Parts, Reject> {
        within_limits(payload)?;
        if self.format() == Format::AlertmanagerEventsProto {
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
        if self.format() != Format::Auto {
            return self.format();
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

/// All of a record was read.
fn whole(signals: Vec<Signal>) -> Parts {
    signals.into_iter().map(Ok).collect()
}

//! Changes as others tell them.

pub mod cdevents;
pub mod github;
pub mod kubernetes;

use serde_json::Value as Json;

use crate::model::{Change, Signal, Timestamp};
use crate::rules::Format;

use super::alerts::{Decoder, documents};
use super::{Headers, Reject, within_limits};

impl Decoder {
    /// Decodes one record of changes.
    ///
    /// # Errors
    /// It is not of the format, or something in it cannot be read.
    pub fn changes(&self, payload: &[u8], headers: &Headers<'_>, appended: Timestamp) -> Result<Vec<Signal>, Reject> {
        within_limits(payload)?;
        let mut signals = vec![];
        for record in documents(payload)? {
            let change: Option<Change> = match self.change_format(&record, headers) {
                Format::Cdevents => cdevents::decode(&record, headers)?,
                Format::GithubDeploymentStatus => github::decode(&record)?,
                Format::KubernetesEvents => Some(kubernetes::decode(&record)?),
                _ => {
                    signals.extend(self.mapped(&record, appended)?);
                    continue;
                }
            };
            signals.extend(change.map(Signal::Change));
        }
        Ok(signals)
    }

    fn change_format(&self, record: &Json, headers: &Headers<'_>) -> Format {
        if self.format() != Format::Auto {
            return self.format();
        }
        let binary = super::header(headers, "ce_specversion").is_some();
        if binary || record["specversion"].is_string() || record["context"]["type"].is_string() {
            Format::Cdevents
        } else if record["deployment_status"].is_object() {
            Format::GithubDeploymentStatus
        } else if record["involvedObject"].is_object() && record["metadata"]["uid"].is_string() {
            Format::KubernetesEvents
        } else {
            Format::Mapped
        }
    }
}

//! Changes as others tell them.

pub mod cdevents;
pub mod github;
pub mod kubernetes;

use serde_json::Value as Json;

use crate::model::{Change, Signal, Timestamp};
use crate::rules::Format;

use super::decoder::{Decoder, all_parts, documents};
use super::{Headers, Parts, Reject, within_limits};

impl Decoder {
    /// Decodes one record of changes.
    ///
    /// # Errors
    /// It is no record at all; what of it cannot be read is a part that is refused.
    pub fn changes(&self, payload: &[u8], headers: &Headers<'_>, appended: Timestamp) -> Result<Parts, Reject> {
        within_limits(payload)?;
        let change = |change: Option<Change>| change.map(|change| Ok(Signal::Change(change))).into_iter().collect();
        let parts = |record: Json| match self.change_format(&record, headers) {
            Format::Cdevents => cdevents::decode(&record, headers).map(change),
            Format::GithubDeploymentStatus => github::decode(&record).map(change),
            Format::KubernetesEvents => kubernetes::decode(&record).map(change),
            _ => self.mapped(&record, appended),
        };
        all_parts(documents(payload)?, parts)
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

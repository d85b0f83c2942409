//! What other systems tell: alerts that fire and resolve, and changes to the running system.

use serde::{Deserialize, Serialize};

use super::{Fingerprint, Labels, Timestamp};

/// What the line of a summary begins with that says where the runbook is.
pub const RUNBOOK: &str = "runbook: ";

/// What others say in a summary: no line of it says where the runbook is, which only an annotation of that name does.
#[must_use]
pub fn said(text: &str) -> String {
    let plain = |line: &str| if line.starts_with(RUNBOOK) { format!(" {line}") } else { line.to_owned() };
    if text.contains(RUNBOOK) { text.lines().map(plain).collect::<Vec<_>>().join("\n") } else { text.to_owned() }
}

/// An external alert, as it was told last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Prometheus' fingerprint of the labels; with `starts_at` it names the episode.
    pub fingerprint: Fingerprint,
    /// All labels, `alertname` among them.
    pub labels: Labels,
    /// In the first line what it is; then where its runbook is, and more of it.
    pub summary: String,
    /// When it began to fire.
    pub starts_at: Timestamp,
    /// When it resolved; none while it fires.
    pub ends_at: Option<Timestamp>,
    /// Its source tells no start of an episode: while one with this fingerprint is open, it is that one.
    pub by_key: bool,
    /// It was told in passing, of one that should be known: where it is not, what told of it was lost.
    pub recalled: bool,
}

/// A deploy, config push, feature flag, failover or migration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The producer's id; unique with `source`.
    pub id: String,
    /// Who says so.
    pub source: String,
    /// What kind of change, e.g. `service.deployed`.
    pub kind: String,
    /// When it happened.
    pub at: Timestamp,
    /// What it is about, as labels (`service`, `environment`), so that entities are mapped as for alerts.
    pub labels: Labels,
    /// For people: the artifact or version.
    pub summary: String,
}

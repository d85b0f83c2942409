//! Signals: what correlation consumes, and the origin whose progress each record carries.

use serde::{Deserialize, Serialize};

use super::{Alert, Breach, Change, Command, Entity, Fingerprint, Good, Hint, Timestamp};

/// One input partition (of a source topic, or of an internal topic) whose progress a later stage follows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The topic.
    pub topic: String,
    /// The partition in it.
    pub partition: u32,
}

/// One statement that correlation acts on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Signal {
    /// A monitor's breach opened, changed or ended.
    Breach(Box<Breach>),
    /// An external alert fires or has resolved.
    Alert(Alert),
    /// The alert with this fingerprint has resolved, whichever episode of it was open.
    Resolved {
        /// Of the alert.
        fingerprint: Fingerprint,
        /// When.
        at: Timestamp,
    },
    /// Something was changed.
    Change(Change),
    /// An operator says something.
    Command(Command),
    /// A monitor has too much of something, though not enough for a breach.
    Hint(Hint),
    /// A monitor finds something good.
    Good(Good),
}

/// A service was seen to call another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Who calls, and so depends on the other.
    pub client: Entity,
    /// Who is called.
    pub server: Entity,
    /// When it was seen.
    pub at: Timestamp,
}

//! Signals: what correlation consumes, and the origin whose progress each record carries.

use serde::{Deserialize, Serialize};
use std::fmt;

use super::{Alert, Breach, Change, Command, Entity, Hint, Phase, Timestamp, labels::Fnv};

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
        fingerprint: u64,
        /// When.
        at: Timestamp,
    },
    /// Something was changed.
    Change(Change),
    /// An operator says something.
    Command(Command),
    /// A monitor has too much of something, though not enough for a breach.
    Hint(Hint),
}

/// A service was seen to call another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Who calls, and so depends on the other.
    pub client: String,
    /// Who is called.
    pub server: String,
    /// When it was seen.
    pub at: Timestamp,
}

/// A signal's identity: the same statement told twice has the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignalId(pub u64);

impl Signal {
    /// Its identity. What may be told again unchanged (an alert still firing) has one id.
    #[must_use]
    pub fn id(&self) -> SignalId {
        SignalId(match self {
            Self::Breach(b) => Fnv::of(&[
                b"breach",
                b.monitor.as_bytes(),
                &b.group.fingerprint().to_be_bytes(),
                &b.onset.0.to_be_bytes(),
                &b.by.0.to_be_bytes(),
                match b.phase {
                    Phase::Opened => b"o",
                    Phase::Changed => b"c",
                    Phase::Stale => b"s",
                    Phase::Ended => b"e",
                },
            ]),
            Self::Alert(a) => Fnv::of(&[
                b"alert",
                &a.fingerprint.to_be_bytes(),
                &a.starts_at.0.to_be_bytes(),
                &a.ends_at.map_or(0, |t| t.0).to_be_bytes(),
            ]),
            Self::Resolved { fingerprint, at } => Fnv::of(&[b"resolved", &fingerprint.to_be_bytes(), &at.0.to_be_bytes()]),
            Self::Change(c) => Fnv::of(&[b"change", c.source.as_bytes(), c.id.as_bytes()]),
            Self::Command(c) => Fnv::of(&[b"command", c.id.as_bytes()]),
            Self::Hint(h) => Fnv::of(&[
                b"hint",
                h.monitor.as_bytes(),
                h.entity.as_str().as_bytes(),
                h.calls.as_ref().map_or("", Entity::as_str).as_bytes(),
                &h.at.0.to_be_bytes(),
            ]),
        })
    }
}

impl fmt::Display for SignalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

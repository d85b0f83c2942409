//! Why something is in its situation.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::Entity;

/// How something joined its situation, and how much likelier that is than that it came by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Joined {
    /// How.
    pub how: How,
    /// Of such a connection, in a second.
    pub rate: f64,
    /// Of the same without one, in a second; that this be beaten three times is asked.
    pub background: f64,
    /// The entity that connects it with the next likeliest situation, and how likely that is, as `rate`.
    pub next: Option<Box<(Entity, f64)>>,
}

impl Joined {
    pub(super) fn relapse() -> Self {
        Self { how: How::Relapse, ..Self::default() }
    }

    /// By how many nats the connection is likelier than its absence.
    #[must_use]
    pub fn nats(&self) -> f64 {
        if self.background > 0.0 { libm::log(self.rate / self.background) } else { 0.0 }
    }

    /// The next likeliest connection, and its nats.
    #[must_use]
    pub fn alternative(&self) -> Option<(&Entity, f64)> {
        let (entity, rate) = self.next.as_deref().filter(|_| self.background > 0.0)?;
        Some((entity, libm::log(rate / self.background)))
    }
}

impl fmt::Display for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.how {
            How::First => f.write_str("first sign"),
            How::Again => f.write_str("fires again"),
            How::SameEntity => f.write_str("same entity"),
            How::DependsOn(on) => write!(f, "depends on {on}"),
            How::Through(on, silent) => write!(f, "depends on {on} through {silent}"),
            How::Meanwhile(of) => write!(f, "while the trouble of {of} spread"),
            How::SilentCause(of) => write!(f, "shares {of}, of which nothing is told"),
            How::Relapse => f.write_str("relapse"),
        }
    }
}

/// How something joined its situation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// It opened it.
    #[default]
    First,
    /// It fires again.
    Again,
    /// It is about an entity that is in it.
    SameEntity,
    /// Its entity depends on this one.
    DependsOn(Entity),
    /// Its entity depends on this one, through the second, of which nothing was told.
    Through(Entity, Entity),
    /// It fell into the time in which this one's trouble spread; the topology knows no path.
    Meanwhile(Entity),
    /// It shares a dependency of which nothing was told.
    SilentCause(Entity),
    /// It is the same trouble again, soon after the recovery.
    Relapse,
}

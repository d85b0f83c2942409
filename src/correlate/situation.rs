//! A situation and its members.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{Definition, Entity, Judge, Labels, Origin, Reading, Timestamp};
use crate::rules::Tuning;

/// A situation's number within its domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SituationId(pub u64);

impl fmt::Display for SituationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S{}", self.0)
    }
}

/// A set of signals believed to have one cause.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Situation {
    /// Its number.
    pub id: SituationId,
    /// In the order they joined.
    pub members: Vec<Member>,
    /// Whether an incident was declared on it.
    pub declared: bool,
    /// When its incident recovered; it then takes in only a relapse.
    pub recovered_at: Option<Timestamp>,
}

/// A breach or an alert episode in a situation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Its identity.
    pub key: u64,
    /// What it is about.
    pub entity: Entity,
    /// What it is.
    pub source: Source,
    /// In words: the scenario of a business monitor, or the alert's summary.
    pub summary: String,
    /// The definition it is graded by, as it was when it began; none for what is evidence only.
    pub definition: Option<Definition>,
    /// Where it was told.
    pub origin: Origin,
    /// Its onset.
    pub starts_at: Timestamp,
    /// Its end; none while it lasts.
    pub ends_at: Option<Timestamp>,
    /// It has ended because what was bad is the normal from now on.
    pub new_normal: bool,
    /// The event time that the last statement about it, or the clock, has brought it to.
    pub told_at: Timestamp,
    /// When it was last heard of, repeats included.
    pub heard_at: Timestamp,
    /// The last reading.
    pub reading: Reading,
    /// The worst reading so far.
    pub worst: Reading,
    /// The conditions that are met.
    pub met: Vec<String>,
    /// Why it is here.
    pub why: Joined,
}

/// What a member is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Source {
    /// A monitor's breach.
    Breach {
        /// The monitor.
        monitor: String,
        /// The group.
        group: Labels,
        /// The judge that spoke first.
        judge: Judge,
    },
    /// An external alert.
    Alert {
        /// Its fingerprint.
        fingerprint: u64,
        /// Its labels.
        labels: Labels,
        /// The monitor that reads it, where one does.
        monitor: Option<String>,
    },
}

/// Why a member is in its situation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Joined {
    /// It opened it.
    First,
    /// It is about an entity that is in it.
    SameEntity,
    /// It is about a direct neighbour of this entity.
    Neighbour(Entity),
    /// It is the same trouble again, soon after the recovery.
    Relapse,
}

impl fmt::Display for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("first sign"),
            Self::SameEntity => f.write_str("same entity"),
            Self::Neighbour(of) => write!(f, "neighbour of {of}"),
            Self::Relapse => f.write_str("relapse"),
        }
    }
}

impl Source {
    /// What it is called: the monitor's or the alert's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Breach { monitor, .. } => monitor,
            Self::Alert { labels, .. } => labels.get("alertname"),
        }
    }

    /// The monitor behind it, where there is one.
    #[must_use]
    pub fn monitor(&self) -> Option<&str> {
        match self {
            Self::Breach { monitor, .. } => Some(monitor),
            Self::Alert { monitor, .. } => monitor.as_deref(),
        }
    }
}

impl Member {
    /// Whether it can make a fault: a business monitor's breach, or an alert that a definition grades.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.definition.is_some()
    }
}

impl Situation {
    pub(super) fn new(id: SituationId) -> Self {
        Self { id, members: vec![], declared: false, recovered_at: None }
    }

    /// The members' entities, with repeats.
    pub fn entities(&self) -> impl Iterator<Item = &Entity> {
        self.members.iter().map(|m| &m.entity)
    }

    /// The first sign of it.
    #[must_use]
    pub fn started_at(&self) -> Option<Timestamp> {
        self.members.iter().map(|m| m.starts_at).min()
    }

    /// Whether any member that counts still lasts.
    #[must_use]
    pub fn lasts(&self) -> bool {
        self.members.iter().any(|m| m.counts() && m.ends_at.is_none())
    }

    pub(super) fn young_enough(&self, at: Timestamp, tuning: &Tuning) -> bool {
        self.started_at().is_none_or(|start| at.since(start) <= tuning.life_max)
    }

    /// Whether the member is the same trouble again, soon after the incident's recovery.
    pub(super) fn relapses(&self, member: &Member, tuning: &Tuning) -> bool {
        let Some(recovered) = self.recovered_at else { return false };
        let same = |m: &Member| m.counts() && m.entity == member.entity && m.source.name() == member.source.name();
        let soon = member.starts_at.since(recovered) <= tuning.reopen_within;
        member.counts() && soon && self.members.iter().any(same)
    }
}

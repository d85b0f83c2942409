//! What an operator says.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entity, Measure, Timestamp};

/// Who speaks where no person does; no command is given by that name.
pub const RICHTER: &str = "richter";

/// A command, as it was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Unique: the same command told twice acts once.
    pub id: String,
    /// Who says so.
    pub author: String,
    /// When.
    pub at: Timestamp,
    /// Why, or whatever else there is to say.
    pub comment: String,
    /// What.
    pub order: Order,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Order {
    /// Alerts and breaches that match make no fault until then; the command's id names the silence.
    Silence {
        /// A selector, as a monitor's `alerts`.
        alerts: String,
        /// When it ends by itself.
        until: Timestamp,
    },
    /// The silence with that id ends now.
    Unsilence {
        /// The silence's id.
        silence: String,
    },
    /// A person declares a fault that no monitor has noticed.
    Declare {
        /// Such as `P2`.
        level: String,
        /// What the user cannot do.
        scenario: String,
        /// What it is about.
        entity: Entity,
        /// Whose business; empty where nobody said.
        business: String,
        /// The team that owns it; empty where nobody said.
        owner: String,
    },
    /// Something about an incident.
    On {
        /// The incident's id.
        incident: String,
        /// What.
        act: Act,
    },
}

/// What is to be done about an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Act {
    /// Its author takes it on.
    Acknowledge,
    /// It has this level, whatever the definitions say.
    SetLevel {
        /// Such as `P2`.
        level: String,
    },
    /// What is known of its impact and no monitor measures.
    SetImpact {
        /// Each measure and its number.
        numbers: Vec<(Measure, f64)>,
    },
    /// Something happened then.
    Mark {
        /// What.
        point: Point,
        /// When it did.
        time: Timestamp,
    },
    /// The root cause is known.
    SetCause {
        /// In a sentence.
        cause: String,
        /// Its class.
        class: Class,
        /// What failed, where that is known.
        entity: Option<Entity>,
        /// The change that triggered it, by its id.
        change: Option<String>,
    },
    /// The comment is kept.
    Note,
    /// It is part of another incident.
    Merge {
        /// The other one's id.
        into: String,
    },
    /// A part of it is an incident of its own.
    Split {
        /// Which.
        part: Split,
    },
    /// It was no fault.
    Cancel,
    /// It has recovered.
    Recover,
    /// It has not recovered.
    RevokeRecovery,
    /// Something is to be done so that it does not come again; the command's id names the action.
    Action {
        /// What.
        action: String,
        /// By whom.
        owner: String,
        /// Until when.
        due: Timestamp,
        /// How it is known to be done.
        verify: String,
    },
    /// An action is done.
    ActionDone {
        /// The action's id.
        action: String,
    },
    /// Its review is done.
    Reviewed,
}

/// What is split off an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Split {
    /// The incident with that id, which was merged into it.
    Merged(String),
    /// What is told of that entity.
    Entity(Entity),
}

impl Act {
    /// As a command is named.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::SetLevel { .. } => "set_level",
            Self::SetImpact { .. } => "set_impact",
            Self::Mark { .. } => "mark",
            Self::SetCause { .. } => "set_cause",
            Self::Note => "note",
            Self::Merge { .. } => "merge",
            Self::Split { .. } => "split",
            Self::Cancel => "cancel",
            Self::Recover => "recover",
            Self::RevokeRecovery => "revoke_recovery",
            Self::Action { .. } => "action",
            Self::ActionDone { .. } => "action_done",
            Self::Reviewed => "review_done",
        }
    }
}

impl Order {
    /// As a command is named.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Silence { .. } => "silence",
            Self::Unsilence { .. } => "unsilence",
            Self::Declare { .. } => "declare",
            Self::On { act, .. } => act.as_str(),
        }
    }
}

/// The names of all commands.
pub const COMMANDS: [&str; 17] = [
    "acknowledge",
    "set_level",
    "set_impact",
    "mark",
    "set_cause",
    "note",
    "merge",
    "split",
    "cancel",
    "recover",
    "revoke_recovery",
    "action",
    "action_done",
    "review_done",
    "declare",
    "silence",
    "unsilence",
];

/// A point of an incident's timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// What made it came into the system: a change was made, a limit was set.
    Injected,
    /// Users began to feel it.
    Occurred,
    /// It was noticed.
    Discovered,
    /// Somebody took it on.
    Responded,
    /// It was known what had to be recovered.
    Located,
    /// Recovery was begun.
    RecoveryStarted,
    /// Users felt it no more.
    Recovered,
    /// It was known why.
    CauseKnown,
}

impl Point {
    /// Whether it cannot be later than another one.
    #[must_use]
    pub fn precedes(self, other: Self) -> bool {
        match self {
            Self::Injected => other != Self::Injected,
            Self::Occurred => !matches!(other, Self::Injected | Self::Occurred),
            Self::Discovered => other == Self::Responded,
            _ => false,
        }
    }

    /// In the order they usually come.
    pub const ALL: [Self; 8] = [
        Self::Injected,
        Self::Occurred,
        Self::Discovered,
        Self::Responded,
        Self::Located,
        Self::RecoveryStarted,
        Self::Recovered,
        Self::CauseKnown,
    ];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::Occurred => "occurred",
            Self::Discovered => "discovered",
            Self::Responded => "responded",
            Self::Located => "located",
            Self::RecoveryStarted => "recovery_started",
            Self::Recovered => "recovered",
            Self::CauseKnown => "cause_known",
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The class of a root cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A machine, a disk, a network device.
    Hardware,
    /// A bug.
    Code,
    /// How people work.
    Process,
    /// A failover that did not work.
    DisasterRecovery,
    /// Too little of something.
    Capacity,
    /// A deploy, a configuration, a flag.
    Change,
    /// Something that others run.
    Dependency,
    /// None of these.
    Other,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Hardware, Self::Code, Self::Process, Self::DisasterRecovery, Self::Capacity, Self::Change, Self::Dependency, Self::Other];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::Code => "code",
            Self::Process => "process",
            Self::DisasterRecovery => "disaster_recovery",
            Self::Capacity => "capacity",
            Self::Change => "change",
            Self::Dependency => "dependency",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

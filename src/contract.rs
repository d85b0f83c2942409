//! What an event holds: the contract with whoever reads the incidents topic. Times are RFC 3339 in UTC, durations whole
//! seconds, shares parts of 1.

mod evidence;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::number::significant;
use crate::model::{Class, Event, Measure, Point, State};
use crate::rules::plans::{Kind, Risk};
use crate::wire::cloudevent;

pub use evidence::{Alternative, Change, Counted, Dimension, Drawn, Evidence, Measured, Member, Metric, Part, Reading, Suspect};

/// With what the types of events about incidents begin.
pub(crate) const INCIDENT: &str = "io.richter.incident.";

/// The type of an answer to a command that was not done.
pub(crate) const REJECTED: &str = "io.richter.command.rejected.v1";

/// The type of an answer to a command that was done and changes no incident of its own: a silence, or its end.
pub(crate) const ACCEPTED: &str = "io.richter.command.accepted.v1";

/// The data of an event about an incident.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Data {
    /// What has happened.
    pub event: Happening,
    /// The whole story so far.
    pub incident: Body,
}

impl Rejection {
    /// The answer to a command, if an event in the incidents topic is one.
    ///
    /// # Errors
    /// It is no event, or such an answer that is not of this shape.
    pub fn of(event: &[u8]) -> serde_json::Result<Option<Self>> {
        cloudevent::data(event, REJECTED)
    }
}

impl Acceptance {
    /// The answer to a command, if an event in the incidents topic is one.
    ///
    /// # Errors
    /// It is no event, or such an answer that is not of this shape.
    pub fn of(event: &[u8]) -> serde_json::Result<Option<Self>> {
        cloudevent::data(event, ACCEPTED)
    }
}

impl Data {
    /// The data of an event as it is in the incidents topic; none of what is about no incident.
    ///
    /// # Errors
    /// It is no event, or one about an incident that is not of this shape.
    pub fn of(event: &[u8]) -> serde_json::Result<Option<Self>> {
        cloudevent::data(event, INCIDENT)
    }
}

/// What has happened.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Happening {
    /// The event's type.
    #[serde(rename = "type")]
    pub kind: Event,
    /// When.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// Who says so: `richter`, or a person.
    pub author: String,
    /// Why.
    pub reason: String,
    /// The command that it follows from, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Where the incident was in its life before; none at its first event.
    #[serde(default)]
    pub state_before: Option<State>,
    /// Its levels before, such as P2, the leading one first.
    #[serde(default)]
    pub levels_before: Vec<String>,
}

/// An incident, as of an event.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Body {
    /// The same after any restart.
    pub id: String,
    /// The event's number within the incident, from 1, without gaps.
    pub sequence: u32,
    /// Where it is in its life.
    pub state: State,
    /// Level, scenario, entity, of how many further ones the same is told, and numbers in a line.
    pub title: String,
    /// The sequence that leads; none while the incident is suspected.
    pub level: Option<Levels>,
    /// All sequences in which it has a level, the leading one first.
    pub levels: Vec<Levels>,
    /// The levels that it has had in any sequence, the first one first.
    #[serde(default)]
    pub levels_held: Vec<Rank>,
    /// The businesses of all that has counted in it.
    #[serde(default)]
    pub businesses_held: Vec<String>,
    /// The teams that own what has counted in it.
    #[serde(default)]
    pub owners_held: Vec<String>,
    /// The first sign of what counts.
    #[schemars(extend("format" = "date-time"))]
    pub started_at: String,
    /// When it was declared, in the time of its data; when it was suspected first, while it is or where it never was declared. When
    /// people could know of it is `timeline.discovered`.
    #[schemars(extend("format" = "date-time"))]
    pub declared_at: String,
    /// When users felt it no more; none while it is on, of what was cancelled or merged, and of what was only suspected.
    #[schemars(extend("format" = "date-time"))]
    pub recovered_at: Option<String>,
    /// From the first sign to this event, or to the recovery, without what all was well in between, before a relapse.
    pub lasted_seconds: u64,
    /// Who has taken it on; that stays where it has become worse since.
    pub acknowledged: Option<Stamp>,
    /// Whether somebody has yet to take it on, as severe as it is: it is on, and nobody has, or not since it escalated to what is handled
    /// otherwise.
    #[serde(default)]
    pub unacknowledged: bool,
    /// Its data has stopped: nothing tells whether it lasts.
    pub stale: bool,
    /// What it costs, by measure.
    pub impact: Impact,
    /// Its points in time.
    pub timeline: BTreeMap<Point, Stamp>,
    /// How long its stages took.
    pub durations: Durations,
    /// How it was noticed.
    pub discovery: Discovery,
    /// Whom to gather, and where; of what is on, however few are named. None of what is suspected or over.
    pub emergency: Option<Emergency>,
    /// How to recover, the best way first.
    pub plans: Vec<Plan>,
    /// The root cause, once people know it.
    pub cause: Option<Cause>,
    /// Its review; none before it has recovered.
    pub review: Option<Review>,
    /// What is to be done so that it does not come again.
    pub actions: Vec<Action>,
    /// What people noted.
    pub notes: Vec<Note>,
    /// The incident it is part of.
    pub merged_into: Option<String>,
    /// The incidents that are part of it.
    pub merged: Vec<String>,
    /// The incidents that would be part of it, or it of them, had not both been declared.
    #[serde(default)]
    pub related: Vec<Related>,
    /// What it rests on.
    #[serde(flatten)]
    pub evidence: Evidence,
    /// Its events so far; of very many those that only say how things stood are left out first.
    pub history: Vec<HistoryEntry>,
    /// Events that are left out of its history.
    #[serde(default)]
    pub history_left_out: u32,
}

/// A level, by its sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rank {
    /// Such as P.
    pub sequence: String,
    /// 1 is the most severe.
    pub rank: u8,
}

/// A sequence's level.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Levels {
    /// Such as P2.
    pub effective: String,
    /// Such as P.
    pub sequence: String,
    /// 1 is the most severe.
    pub rank: u8,
    /// Who set it, where a person did.
    pub set_by: Option<String>,
    /// By the business definition.
    pub business: Option<Met>,
    /// By the generic definitions.
    pub generic: Option<Met>,
    /// What would raise it next.
    pub next: Option<Next>,
}

/// A level and what met it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Met {
    /// Such as P2.
    pub level: String,
    /// The condition.
    pub by: String,
}

/// The next level, and how far it is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Next {
    /// Such as P1.
    pub level: String,
    /// The condition.
    pub by: String,
    /// What is missing to it; empty where that cannot be said.
    pub distance: String,
}

/// A time, and who said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stamp {
    /// When.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// `richter`, or a person.
    pub by: String,
}

/// What it costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Impact {
    /// By measure: what is lost and money add up over the monitors, of what is counted it is the highest number.
    pub numbers: BTreeMap<Measure, f64>,
    /// Of the money.
    pub currency: String,
    /// The measures whose number is what people have said, as no more is measured.
    pub said: Vec<Measure>,
}

impl Impact {
    /// `lost 1725, 1.2% of a usual day lost, 73310 EUR, 250 users affected`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let words = |(measure, number): (&Measure, &f64)| {
            let (amount, percent) = (significant(*number, 4), significant(number * 100.0, 3));
            match measure {
                Measure::Money if self.currency.is_empty() => format!("money {amount}"),
                Measure::Money => format!("{amount} {}", self.currency),
                Measure::LostShare => format!("{percent}% of a usual day lost"),
                Measure::AffectedUsers => format!("{amount} users affected"),
                Measure::AffectedMerchants => format!("{amount} merchants affected"),
                Measure::NegativeShare => format!("{percent}% of the mentions negative"),
                Measure::Complaints | Measure::Mentions => format!("{amount} {measure}"),
                Measure::Reach => format!("{amount} people reached"),
                Measure::Value | Measure::Rise | Measure::Drop | Measure::Lost => format!("{measure} {amount}"),
            }
        };
        self.numbers.iter().map(words).collect::<Vec<_>>().join(", ")
    }
}

/// How long the stages took, in seconds; none where a point of the timeline is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Durations {
    /// From what users felt first to its discovery.
    pub detect: Option<u64>,
    /// From the discovery to the first who took it on.
    pub acknowledge: Option<u64>,
    /// From the discovery to knowing what has to be recovered.
    pub locate: Option<u64>,
    /// From what users felt first to the recovery, with what was well in between.
    pub recover: Option<u64>,
}

/// How it was noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Discovery {
    /// By what.
    pub by: Source,
    /// Its name.
    pub name: String,
}

/// By what a thing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A monitor's breach.
    Breach,
    /// An alert of somebody else.
    Alert,
    /// A person.
    Person,
}

impl Source {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Breach => "breach",
            Self::Alert => "alert",
            Self::Person => "person",
        }
    }
}

/// Whom to gather, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Emergency {
    /// The handling group's name.
    pub group: Option<String>,
    /// The channel it talks in.
    pub channel: Option<String>,
    /// The link to its conference.
    pub conference: Option<String>,
    /// Who is on duty now; none where nobody is named.
    pub people: Vec<Person>,
    /// When others may be.
    #[schemars(extend("format" = "date-time"))]
    pub until: Option<String>,
    /// When it is told next how things stand.
    #[schemars(extend("format" = "date-time"))]
    pub follow_up_at: Option<String>,
}

/// Somebody on duty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// Who.
    pub name: String,
    /// Of which team.
    pub team: String,
    /// How the team is reached; empty where that is not written down.
    pub contact: String,
}

/// A way to recover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// What kind of deed it is.
    pub kind: Kind,
    /// Where it is written down.
    pub link: String,
    /// Who can do it.
    pub owner: String,
    /// How long it takes.
    pub takes_seconds: Option<u64>,
    /// What it may break.
    pub risk: Risk,
    /// The change it takes back.
    pub change: Option<String>,
}

/// The root cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// In a sentence.
    pub cause: String,
    /// Its class.
    pub class: Class,
    /// What failed.
    pub entity: Option<String>,
    /// The change that triggered it, by its id.
    pub change: Option<String>,
    /// Who says so.
    pub by: String,
}

/// The review after the recovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Review {
    /// When it is due.
    #[schemars(extend("format" = "date-time"))]
    pub due_at: String,
    /// Who reviews: the team that owns it.
    pub owner: String,
    /// When it was done, and by whom.
    pub done: Option<Stamp>,
}

/// Something to be done so that it does not come again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Action {
    /// The id of the command that asked for it.
    pub id: String,
    /// What.
    pub action: String,
    /// By whom.
    pub owner: String,
    /// Until when.
    #[schemars(extend("format" = "date-time"))]
    pub due_at: String,
    /// How it is known to be done.
    pub verify: String,
    /// When it was done.
    #[schemars(extend("format" = "date-time"))]
    pub done_at: Option<String>,
}

/// What somebody noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// When.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// Who.
    pub by: String,
    /// What.
    pub text: String,
}

/// Another incident of which the trouble is likely the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Related {
    /// Its id.
    pub incident: String,
    /// What it was called when that was told: scenario and entity.
    #[serde(default)]
    pub called: String,
    /// What connects the two, and how much likelier that is than that it came by itself.
    pub why: String,
}

/// An event in an incident's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryEntry {
    /// What.
    pub event: Event,
    /// When.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// The leading level then; none while it was suspected.
    pub level: Option<String>,
    /// Who said so.
    pub author: String,
    /// Why.
    pub reason: String,
    /// The parts of its score, where it has one: of a merge, or of what is related.
    #[serde(default)]
    pub evidence: Vec<Part>,
}

/// The data of the answer to a command that was not taken.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Rejection {
    /// The command's id.
    pub command: String,
    /// What was to be done.
    pub order: String,
    /// Who wanted it.
    pub author: String,
    /// The incident it was about.
    pub incident: Option<String>,
    /// Why it was not done.
    pub reason: String,
}

/// The data of the answer to a command that was done and changes no incident of its own.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Acceptance {
    /// The command's id; of a silence it is the silence's.
    pub command: String,
    /// What was to be done: `silence` or `unsilence`.
    pub order: String,
    /// Who wanted it.
    pub author: String,
    /// What has come of it.
    pub outcome: String,
    /// The silence as it is now; none in the answers of earlier versions.
    #[serde(default)]
    pub silence: Option<Silence>,
}

/// What is silenced, and for how long.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Silence {
    /// Its id: that of the command that set it.
    pub id: String,
    /// Which alerts and breaches, as a selector.
    pub alerts: String,
    /// Who set it.
    pub author: String,
    /// Why; empty where nothing was said.
    pub comment: String,
    /// From when on.
    #[schemars(extend("format" = "date-time"))]
    pub from: String,
    /// Until when; of one that was ended, until then.
    #[schemars(extend("format" = "date-time"))]
    pub until: String,
}

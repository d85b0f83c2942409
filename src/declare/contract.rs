//! What an event holds: the contract with whoever reads the incidents topic. Times are RFC 3339 in UTC, durations whole
//! seconds, shares parts of 1.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::number::significant;
use crate::model::{Class, Event, Labels, Measure, Point, State};
use crate::rules::plans::{Kind, Risk};
use crate::wire::cloudevent;

/// With what the types of events about incidents begin.
pub(super) const INCIDENT: &str = "io.richter.incident.";

/// The data of an event about an incident.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Data {
    /// What has happened.
    pub event: Happening,
    /// The whole story so far.
    pub incident: Body,
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
    pub at: String,
    /// Who says so: `richter`, or a person.
    pub author: String,
    /// Why.
    pub reason: String,
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
    /// Level, scenario, entity and numbers in a line.
    pub title: String,
    /// The sequence that leads; none while the incident is suspected.
    pub level: Option<Levels>,
    /// All sequences in which it has a level, the leading one first.
    pub levels: Vec<Levels>,
    /// The first sign of what counts.
    pub started_at: String,
    /// When it was declared; when it was suspected first while it is.
    pub declared_at: String,
    /// When users felt it no more; none while it is on.
    pub recovered_at: Option<String>,
    /// From the first sign to this event, or to the recovery.
    pub lasted_seconds: u64,
    /// Who has taken it on.
    pub acknowledged: Option<By>,
    /// Its data has stopped: nothing tells whether it lasts.
    pub stale: bool,
    /// What it costs, by measure.
    pub impact: Impact,
    /// Its points in time.
    pub timeline: BTreeMap<Point, By>,
    /// How long its stages took.
    pub durations: Durations,
    /// How it was noticed.
    pub discovery: Discovery,
    /// Whom to gather, and where; none once it is over, or where nobody is named.
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
    /// Its events so far; of very many the first and the latest.
    pub history: Vec<Told>,
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
pub struct By {
    /// When.
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
    /// The measures that people have said.
    pub said: Vec<Measure>,
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
    /// From what users felt first to the recovery.
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
    /// Who is on duty now.
    pub people: Vec<Person>,
    /// When others may be.
    pub until: Option<String>,
    /// When it is told next how things stand.
    pub follow_up_at: Option<String>,
}

/// Somebody on duty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// Who.
    pub name: String,
    /// Of which team.
    pub team: String,
    /// How the team is reached.
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
    pub due_at: String,
    /// Who reviews: the team that owns it.
    pub owner: String,
    /// When it was done, and by whom.
    pub done: Option<By>,
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
    pub due_at: String,
    /// How it is known to be done.
    pub verify: String,
    /// When it was done.
    pub done_at: Option<String>,
}

/// What somebody noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// When.
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
    /// What connects the two, and how much likelier that is than that it came by itself.
    pub why: String,
}

/// What an incident rests on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// What the user cannot do.
    pub scenario: String,
    /// Whose business.
    pub business: String,
    /// The team that owns it.
    pub owner: String,
    /// What it is about.
    pub entity: String,
    /// What the leading monitor measured; nothing where an alert leads.
    pub measure: Option<Measured>,
    /// The entities that may be at its root, the likeliest first.
    pub suspects: Vec<Suspect>,
    /// None of them stands out.
    pub undetermined: bool,
    /// The probability that no change has to do with it.
    pub no_change: f64,
    /// The changes near its onset.
    pub changes: Vec<Change>,
    /// The breaches and alerts in it; of very many the first.
    pub members: Vec<Member>,
    /// How many there are.
    pub members_total: u64,
    /// What is not kept one by one, the largest counts.
    pub counted: Vec<Counted>,
}

/// What a monitor measured.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Measured {
    /// Its name.
    pub monitor: String,
    /// The labels of what it measured.
    #[schemars(with = "BTreeMap<String, String>")]
    pub group: Labels,
    /// The last reading.
    pub last: Reading,
    /// The worst reading.
    pub worst: Reading,
    /// Which combinations of labels carry it, where the monitor has `dimensions`; the first one most of it.
    #[serde(default)]
    pub dimensions: Vec<Dimension>,
    /// How it went from the onset to the end, thinned out; empty while it lasts.
    pub curve: Vec<Drawn>,
}

impl Reading {
    /// `41.3, expected 78.2 (47% below)`: four significant digits, which is as many as anybody reads.
    #[must_use]
    pub fn in_numbers(&self) -> String {
        let Some(value) = self.value else { return "no data".into() };
        let shown = significant(value, 4);
        match self.expected.filter(|expected| *expected != 0.0) {
            Some(expected) => {
                let share = (value - expected) / expected.abs() * 100.0;
                let side = if share < 0.0 { "below" } else { "above" };
                format!("{shown}, expected {} ({:.0}% {side})", significant(expected, 4), share.abs())
            }
            None => shown,
        }
    }
}

/// A combination of labels that carries a breach.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Dimension {
    /// The combination.
    #[schemars(with = "BTreeMap<String, String>")]
    pub labels: Labels,
    /// Its share of the whole deviation; above 1 where others make up for it.
    pub coverage: f64,
    /// How many times as much it deviates, as a ratio of what is to what is expected, as the whole does.
    pub lift: f64,
    /// What there is of it, in the unit of what is summed up.
    pub is: f64,
    /// What was expected of it, in the same unit.
    pub expected: f64,
}

/// A judged evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reading {
    /// What was measured; none where data was missing.
    pub value: Option<f64>,
    /// What was expected.
    pub expected: Option<f64>,
    /// The lower limit.
    pub lower: Option<f64>,
    /// The upper limit.
    pub upper: Option<f64>,
    /// How far outside, 1 being the limit itself.
    pub score: f64,
    /// Of how much the value is an average or a share: the divisor, where the query is a quotient.
    pub weight: Option<f64>,
}

/// A point of a curve.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Drawn {
    /// When.
    pub at: String,
    /// What was measured.
    pub value: f64,
    /// What was expected.
    pub expected: Option<f64>,
    /// The lower limit.
    pub lower: Option<f64>,
    /// The upper limit.
    pub upper: Option<f64>,
}

/// An entity that may be at the root.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Suspect {
    /// Which.
    pub entity: String,
    /// Its share of the suspicion.
    pub probability: f64,
    /// The share of the incident's entities that depend on it.
    pub explains: f64,
    /// When it showed first.
    pub first_sign: Option<String>,
    /// The change of it that speaks most against it, by its id.
    pub change: Option<String>,
    /// The probability that it is at the root and that change made it.
    #[serde(default)]
    pub change_probability: f64,
    /// The metrics that tell of it, the likeliest five.
    #[serde(default)]
    pub metrics: Vec<Metric>,
    /// The parts of its score.
    pub evidence: Vec<Part>,
}

/// A metric at a suspect: a monitor or an alert that tells of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Metric {
    /// The name of the monitor or of the alert.
    pub name: String,
    /// The labels of what it measured, or of the alert, that showed it first; none of what is odd, but no breach.
    #[schemars(with = "BTreeMap<String, String>")]
    pub labels: Labels,
    /// Its share of the suspicion: all metrics of a suspect together have the probability of that one.
    pub probability: f64,
    /// Which combinations of labels carry it, where the monitor has `dimensions`; the first one most of it.
    pub dimensions: Vec<Dimension>,
}

/// A part of a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// What kind. Of a membership: `link`, `confidence`, `others`, `end`, `noise`, `change`, or why it makes no fault: `silence`,
    /// `maintenance`, `inhibition`, `flapping`, `history`. Of a suspect: `reach`, `way`, `order`, `first`, `effect`, `silent`,
    /// `gain`, `callers`, `excess`, `edge`, `change`.
    pub kind: String,
    /// What it is about: an entity, mostly.
    #[serde(default)]
    pub subject: String,
    /// The number that it rests on, if it is one; what it counts is told in words.
    #[serde(default)]
    pub value: Option<f64>,
    /// How much it adds: a nat more makes a thing 2.7 times as likely.
    pub nats: f64,
    /// Where that can be looked up: `topology: A -> B`, `monitor: NAME`, `change: ID`, `silence: ID`, `maintenance: NAME`,
    /// `member: NAME of ENTITY`, `setting: NAME`.
    #[serde(default)]
    pub reference: Option<String>,
    /// All of that in words.
    pub what: String,
}

/// A change to the running system.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The producer's id.
    pub id: String,
    /// What kind of change.
    pub kind: String,
    /// What was changed.
    pub entity: String,
    /// When.
    pub at: String,
    /// In words.
    pub summary: String,
    /// How long before the first sign.
    pub before_first_sign_seconds: u64,
}

/// A breach or an alert in it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// By what it is known.
    pub kind: Source,
    /// The monitor's or the alert's name.
    pub name: String,
    /// What it is about.
    pub entity: String,
    /// Its onset.
    pub started_at: String,
    /// Its end.
    pub ended_at: Option<String>,
    /// Why it is here.
    pub joined: String,
    /// How much likelier it belongs here than not, in nats.
    pub joined_nats: f64,
    /// The parts of that, and why it makes no fault.
    #[serde(default)]
    pub evidence: Vec<Part>,
    /// With what else it was nearly connected; none where there was nothing.
    #[serde(default)]
    pub alternative: Option<Alternative>,
    /// In words.
    pub summary: String,
    /// Why it makes no fault.
    pub suppressed: Option<String>,
}

/// The next likeliest connection of a member, in another situation.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Alternative {
    /// The entity that it would be connected with.
    pub entity: String,
    /// How much likelier than that it came by itself, in nats.
    pub nats: f64,
}

/// What is not kept one by one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Counted {
    /// What it is about.
    pub entity: String,
    /// The alert's name.
    pub name: String,
    /// How often it was told.
    pub told: u64,
    /// How many of them last.
    pub firing: u64,
}

/// An event in an incident's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    /// What.
    pub event: Event,
    /// When.
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

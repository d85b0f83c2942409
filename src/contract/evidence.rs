//! What an event tells of what its incident rests on: measurements, suspects, changes, members.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::number::{apart, significant};
use crate::model::text::cut;
use crate::model::{Judge, Labels};

use super::Source;

/// Of a change's summary, where it is one among others.
const CHANGE_BYTES_MAX: usize = 100;

/// What an incident rests on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// What the user cannot do, by the member that leads; once that has ended, by the worst that lasts, as all that is said of the
    /// leading one here.
    pub scenario: String,
    /// Whose business that is.
    pub business: String,
    /// The businesses of all that counts in it.
    #[serde(default)]
    pub businesses: Vec<String>,
    /// The team that owns it; where no monitor says so the one that looks after what it is about.
    pub owner: String,
    /// The teams that own what counts in it.
    #[serde(default)]
    pub owners: Vec<String>,
    /// What it is about.
    pub entity: String,
    /// When what leads began; none in events of before this was told.
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    pub since: Option<String>,
    /// What the alert that leads says of itself, or whoever declared it by hand.
    #[serde(default)]
    pub says: String,
    /// What else fails, or once nothing does what did: entities, of very many those that did first.
    #[serde(default)]
    pub others: Vec<String>,
    /// How many of these there are.
    #[serde(default)]
    pub others_total: u64,
    /// Whether they fail still.
    #[serde(default)]
    pub others_last: bool,
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
    /// The changes of what is in it since: they have not made it, but may have made it worse, or better.
    #[serde(default)]
    pub changes_since: Vec<Change>,
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
    /// Which of its judges spoke first; none in events of before this was told.
    #[serde(default)]
    pub judge: Option<Judge>,
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

impl Change {
    /// `payments-v812`, or `2026.11.22-3 (209916254)` where its summary says more than its id.
    #[must_use]
    pub fn in_words(&self) -> String {
        let summary = self.summary.trim().lines().next().unwrap_or_default();
        if self.id.contains(summary) { self.id.clone() } else { format!("{} ({})", cut(summary, CHANGE_BYTES_MAX), self.id) }
    }
}

impl Measured {
    /// `checkout-orders {service="checkout"} (baseline)`: which group of which monitor, and its judge that spoke first.
    #[must_use]
    pub fn by_whom(&self) -> String {
        let judged = self.judge.map_or_else(String::new, |judge| format!(" ({})", judge.as_str()));
        format!("{} {}{judged}", self.monitor, self.group)
    }
}

impl Reading {
    /// `47% below` what is expected, or else as [`in_numbers`](Self::in_numbers).
    #[must_use]
    pub fn deviation(&self) -> String {
        self.value.zip(self.expected).and_then(|(value, expected)| share(value, expected)).unwrap_or_else(|| self.in_numbers())
    }

    /// `41.3, expected 78.2 (47% below)`, or `0.75, below 0.95` where there is but a limit: four significant digits, which is as
    /// many as anybody reads.
    #[must_use]
    pub fn in_numbers(&self) -> String {
        let Some(value) = self.value else { return if self.infinite { "infinite" } else { "no data" }.into() };
        let shown = significant(value, 4);
        match self.expected.and_then(|expected| Some((expected, share(value, expected)?))) {
            Some((expected, share)) => format!("{shown}, expected {} ({share})", significant(expected, 4)),
            None => {
                let (lower, upper) = (self.lower.filter(|lower| value < *lower), self.upper.filter(|upper| value > *upper));
                let Some((limit, side)) = lower.zip(Some("below")).or(upper.zip(Some("above"))) else { return shown };
                let (shown, limit) = apart(value, limit, 4);
                format!("{shown}, {side} {limit}")
            }
        }
    }
}

/// `47% below`; none where nothing is expected.
fn share(value: f64, expected: f64) -> Option<String> {
    let share = (value - expected) / expected.abs() * 100.0;
    let side = if share < 0.0 { "below" } else { "above" };
    let percent = if share.abs() < 1.0 { significant(share.abs(), 2) } else { significant(share.abs().round(), 4) };
    let words = if significant(value, 4) == significant(expected, 4) { "as expected".to_owned() } else { format!("{percent}% {side}") };
    (expected != 0.0).then_some(words)
}

/// A combination of labels that carries a breach.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Dimension {
    /// The combination.
    #[schemars(with = "BTreeMap<String, String>")]
    pub labels: Labels,
    /// Its share of the whole deviation; above 1 where others make up for it.
    pub coverage: f64,
    /// How many times as much it deviates, as a share of what is expected, as the whole does.
    pub lift: f64,
    /// What there is of it, in the unit of what is summed up.
    pub is: f64,
    /// What was expected of it, in the same unit.
    pub expected: f64,
}

impl Dimension {
    /// `{region="eu"} 100% of it: 3, expected 90`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let (coverage, is, expected) = (self.coverage * 100.0, significant(self.is, 4), significant(self.expected, 4));
        format!("{} {coverage:.0}% of it: {is}, expected {expected}", self.labels)
    }
}

/// A judged evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reading {
    /// What was measured; none where data was missing, or it is infinite.
    pub value: Option<f64>,
    /// It is beyond all numbers, as something divided by nothing is.
    #[serde(default)]
    pub infinite: bool,
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
    #[schemars(extend("format" = "date-time"))]
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
    #[schemars(extend("format" = "date-time"))]
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
    /// `gain`, `callers`, `healthy`, `excess`, `edge`, `change`.
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
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// In words.
    pub summary: String,
    /// How long before the first sign; 0 where it was after that.
    pub before_first_sign_seconds: u64,
    /// How long after it.
    #[serde(default)]
    pub after_first_sign_seconds: u64,
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
    #[schemars(extend("format" = "date-time"))]
    pub started_at: String,
    /// Its end.
    #[schemars(extend("format" = "date-time"))]
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

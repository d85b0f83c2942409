//! Parts of scores: what a decision rests on.

use serde::Serialize;

/// A part of a score.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Part {
    /// What kind. Of a membership: `link`, `confidence`, `others`, `end`, `noise`, `change`, or why it makes no fault: `silence`,
    /// `maintenance`, `inhibition`, `flapping`, `history`. Of a suspect: `reach`, `way`, `order`, `first`, `effect`, `silent`,
    /// `gain`, `callers`, `healthy`, `excess`, `edge`, `change`.
    pub kind: &'static str,
    /// What it is about: an entity, mostly.
    pub subject: String,
    /// The number that it rests on, if it is one; what it counts is told in words.
    pub value: Option<f64>,
    /// How much it adds, in nats.
    pub nats: f64,
    /// Where that can be looked up: `topology: A -> B`, `monitor: NAME`, `change: ID`, `silence: ID`, `maintenance: NAME`,
    /// `member: NAME of ENTITY`, `setting: NAME`.
    pub reference: Option<String>,
    /// All of that in words.
    pub what: String,
}

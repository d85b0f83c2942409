//! Fault definitions as they are written: ladders on monitors, and the level files.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::{At, Compared, Share, Span};

/// One fault definition or several, one a sequence.
#[derive(Debug)]
pub(in crate::rules) struct Faults(pub(in crate::rules) Vec<At<Definition>>);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Definition {
    /// Which sequence it is of: P, D, R, S, or your own.
    pub(in crate::rules) sequence: At<String>,
    /// Most severe first.
    pub(in crate::rules) ladder: Vec<At<Rung>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Rung {
    /// It is this level where all of the following hold.
    pub(in crate::rules) level: At<u8>,
    /// The query's value.
    pub(in crate::rules) value: Option<Compared>,
    /// Against the expected value.
    pub(in crate::rules) rise: Option<Share>,
    /// Against the expected value.
    pub(in crate::rules) drop: Option<Share>,
    /// What is missing over all bad steps, in what the query counts.
    pub(in crate::rules) lost: Option<f64>,
    /// The same, as a share of a usual day.
    pub(in crate::rules) lost_share: Option<Share>,
    /// The same, in the monitor's currency; or as people say.
    pub(in crate::rules) money: Option<f64>,
    /// At least so many, by a query under `impact` or as people say.
    pub(in crate::rules) affected_users: Option<f64>,
    /// Likewise.
    pub(in crate::rules) affected_merchants: Option<f64>,
    /// Likewise.
    pub(in crate::rules) complaints: Option<f64>,
    /// At least so many, by a query under `impact`.
    pub(in crate::rules) mentions: Option<f64>,
    /// Likewise.
    pub(in crate::rules) negative_share: Option<Share>,
    /// Likewise.
    pub(in crate::rules) reach: Option<f64>,
    /// All of it has held for so long.
    #[serde(rename = "for")]
    pub(in crate::rules) hold: Option<Span>,
    /// What else has to be said of it; not for people to write.
    #[serde(skip)]
    pub(in crate::rules) because: String,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct LevelFile {
    /// Of what levels there are; P, D, R and S of four each where none is named.
    #[serde(default)]
    pub(in crate::rules) sequences: Vec<Sequence>,
    /// Definitions that hold for every business monitor, and for alerts that no monitor reads.
    #[serde(default)]
    pub(in crate::rules) generic: Vec<Generic>,
    /// The business definition of a core function, where its monitor has none of its own.
    pub(in crate::rules) business: Option<Faults>,
    /// How many levels lower the usual definition is of what is less important.
    #[serde(default)]
    pub(in crate::rules) importance: BTreeMap<Importance, u8>,
    /// What users cannot do, whichever monitors measure it.
    #[serde(default)]
    pub(in crate::rules) scenarios: Vec<Scenario>,
    /// Levels of data: asset level × impact factor.
    pub(in crate::rules) data_quality: Option<At<Matrix>>,
    /// Service level objectives.
    #[serde(default)]
    pub(in crate::rules) slos: Vec<At<Slo>>,
    /// What people do about a fault, and until when: the first row that fits.
    #[serde(default)]
    pub(in crate::rules) handling: Vec<At<Handling>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Sequence {
    /// Short: P.
    pub(in crate::rules) name: At<String>,
    /// How many there are, 1 to 9; 4 where it is missing.
    pub(in crate::rules) levels: Option<At<u8>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Generic {
    /// A selector: for these alerts, where no monitor reads them. Without it, for every business monitor.
    pub(in crate::rules) alerts: Option<At<String>>,
    /// Beside `alerts`: the team that is gathered for them, as a template of their labels: `team-{{ team }}`.
    pub(in crate::rules) owner: Option<At<String>>,
    /// Beside `alerts`: whose they are, likewise.
    pub(in crate::rules) business: Option<At<String>>,
    /// Which sequence it is of.
    pub(in crate::rules) sequence: At<String>,
    /// Most severe first.
    pub(in crate::rules) ladder: Vec<At<Rung>>,
}

/// How much the business depends on a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::rules) enum Importance {
    #[default]
    Core,
    SubCore,
    NonCore,
}

/// What a business cannot do, whichever monitors measure it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Scenario {
    /// What the user cannot do, in a sentence.
    pub(in crate::rules) name: At<String>,
    /// Whose it is.
    pub(in crate::rules) business: Option<String>,
    /// The team that is gathered for it.
    pub(in crate::rules) owner: Option<String>,
    /// How much the business depends on it; core where it is missing.
    #[serde(default)]
    pub(in crate::rules) importance: Option<Importance>,
    /// What fault it is, where its monitors do not say.
    pub(in crate::rules) fault: Option<Faults>,
}

/// What data a monitor watches, and what is wrong with it where it breaches.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Data {
    /// Its asset level, of `data_quality`.
    pub(in crate::rules) asset: At<String>,
    /// What is wrong with it: a factor of `data_quality`.
    pub(in crate::rules) factor: At<String>,
}

/// Asset level × impact factor, and how late makes which level.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Matrix {
    /// Which sequence it is of: D.
    pub(in crate::rules) sequence: At<String>,
    /// Asset levels, the most important first.
    pub(in crate::rules) assets: Vec<String>,
    /// For each factor, the level for each asset level.
    pub(in crate::rules) factors: BTreeMap<String, At<Vec<u8>>>,
    /// For an asset level, the ladder by how late its data is.
    #[serde(default)]
    pub(in crate::rules) delay: BTreeMap<String, Vec<At<Rung>>>,
}

/// A service level objective: a budget of errors over some days.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Slo {
    /// Unique; its monitors are named after it.
    pub(in crate::rules) name: At<String>,
    /// What users cannot do while it is missed.
    pub(in crate::rules) scenario: String,
    /// Whose it is.
    pub(in crate::rules) business: Option<String>,
    /// The team that is gathered for it.
    pub(in crate::rules) owner: Option<String>,
    /// What it is about, as of a monitor.
    pub(in crate::rules) entity: At<String>,
    /// Which sequence its levels are of; S where it is missing.
    pub(in crate::rules) sequence: Option<At<String>>,
    /// The share that is good: 99.9%.
    pub(in crate::rules) objective: At<Share>,
    /// How long the budget is for; 30d where it is missing.
    pub(in crate::rules) over: Option<At<Span>>,
    /// PromQL with `[$window]`: what is bad.
    pub(in crate::rules) errors: At<String>,
    /// PromQL with `[$window]`: all there is.
    pub(in crate::rules) total: At<String>,
    /// Of fewer than so many within the long window, or that of `spent`, nothing is said.
    pub(in crate::rules) min_traffic: Option<At<f64>>,
    /// How often it is evaluated; 1m where it is missing.
    pub(in crate::rules) every: Option<At<Span>>,
    /// Levels by how fast the budget burns; where neither this nor `spent` is given, 14.4 and 6 times over 1h and 6h.
    #[serde(default)]
    pub(in crate::rules) burn: Vec<At<Burn>>,
    /// Levels by how much of the budget is spent.
    #[serde(default)]
    pub(in crate::rules) spent: Vec<At<Spent>>,
}

/// The budget burns so many times as fast as it may, over a long window and a short one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Burn {
    /// It is this level
    pub(in crate::rules) level: At<u8>,
    /// where it burns more than so many times as fast as it may
    pub(in crate::rules) rate: f64,
    /// over this window
    pub(in crate::rules) long: Span,
    /// and over this shorter one, so that what is over ends soon.
    pub(in crate::rules) short: Span,
}

/// So much of the budget is spent within a window.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Spent {
    /// It is this level
    pub(in crate::rules) level: At<u8>,
    /// where more than this share of the budget is spent
    pub(in crate::rules) budget: Share,
    /// within this window.
    pub(in crate::rules) within: Span,
}

/// What people do about faults of some levels, and until when.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Handling {
    /// Of these levels
    pub(in crate::rules) levels: Vec<u8>,
    /// of this sequence; of all where it is missing.
    pub(in crate::rules) sequence: Option<At<String>>,
    /// How often it is told how things stand: 30m of 1 and 2, otherwise 2h, where it is missing.
    pub(in crate::rules) follow_up: Option<Span>,
    /// Told again unless somebody acknowledges it by then: 10m of 1 and 2, otherwise never, where it is missing.
    pub(in crate::rules) acknowledge_within: Option<Span>,
    /// Workdays after the recovery: 1 of 1 and 2, otherwise 3, where it is missing.
    pub(in crate::rules) review_within: Option<u8>,
    /// How long before that it is reminded of; 4h where it is missing.
    pub(in crate::rules) remind_before: Option<Span>,
}

impl<'de> Deserialize<'de> for Faults {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Faults;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a fault definition, {sequence, ladder}, or a list of them")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Faults, A::Error> {
                let value = Definition::deserialize(de::value::MapAccessDeserializer::new(map))?;
                let (line, column) = (value.sequence.line, value.sequence.column);
                Ok(Faults(vec![At { line, column, value }]))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Faults, A::Error> {
                let mut all = vec![];
                while let Some(one) = seq.next_element()? {
                    all.push(one);
                }
                Ok(Faults(all))
            }
        }
        d.deserialize_any(Visitor)
    }
}

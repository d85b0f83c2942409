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
    pub(in crate::rules) sequence: At<String>,
    pub(in crate::rules) ladder: Vec<At<Rung>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Rung {
    pub(in crate::rules) level: At<u8>,
    pub(in crate::rules) value: Option<Compared>,
    pub(in crate::rules) rise: Option<Share>,
    pub(in crate::rules) drop: Option<Share>,
    pub(in crate::rules) lost: Option<f64>,
    pub(in crate::rules) lost_share: Option<Share>,
    pub(in crate::rules) money: Option<f64>,
    pub(in crate::rules) affected_users: Option<f64>,
    pub(in crate::rules) affected_merchants: Option<f64>,
    pub(in crate::rules) complaints: Option<f64>,
    pub(in crate::rules) mentions: Option<f64>,
    pub(in crate::rules) negative_share: Option<Share>,
    pub(in crate::rules) reach: Option<f64>,
    #[serde(rename = "for")]
    pub(in crate::rules) hold: Option<Span>,
    /// What else has to be said of it; not for people to write.
    #[serde(skip)]
    pub(in crate::rules) because: String,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct LevelFile {
    #[serde(default)]
    pub(in crate::rules) sequences: Vec<Sequence>,
    #[serde(default)]
    pub(in crate::rules) generic: Vec<Generic>,
    /// The business definition of a core function, where its monitor has none of its own.
    pub(in crate::rules) business: Option<Faults>,
    #[serde(default)]
    pub(in crate::rules) importance: BTreeMap<Importance, u8>,
    #[serde(default)]
    pub(in crate::rules) scenarios: Vec<Scenario>,
    pub(in crate::rules) data_quality: Option<At<Matrix>>,
    #[serde(default)]
    pub(in crate::rules) slos: Vec<At<Slo>>,
    #[serde(default)]
    pub(in crate::rules) handling: Vec<At<Handling>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Sequence {
    pub(in crate::rules) name: At<String>,
    pub(in crate::rules) levels: Option<At<u8>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Generic {
    pub(in crate::rules) alerts: Option<At<String>>,
    pub(in crate::rules) sequence: At<String>,
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
    pub(in crate::rules) name: At<String>,
    pub(in crate::rules) business: Option<String>,
    pub(in crate::rules) owner: Option<String>,
    #[serde(default)]
    pub(in crate::rules) importance: Option<Importance>,
    pub(in crate::rules) fault: Option<Faults>,
}

/// What data a monitor watches, and what is wrong with it where it breaches.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Data {
    pub(in crate::rules) asset: At<String>,
    pub(in crate::rules) factor: At<String>,
}

/// Asset level × impact factor, and how late makes which level.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Matrix {
    pub(in crate::rules) sequence: At<String>,
    pub(in crate::rules) assets: Vec<String>,
    pub(in crate::rules) factors: BTreeMap<String, At<Vec<u8>>>,
    #[serde(default)]
    pub(in crate::rules) delay: BTreeMap<String, Vec<At<Rung>>>,
}

/// A service level objective: a budget of errors over some days.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Slo {
    pub(in crate::rules) name: At<String>,
    pub(in crate::rules) scenario: String,
    pub(in crate::rules) business: Option<String>,
    pub(in crate::rules) owner: Option<String>,
    pub(in crate::rules) entity: At<String>,
    pub(in crate::rules) sequence: Option<At<String>>,
    pub(in crate::rules) objective: At<Share>,
    pub(in crate::rules) over: Option<At<Span>>,
    pub(in crate::rules) errors: At<String>,
    pub(in crate::rules) total: At<String>,
    pub(in crate::rules) every: Option<At<Span>>,
    #[serde(default)]
    pub(in crate::rules) burn: Vec<At<Burn>>,
    #[serde(default)]
    pub(in crate::rules) spent: Vec<At<Spent>>,
}

/// The budget burns so many times as fast as it may, over a long window and a short one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Burn {
    pub(in crate::rules) level: At<u8>,
    pub(in crate::rules) rate: f64,
    pub(in crate::rules) long: Span,
    pub(in crate::rules) short: Span,
}

/// So much of the budget is spent within a window.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Spent {
    pub(in crate::rules) level: At<u8>,
    pub(in crate::rules) budget: Share,
    pub(in crate::rules) within: Span,
}

/// What people do about faults of some levels, and until when.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Handling {
    pub(in crate::rules) levels: Vec<u8>,
    pub(in crate::rules) sequence: Option<At<String>>,
    pub(in crate::rules) follow_up: Option<Span>,
    pub(in crate::rules) acknowledge_within: Option<Span>,
    pub(in crate::rules) review_within: Option<u8>,
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

//! The rule files as they are written; names and shapes here are the file format.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::model::{Comparison, duration};

use super::fault::At;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MonitorFile {
    #[serde(default)]
    pub(super) monitors: Vec<Monitor>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Monitor {
    pub(super) name: At<String>,
    pub(super) scenario: Option<String>,
    pub(super) business: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) entity: At<String>,
    pub(super) query: Option<At<String>>,
    pub(super) alerts: Option<At<String>>,
    pub(super) every: Option<At<Span>>,
    pub(super) lookback: Option<At<Span>>,
    pub(super) judge: Option<At<Judge>>,
    pub(super) fault: Option<At<Definition>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Judge {
    #[serde(rename = "static")]
    pub(super) fixed: Option<At<Static>>,
    pub(super) baseline: Option<Baseline>,
    pub(super) absent: Option<At<Span>>,
    #[serde(rename = "for")]
    pub(super) hold: Option<Span>,
    pub(super) keep_firing_for: Option<Span>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Static {
    pub(super) above: Option<f64>,
    pub(super) below: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Baseline {
    pub(super) season: Season,
    pub(super) sensitivity: Sensitivity,
    pub(super) direction: Direction,
}

impl Default for Baseline {
    fn default() -> Self {
        Self { season: Season::Day, sensitivity: Sensitivity::Normal, direction: Direction::Both }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Season {
    Day,
    None,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Sensitivity {
    Low,
    Normal,
    High,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Direction {
    Up,
    Down,
    Both,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    pub(super) sequence: At<String>,
    pub(super) ladder: Vec<At<Rung>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rung {
    pub(super) level: At<u8>,
    pub(super) value: Option<Compared>,
    pub(super) rise: Option<Share>,
    pub(super) drop: Option<Share>,
    #[serde(rename = "for")]
    pub(super) hold: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LevelFile {
    #[serde(default)]
    pub(super) sequences: Vec<Sequence>,
    #[serde(default)]
    pub(super) generic: Vec<Generic>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sequence {
    pub(super) name: At<String>,
    pub(super) title: Option<String>,
    pub(super) levels: Option<At<u8>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Generic {
    pub(super) alerts: Option<At<String>>,
    pub(super) sequence: At<String>,
    pub(super) ladder: Vec<At<Rung>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopologyFile {
    #[serde(default)]
    pub(super) entity_from: Vec<At<String>>,
    #[serde(default)]
    pub(super) entities: Vec<Entity>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entity {
    pub(super) name: At<String>,
    #[serde(default)]
    pub(super) depends_on: Vec<At<String>>,
}

/// A value that is written as text with a grammar of its own.
pub(super) trait Written: Sized {
    const EXPECTED: &'static str;
    fn read(text: &str) -> Result<Self, String>;
}

fn written<'de, T: Written, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
    struct Visitor<T>(std::marker::PhantomData<T>);
    impl<T: Written> de::Visitor<'_> for Visitor<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTED)
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            T::read(text).map_err(E::custom)
        }
        /// A bare `0` is a duration, in Prometheus as here.
        fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
            let refused = |_| E::invalid_type(de::Unexpected::Unsigned(number), &self);
            if number == 0 { T::read("0").map_err(refused) } else { Err(refused(String::new())) }
        }
    }
    d.deserialize_any(Visitor(std::marker::PhantomData))
}

/// A duration such as `5m`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Span(pub(super) Duration);

impl Written for Span {
    const EXPECTED: &'static str = "a duration such as 30s, 5m or 1h30m";
    fn read(text: &str) -> Result<Self, String> {
        duration::parse(text).map(Self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        written(d)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        duration::text::serialize(&self.0, s)
    }
}

/// A share such as `30%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share(pub(super) f64);

impl Written for Share {
    const EXPECTED: &'static str = "a share such as 30%";
    fn read(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').and_then(|n| n.trim().parse::<f64>().ok());
        let share = number.filter(|n| *n > 0.0 && n.is_finite());
        share.map(|n| Self(n / 100.0)).ok_or_else(|| format!("{text:?} is not a share above 0; write one like 30%"))
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        written(d)
    }
}

/// A comparison such as `< 0.8`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Compared(pub(super) Comparison, pub(super) f64);

impl Written for Compared {
    const EXPECTED: &'static str = "a comparison such as \"< 0.8\"";
    fn read(text: &str) -> Result<Self, String> {
        let comparisons = [Comparison::AtLeast, Comparison::AtMost, Comparison::Above, Comparison::Below];
        let read = comparisons.into_iter().find_map(|c| Some((c, text.trim().strip_prefix(c.sign())?.trim())));
        let number = |(c, n): (Comparison, &str)| Some(Self(c, n.parse().ok().filter(|n: &f64| n.is_finite())?));
        read.and_then(number).ok_or_else(|| format!("{text:?} is not a comparison; write one like \"< 0.8\" or \">= 500\""))
    }
}

impl<'de> Deserialize<'de> for Compared {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        written(d)
    }
}

//! The rule files as they are written; names and shapes here are the file format.

mod duty;
mod levels;
mod plans;

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::model::{Comparison, duration};

use super::baseline::Season;
use super::compiled::{Absent, Amount, Combine};
use super::fault::At;

pub(super) use duty::{DutyFile, Emergency, Role, Shift, Team};
pub(super) use levels::{
    Burn, Data, Definition, Faults, Generic, Handling, Importance, LevelFile, Matrix, Rung, Scenario, Sequence, Slo, Spent,
};
pub(super) use plans::PlanFile;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MonitorFile {
    /// What is measured or listened to, and what it means.
    #[serde(default)]
    pub(super) monitors: Vec<Monitor>,
}

/// What a duration looks like, to be put into a longer pattern.
macro_rules! span {
    () => {
        r"0|(?=\d)(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?"
    };
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Monitor {
    /// Unique; events and metrics name it.
    pub(super) name: At<String>,
    /// What the user cannot do, in a sentence: its breaches make faults. Without one they are evidence only.
    pub(super) scenario: Option<String>,
    /// Whose it is: notifications and emergencies may go by it. Where it is missing, that of the scenario.
    pub(super) business: Option<String>,
    /// The team that is gathered for it. Where it is missing, that of the scenario.
    pub(super) owner: Option<String>,
    /// What it is about, as a template of the labels of the query's result, or of the alert: `service={{ service }}`.
    pub(super) entity: At<String>,
    /// What the entity calls, where the query measures calls by who makes them and who serves them.
    pub(super) calls: Option<At<String>>,
    /// PromQL. Each series of its result is a group that is judged by itself.
    pub(super) query: Option<At<String>>,
    /// In place of a query, a selector of the alerts that it stands for: `{alertname="CheckoutDown"}`.
    pub(super) alerts: Option<At<String>>,
    /// How often the query is evaluated; 1m where it is missing.
    pub(super) every: Option<At<Span>>,
    /// How long a series' last sample counts; 5m where it is missing.
    pub(super) lookback: Option<At<Span>>,
    /// When its value is bad.
    pub(super) judge: Option<At<Judge>>,
    /// How much the business depends on it.
    #[serde(default)]
    pub(super) importance: Option<Importance>,
    /// It measures the business as a whole: its breach is global unavailability.
    #[serde(default)]
    pub(super) global: bool,
    /// It watches data: graded by `data_quality` of the level files.
    pub(super) data: Option<At<Data>>,
    /// What its breaches cost.
    pub(super) impact: Option<At<Impact>>,
    /// Labels by which its sum, or its quotient of two, is broken down, to say what carries a breach.
    #[serde(default)]
    pub(super) dimensions: Vec<At<String>>,
    /// What fault a breach is: one ladder, or a list of them, one a sequence.
    pub(super) fault: Option<Faults>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Impact {
    /// The time that the query counts by; 1s, as of a rate, where it is missing.
    pub(super) per: Option<At<Span>>,
    /// PromQL, in the monitor's groups: users who cannot do it.
    pub(super) affected_users: Option<At<String>>,
    /// Merchants who cannot.
    pub(super) affected_merchants: Option<At<String>>,
    /// Complaints about it.
    pub(super) complaints: Option<At<String>>,
    /// How often it is spoken of in public.
    pub(super) mentions: Option<At<String>>,
    /// The share of that which is negative: 0 to 1.
    pub(super) negative_share: Option<At<String>>,
    /// How many people read of it.
    pub(super) reach: Option<At<String>>,
    /// What a lost unit is worth.
    pub(super) money: Option<Money>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Money {
    /// In the currency, for each unit of the query that is lost.
    pub(super) per_lost_unit: At<f64>,
    /// Such as EUR, and the same everywhere.
    pub(super) currency: At<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Judge {
    /// A fixed limit is passed.
    #[serde(rename = "static")]
    pub(super) fixed: Option<At<Static>>,
    /// It leaves what is usual for it: the time of day or week, and its noise.
    pub(super) baseline: Option<At<Baseline>>,
    /// It differs from what it was shortly before.
    pub(super) change: Option<At<Change>>,
    /// It differs from the same time of an earlier day or week.
    pub(super) compare: Option<At<Compare>>,
    /// Its trend reaches a limit.
    pub(super) forecast: Option<At<Forecast>>,
    /// It is the very same for so long, and is not so by nature.
    pub(super) flatline: Option<At<Span>>,
    /// There is no value for so long.
    pub(super) absent: Option<At<Absent>>,
    /// Whether one judge is enough, or all that judge values have to agree.
    #[serde(default)]
    pub(super) combine: Combine,
    /// For a quotient: with fewer requests a step than this it is not judged.
    pub(super) min_traffic: Option<At<f64>>,
    /// Bad for so long before a breach opens; 0 where it is missing.
    #[serde(rename = "for")]
    pub(super) hold: Option<Span>,
    /// Good for so long before a breach ends; ten steps with a baseline, otherwise 0.
    pub(super) keep_firing_for: Option<Span>,
}

impl Judge {
    /// Whether one of them has an expected value.
    pub(super) fn expects(&self) -> bool {
        self.baseline.is_some() || self.compare.is_some() || self.change.is_some()
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Static {
    /// Bad above it.
    pub(super) above: Option<f64>,
    /// Bad below it.
    pub(super) below: Option<f64>,
    /// Once bad, good again only from there on.
    pub(super) until: Option<At<f64>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// How long before.
    pub(super) within: At<Span>,
    /// Bad from this rise on.
    pub(super) rise: Option<Amount>,
    /// Bad from this drop on.
    pub(super) drop: Option<Amount>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Compare {
    /// How long before: 1d, 7d.
    pub(super) with: At<Span>,
    /// Bad from this rise on.
    pub(super) rise: Option<Amount>,
    /// Bad from this drop on.
    pub(super) drop: Option<Amount>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Forecast {
    /// How far ahead.
    pub(super) within: At<Span>,
    /// Bad where it will be above it.
    pub(super) above: Option<f64>,
    /// Bad where it will be below it.
    pub(super) below: Option<f64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Baseline {
    /// After what time its values repeat.
    pub(super) season: Season,
    /// How odd is bad.
    pub(super) sensitivity: Sensitivity,
    /// Whether too much is bad, too little, or both.
    pub(super) direction: Direction,
    /// What is odd but smaller than this stays quiet.
    pub(super) min_change: MinChange,
    /// What has lasted for so long is the new normal.
    pub(super) relearn: Option<At<Span>>,
    /// Of the duty files: whose time of day, and whose holidays.
    pub(super) calendar: Option<At<String>>,
}

impl Default for Baseline {
    fn default() -> Self {
        Self {
            season: Season::Every(Duration::from_secs(86_400)),
            sensitivity: Sensitivity::Normal,
            direction: Direction::Both,
            min_change: MinChange::default(),
            relearn: None,
            calendar: None,
        }
    }
}

/// What a deviation must be at the least: a number, a share of what is expected, or both, of which the larger counts.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MinChange {
    /// In the query's unit.
    pub(super) absolute: Option<f64>,
    /// A share of what is expected.
    pub(super) relative: Option<Share>,
}

impl Written for Season {
    const EXPECTED: &'static str = "none, auto, day, week, or how long a season is, such as 12h";
    const PATTERN: &'static str = concat!("^(none|auto|day|week|", span!(), ")$");
    fn read(text: &str) -> Result<Self, String> {
        const DAY: Duration = Duration::from_secs(86_400);
        Ok(match text {
            "none" => Self::None,
            "auto" => Self::Auto,
            "day" => Self::Every(DAY),
            "week" => Self::Every(7 * DAY),
            other => Self::Every(
                duration::parse(other)
                    .ok()
                    .filter(|d| *d >= Duration::from_secs(60))
                    .ok_or_else(|| format!("{other:?} is not {}", Self::EXPECTED))?,
            ),
        })
    }
}

impl<'de> Deserialize<'de> for Season {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        written(d)
    }
}

/// How often a breach may be false.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sensitivity {
    Low,
    Normal,
    High,
    /// So many in a month, for each series.
    Monthly(f64),
}

impl Written for Sensitivity {
    const EXPECTED: &'static str = "low, normal, high, or the false breaches that are expected of a series, such as 2/month";
    const PATTERN: &'static str = r"^(low|normal|high|[0-9.]+ */month)$";
    fn read(text: &str) -> Result<Self, String> {
        let monthly = || text.strip_suffix("/month")?.trim().parse().ok().filter(|n: &f64| *n > 0.0 && n.is_finite());
        Ok(match text {
            "low" => Self::Low,
            "normal" => Self::Normal,
            "high" => Self::High,
            other => Self::Monthly(monthly().ok_or_else(|| format!("{other:?} is not {}", Self::EXPECTED))?),
        })
    }
}

impl<'de> Deserialize<'de> for Sensitivity {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        written(d)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Direction {
    Up,
    Down,
    Both,
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl Visitor {
            fn number<E: de::Error>(number: f64) -> Result<Amount, E> {
                if number > 0.0 && number.is_finite() {
                    Ok(Amount::Absolute(number))
                } else {
                    Err(E::custom(format!("{number} is not above 0")))
                }
            }
        }
        impl de::Visitor<'_> for Visitor {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a share such as 30%, or a number in the query's unit")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                Share::read(text).map(|share| Amount::Share(share.0)).map_err(E::custom)
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Amount, E> {
                Self::number(number)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Amount, E> {
                Self::number(number as f64)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Amount, E> {
                Self::number(number as f64)
            }
        }
        d.deserialize_any(Visitor)
    }
}

impl Written for Absent {
    const EXPECTED: &'static str = "auto, or a duration such as 5m";
    const PATTERN: &'static str = concat!("^(auto|", span!(), ")$");
    fn read(text: &str) -> Result<Self, String> {
        if text == "auto" { Ok(Self::Learnt) } else { duration::parse(text).map(Self::After).map_err(|why| format!("{why}, or auto")) }
    }
}

impl<'de> Deserialize<'de> for Absent {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        written(d)
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SuppressFile {
    /// What makes no fault while something else fires.
    #[serde(default)]
    pub(super) inhibit: Vec<Inhibit>,
    /// Planned work.
    #[serde(default)]
    pub(super) maintenance: Vec<At<Maintenance>>,
    /// When an alert, or what a monitor tells of a group, is taken for one that comes and goes.
    pub(super) flapping: Option<At<Flapping>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Inhibit {
    /// A selector of what fires.
    pub(super) source: At<String>,
    /// A selector of what then makes no fault.
    pub(super) target: At<String>,
    /// Labels whose values are the same in both.
    #[serde(default)]
    pub(super) equal: Vec<String>,
    /// Only where the target's entity depends on the source's.
    pub(super) along: Option<Along>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Along {
    Topology,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Maintenance {
    /// What is done, in words.
    pub(super) name: String,
    /// On what; all that depends on it is included.
    pub(super) entity: Option<At<String>>,
    /// Or on what these labels are of, a selector.
    pub(super) alerts: Option<At<String>>,
    /// When it begins, once: RFC 3339.
    pub(super) from: Option<At<String>>,
    /// When it ends.
    pub(super) to: Option<At<String>>,
    /// Or when it is every week.
    pub(super) weekly: Option<At<Weekly>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Weekly {
    /// On which days it begins.
    pub(super) days: Vec<Day>,
    /// The time of day: "03:00".
    pub(super) from: At<String>,
    /// Until when; where that is no later, on the next day.
    pub(super) to: At<String>,
    /// Whose time of day; UTC where it is missing.
    pub(super) calendar: Option<At<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    /// Which days of a week these are, Monday first.
    pub(super) fn week(days: &[Self]) -> [bool; 7] {
        let mut week = [false; 7];
        days.iter().for_each(|day| week[*day as usize] = true);
        week
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Flapping {
    /// It fired so many times
    pub(super) times: u32,
    /// within so long:
    pub(super) within: Span,
    /// then it makes a fault only once it has lasted for so long.
    pub(super) settle: Span,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TopologyFile {
    /// How labels name an entity: the first template whose labels are all there. `service={{ service }}` where it is missing.
    #[serde(default)]
    pub(super) entity_from: Vec<At<Naming>>,
    /// What there is, and what it depends on.
    #[serde(default)]
    pub(super) entities: Vec<Entity>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Entity {
    /// As templates give it: service=checkout.
    pub(super) name: At<String>,
    /// Other names for it.
    #[serde(default)]
    pub(super) aliases: Vec<At<String>>,
    /// What it cannot do without.
    #[serde(default)]
    pub(super) depends_on: Vec<At<String>>,
    /// Where that is not certain.
    #[serde(default)]
    pub(super) may_depend_on: Vec<Doubted>,
}

/// How labels name an entity.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a template such as service={{ service }}, or one for some labels: { entity: ..., matches: ..., unless: ... }"
)]
pub(super) enum Naming {
    /// By a template, wherever its labels are there.
    All(String),
    /// Only where others fit.
    Some(NamingOf),
}

/// A template for some labels only.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NamingOf {
    /// The template.
    pub(super) entity: String,
    /// A selector of the labels that it is for.
    pub(super) matches: Option<String>,
    /// A selector of labels that it is not for.
    pub(super) unless: Option<String>,
}

/// A dependency of which there is doubt.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Doubted {
    /// On what.
    pub(super) entity: At<String>,
    /// How likely it is.
    pub(super) confidence: At<Share>,
}

/// A value that is written as text with a grammar of its own.
pub(super) trait Written: Sized {
    const EXPECTED: &'static str;
    /// What its text looks like, as a regular expression.
    const PATTERN: &'static str;
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
    const PATTERN: &'static str = concat!("^(", span!(), ")$");
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
    const PATTERN: &'static str = r"^[0-9.]+ *%$";
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
    const PATTERN: &'static str = r"^ *(<=|>=|<|>) *-?[0-9.]+(e-?[0-9]+)? *$";
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

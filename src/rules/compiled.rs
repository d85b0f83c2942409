//! The checked form of what SREs wrote; everything else in the program sees only this.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::number::whole;
use crate::model::{Definition, Labels, Ladder, Level, Measure, labels::Fnv};
use crate::query::{Query, Selector};

use super::baseline::BaselineRule;
use super::duty::Duty;
use super::fault::Fault;
use super::handling::Handling;
use super::plans::Plan;
use super::settings::Kind;
use super::suppress::Suppress;
use super::{Template, Topology};

/// A monitor that is gone for so long does not come back: instances do not follow a change at one moment, and what was learnt of one
/// that some of them lack for a while must not be forgotten, nor must its breach be over.
pub const GONE_FOR: Duration = Duration::from_secs(3600);

/// Monitors, fault levels and topology: all a stage needs to know.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// In the order they were written.
    pub monitors: Vec<Monitor>,
    /// Sequences and generic fault definitions.
    pub levels: Levels,
    /// Entities and their dependencies.
    pub topology: Topology,
    /// What makes no fault.
    pub suppress: Suppress,
    /// Who is on duty, and who may do what.
    pub duty: Duty,
    /// How to recover.
    pub plans: Vec<Plan>,
    /// What is no fault of the configuration, but should be looked at.
    pub notes: Vec<Fault>,
}

/// A rule: what to measure, how to judge it, and what fault it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    /// Unique.
    pub name: String,
    /// The entity its breaches are about, filled in from the group's labels.
    pub entity: Template,
    /// What that entity calls, filled in likewise, where what is measured is of calls between the two.
    pub calls: Option<Template>,
    /// What it reads.
    pub input: Input,
    /// What fault it means; none for a technical monitor, whose breaches are evidence only.
    pub definition: Option<Definition>,
}

/// What a monitor reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A query over samples, judged by us.
    Watch(Box<Watch>),
    /// External alerts that somebody else judged.
    Alerts(Selector),
    /// External alerts that fire as long as all is well, each of which may be silent for so long.
    Heartbeat(Selector, Duration),
}

impl Input {
    /// The kind of source that tells of it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Watch(_) => Kind::Metrics,
            Self::Alerts(_) | Self::Heartbeat(..) => Kind::Alerts,
        }
    }
}

/// A query, its steps and its judges.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// The monitor's name and query, hashed: as long as these stay, its state stays too.
    pub key: u64,
    /// The planned query.
    pub query: Query,
    /// The time between two evaluations.
    pub every: Duration,
    /// How an evaluation is judged.
    pub judge: JudgeRules,
    /// The monitor's name, hashed: by that it goes to its partition, as does what is counted beside it. So the breaches that are open
    /// are where their samples are when the query is changed.
    pub routed: u64,
    /// What a breach costs, where that is measured.
    pub impact: Option<ImpactRules>,
    /// What it is broken down into.
    pub parts: Option<PartsRules>,
}

/// What a sum, or a quotient of two, is broken down into.
#[derive(Clone, Debug, PartialEq)]
pub struct PartsRules {
    /// By which labels.
    pub labels: Vec<String>,
    /// What is summed up, in the monitor's groups and by these labels.
    pub part: Box<Watch>,
    /// Of a quotient the divisor, in the same way.
    pub whole: Option<Box<Watch>>,
    /// The value is that, or so many times that: what is expected of it is expected of its parts together.
    pub is_multiple: bool,
}

/// How it is reckoned what a breach costs.
#[derive(Clone, Debug, PartialEq)]
pub struct ImpactRules {
    /// The time that the query counts by: a second for a rate.
    pub per: Duration,
    /// What a lost unit is worth.
    pub money: Option<Money>,
    /// What else is counted, in the monitor's groups and at its steps.
    pub queries: Vec<(Measure, Watch)>,
}

/// What a lost unit is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Money {
    /// In the currency.
    pub per_lost_unit: f64,
    /// Such as EUR.
    pub currency: String,
}

/// How an evaluation is judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JudgeRules {
    /// Fixed limits.
    pub limits: Option<Limits>,
    /// A learnt band.
    pub baseline: Option<BaselineRule>,
    /// The value some time ago.
    pub change: Option<CompareRule>,
    /// The value at the same time of an earlier day.
    pub compare: Option<CompareRule>,
    /// Where the trend leads.
    pub forecast: Option<ForecastRule>,
    /// The very same value for this long.
    pub flatline: Option<Duration>,
    /// No data.
    pub absent: Option<Absent>,
    /// A share of fewer than this is not judged.
    pub min_traffic: Option<f64>,
    /// Whether one of them is enough.
    pub combine: Combine,
    /// How long it must be bad before a breach opens.
    pub hold: Duration,
    /// How long it must be good before the breach ends.
    pub keep_firing: Duration,
}

/// On which side of what is expected a value is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Too much is.
    Above,
    /// Too little is.
    Below,
    /// Either.
    Both,
}

impl Side {
    /// By how much a value is on that side, which is so much above what is expected; 0 on the other one.
    #[must_use]
    pub fn by(self, above: f64) -> f64 {
        match self {
            Self::Above if above < 0.0 => 0.0,
            Self::Below if above > 0.0 => 0.0,
            Self::Above | Self::Below | Self::Both => above.abs(),
        }
    }
}

impl JudgeRules {
    /// Where its judges look for what is bad.
    #[must_use]
    pub fn side(&self) -> Side {
        let limits = self.limits.iter().map(|limits| (limits.above.is_some(), limits.below.is_some()));
        let baseline = self.baseline.iter().map(|rule| (rule.judges(true), rule.judges(false)));
        let past = self.change.iter().chain(&self.compare).map(|rule| (rule.rise.is_some(), rule.drop.is_some()));
        let forecast = self.forecast.iter().map(|rule| (rule.above.is_some(), rule.below.is_some()));
        let sides = limits.chain(baseline).chain(past).chain(forecast);
        match sides.fold((false, false), |(up, down), (also_up, also_down)| (up || also_up, down || also_down)) {
            (true, false) => Side::Above,
            (false, true) => Side::Below,
            _ => Side::Both,
        }
    }
}

/// Fixed limits, in the query's unit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Bad above this.
    pub above: Option<f64>,
    /// Bad below this.
    pub below: Option<f64>,
    /// Once bad, good again from here on.
    pub until: Option<f64>,
}

/// How far a value may be from an earlier one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompareRule {
    /// How much earlier.
    pub lag: Duration,
    /// Bad when it has risen by this.
    pub rise: Option<Amount>,
    /// Bad when it has dropped by this.
    pub drop: Option<Amount>,
}

/// How much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// In the query's unit.
    Absolute(f64),
    /// Of what it was.
    Share(f64),
}

impl Amount {
    /// In the query's unit, of something.
    #[must_use]
    pub fn of(self, whole: f64) -> f64 {
        match self {
            Self::Absolute(amount) => amount,
            Self::Share(share) => share * whole.abs(),
        }
    }
}

/// A limit that the trend must not reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ForecastRule {
    /// Within this long.
    pub within: Duration,
    /// Bad when it will be above this.
    pub above: Option<f64>,
    /// Bad when it will be below this.
    pub below: Option<f64>,
}

/// When no data is absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// After this long.
    After(Duration),
    /// After longer than is usual for the series.
    Learnt,
}

/// Whether one judge is enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Combine {
    /// One is.
    #[default]
    Any,
    /// All have to agree.
    All,
}

/// Sequences and generic fault definitions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Levels {
    /// P, D, R and S by default.
    pub sequences: Vec<Sequence>,
    /// They grade every business monitor (as a floor) and the alerts they select (as a fallback).
    pub generic: Vec<Generic>,
    /// The business definition of a core function whose monitor has none of its own.
    pub business: Vec<Ladder>,
    /// How much less severe a fault is of what is core, sub-core and non-core.
    pub importance: [u8; 3],
    /// What businesses cannot do, whichever monitors measure it.
    pub scenarios: Vec<Scenario>,
    /// How faults of data are graded.
    pub matrix: Option<Matrix>,
    /// What people do about faults, and until when.
    pub handling: Vec<Handling>,
}

/// What a business cannot do, whichever monitors measure it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// In a sentence; unique.
    pub name: String,
    /// Whose business.
    pub business: String,
    /// Who owns it.
    pub owner: String,
    /// How much less severe it is than a core function's.
    pub shift: u8,
    /// Its own ladders.
    pub ladders: Vec<Ladder>,
}

/// How faults of data are graded.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// The ladders by asset level and impact factor.
    pub ladders: BTreeMap<(String, String), Ladder>,
}

/// A family of levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Short: P.
    pub name: String,
    /// How many levels, 1 being the most severe.
    pub levels: u8,
}

/// A generic fault definition.
#[derive(Clone, Debug, PartialEq)]
pub struct Generic {
    /// Grades the external alerts this selects; without it, every business monitor.
    pub alerts: Option<Selector>,
    /// The team that owns these alerts, by their labels.
    pub owner: Option<Template>,
    /// Whose business they are, by their labels.
    pub business: Option<Template>,
    /// When it is which level.
    pub ladder: Ladder,
}

impl Rules {
    /// The monitors that evaluate a query.
    pub fn watches(&self) -> impl Iterator<Item = (&Monitor, &Watch)> {
        self.monitors.iter().filter_map(|m| match &m.input {
            Input::Watch(watch) => Some((m, watch.as_ref())),
            Input::Alerts(_) | Input::Heartbeat(..) => None,
        })
    }

    /// The same, and what is counted beside them.
    pub fn inputs(&self) -> impl Iterator<Item = (&Monitor, &Watch)> {
        self.watches().flat_map(|(monitor, watch)| std::iter::once(watch).chain(watch.beside()).map(move |watch| (monitor, watch)))
    }

    /// The longest that a monitor holds a breach back.
    #[must_use]
    pub fn hold_max(&self) -> Duration {
        self.watches().map(|(_, watch)| watch.judge.hold).max().unwrap_or_default()
    }

    /// The places of the monitors that evaluate a query, by the keys of all they evaluate.
    #[must_use]
    pub fn by_key(&self) -> BTreeMap<u64, usize> {
        let places: BTreeMap<&str, usize> = self.monitors.iter().enumerate().map(|(place, m)| (m.name.as_str(), place)).collect();
        self.inputs().filter_map(|(monitor, watch)| Some((watch.key, *places.get(monitor.name.as_str())?))).collect()
    }

    /// The monitor of that name.
    #[must_use]
    pub fn monitor(&self, name: &str) -> Option<&Monitor> {
        self.monitors.iter().find(|m| m.name == name)
    }

    /// What all money is counted in; empty where no monitor counts any.
    #[must_use]
    pub fn currency(&self) -> &str {
        let watched = self.monitors.iter().filter_map(|monitor| match &monitor.input {
            Input::Watch(watch) => watch.impact.as_ref()?.money.as_ref(),
            Input::Alerts(_) | Input::Heartbeat(..) => None,
        });
        watched.map(|money| money.currency.as_str()).next().unwrap_or_default()
    }

    /// The monitor that reads an alert with these labels: the first one that has it for a heartbeat, or else the first one.
    #[must_use]
    pub fn alert_monitor(&self, labels: &Labels) -> Option<&Monitor> {
        let reads = |m: &&Monitor| matches!(&m.input, Input::Alerts(selector) if selector.matches(labels));
        self.heartbeat(labels).map(|(monitor, _)| monitor).or_else(|| self.monitors.iter().find(reads))
    }

    /// The first monitor of which an alert with these labels is a heartbeat, and for how long that may be silent.
    #[must_use]
    pub fn heartbeat(&self, labels: &Labels) -> Option<(&Monitor, Duration)> {
        self.monitors.iter().find_map(|m| match &m.input {
            Input::Heartbeat(selector, within) => selector.matches(labels).then_some((m, *within)),
            Input::Watch(_) | Input::Alerts(_) => None,
        })
    }
}

impl Levels {
    /// What people do about a fault of that level.
    #[must_use]
    pub fn handling(&self, level: &Level) -> Handling {
        self.handling.iter().find(|handling| handling.is_for(level)).cloned().unwrap_or_else(|| Handling::default_of(level.rank))
    }

    /// The level of that name, such as `P2`.
    #[must_use]
    pub fn level(&self, name: &str) -> Option<Level> {
        let of = |(place, sequence): (usize, &Sequence)| {
            let rank = whole(name.strip_prefix(sequence.name.as_str())?)?;
            let level = Level { rank, place: u8::try_from(place).ok()?, sequence: sequence.name.clone() };
            (1..=sequence.levels).contains(&rank).then_some(level)
        };
        self.sequences.iter().enumerate().find_map(of)
    }

    /// The same, for people.
    ///
    /// # Errors
    /// There is none of that name; which there are, in words.
    pub fn named(&self, name: &str) -> Result<Level, String> {
        let sequences = self.sequences.iter().map(|s| format!("{0}1 to {0}{1}", s.name, s.levels));
        let known = || sequences.collect::<Vec<_>>().join(", ");
        self.level(name).ok_or_else(|| format!("there is no level {name:?}; there are {}", known()))
    }

    /// The generic ladders that grade every business monitor.
    pub fn floor(&self) -> impl Iterator<Item = &Ladder> {
        self.generic.iter().filter(|g| g.alerts.is_none()).map(|g| &g.ladder)
    }

    /// What of the floor holds for a fault that nothing measures, by the numbers that people say; how long it lasts alone says
    /// nothing of such a one.
    pub fn floor_by_numbers(&self) -> impl Iterator<Item = Ladder> {
        let by_numbers = |ladder: &Ladder| ladder.rungs.iter().filter(|rung| !rung.condition.tests.is_empty()).cloned().collect();
        self.floor().map(move |ladder| Ladder { rungs: by_numbers(ladder) }).filter(|ladder| !ladder.rungs.is_empty())
    }

    /// The generic ladders that grade an external alert.
    pub fn fallback(&self, labels: &Labels) -> impl Iterator<Item = &Generic> {
        self.generic.iter().filter(|g| g.alerts.as_ref().is_some_and(|s| s.matches(labels)))
    }
}

impl Monitor {
    /// Whether that is what it watches, and not counted beside it.
    #[must_use]
    pub fn watches(&self, watch: &Watch) -> bool {
        matches!(&self.input, Input::Watch(own) if own.key == watch.key)
    }
}

impl Watch {
    /// Its identity: [`Watch::key`].
    #[must_use]
    pub fn key(name: &str, query: &str) -> u64 {
        Fnv::of(&[name.as_bytes(), query.trim().as_bytes()])
    }

    /// What is evaluated beside it, in its cells and at its steps.
    pub fn beside(&self) -> impl Iterator<Item = &Self> {
        let counts = self.impact.iter().flat_map(|impact| &impact.queries).map(|(_, watch)| watch);
        counts.chain(self.parts.iter().flat_map(|parts| std::iter::once(&parts.part).chain(&parts.whole).map(AsRef::as_ref)))
    }

    /// The partition of so many to which a cell of the query goes.
    #[must_use]
    pub fn partition(&self, cell: &Labels, partitions: u32) -> u32 {
        let hash = Fnv::of(&[&self.routed.to_be_bytes(), &cell.fingerprint().bytes()]);
        u32::try_from(hash % u64::from(partitions.max(1))).unwrap_or(0)
    }
}

//! The checked form of what SREs wrote; everything else in the program sees only this.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::model::{Definition, Labels, Ladder, labels::Fnv};
use crate::query::{Query, Selector};

use super::baseline::BaselineRule;
use super::suppress::Suppress;
use super::{Template, Topology};

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
}

/// A rule: what to measure, how to judge it, and what fault it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    /// Unique.
    pub name: String,
    /// The entity its breaches are about, filled in from the group's labels.
    pub entity: Template,
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
}

/// A query, its steps and its judges.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// The monitor's name and query, hashed: as long as these stay, its state and its routing stay too.
    pub key: u64,
    /// The planned query.
    pub query: Query,
    /// The time between two evaluations.
    pub every: Duration,
    /// How an evaluation is judged.
    pub judge: JudgeRules,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
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
}

/// A family of levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Short: P.
    pub name: String,
    /// For people: priority.
    pub title: String,
    /// How many levels, 1 being the most severe.
    pub levels: u8,
}

/// A generic fault definition.
#[derive(Clone, Debug, PartialEq)]
pub struct Generic {
    /// Grades the external alerts this selects; without it, every business monitor.
    pub alerts: Option<Selector>,
    /// When it is which level.
    pub ladder: Ladder,
}

impl Rules {
    /// The monitors that evaluate a query.
    pub fn watches(&self) -> impl Iterator<Item = (&Monitor, &Watch)> {
        self.monitors.iter().filter_map(|m| match &m.input {
            Input::Watch(watch) => Some((m, watch.as_ref())),
            Input::Alerts(_) => None,
        })
    }

    /// The longest that a monitor holds a breach back.
    #[must_use]
    pub fn hold_max(&self) -> Duration {
        self.watches().map(|(_, watch)| watch.judge.hold).max().unwrap_or_default()
    }

    /// The monitors that evaluate a query, by their keys.
    #[must_use]
    pub fn by_key(&self) -> BTreeMap<u64, usize> {
        let keyed = self.monitors.iter().enumerate().filter_map(|(place, m)| match &m.input {
            Input::Watch(watch) => Some((watch.key, place)),
            Input::Alerts(_) => None,
        });
        keyed.collect()
    }

    /// The monitor of that name.
    #[must_use]
    pub fn monitor(&self, name: &str) -> Option<&Monitor> {
        self.monitors.iter().find(|m| m.name == name)
    }

    /// The first monitor that reads an alert with these labels.
    #[must_use]
    pub fn alert_monitor(&self, labels: &Labels) -> Option<&Monitor> {
        self.monitors.iter().find(|m| match &m.input {
            Input::Alerts(selector) => selector.matches(labels),
            Input::Watch(_) => false,
        })
    }
}

impl Levels {
    /// The generic ladders that grade every business monitor.
    pub fn floor(&self) -> impl Iterator<Item = &Ladder> {
        self.generic.iter().filter(|g| g.alerts.is_none()).map(|g| &g.ladder)
    }

    /// The generic ladders that grade an external alert.
    pub fn fallback(&self, labels: &Labels) -> impl Iterator<Item = &Ladder> {
        self.generic.iter().filter(|g| g.alerts.as_ref().is_some_and(|s| s.matches(labels))).map(|g| &g.ladder)
    }
}

impl Watch {
    /// Its identity: [`Watch::key`].
    #[must_use]
    pub fn key(name: &str, query: &str) -> u64 {
        Fnv::of(&[name.as_bytes(), query.trim().as_bytes()])
    }

    /// The partition of so many to which a cell of the query goes.
    #[must_use]
    pub fn partition(&self, cell: &Labels, partitions: u32) -> u32 {
        let hash = Fnv::of(&[&self.key.to_be_bytes(), &cell.fingerprint().to_be_bytes()]);
        u32::try_from(hash % u64::from(partitions.max(1))).unwrap_or(0)
    }
}

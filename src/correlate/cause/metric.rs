//! The metrics at a root: what tells of a suspect, ranked by how much it has too much of something, and by how early it did.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::correlate::kernel::seconds;
use crate::correlate::{Member, Source, Suspect};
use crate::model::{Dimension, Hint, Labels, Timestamp};
use crate::rules::Topology;

use super::excess::Excess;
use super::score::{FIRST, FIRST_MAX, of_part};

/// Metrics of a suspect that are told of.
const METRICS_MAX: usize = 5;

/// A metric at a suspect: a monitor or an alert that tells of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metric {
    /// The name of the monitor or of the alert.
    pub name: String,
    /// The labels of what it measured, or of the alert, that showed it first; none of what is odd, but no breach.
    pub labels: Labels,
    /// Its share of the suspicion, all metrics of a suspect together having the probability of that one.
    pub probability: f64,
    /// Which combinations of its labels carry it, the first one most of it.
    pub dimensions: Vec<Dimension>,
}

/// What one metric tells of a suspect.
#[derive(Clone, Copy)]
struct Showing<'m> {
    labels: Option<&'m Labels>,
    first: Timestamp,
    last: Timestamp,
    /// Of the last that has any.
    dimensions: &'m [Dimension],
}

impl<'m> Showing<'m> {
    fn takes(&mut self, other: Self) {
        if other.first < self.first || self.labels.is_none() {
            self.labels = other.labels.or(self.labels);
        }
        if other.last >= self.last && !other.dimensions.is_empty() {
            self.dimensions = other.dimensions;
        }
        (self.first, self.last) = (self.first.min(other.first), self.last.max(other.last));
    }
}

/// What tells of a suspect, likeliest first: the members, and what is hinted at.
pub(super) fn metrics<'m>(
    suspect: &Suspect,
    members: impl Iterator<Item = &'m Member>,
    hints: impl Iterator<Item = &'m Hint>,
    excess: &Excess<'_>,
    topology: &Topology,
) -> Vec<Metric> {
    let Some(node) = topology.node(&suspect.entity) else { return vec![] };
    let mut tell: BTreeMap<&str, Showing<'_>> = BTreeMap::new();
    let mut add = |name, told: Showing<'m>| tell.entry(name).or_insert(told).takes(told);
    let tells = |member: &&Member| {
        let serves = member.judged.as_ref().and_then(|judged| judged.calls.as_ref());
        member.entity == suspect.entity || serves == Some(&suspect.entity)
    };
    for member in members.filter(tells) {
        let dimensions = member.judged.as_ref().map_or(&[][..], |judged| &judged.dimensions);
        let labels = match &member.source {
            Source::Breach { group, .. } => group,
            Source::Alert { labels, .. } => labels,
            Source::Person { .. } => continue,
        };
        add(member.source.name(), Showing { labels: Some(labels), first: member.starts_at, last: member.starts_at, dimensions });
    }
    for hint in hints {
        add(&hint.monitor, Showing { labels: None, first: hint.at, last: hint.at, dimensions: &[] });
    }
    let earliest = tell.values().map(|told| told.first).min().unwrap_or(Timestamp::MIN);
    let likely = |name: &str, told: &Showing<'_>| {
        let own = excess.of_monitor(node, name).map_or(0.0, of_part);
        libm::exp(own - (seconds(told.first, earliest) / FIRST).min(FIRST_MAX))
    };
    let total: f64 = tell.iter().map(|(name, told)| likely(name, told)).sum();
    let metric = |(name, told): (&&str, &Showing<'_>)| Metric {
        name: (*name).to_owned(),
        labels: told.labels.cloned().unwrap_or_default(),
        probability: suspect.probability * likely(name, told) / total,
        dimensions: told.dimensions.to_vec(),
    };
    let mut metrics: Vec<Metric> = tell.iter().map(metric).collect();
    metrics.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    metrics.truncate(METRICS_MAX);
    metrics
}

//! The metrics at a root: what tells of a suspect, ranked by how much it has too much of something, and by how early it did.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{Dimension, Hint, Labels, Timestamp};
use crate::rules::Topology;

use super::cause::{FIRST, FIRST_MAX, TEMPER, of_part};
use super::excess::Excess;
use super::kernel::seconds;
use super::{Member, Source, Suspect};

/// Metrics of a suspect that are told of.
const METRICS_MAX: usize = 5;

/// A metric at a suspect: a monitor or an alert that tells of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metric {
    /// The name of the monitor or of the alert.
    pub name: String,
    /// The labels of what it measured, or of the alert; none of what is odd, but no breach.
    pub labels: Labels,
    /// Its share of the suspicion, all metrics of a suspect together having the probability of that one.
    pub probability: f64,
    /// Which combinations of its labels carry it, the first one most of it.
    pub dimensions: Vec<Dimension>,
}

/// What tells of a suspect, likeliest first: of the members, and of the hints where there is none.
pub(super) fn metrics<'m>(
    suspect: &Suspect,
    members: impl Iterator<Item = &'m Member>,
    hints: impl Iterator<Item = &'m Hint>,
    excess: &Excess<'_>,
    topology: &Topology,
) -> Vec<Metric> {
    let Some(node) = topology.node(&suspect.entity) else { return vec![] };
    let mut tell: BTreeMap<(&str, &Labels), (Timestamp, &[Dimension])> = BTreeMap::new();
    for member in members.filter(|member| member.entity == suspect.entity) {
        let dimensions = member.judged.as_ref().map_or(&[][..], |judged| &judged.dimensions);
        let labels = match &member.source {
            Source::Breach { group, .. } => group,
            Source::Alert { labels, .. } => labels,
            Source::Person { .. } => continue,
        };
        let first = tell.entry((member.source.name(), labels)).or_insert((member.starts_at, dimensions));
        first.0 = first.0.min(member.starts_at);
    }
    let (breached, nothing) = (tell.clone(), Labels::default());
    for hint in hints.filter(|hint| breached.keys().all(|(name, _)| *name != hint.monitor)) {
        let first = tell.entry((&hint.monitor, &nothing)).or_insert((hint.at, &[]));
        first.0 = first.0.min(hint.at);
    }
    let earliest = tell.values().map(|(first, _)| *first).min().unwrap_or(Timestamp::MIN);
    let likely = |name: &str, first: Timestamp| {
        let own = excess.of_monitor(node, name).map_or(0.0, of_part);
        libm::exp((own - (seconds(first, earliest) / FIRST).min(FIRST_MAX)) / TEMPER)
    };
    let total: f64 = tell.iter().map(|((name, _), (first, _))| likely(name, *first)).sum();
    let metric = |((name, labels), (first, dimensions)): (&(&str, &Labels), &(Timestamp, &[Dimension]))| Metric {
        name: (*name).to_owned(),
        labels: (*labels).clone(),
        probability: suspect.probability * likely(name, *first) / total,
        dimensions: dimensions.to_vec(),
    };
    let mut metrics: Vec<Metric> = tell.iter().map(metric).collect();
    metrics.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    metrics.truncate(METRICS_MAX);
    metrics
}

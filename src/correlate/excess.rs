//! How much of what is too much arises where: the excess of each monitor's breaches and hints, less what the dependencies
//! explain.
//!
//! An entity hands on what it gets from below: what its dependencies lose, or are too slow by, it loses too, so its own part
//! is what theirs leaves unexplained. Excess is weighed by traffic, for a rare call may be as slow as it likes. What
//! that is worth is measured by `make rootcause`.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Hint;
use crate::rules::topology::{HOPS_MAX, Node, Topology};

use super::{Member, Source};

/// Entities that show nothing, through which it is looked for what explains an excess.
const THROUGH_MAX: usize = 256;

/// What one monitor measures too much of, by entity.
#[derive(Debug)]
struct Measure<'s> {
    monitor: &'s str,
    of: BTreeMap<Node, f64>,
    most: f64,
}

/// What all monitors measure too much of.
#[derive(Debug)]
pub(super) struct Excess<'s> {
    measures: Vec<Measure<'s>>,
    /// Where a monitor has too much, and nowhere else.
    alone: BTreeSet<Node>,
    topology: &'s Topology,
}

/// An entity's own part.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Own {
    /// Of the largest excess of that monitor, 0 to 1.
    pub(super) part: f64,
    /// In words.
    pub(super) what: String,
}

impl<'s> Excess<'s> {
    /// Of members, and of what is hinted at where there is no breach: of monitors that tell of more than one entity, for only
    /// these compare.
    pub(super) fn of(
        members: impl Iterator<Item = &'s Member>,
        hints: impl Iterator<Item = (Node, &'s Hint)>,
        topology: &'s Topology,
    ) -> Self {
        let mut monitors: BTreeMap<&str, BTreeMap<Node, f64>> = BTreeMap::new();
        for member in members {
            if let (Some((monitor, excess)), Some(node)) = (excess(member), topology.node(&member.entity)) {
                *monitors.entry(monitor).or_default().entry(node).or_default() += excess;
            }
        }
        let mut hinted: BTreeMap<(&str, Node), f64> = BTreeMap::new();
        for (node, hint) in hints {
            let most = hinted.entry((&hint.monitor, node)).or_default();
            *most = most.max(hint.excess);
        }
        for ((monitor, node), excess) in hinted {
            monitors.entry(monitor).or_default().entry(node).or_insert(excess);
        }
        let (several, alone): (Vec<_>, Vec<_>) = monitors.into_iter().partition(|(_, of)| of.len() > 1);
        let measures = several.into_iter().map(|(monitor, of)| {
            let most = of.values().copied().fold(0.0, f64::max);
            Measure { monitor, of, most }
        });
        let measures = measures.filter(|measure| measure.most > 0.0).collect();
        Self { measures, alone: alone.into_iter().flat_map(|(_, of)| of.into_keys()).collect(), topology }
    }

    pub(super) fn is_known(&self) -> bool {
        !self.measures.is_empty()
    }

    /// Whether a monitor has too much there and nowhere else: that compares with nothing.
    pub(super) fn is_alone(&self, node: Node) -> bool {
        self.alone.contains(&node)
    }

    /// The largest part of an excess that arises at an entity; none where none is told of it.
    pub(super) fn own(&self, node: Node) -> Option<Own> {
        let parts = self.measures.iter().filter_map(|measure| {
            let excess = *measure.of.get(&node)?;
            let below = self.below(node, measure);
            let own = excess - below.map_or(0.0, |(_, below)| below);
            Some((own.max(0.0) / measure.most, measure, excess, below))
        });
        let (part, measure, excess, below) = parts.max_by(|a, b| a.0.total_cmp(&b.0))?;
        let explained = match below {
            Some((by, below)) => format!("{:.0} % of it explained by {}", 100.0 * (below / excess).min(1.0), self.topology.name(by)),
            None => "which nothing below explains".into(),
        };
        let what = format!("{:.0} % of the largest excess of {}, {explained}", 100.0 * excess / measure.most, measure.monitor);
        Some(Own { part, what })
    }

    /// The dependency that explains most, looked for through those that show nothing.
    fn below(&self, node: Node, measure: &Measure<'_>) -> Option<(Node, f64)> {
        let mut seen = BTreeSet::from([node]);
        let mut frontier = vec![node];
        let mut most: Option<(Node, f64)> = None;
        for _ in 0..HOPS_MAX {
            let mut next = vec![];
            for dependency in frontier.iter().flat_map(|at| self.topology.depends_on(*at)).copied() {
                if seen.len() > THROUGH_MAX || !seen.insert(dependency) {
                    continue;
                }
                match measure.of.get(&dependency) {
                    Some(excess) if most.is_none_or(|(_, most)| *excess > most) => most = Some((dependency, *excess)),
                    Some(_) => {}
                    None => next.push(dependency),
                }
            }
            frontier = next;
        }
        most
    }
}

/// What a breach's worst evaluation had too much of.
fn excess(member: &Member) -> Option<(&str, f64)> {
    let Source::Breach { monitor, .. } = &member.source else { return None };
    Some((monitor, member.judged.as_ref()?.worst.excess()?))
}

//! How much of what is too much arises where: the excess of each monitor's breaches and hints, less what the dependencies
//! explain.
//!
//! An entity hands on what it gets from below: what its dependencies lose, or are too slow by, it loses too, so its own part
//! is what theirs leaves unexplained. Excess is weighed by traffic, for a rare call may be as slow as it likes. What
//! that is worth is measured by `make rootcause`.
//!
//! Of what was measured for the first time when it was bad it is not known whether it has failed, or whether it is used only by
//! now, as a table that does not exist: a count of errors often begins with the first one. So half of that is laid to who uses
//! it.
//!
//! What a monitor measures on calls, such as how much longer they take for who makes them than for who serves them, arises
//! between the two. An entity is to blame for it by its share of it, and by how many of its calls have it: a bad
//! network of one entity shows on all of its calls, and on one of each of those that it talks to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::correlate::{Member, Source};
use crate::model::{Entity, Hint, Timestamp};
use crate::rules::topology::{HOPS_MAX, Node, Topology};

/// What was first measured less than this before it was bad is new.
const NEW: Duration = Duration::from_secs(3600);

/// As much of what is new is its own: that it failed is as likely as that who uses it has changed.
const OWN_IF_NEW: f64 = 0.5;

/// Entities that show nothing, through which it is looked for what explains an excess.
const THROUGH_MAX: usize = 256;

/// What something is measured of: an entity, or its calls to another one.
type Of = (Node, Option<Node>);

/// What one monitor measures too much of, by entity.
#[derive(Debug)]
struct Measure<'s> {
    monitor: &'s str,
    of: BTreeMap<Node, f64>,
    /// Those that nothing was measured of before.
    new: BTreeSet<Node>,
    most: f64,
}

/// What one monitor measures too much of on calls.
#[derive(Debug)]
struct Calls<'s> {
    monitor: &'s str,
    of: BTreeMap<Node, Ends>,
    /// The kinds of those.
    kinds: BTreeSet<&'s str>,
    total: f64,
}

/// What the calls of one entity have too much of.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    /// Those that it makes.
    made: f64,
    /// And those that it serves.
    all: f64,
    /// How many.
    raised: usize,
}

/// What all monitors measure too much of.
#[derive(Debug)]
pub(super) struct Excess<'s> {
    measures: Vec<Measure<'s>>,
    calls: Vec<Calls<'s>>,
    /// Where a monitor has too much, and nowhere else.
    alone: BTreeSet<(Node, &'s str)>,
    topology: &'s Topology,
}

/// An entity's own part.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Own<'s> {
    /// Of what: of the entity's own excess, or of that of its calls.
    pub(super) kind: &'static str,
    /// Of the largest excess of that monitor, 0 to 1.
    pub(super) part: f64,
    /// Which one.
    pub(super) monitor: &'s str,
    /// In words.
    pub(super) what: String,
}

impl<'s> Excess<'s> {
    /// Of members, and of what is hinted at where there is no breach: of monitors that tell of more than one entity, for only
    /// these compare.
    pub(super) fn of(members: impl Iterator<Item = &'s Member>, hints: impl Iterator<Item = &'s Hint>, topology: &'s Topology) -> Self {
        let mut monitors: BTreeMap<&str, BTreeMap<Of, f64>> = BTreeMap::new();
        let mut new: BTreeMap<(&str, Node), bool> = BTreeMap::new();
        for member in members {
            if let (Some((monitor, calls, excess)), Some(node)) = (excess(member), topology.node(&member.entity)) {
                let began = member.judged.as_ref().map_or(Timestamp::MIN, |judged| judged.began);
                *new.entry((monitor, node)).or_insert(true) &= member.starts_at.since(began) < NEW;
                let calls = calls.and_then(|calls| topology.node(&topology.resolve(calls.clone())));
                *monitors.entry(monitor).or_default().entry((node, calls)).or_default() += excess;
            }
        }
        let mut hinted: BTreeMap<(&str, Of), f64> = BTreeMap::new();
        for hint in hints {
            let Some(node) = topology.node(&hint.entity) else { continue };
            new.insert((&hint.monitor, node), false);
            let calls = hint.calls.as_ref().and_then(|calls| topology.node(calls));
            let most = hinted.entry((&hint.monitor, (node, calls))).or_default();
            *most = most.max(hint.excess);
        }
        for ((monitor, ends), excess) in hinted {
            monitors.entry(monitor).or_default().entry(ends).or_insert(excess);
        }
        let mut excess = Self { measures: vec![], calls: vec![], alone: BTreeSet::new(), topology };
        for (monitor, of) in monitors {
            // Where all of it is new, it is the monitor that is.
            let own = new.range((monitor, Node::MIN)..=(monitor, Node::MAX));
            let old = own.clone().any(|(_, new)| !new);
            let new = own.filter(|(_, new)| old && **new).map(|((_, node), _)| *node).collect();
            excess.measured(monitor, &of, new);
        }
        excess
    }

    fn measured(&mut self, monitor: &'s str, of: &BTreeMap<Of, f64>, new: BTreeSet<Node>) {
        let (mut nodes, mut calls, mut total) = (BTreeMap::new(), BTreeMap::<Node, Ends>::new(), 0.0);
        // In the order of their names, as sums of floats depend on it.
        let mut of: Vec<(&Of, &f64)> = of.iter().collect();
        of.sort_by_key(|((node, serves), _)| (self.topology.name(*node), serves.map(|serves| self.topology.name(serves))));
        for ((node, serves), excess) in of {
            let Some(serves) = serves else {
                nodes.insert(*node, if new.contains(node) { excess * OWN_IF_NEW } else { *excess });
                continue;
            };
            total += excess;
            calls.entry(*node).or_default().made += excess;
            for end in [node, serves] {
                let ends = calls.entry(*end).or_default();
                (ends.all, ends.raised) = (ends.all + excess, ends.raised + 1);
            }
        }
        let most = nodes.values().copied().fold(0.0, f64::max);
        if nodes.len() == 1 {
            self.alone.extend(nodes.into_keys().map(|node| (node, monitor)));
        } else if most > 0.0 {
            self.measures.push(Measure { monitor, of: nodes, new, most });
        }
        if total > 0.0 {
            let kinds = calls.keys().map(|end| self.topology.name(*end).kind()).collect();
            self.calls.push(Calls { monitor, of: calls, kinds, total });
        }
    }

    pub(super) fn is_known(&self) -> bool {
        !self.measures.is_empty() || !self.calls.is_empty()
    }

    /// The monitors that have too much of something elsewhere.
    pub(super) fn monitors(&self) -> impl Iterator<Item = &'s str> {
        let compared = self.measures.iter().map(|measure| measure.monitor).chain(self.calls.iter().map(|calls| calls.monitor));
        compared.chain(self.alone.iter().map(|(_, monitor)| *monitor))
    }

    /// Whether a monitor has too much there and nowhere else: that compares with nothing.
    pub(super) fn is_alone(&self, node: Node) -> bool {
        self.alone.iter().any(|(alone, _)| *alone == node)
    }

    /// Whether calls of it, or to it, have too much of something.
    pub(super) fn is_on_calls(&self, node: Node) -> bool {
        self.calls.iter().any(|calls| calls.of.contains_key(&node))
    }

    /// The largest part of an excess that arises at an entity; none where none is told of it.
    pub(super) fn own(&self, node: Node) -> Option<Own<'s>> {
        let measured = self.measures.iter().filter_map(|measure| self.own_of(node, measure));
        let on_calls = self.calls.iter().filter_map(|calls| self.own_on(node, calls));
        measured.chain(on_calls).max_by(|a, b| a.part.total_cmp(&b.part))
    }

    /// The part of the largest excess of a monitor that arises at an entity.
    pub(super) fn of_monitor(&self, node: Node, monitor: &str) -> Option<f64> {
        let measured = self.measures.iter().filter(|of| of.monitor == monitor).filter_map(|measure| self.own_of(node, measure));
        let on_calls = self.calls.iter().filter(|of| of.monitor == monitor).filter_map(|calls| self.own_on(node, calls));
        measured.chain(on_calls).map(|own| own.part).next()
    }

    fn own_of(&self, node: Node, measure: &Measure<'s>) -> Option<Own<'s>> {
        let excess = *measure.of.get(&node)?;
        let below = self.below(node, measure).map(|(by, below)| (self.topology.name(by).to_string(), below));
        let below = below.into_iter().chain(self.on_its_calls(node)).max_by(|a, b| a.1.total_cmp(&b.1));
        let part = (excess - below.as_ref().map_or(0.0, |(_, below)| *below)).max(0.0) / measure.most;
        let explained = match below {
            Some((by, below)) => format!("{:.0} % of it explained by {by}", 100.0 * (below / excess).min(1.0)),
            None => "which nothing below explains".into(),
        };
        let halved = if measure.new.contains(&node) { "; as much is laid to who uses it, as it was not measured before" } else { "" };
        let what = format!("{:.0} % of the largest excess of {}, {explained}{halved}", 100.0 * excess / measure.most, measure.monitor);
        Some(Own { kind: "excess", part, monitor: measure.monitor, what })
    }

    /// What the calls that an entity makes have too much of, by the monitor that has most; it is taken to be in the unit of
    /// what it explains.
    fn on_its_calls(&self, node: Node) -> Option<(String, f64)> {
        let made = self.calls.iter().filter_map(|calls| Some((format!("{} of its calls", calls.monitor), calls.of.get(&node)?.made)));
        made.filter(|(_, excess)| *excess > 0.0).max_by(|a, b| a.1.total_cmp(&b.1))
    }

    fn own_on(&self, node: Node, calls: &Calls<'s>) -> Option<Own<'s>> {
        let Ends { all: excess, raised, .. } = *calls.of.get(&node)?;
        let share = excess / calls.total;
        let made = self.topology.depends_on(node).iter().map(|on| (*on, self.topology.confidence(node, *on)));
        let near = self.topology.callers(node).iter().map(|from| (*from, self.topology.confidence(*from, node))).chain(made);
        let near = near.filter(|(near, _)| calls.kinds.contains(self.topology.name(*near).kind()));
        let all = near.map(|(_, likely)| likely).sum::<f64>().max(raised as f64);
        let what =
            format!("{:.0} % of the excess of {} is on its calls, {raised} of {all:.0} of which have it", 100.0 * share, calls.monitor);
        Some(Own { kind: "edge", part: share * raised as f64 / all, monitor: calls.monitor, what })
    }

    /// The dependency that explains most, looked for through those that show nothing; as much of it as is likely.
    fn below(&self, node: Node, measure: &Measure<'_>) -> Option<(Node, f64)> {
        let mut seen = BTreeSet::from([node]);
        let mut frontier = vec![(node, 1.0)];
        let mut most: Option<(Node, f64)> = None;
        for _ in 0..HOPS_MAX {
            let mut next = vec![];
            for (at, likely) in frontier {
                for dependency in self.topology.depends_on(at).iter().copied() {
                    if seen.len() > THROUGH_MAX || !seen.insert(dependency) {
                        continue;
                    }
                    let likely = likely * self.topology.confidence(at, dependency);
                    match measure.of.get(&dependency).map(|excess| excess * likely) {
                        Some(excess) if most.is_none_or(|(_, most)| excess > most) => most = Some((dependency, excess)),
                        Some(_) => {}
                        None => next.push((dependency, likely)),
                    }
                }
            }
            frontier = next;
        }
        most
    }
}

/// What a breach's worst evaluation had too much of, and on calls to what.
fn excess(member: &Member) -> Option<(&str, Option<&Entity>, f64)> {
    let Source::Breach { monitor, .. } = &member.source else { return None };
    let judged = member.judged.as_ref()?;
    Some((monitor, judged.calls.as_ref(), judged.worst.excess()?))
}

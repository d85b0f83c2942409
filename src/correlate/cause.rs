//! Suspects: the entities that may be at the root of a situation, ranked by what speaks for each. Ranked, not decided: the
//! parts of each score are shown, and a change is never more than one part of it.

mod excess;
mod explanation;
mod metric;
mod named;
mod score;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::model::{Entity, Timestamp};
use crate::rules::topology::{HOPS_MAX, Node, Topology};
use crate::rules::{Rules, Tuning};

pub use metric::Metric;

use super::changes::BY_CHANGE;
use super::kernel::{NEAR, seconds};
use super::member::blur;
use super::rates::Kind;
use super::{Member, Part, Situation, SituationId, Situations, Source};

use excess::Excess;
use explanation::{Began, Explanation};
use metric::metrics;
use named::Named;
use score::Symptoms;

/// The earliest entities, of which the dependencies are candidates too.
const EARLIEST: usize = 24;

/// Steps to them, where nothing is hinted at.
const STEPS: usize = 2;

/// Dependencies that are looked at for it.
const LOOKED_AT_MAX: usize = 2048;

/// Candidates that are ranked; beyond it the later ones are left out.
const CANDIDATES_MAX: usize = 256;

/// Suspects of which it is told where they show.
const METRICS_OF: usize = 10;

/// What was over so long before the first sign of a situation says nothing of it.
const OVER_BEFORE: Duration = Duration::from_secs(300);

/// Below this no suspect stands out.
const STANDS_OUT: f64 = 0.4;

/// An entity that may be the root.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suspect {
    /// What is suspected.
    pub entity: Entity,
    /// Its share of the suspicion, all candidates together being 1.
    pub probability: f64,
    /// The share of the situation's entities that depend on it, itself included.
    pub explains: f64,
    /// When it showed first; none where nothing was told of it.
    pub first_sign: Option<Timestamp>,
    /// Id of the change of it that speaks most against it.
    pub change: Option<String>,
    /// The probability that it is at the root and that change made it.
    pub change_probability: f64,
    /// What tells of it, likeliest first; only of those that are suspected most.
    pub metrics: Vec<Metric>,
    /// How many of its nats that change is.
    #[serde(skip)]
    pub(super) by_change: f64,
    /// The parts of its score.
    pub evidence: Vec<Part>,
}

impl Suspect {
    /// Its score: the sum of its parts.
    fn nats(&self) -> f64 {
        self.evidence.iter().map(|part| part.nats).sum()
    }

    /// How likely it is, where this is the root, that no change made it.
    fn unchanged(&self) -> f64 {
        ((1.0 - BY_CHANGE) * libm::exp(-self.by_change)).min(1.0)
    }
}

/// All suspects of a situation, most likely first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ranking {
    /// Most likely first.
    pub suspects: Vec<Suspect>,
    /// The probability that no change has to do with it.
    pub no_change: f64,
}

impl Ranking {
    /// Whether none stands out.
    #[must_use]
    pub fn is_undetermined(&self) -> bool {
        self.suspects.first().is_none_or(|first| first.probability < STANDS_OUT)
    }
}

/// Ranks the suspects of a situation as it was known at `at`.
#[must_use]
pub fn rank(situation: &Situation, all: &Situations, rules: &Rules, tuning: &Tuning, at: Timestamp) -> Ranking {
    let topology = &rules.topology;
    let known = situation.members.iter().filter(|member| member.starts_at <= at);
    let first = earliest_of(known.clone().map(|member| (&member.entity, member.starts_at)));
    let Some(first_member) = known.clone().min_by_key(|member| (member.starts_at, &member.entity)) else { return Ranking::default() };
    let earliest = first_member.starts_at;
    let shows: BTreeMap<Node, Timestamp> = first.iter().filter_map(|(entity, sign)| Some((topology.node(entity)?, *sign))).collect();
    // In the order of their names: sums of floats depend on it, and numbers on what was known first.
    let order: Vec<(Node, Timestamp)> = first.iter().filter_map(|(entity, sign)| Some((topology.node(entity)?, *sign))).collect();
    let near = Duration::from_secs_f64(NEAR);
    let (from, until) = (earliest - near, at.min(earliest + near));
    let hinted = |node: Node| all.hints.of(topology.name(node), from, until).next().is_some();
    let hops = if all.hints.is_empty() { STEPS } else { HOPS_MAX };
    let mut candidates: Vec<Node> = candidates(&shows, topology, hops, hinted).into_iter().collect();
    candidates.sort_by_key(|node| topology.name(*node));
    // What a candidate shows may have been put elsewhere; it is a sign of it all the same.
    let others = candidates.iter().filter(|node| !shows.contains_key(*node));
    let others = others.flat_map(|node| all.elsewhere(*node, situation.id, earliest, at).map(|member| (*node, member)));
    let others: Vec<(Node, &Member)> = others.collect();
    let elsewhere = earliest_of(others.iter().map(|(node, member)| (*node, member.starts_at)));
    let failed =
        |node: Node| all.forest.signs_of(node).filter_map(|id| all.forest.get(id)).find(|sign| sign.told > 0 && sign.first < earliest);
    let told_by_then = |id| all.forest.get(id).is_some_and(|sign| sign.told > 0 && sign.first <= at);
    let failing = |node: Node| all.forest.signs_near(node, earliest, NEAR).any(told_by_then);
    let silent = candidates.iter().filter(|node| !shows.contains_key(*node) && !elsewhere.contains_key(*node));
    let before: BTreeMap<Node, Timestamp> = silent.filter_map(|node| Some((*node, failed(*node)?.first))).collect();
    let told = known.chain(others.into_iter().map(|(_, member)| member));
    let hints = candidates.iter().flat_map(|node| all.hints.of(topology.name(*node), from, until));
    let (blurs, excess) = (blurs(told.clone(), rules), Excess::of(told.clone(), hints, topology));
    let first_hint = |node: Node| all.hints.of(topology.name(node), from, until).map(|hint| hint.at).min();
    let hinted: BTreeMap<Node, Timestamp> = candidates.iter().filter_map(|node| Some((*node, first_hint(*node)?))).collect();
    let (changes, window) = (&all.changes, tuning.change_window);
    let blur = |node: Node| blurs.get(&node).copied().unwrap_or(0.0);
    let all_signs = hinted.iter().chain(&elsewhere).chain(&shows);
    let began: BTreeMap<Node, Began> = all_signs.map(|(node, at)| (*node, Began { at: *at, blur: blur(*node) })).collect();
    let named = Named::of(told.clone(), &began, topology);
    let explained = Explanation::new(&order, &began, all.forest.rates.alone(Kind::Fault, all.entities(rules)), topology, &named);
    let trouble = Symptoms {
        shows: &shows,
        order: &order,
        elsewhere: &elsewhere,
        failing: &failing,
        before: &before,
        again: &|node| all.is_on_again(node, earliest, at),
        on: &|node| all.has_incident_on(node, at),
        hinted: &hinted,
        blurs: &blurs,
        earliest: first_member,
        topology,
        named: &named,
        explained: &explained,
        excess: &excess,
        good: &|node, monitor| all.goods.is_good(topology.name(node), monitor, at),
        changes,
        window,
    };
    let mut suspects: Vec<Suspect> = candidates.iter().map(|node| trouble.suspect(*node)).collect();
    let no_change = share_out(&mut suspects);
    suspects.sort_by(|a, b| b.probability.total_cmp(&a.probability).then_with(|| a.entity.cmp(&b.entity)));
    for suspect in suspects.iter_mut().take(METRICS_OF) {
        let hints = all.hints.of(&suspect.entity, from, until);
        suspect.metrics = metrics(suspect, told.clone(), hints, &excess, topology);
    }
    Ranking { suspects, no_change }
}

impl Situations {
    /// Whether something of an entity fires that began about then, and is put with what it fired before.
    fn is_on_again(&self, node: Node, about: Timestamp, at: Timestamp) -> bool {
        let signs = self.forest.signs_of(node).filter_map(|id| self.forest.get(id));
        signs.filter(|sign| sign.first < about).any(|sign| {
            let members = self.open.get(&sign.situation).into_iter().flat_map(|situation| &situation.members);
            let mut own = members.filter(|member| member.entity == sign.entity && member.starts_at <= at);
            let lasts = |member: &Member| member.ends_at.is_none_or(|ended| ended > about);
            own.any(|member| member.starts_at > sign.first && seconds(member.starts_at, about).abs() < NEAR && lasts(member))
        })
    }

    /// Whether something of an entity lasts, and is part of an incident that is on.
    fn has_incident_on(&self, node: Node, at: Timestamp) -> bool {
        let signs = self.forest.signs_of(node).filter_map(|id| self.forest.get(id)).filter(|sign| sign.firing > 0);
        signs.filter_map(|sign| Some((sign, self.open.get(&sign.situation)?))).any(|(sign, situation)| {
            let lasts = |m: &Member| m.entity == sign.entity && m.counts() && m.starts_at <= at && m.ends_at.is_none_or(|end| end > at);
            situation.is_declared() && situation.recovered_at().is_none() && situation.members.iter().any(lasts)
        })
    }

    /// What monitors tell of an entity that is part of other situations and began about then, or what has an incident of its own.
    fn elsewhere(&self, node: Node, than: SituationId, about: Timestamp, at: Timestamp) -> impl Iterator<Item = &Member> {
        let signs = self.forest.signs_of(node).filter_map(|id| self.forest.get(id));
        let others: BTreeSet<(SituationId, &Entity)> = signs.map(|sign| (sign.situation, &sign.entity)).collect();
        let others = others.into_iter().filter(move |(situation, _)| *situation != than);
        others.flat_map(move |(situation, entity)| {
            let situation = self.open.get(&situation);
            let has_paged = situation.is_some_and(|situation| situation.is_declared());
            let members = situation.into_iter().flat_map(|situation| &situation.members);
            let says_so = move |m: &Member| m.judged.is_some() || has_paged && m.counts();
            // An alert may tell of what began some minutes before.
            let lasted = move |m: &Member| m.ends_at.is_none_or(|ended| ended + OVER_BEFORE > about);
            let told = move |m: &&Member| m.entity == *entity && says_so(m) && m.starts_at <= at && lasted(m);
            members.filter(move |m| told(m) && seconds(m.starts_at, about).abs() < NEAR)
        })
    }
}

/// When the first of each was.
fn earliest_of<K: Ord>(all: impl Iterator<Item = (K, Timestamp)>) -> BTreeMap<K, Timestamp> {
    let mut earliest = BTreeMap::new();
    for (of, at) in all {
        let first = earliest.entry(of).or_insert(at);
        *first = at.min(*first);
    }
    earliest
}

/// To how many seconds it is known when monitors saw an entity fail first: they look once in their interval.
fn blurs<'s>(members: impl Iterator<Item = &'s Member>, rules: &Rules) -> BTreeMap<Node, f64> {
    let mut monitors: BTreeMap<&str, f64> = BTreeMap::new();
    let mut blurs: BTreeMap<Node, f64> = BTreeMap::new();
    for member in members {
        if let (Source::Breach { monitor, .. }, Some(node)) = (&member.source, rules.topology.node(&member.entity)) {
            let blur = *monitors.entry(monitor).or_insert_with(|| blur(member, rules));
            let known = blurs.entry(node).or_default();
            *known = known.max(blur);
        }
    }
    blurs
}

/// What shows something, and what the earliest of it depend on in one or two steps; further where monitors hint at it.
fn candidates(shows: &BTreeMap<Node, Timestamp>, topology: &Topology, hops: usize, hinted: impl Fn(Node) -> bool) -> BTreeSet<Node> {
    let mut order: Vec<(Timestamp, &Entity, Node)> = shows.iter().map(|(node, sign)| (*sign, topology.name(*node), *node)).collect();
    order.sort_unstable();
    let mut candidates: BTreeSet<Node> = order.iter().take(CANDIDATES_MAX).map(|(.., node)| *node).collect();
    let mut frontier: Vec<(Node, usize)> = order.iter().take(EARLIEST).map(|(.., node)| (*node, 0)).collect();
    let mut seen: BTreeSet<Node> = frontier.iter().map(|(node, _)| *node).collect();
    for hop in 1..=hops {
        let mut next = vec![];
        // Along the shortest quiet way there is.
        frontier.sort_by_key(|(_, quiet)| *quiet);
        for (at, quiet) in frontier {
            for dependency in topology.depends_on(at).iter().copied() {
                if candidates.len() >= 2 * CANDIDATES_MAX || seen.len() >= LOOKED_AT_MAX || !seen.insert(dependency) {
                    continue;
                }
                let hinted = hinted(dependency);
                if hop <= STEPS || hinted {
                    candidates.insert(dependency);
                }
                let quiet = if hinted || hop == 1 { 0 } else { quiet + 1 };
                if quiet <= 1 {
                    next.push((dependency, quiet));
                }
            }
        }
        frontier = next;
    }
    candidates
}

/// Makes probabilities of the scores; gives the one that no change has to do with it.
fn share_out(suspects: &mut [Suspect]) -> f64 {
    let most = suspects.iter().map(Suspect::nats).fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = suspects.iter().map(|suspect| libm::exp(suspect.nats() - most)).sum();
    let mut no_change = 0.0;
    for suspect in suspects.iter_mut() {
        suspect.probability = libm::exp(suspect.nats() - most) / total;
        let unchanged = suspect.unchanged();
        suspect.change_probability = if suspect.change.is_some() { suspect.probability * (1.0 - unchanged) } else { 0.0 };
        no_change += suspect.probability * unchanged;
    }
    no_change
}

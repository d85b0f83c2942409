//! Suspects: the entities that may be at the root of a situation, ranked by what speaks for each. Ranked, not decided: the
//! parts of each score are shown, and a change is never more than one part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::model::{Entity, Timestamp};
use crate::rules::topology::{HOPS_MAX, Node, REACHED_MAX, Topology};
use crate::rules::{Rules, Tuning};

use super::changes::BY_CHANGE;
use super::excess::Excess;
use super::kernel::{NEAR, SILENT_LEAD, seconds};
use super::member::blur;
use super::metric::{Metric, metrics};
use super::{Changes, Member, Part, Situation, SituationId, Situations, Source};

/// The earliest entities, of which the dependencies are candidates too.
const EARLIEST: usize = 24;

/// Steps to them, where nothing is hinted at.
const STEPS: usize = 2;

/// Dependencies that are looked at for it.
const LOOKED_AT_MAX: usize = 2048;

/// Candidates that are ranked; beyond it the later ones are left out.
const CANDIDATES_MAX: usize = 256;

/// Against a candidate, in nats: for each step to an entity that shows something; for each through one that does not;
const STEP: f64 = 0.16;
const QUIET_STEP: f64 = 2.4;
/// for an entity that it does not reach;
const UNREACHED: f64 = 2.2;
/// for each so many seconds that it showed later than what it should explain, after a tolerance, up to three;
const LATE: f64 = 60.0;
/// where nothing is told of it;
const SILENT: f64 = 0.8;
/// for each caller that shows nothing;
const QUIET_CALLER: f64 = 0.24;
/// and for each so many seconds that it showed later than the first, up to this many nats.
pub(super) const FIRST: f64 = 500.0;
pub(super) const FIRST_MAX: f64 = 2.4;

/// For each e-fold by which its own part of what is too much is smaller than the largest, down to this part of it;
const OWN: f64 = 3.0;
const OWN_LEAST: f64 = 0.05;
/// where others have too much of something, and it has not.
const NO_EXCESS: f64 = 2.4;

/// That there is a dependency on it which the topology does not know;
const UNKNOWN: f64 = 1.5;
/// and for each so many seconds that what depends on it showed later.
const LATER: f64 = 60.0;

/// Nats are shared out as if this many were one: the parts of a score are not independent.
pub(super) const TEMPER: f64 = 2.0;

/// Suspects of which it is told where they show.
const METRICS_OF: usize = 10;

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
    /// The parts of its score.
    pub evidence: Vec<Part>,
}

impl Suspect {
    /// Its score: the sum of its parts.
    fn nats(&self) -> f64 {
        self.evidence.iter().map(|part| part.nats).sum()
    }

    /// What its change adds to that.
    fn by_change(&self) -> f64 {
        self.by(&["change"])
    }

    /// How likely it is, where this is the root, that no change made it.
    fn unchanged(&self) -> f64 {
        ((1.0 - BY_CHANGE) * libm::exp(-self.by_change())).min(1.0)
    }

    /// What the rest of the situation adds to it, whatever it shows itself.
    fn of_the_rest(&self) -> f64 {
        self.nats() - self.by(&["change", "excess", "edge"])
    }

    fn by(&self, kinds: &[&str]) -> f64 {
        self.evidence.iter().filter(|part| kinds.contains(&part.kind)).map(|part| part.nats).sum()
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
    let mut first: BTreeMap<&Entity, Timestamp> = BTreeMap::new();
    let known = situation.members.iter().map(Box::as_ref).filter(|member: &&Member| member.starts_at <= at);
    for member in known.clone() {
        let sign = first.entry(&member.entity).or_insert(member.starts_at);
        *sign = (*sign).min(member.starts_at);
    }
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
    let mut elsewhere: BTreeMap<Node, Timestamp> = BTreeMap::new();
    for (node, member) in &others {
        let sign = elsewhere.entry(*node).or_insert(member.starts_at);
        *sign = (*sign).min(member.starts_at);
    }
    let told = known.chain(others.into_iter().map(|(_, member)| member));
    let hints = candidates.iter().flat_map(|node| all.hints.of(topology.name(*node), from, until));
    let (blurs, excess) = (blurs(told.clone(), rules), Excess::of(told.clone(), hints, topology));
    let first_hint = |node: Node| all.hints.of(topology.name(node), from, until).map(|hint| hint.at).min();
    let hinted: BTreeMap<Node, Timestamp> = candidates.iter().filter_map(|node| Some((*node, first_hint(*node)?))).collect();
    let (changes, window) = (&all.changes, tuning.change_window);
    let trouble = Trouble {
        shows: &shows,
        order: &order,
        elsewhere: &elsewhere,
        hinted: &hinted,
        blurs: &blurs,
        earliest: first_member,
        topology,
        excess: &excess,
        changes,
        window,
    };
    let mut suspects: Vec<Suspect> = candidates.iter().map(|node| trouble.suspect(*node)).collect();
    trouble.by_unknown_ways(&candidates, &mut suspects);
    let no_change = share_out(&mut suspects);
    suspects.sort_by(|a, b| b.probability.total_cmp(&a.probability).then_with(|| a.entity.cmp(&b.entity)));
    for suspect in suspects.iter_mut().take(METRICS_OF) {
        let hints = all.hints.of(&suspect.entity, from, until);
        suspect.metrics = metrics(suspect, told.clone(), hints, &excess, topology);
    }
    Ranking { suspects, no_change }
}

/// What a part of the largest excess adds to a score, in nats.
pub(super) fn of_part(part: f64) -> f64 {
    OWN * libm::log(part.max(OWN_LEAST))
}

impl Situations {
    /// What monitors tell of an entity that is part of other situations and began about then.
    fn elsewhere(&self, node: Node, than: SituationId, about: Timestamp, at: Timestamp) -> impl Iterator<Item = &Member> {
        let signs = self.forest.signs_of(node).filter_map(|id| self.forest.get(id));
        let others: BTreeSet<(SituationId, &Entity)> = signs.map(|sign| (sign.situation, &sign.entity)).collect();
        let others = others.into_iter().filter(move |(situation, _)| *situation != than);
        others.flat_map(move |(situation, entity)| {
            let members = self.open.get(&situation).into_iter().flat_map(|situation| &situation.members).map(Box::as_ref);
            let told = move |m: &&Member| m.entity == *entity && m.judged.is_some() && m.starts_at <= at;
            members.filter(move |m| told(m) && seconds(m.starts_at, about).abs() < NEAR)
        })
    }
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

struct Trouble<'t> {
    shows: &'t BTreeMap<Node, Timestamp>,
    /// The same, by name.
    order: &'t [(Node, Timestamp)],
    /// What candidates show that is part of other situations.
    elsewhere: &'t BTreeMap<Node, Timestamp>,
    /// Of which monitors have too much, though not enough for a breach, and since when.
    hinted: &'t BTreeMap<Node, Timestamp>,
    /// How exactly all that is known, in seconds.
    blurs: &'t BTreeMap<Node, f64>,
    /// What showed first.
    earliest: &'t Member,
    topology: &'t Topology,
    excess: &'t Excess<'t>,
    changes: &'t Changes,
    /// In which a change is suspected.
    window: Duration,
}

impl Trouble<'_> {
    fn suspect(&self, node: Node) -> Suspect {
        let sign = self.shows.get(&node).or_else(|| self.elsewhere.get(&node)).copied();
        let onset = sign.unwrap_or(self.earliest.starts_at - SILENT_LEAD);
        let reached = self.reached(node);
        let blur = self.blurs.get(&node).copied().unwrap_or(0.0);
        let (mut reach, mut order, mut explained, mut later) = (0.0, 0.0, 1, 0);
        for (other, first) in self.order.iter().filter(|(other, _)| *other != node) {
            let Some(steps) = reached.get(other) else {
                reach -= UNREACHED;
                continue;
            };
            explained += 1;
            reach -= steps.min(UNREACHED);
            let late = (seconds(onset, *first) - blur - LATE).clamp(0.0, 3.0 * LATE) / LATE;
            later += u32::from(late > 0.0);
            order -= late;
        }
        let callers = self.topology.callers(node).iter().filter(|caller| !self.is_shown(**caller));
        let likely: Vec<f64> = callers.map(|caller| self.topology.confidence(*caller, node)).collect();
        let quiet: f64 = likely.iter().sum();
        // What came after the earliest sign of anything has not made it, if it took until later to be a breach or an alert.
        let changed_by = self.hinted.get(&node).map_or(onset, |hinted| onset.min(*hinted));
        let change = self.changes.likeliest(self.topology.name(node), changed_by, self.window, self.topology.known());
        let others = self.shows.len() - usize::from(self.shows.contains_key(&node));
        let after = sign.map(|sign| seconds(sign, self.earliest.starts_at));
        let mut evidence = vec![];
        let entity = self.topology.name(node);
        let mut part = |kind, value: Option<f64>, nats: f64, reference: Option<String>, what: String| {
            if nats != 0.0 {
                evidence.push(Part { kind, subject: entity.to_string(), value, nats, reference, what });
            }
        };
        let callers = || Some(format!("topology: * -> {entity}"));
        part("reach", Some((explained - 1) as f64), reach, callers(), format!("its failure reaches {} of {others} others", explained - 1));
        part("order", Some(f64::from(later)), order, None, format!("it showed later than {later} that it should explain"));
        if let Some(after) = after {
            let nats = -((after - blur).max(0.0) / FIRST).min(FIRST_MAX);
            let of = Some(format!("member: {} of {}", self.earliest.source.name(), self.earliest.entity));
            part("first", Some(after), nats, of, format!("{after:.0} s after the first sign"));
        }
        part("silent", None, if sign.is_none() && !self.is_told_of(node) { -SILENT } else { 0.0 }, None, "nothing is told of it".into());
        part("callers", Some(quiet), -QUIET_CALLER * quiet, callers(), format!("{} that depend on it show nothing", likely.len()));
        match self.excess.own(node) {
            Some(own) => {
                let monitor = Some(format!("monitor: {}", own.monitor));
                part(own.kind, Some(own.part), of_part(own.part), monitor, own.what);
            }
            // An alert says nothing of how much, and neither does what compares with nothing.
            None if self.excess.is_alone(node) || sign.is_some() && !self.blurs.contains_key(&node) => {}
            None if self.excess.is_known() => part("excess", None, -NO_EXCESS, None, "no excess of it is told".into()),
            None => {}
        }
        if let Some(change) = &change {
            let likelier = libm::log(change.likelier());
            let id = Some(format!("change: {}", change.id));
            part("change", Some(change.before), likelier, id, format!("{} {:.0} s before", change.id, change.before));
        }
        Suspect {
            entity: self.topology.name(node).clone(),
            probability: 0.0,
            explains: (explained - usize::from(!self.shows.contains_key(&node))) as f64 / self.shows.len().max(1) as f64,
            first_sign: sign,
            change: change.map(|change| change.id.to_owned()),
            change_probability: 0.0,
            metrics: vec![],
            evidence,
        }
    }

    /// What began before the likeliest suspect, and is not explained by it, may have made that by a way that the topology does
    /// not know; then it explains all that the other one does.
    fn by_unknown_ways(&self, nodes: &[Node], suspects: &mut [Suspect]) {
        let Some(best) = (0..suspects.len()).max_by(|a, b| suspects[*a].nats().total_cmp(&suspects[*b].nats()).then(b.cmp(a))) else {
            return;
        };
        let reached = self.reached(nodes[best]);
        let effects = || self.order.iter().filter(|(other, _)| reached.contains_key(other)).map(|(_, first)| *first).min();
        let Some(began) = suspects[best].first_sign.or_else(effects) else { return };
        let (of, explains) = (suspects[best].entity.clone(), suspects[best].of_the_rest());
        for (node, suspect) in nodes.iter().zip(suspects) {
            let Some(first) = self.shows.get(node).filter(|_| !reached.contains_key(node)) else { continue };
            let before = seconds(began, *first);
            let more = explains - UNKNOWN - before / LATER - suspect.of_the_rest();
            if before > 0.0 && more > 0.0 {
                let what = format!("if {of}, {before:.0} s later, depends on it by a way that the topology does not know");
                let reference = Some(format!("topology: {of} -> {}", suspect.entity));
                let subject = suspect.entity.to_string();
                suspect.evidence.push(Part { kind: "unknown", subject, value: Some(before), nats: more, reference, what });
            }
        }
    }

    fn is_shown(&self, node: Node) -> bool {
        self.shows.contains_key(&node) || self.elsewhere.contains_key(&node) || self.is_told_of(node)
    }

    /// Whether monitors tell of it, or of calls to it, though not that it fails.
    fn is_told_of(&self, node: Node) -> bool {
        self.hinted.contains_key(&node) || self.excess.is_on_calls(node)
    }

    /// What fails where a node fails, and what speaks against the way there.
    fn reached(&self, node: Node) -> BTreeMap<Node, f64> {
        let mut reached = BTreeMap::from([(node, 0.0)]);
        let mut frontier = vec![(node, 0.0)];
        for _ in 0..HOPS_MAX {
            let mut next = vec![];
            for (at, steps) in frontier {
                for caller in self.topology.callers(at) {
                    let step = if self.is_shown(*caller) { STEP } else { STEP + QUIET_STEP };
                    let steps = steps + step - libm::log(self.topology.confidence(*caller, at));
                    if reached.len() < REACHED_MAX && reached.get(caller).is_none_or(|known| steps < *known) {
                        reached.insert(*caller, steps);
                        next.push((*caller, steps));
                    }
                }
            }
            frontier = next;
        }
        reached
    }
}

/// Makes probabilities of the scores; gives the one that no change has to do with it.
fn share_out(suspects: &mut [Suspect]) -> f64 {
    let all = |suspect: &Suspect| suspect.nats() / TEMPER;
    let most = suspects.iter().map(all).fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = suspects.iter().map(|suspect| libm::exp(all(suspect) - most)).sum();
    let mut no_change = 0.0;
    for suspect in suspects.iter_mut() {
        suspect.probability = libm::exp(all(suspect) - most) / total;
        let unchanged = suspect.unchanged();
        suspect.change_probability = if suspect.change.is_some() { suspect.probability * (1.0 - unchanged) } else { 0.0 };
        no_change += suspect.probability * unchanged;
    }
    no_change
}

//! What speaks for a candidate: the parts of its score.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::Timestamp;
use crate::rules::topology::{HOPS_MAX, Node, REACHED_MAX, Topology};

use super::excess::Excess;
use super::kernel::{SILENT_LEAD, seconds};
use super::{Changes, Member, Part, Suspect};

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

/// A situation as far as it tells of what may be its root.
pub(super) struct Trouble<'t> {
    pub(super) shows: &'t BTreeMap<Node, Timestamp>,
    /// The same, by name.
    pub(super) order: &'t [(Node, Timestamp)],
    /// What candidates show that is part of other situations.
    pub(super) elsewhere: &'t BTreeMap<Node, Timestamp>,
    /// Of which monitors have too much, though not enough for a breach, and since when.
    pub(super) hinted: &'t BTreeMap<Node, Timestamp>,
    /// How exactly all that is known, in seconds.
    pub(super) blurs: &'t BTreeMap<Node, f64>,
    /// What showed first.
    pub(super) earliest: &'t Member,
    pub(super) topology: &'t Topology,
    pub(super) excess: &'t Excess<'t>,
    pub(super) changes: &'t Changes,
    /// In which a change is suspected.
    pub(super) window: Duration,
}

impl Trouble<'_> {
    /// A candidate, and what speaks for it.
    pub(super) fn suspect(&self, node: Node) -> Suspect {
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
    pub(super) fn by_unknown_ways(&self, nodes: &[Node], suspects: &mut [Suspect]) {
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

/// What a part of the largest excess adds to a score, in nats.
pub(super) fn of_part(part: f64) -> f64 {
    OWN * libm::log(part.max(OWN_LEAST))
}

//! What speaks for a candidate: the parts of its score.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::correlate::kernel::{SILENT_LEAD, seconds};
use crate::correlate::{Changes, Member, Part, Suspect};
use crate::model::{Entity, Timestamp};
use crate::rules::topology::{HOPS_MAX, Node, REACHED_MAX, Topology};

use super::excess::Excess;
use super::explanation::Explanation;
use super::named::Named;

// What is held against a candidate, in nats. Fitted to generated storms, see `docs/correlation.md`.

/// Nats against it for a step of the way to what it reaches.
const STEP: f64 = 0.16;

/// Further nats where that step goes through an entity that shows nothing.
const QUIET_STEP: f64 = 2.4;

/// The most nats that the way to one entity counts.
const WAY_MAX: f64 = 2.2;

/// Nats for an entity that showed earlier than the candidate that should have made it fail, by [`LATE`] more than the tolerance.
/// It is less where it was earlier by less, and three times as much at most.
const ORDER: f64 = 0.2;

/// Seconds: the tolerance for what showed earlier than its cause, and the unit of what exceeds it.
const LATE: f64 = 60.0;

/// Seconds after the first sign that count one nat against a candidate, ...
pub(super) const FIRST: f64 = 1000.0;

/// ... and the most nats that they count.
pub(super) const FIRST_MAX: f64 = 1.2;

/// The same seconds of a stranger: the topology tells nothing of it, so there is little else to go by.
const FIRST_OF_STRANGER: f64 = 15.0;

/// The most nats that these count.
const FIRST_OF_STRANGER_MAX: f64 = 3.0;

/// Nats for each e-fold by which others make it likelier that it fails than that it does so by itself.
const EFFECT: f64 = 0.3;

/// Nats where nothing is told of it.
const SILENT: f64 = 2.3;

/// The share of them where what fires is only what has fired before, as it may by itself, or what has an incident for long.
const AGAIN: f64 = 0.5;

/// Nats for each e-fold of the number of its callers that show nothing.
const QUIET_CALLERS: f64 = 1.3;

/// Nats for each e-fold by which its part of the excess is smaller than the largest one.
const OWN: f64 = 1.5;

/// A part of the excess that is smaller counts as this.
const OWN_LEAST: f64 = 0.05;

/// Nats where others have an excess of something, and it has none.
const NO_EXCESS: f64 = 1.2;

/// Nats for each monitor that has too much of something elsewhere, and finds it good.
const HEALTHY: f64 = 1.2;

/// So many of them count at the most: what is measured by many is no less likely to fail otherwise.
const HEALTHY_MAX: usize = 2;

/// A situation as far as it tells of what may be its root.
pub(super) struct Symptoms<'t> {
    pub(super) shows: &'t BTreeMap<Node, Timestamp>,
    /// The same, by name.
    pub(super) order: &'t [(Node, Timestamp)],
    /// What candidates show that is part of other situations.
    pub(super) elsewhere: &'t BTreeMap<Node, Timestamp>,
    /// Whether something is told of it that began about then, wherever it was put.
    pub(super) failing: &'t dyn Fn(Node) -> bool,
    /// When candidates of which nothing is told here failed before, which is taken for another matter.
    pub(super) before: &'t BTreeMap<Node, Timestamp>,
    /// Whether something of it that has fired before fires again since about then.
    pub(super) again: &'t dyn Fn(Node) -> bool,
    /// Whether it has an incident that is on, since long before.
    pub(super) on: &'t dyn Fn(Node) -> bool,
    /// Of which monitors have too much, though not enough for a breach, and since when.
    pub(super) hinted: &'t BTreeMap<Node, Timestamp>,
    /// How exactly all that is known, in seconds.
    pub(super) blurs: &'t BTreeMap<Node, f64>,
    /// What showed first.
    pub(super) earliest: &'t Member,
    pub(super) topology: &'t Topology,
    /// Where it runs, as far as signals name that.
    pub(super) named: &'t Named<'t>,
    pub(super) explained: &'t Explanation<'t>,
    pub(super) excess: &'t Excess<'t>,
    /// Whether a monitor finds it good.
    pub(super) good: &'t dyn Fn(Node, &str) -> bool,
    pub(super) changes: &'t Changes,
    /// How long before a failure a change is suspected of it.
    pub(super) window: Duration,
}

/// The parts of a candidate's score.
struct Evidence<'e> {
    of: &'e Entity,
    parts: Vec<Part>,
}

impl Evidence<'_> {
    fn add(&mut self, kind: &'static str, value: Option<f64>, nats: f64, reference: Option<String>, what: String) {
        if nats != 0.0 {
            self.parts.push(Part { kind, subject: self.of.to_string(), value, nats, reference, what });
        }
    }

    /// Of what depends on it.
    fn of_callers(&mut self, kind: &'static str, value: f64, nats: f64, what: String) {
        self.add(kind, Some(value), nats, Some(format!("topology: * -> {}", self.of)), what);
    }
}

impl Symptoms<'_> {
    /// A candidate, and what speaks for it.
    pub(super) fn suspect(&self, node: Node) -> Suspect {
        let entity = self.topology.name(node);
        let sign = self.shows.get(&node).or_else(|| self.elsewhere.get(&node)).copied();
        let onset = sign.unwrap_or(self.earliest.starts_at - SILENT_LEAD);
        // What came after the earliest sign of anything has not made it, if it took until later to be a breach or an alert.
        let changed_by = self.hinted.get(&node).map_or(onset, |hinted| onset.min(*hinted));
        let change = self.changes.likeliest(entity, changed_by, self.window, self.topology.known());
        let mut evidence = Evidence { of: entity, parts: vec![] };
        let reaches = self.reach(node, onset, &mut evidence);
        match sign {
            Some(sign) => self.first(node, sign, &mut evidence),
            None => self.quiet_callers(node, &mut evidence),
        }
        if sign.is_none() && !self.is_told_of(node) {
            self.silent(node, &mut evidence);
        }
        if sign.is_none() {
            self.healthy(node, &mut evidence);
        }
        self.too_much(node, sign.is_some(), &mut evidence);
        let by_change = change.as_ref().map_or(0.0, |change| libm::log(change.likelier()));
        if let Some(change) = &change {
            let (id, what) = (Some(format!("change: {}", change.id)), format!("{} {:.0} s before", change.id, change.before));
            evidence.add("change", Some(change.before), by_change, id, what);
        }
        let explains = reaches + usize::from(self.shows.contains_key(&node));
        Suspect {
            entity: entity.clone(),
            probability: 0.0,
            explains: explains as f64 / self.shows.len().max(1) as f64,
            first_sign: sign,
            change: change.map(|change| change.id.to_owned()),
            change_probability: 0.0,
            by_change,
            metrics: vec![],
            evidence: evidence.parts,
        }
    }

    /// What its failure reaches, by what ways, and how much of that showed before; gives how many entities it reaches.
    fn reach(&self, node: Node, onset: Timestamp, evidence: &mut Evidence<'_>) -> usize {
        let reached = self.reached(node);
        let (mut ways, mut lateness, mut reaches, mut later) = (0.0, 0.0, 0, 0);
        for (other, first) in self.order.iter().filter(|(other, _)| *other != node) {
            let Some(way) = reached.get(other) else { continue };
            let late = (seconds(onset, *first) - self.blur(node) - LATE).clamp(0.0, 3.0 * LATE) / LATE;
            (ways, lateness) = (ways + way.min(WAY_MAX), lateness + late);
            (reaches, later) = (reaches + 1, later + usize::from(late > 0.0));
        }
        let others = self.shows.len() - usize::from(self.shows.contains_key(&node));
        let odds = (reaches as f64 + 0.5) / ((others - reaches) as f64 + 0.5);
        evidence.of_callers("reach", reaches as f64, libm::log(odds), format!("its failure reaches {reaches} of {others} others"));
        let way = ways / reaches.max(1) as f64;
        evidence.of_callers("way", way, -way, "for the average way to what it reaches".into());
        evidence.add("order", Some(later as f64), -ORDER * lateness, None, format!("it showed later than {later} that it should explain"));
        reaches
    }

    /// How long after the first sign it showed, and whether that is what others would have made.
    fn first(&self, node: Node, sign: Timestamp, evidence: &mut Evidence<'_>) {
        let after = seconds(sign, self.earliest.starts_at);
        // Of what others are known to depend on there is more to go by.
        let stranger = self.topology.is_stranger(node) && self.topology.callers(node).is_empty();
        let (each, most) = if stranger { (FIRST_OF_STRANGER, FIRST_OF_STRANGER_MAX) } else { (FIRST, FIRST_MAX) };
        let nats = -((after - self.blur(node)).max(0.0) / each).min(most);
        let of = Some(format!("member: {} of {}", self.earliest.source.name(), self.earliest.entity));
        evidence.add("first", Some(after), nats, of, format!("{after:.0} s after the first sign"));
        // What it has too much of by itself says more than when that began; and what makes a stranger fail is not known.
        if let Some(likelier) = self.explained.likelier(node).filter(|_| !stranger && self.excess.own(node).is_none()) {
            let what = format!("others make it {likelier:.1} times as likely as it fails by itself");
            evidence.add("effect", Some(likelier), -EFFECT * libm::log(1.0 + likelier), None, what);
        }
    }

    /// What depends on it and shows nothing, where it is not known to have failed.
    fn quiet_callers(&self, node: Node, evidence: &mut Evidence<'_>) {
        let quiet = self.topology.callers(node).iter().filter(|caller| !self.is_shown(**caller) && !(self.failing)(**caller));
        let likely: Vec<f64> = quiet.map(|caller| self.topology.confidence(*caller, node)).collect();
        let quiet: f64 = likely.iter().sum();
        let what = format!("{} that depend on it show nothing", likely.len());
        evidence.of_callers("callers", quiet, -QUIET_CALLERS * libm::log(1.0 + quiet), what);
    }

    /// That nothing is told of it, and what it would explain all the same.
    fn silent(&self, node: Node, evidence: &mut Evidence<'_>) {
        let before = self.before.get(&node).map(|before| seconds(self.earliest.starts_at, *before));
        let again = before.is_some() && (self.again)(node);
        let on = before.is_some() && !again && (self.on)(node);
        let what = match before {
            None => "nothing is told of it".into(),
            Some(before) if on => format!("nothing is told of it that began now; its incident is on, since {before:.0} s before"),
            Some(_) if again => "what is told of it fires again, as it did before".into(),
            Some(before) => {
                format!("nothing is told of it that began now; it failed {before:.0} s before, which is taken for another matter")
            }
        };
        evidence.add("silent", None, if again || on { -SILENT * AGAIN } else { -SILENT }, None, what);
        let gain = self.explained.gain(node);
        let what = format!("it explains what depends on it better than others do, by {gain:.1} nats");
        evidence.of_callers("gain", gain, libm::log(1.0 + gain), what);
    }

    /// That monitors find it good which have too much of something elsewhere.
    fn healthy(&self, node: Node, evidence: &mut Evidence<'_>) {
        let good = |monitor: &&str| (self.good)(node, monitor) && self.excess.of_monitor(node, monitor).is_none();
        let mut good: Vec<&str> = self.excess.monitors().filter(good).collect();
        good.sort_unstable();
        let Some(first) = good.first() else { return };
        let what = format!("it is good by {}", good.join(", "));
        let nats = -HEALTHY * good.len().min(HEALTHY_MAX) as f64;
        evidence.add("healthy", Some(good.len() as f64), nats, Some(format!("monitor: {first}")), what);
    }

    /// Its own part of what is too much.
    fn too_much(&self, node: Node, shows: bool, evidence: &mut Evidence<'_>) {
        match self.excess.own(node) {
            Some(own) => {
                let monitor = Some(format!("monitor: {}", own.monitor));
                evidence.add(own.kind, Some(own.part), of_part(own.part), monitor, own.what);
            }
            // An alert says nothing of how much, and neither does what compares with nothing.
            None if self.excess.is_alone(node) || shows && !self.blurs.contains_key(&node) => {}
            None if self.excess.is_known() => evidence.add("excess", None, -NO_EXCESS, None, "no excess of it is told".into()),
            None => {}
        }
    }

    fn blur(&self, node: Node) -> f64 {
        self.blurs.get(&node).copied().unwrap_or(0.0)
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
                for caller in self.topology.callers(at).iter().filter(|caller| !self.named.denies(**caller, at)) {
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

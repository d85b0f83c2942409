//! How well the entities of a situation explain one another. What others likely made is hardly the root; and what nothing is
//! told of may be, where it explains what depends on it better than the rest does.

use std::collections::BTreeMap;

use crate::model::Timestamp;
use crate::rules::topology::{Node, Topology};

use super::kernel::{self, MEANWHILE_WITHIN, NEAR, NEAR_THROUGH, SILENT_LEAD, seconds};
use super::seek::CALLERS_MAX;

/// The signs before the first of which a silent cause may have begun, that are tried.
const TRIED: usize = 24;

/// When something began, and to how many seconds that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Began {
    pub(super) at: Timestamp,
    pub(super) blur: f64,
}

/// What of a situation explains what.
pub(super) struct Explained<'t> {
    topology: &'t Topology,
    /// Of what shows something, in this situation or at the same time in another.
    began: &'t BTreeMap<Node, Began>,
    /// When all of this situation did, in order.
    times: Vec<Timestamp>,
    /// How often an entity fails by itself, in a second.
    alone: f64,
    /// How many times as often as that the others make it fail, of each that shows something.
    likelier: BTreeMap<Node, f64>,
}

impl<'t> Explained<'t> {
    pub(super) fn new(order: &[(Node, Timestamp)], began: &'t BTreeMap<Node, Began>, alone: f64, topology: &'t Topology) -> Self {
        let mut times: Vec<Timestamp> = order.iter().map(|(_, at)| *at).collect();
        times.sort_unstable();
        let mut explained = Self { topology, began, times, alone, likelier: BTreeMap::new() };
        explained.likelier = began.iter().map(|(node, began)| (*node, explained.rate(*node, *began) / alone)).collect();
        explained
    }

    /// How many times as often as by itself the others make an entity fail; none of what shows nothing.
    pub(super) fn likelier(&self, node: Node) -> Option<f64> {
        self.likelier.get(&node).copied()
    }

    /// How often the others make an entity fail then, in a second.
    fn rate(&self, node: Node, Began { at, blur }: Began) -> f64 {
        let from = |cause: &Began, kernel: fn(f64, bool, f64) -> f64| kernel(seconds(at, cause.at), true, blur.max(cause.blur));
        let mut rate = 0.0;
        for dependency in self.topology.depends_on(node) {
            let confidence = self.topology.confidence(node, *dependency);
            if let Some(cause) = self.began.get(dependency) {
                rate += confidence * from(cause, kernel::direct);
                continue;
            }
            let further = self.topology.depends_on(*dependency).iter().filter(|further| **further != node);
            let through = further.filter_map(|further| Some((*further, self.began.get(further)?)));
            rate += through
                .map(|(further, cause)| confidence * self.topology.confidence(*dependency, further) * from(cause, kernel::indirect))
                .sum::<f64>();
        }
        rate + kernel::unconnected(self.meanwhile(at), self.topology.known())
    }

    /// How many others began around a time, each counting by how near that is.
    fn meanwhile(&self, at: Timestamp) -> f64 {
        let within = |bound: Timestamp| self.times.partition_point(|time| *time < bound);
        let near = &self.times[within(at - MEANWHILE_WITHIN)..within(at + MEANWHILE_WITHIN)];
        let all: f64 = near.iter().map(|time| kernel::meanwhile(seconds(at, *time))).sum();
        (all - 1.0).max(0.0)
    }

    /// By how many nats an entity of which nothing is told would explain what depends on it better than the rest does; one of
    /// them does not count, for that one may have failed by itself as well.
    pub(super) fn gain(&self, silent: Node) -> f64 {
        let mut near: BTreeMap<Node, (f64, f64)> = BTreeMap::new();
        for caller in self.topology.callers(silent).iter().take(CALLERS_MAX) {
            let confidence = self.topology.confidence(*caller, silent);
            if self.began.contains_key(caller) {
                near.entry(*caller).or_default().0 += confidence;
                continue;
            }
            for further in self.topology.callers(*caller).iter().take(CALLERS_MAX).filter(|further| self.began.contains_key(further)) {
                near.entry(*further).or_default().1 += confidence * self.topology.confidence(*further, *caller);
            }
        }
        let mut near: Vec<(Timestamp, &str, Node, f64, f64)> = near
            .into_iter()
            .map(|(node, (direct, through))| (self.began[&node].at, self.topology.name(node).as_str(), node, direct, through))
            .collect();
        near.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        let mut best = 0.0_f64;
        for (since, ..) in near.iter().take(TRIED) {
            let since = *since - SILENT_LEAD;
            let (mut all, mut most) = (0.0, 0.0_f64);
            for (at, _, node, direct, through) in &near {
                let (delay, blur) = (seconds(*at, since), self.began[node].blur);
                let mut rate = 0.0;
                if *direct > 0.0 && delay.abs() < NEAR {
                    rate += direct * kernel::direct(delay, true, blur);
                }
                if *through > 0.0 && delay.abs() < NEAR_THROUGH {
                    rate += through * kernel::indirect(delay, true, blur);
                }
                let gain = libm::log(1.0 + rate / self.alone / (1.0 + self.likelier[node]));
                all += gain;
                most = most.max(gain);
            }
            best = best.max(all - most);
        }
        best
    }
}

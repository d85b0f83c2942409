//! How well the entities of a situation explain one another. What others likely made is hardly the root; and what nothing is
//! told of may be, where it explains what depends on it better than the rest does.

use std::collections::BTreeMap;

use crate::correlate::forest::{AROUND_MAX, CALLERS_MAX};
use crate::correlate::kernel::{self, MEANWHILE_WITHIN, NEAR, NEAR_THROUGH, SILENT_LEAD, seconds};
use crate::model::Timestamp;
use crate::rules::topology::{Node, Topology};

use super::named::Named;

/// Signs of what depends on a silent entity that are looked at, the earliest ones.
const SHOWN_MAX: usize = 64;

/// Of these, the number that a silent failure is tried to have begun shortly before.
const TRIED: usize = 24;

/// Callers' callers that are looked through for signs, where the caller between shows nothing.
const FURTHER_MAX: usize = 4096;

/// When something began, and to how many seconds that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Began {
    pub(super) at: Timestamp,
    pub(super) blur: f64,
}

/// What of a situation explains what.
pub(super) struct Explanation<'t> {
    topology: &'t Topology,
    named: &'t Named<'t>,
    /// Of what shows something, in this situation or at the same time in another.
    began: &'t BTreeMap<Node, Began>,
    /// When all of this situation did, in order.
    times: Vec<Timestamp>,
    /// How often an entity fails by itself, in a second.
    alone: f64,
    /// How many times as often as that the others make it fail, of each that shows something.
    likelier: BTreeMap<Node, f64>,
}

impl<'t> Explanation<'t> {
    pub(super) fn new(
        order: &[(Node, Timestamp)],
        began: &'t BTreeMap<Node, Began>,
        alone: f64,
        topology: &'t Topology,
        named: &'t Named<'t>,
    ) -> Self {
        let mut times: Vec<Timestamp> = order.iter().map(|(_, at)| *at).collect();
        times.sort_unstable();
        let mut explained = Self { topology, named, began, times, alone, likelier: BTreeMap::new() };
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
        for dependency in self.topology.depends_on(node).iter().filter(|dependency| !self.named.denies(node, **dependency)) {
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
        rate + kernel::unconnected(self.meanwhile(at), self.topology.known(), self.topology.is_stranger(node))
    }

    /// How many others began around a time, each counting by how near that is; the nearest ones, if there are many.
    fn meanwhile(&self, at: Timestamp) -> f64 {
        let within = |bound: Timestamp| self.times.partition_point(|time| *time < bound);
        let here = within(at);
        let from = within(at - MEANWHILE_WITHIN).max(here.saturating_sub(AROUND_MAX));
        let near = &self.times[from..within(at + MEANWHILE_WITHIN).min(here + AROUND_MAX)];
        let all: f64 = near.iter().map(|time| kernel::meanwhile(seconds(at, *time))).sum();
        (all - 1.0).max(0.0)
    }

    /// By how many nats an entity of which nothing is told would explain what depends on it better than the rest does; one of
    /// them does not count, for that one may have failed by itself as well.
    pub(super) fn gain(&self, silent: Node) -> f64 {
        let effects = self.effects(silent);
        let since = effects.iter().take(TRIED).map(|effect| effect.began.at - SILENT_LEAD);
        let gain = |since: Timestamp| {
            let gains = effects.iter().map(|effect| libm::log(1.0 + effect.rate(since) / self.alone / (1.0 + effect.likelier)));
            let (all, most) = gains.fold((0.0, 0.0_f64), |(all, most), gain| (all + gain, most.max(gain)));
            all - most
        };
        since.map(gain).fold(0.0, f64::max)
    }

    /// What shows something and depends on an entity, directly or through one of which nothing is told, the earliest first.
    fn effects(&self, silent: Node) -> Vec<Affected> {
        let mut ways: BTreeMap<Node, (f64, f64)> = BTreeMap::new();
        let mut looked = 0;
        for caller in self.topology.callers(silent).iter().filter(|caller| !self.named.denies(**caller, silent)).take(CALLERS_MAX) {
            let confidence = self.topology.confidence(*caller, silent);
            if self.began.contains_key(caller) {
                ways.entry(*caller).or_default().0 += confidence;
                continue;
            }
            for further in self.topology.callers(*caller).iter().take(FURTHER_MAX - looked) {
                looked += 1;
                if self.began.contains_key(further) {
                    ways.entry(*further).or_default().1 += confidence * self.topology.confidence(*further, *caller);
                }
            }
        }
        let effect = |(node, (direct, through))| {
            Some((node, Affected { began: *self.began.get(&node)?, likelier: self.likelier(node)?, direct, through }))
        };
        let mut effects: Vec<(Node, Affected)> = ways.into_iter().filter_map(effect).collect();
        effects.sort_by_key(|(node, effect)| (effect.began.at, self.topology.name(*node)));
        effects.into_iter().take(SHOWN_MAX).map(|(_, effect)| effect).collect()
    }
}

/// What may be the effect of a silent entity.
struct Affected {
    began: Began,
    /// How many times as often as by itself the others make it fail.
    likelier: f64,
    /// How likely it is that it depends on that one directly, and by how many silent ones in between.
    direct: f64,
    through: f64,
}

impl Affected {
    /// How often it is made by what failed then, in a second.
    fn rate(&self, since: Timestamp) -> f64 {
        let (delay, blur) = (seconds(self.began.at, since), self.began.blur);
        let direct = if self.direct > 0.0 && delay.abs() < NEAR { self.direct * kernel::direct(delay, true, blur) } else { 0.0 };
        let through = self.through > 0.0 && delay.abs() < NEAR_THROUGH;
        direct + if through { self.through * kernel::indirect(delay, true, blur) } else { 0.0 }
    }
}

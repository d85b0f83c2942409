//! The search for the cause of a sign, and for the signs that a new one may have caused.

use smallvec::SmallVec;

use crate::correlate::kernel::{self, NEAR, TOLD, seconds};
use crate::correlate::membership::{How, Membership};
use crate::correlate::rates::{Kind, ONLY_ONE};
use crate::correlate::relation::Relation;
use crate::correlate::sign::{Cause, Link, Onset, Sign, SignId};
use crate::model::Entity;
use crate::rules::Node;

use super::candidates::Candidates;
use super::{ASKED, Forest, Moved, SILENT, View};

/// What one connection gives may be so many times as much together with others.
const OTHERS_ADD: f64 = 4.0;

/// What is known to connect something is held against what spreads meanwhile, unless it is so many times as likely as a fault
/// by itself.
const BARELY: f64 = 10.0;

/// What depends on something that has an incident is told to be related to it where that is no less likely than chance by this factor.
const WORTH_TELLING: f64 = 0.2;

/// Callers of one entity, and callers' callers, that are looked at: hubs are bounded.
pub(in crate::correlate) const CALLERS_MAX: usize = 256;

impl Forest {
    /// How something joined that has just opened a sign.
    pub(in crate::correlate) fn joined(&self, id: SignId) -> Membership {
        self[id].cause.as_ref().map(|cause| self.joined_by(id, cause)).unwrap_or_default()
    }

    fn joined_by(&self, id: SignId, cause: &Cause) -> Membership {
        let (sign, of) = (&self[id], &self[cause.sign]);
        let next = cause.next.and_then(|(sign, rate)| Some((self.get(sign)?.entity.clone(), rate)));
        let how = match &cause.link {
            Link::Direct if of.told == 0 => How::SilentCause(of.entity.clone()),
            Link::Direct => How::DependsOn(of.entity.clone()),
            Link::Through(silent) => How::Through(of.entity.clone(), silent.clone()),
            Link::Meanwhile => How::Meanwhile(of.entity.clone()),
        };
        let delay = seconds(sign.first, of.first);
        Membership { how, delay, odds: cause.odds, next: next.map(Box::new) }
    }

    /// What a sign is about, and why it is where it is.
    pub(in crate::correlate) fn why(&self, id: SignId) -> Option<(Entity, Membership)> {
        self.get(id).map(|sign| (sign.entity.clone(), self.joined(id)))
    }

    pub(super) fn is_below(&self, id: SignId, top: SignId) -> bool {
        if self[top].effects.is_empty() {
            return id == top;
        }
        let mut at = id;
        loop {
            if at == top {
                return true;
            }
            match &self[at].cause {
                Some(cause) => at = cause.sign,
                None => return false,
            }
        }
    }

    /// What may be the cause of a sign of an entity at a time, if its rate is more `than` that; `me` where the sign is there already.
    pub(super) fn found<'f>(&'f self, onset: Onset, me: Option<SignId>, than: f64, view: View<'f>) -> Candidates<'f> {
        let Onset { node, at, blur, .. } = onset;
        let mut found = Candidates::new(self, me, view, onset);
        let topology = view.topology;
        // Of which nothing is told that began about then, whatever failed before.
        let mut quiet: SmallVec<[Node; 16]> = SmallVec::new();
        for dependency in topology.depends_on(node) {
            let mut silent = true;
            for id in self.signs_near(*dependency, at, NEAR) {
                let (sign, delay) = (&self[id], seconds(at, self[id].first));
                silent &= delay.abs() >= kernel::NEAR_THROUGH;
                let rate = kernel::direct(delay, sign.firing > 0, sign.blur().max(blur));
                found.add(id, Link::Direct, rate, topology.confidence(node, *dependency), found.ends(sign));
            }
            if silent {
                quiet.push(*dependency);
            }
        }
        // What is told outweighs by far what is not.
        let indirect = OTHERS_ADD * kernel::indirect_at_most();
        if than < indirect && !found.reaches(indirect) {
            quiet.into_iter().for_each(|silent| self.through(silent, node, &mut found));
        }
        if me.is_some() && !found.reaches(BARELY * self.rates.alone(Kind::Fault, view.entities)) {
            self.meanwhile(&mut found);
        }
        found
    }

    fn through(&self, silent: Node, node: Node, found: &mut Candidates<'_>) {
        let topology = found.view.topology;
        for further in topology.depends_on(silent).iter().filter(|further| **further != node) {
            for id in self.signs_near(*further, found.onset.at, kernel::NEAR_THROUGH) {
                let (sign, delay) = (&self[id], seconds(found.onset.at, self[id].first));
                let rate = kernel::indirect(delay, sign.firing > 0, sign.blur().max(found.onset.blur));
                let confidence = topology.confidence(node, silent) * topology.confidence(silent, *further);
                found.add(id, Link::Through(silent), rate, confidence, found.ends(sign));
            }
        }
    }

    /// Seeks the cause of a sign anew, where it can have another one.
    pub(in crate::correlate) fn reconsider(&mut self, id: SignId, view: View<'_>) {
        let sign = &self[id];
        if view.is_over(sign.situation) {
            return;
        }
        if sign.cause.is_some() && view.holds(sign.situation) {
            return self.seek_better(id, view);
        }
        self.seek(id, view);
        if self[id].is_unexplained() && self[id].told > 0 {
            self.silent_cause(id, view);
        }
    }

    /// How often a sign comes by itself, in a second, and how many times as often as usual that is, for what was changed.
    pub(super) fn background(&self, id: SignId, view: View<'_>) -> (f64, f64) {
        let (sign, entities) = (&self[id], view.entities);
        let usual = match (sign.told, self.kind(id)) {
            (0, _) => self.rates.alone(Kind::Fault, entities) * SILENT / (1.0 - TOLD),
            (_, Kind::Lone) => self.rates.alone(Kind::Lone, entities) / ONLY_ONE,
            (_, Kind::Fault) => self.rates.alone(Kind::Fault, entities),
        };
        let changed = view.changed(&sign.entity, sign.first);
        (usual * changed, changed)
    }

    /// A sign would be where that cause is, but cannot.
    pub(super) fn relate(&mut self, id: SignId, other: &Cause) {
        let sign = &self[id];
        let began = sign.first.max(self[other.sign].first);
        let since = if other.odds.ends.is_some() { began.max(self.now) } else { began };
        let (situation, with, entity) = (sign.situation, self[other.sign].situation, sign.entity.clone());
        let relation = Relation { with, entity, why: self.joined_by(id, other), of_root: sign.cause.is_none(), since };
        self.moves.push(Moved::Related { situation, relation });
    }

    /// Seeks the cause of a sign among those that something is told of.
    pub(super) fn seek(&mut self, id: SignId, view: View<'_>) {
        let sign = &self[id];
        let (background, changed) = self.background(id, view);
        let found = self.found(sign.onset(), Some(id), 0.0, view);
        let asked = |cause: &Cause| f64::from(cause.odds.rate) > background * ASKED;
        let stands = |cause: Cause| Cause { odds: cause.odds.against(background, changed), ..cause };
        let (best, refused) = found.likeliest();
        let (best, refused) = (best.map(stands), refused.map(stands));
        let leaves = sign.cause.is_some() && best.as_ref().is_some_and(|best| !asked(best));
        let instead = best.as_ref().filter(|_| leaves).map(|best| self.joined_by(id, best));
        let (cause, unlikely) = if best.as_ref().is_some_and(asked) { (best, None) } else { (None, best) };
        // What it depends on has an incident that is on: too long ago to be its likely cause, but worth to know of.
        let on = |cause: &Cause| {
            let is_on = self[cause.sign].firing > 0 && view.holds(self[cause.sign].situation);
            cause.link == Link::Direct && is_on && f64::from(cause.odds.rate) > background * WORTH_TELLING
        };
        if let Some(other) = refused.filter(|cause| asked(cause) || on(cause)).or(unlikely.filter(on)) {
            self.relate(id, &other);
        }
        self.attach(id, cause, instead, view);
    }

    /// Signs that this one may explain better than what explains them now.
    pub(super) fn reconsider_callers(&mut self, id: SignId, view: View<'_>) {
        let sign = &self[id];
        let mut affected: Vec<SignId> = vec![];
        let mut looked = 0;
        for caller in view.topology.callers(sign.node).iter().take(CALLERS_MAX) {
            let mut silent = true;
            for other in self.signs_near(*caller, sign.first, NEAR) {
                silent &= seconds(self[other].first, sign.first).abs() >= kernel::NEAR_THROUGH;
                if self.may_explain(sign, other, kernel::direct, view) {
                    affected.push(other);
                }
            }
            if silent && looked < CALLERS_MAX {
                let further = &view.topology.callers(*caller)[..view.topology.callers(*caller).len().min(CALLERS_MAX)];
                looked += further.len();
                for other in further.iter().flat_map(|further| self.signs_near(*further, sign.first, kernel::NEAR_THROUGH)) {
                    if self.may_explain(sign, other, kernel::indirect, view) {
                        affected.push(other);
                    }
                }
            }
        }
        affected.sort_unstable();
        affected.dedup();
        for other in affected {
            if other != id && self.get(other).is_some() {
                self.reconsider(other, view);
            }
        }
    }

    /// Whether such a connection to a sign of another situation could outweigh what is known, others adding to it.
    fn may_explain(&self, sign: &Sign, other: SignId, kernel: fn(f64, bool, f64) -> f64, view: View<'_>) -> bool {
        let of = &self[other];
        if of.situation == sign.situation {
            return false;
        }
        let ends = self.ended(of, sign).map_or(1.0, |ends| f64::from(ends.factor));
        let rate = kernel(seconds(of.first, sign.first), sign.firing > 0, sign.blur().max(of.blur())) * ends;
        let known = match &of.cause {
            Some(cause) => cause.odds.rate.into(),
            None => self.rates.alone(self.kind(other), view.entities),
        };
        rate * OTHERS_ADD > known
    }
}

//! The forest of signs: which sign of trouble most likely made which other one. What hangs together is a situation.
//!
//! A sign is a burst of alerts or breaches about one entity. Its cause is sought among the signs of what the entity
//! depends on, directly or through one of which nothing is told, and must be likelier than that the sign came by itself.
//! So two situations become one only through a common cause: an entity that merely depends on both is explained by one of
//! them, and explains neither. Causes are sought anew as signs arrive that may be better ones, so the order in which they
//! are told matters little.

mod apart;
mod better;
mod candidates;
mod ends;
mod meanwhile;
mod search;
mod silent;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};
use smallvec::{SmallVec, smallvec};

use crate::model::{Entity, Timestamp};
use crate::rules::{Node, Topology, Tuning};

pub use ends::Ends;
pub(super) use ends::OVER_AFTER;
pub(super) use meanwhile::AROUND_MAX;
pub(super) use search::CALLERS_MAX;

use super::changes::Changes;
use super::kernel::{self, NEAR, seconds};
use super::membership::{How, Membership};
use super::rates::{Kind, ONLY_ONE, Rates};
use super::relation::Relation;
use super::sign::{Cause, Onset, Sign, SignId, Slot};
use super::situation::{MemberKey, Situation, SituationId};

/// A connection must be likelier than its absence by this factor; its logarithm is 1.1.
pub(super) const ASKED: f64 = 3.0;

/// The probability that nothing is told of a cause, as far as is believed without evidence.
pub(super) const SILENT: f64 = 0.12;

/// Situations changed, other than by taking in something new.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Moved {
    /// All of one is in the other now.
    Merged { gone: SituationId, kept: SituationId, by: SignId, cause: Entity },
    /// These signs are in another situation now, because the sign `by` has another cause, or because a person says so, in which
    /// case there is no `by`. `instead` is the best connection that is left, where it is too weak to be a cause.
    Split { signs: Vec<SignId>, from: SituationId, into: SituationId, by: Option<SignId>, instead: Option<Box<Membership>> },
    /// An entity of one situation would be in the other, if that could take it in.
    Related { situation: SituationId, relation: Relation },
}

/// What the forest stands in.
#[derive(Clone, Copy)]
pub(super) struct View<'v> {
    pub(super) topology: &'v Topology,
    pub(super) open: &'v BTreeMap<SituationId, Box<Situation>>,
    changes: &'v Changes,
    pub(super) tuning: &'v Tuning,
    /// How many entities there are to fail.
    pub(super) entities: usize,
    /// What is being placed makes a fault.
    pub(super) counts: bool,
}

impl<'v> View<'v> {
    pub(super) fn new(
        topology: &'v Topology,
        open: &'v BTreeMap<SituationId, Box<Situation>>,
        changes: &'v Changes,
        tuning: &'v Tuning,
        forest: &Forest,
    ) -> Self {
        Self { topology, open, changes, tuning, entities: forest.entities(topology), counts: false }
    }

    /// How many times as likely as usual an entity fails by itself then, for what was changed of it: half of the nats that
    /// speak for it, as who is hit by a fault elsewhere may have been changed as well.
    pub(super) fn changed(&self, entity: &Entity, onset: Timestamp) -> f64 {
        self.changes.likelier(entity, onset, self.tuning.change_window, self.entities).sqrt()
    }

    /// What was declared, or taken apart by a person, gives nothing away.
    pub(super) fn holds(&self, situation: SituationId) -> bool {
        self.open.get(&situation).is_some_and(|s| s.is_declared() || s.taken_apart)
    }

    /// What was declared, and nobody has acknowledged, still takes in what was not.
    pub(super) fn takes_in(&self, situation: SituationId) -> bool {
        self.open.get(&situation).is_some_and(|s| s.is_declared() && s.gives())
    }

    /// What has recovered stays as it is.
    pub(super) fn is_over(&self, situation: SituationId) -> bool {
        self.open.get(&situation).is_some_and(|s| s.recovered_at().is_some())
    }

    fn takes(&self, situation: SituationId, at: Timestamp) -> bool {
        self.open.get(&situation).is_none_or(|s| s.takes(at, self.tuning))
    }
}

/// The signs of an entity: there are many entities, and of most it is only looked at when.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    /// When the one that began last did, in seconds, or later.
    newest: u32,
    /// That one, from which each leads to the one before; none where nothing is told of it.
    last: Option<Slot>,
}

/// All signs of the open situations.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Forest {
    slots: Vec<Option<Sign>>,
    free: Vec<Slot>,
    serial: u32,
    situations: u64,
    /// The signs of each situation; most have one.
    pub(super) of: BTreeMap<SituationId, SmallVec<[SignId; 2]>>,
    /// To be looked at again: when, and how often before.
    pub(super) due: BTreeSet<(Timestamp, SignId, u8)>,
    /// Of which nothing fires any more, and when they will be over.
    pub(super) over: BTreeSet<(Timestamp, SignId)>,
    pub(super) rates: Rates,
    pub(super) now: Timestamp,
    /// The signs of each entity.
    #[serde(skip)]
    at: Vec<Standing>,
    /// Of which something is told, by when they began.
    #[serde(skip)]
    pub(super) began: BTreeSet<(Timestamp, SignId)>,
    #[serde(skip)]
    unknown: usize,
    #[serde(skip)]
    pub(super) moves: Vec<Moved>,
    /// Signs with another cause than before.
    #[serde(skip)]
    rejoined: Vec<SignId>,
}

impl Index<SignId> for Forest {
    type Output = Sign;
    fn index(&self, id: SignId) -> &Sign {
        self.slots[id.slot.place()].as_ref().expect("signs point to signs of their own situation, and go with it")
    }
}

impl IndexMut<SignId> for Forest {
    fn index_mut(&mut self, id: SignId) -> &mut Sign {
        self.slots[id.slot.place()].as_mut().expect("signs point to signs of their own situation, and go with it")
    }
}

/// In whole seconds; what is out of their range is at its end.
fn second(at: Timestamp) -> u32 {
    u32::try_from((at.0 / 1000).clamp(0, i64::from(u32::MAX - 1))).unwrap_or(0)
}

impl Forest {
    pub(super) fn get(&self, id: SignId) -> Option<&Sign> {
        self.slots.get(id.slot.place())?.as_ref().filter(|sign| sign.id == id)
    }

    pub(super) fn get_mut(&mut self, id: SignId) -> Option<&mut Sign> {
        self.slots.get_mut(id.slot.place())?.as_mut().filter(|sign| sign.id == id)
    }

    pub(super) fn signs_in(&self, situation: SituationId) -> &[SignId] {
        self.of.get(&situation).map_or(&[], SmallVec::as_slice)
    }

    /// Whether a situation can take so many more signs, of what began then.
    pub(super) fn takes(&self, situation: SituationId, more: usize, at: Timestamp, view: View<'_>) -> bool {
        self.signs_in(situation).len() + more <= view.tuning.size_max && view.takes(situation, at)
    }

    /// What has moved since this was asked last.
    pub(super) fn moved(&mut self) -> Vec<Moved> {
        std::mem::take(&mut self.moves)
    }

    /// Members leave a sign: where one of them opened it, another one tells why it is where it is.
    pub(super) fn opened_by(&mut self, id: SignId, gone: &[MemberKey], opener: Option<MemberKey>) {
        if let Some(sign) = self.get_mut(id).filter(|sign| sign.opener.is_some_and(|opener| gone.contains(&opener))) {
            sign.opener = opener;
            self.rejoined.push(id);
        }
    }

    /// The signs with another cause since this was asked last.
    pub(super) fn rejoined(&mut self) -> Vec<SignId> {
        let mut signs = std::mem::take(&mut self.rejoined);
        signs.retain(|id| self.get(*id).is_some());
        signs.sort_unstable();
        signs.dedup();
        signs
    }

    /// Finds its way about in a topology whose numbers are others, or in which others are known.
    pub(super) fn rebind(&mut self, topology: &mut Topology) {
        self.rates.watch();
        self.at = vec![Standing::default(); topology.len()];
        self.unknown = 0;
        let mut placed = vec![];
        for sign in self.slots.iter_mut().flatten() {
            sign.node = topology.number(&sign.entity);
            placed.push((sign.id, sign.node));
        }
        self.began = self.slots.iter().flatten().filter(|sign| sign.told > 0).map(|sign| (sign.first, sign.id)).collect();
        placed.sort_unstable();
        placed.into_iter().for_each(|(id, node)| self.stand(id, node, topology));
    }

    fn stand(&mut self, id: SignId, node: Node, topology: &Topology) {
        if self.at.len() <= node as usize {
            // For all that there are, and some: twice as many, as a vector grows by itself, is much where they are many.
            let all = topology.len().max(node as usize + 1);
            self.at.reserve_exact(all + all / 16 - self.at.len());
            self.at.resize(all, Standing::default());
        }
        let unknown = !topology.is_known(node);
        self[id].unknown = unknown;
        self.unknown += usize::from(unknown && self.at[node as usize].last.is_none());
        self.line_up(id);
    }

    /// Puts a sign among those of its entity, by when it began.
    fn line_up(&mut self, id: SignId) {
        let Sign { node, first, .. } = self[id];
        let later = self.signs_of(node).take_while(|other| (self[*other].first, *other) > (first, id)).last();
        let standing = &mut self.at[node as usize];
        let before = match later {
            Some(later) => self[later].before.replace(id.slot),
            None => {
                standing.newest = second(first) + 1;
                standing.last.replace(id.slot)
            }
        };
        self[id].before = before;
    }

    /// Takes a sign out of those of its entity.
    fn step_out(&mut self, id: SignId) {
        let Sign { node, before, .. } = self[id];
        let later = self.signs_of(node).find(|later| self[*later].before == Some(id.slot));
        match later {
            Some(later) => self[later].before = before,
            None => self.at[node as usize].last = before,
        }
    }

    /// The topology has come to know an entity.
    pub(super) fn listed(&mut self, node: Node) {
        let signs: Vec<SignId> = self.signs_of(node).collect();
        self.unknown -= usize::from(signs.first().is_some_and(|id| self[*id].unknown));
        signs.into_iter().for_each(|id| self[id].unknown = false);
    }

    /// How many entities there are to fail: those that are known, and others with signs.
    pub(super) fn entities(&self, topology: &Topology) -> usize {
        topology.known() + self.unknown
    }

    /// The signs of an entity, the one that began last first.
    pub(super) fn signs_of(&self, node: Node) -> impl Iterator<Item = SignId> {
        let last = self.at.get(node as usize).and_then(|standing| standing.last);
        self.list(last).map(|sign| sign.id)
    }

    fn list(&self, last: Option<Slot>) -> impl Iterator<Item = &Sign> {
        let sign = |slot: Slot| self.slots[slot.place()].as_ref();
        std::iter::successors(last, move |slot| sign(*slot)?.before).filter_map(sign)
    }

    /// The signs of an entity that began less than so many seconds away from a time.
    pub(super) fn signs_near(&self, node: Node, at: Timestamp, within: f64) -> impl Iterator<Item = SignId> {
        let recent = |standing: &&Standing| f64::from(standing.newest) + within >= f64::from(second(at));
        let last = self.at.get(node as usize).filter(recent).and_then(|standing| standing.last);
        let recent = self.list(last).take_while(move |sign| seconds(at, sign.first) < within);
        recent.filter(move |sign| seconds(sign.first, at) < within).map(|sign| sign.id)
    }

    /// Puts an alert or a breach about an entity where it belongs. `again`: how often it fires, and where it did before.
    pub(super) fn place(&mut self, onset: Onset, again: Option<(f64, SignId)>, view: View<'_>) -> (SignId, Membership) {
        let at = onset.at;
        let background = self.rates.alone(Kind::Lone, view.entities);
        let again = again.filter(|(_, id)| self.get(*id).is_some_and(|sign| self.takes(sign.situation, 0, at, view)));
        let again = again.map(|(rate, id)| {
            let ends = self.goes_on(id, at);
            (rate * ends.map_or(1.0, |ends| f64::from(ends.factor)), id, ends)
        });
        let same = self.same(onset, view);
        let known = again.map(|(rate, ..)| rate).into_iter().chain(same.map(|(rate, _)| rate)).max_by(f64::total_cmp);
        let others = known.map_or(0.0, |known| self.found(onset, None, known / ONLY_ONE, view).rate() * ONLY_ONE);
        if let Some((rate, id, ends)) = again {
            let same_rate = same.map_or(0.0, |(rate, _)| rate);
            if rate > others.max(background).max(same_rate) || same.is_some_and(|(_, same)| same == id) {
                return (id, Membership::again(How::Again, self.delay(at, id), rate, background).ends(ends));
            }
        }
        if let Some((rate, id)) = same
            && rate > others.max(background * ASKED)
        {
            let delay = self.delay(at, id);
            self.join(id, at, view);
            return (id, Membership::again(How::SameEntity, delay, rate, background));
        }
        let id = self.open(onset, view);
        (id, self.joined(id))
    }

    /// How many seconds after a sign's first.
    fn delay(&self, at: Timestamp, id: SignId) -> f64 {
        seconds(at, self[id].first)
    }

    /// The sign of the same entity that this most likely belongs to.
    fn same(&self, onset: Onset, view: View<'_>) -> Option<(f64, SignId)> {
        let near = self.signs_of(onset.node).filter_map(|id| {
            let sign = &self[id];
            let (at, delay) = (onset.at, seconds(onset.at, sign.first));
            let taken = (delay.abs() < 2.0 * NEAR || sign.firing > 0) && self.takes(sign.situation, 0, at, view);
            taken.then(|| (kernel::same(delay, sign.firing > 0, sign.blur().max(onset.blur)), id))
        });
        near.max_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// Takes note that calls from there to another entity have too much of something.
    pub(super) fn call(&mut self, id: SignId, calls: &Entity) {
        if let Some(sign) = self.get_mut(id) {
            sign.call(calls);
        }
    }

    fn join(&mut self, id: SignId, at: Timestamp, view: View<'_>) {
        self.uncount(id);
        let sign = &mut self[id];
        let earlier = at < sign.first;
        sign.told += 1;
        let told = sign.told;
        let first = sign.first.min(at);
        if earlier || told == 1 {
            self.begins(id, first);
        }
        self.recount(id);
        if earlier || told <= 3 {
            self.reconsider(id, view);
            self.reconsider_callers(id, view);
        }
    }

    fn open(&mut self, onset: Onset, view: View<'_>) -> SignId {
        let situation = self.new_situation();
        let id = self.grow(onset, 1, situation, view.topology);
        self.rates.named(onset.name, onset.at);
        self.look_later(id);
        self.reconsider(id, view);
        self.reconsider_callers(id, view);
        id
    }

    /// A sign in a situation that is there, for a relapse: nothing else is sought.
    pub(super) fn open_in(&mut self, onset: Onset, situation: SituationId, topology: &Topology) -> SignId {
        self.grow(onset, 1, situation, topology)
    }

    /// A sign began then, by what is known of it now.
    fn begins(&mut self, id: SignId, at: Timestamp) {
        self.step_out(id);
        let before = std::mem::replace(&mut self[id].first, at);
        self.line_up(id);
        self.began.remove(&(before, id));
        self.began.insert((at, id));
    }

    /// A sign in a situation of its own, of what is over.
    pub(super) fn grow_alone(&mut self, onset: Onset, told: u32, ended: Timestamp, view: View<'_>) -> SignId {
        let situation = self.new_situation();
        let id = self.grow(onset, told, situation, view.topology);
        self[id].ended = Some(ended);
        id
    }

    /// Forgets one that has nothing in it.
    pub(super) fn forget_alone(&mut self, id: SignId) {
        self.uncount(id);
        self.forget(self[id].situation);
    }

    /// A sign is only this, for the rest of it is another one now.
    pub(super) fn narrow(&mut self, id: SignId, first: Timestamp, ended: Timestamp, members: usize) {
        self.uncount(id);
        self.begins(id, first);
        let sign = &mut self[id];
        let told = members as u64 + sign.counted().iter().map(|counted| counted.told).sum::<u64>();
        (sign.ended, sign.ends_span, sign.told) = (Some(ended), 0, u32::try_from(told).unwrap_or(u32::MAX));
        self.recount(id);
    }

    fn new_situation(&mut self) -> SituationId {
        self.situations += 1;
        SituationId(self.situations)
    }

    /// A new sign in a situation.
    pub(super) fn grow(&mut self, onset: Onset, told: u32, situation: SituationId, topology: &Topology) -> SignId {
        let Onset { node, at: first, blur, name } = onset;
        self.serial = self.serial.wrapping_add(1);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.resize_with(self.slots.len().max(1) + 1, || None);
            Slot::of(self.slots.len() - 1)
        });
        let id = SignId { serial: self.serial, slot };
        let entity = topology.name(node).clone();
        self.slots[slot.place()] = Some(Sign {
            unknown: false,
            before: None,
            id,
            entity,
            node,
            first,
            blur: blur as f32,
            name,
            told,
            rare: None,
            opener: None,
            firing: 0,
            ended: None,
            ends_span: 0,
            situation,
            cause: None,
            effects: vec![],
        });
        self.stand(id, node, topology);
        if told > 0 {
            self.began.insert((first, id));
        }
        self.of.entry(situation).or_default().push(id);
        self.recount(id);
        id
    }

    /// Forgets a situation's signs.
    pub(super) fn forget(&mut self, situation: SituationId) {
        for id in self.of.remove(&situation).unwrap_or_default() {
            self.unstand(id);
            self.began.remove(&(self[id].first, id));
            self.slots[id.slot.place()] = None;
            self.free.push(id.slot);
        }
    }

    /// A sign of its entity is no more.
    fn unstand(&mut self, id: SignId) {
        let Sign { node, unknown, .. } = self[id];
        self.step_out(id);
        self.unknown -= usize::from(unknown && self.at[node as usize].last.is_none());
    }

    pub(super) fn kind(&self, id: SignId) -> Kind {
        let sign = &self[id];
        if sign.told == 1 && sign.effects.is_empty() { Kind::Lone } else { Kind::Fault }
    }

    fn uncount(&mut self, id: SignId) {
        if self[id].cause.is_none() {
            self.rates.count(self.kind(id), -1.0);
        }
    }

    /// What a sign is may be another kind after a change of it.
    fn changes(&mut self, id: SignId, change: impl FnOnce(&mut Sign)) {
        self.uncount(id);
        change(&mut self[id]);
        self.recount(id);
    }

    fn recount(&mut self, id: SignId) {
        if self[id].cause.is_none() {
            self.rates.count(self.kind(id), 1.0);
        }
    }

    /// Gives a sign another cause, and moves what hangs on it. `instead` is what would connect it best, where nothing does.
    pub(super) fn attach(&mut self, id: SignId, cause: Option<Cause>, instead: Option<Membership>, view: View<'_>) {
        let (before, by) = (self[id].cause.as_ref().map(|cause| cause.sign), cause.as_ref().map(|cause| cause.sign));
        if before == by {
            self[id].cause = cause;
            return;
        }
        self.rejoined.push(id);
        self.uncount(id);
        if let Some(before) = before {
            self.changes(before, |sign| sign.effects.retain(|effect| *effect != id));
        }
        if let Some(by) = by {
            self.changes(by, |sign| sign.effects.push(id));
        }
        self[id].cause = cause;
        self.recount(id);
        let from = self[id].situation;
        let into = match by {
            Some(by) => self[by].situation,
            None => self.new_situation(),
        };
        if from == into {
            return;
        }
        if before.is_none() {
            let (kept, gone) = if view.holds(from) || (!view.holds(into) && from < into) { (from, into) } else { (into, from) };
            let cause = self[by.unwrap_or(id)].entity.clone();
            self.merge(gone, kept, id, cause);
        } else {
            self.moves_to(self.below(id), from, into, Some(id), instead);
        }
        // What has effects is no lone alert: its own cause may be another one now.
        if let Some(by) = by
            && self[by].cause.is_none()
            && self[by].effects.len() == 1
            && self[by].told == 1
        {
            self.reconsider(by, view);
        }
    }

    fn merge(&mut self, gone: SituationId, kept: SituationId, by: SignId, cause: Entity) {
        let signs = self.of.remove(&gone).unwrap_or_default();
        for id in &signs {
            self[*id].situation = kept;
        }
        self.of.entry(kept).or_default().extend(signs);
        self.moves.push(Moved::Merged { gone, kept, by, cause });
    }

    /// A sign with all that hangs on it, but for one and what hangs on that.
    pub(super) fn hanging(&self, top: SignId, but: Option<SignId>) -> impl Iterator<Item = &Sign> {
        let mut next: SmallVec<[SignId; 16]> = smallvec![top];
        std::iter::from_fn(move || {
            let sign = &self[next.pop()?];
            next.extend(sign.effects.iter().copied().filter(|effect| Some(*effect) != but));
            Some(sign)
        })
    }

    /// The same, all of it.
    pub(super) fn below(&self, top: SignId) -> Vec<SignId> {
        self.hanging(top, None).map(|sign| sign.id).collect()
    }

    fn moves_to(&mut self, mut signs: Vec<SignId>, from: SituationId, into: SituationId, by: Option<SignId>, instead: Option<Membership>) {
        for id in &signs {
            self[*id].situation = into;
        }
        signs.sort_unstable();
        if let Some(left) = self.of.get_mut(&from) {
            left.retain(|id| signs.binary_search(id).is_err());
        }
        self.of.entry(into).or_default().extend(signs.iter().copied());
        self.moves.push(Moved::Split { signs, from, into, by, instead: instead.map(Box::new) });
    }
}

#[cfg(test)]
mod tests {
    use super::super::sign::Name;
    use super::*;

    #[test]
    fn what_began_later_than_was_thought_is_found_where_it_began() {
        let (mut forest, mut topology) = (Forest::default(), Topology::default());
        let node = topology.number(&Entity::new("service", "db"));
        let at = |seconds: i64| Timestamp(1_760_000_000_000 + 1000 * seconds);
        let id = forest.grow(Onset { node, at: at(0), blur: 0.0, name: Name::default() }, 2, SituationId(1), &topology);
        forest.narrow(id, at(300), at(1800), 1);
        assert_eq!(forest.signs_near(node, at(960), NEAR).next(), Some(id));
    }
}

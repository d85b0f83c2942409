//! Incidents that are related: they would be one, had not both been declared.

use std::cmp::Reverse;
use std::time::Duration;

use crate::contract::Related;
use crate::correlate::{Member, Relation, Situation, SituationId};
use crate::model::command::RICHTER;
use crate::model::{Entity, Event, State, Timestamp};
use crate::rules::topology::LIKELY;
use crate::stage::Outbox;

use super::Declare;
use super::incident::Incident;
use super::reason::Reason;

/// Incidents that one is related to; further ones are not told of.
const RELATED_MAX: usize = 20;

/// Of these, those that are related to it because they depend on what it is about: what lasts for long leaves room for others.
const RELATED_BELOW_MAX: usize = 10;

/// Two that were declared no longer ago than this become one, where that is likely, as long as nobody has taken either on: what is told
/// seconds apart is one fault rather than many.
const ONE_WITHIN: Duration = Duration::from_secs(120);

/// By so many nats, at the least.
const ONE_FROM: f64 = 3.0;

impl Declare {
    /// Tells of all that an incident is related to, which has just been declared, or has more to it now.
    pub(super) fn relate_all(&mut self, id: SituationId, out: &mut Outbox) {
        let Some(at) = self.state.incidents.get(&id).map(|incident| incident.at) else { return };
        for situation in self.situations_of(id) {
            for relation in self.state.situations.related(situation).to_vec() {
                self.relate(situation, &relation, at, out);
            }
        }
    }

    /// Two situations would be one, for that reason: so their incidents are related, where both were declared. Each tells so at
    /// its own time, and not before `at`, or before there was a reason.
    pub(super) fn relate(&mut self, situation: SituationId, relation: &Relation, at: Timestamp, out: &mut Outbox) {
        let Relation { entity, why, since, .. } = relation;
        let reason = Reason::connects(entity, why, format!("{entity} {why}"));
        let (two, at) = ((self.owner(situation), self.owner(relation.with)), at.max(*since));
        // What explains an effect of one says nothing of its root, unless that effect is what it is about.
        let is_about = |id: SituationId| self.leading(id).is_some_and(|leader| leader.entity == *entity);
        let may = why.odds.nats() >= ONE_FROM && (relation.of_root || is_about(two.0) || is_about(two.1));
        match self.become_one(two, at).filter(|_| may) {
            Some((part, whole, at)) => self.merge(part, whole, at, RICHTER, &reason, out),
            None => self.relate_two(two, &reason, at, out),
        }
    }

    /// Which of two incidents may become part of the other, and when: the one that was declared later, or else is less severe.
    fn become_one(&self, (one, other): (SituationId, SituationId), at: Timestamp) -> Option<(SituationId, SituationId, Timestamp)> {
        let new = |id: SituationId| {
            let is_new = |i: &&Incident| i.state == State::Declared && i.acknowledged.is_none() && !i.split_off;
            self.state.incidents.get(&id).filter(is_new)
        };
        let (first, second) = new(one).zip(new(other)).filter(|_| one != other)?;
        let at = at.max(first.at).max(second.at);
        let order = |id, incident: &Incident| (incident.declared_at, incident.level().cloned(), id);
        let may = [first, second].iter().all(|incident| incident.has_room() && at.since(incident.declared_at) <= ONE_WITHIN);
        let (part, whole) = if order(one, first) < order(other, second) { (other, one) } else { (one, other) };
        may.then_some((part, whole, at))
    }

    /// The member that leads an incident.
    pub(super) fn leading(&self, id: SituationId) -> Option<&Member> {
        let incident = self.state.incidents.get(&id)?;
        self.state.situations.member(incident.leader).map(|(_, leader)| leader)
    }

    /// Tells that what an incident is about depends on what another one that is on is about, however long that has been on; of
    /// several, of the most severe one.
    pub(super) fn relate_below(&mut self, id: SituationId, at: Timestamp, out: &mut Outbox) {
        let topology = &self.rules.topology;
        // What a person has taken apart is not related.
        let is_apart = |id: SituationId| self.state.situations.get(id).is_some_and(Situation::is_taken_apart);
        let split_off = self.state.incidents.get(&id).is_none_or(|incident| incident.split_off);
        let Some(leader) = self.leading(id).filter(|_| !split_off) else { return };
        let Some((entity, node)) = topology.node(&leader.entity).map(|node| (leader.entity.clone(), node)) else { return };
        let likely = topology.depends_on(node).iter().filter(|on| topology.confidence(node, **on) >= LIKELY);
        let below =
            likely.flat_map(|on| self.state.about.get(topology.name(*on)).into_iter().flatten().map(|of| (topology.name(*on), *of)));
        let lasts = |on: &Entity, of: SituationId| self.counting(of).any(|member| member.ends_at.is_none() && member.entity == *on);
        let is_on = |(on, of): &(&Entity, SituationId)| *of != id && !(is_apart(id) && is_apart(*of)) && lasts(on, *of);
        let worst = below.filter(is_on).filter_map(|(on, of)| {
            let other = self.state.incidents.get(&of).filter(|other| other.state.is_on() && other.related.len() < RELATED_BELOW_MAX)?;
            Some(((other.level()?.clone(), Reverse(other.declared_at), of), on.clone()))
        });
        if let Some(((.., other), on)) = worst.min() {
            self.relate_two((id, other), &format!("{entity} depends on {on}").into(), at, out);
        }
    }

    pub(super) fn relate_two(&mut self, (one, other): (SituationId, SituationId), why: &Reason, at: Timestamp, out: &mut Outbox) {
        let declared = |id: SituationId| self.state.incidents.get(&id).filter(|i| i.state.is_on() || i.state == State::Recovered);
        let Some((first, second)) = declared(one).zip(declared(other)).filter(|_| one != other) else { return };
        let names = [first, second].map(|incident| (incident.id.clone(), incident.called.clone()));
        for (id, (with, called)) in [(one, &names[1]), (other, &names[0])] {
            let Some(incident) = self.state.incidents.get_mut(&id) else { continue };
            if incident.related.len() >= RELATED_MAX || incident.related.iter().any(|known| known.incident == *with) {
                continue;
            }
            incident.related.push(Related { incident: with.clone(), called: called.clone(), why: why.words.clone() });
            self.event(id, Event::Updated, at, RICHTER, why.told(|words| format!("related to {with}, {called}: {words}")), out);
        }
    }
}

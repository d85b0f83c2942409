//! What fails of an entity whose incident is on is part of that incident.

use crate::correlate::{Hold, Member, MemberKey, Situation, SituationId};
use crate::grade::Stated;
use crate::model::command::RICHTER;
use crate::model::{Entity, Event, Numbers, State, Timestamp};
use crate::stage::Outbox;

use super::Declare;
use super::incident::Incident;
use super::picture::named;

/// Situations that one incident is of; for a further one the oldest that is over goes, and where none is that is an incident of its
/// own.
const SITUATIONS_MAX: usize = 100;

/// Incidents about one entity that are remembered to be, the latest ones.
const ABOUT_MAX: usize = 100;

impl Declare {
    /// The incident that is on about the same, or was until lately: what fails there has failed already, first of all under that name.
    /// What is of another name is taken for a fault of its own by and by, and what is another team's, or fails where nobody tells of the
    /// other any more, at once.
    pub(super) fn same(&self, member: &Member) -> Option<SituationId> {
        let about = || self.state.about.get(&member.entity).into_iter().flatten().rev().copied().filter(|_| !member.is_nameless());
        let called = |id: &SituationId| self.leading(*id).is_some_and(|leader| leader.is_called_as(member));
        let named = about().filter(called).find(|id| self.is_same(*id, member));
        named.or_else(|| about().find(|id| self.is_same(*id, member)))
    }

    /// Whether an incident about the entity of a member may have it as a part.
    fn is_same(&self, id: SituationId, member: &Member) -> bool {
        let Some(incident) = self.state.incidents.get(&id) else { return false };
        let has_enough = || self.state.situations.get(id).is_some_and(|situation| situation.has_enough_of(member));
        let takes_in = incident.state.is_on() || self.was_on_lately(incident, member.starts_at) && !has_enough();
        // What nobody tells of any more is as what has recovered then.
        let heard = self.heard_at(id).filter(|_| incident.is_stale());
        if !takes_in || heard.is_some_and(|heard| member.starts_at.since(heard) > self.config.tuning.reopen_within) {
            return false;
        }
        let Some((_, leader)) = self.state.situations.member(incident.leader) else { return true };
        let is_young = member.starts_at.since(incident.declared_at) <= self.config.tuning.life_max;
        // What nobody owns is no other team's; what a team owns is not lost in what nobody does.
        let owner = member.owner();
        let of_one_team = owner.is_empty() || owner == leader.owner() || incident.of_owners.contains(owner);
        if leader.is_called_as(member) {
            return true;
        }
        // Other trouble that is milder does not bring back what has recovered, with the level that it had.
        let again = || self.counting(id).any(|known| known.entity == member.entity && known.is_called_as(member));
        let graded = || member.graded(member.told_at, &Stated::new(), &Numbers::new());
        let is_as_grave = || graded().is_some_and(|graded| graded.grade.level() <= incident.level());
        is_young && of_one_team && (incident.state.is_on() || again() || is_as_grave())
    }

    fn was_on_lately(&self, incident: &Incident, at: Timestamp) -> bool {
        let lately = |good: Timestamp| at.since(good) <= self.config.tuning.reopen_within;
        incident.state == State::Recovered && incident.good_since.is_some_and(lately)
    }

    /// What an incident is about by a member that leads it now; and the latest other one that is on about the same, or was until lately.
    pub(super) fn is_now_about(&mut self, id: SituationId, key: MemberKey) -> Option<(SituationId, Entity)> {
        let (_, member) = self.state.situations.member(key)?;
        let (entity, nameless, at) = (member.entity.clone(), member.is_nameless(), member.starts_at);
        let on = |of: &SituationId| self.state.incidents.get(of).is_some_and(|i| i.state.is_on() || self.was_on_lately(i, at));
        let mut others = self.state.about.get(&entity).into_iter().flatten().rev().copied().filter(|of| *of != id && !nameless);
        // What names nothing has nothing in common with others of its name.
        let before = others.find(on);
        let about = self.state.about.entry(entity.clone()).or_default();
        about.retain(|of| *of != id);
        about.push(id);
        about.drain(..about.len().saturating_sub(ABOUT_MAX));
        before.map(|before| (before, entity))
    }

    /// Relates an incident to the other one about the same, if there is one, and yet they are not one: they are another team's, or
    /// that one has lasted for too long, or flapped too often.
    pub(super) fn relate_to(&mut self, id: SituationId, before: Option<(SituationId, Entity)>, at: Timestamp, out: &mut Outbox) {
        if let Some((before, entity)) = before {
            self.relate_two((id, before), &format!("both are about {entity}").into(), at, out);
        }
    }

    /// What was only suspected is part of an incident that is on, by a member that would make it a fault.
    pub(super) fn becomes_part(&mut self, id: SituationId, whole: SituationId, key: MemberKey, at: Timestamp, out: &mut Outbox) {
        let Some(reason) = self.comes_to(whole, key) else { return };
        self.merge(id, whole, at, RICHTER, &reason.into(), out);
    }

    /// What a member brings to an incident, in words.
    fn comes_to(&self, id: SituationId, key: MemberKey) -> Option<String> {
        let (_, member) = self.state.situations.member(key)?;
        let situations = self.situations_of(id);
        let situations: Vec<&Situation> = situations.iter().filter_map(|id| self.state.situations.get(*id)).collect();
        let is_same = |other: &Member| other.entity == member.entity && other.source.name() == member.source.name();
        let again = self.counting(id).any(|other| other.ends_at.is_some() && is_same(other));
        let what = named(member, &situations);
        Some(if again { format!("{what} again") } else { format!("now also {what}") })
    }

    /// Whether an incident can be of one situation more.
    pub(super) fn makes_room_in(&mut self, id: SituationId) -> bool {
        let Some(incident) = self.state.incidents.get_mut(&id) else { return false };
        if incident.situations.len() < SITUATIONS_MAX {
            return true;
        }
        let led_by = self.state.situations.place(incident.leader).map(|(situation, _)| situation);
        let lasts = |of: &SituationId| self.state.situations.get(*of).is_some_and(Situation::lasts);
        let Some(place) = incident.situations.iter().position(|of| *of != id && Some(*of) != led_by && !lasts(of)) else { return false };
        let over = incident.situations.remove(place);
        self.state.owners.remove(&over);
        self.state.situations.hold(over, Hold::Free);
        true
    }

    /// A situation becomes part of an incident that is on, by a member of it.
    pub(super) fn joins(&mut self, key: MemberKey, situation: SituationId, id: SituationId, at: Timestamp, out: &mut Outbox) {
        let Some(reason) = self.comes_to(id, key) else { return };
        let Some(incident) = self.state.incidents.get_mut(&id) else { return };
        let (state, acknowledged) = (incident.state, incident.acknowledged.is_some());
        incident.situations.push(situation);
        self.state.owners.insert(situation, id);
        self.state.situations.hold(situation, Hold::On { acknowledged });
        if state == State::Declared {
            let reason = reason + &self.called_in(id, at);
            self.event(id, Event::Updated, at, RICHTER, reason, out);
            self.has_told(id, at);
        }
        if let Some(heard) = self.state.incidents.get(&id).filter(|incident| incident.unheard).and_then(|_| self.heard_at(id)) {
            self.listens(id, heard.max(at), out);
        }
        self.relate_all(id, out);
        self.grade_member(key, at, out);
    }
}

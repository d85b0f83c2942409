//! What fails of an entity whose incident is on is part of that incident.

use crate::correlate::{Hold, Member, Situation, SituationId};
use crate::model::command::RICHTER;
use crate::model::{Event, State, Timestamp};
use crate::stage::Outbox;

use super::Declare;
use super::picture::called;

/// Situations that one incident is of; for a further one the oldest that is over goes, and where none is that is an incident of its
/// own.
const SITUATIONS_MAX: usize = 100;

impl Declare {
    /// The incident that is on about the same, or was until lately: what fails there has failed already. What is of another name
    /// is taken for a fault of its own by and by, and what is another team's, or fails where nobody tells of the other any more, at once.
    pub(super) fn same(&self, member: &Member) -> Option<SituationId> {
        let id = self.state.about.get(&member.entity).copied().filter(|_| !member.is_nameless())?;
        let incident = self.state.incidents.get(&id)?;
        let lately =
            |good: Timestamp| incident.state == State::Recovered && member.starts_at.since(good) <= self.config.tuning.reopen_within;
        if !incident.state.is_on() && !incident.good_since.is_some_and(lately) {
            return None;
        }
        if incident.is_stale() && self.heard_at(id).is_some() {
            return None;
        }
        let Some((_, leader)) = self.state.situations.member(incident.leader) else { return Some(id) };
        let is_young = member.starts_at.since(incident.declared_at) <= self.config.tuning.life_max;
        (leader.is_called_as(member) || is_young && leader.owner() == member.owner()).then_some(id)
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
    pub(super) fn joins(&mut self, key: u64, situation: SituationId, id: SituationId, at: Timestamp, out: &mut Outbox) {
        let Some((incident, (_, member))) = self.state.incidents.get_mut(&id).zip(self.state.situations.member(key)) else { return };
        let leader = self.state.situations.member(incident.leader).map(|(_, leader)| leader);
        let again = leader.is_none_or(|leader| leader.ends_at.is_some() && leader.is_called_as(member));
        let what = called(member, "");
        let reason = if again { format!("{what} again") } else { format!("now also {what}") };
        let (state, acknowledged) = (incident.state, incident.acknowledged.is_some());
        incident.situations.push(situation);
        self.state.owners.insert(situation, id);
        self.state.situations.hold(situation, Hold::On { acknowledged });
        if state == State::Declared {
            self.event(id, Event::Updated, at, RICHTER, reason, out);
            self.has_told(id, at);
        }
        self.relate_all(id, out);
        self.grade_member(key, at, out);
    }
}

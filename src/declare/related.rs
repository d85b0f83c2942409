//! Incidents that are related: they would be one, had not both been declared.

use crate::contract::Related;
use crate::correlate::{Relation, SituationId};
use crate::model::command::RICHTER;
use crate::model::{Event, State, Timestamp};
use crate::stage::Outbox;

use super::Declare;
use super::reason::Reason;

/// Incidents that one is related to; further ones are not told of.
const RELATED_MAX: usize = 20;

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
        let words = format!("{entity} {why} ({:+.1} nats)", why.odds.nats());
        let reason = Reason::connects(entity, why, words);
        self.relate_two((self.owner(situation), self.owner(relation.with)), &reason, at.max(*since), out);
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

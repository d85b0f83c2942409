//! Incidents that are related: they would be one, had not both been declared.

use crate::correlate::{Relation, SituationId};
use crate::model::{Event, State};
use crate::stage::Outbox;

use super::Declare;
use super::contract::Related;
use super::incident::RICHTER;
use super::reason::Reason;

/// Incidents that one is related to; further ones are not told of.
const RELATED_MAX: usize = 20;

impl Declare {
    /// Tells of all that an incident is related to.
    pub(super) fn relate_all(&mut self, id: SituationId, out: &mut Outbox) {
        for situation in self.situations_of(id) {
            for relation in self.state.situations.related(situation).to_vec() {
                self.relate(situation, &relation, out);
            }
        }
    }

    /// Two situations would be one, for that reason: so their incidents are related, where both were declared.
    pub(super) fn relate(&mut self, situation: SituationId, relation: &Relation, out: &mut Outbox) {
        let (one, other) = (self.owner(situation), self.owner(relation.with));
        let declared = |id: SituationId| self.state.incidents.get(&id).filter(|i| i.state.is_on() || i.state == State::Recovered);
        let Some((first, second)) = declared(one).zip(declared(other)).filter(|_| one != other) else { return };
        let names = [first.id.clone(), second.id.clone()];
        for (id, with) in [(one, &names[1]), (other, &names[0])] {
            let Some(incident) = self.state.incidents.get_mut(&id) else { continue };
            if incident.related.len() >= RELATED_MAX || incident.related.iter().any(|known| known.incident == *with) {
                continue;
            }
            let Relation { entity, why, .. } = relation;
            let words = format!("{entity} {why} ({:+.1} nats)", why.nats());
            let reason = Reason::connects(entity, why, format!("related to {with}: {words}"));
            incident.related.push(Related { incident: with.clone(), why: words });
            self.event(id, Event::Updated, relation.since, RICHTER, reason, out);
        }
    }
}

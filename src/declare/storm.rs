//! Storms, as far as those who know of an incident hear of them.

use crate::correlate::{SituationId, Tally};
use crate::model::Event;
use crate::model::command::RICHTER;
use crate::stage::Outbox;

use super::Declare;

impl Declare {
    /// By now there may be incidents to tell of them.
    pub(super) fn tells_storms(&mut self, out: &mut Outbox) {
        for situation in std::mem::take(&mut self.occasion.storms) {
            if let Some(worst) = self.state.situations.storm(situation) {
                self.storm(situation, worst.as_ref(), out);
            }
        }
    }

    /// A situation has too many members to tell of them all; who knows of its incident hears why.
    pub(super) fn storm(&mut self, id: SituationId, worst: Option<&Tally>, out: &mut Outbox) -> bool {
        let id = self.owner(id);
        let Some(incident) = self.state.incidents.get(&id).filter(|i| i.state.is_on()) else { return false };
        let at = incident.at.max(self.state.progress.clock(self.config.tuning.idle_after));
        let situations = incident.situations.iter().filter_map(|id| self.state.situations.get(*id));
        let alerts: usize = situations.map(|situation| situation.members.len()).sum();
        let most = worst.map_or_else(String::new, |worst| format!("; most of {}: {} firing", worst.entity, worst.firing));
        let reason = format!("a storm: more than {alerts} alerts by now, further ones are only counted{most}");
        self.event(id, Event::Updated, at, RICHTER, reason, out);
        true
    }

    /// All that was only counted has ended; who knows of its incident hears so.
    pub(super) fn calm(&mut self, id: SituationId, worst: Option<&Tally>, out: &mut Outbox) {
        let id = self.owner(id);
        let Some(incident) = self.state.incidents.get(&id).filter(|i| i.state.is_on()) else { return };
        let at = incident.at.max(self.state.progress.clock(self.config.tuning.idle_after));
        let most = worst.map_or_else(String::new, |worst| format!("; most was {} of {}: {} told", worst.name, worst.entity, worst.told));
        self.event(id, Event::Updated, at, RICHTER, format!("the storm is over: all that was only counted has ended{most}"), out);
    }
}

//! What a person takes out of an incident: another one that was merged into it, or what is told of an entity.

use crate::correlate::SituationId;
use crate::model::{Command, Entity, Event, Level, Timestamp};
use crate::stage::Outbox;

use super::Declare;
use super::commands::{Refused, with};
use super::costs;
use super::grading::Graded;
use super::incident::Incident;

impl Declare {
    /// A person says that an incident is no part of another one.
    pub(super) fn split_by_hand(&mut self, id: SituationId, merged: &str, command: &Command, out: &mut Outbox) -> Result<(), Refused> {
        let gone = self.find(merged)?;
        let part = |whole: &Incident| whole.merged.iter().any(|known| known == merged);
        if !self.state.incidents.get(&id).is_some_and(part) {
            return Err(format!("{merged} is not part of it"));
        }
        let suspected = self.state.incidents.get(&gone).is_some_and(|incident| incident.level().is_none());
        let event = if suspected { Event::Suspected } else { Event::Reopened };
        self.legal(gone, event, command)?;
        let own = self.situations_of(gone);
        if own.iter().all(|own| self.state.situations.get(*own).is_none()) {
            return Err(format!("the signs of {merged} are one with the others by now; split an entity from it"));
        }
        self.change(id, |whole| {
            whole.merged.retain(|known| known != merged);
            whole.situations.retain(|situation| !own.contains(situation));
        });
        self.state.owners.remove(&gone);
        self.state.owners.extend(own.into_iter().filter(|situation| *situation != gone).map(|situation| (situation, gone)));
        let before = self.levels_of(id);
        if let Some(mut part) = self.state.incidents.get(&gone).cloned() {
            self.change(id, |whole| whole.parts_with(&mut part, command.at));
            let others = self.state.incidents.get(&id).map(|whole| whole.merged.clone()).unwrap_or_default();
            for other in others.iter().filter_map(|other| self.state.incidents.named(other)).collect::<Vec<_>>() {
                self.change(other, |other| other.forgets_of(&part));
            }
            (part.brought, part.split_off) = (None, true);
            self.change(gone, |incident| *incident = part);
            self.leads_on(id);
        }
        [gone, id].into_iter().for_each(|id| self.hears_anew(id));
        if suspected {
            self.state.suspected.insert(gone);
        }
        self.says(gone, event, command, with(command, "it is a fault of its own"), out)?;
        self.has_parted(id, &before, format!("{merged} is no part of it any more"), command, out)?;
        // What was merged may be worse by now, or over, and so may the rest.
        for id in [gone, id] {
            self.grade_all(id, command.at, out);
            self.recovers(id, command.at, out);
        }
        Ok(())
    }

    /// It had these levels with what is no part of it any more.
    fn has_parted(
        &mut self,
        id: SituationId,
        before: &[Level],
        reason: String,
        command: &Command,
        out: &mut Outbox,
    ) -> Result<(), Refused> {
        let now = |was: &Level| self.state.incidents.get(&id).and_then(|whole| whole.level_in(&was.sequence));
        let fell = before.iter().filter(|was| now(was).is_none_or(|now| now.rank > was.rank));
        let fell: Vec<String> =
            fell.map(|was| format!("{was} → {}", now(was).map_or_else(|| "none".to_owned(), Level::to_string))).collect();
        if !fell.is_empty() && self.legal(id, Event::Downgraded, command).is_ok() {
            return self.says(id, Event::Downgraded, command, format!("{}: {reason}", fell.join(", ")), out);
        }
        // Of what was no fault nothing more is told.
        if self.legal(id, Event::Updated, command).is_ok() { self.says(id, Event::Updated, command, reason, out) } else { Ok(()) }
    }

    fn levels_of(&self, id: SituationId) -> Vec<Level> {
        self.state.incidents.get(&id).into_iter().flat_map(Incident::held).map(|held| held.level.clone()).collect()
    }

    /// What of an incident was merged into it and is about an entity, if all that is about that is of it, and nothing else.
    fn merged_about(&self, id: SituationId, entity: &Entity) -> Option<String> {
        let about = |of: &SituationId| -> Option<(bool, bool)> {
            let members = &self.state.situations.get(*of)?.members;
            Some((members.iter().any(|member| member.entity == *entity), members.iter().all(|member| member.entity == *entity)))
        };
        let whole = self.state.incidents.get(&id)?;
        let is_it = |name: &&String| {
            let Some(own) = self.state.incidents.named(name).map(|part| self.situations_of(part)) else { return false };
            let mut others = whole.situations.iter().filter(|of| !own.contains(of)).filter_map(about);
            let mut own = own.iter().filter_map(about).peekable();
            own.peek().is_some() && own.all(|(_, all)| all) && others.all(|(any, _)| !any)
        };
        whole.merged.iter().find(is_it).cloned()
    }

    /// Its levels are those of what is still part of it, and what people have set.
    fn grades_anew(&mut self, id: SituationId, at: Timestamp) {
        let Some(incident) = self.state.incidents.get(&id) else { return };
        let graded = self.counting(id).filter_map(|member| member.graded(at, &incident.said, &costs::beside(member, self.counting(id))));
        let graded: Vec<Graded> = graded.collect();
        self.change(id, |incident| {
            let before = incident.held.clone();
            incident.held.retain(|_, held| held.set.is_some());
            graded.iter().for_each(|graded| _ = incident.take(graded, Timestamp::MIN));
            // What is worse than it was so far escalates it, and is told so.
            incident.held.retain(|sequence, _| before.contains_key(sequence));
            for (sequence, was) in &before {
                if incident.held.get(sequence).is_some_and(|now| now.level.rank < was.level.rank) {
                    incident.held.insert(sequence.clone(), was.clone());
                }
            }
            // A fault without a level is none.
            if incident.held.is_empty() {
                incident.held = before;
            }
        });
    }

    /// What is told of an entity is another matter.
    pub(super) fn take_apart(&mut self, id: SituationId, entity: &Entity, command: &Command, out: &mut Outbox) -> Result<(), Refused> {
        self.legal(id, Event::Updated, command)?;
        let entity = self.rules.topology.resolve(entity.clone());
        if let Some(part) = self.merged_about(id, &entity) {
            return self.split_by_hand(id, &part, command, out);
        }
        let own = self.situations_of(id);
        let Self { state, rules, .. } = self;
        let members = || own.iter().filter_map(|own| state.situations.get(*own)).flat_map(|situation| &situation.members);
        if members().all(|member| member.entity != entity) || members().all(|member| member.entity == entity) {
            return Err(format!("nothing of it is about {entity}, or all of it is"));
        }
        let apart: Vec<SituationId> = own.iter().filter_map(|own| state.situations.take_apart(*own, &entity, rules)).collect();
        state.about.entry(entity.clone()).and_modify(|of| of.retain(|of| *of != id));
        // Situations that were about nothing else are no more.
        let gone: Vec<SituationId> = own.into_iter().filter(|own| state.situations.get(*own).is_none()).collect();
        gone.iter().for_each(|gone| _ = state.owners.remove(gone));
        if let Some(incident) = state.incidents.get_mut(&id) {
            incident.situations.retain(|own| !gone.contains(own));
            incident.may_begin_later();
        }
        let before = self.levels_of(id);
        self.leads_on(id);
        self.hears_anew(id);
        self.grades_anew(id, command.at);
        self.tell_news(out);
        self.has_parted(id, &before, with(command, &format!("what is told of {entity} is no part of it any more")), command, out)?;
        self.grade_in(&apart, command.at, out);
        self.grade_all(id, command.at, out);
        self.recovers(id, command.at, out);
        Ok(())
    }

    /// Where what leads is no part of an incident any more, something else of it leads.
    fn leads_on(&mut self, id: SituationId) {
        let leader = self.state.incidents.get(&id).map(|incident| incident.leader);
        let first = self.counting(id).next().map(|member| member.key);
        let leads = self.counting(id).any(|member| Some(member.key) == leader);
        if let Some(first) = first.filter(|_| !leads) {
            self.change(id, |incident| incident.leader = first);
        }
    }
}

//! What people say: that there is a fault, that it is over, and that a part of it is another one.

use std::sync::Arc;

use crate::model::{Definition, Entity, Origin, Timestamp};
use crate::rules::{Rules, Tuning};
use crate::stage::Outcome;

use super::member::{person_fingerprint, person_key};
use super::situation::{EndedBy, Member, MemberKey, SituationId, Source};
use super::{Effect, Situations};

/// A fault that a person declares.
#[derive(Debug)]
pub struct Statement {
    /// Who.
    pub author: String,
    /// The command's id.
    pub command: String,
    /// What was said with it.
    pub comment: String,
    /// What it is about.
    pub entity: Entity,
    /// What it means.
    pub definition: Definition,
    /// Where the command came from.
    pub origin: Origin,
    /// When it began.
    pub at: Timestamp,
}

impl Situations {
    /// Takes in that a person declares a fault, as was told at that time: the clock of who says it may be fast.
    pub fn said(&mut self, said: Statement, told: Timestamp, rules: &mut Rules, tuning: &Tuning) -> Effect {
        let key = person_key(&said.command);
        if self.member(key).is_some() {
            return Effect::nothing(Outcome::Duplicate);
        }
        let entity = rules.topology.resolve(said.entity);
        let fingerprint = person_fingerprint(&entity);
        let source = Source::Person { author: said.author.into(), command: said.command.into(), comment: said.comment.into() };
        let definition = Some(Arc::new(said.definition));
        let member = Member { definition, ..Member::new(key, entity, source, self.origin(&said.origin), said.at) };
        self.told = if told == Timestamp::MIN { said.at } else { told };
        self.join(fingerprint, member, rules, tuning)
    }

    /// Ends what lasts in a situation, for a person says that it is over.
    pub fn end(&mut self, id: SituationId, at: Timestamp) {
        let open = self.get(id).into_iter().flat_map(|s| &s.members).filter(|m| m.settled_at.is_none() && m.suppressed.is_none());
        for key in open.map(|m| m.key).collect::<Vec<MemberKey>>() {
            self.update(key, |member| {
                if member.ends_at.is_none() {
                    (member.ends_at, member.ended_by) = (Some(at.max(member.starts_at)), EndedBy::Person);
                }
                member.settled_at = Some(at);
            });
        }
    }

    /// Takes what is told of an entity out of a situation, for a person says that it is another matter; gives the situation that
    /// it makes, or none where nothing of it is about that entity.
    pub fn take_apart(&mut self, id: SituationId, entity: &Entity, rules: &mut Rules) -> Option<SituationId> {
        let node = rules.topology.number(entity);
        let into = self.forest.take_apart(id, node)?;
        self.apply_moves();
        for id in [id, into] {
            self.open.entry(id).and_modify(|situation| situation.taken_apart = true);
        }
        Some(into)
    }

    /// What only a person said was over is not over after all; gives what it is.
    pub fn resume(&mut self, id: SituationId, rules: &Rules) -> Vec<MemberKey> {
        let said = self.get(id).into_iter().flat_map(|s| &s.members).filter(|m| m.is_said_over()).map(|m| m.key);
        let said: Vec<MemberKey> = said.collect();
        for key in &said {
            self.update(*key, |member| (member.ends_at, member.settled_at, member.ended_by) = (None, None, EndedBy::Told));
            self.inhibits(*key, rules);
        }
        said
    }
}

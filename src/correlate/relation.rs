//! Situations that are related: they would be one, if one could still become part of the other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Entity, Timestamp};

use super::Membership;
use super::situation::SituationId;

/// Others that one is related to; beyond it no new one is remembered.
const RELATED_MAX: usize = 64;

/// A reason is told anew where it is stronger by so many nats: two that were declared just now may become one by it.
const STRONGER: f64 = 1.0;

/// That a situation's trouble is likely another one's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// The other one.
    pub with: SituationId,
    /// What connects them: an entity of one of them,
    pub entity: Entity,
    /// and why that would be in the other.
    pub why: Membership,
    /// Whether nothing else explains that one, so that all of its situation would be.
    pub of_root: bool,
    /// The first sign of the later of both; where their ends tell of it, when they did.
    pub since: Timestamp,
}

/// Which are.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Relations {
    of: BTreeMap<SituationId, Vec<Relation>>,
}

impl Relations {
    pub(super) fn of(&self, situation: SituationId) -> &[Relation] {
        self.of.get(&situation).map_or(&[], Vec::as_slice)
    }

    /// Whether that was not known, or for a much weaker reason.
    pub(super) fn add(&mut self, one: SituationId, relation: &Relation) -> bool {
        let other = relation.with;
        let nats = |relation: &Relation| relation.why.odds.nats();
        let full = |of: SituationId| self.of(of).len() >= RELATED_MAX;
        match self.of(one).iter().find(|known| known.with == other) {
            Some(known) if nats(relation) < nats(known) + STRONGER => return false,
            Some(_) => {
                self.remove(one, other);
                self.remove(other, one);
            }
            None if one == other || full(one) || full(other) => return false,
            None => {}
        }
        for (of, with) in [(one, other), (other, one)] {
            self.of.entry(of).or_default().push(Relation { with, ..relation.clone() });
        }
        true
    }

    /// One has become part of another, or those entities have; gives what that one is related to by now, and was not before.
    pub(super) fn moved(&mut self, from: SituationId, into: SituationId, moved: impl Fn(&Entity) -> bool) -> Vec<Relation> {
        let gone: Vec<Relation> = self.of(from).iter().filter(|relation| moved(&relation.entity)).cloned().collect();
        for relation in &gone {
            self.remove(from, relation.with);
            self.remove(relation.with, from);
        }
        gone.into_iter().filter(|relation| self.add(into, relation)).collect()
    }

    /// One is no more.
    pub(super) fn forget(&mut self, gone: SituationId) {
        for relation in self.of.remove(&gone).unwrap_or_default() {
            self.remove(relation.with, gone);
        }
    }

    fn remove(&mut self, of: SituationId, with: SituationId) {
        if let Some(relations) = self.of.get_mut(&of) {
            relations.retain(|relation| relation.with != with);
            if relations.is_empty() {
                self.of.remove(&of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_a_situation_takes_its_relations_along() {
        let [one, other, third] = [SituationId(1), SituationId(2), SituationId(3)];
        let entity = |name: &str| Entity::parse(&format!("service={name}")).expect("an entity");
        let relation =
            |with, name: &str| Relation { with, entity: entity(name), why: Membership::default(), of_root: true, since: Timestamp(0) };
        let with = |relations: &Relations, of| relations.of(of).iter().map(|relation| relation.with).collect::<Vec<_>>();
        let mut relations = Relations::default();
        assert!(relations.add(one, &relation(other, "web")) && !relations.add(other, &relation(one, "web")));
        assert!(!relations.add(one, &relation(one, "web")));
        // A part that it is not about leaves, then the part that it is about.
        assert_eq!(relations.moved(one, third, |moved| *moved == entity("db")), []);
        assert_eq!((with(&relations, other), with(&relations, third)), (vec![one], vec![]));
        assert_eq!(relations.moved(one, third, |moved| *moved == entity("web")).len(), 1);
        assert_eq!((with(&relations, other), with(&relations, third)), (vec![third], vec![other]));
        // What is one is not related.
        assert_eq!(relations.moved(third, other, |_| true), []);
        assert!(relations.of.is_empty());
    }
}

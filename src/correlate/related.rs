//! Situations that are related: they would be one, if one could still become part of the other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Entity, Timestamp};

use super::Joined;
use super::situation::SituationId;

/// Others that one is related to; beyond it no new one is remembered.
const RELATED_MAX: usize = 16;

/// That a situation's trouble is likely another one's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// The other one.
    pub with: SituationId,
    /// What connects them: an entity of one of them,
    pub entity: Entity,
    /// and why that would be in the other.
    pub why: Joined,
    /// Since when that is known.
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

    /// Whether that was not known.
    pub(super) fn add(&mut self, one: SituationId, relation: &Relation) -> bool {
        let other = relation.with;
        let known = |of: SituationId, with: SituationId| self.of(of).iter().any(|relation| relation.with == with);
        let full = |of: SituationId| self.of(of).len() >= RELATED_MAX;
        if one == other || known(one, other) || full(one) || full(other) {
            return false;
        }
        for (of, with) in [(one, other), (other, one)] {
            self.of.entry(of).or_default().push(Relation { with, ..relation.clone() });
        }
        true
    }

    /// One has become part of another.
    pub(super) fn merged(&mut self, gone: SituationId, kept: SituationId) {
        for relation in self.forget(gone) {
            self.add(kept, &relation);
        }
    }

    /// One is no more; gives what was known of it.
    pub(super) fn forget(&mut self, gone: SituationId) -> Vec<Relation> {
        let relations = self.of.remove(&gone).unwrap_or_default();
        for relation in &relations {
            if let Some(others) = self.of.get_mut(&relation.with) {
                others.retain(|other| other.with != gone);
                if others.is_empty() {
                    self.of.remove(&relation.with);
                }
            }
        }
        relations
    }
}

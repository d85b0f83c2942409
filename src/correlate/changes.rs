//! Recent changes: suspects, if they happened shortly before the first sign on an entity they touch.

use serde::{Deserialize, Serialize};

use crate::model::{Change, Entity, Timestamp};
use crate::rules::{Topology, Tuning};
use crate::stage::Outcome;

use super::Situation;

/// Changes remembered; beyond it the oldest is forgotten.
const CHANGES_MAX: usize = 20_000;

/// Changes, oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Changes(Vec<Changed>);

/// A change and the entity it touched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// The change.
    pub change: Change,
    /// What it touched.
    pub entity: Entity,
}

impl Changes {
    pub(super) fn push(&mut self, change: &Change, entity: Option<Entity>) -> Outcome {
        let Some(entity) = entity else { return Outcome::NotWanted };
        if self.0.iter().any(|c| c.change.id == change.id && c.change.source == change.source) {
            return Outcome::Duplicate;
        }
        let place = self.0.partition_point(|c| c.change.at <= change.at);
        self.0.insert(place, Changed { change: change.clone(), entity });
        if self.0.len() > CHANGES_MAX {
            self.0.remove(0);
        }
        Outcome::Applied
    }

    pub(super) fn forget(&mut self, before: Timestamp) {
        let keep_from = self.0.partition_point(|c| c.change.at < before);
        self.0.drain(..keep_from);
    }

    /// The changes that can have to do with a situation as it was known at `at`: on an entity in it, or on one that
    /// some entity in it depends on, not after that situation's first sign, and not longer before it than the
    /// window. A change after the first sign is cleared.
    #[must_use]
    pub fn near<'a>(&'a self, situation: &Situation, at: Timestamp, topology: &Topology, tuning: &Tuning) -> Vec<&'a Changed> {
        let members = || situation.members.iter().filter(|m| m.starts_at <= at);
        let Some(first) = members().map(|m| m.starts_at).min() else { return vec![] };
        let close = |c: &&Changed| c.change.at <= first && first.since(c.change.at) <= tuning.change_window;
        let touches = |c: &&Changed| {
            let explained = topology.dependants(&c.entity);
            members().any(|m| m.entity == c.entity || explained.contains_key(&m.entity))
        };
        self.0.iter().filter(close).filter(touches).collect()
    }
}

//! The picture of an incident: what has to change for it to be told of again.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::correlate::{Ranking, Situation};
use crate::model::{Entity, Timestamp};

/// Who is in it, and who is suspected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    entities: BTreeSet<Entity>,
    suspect: Option<Entity>,
}

impl Picture {
    /// Of situations, as it was known at a time.
    pub(super) fn of(situations: &[&Situation], ranking: &Ranking, at: Timestamp) -> Self {
        let known = situations.iter().flat_map(|situation| &situation.members).filter(|m| m.starts_at <= at);
        let suspect = ranking.suspects.first().filter(|_| !ranking.is_undetermined());
        Self { entities: known.map(|m| m.entity.clone()).collect(), suspect: suspect.map(|s| s.entity.clone()) }
    }

    /// What is new against an earlier picture, in words.
    pub(super) fn news(&self, before: &Self) -> String {
        let new: Vec<&str> = self.entities.difference(&before.entities).map(Entity::as_str).collect();
        let joined = (!new.is_empty()).then(|| format!("now also {}", new.join(", ")));
        let suspect = self.suspect.as_ref().filter(|s| Some(*s) != before.suspect.as_ref()).map(|s| format!("first suspect is now {s}"));
        joined.into_iter().chain(suspect).collect::<Vec<_>>().join("; ")
    }
}

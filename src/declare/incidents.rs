//! All incidents of a domain, by the situation that each began with and by name.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::correlate::SituationId;

use super::Incident;

/// Those that are open or wait for their review.
#[derive(Debug, Default)]
pub(super) struct Incidents {
    all: BTreeMap<SituationId, Incident>,
    /// Which is called that; made anew from the others when they are restored.
    names: HashMap<String, SituationId>,
}

impl Incidents {
    /// The one of that name.
    pub(super) fn named(&self, name: &str) -> Option<SituationId> {
        self.names.get(name).copied()
    }

    pub(super) fn get_mut(&mut self, id: &SituationId) -> Option<&mut Incident> {
        self.all.get_mut(id)
    }

    pub(super) fn insert(&mut self, id: SituationId, incident: Incident) {
        self.names.insert(incident.id.clone(), id);
        self.all.insert(id, incident);
    }

    pub(super) fn remove(&mut self, id: &SituationId) -> Option<Incident> {
        let gone = self.all.remove(id)?;
        self.names.remove(&gone.id);
        Some(gone)
    }
}

/// All that reads them takes them for the map they are.
impl Deref for Incidents {
    type Target = BTreeMap<SituationId, Incident>;

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

impl Serialize for Incidents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.all.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Incidents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = BTreeMap::<SituationId, Incident>::deserialize(deserializer)?;
        let names = all.iter().map(|(id, incident)| (incident.id.clone(), *id)).collect();
        Ok(Self { all, names })
    }
}

//! Dependencies that nobody wrote down: calls between services, as the traces' metrics tell of them, and what one signal
//! names together, and what often fails together. They age out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Call, Entity, Labels, Timestamp};
use crate::rules::{Rules, Topology};

/// Pairs of services that are remembered; beyond it no new one is.
const CALLS_MAX: usize = 100_000;

/// It is looked for what is to be forgotten as often as this: the topology is built anew where there is something.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// So often must an entity have shown something while another one's trouble spread, to be believed to depend on it;
const TOGETHER_LEAST: u32 = 5;

/// within so long between two times.
const TOGETHER_MEMORY: Duration = Duration::from_secs(30 * 86_400);

/// Who was seen to call whom, and when last.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Calls {
    seen: BTreeMap<(String, String), Timestamp>,
    /// What one signal named together: what it was about, and where that ran.
    named: BTreeMap<(Entity, Entity), Timestamp>,
    /// Entities that showed something while another one's trouble spread, though no path was known.
    together: BTreeMap<(Entity, Entity), Together>,
    /// How often each of those showed something at all.
    shown: BTreeMap<Entity, u32>,
    newest: Timestamp,
    /// When it was last looked for what is to be forgotten.
    swept: Timestamp,
}

/// How often, and when last.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Together {
    times: u32,
    last: Timestamp,
}

impl Calls {
    /// Takes note of a call; gives the dependency where it was not known.
    pub fn see(&mut self, call: &Call, topology: &Topology) -> Option<(Entity, Entity)> {
        let pair = (call.client.clone(), call.server.clone());
        self.newest = self.newest.max(call.at);
        if let Some(last) = self.seen.get_mut(&pair) {
            *last = call.at.max(*last);
            return None;
        }
        if self.seen.len() >= CALLS_MAX {
            return None;
        }
        let dependency = dependency(topology, &pair);
        self.seen.insert(pair, call.at);
        dependency
    }

    /// Takes note of all that a signal names beside the entity that it is about: it depends on those, as a service does
    /// on its host. Gives the dependencies that were not known.
    pub fn name(&mut self, about: &Entity, others: impl Iterator<Item = Entity>, at: Timestamp) -> Vec<(Entity, Entity)> {
        self.newest = self.newest.max(at);
        let mut new = vec![];
        for other in others.filter(|other| other != about) {
            let pair = (about.clone(), other);
            if let Some(last) = self.named.get_mut(&pair) {
                *last = at.max(*last);
            } else if self.named.len() < CALLS_MAX {
                self.named.insert(pair.clone(), at);
                new.push(pair);
            }
        }
        new
    }

    /// An entity has shown something: by itself or for a known reason, or while the trouble of another one spread. Where that
    /// has happened often, and most of the time, it is believed to depend on that one: gives the dependency.
    pub fn shows(&mut self, entity: &Entity, meanwhile: Option<&Entity>, at: Timestamp) -> Option<(Entity, Entity)> {
        let Some(of) = meanwhile else {
            if let Some(shown) = self.shown.get_mut(entity) {
                *shown += 1;
            }
            return None;
        };
        let pair = (entity.clone(), of.clone());
        if self.together.len() >= CALLS_MAX && !self.together.contains_key(&pair) {
            return None;
        }
        let together = self.together.entry(pair.clone()).or_default();
        *together = Together { times: together.times + 1, last: at.max(together.last) };
        let shown = self.shown.entry(entity.clone()).or_default();
        *shown += 1;
        let learnt = together.times >= TOGETHER_LEAST && 2 * together.times >= *shown && !self.named.contains_key(&pair);
        learnt.then(|| {
            self.named.insert(pair.clone(), at);
            pair
        })
    }

    /// Forgets calls that were last seen this long before the newest; tells whether there were any. Where nobody tells of
    /// calls, nothing is forgotten.
    pub fn forget(&mut self, after: Duration) -> bool {
        if self.newest.since(self.swept) < SWEEP_EVERY {
            return false;
        }
        self.swept = self.newest;
        let (before, newest) = (self.seen.len() + self.named.len(), self.newest);
        self.seen.retain(|_, last| newest.since(*last) < after);
        self.named.retain(|_, last| newest.since(*last) < after);
        self.together.retain(|_, together| newest.since(together.last) < TOGETHER_MEMORY);
        let Self { together, shown, .. } = self;
        let paired: BTreeSet<&Entity> = together.keys().map(|(entity, _)| entity).collect();
        shown.retain(|entity, _| paired.contains(entity));
        self.seen.len() + self.named.len() < before
    }

    /// The rules with what was learnt added to their topology.
    #[must_use]
    pub fn over(&self, rules: &Rules) -> Rules {
        let mut rules = rules.clone();
        for pair in self.seen.keys() {
            if let Some((from, to)) = dependency(&rules.topology, pair) {
                rules.topology.add(&from, &to);
            }
        }
        self.named.keys().for_each(|(from, to)| rules.topology.add(from, to));
        rules
    }
}

/// A service is named as a label `service` of that value would name it.
fn dependency(topology: &Topology, (client, server): &(String, String)) -> Option<(Entity, Entity)> {
    let entity = |name: &str| topology.entity(&Labels::of([("service", name)]));
    Some((entity(client)?, entity(server)?))
}

//! Which entity depends on which, and how labels name an entity.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Entity, Labels};

use super::Template;

/// How far a dependency is followed. Faults seldom show further away, and it bounds the search around hubs.
const HOPS_MAX: usize = 5;

/// Directed dependencies between entities, and the mapping from labels to entities.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    depends_on: BTreeMap<Entity, BTreeSet<Entity>>,
    callers: BTreeMap<Entity, BTreeSet<Entity>>,
    mapping: Vec<Template>,
}

impl Topology {
    /// Builds it from edges (who depends, on whom) and the templates that name an entity, first match first.
    #[must_use]
    pub fn new(edges: impl IntoIterator<Item = (Entity, Entity)>, mapping: Vec<Template>) -> Self {
        let mut topology = Self { mapping, ..Self::default() };
        edges.into_iter().for_each(|(from, to)| topology.add(from, to));
        topology
    }

    /// Adds an edge: who depends, on whom.
    pub fn add(&mut self, from: Entity, to: Entity) {
        self.callers.entry(to.clone()).or_default().insert(from.clone());
        self.depends_on.entry(from).or_default().insert(to);
    }

    /// All edges: who depends, on whom.
    pub fn edges(&self) -> impl Iterator<Item = (&Entity, &Entity)> {
        self.depends_on.iter().flat_map(|(from, on)| on.iter().map(move |to| (from, to)))
    }

    /// The entity that labels name: by the first mapping whose labels are all there.
    #[must_use]
    pub fn entity(&self, labels: &Labels) -> Option<Entity> {
        self.mapping.iter().find_map(|template| template.entity(labels))
    }

    /// Whether one of the two depends directly on the other.
    #[must_use]
    pub fn adjacent(&self, a: &Entity, b: &Entity) -> bool {
        let depends = |x, y| self.depends_on.get(x).is_some_and(|deps| deps.contains(y));
        depends(a, b) || depends(b, a)
    }

    /// What depends on `root`, directly or through others, with the number of hops; `root` itself with 0.
    #[must_use]
    pub fn dependants(&self, root: &Entity) -> BTreeMap<&Entity, usize> {
        let Some((root, _)) = self.callers.get_key_value(root) else { return BTreeMap::new() };
        let mut reached = BTreeMap::from([(root, 0)]);
        let mut frontier = vec![root];
        for hops in 1..=HOPS_MAX {
            let mut next = vec![];
            for caller in frontier.iter().filter_map(|e| self.callers.get(*e)).flatten() {
                if !reached.contains_key(caller) {
                    reached.insert(caller, hops);
                    next.push(caller);
                }
            }
            frontier = next;
        }
        reached
    }
}

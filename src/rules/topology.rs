//! Which entity depends on which, and how labels name an entity.

use std::collections::{BTreeSet, HashMap};

use crate::model::{Entity, Labels};

use super::Template;

/// How far a dependency is followed: faults seldom show further away.
pub const HOPS_MAX: usize = 5;

/// Through how many entities dependencies are followed: hubs are bounded.
pub const REACHED_MAX: usize = 4000;

/// A dependency that is believed less than this suppresses nothing.
const LIKELY: f64 = 0.5;

/// An entity's number in a topology: the same as long as the topology is.
pub type Node = u32;

/// That one entity depends on another.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    /// Who depends.
    pub from: Entity,
    /// On whom.
    pub on: Entity,
    /// How likely it is that it does: above 0, and 1 where there is no doubt.
    pub confidence: f64,
}

impl Dependency {
    /// One of which there is no doubt.
    #[must_use]
    pub fn certain(from: Entity, on: Entity) -> Self {
        Self { from, on, confidence: 1.0 }
    }
}

/// Directed dependencies between entities, and the mapping from labels to entities.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    entities: Vec<Entity>,
    /// Whether it was listed, or has a dependency: others are strangers that some alert named.
    listed: Vec<bool>,
    known: usize,
    nodes: HashMap<Entity, Node>,
    /// Of each entity, in the order of their names: numbers depend on which was known first, and nothing else may.
    depends_on: Vec<Vec<Node>>,
    callers: Vec<Vec<Node>>,
    /// How likely those dependencies are of which there is doubt: few, so that all others cost nothing.
    doubted: HashMap<(Node, Node), f64>,
    mapping: Vec<Template>,
    /// Other names of entities.
    aliases: HashMap<Entity, Entity>,
}

impl Topology {
    /// Builds it from dependencies and the templates that name an entity, first match first.
    #[must_use]
    pub fn new(dependencies: impl IntoIterator<Item = Dependency>, mapping: Vec<Template>) -> Self {
        let mut topology = Self { mapping, ..Self::default() };
        dependencies.into_iter().for_each(|dependency| topology.add(&dependency));
        topology
    }

    /// Adds a dependency, or says anew how likely one is; what was certain stays so.
    pub fn add(&mut self, Dependency { from, on, confidence }: &Dependency) {
        let (from, on) = (self.list(from), self.list(on));
        if from == on {
            return;
        }
        let new = insert(&self.entities, &mut self.depends_on[from as usize], on);
        insert(&self.entities, &mut self.callers[on as usize], from);
        if *confidence >= 1.0 {
            self.doubted.remove(&(from, on));
        } else if new || self.doubted.contains_key(&(from, on)) {
            self.doubted.insert((from, on), *confidence);
        }
    }

    /// How likely it is that one depends on another, as it is said to.
    #[must_use]
    pub fn confidence(&self, from: Node, on: Node) -> f64 {
        if self.doubted.is_empty() { 1.0 } else { self.doubted.get(&(from, on)).copied().unwrap_or(1.0) }
    }

    /// Lists an entity; gives its number.
    pub fn list(&mut self, entity: &Entity) -> Node {
        let node = self.number(entity);
        self.known += usize::from(!std::mem::replace(&mut self.listed[node as usize], true));
        node
    }

    /// Whether the entity was never listed and has no dependency.
    #[must_use]
    pub fn is_stranger(&self, node: Node) -> bool {
        !self.listed[node as usize]
    }

    /// How many entities are listed or have dependencies.
    #[must_use]
    pub fn known(&self) -> usize {
        self.known
    }

    /// The entity's number; a new one, without edges, where it is not known.
    pub fn number(&mut self, entity: &Entity) -> Node {
        if let Some(node) = self.nodes.get(entity) {
            return *node;
        }
        let node = Node::try_from(self.entities.len()).unwrap_or(Node::MAX);
        self.nodes.insert(entity.clone(), node);
        self.entities.push(entity.clone());
        self.listed.push(false);
        self.depends_on.push(vec![]);
        self.callers.push(vec![]);
        node
    }

    /// The entity's number, where it is known.
    #[must_use]
    pub fn node(&self, entity: &Entity) -> Option<Node> {
        self.nodes.get(entity).copied()
    }

    /// The entity with that number.
    #[must_use]
    pub fn name(&self, node: Node) -> &Entity {
        &self.entities[node as usize]
    }

    /// How many entities there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// What it depends on directly.
    #[must_use]
    pub fn depends_on(&self, node: Node) -> &[Node] {
        &self.depends_on[node as usize]
    }

    /// What depends on it directly.
    #[must_use]
    pub fn callers(&self, node: Node) -> &[Node] {
        &self.callers[node as usize]
    }

    /// Whether an entity likely depends on another, directly or through a few.
    #[must_use]
    pub fn depends(&self, entity: &Entity, on: &Entity) -> bool {
        let (Some(from), Some(to)) = (self.node(entity), self.node(on)) else { return false };
        let mut reached = BTreeSet::from([from]);
        let mut frontier = vec![from];
        for _ in 0..HOPS_MAX {
            let mut next = vec![];
            let dependencies = frontier.iter().flat_map(|node| self.depends_on(*node).iter().map(|on| (*node, on)));
            for (_, dependency) in dependencies.filter(|(node, on)| self.confidence(*node, **on) >= LIKELY) {
                if *dependency == to {
                    return true;
                }
                if reached.len() < REACHED_MAX && reached.insert(*dependency) {
                    next.push(*dependency);
                }
            }
            frontier = next;
        }
        false
    }

    /// All of them.
    pub fn dependencies(&self) -> impl Iterator<Item = Dependency> {
        let pairs = (0..).zip(&self.depends_on).flat_map(|(from, on)| on.iter().map(move |on| (from, *on)));
        pairs.map(|(from, on)| Dependency {
            from: self.name(from).clone(),
            on: self.name(on).clone(),
            confidence: self.confidence(from, on),
        })
    }

    /// Another name of an entity.
    pub fn alias(&mut self, alias: Entity, of: Entity) {
        self.aliases.insert(alias, of);
    }

    /// The entity by its own name.
    #[must_use]
    pub fn resolve(&self, entity: Entity) -> Entity {
        self.aliases.get(&entity).cloned().unwrap_or(entity)
    }

    /// The entity that labels name: by the first mapping whose labels are all there.
    #[must_use]
    pub fn entity(&self, labels: &Labels) -> Option<Entity> {
        self.entities(labels).next()
    }

    /// Whether labels can name more than one entity.
    #[must_use]
    pub fn names_several(&self) -> bool {
        self.mapping.len() > 1
    }

    /// All entities that labels name, the one that they are about first.
    pub fn entities(&self, labels: &Labels) -> impl Iterator<Item = Entity> {
        self.mapping.iter().filter_map(|template| template.entity(labels)).map(|entity| self.resolve(entity))
    }
}

/// Whether it was not there.
fn insert(entities: &[Entity], into: &mut Vec<Node>, node: Node) -> bool {
    let place = into.binary_search_by(|other| entities[*other as usize].cmp(&entities[node as usize]));
    if let Err(place) = place {
        into.insert(place, node);
    }
    place.is_err()
}

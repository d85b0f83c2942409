//! Which entity depends on which, and how labels name an entity.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::{Entity, Labels};
use crate::query::Selector;

use super::Template;

/// How far a dependency is followed: faults seldom show further away.
pub const HOPS_MAX: usize = 5;

/// Through how many entities dependencies are followed: hubs are bounded.
pub const REACHED_MAX: usize = 4000;

/// By a way that is less likely than this nothing is suppressed, nor told of what depends so.
pub const LIKELY: f64 = 0.5;

/// A dependency that is less likely than this is none.
pub const CONFIDENCE_LEAST: f64 = 0.1;

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

/// How labels name an entity.
#[derive(Clone, Debug)]
pub struct Naming {
    /// The entity's name.
    pub entity: Template,
    /// The labels that it is for; all where there is none.
    pub matches: Option<Selector>,
    /// Labels that it is not for.
    pub unless: Option<Selector>,
}

impl Naming {
    /// The entity, where it is for these labels and every label it needs is there.
    #[must_use]
    pub fn entity(&self, labels: &Labels) -> Option<Entity> {
        let fits = |selector: &Option<Selector>| selector.as_ref().map(|selector| selector.matches(labels));
        let is_for = fits(&self.matches).unwrap_or(true) && !fits(&self.unless).unwrap_or(false);
        is_for.then(|| self.entity.entity(labels))?
    }
}

/// Directed dependencies between entities, and the mapping from labels to entities.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    entities: Vec<Entity>,
    /// Whether it was listed, or has a dependency: others only some alert named.
    listed: Vec<bool>,
    /// Whether somebody listed it, or told whom it calls or who calls it.
    described: Vec<bool>,
    /// Whether any dependency was written down or traced.
    is_written: bool,
    known: usize,
    nodes: HashMap<Entity, Node>,
    /// Of each entity, in the order of their names: numbers depend on which was known first, and nothing else may.
    depends_on: Vec<Vec<Node>>,
    callers: Vec<Vec<Node>>,
    /// Those dependencies of which there is doubt: few, so that all others cost nothing.
    doubted: HashMap<(Node, Node), f64>,
    /// Those that nobody wrote down or traced: signals name both, or it was learnt, which is doubted as well.
    unwritten: BTreeSet<(Node, Node)>,
    mapping: Vec<Naming>,
    /// Other names of entities.
    aliases: HashMap<Entity, Entity>,
}

impl Topology {
    /// Builds it from dependencies and how labels name an entity, first match first.
    #[must_use]
    pub fn new(dependencies: impl IntoIterator<Item = Dependency>, mapping: Vec<Naming>) -> Self {
        let mut topology = Self { mapping, ..Self::default() };
        dependencies.into_iter().for_each(|dependency| topology.add(&dependency));
        topology
    }

    /// Adds a dependency that was written down or traced; what is certain stays so.
    pub fn add(&mut self, Dependency { from, on, confidence }: &Dependency) {
        let (from, on) = (self.list(from), self.list(on));
        let Some(new) = self.connect(from, on) else { return };
        self.is_written = true;
        self.unwritten.remove(&(from, on));
        if *confidence >= 1.0 {
            self.doubted.remove(&(from, on));
        } else if new || self.doubted.contains_key(&(from, on)) {
            self.doubted.insert((from, on), *confidence);
        }
    }

    /// Adds one that a signal names, which is certain. On what else the two depend is not known by that.
    pub fn note(&mut self, Dependency { from, on, .. }: &Dependency) {
        let (from, on) = (self.know(from), self.know(on));
        let Some(new) = self.connect(from, on) else { return };
        self.doubted.remove(&(from, on));
        if new {
            self.unwritten.insert((from, on));
        }
    }

    /// Takes in how likely a dependency is that was learnt: it is none where that is less than [`CONFIDENCE_LEAST`]. What was
    /// written down, or is certain, stays as it is.
    pub fn learn(&mut self, Dependency { from, on, confidence }: &Dependency) {
        let (from, on) = (self.know(from), self.know(on));
        let Some(new) = self.connect(from, on) else { return };
        let was_learnt = self.unwritten.contains(&(from, on)) && self.doubted.contains_key(&(from, on));
        if !(new || was_learnt) {
            return;
        }
        if *confidence >= CONFIDENCE_LEAST {
            self.doubted.insert((from, on), *confidence);
            self.unwritten.insert((from, on));
        } else {
            self.doubted.remove(&(from, on));
            self.unwritten.remove(&(from, on));
            self.depends_on[from as usize].retain(|other| *other != on);
            self.callers[on as usize].retain(|other| *other != from);
        }
    }

    /// Whether that one depends on the other is new; none where they are one and the same.
    fn connect(&mut self, from: Node, on: Node) -> Option<bool> {
        if from == on {
            return None;
        }
        let new = insert(&self.entities, &mut self.depends_on[from as usize], on);
        insert(&self.entities, &mut self.callers[on as usize], from);
        Some(new)
    }

    /// How likely it is that one depends on another, as it is said to.
    #[must_use]
    pub fn confidence(&self, from: Node, on: Node) -> f64 {
        if self.doubted.is_empty() { 1.0 } else { self.doubted.get(&(from, on)).copied().unwrap_or(1.0) }
    }

    /// Whether a dependency is known only by a signal that named both.
    #[must_use]
    pub fn is_named(&self, from: Node, on: Node) -> bool {
        self.unwritten.contains(&(from, on)) && !self.doubted.contains_key(&(from, on))
    }

    /// Lists an entity; gives its number.
    pub fn list(&mut self, entity: &Entity) -> Node {
        let node = self.know(entity);
        self.described[node as usize] = true;
        node
    }

    fn know(&mut self, entity: &Entity) -> Node {
        let node = self.number(entity);
        self.known += usize::from(!std::mem::replace(&mut self.listed[node as usize], true));
        node
    }

    /// Whether nobody tells on what the entity depends, more than a signal that names where it runs and what was learnt. To list
    /// an entity tells that it depends on nothing else, but not where entities are all that is listed.
    #[must_use]
    pub fn is_stranger(&self, node: Node) -> bool {
        !(self.is_written && self.described[node as usize])
    }

    /// Whether the entity was listed or has a dependency.
    #[must_use]
    pub fn is_known(&self, node: Node) -> bool {
        self.listed[node as usize]
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
        self.described.push(false);
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

    /// Whether an entity depends on another: see [`Topology::needs`].
    #[must_use]
    pub fn depends(&self, entity: &Entity, on: &Entity) -> bool {
        self.needs(entity).contains(on)
    }

    /// On what an entity likely depends, directly or through a few, the nearest first, as somebody wrote down or traced: by what
    /// else is known nothing is suppressed, as what ran there once need not run there alone.
    #[must_use]
    pub fn needs(&self, entity: &Entity) -> Vec<Entity> {
        let Some(from) = self.node(entity) else { return vec![] };
        let (mut needs, mut reached) = (vec![], BTreeMap::from([(from, 1.0)]));
        let mut frontier = vec![from];
        for _ in 0..HOPS_MAX {
            let mut next = vec![];
            for at in frontier {
                for on in self.depends_on(at) {
                    let likely = reached[&at] * self.confidence(at, *on);
                    let known = reached.get(on).copied();
                    if likely < LIKELY || known.is_some_and(|known| known >= likely) || self.unwritten.contains(&(at, *on)) {
                        continue;
                    }
                    if known.is_none() {
                        if reached.len() >= REACHED_MAX {
                            continue;
                        }
                        needs.push(self.name(*on).clone());
                    }
                    reached.insert(*on, likely);
                    next.push(*on);
                }
            }
            frontier = next;
        }
        needs
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

    /// The entity of a service of that name, among other labels that tell which of that name it is: by the first mapping that needs
    /// a label `service`.
    #[must_use]
    pub fn service(&self, name: &str, others: &Labels) -> Option<Entity> {
        let labels = others.with("service", name);
        let by_name = self.mapping.iter().filter(|naming| naming.entity(others).is_none());
        by_name.filter_map(|naming| naming.entity(&labels)).map(|entity| self.resolve(entity)).next()
    }

    /// Whether labels can name more than one entity.
    #[must_use]
    pub fn names_several(&self) -> bool {
        self.mapping.len() > 1
    }

    /// All entities that labels name, the one that they are about first.
    pub fn entities(&self, labels: &Labels) -> impl Iterator<Item = Entity> {
        self.mapping.iter().filter_map(|naming| naming.entity(labels)).map(|entity| self.resolve(entity))
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

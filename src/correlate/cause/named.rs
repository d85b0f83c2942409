//! What signals name beside what they are about, as the zone or host that it runs on: of all that it has ever run on, and of which
//! nothing is told, that is where it runs now.

use std::collections::{BTreeMap, BTreeSet};

use crate::correlate::Member;
use crate::rules::Topology;
use crate::rules::topology::Node;

use super::explanation::Began;

/// By what they are about.
pub(super) struct Named<'t> {
    topology: &'t Topology,
    by: BTreeMap<Node, BTreeSet<Node>>,
    /// What shows something.
    began: &'t BTreeMap<Node, Began>,
}

impl<'t> Named<'t> {
    pub(super) fn of<'m>(members: impl Iterator<Item = &'m Member>, began: &'t BTreeMap<Node, Began>, topology: &'t Topology) -> Self {
        let mut by: BTreeMap<Node, BTreeSet<Node>> = BTreeMap::new();
        for member in members.filter(|_| topology.names_several()) {
            let (Some(node), Some(labels)) = (topology.node(&member.entity), member.source.labels()) else { continue };
            let names = topology.entities(labels).filter_map(|entity| topology.node(&entity)).filter(|named| *named != node);
            by.entry(node).or_default().extend(names);
        }
        Self { topology, by, began }
    }

    /// Whether something depends on an entity, of which nothing is told, by no more than that its signals have named it at some time, and
    /// now they name others of its kind instead.
    pub(super) fn denies(&self, caller: Node, on: Node) -> bool {
        let Some(names) = self.by.get(&caller).filter(|names| !names.contains(&on)) else { return false };
        let is_alike = |other: &Node| self.topology.name(*other).kind() == self.topology.name(on).kind();
        !self.began.contains_key(&on) && self.topology.is_named(caller, on) && names.iter().any(is_alike)
    }
}

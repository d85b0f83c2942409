//! Suspects: the entities of a situation, ranked by how much of the rest they explain, how early they showed, and
//! whether a change came shortly before. Ranked, not decided; the parts of the score are shown.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{Entity, Timestamp};
use crate::rules::Topology;

use super::{Changed, Situation};

/// Weights of the parts, in nats. What a suspect explains through the topology counts most: an entity on which all
/// others depend is their common cause even where its own sign came late.
const EXPLAINS: f64 = 3.0;
const EARLY: f64 = 2.0;
const CHANGED: f64 = 1.0;

/// An entity that may be the cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// What is suspected.
    pub entity: Entity,
    /// Its share of the suspicion, all suspects together being 1.
    pub probability: f64,
    /// The share of the situation's entities that depend on it, itself included.
    pub explains: f64,
    /// 1 where it showed first, 0 where last or not at all.
    pub early: f64,
    /// When it showed first; none where only its change speaks against it.
    pub first_sign: Option<Timestamp>,
    /// Id of the last change of it shortly before.
    pub change: Option<String>,
}

/// Ranks the suspects of a situation as it was known at `at`, most likely first.
#[must_use]
pub fn rank(situation: &Situation, changes: &[&Changed], topology: &Topology, at: Timestamp) -> Vec<Suspect> {
    let mut first: BTreeMap<&Entity, Timestamp> = BTreeMap::new();
    for member in situation.members.iter().filter(|m| m.starts_at <= at) {
        let sign = first.entry(&member.entity).or_insert(member.starts_at);
        *sign = (*sign).min(member.starts_at);
    }
    let (Some(earliest), Some(latest)) = (first.values().min(), first.values().max()) else { return vec![] };
    let span = latest.since(*earliest).as_secs_f64();
    let candidates: BTreeSet<&Entity> = first.keys().copied().chain(changes.iter().map(|c| &c.entity)).collect();
    let suspect = |entity: &Entity| {
        let dependants = topology.dependants(entity);
        let explained = first.keys().filter(|e| **e == entity || dependants.contains_key(**e)).count();
        let early = first.get(entity).map(|sign| if span > 0.0 { 1.0 - sign.since(*earliest).as_secs_f64() / span } else { 1.0 });
        Suspect {
            entity: entity.clone(),
            probability: 0.0,
            explains: explained as f64 / first.len() as f64,
            early: early.unwrap_or(0.0),
            first_sign: first.get(entity).copied(),
            change: changes.iter().rev().find(|c| c.entity == *entity).map(|c| c.change.id.clone()),
        }
    };
    let mut suspects: Vec<Suspect> = candidates.into_iter().map(suspect).collect();
    share_out(&mut suspects);
    suspects.sort_by(|a, b| b.probability.total_cmp(&a.probability).then_with(|| a.entity.cmp(&b.entity)));
    suspects
}

fn share_out(suspects: &mut [Suspect]) {
    let weight = |s: &Suspect| (EXPLAINS * s.explains + EARLY * s.early + if s.change.is_some() { CHANGED } else { 0.0 }).exp();
    let total: f64 = suspects.iter().map(weight).sum();
    for suspect in suspects {
        suspect.probability = weight(suspect) / total;
    }
}

//! Recent changes: suspects, if they happened shortly before the first sign on an entity they touch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Change, Entity, Timestamp};
use crate::rules::{Topology, Tuning};
use crate::stage::Outcome;

use super::Situation;
use super::kernel::{density_of_change, seconds};
use super::rates::remembered;

/// Changes remembered; beyond it the oldest is forgotten.
const CHANGES_MAX: usize = 20_000;

/// Entities of which it is remembered how often they are changed; beyond it those that seldom are go.
const OFTEN_MAX: usize = 20_000;

/// How long it is remembered, in seconds: two weeks.
const OFTEN_MEMORY: f64 = 14.0 * 86_400.0;

/// Clocks differ by so much.
const TOLERANCE: Duration = Duration::from_secs(5);

/// The share of faults that a change makes.
pub(super) const BY_CHANGE: f64 = 0.4;

/// Rates are of at least so many seconds.
const WATCHED: f64 = 3600.0;

/// Recent changes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Changes {
    /// Oldest first.
    changes: Vec<Changed>,
    /// The same by entity.
    of: BTreeMap<Entity, Vec<Own>>,
    /// How often each entity was changed before those.
    often: BTreeMap<Entity, Often>,
    /// How often all were.
    all: Often,
    began: Option<Timestamp>,
    newest: Timestamp,
}

/// A change of an entity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Own {
    at: Timestamp,
    /// Unique in its source.
    id: String,
    source: String,
}

/// A count that fades.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Often {
    count: f64,
    at: Timestamp,
}

impl Often {
    /// What is left of it by then.
    fn by(self, at: Timestamp) -> f64 {
        self.count * libm::exp(-at.since(self.at).as_secs_f64() / OFTEN_MEMORY)
    }

    fn add(&mut self, at: Timestamp) {
        *self = Self { count: self.by(at) + 1.0, at: self.at.max(at) };
    }
}

/// A change that may have made a fault.
pub(super) struct Likely<'c> {
    pub(super) id: &'c str,
    /// How many seconds before.
    pub(super) before: f64,
    /// How likely it is that it would show after so long, in a second.
    pub(super) density: f64,
    /// How often the entity is changed, in a second.
    pub(super) rate: f64,
}

impl Likely<'_> {
    /// How many times as likely as without it something fails.
    pub(super) fn likelier(&self) -> f64 {
        1.0 - BY_CHANGE + BY_CHANGE * self.density / self.rate
    }
}

/// A change and the entity it touched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// The change.
    pub change: Change,
    /// What it touched.
    pub entity: Entity,
}

impl Own {
    fn of(change: &Change) -> Self {
        Self { at: change.at, id: change.id.clone(), source: change.source.clone() }
    }

    fn is(&self, change: &Change) -> bool {
        self.id == change.id && self.source == change.source
    }
}

impl Changes {
    pub(super) fn push(&mut self, change: &Change, entity: Option<Entity>) -> Outcome {
        let Some(entity) = entity else { return Outcome::NotWanted };
        let place = self.changes.partition_point(|c| c.change.at <= change.at);
        let same_time = self.changes[..place].iter().rev().take_while(|c| c.change.at == change.at);
        let known = self.of.get(&entity).is_some_and(|own| own.iter().any(|own| own.is(change)));
        if known || same_time.clone().any(|c| c.change.id == change.id && c.change.source == change.source) {
            return Outcome::Duplicate;
        }
        self.of.entry(entity.clone()).or_default().push(Own::of(change));
        self.began = Some(self.began.map_or(change.at, |began| began.min(change.at)));
        self.newest = self.newest.max(change.at);
        self.changes.insert(place, Changed { change: change.clone(), entity });
        if self.changes.len() > CHANGES_MAX {
            // Some at once, as what stays moves up.
            self.drop_oldest(CHANGES_MAX / 100);
        }
        Outcome::Applied
    }

    /// Forgets what was before then, but for how often that was.
    pub(super) fn forget(&mut self, before: Timestamp) {
        self.drop_oldest(self.changes.partition_point(|c| c.change.at < before));
    }

    fn drop_oldest(&mut self, number: usize) {
        let mut gone: BTreeMap<Entity, BTreeSet<Own>> = BTreeMap::new();
        for Changed { change, entity } in self.changes.drain(..number) {
            self.often.entry(entity.clone()).or_default().add(change.at);
            self.all.add(change.at);
            gone.entry(entity).or_default().insert(Own::of(&change));
        }
        for (entity, gone) in gone {
            let Some(own) = self.of.get_mut(&entity) else { continue };
            own.retain(|change| !gone.contains(change));
            if own.is_empty() {
                self.of.remove(&entity);
            }
        }
        if self.often.len() > OFTEN_MAX {
            let mut seldom: Vec<(f64, Entity)> = self.often.iter().map(|(of, often)| (often.by(self.newest), of.clone())).collect();
            seldom.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
            seldom.truncate(self.often.len() - OFTEN_MAX + OFTEN_MAX / 100);
            seldom.iter().for_each(|(_, entity)| _ = self.often.remove(entity));
        }
    }

    /// The changes that can have to do with a situation as it was known at `at`: on an entity in it, or on one that
    /// some entity in it depends on within two steps, not after that situation's first sign, and not longer before it
    /// than the window. A change after the first sign is cleared.
    #[must_use]
    pub fn near<'a>(&'a self, situation: &Situation, at: Timestamp, topology: &Topology, tuning: &Tuning) -> Vec<&'a Changed> {
        let members = || situation.members.iter().filter(|m| m.starts_at <= at);
        let Some(first) = members().map(|m| m.starts_at).min() else { return vec![] };
        let mut touched: BTreeSet<&Entity> = BTreeSet::new();
        for entity in members().map(|m| &m.entity) {
            if touched.insert(entity)
                && let Some(node) = topology.node(entity)
            {
                let near = topology.depends_on(node).iter();
                touched.extend(near.flat_map(|on| std::iter::once(on).chain(topology.depends_on(*on))).map(|on| topology.name(*on)));
            }
        }
        let from = self.changes.partition_point(|c| c.change.at < first - tuning.change_window);
        self.changes[from..].iter().take_while(|c| c.change.at <= first).filter(|c| touched.contains(&c.entity)).collect()
    }

    /// The changes of what is in a situation after its first sign, as it was known at `at`: they have not made it, but may have made
    /// it worse, or better.
    #[must_use]
    pub fn since<'a>(&'a self, situation: &Situation, at: Timestamp) -> Vec<&'a Changed> {
        let members = || situation.members.iter().filter(|m| m.starts_at <= at);
        let Some(first) = members().map(|m| m.starts_at).min() else { return vec![] };
        let entities: BTreeSet<&Entity> = members().map(|m| &m.entity).collect();
        let from = self.changes.partition_point(|c| c.change.at <= first);
        self.changes[from..].iter().take_while(|c| c.change.at <= at).filter(|c| entities.contains(&c.entity)).collect()
    }

    /// Of the changes of an entity within a window before an onset, the one that most likely made it. One just after it may be told
    /// with a clock that is fast.
    pub(super) fn likeliest(&self, entity: &Entity, onset: Timestamp, window: Duration, entities: usize) -> Option<Likely<'_>> {
        let own = self.of.get(entity)?;
        // What is changed since, as to take back what made it, says nothing of how often it is changed.
        let by = onset + TOLERANCE;
        let known = || own.iter().filter(|own| own.at <= by);
        let often = self.often.get(entity).map_or(0.0, |often| often.by(by));
        let rate = self.rate(known().count() as f64 + often, by, entities);
        let likely = known().filter(|own| onset.since(own.at) <= window).map(|Own { at, id, .. }| {
            let before = seconds(onset, *at);
            Likely { id, before, density: density_of_change(before.max(0.0)), rate }
        });
        likely.max_by(|a, b| a.density.total_cmp(&b.density))
    }

    /// How many times as likely as usual an entity fails then, for the change that most likely makes it.
    pub(super) fn likelier(&self, entity: &Entity, onset: Timestamp, window: Duration, entities: usize) -> f64 {
        self.likeliest(entity, onset, window, entities).map_or(1.0, |change| change.likelier())
    }

    /// How often an entity is changed of which so many changes are known by then, in a second; who is changed often is little
    /// suspected for it.
    fn rate(&self, own: f64, by: Timestamp, entities: usize) -> f64 {
        let watched = self.began.map_or(0.0, |began| seconds(self.newest.min(by), began));
        let watched = remembered(watched, OFTEN_MEMORY).max(WATCHED);
        // What is changed is there to be, whether the topology lists it or not.
        let entities = entities.max(self.of.len()).max(self.often.len()).max(1);
        let all = self.changes.partition_point(|c| c.change.at <= by) as f64 + self.all.by(by);
        let usual = all / entities as f64;
        ((own - 1.0).max(usual)).max(f64::MIN_POSITIVE) / watched
    }
}

#[cfg(test)]
mod tests {
    use crate::model::Labels;

    use super::*;

    fn change(id: &str, source: &str, at: i64) -> Change {
        Change {
            id: id.into(),
            kind: "deploy".into(),
            labels: Labels::default(),
            at: Timestamp(1_760_000_000_000 + at * 1000),
            summary: String::new(),
            source: source.into(),
        }
    }

    #[test]
    fn an_id_is_unique_in_its_source() {
        let (mut changes, shop) = (Changes::default(), Some(Entity::new("service", "shop")));
        let outcomes = ["jenkins", "argo", "jenkins"].map(|source| changes.push(&change("1234", source, 0), shop.clone()));
        assert_eq!(outcomes, [Outcome::Applied, Outcome::Applied, Outcome::Duplicate]);
    }

    /// Forty others were deployed as well, of which the topology lists none.
    #[test]
    fn what_no_topology_lists_is_changed_as_seldom_as_what_one_does() {
        let (mut changes, shop) = (Changes::default(), Entity::new("service", "shop"));
        for other in 0..40 {
            changes.push(
                &change(&format!("deploy-{other}"), "ci", -3600 - 60 * other),
                Some(Entity::new("service", &format!("other-{other}"))),
            );
        }
        changes.push(&change("deploy", "ci", -60), Some(shop.clone()));
        let onset = change("onset", "ci", 0).at;
        let likelier = |entities| changes.likelier(&shop, onset, Duration::from_secs(3600), entities);
        assert_eq!(likelier(1).to_bits(), likelier(41).to_bits());
        assert!(likelier(1) > 2.0, "{}", likelier(1));
    }

    /// A deploy each noon for two weeks, of which only the last one is remembered by name.
    #[test]
    fn who_is_changed_each_day_is_little_suspected_for_it() {
        let (mut changes, shop) = (Changes::default(), Entity::new("service", "shop"));
        let onset = change("onset", "ci", 120).at;
        let likelier = |changes: &Changes, of: &Entity| changes.likelier(of, onset, Duration::from_secs(3600), 50);
        for day in (1..=14).rev() {
            changes.push(&change(&format!("deploy-{day}"), "ci", -86_400 * day), Some(shop.clone()));
        }
        changes.forget(onset - Duration::from_secs(25_200));
        assert!(changes.changes.is_empty());
        let seldom = Entity::new("service", "seldom");
        for entity in [&shop, &seldom] {
            changes.push(&change(&format!("deploy of {entity}"), "ci", 0), Some(entity.clone()));
        }
        let (often, seldom) = (likelier(&changes, &shop), likelier(&changes, &seldom));
        assert!((20.0..40.0).contains(&often) && seldom > 10.0 * often, "{often}, {seldom}");
    }

    #[test]
    fn a_rollback_does_not_clear_what_it_takes_back() {
        let (mut changes, shop) = (Changes::default(), Entity::new("service", "shop"));
        let onset = change("onset", "ci", 120).at;
        let likelier = |changes: &Changes| changes.likelier(&shop, onset, Duration::from_secs(3600), 1);
        for deploy in 0..3 {
            changes.push(&change(&format!("deploy-{deploy}"), "ci", -86_400 * deploy), Some(shop.clone()));
        }
        let before = likelier(&changes);
        changes.push(&change("rollback", "ci", 1800), Some(shop.clone()));
        assert!(before > 10.0 && likelier(&changes) >= before, "{before}, then {}", likelier(&changes));
    }
}

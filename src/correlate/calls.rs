//! Dependencies that nobody wrote down: calls between services, as the traces' metrics tell of them, and what one signal
//! names together, and what often fails together. They age out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Call, Entity, Timestamp};
use crate::rules::{Dependency, Rules};

/// Pairs of each kind that are remembered: of more, the half that was seen longest ago is forgotten.
const CALLS_MAX: usize = 100_000;

/// What signals name beside one entity and is remembered, the newest: of a service whose pods come and go not each that there was.
const NAMED_EACH_MAX: usize = 256;

/// How often what is to be forgotten is looked for: the topology is built anew where there is something.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// How often an entity must have shown something while another one's trouble spread, to be believed to depend on it.
const TOGETHER_LEAST: u32 = 5;

/// That it failed together with another one is forgotten when it has not for so long.
const TOGETHER_MEMORY: Duration = Duration::from_secs(30 * 86_400);

/// Or for so long, where it did once and there is hardly room for others.
const TOGETHER_ONCE: Duration = Duration::from_secs(86_400);

/// Others of an entity that this is counted of.
const OTHERS_MAX: usize = 8;

/// Who was seen to call whom, and when last.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Calls {
    seen: BTreeMap<(Entity, Entity), Timestamp>,
    /// What one signal named together: what it was about, and where that ran.
    named: BTreeMap<(Entity, Entity), Timestamp>,
    /// When the newest of both was told.
    newest: Timestamp,
    /// Entities that showed something while the trouble of others spread, though no path was known.
    together: BTreeMap<Entity, Others>,
    /// When the newest of all that was shown began.
    shown: Timestamp,
    /// When what is to be forgotten was looked for last.
    swept: Timestamp,
}

/// Why an entity has shown something, as far as that is known.
#[derive(Clone, Copy, Debug)]
pub enum Why<'w> {
    /// By itself, or by a way on which nothing is to be learnt.
    Itself,
    /// It depends on this one, which was in trouble.
    DependsOn(&'w Entity),
    /// The trouble of this one spread meanwhile.
    Meanwhile(&'w Entity),
}

/// While whose trouble an entity showed something.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Others(BTreeMap<Entity, Together>);

/// How often, of how many times since it did first, and when last.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Together {
    times: u32,
    of: u32,
    last: Timestamp,
}

impl Others {
    fn count(&mut self, with: &Entity, at: Timestamp) {
        if self.0.len() >= OTHERS_MAX && !self.0.contains_key(with) {
            let unlearnt = self.0.iter().filter(|(_, together)| !together.is_learnt());
            let Some((least, _)) = unlearnt.min_by_key(|(_, together)| (together.times, together.last)) else { return };
            let least = least.clone();
            self.0.remove(&least);
        }
        // It is one of the times that it showed something.
        let together = self.0.entry(with.clone()).or_insert(Together { of: 1, ..Together::default() });
        *together = Together { times: together.times + 1, last: at.max(together.last), ..*together };
    }

    /// What it is believed to depend on.
    fn dependencies(&self, from: &Entity) -> impl Iterator<Item = Dependency> {
        let learnt = self.0.iter().filter(|(_, together)| together.is_learnt());
        learnt.map(|(on, together)| Dependency { from: from.clone(), on: on.clone(), confidence: together.confidence() })
    }
}

impl Together {
    fn is_learnt(self) -> bool {
        self.times >= TOGETHER_LEAST
    }

    /// Laplace's rule of succession.
    fn confidence(self) -> f64 {
        f64::from(self.times + 1) / f64::from(self.of + 2)
    }
}

/// Makes room where there is none.
fn thin_out<P: Clone + Ord>(pairs: &mut BTreeMap<P, Timestamp>) {
    if pairs.len() < CALLS_MAX {
        return;
    }
    let mut oldest: Vec<(Timestamp, P)> = pairs.iter().map(|(pair, last)| (*last, pair.clone())).collect();
    oldest.sort_unstable();
    for (_, pair) in &oldest[..CALLS_MAX / 2] {
        pairs.remove(pair);
    }
}

impl Calls {
    /// Takes note of a call; gives the dependency where it was not known.
    pub fn see(&mut self, call: &Call) -> Option<Dependency> {
        let pair = (call.client.clone(), call.server.clone());
        self.newest = self.newest.max(call.at);
        if let Some(last) = self.seen.get_mut(&pair) {
            *last = call.at.max(*last);
            return None;
        }
        if self.seen.len() >= CALLS_MAX {
            return None;
        }
        self.seen.insert(pair, call.at);
        Some(Dependency::certain(call.client.clone(), call.server.clone()))
    }

    /// Takes note of all that a signal names beside the entity that it is about: it depends on those, as a service does
    /// on its host. Gives the dependencies that were not known.
    pub fn name(&mut self, about: &Entity, others: impl Iterator<Item = Entity>, at: Timestamp) -> Vec<Dependency> {
        self.newest = self.newest.max(at);
        let mut new = vec![];
        for other in others.filter(|other| other != about) {
            let pair = (about.clone(), other);
            if let Some(last) = self.named.get_mut(&pair) {
                *last = at.max(*last);
            } else if self.named.len() < CALLS_MAX {
                self.named.insert(pair.clone(), at);
                new.push(Dependency::certain(pair.0, pair.1));
            }
        }
        new
    }

    /// An entity has shown something. Where that is often while another one's trouble spreads, it is believed to depend on that
    /// one: gives such dependencies, to be learnt, whose confidence is another one now.
    pub fn shows(&mut self, entity: &Entity, why: Why<'_>, at: Timestamp) -> Vec<Dependency> {
        self.shown = self.shown.max(at);
        if matches!(why, Why::Meanwhile(_)) && self.together.len() < CALLS_MAX {
            self.together.entry(entity.clone()).or_default();
        }
        let Some(others) = self.together.get_mut(entity) else { return vec![] };
        others.0.values_mut().for_each(|together| together.of += 1);
        match why {
            Why::Meanwhile(of) => others.count(of, at),
            // Where the topology says so by itself, there is nothing to learn.
            Why::DependsOn(on) if others.0.contains_key(on) => others.count(on, at),
            Why::DependsOn(_) | Why::Itself => {}
        }
        others.dependencies(entity).collect()
    }

    /// Forgets calls that were last seen this long before the newest, and what has long not failed together, and makes room where
    /// there is none; tells whether a dependency went with them. Where nobody tells of calls any more, none is forgotten for its age.
    pub fn forget(&mut self, after: Duration) -> bool {
        let (newest, shown) = (self.newest, self.shown);
        let is_full = self.seen.len() >= CALLS_MAX || self.named.len() >= CALLS_MAX;
        if !is_full && newest.max(shown).since(self.swept) < SWEEP_EVERY {
            return false;
        }
        self.swept = newest.max(shown);
        let before = self.seen.len() + self.named.len();
        self.seen.retain(|_, last| newest.since(*last) < after);
        self.named.retain(|_, last| newest.since(*last) < after);
        self.thin_out_each();
        thin_out(&mut self.seen);
        thin_out(&mut self.named);
        // Of names that come once and never again, such as pods', there may be too many.
        let crowded = self.together.len() >= CALLS_MAX;
        let mut unlearnt = false;
        self.together.retain(|_, others| {
            others.0.retain(|_, together| {
                let memory = if crowded && together.times == 1 { TOGETHER_ONCE } else { TOGETHER_MEMORY };
                let recent = shown.since(together.last) < memory;
                unlearnt |= !recent && together.is_learnt();
                recent
            });
            !others.0.is_empty()
        });
        unlearnt || self.seen.len() + self.named.len() < before
    }

    /// Forgets what was named with one entity longest ago, where there is too much of it.
    fn thin_out_each(&mut self) {
        let mut each: BTreeMap<&Entity, Vec<(Timestamp, &Entity)>> = BTreeMap::new();
        for ((about, other), last) in &self.named {
            each.entry(about).or_default().push((*last, other));
        }
        let mut gone: Vec<(Entity, Entity)> = vec![];
        for (about, mut others) in each.into_iter().filter(|(_, others)| others.len() > NAMED_EACH_MAX) {
            others.sort_unstable();
            let surplus = others.len() - NAMED_EACH_MAX;
            gone.extend(others[..surplus].iter().map(|(_, other)| (about.clone(), (*other).clone())));
        }
        gone.iter().for_each(|pair| _ = self.named.remove(pair));
    }

    /// The rules with what was learnt added to their topology.
    #[must_use]
    pub fn over(&self, rules: &Rules) -> Rules {
        let mut rules = rules.clone();
        // They may have got other names.
        let resolve = |entity: &Entity| rules.topology.resolve(entity.clone());
        let seen: Vec<Dependency> = self.seen.keys().map(|(from, on)| Dependency::certain(resolve(from), resolve(on))).collect();
        let named = self.named.keys().map(|(from, on)| Dependency::certain(from.clone(), on.clone()));
        seen.iter().for_each(|dependency| rules.topology.add(dependency));
        named.for_each(|dependency| rules.topology.note(&dependency));
        let together = self.together.iter().flat_map(|(entity, others)| others.dependencies(entity));
        together.for_each(|dependency| rules.topology.learn(&dependency));
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service whose pods come and go, one a minute: the newest are remembered, and what else there is stays.
    #[test]
    fn of_what_is_named_with_one_entity_the_newest_is_remembered() {
        let entity = |name: String| Entity::parse(&name).expect("an entity");
        let (web, mut calls) = (entity("service=web".into()), Calls::default());
        calls.name(&entity("service=db".into()), [entity("host=h".into())].into_iter(), Timestamp(0));
        for minute in 0..1000 {
            calls.name(&web, [entity(format!("pod=p{minute}"))].into_iter(), Timestamp(minute * 60_000));
            calls.forget(Duration::from_secs(86_400));
        }
        let known: Vec<&Entity> = calls.named.keys().map(|(_, other)| other).collect();
        assert!(known.len() <= NAMED_EACH_MAX + 11 && known.contains(&&entity("host=h".into())), "{}", known.len());
        assert!(known.contains(&&entity("pod=p999".into())) && !known.contains(&&entity("pod=p0".into())));
    }

    /// Whether it went on or begins with what it remembers, the same is believed; a sign by itself makes it less likely.
    #[test]
    fn what_was_learnt_is_the_same_after_a_restart() {
        let entity = |name: &str| Entity::parse(&format!("service={name}")).expect("an entity");
        let (db, other, billing) = (entity("db"), entity("other"), entity("billing"));
        let (mut calls, mut rules) = (Calls::default(), Rules::default());
        let mut confidences = vec![];
        let whys = [Why::Itself, Why::DependsOn(&db)].into_iter().chain([Why::Meanwhile(&db); 6]);
        for why in whys.chain([Why::Meanwhile(&other), Why::Itself, Why::DependsOn(&db), Why::DependsOn(&other)]) {
            calls.shows(&billing, why, Timestamp(0)).iter().for_each(|dependency| rules.topology.learn(dependency));
            let learnt: Vec<Dependency> = rules.topology.dependencies().collect();
            assert_eq!(learnt, calls.over(&Rules::default()).topology.dependencies().collect::<Vec<_>>());
            confidences.extend(learnt.first().map(|dependency| dependency.confidence));
        }
        assert_eq!(confidences, [6.0 / 7.0, 7.0 / 8.0, 7.0 / 9.0, 7.0 / 10.0, 8.0 / 11.0, 8.0 / 12.0]);
    }
}

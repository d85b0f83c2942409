//! Correlate: signals → situations, the sets of signals believed to have one cause.
//!
//! A signal joins the situation of its own entity or of a direct neighbour in the topology, if the two began close
//! together. Where it touches several, they become one only if a single entity among them explains all: everything
//! else depends on it. Bounded by gap, life and size, so that one hot dependency cannot glue the world together.

mod calls;
mod cause;
mod changes;
mod situation;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Alert, Breach, Change, Definition, Entity, Ladder, Origin, Phase, Reading, Timestamp, labels::Fnv};
use crate::rules::{Rules, Tuning};
use crate::stage::Outcome;

pub use calls::Calls;
pub use cause::{Suspect, rank};
pub use changes::{Changed, Changes};
pub use situation::{Joined, Member, Situation, SituationId, Source};

/// A situation without an incident is forgotten when it heard nothing for this long: Alertmanager repeats a firing
/// alert every four hours by default, so its resolution was lost.
const FORGET_AFTER: Duration = Duration::from_secs(86_400);

/// Ended episodes of alerts that are remembered, so that a late repeat does not fire again; beyond it the half that
/// began earlier is forgotten.
const EPISODES_MAX: usize = 200_000;

/// Situations open at once; beyond it what cannot make a fault opens no new one.
const SITUATIONS_MAX: usize = 100_000;

/// All situations of a domain.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Situations {
    next: u64,
    open: BTreeMap<SituationId, Situation>,
    /// Where a member is, so that a signal about it is found at once.
    member_of: BTreeMap<u64, SituationId>,
    /// The last episode of each fingerprint that has ended.
    ended: BTreeMap<u64, Timestamp>,
    /// The episode of each fingerprint that has not, by its start.
    firing: BTreeMap<u64, Timestamp>,
    /// Recent changes.
    pub changes: Changes,
}

/// What a signal did.
#[derive(Debug)]
pub struct Taken {
    /// How it is counted.
    pub outcome: Outcome,
    /// The situation it is in.
    pub situation: Option<SituationId>,
    /// The member it brought in, by its place in the situation.
    pub joined: Option<usize>,
    /// Situations that went up in this one.
    pub merged: Vec<SituationId>,
}

impl Taken {
    fn nothing(outcome: Outcome) -> Self {
        Self { outcome, situation: None, joined: None, merged: vec![] }
    }
}

impl Situations {
    /// The situation with that id.
    #[must_use]
    pub fn get(&self, id: SituationId) -> Option<&Situation> {
        self.open.get(&id)
    }

    /// The situation with that id, to be changed.
    pub fn get_mut(&mut self, id: SituationId) -> Option<&mut Situation> {
        self.open.get_mut(&id)
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Situation> {
        self.open.values()
    }

    /// Takes in what detection says about a breach.
    pub fn breach(&mut self, breach: &Breach, origin: &Origin, rules: &Rules, tuning: &Tuning) -> Taken {
        let key = breach_key(breach);
        if let Some((situation, member)) = self.member(key) {
            if breach.at <= member.told_at {
                return Taken::nothing(Outcome::Duplicate);
            }
            member.told_at = breach.at;
            member.heard_at = breach.at;
            member.reading = breach.reading;
            member.worst = breach.worst;
            member.met.clone_from(&breach.met);
            member.ends_at = (breach.phase == Phase::Ended).then_some(breach.at);
            member.new_normal = breach.new_normal;
            return Taken { outcome: Outcome::Applied, situation: Some(situation), joined: None, merged: vec![] };
        }
        if breach.phase == Phase::Ended {
            return Taken::nothing(Outcome::NotWanted);
        }
        self.join(
            Member {
                key,
                entity: breach.entity.clone(),
                source: Source::Breach { monitor: breach.monitor.clone(), group: breach.group.clone(), judge: breach.judge },
                summary: breach.definition.as_ref().map_or_else(String::new, |d| d.scenario.clone()),
                definition: breach.definition.clone(),
                origin: origin.clone(),
                starts_at: breach.onset,
                ends_at: None,
                new_normal: false,
                told_at: breach.at,
                heard_at: breach.at,
                reading: breach.reading,
                worst: breach.worst,
                met: breach.met.clone(),
                why: Joined::First,
            },
            rules,
            tuning,
        )
    }

    /// Takes in an external alert that was told at that time.
    pub fn alert(&mut self, alert: &Alert, origin: &Origin, at: Timestamp, rules: &Rules, tuning: &Tuning) -> Taken {
        let open = self.firing.get(&alert.fingerprint).filter(|_| alert.by_key).copied();
        let starts_at = open.unwrap_or(alert.starts_at);
        let key = alert_key(alert.fingerprint, starts_at);
        if let Some((situation, member)) = self.member(key) {
            member.heard_at = member.heard_at.max(at);
            if member.ends_at.is_some() || alert.ends_at.is_none() {
                return Taken::nothing(Outcome::Duplicate);
            }
            member.ends_at = alert.ends_at;
            self.remember_ended(alert.fingerprint, alert.starts_at);
            return Taken { outcome: Outcome::Applied, situation: Some(situation), joined: None, merged: vec![] };
        }
        if self.ended.get(&alert.fingerprint).is_some_and(|ended| *ended >= alert.starts_at) {
            return Taken::nothing(Outcome::Duplicate);
        }
        if alert.ends_at.is_some() {
            // Its firing may come after it, by another way.
            self.remember_ended(alert.fingerprint, alert.starts_at);
            return Taken::nothing(Outcome::NotWanted);
        }
        let member = alert_member(key, alert, origin, at, rules);
        let taken = self.join(member, rules, tuning);
        if taken.joined.is_some() {
            self.firing.insert(alert.fingerprint, alert.starts_at);
        }
        taken
    }

    /// Takes in that an alert has resolved, whichever episode of it was open.
    pub fn resolved(&mut self, fingerprint: u64, at: Timestamp) -> Taken {
        let Some(starts_at) = self.firing.get(&fingerprint).copied() else { return Taken::nothing(Outcome::NotWanted) };
        let Some((situation, member)) = self.member(alert_key(fingerprint, starts_at)) else {
            self.firing.remove(&fingerprint);
            return Taken::nothing(Outcome::NotWanted);
        };
        let ends_at = at.max(starts_at);
        member.heard_at = member.heard_at.max(ends_at);
        member.ends_at = Some(ends_at);
        self.remember_ended(fingerprint, starts_at);
        Taken { outcome: Outcome::Applied, situation: Some(situation), joined: None, merged: vec![] }
    }

    /// Takes in a change.
    pub fn change(&mut self, change: &Change, rules: &Rules) -> Outcome {
        let entity = rules.topology.entity(&change.labels);
        self.changes.push(change, entity)
    }

    fn remember_ended(&mut self, fingerprint: u64, starts_at: Timestamp) {
        if self.firing.get(&fingerprint) == Some(&starts_at) {
            self.firing.remove(&fingerprint);
        }
        self.ended.insert(fingerprint, starts_at);
        if self.ended.len() > EPISODES_MAX {
            let mut starts: Vec<Timestamp> = self.ended.values().copied().collect();
            starts.sort_unstable();
            let middle = starts[starts.len() / 2];
            self.ended.retain(|_, start| *start > middle);
        }
    }

    fn member(&mut self, key: u64) -> Option<(SituationId, &mut Member)> {
        let id = *self.member_of.get(&key)?;
        let member = self.open.get_mut(&id)?.members.iter_mut().find(|m| m.key == key)?;
        Some((id, member))
    }

    fn join(&mut self, mut member: Member, rules: &Rules, tuning: &Tuning) -> Taken {
        let mut touched = self.touched(&member, rules, tuning);
        touched.sort_by_key(|(why, near, id)| (*why != Joined::SameEntity && *why != Joined::Relapse, *near, *id));
        if touched.is_empty() && !member.counts() && self.open.len() >= SITUATIONS_MAX {
            return Taken::nothing(Outcome::Limited);
        }
        let (into, why) = match touched.first() {
            Some((why, _, id)) => (*id, why.clone()),
            None => (self.open_new(), Joined::First),
        };
        let key = member.key;
        member.why = why;
        let Some(situation) = self.open.get_mut(&into) else { return Taken::nothing(Outcome::NotWanted) };
        situation.members.push(member);
        let joined = Some(situation.members.len() - 1);
        self.member_of.insert(key, into);
        let others: Vec<SituationId> = touched.iter().skip(1).map(|(_, _, id)| *id).collect();
        let (situation, merged) = self.merge(into, others, rules, tuning);
        Taken {
            outcome: Outcome::Applied,
            situation: Some(situation),
            joined: if situation == into { joined } else { self.place(key) },
            merged,
        }
    }

    fn place(&self, key: u64) -> Option<usize> {
        self.open.get(self.member_of.get(&key)?)?.members.iter().position(|m| m.key == key)
    }

    fn open_new(&mut self) -> SituationId {
        self.next += 1;
        let id = SituationId(self.next);
        self.open.insert(id, Situation::new(id));
        id
    }

    /// The situations a new member could join, with why and how near in time.
    fn touched(&self, member: &Member, rules: &Rules, tuning: &Tuning) -> Vec<(Joined, Duration, SituationId)> {
        let touches = |s: &Situation| {
            if s.members.len() >= tuning.size_max {
                return None;
            }
            if s.relapses(member, tuning) {
                return Some((Joined::Relapse, Duration::ZERO, s.id));
            }
            if s.recovered_at.is_some() || !s.young_enough(member.starts_at, tuning) {
                return None;
            }
            let (why, near) = nearest(s, member, rules, tuning)?;
            let belongs = why == Joined::SameEntity || one_root(s.entities().chain([&member.entity]), rules);
            belongs.then_some((why, near, s.id))
        };
        self.open.values().filter_map(touches).collect()
    }

    /// Situations become one where one entity among them explains all; never two that are both declared.
    fn merge(
        &mut self,
        mut into: SituationId,
        others: Vec<SituationId>,
        rules: &Rules,
        tuning: &Tuning,
    ) -> (SituationId, Vec<SituationId>) {
        let mut merged = vec![];
        for other in others {
            let (Some(a), Some(b)) = (self.open.get(&into), self.open.get(&other)) else { continue };
            let fits = a.members.len() + b.members.len() <= tuning.size_max;
            if (a.declared && b.declared) || b.recovered_at.is_some() || !fits || !one_root(a.entities().chain(b.entities()), rules) {
                continue;
            }
            let (kept, gone) = if b.declared { (other, into) } else { (into, other) };
            let Some(from) = self.open.remove(&gone) else { continue };
            self.member_of.extend(from.members.iter().map(|m| (m.key, kept)));
            if let Some(situation) = self.open.get_mut(&kept) {
                situation.members.extend(from.members);
            }
            merged.push(gone);
            into = kept;
        }
        (into, merged)
    }

    /// Lets go of what is over, and gives it back.
    pub fn close(&mut self, clock: Timestamp, rules: &Rules, tuning: &Tuning) -> Vec<Situation> {
        let over: Vec<SituationId> = self.open.values().filter(|s| is_over(s, clock, rules, tuning)).map(|s| s.id).collect();
        let gone: Vec<Situation> = over.iter().filter_map(|id| self.open.remove(id)).collect();
        for member in gone.iter().flat_map(|s| &s.members) {
            self.member_of.remove(&member.key);
            if let Source::Alert { fingerprint, .. } = &member.source
                && self.firing.get(fingerprint) == Some(&member.starts_at)
            {
                self.firing.remove(fingerprint);
            }
        }
        self.changes.forget(clock - (tuning.change_window + tuning.life_max));
        gone
    }
}

fn is_over(situation: &Situation, clock: Timestamp, rules: &Rules, tuning: &Tuning) -> bool {
    if let Some(recovered) = situation.recovered_at {
        // What begins within the time to reopen may be told as much later as it is held back.
        return clock > recovered + (tuning.reopen_within + rules.hold_max() + tuning.gap);
    }
    let quiet_since = situation.members.iter().map(|m| m.ends_at.unwrap_or(m.heard_at)).max();
    let quiet = |long: Duration| quiet_since.is_none_or(|since| clock > since + long);
    !situation.declared && (quiet(FORGET_AFTER) || (quiet(tuning.gap) && situation.members.iter().all(|m| m.ends_at.is_some())))
}

/// How a member touches a situation: through its own entity if it can, else through the neighbour nearest in time.
fn nearest(situation: &Situation, member: &Member, rules: &Rules, tuning: &Tuning) -> Option<(Joined, Duration)> {
    let touching = situation.members.iter().filter_map(|m| {
        let near = m.starts_at.distance(member.starts_at);
        let same = m.entity == member.entity;
        if near > tuning.gap && !(same && m.ends_at.is_none()) {
            None
        } else if same {
            Some((Joined::SameEntity, near))
        } else {
            rules.topology.adjacent(&m.entity, &member.entity).then(|| (Joined::Neighbour(m.entity.clone()), near))
        }
    });
    touching.min_by_key(|(why, near)| (*why != Joined::SameEntity, *near))
}

/// Whether all others depend on one of these entities. Two faults under one caller have two roots: what merely
/// depends on both does not make them one.
fn one_root<'e>(entities: impl Iterator<Item = &'e Entity>, rules: &Rules) -> bool {
    let entities: BTreeSet<&Entity> = entities.collect();
    entities.iter().any(|root| {
        let explained = rules.topology.dependants(root);
        entities.iter().all(|e| e == root || explained.contains_key(e))
    })
}

fn breach_key(breach: &Breach) -> u64 {
    Fnv::of(&[b"breach", breach.monitor.as_bytes(), &breach.group.fingerprint().to_be_bytes(), &breach.onset.0.to_be_bytes()])
}

fn alert_key(fingerprint: u64, starts_at: Timestamp) -> u64 {
    Fnv::of(&[b"alert", &fingerprint.to_be_bytes(), &starts_at.0.to_be_bytes()])
}

fn alert_member(key: u64, alert: &Alert, origin: &Origin, at: Timestamp, rules: &Rules) -> Member {
    let name = alert.labels.get("alertname");
    let monitor = rules.alert_monitor(&alert.labels);
    let entity = monitor.and_then(|m| m.entity.entity(&alert.labels)).or_else(|| rules.topology.entity(&alert.labels));
    let summary = if alert.summary.is_empty() { name } else { &alert.summary };
    let own = monitor.and_then(|m| m.definition.clone());
    let definition = own.or_else(|| {
        let generic: Vec<Ladder> = rules.levels.fallback(&alert.labels).cloned().collect();
        (!generic.is_empty()).then(|| Definition { scenario: summary.to_owned(), generic, ..Definition::default() })
    });
    Member {
        key,
        entity: entity.unwrap_or_else(|| Entity::new("alert", name)),
        source: Source::Alert { fingerprint: alert.fingerprint, labels: alert.labels.clone(), monitor: monitor.map(|m| m.name.clone()) },
        summary: definition.as_ref().map_or(summary, |d| &d.scenario).to_owned(),
        definition,
        origin: origin.clone(),
        starts_at: alert.starts_at,
        ends_at: None,
        new_normal: false,
        told_at: alert.starts_at,
        heard_at: at,
        reading: Reading::default(),
        worst: Reading::default(),
        met: vec![],
        why: Joined::First,
    }
}

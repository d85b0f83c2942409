//! The picture of an incident: what has to change for it to be told of again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::correlate::{Member, Ranking, Situation};
use crate::model::{Entity, Fingerprint, Timestamp};

/// Episodes that count and are told apart; a storm is told of by its entities.
const COUNTING_MAX: usize = 200;

/// New ones that are named at a time: entities, and what is told of those that were there.
const NAMED_MAX: usize = 5;

/// Who is in it, what of it counts and lasts, and who is suspected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Picture {
    entities: BTreeSet<Entity>,
    /// The fingerprints of what monitors and alerts tell.
    counting: BTreeSet<Fingerprint>,
    suspect: Option<Entity>,
    lasts: Lasts,
}

/// What of an incident lasts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Lasts {
    /// What leads, with or without others.
    #[default]
    Leader,
    /// The worst of what else counts, in words.
    Other(String),
    /// Nothing that counts.
    Nothing,
}

impl Picture {
    /// Of situations, as it was known at a time.
    pub(super) fn of(situations: &[&Situation], ranking: &Ranking, lasts: Lasts, at: Timestamp) -> Self {
        let known = || members(situations).filter(|m| m.starts_at <= at);
        let suspect = ranking.suspects.first().filter(|_| !ranking.is_undetermined());
        Self {
            entities: known().map(|m| m.entity.clone()).collect(),
            counting: known().filter(|m| m.counts() && m.source.labels().is_some()).take(COUNTING_MAX).map(Member::fingerprint).collect(),
            suspect: suspect.map(|s| s.entity.clone()),
            lasts,
        }
    }

    /// Whether what monitors and alerts tell so was told of, as far as they are told apart.
    pub(super) fn tells_of(&self, member: &Member) -> bool {
        self.counting.len() >= COUNTING_MAX || member.source.labels().is_none() || self.counting.contains(&member.fingerprint())
    }

    /// It was told that this leads.
    pub(super) fn leads(&mut self, member: &Member, lasts: Lasts) {
        self.entities.insert(member.entity.clone());
        self.counting.insert(member.fingerprint());
        self.lasts = lasts;
    }

    /// What is new against an earlier picture of these situations, in words.
    pub(super) fn news(&self, before: &Self, situations: &[&Situation]) -> String {
        // What users cannot do comes first.
        let counts = |entity: &Entity| members(situations).find(|m| m.entity == *entity && m.counts() && m.ends_at.is_none());
        let (worse, others): (Vec<_>, Vec<_>) =
            self.entities.difference(&before.entities).map(|entity| (entity, counts(entity))).partition(|(_, counts)| counts.is_some());
        let name = |(entity, counts): (&Entity, Option<&Member>)| counts.map_or_else(|| entity.to_string(), |member| called(member, ""));
        let new = some(worse.into_iter().chain(others).map(name).collect());
        let joined: Vec<String> =
            new.into_iter().chain(some(self.named(before, situations))).map(|new| format!("now also {new}")).collect();
        let suspect = self.suspect.as_ref().filter(|s| Some(*s) != before.suspect.as_ref()).map(|s| format!("first suspect is now {s}"));
        let lasts = match (&self.lasts, &before.lasts) {
            (Lasts::Other(other), before) if self.lasts != *before => Some(format!("what led has ended; {other} lasts")),
            (Lasts::Leader, Lasts::Other(_)) => Some("what led fails again".to_owned()),
            _ => None,
        };
        joined.into_iter().chain(lasts).chain(suspect).collect::<Vec<_>>().join("; ")
    }

    /// What counts by now of entities that were in it already.
    fn named(&self, before: &Self, situations: &[&Situation]) -> Vec<String> {
        let is_new = |fingerprint: &Fingerprint| self.counting.contains(fingerprint) && !before.counting.contains(fingerprint);
        let known = members(situations).filter(|m| m.counts() && before.entities.contains(&m.entity));
        let new: BTreeMap<Fingerprint, &Member> =
            known.map(|m| (m.fingerprint(), m)).filter(|(fingerprint, _)| is_new(fingerprint)).collect();
        new.values().map(|member| named(member, situations)).collect()
    }
}

/// The first ones by name, and how many more there are; none of none.
fn some(names: Vec<String>) -> Option<String> {
    let more = names.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| names[..names.len() - names.len().saturating_sub(NAMED_MAX)].join(", ") + &more)
}

fn members<'s>(situations: &'s [&Situation]) -> impl Iterator<Item = &'s Member> {
    situations.iter().flat_map(|situation| &situation.members)
}

/// What users cannot do, as that says more than what it is known by, and by what of whom.
pub(super) fn called(member: &Member, more: &str) -> String {
    let (name, scenario) = (member.source.name(), member.summary());
    let what = format!("{name} of {}{more}", member.entity);
    if scenario.is_empty() || scenario == name { what } else { format!("{scenario} ({what})") }
}

/// What it is called, of whom, and by which labels it differs from the first that is called so.
pub(super) fn named(member: &Member, situations: &[&Situation]) -> String {
    let name = member.source.name();
    let first = members(situations).find(|m| m.entity == member.entity && m.source.name() == name);
    let labels = member.source.labels().zip(first.and_then(|first| first.source.labels()));
    let others = labels.map_or_else(Vec::new, |(own, first)| {
        own.iter().filter(|(name, value)| first.get(name) != *value).map(|(name, value)| format!("{name}={value}")).collect()
    });
    let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
    called(member, &others)
}

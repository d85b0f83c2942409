//! Storms: a situation with very many alerts keeps some as members and exact counts of the others, by entity and name.
//! What can make a fault is always kept.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Entity, Fingerprint, Timestamp};

use super::forest::Forest;
use super::sign::{Sign, SignId};
use super::situation::{Member, MemberKey, SituationId, Source};
use super::{News, Situations};

/// Members of one situation that are kept; what can make a fault always is, of the rest so many. Beyond it there are exact
/// counts.
const MEMBERS_MAX: usize = 1000;

/// Members that are kept of what is told in one second; beyond it what an entity shows more than once is only counted.
const A_SECOND_MAX: u32 = 200;

/// Alerts that are only counted and whose ends are known; further ones are counted as told, and not as lasting.
const TALLIED_MAX: usize = 1_000_000;

/// Names by which what an entity shows is counted.
const NAMES_MAX: usize = 1000;

/// By this one further ones are counted together.
const OTHER_NAMES: &str = "(other names)";

/// A storm is over once nothing of what is only counted has lasted for so long.
const CALM_AFTER: Duration = Duration::from_secs(120);

/// How many members were kept in the second that is told of.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pace {
    second: i64,
    kept: u32,
}

impl Pace {
    /// One more is kept that was told then. What comes late counts for the second that is on.
    pub(super) fn keeps(&mut self, at: Timestamp) {
        let second = at.0.div_euclid(1000);
        *self = if second > self.second { Self { second, kept: 1 } } else { Self { kept: self.kept.saturating_add(1), ..*self } };
    }

    fn is_over(self, at: Timestamp) -> bool {
        at.0.div_euclid(1000) <= self.second && self.kept >= A_SECOND_MAX
    }
}

/// How many of one alert there are that are only counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// What they are about.
    pub entity: Entity,
    /// What they are called.
    pub name: Arc<str>,
    /// How many were told.
    pub told: u64,
    /// How many of them last.
    pub firing: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Counted {
    name: Arc<str>,
    pub(super) told: u64,
    firing: u64,
}

impl Sign {
    /// One more that is only counted; gives the name that it is counted by.
    pub(super) fn count(&mut self, name: &str, fires: bool) -> Arc<str> {
        self.gains(fires);
        let all = &mut self.rare.get_or_insert_default().counted;
        let find = |all: &[Counted], name: &str| all.binary_search_by(|counted| (*counted.name).cmp(name));
        let mut found = find(all, name);
        let mut name = name;
        if found.is_err() && all.len() >= NAMES_MAX {
            name = OTHER_NAMES;
            found = find(all, name);
        }
        let place = found.unwrap_or_else(|place| {
            all.insert(place, Counted { name: name.into(), told: 0, firing: 0 });
            place
        });
        let counted = &mut all[place];
        counted.told += 1;
        counted.firing += u64::from(fires);
        counted.name.clone()
    }

    /// Whether anything of it lasts that is only counted.
    fn has_counted_firing(&self) -> bool {
        self.counted().iter().any(|counted| counted.firing > 0)
    }

    /// One of those that are only counted by that name has ended.
    pub(super) fn uncount(&mut self, name: &str) {
        self.loses(true);
        let Some(all) = self.rare.as_mut().map(|rare| &mut rare.counted) else { return };
        if let Ok(place) = all.binary_search_by(|counted| (*counted.name).cmp(name)) {
            all[place].firing = all[place].firing.saturating_sub(1);
        }
    }
}

/// One of those that are only counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tallied {
    pub(super) sign: SignId,
    fingerprint: Option<Fingerprint>,
    name: Arc<str>,
}

impl Forest {
    /// What is only counted in a situation, most first.
    pub(super) fn tallies(&self, situation: SituationId) -> Vec<Tally> {
        let signs = self.signs_in(situation).iter().map(|id| &self[*id]);
        let counted = signs.flat_map(|sign| sign.counted().iter().map(|counted| (sign.entity.clone(), counted)));
        let tally = |(entity, counted): (Entity, &Counted)| Tally {
            entity,
            name: counted.name.clone(),
            told: counted.told,
            firing: counted.firing,
        };
        let mut tallies: Vec<Tally> = counted.map(tally).collect();
        tallies.sort_by(|a, b| b.told.cmp(&a.told).then_with(|| (&a.entity, &a.name).cmp(&(&b.entity, &b.name))));
        tallies
    }

    /// The entity with most alerts in a situation, counted or kept.
    pub(super) fn worst(&self, situation: SituationId) -> Option<Tally> {
        let signs = self.signs_in(situation).iter().map(|id| &self[*id]);
        let worst = signs.max_by(|a, b| a.firing.cmp(&b.firing).then_with(|| b.entity.cmp(&a.entity)))?;
        let name = worst.counted().iter().max_by_key(|counted| counted.told).map_or_else(|| "".into(), |counted| counted.name.clone());
        Some(Tally { entity: worst.entity.clone(), name, told: u64::from(worst.told), firing: u64::from(worst.firing) })
    }

    /// Whether anything lasts that is only counted.
    pub(super) fn has_tallied(&self, situation: SituationId) -> bool {
        self.signs_in(situation).iter().any(|id| self[*id].has_counted_firing())
    }
}

impl Situations {
    /// The situation that is too full to keep this member, if it is; what can make a fault is always kept.
    pub(super) fn full(&self, member: &Member) -> Option<SituationId> {
        let id = self.forest.get(member.sign)?.situation;
        let full = self.open.get(&id)?.members.len() >= MEMBERS_MAX;
        (full && self.may_be_counted(member)).then_some(id)
    }

    /// The same of a member that is new, and also where too many come at once; of each sign one is kept.
    pub(super) fn overrun(&self, member: &Member) -> Option<SituationId> {
        let sign = self.forest.get(member.sign)?;
        let over = self.pace.is_over(self.told) && sign.opener.is_some() && self.open.contains_key(&sign.situation);
        self.full(member).or((over && self.may_be_counted(member)).then_some(sign.situation))
    }

    fn may_be_counted(&self, member: &Member) -> bool {
        member.definition.is_none() && !self.is_inhibiting(member.key)
    }

    pub(super) fn tally(&mut self, situation: SituationId, member: &Member) {
        let Some(sign) = self.forest.get_mut(member.sign) else { return };
        let fires = member.ends_at.is_none() && self.tallied.len() < TALLIED_MAX;
        let name = sign.count(member.source.name(), fires);
        if !fires {
            return;
        }
        let fingerprint = match member.source {
            Source::Alert { fingerprint, .. } => Some(fingerprint),
            Source::Breach { .. } | Source::Person { .. } => None,
        };
        self.tallied.insert(member.key, Tallied { sign: member.sign, fingerprint, name });
        let known = self.storms.get(&situation).copied();
        self.storms.insert(situation, known.map_or(member.heard_at, |known| known.max(member.heard_at)));
        if known.is_none() {
            self.news.push(News::Storm { situation, worst: self.forest.worst(situation) });
        }
    }

    /// Whether there is a storm in a situation, and what most of it is of.
    #[must_use]
    pub fn storm(&self, situation: SituationId) -> Option<Option<Tally>> {
        self.storms.contains_key(&situation).then(|| self.forest.worst(situation))
    }

    /// One of those that are only counted is told of again.
    pub(super) fn hears_tallied(&mut self, key: MemberKey, at: Timestamp) {
        let sign = self.tallied.get(&key).and_then(|tallied| self.forest.get(tallied.sign));
        if let Some(heard) = sign.and_then(|sign| self.storms.get_mut(&sign.situation)) {
            *heard = at.max(*heard);
        }
    }

    /// Signs have moved, and what is only counted with them.
    pub(super) fn storms_move(&mut self, from: SituationId, into: SituationId) {
        let Some(heard) = self.storms.get(&from).copied() else { return };
        let (all, some) = (self.forest.signs_in(from).is_empty(), self.forest.has_tallied(into));
        if all || some {
            let known = self.storms.entry(into).or_insert(heard);
            *known = heard.max(*known);
        }
        if all || some && !self.forest.has_tallied(from) {
            self.storms.remove(&from);
        }
    }

    /// Forgets what is only counted in a situation that goes.
    pub(super) fn forget_tallied(&mut self, situation: SituationId) {
        if self.storms.remove(&situation).is_none() {
            return;
        }
        let Self { tallied, forest, fired, .. } = self;
        tallied.retain(|_, tallied| {
            let stays = forest.get(tallied.sign).is_some_and(|sign| sign.situation != situation);
            if !stays && let Some(fired) = tallied.fingerprint.and_then(|fingerprint| fired.get_mut(&fingerprint)) {
                fired.open = None;
            }
            stays
        });
    }

    /// A member that is only counted from now on.
    pub(super) fn count_only(&mut self, situation: SituationId, member: Box<Member>) {
        self.places.remove(&member.key);
        self.inhibits_no_more(member.key);
        if let Some(sign) = self.forest.get_mut(member.sign) {
            sign.loses(member.ends_at.is_none());
        }
        self.tally(situation, &member);
        self.news.push(News::Counted { situation, member });
    }

    /// The end of one that is only counted, and when that was, where somebody told it; tells whether it was one.
    pub(super) fn ends_tallied(&mut self, key: MemberKey, at: Option<Timestamp>) -> bool {
        let Some(Tallied { sign: id, name, .. }) = self.tallied.remove(&key) else { return false };
        if let Some(sign) = self.forest.get_mut(id) {
            sign.uncount(&name);
            let situation = sign.situation;
            if let Some(at) = at {
                self.forest.ends(id, at);
            }
            if let Some(heard) = self.storms.get_mut(&situation) {
                *heard = (*heard).max(at.unwrap_or(*heard));
            }
        }
        true
    }

    /// Storms are over of which nothing has lasted for a while; what flaps is no other one each time.
    pub(super) fn calms_down(&mut self, clock: Timestamp) {
        let is_over = |(id, heard): &(&SituationId, &Timestamp)| clock.since(**heard) >= CALM_AFTER && !self.forest.has_tallied(**id);
        for situation in self.storms.iter().filter(is_over).map(|(id, _)| *id).collect::<Vec<_>>() {
            self.storms.remove(&situation);
            let worst = self.tallies(situation).into_iter().next();
            self.news.push(News::Calm { situation, worst });
        }
    }

    /// How many there are of what is not kept as a member of a situation: by entity and name, and how many of them last.
    #[must_use]
    pub fn tallies(&self, id: SituationId) -> Vec<Tally> {
        self.forest.tallies(id)
    }
}

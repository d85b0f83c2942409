//! Alerts → episodes: what of an alert is one time that it fired, whoever tells of it, and in whichever order.

use std::time::Duration;

use crate::model::{Alert, Fingerprint, Origin, Timestamp};
use crate::rules::{Rules, Tuning};
use crate::stage::Outcome;

use super::member::{alert_key, alert_member};
use super::{Effect, EndedBy, Member, MemberKey, Situations};

/// Replicas that evaluate one rule see an alert begin so long apart at the most: twice what Prometheus lets pass between two looks
/// by default.
const REPLICAS_WITHIN: Duration = Duration::from_secs(120);

impl Situations {
    /// Takes in an external alert that was told at that time; it was heard at its start at the earliest.
    pub fn alert(&mut self, alert: &Alert, origin: &Origin, told: Timestamp, rules: &mut Rules, tuning: &Tuning) -> Effect {
        let at = told.max(alert.starts_at);
        self.told = if told == Timestamp::MIN { at } else { told };
        let ended = alert.ends_at.filter(|_| !alert.by_key);
        let open = ended.and_then(|_| self.fired.get(&alert.fingerprint)?.open);
        let mut taken = self.episode(alert, origin, at, rules, tuning);
        // Of replicas that evaluate one rule each has seen it begin at another time: what ends after the open episode began ends
        // that as well, unless it is told again that it fires.
        let is_same =
            |open: Timestamp, ended: Timestamp| alert.starts_at < open && open <= ended && open.since(alert.starts_at) <= REPLICAS_WITHIN;
        if let Some((open, ended)) = open.zip(ended).filter(|(open, ended)| is_same(*open, *ended)) {
            taken.ended = self.supersede(alert.fingerprint, open, ended);
        }
        taken
    }

    fn episode(&mut self, alert: &Alert, origin: &Origin, at: Timestamp, rules: &mut Rules, tuning: &Tuning) -> Effect {
        if alert.ends_at.is_some() {
            self.doubts.ends(alert.fingerprint);
        }
        let fired = self.fired.get(&alert.fingerprint);
        let starts_at = fired.and_then(|fired| fired.open).filter(|_| alert.by_key).unwrap_or(alert.starts_at);
        let key = alert_key(alert.fingerprint, starts_at);
        if self.member(key).is_some() {
            return self.told_again(key, alert, origin, at, rules);
        }
        if self.tallied.contains_key(&key) {
            let Some(ended) = alert.ends_at else {
                self.hears_tallied(key, at);
                return Effect::nothing(Outcome::Duplicate);
            };
            self.ends_tallied(key, Some(ended));
            self.ended(alert.fingerprint, starts_at, ended.min(at));
            return Effect::nothing(Outcome::Applied);
        }
        if let Some(fired) = fired.filter(|fired| fired.ended.is_some_and(|ended| ended >= alert.starts_at)) {
            if fired.ended == Some(alert.starts_at) {
                self.doubts(key, fired.heard, at, alert, origin);
            }
            return Effect::nothing(Outcome::Duplicate);
        }
        // What has a new start is not the episode whose end is in doubt.
        self.doubts.ends(alert.fingerprint);
        let open = fired.and_then(|fired| fired.open);
        let before = open.filter(|before| *before < alert.starts_at);
        let next = open.filter(|next| *next > alert.starts_at);
        let member = alert_member(key, alert, self.origin(origin), at, rules);
        let mut taken = if let Some(ended) = alert.ends_at.or(next) {
            // Its firing may come after it, by another way. What is over makes no fault, but it is evidence while it is new.
            let (old, superseded) = (at.since(ended) >= tuning.gap, alert.ends_at.is_none());
            let definition = member.definition.clone().filter(|_| superseded);
            let ended_by = if superseded { EndedBy::Next } else { EndedBy::Told };
            let member = Member { definition, ends_at: Some(ended), ended_by, ..member };
            let taken = if old { Effect::nothing(Outcome::NotWanted) } else { self.join(alert.fingerprint, member, rules, tuning) };
            self.ended(alert.fingerprint, alert.starts_at, ended.min(at));
            taken
        } else {
            let taken = self.join(alert.fingerprint, member, rules, tuning);
            if let Some(fired) = self.fired.get_mut(&alert.fingerprint).filter(|_| taken.joined) {
                fired.open = Some(alert.starts_at);
            }
            taken
        };
        // Nobody told of the end of the episode before.
        if let Some(before) = before {
            taken.ended = self.supersede(alert.fingerprint, before, alert.starts_at);
        }
        taken
    }

    /// An alert is told of whose episode is a member.
    fn told_again(&mut self, key: MemberKey, alert: &Alert, origin: &Origin, at: Timestamp, rules: &Rules) -> Effect {
        let Some((_, member)) = self.member(key) else { return Effect::nothing(Outcome::NotWanted) };
        let starts_at = member.starts_at;
        // It contradicts a person who said that it was over, or that the next episode is all there is: it fires, or ended at
        // another time.
        let contradicts = member.ended_by != EndedBy::Told && (alert.ends_at.is_some() || member.ends_at.is_some_and(|ended| at > ended));
        let duplicate = !contradicts && (member.ends_at.is_some() || alert.ends_at.is_none());
        let known_end = member.ends_at;
        self.update(key, |member| {
            member.heard_at = member.heard_at.max(at);
            if !duplicate {
                (member.ends_at, member.ended_by) = (alert.ends_at, EndedBy::Told);
                member.settled_at = member.settled_at.filter(|_| alert.ends_at.is_some());
            }
        });
        if duplicate {
            if let Some(ended) = known_end {
                self.doubts(key, ended, at, alert, origin);
            }
            return Effect::nothing(Outcome::Duplicate);
        }
        match alert.ends_at {
            Some(ended) => self.ended(alert.fingerprint, starts_at, ended.min(at)),
            None => {
                if let Some(fired) = self.fired.get_mut(&alert.fingerprint) {
                    fired.open.get_or_insert(starts_at);
                }
                self.suppress(key, rules);
            }
        }
        Effect::updated(key)
    }

    /// The key of an alert's episode that lasts.
    #[must_use]
    pub fn lasting(&self, fingerprint: Fingerprint) -> Option<MemberKey> {
        self.fired.get(&fingerprint)?.open.map(|open| alert_key(fingerprint, open))
    }
}

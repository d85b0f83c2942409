//! How often each alert fires: its episodes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Fingerprint, Timestamp};
use crate::rules::{Node, Rules, Tuning};
use crate::stage::Outcome;

use super::forest::OVER_AFTER;
use super::member::{alert_key, called};
use super::rates::Flaps;
use super::sign::SignId;
use super::{Effect, EndedBy, Member, MemberKey, Situations};

/// Fingerprints whose last episodes are remembered, so that a late repeat does not fire again; beyond it the half that
/// fired longer ago is forgotten, what has not ended last.
const EPISODES_MAX: usize = 200_000;

/// The episodes of one fingerprint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Firing {
    /// The start of the one that has not ended.
    pub(super) open: Option<Timestamp>,
    /// The start of the last one that has.
    pub(super) ended: Option<Timestamp>,
    pub(super) sign: Option<SignId>,
    pub(super) flaps: Flaps,
    /// The last starts, where somebody asks how often there was one.
    pub(super) starts: Vec<Timestamp>,
    pub(super) heard: Timestamp,
    /// The start of the first episode of those that followed one another without a long pause; what flaps is one alert.
    pub(super) since: Timestamp,
}

impl Firing {
    pub(super) fn new(at: Timestamp) -> Self {
        Self { open: None, ended: None, sign: None, flaps: Flaps::new(at), starts: vec![], heard: at, since: at }
    }

    /// Takes note of a start, for those who ask how often there was one.
    pub(super) fn starts(&mut self, at: Timestamp, rules: &Rules) {
        let Some(rule) = rules.suppress.flapping else { return };
        self.starts.push(at);
        let kept = rule.times as usize;
        if self.starts.len() > kept {
            self.starts.drain(..self.starts.len() - kept);
        }
    }
}

impl Situations {
    /// The next episode of an alert began then, so that one is over; gives it, where it is a member.
    pub(super) fn supersede(&mut self, fingerprint: Fingerprint, before: Timestamp, at: Timestamp) -> Option<MemberKey> {
        let key = alert_key(fingerprint, before);
        if let Some(fired) = self.fired.get_mut(&fingerprint).filter(|fired| fired.open == Some(before)) {
            fired.open = None;
        }
        self.ends_tallied(key, None);
        self.update(key, |member| {
            if member.ends_at.is_none() {
                (member.ends_at, member.ended_by) = (Some(at), EndedBy::Next);
            }
        });
        self.place(key).map(|_| key)
    }

    /// Whether a person has said that an alert's episode is over.
    #[must_use]
    pub fn is_said_over(&self, fingerprint: Fingerprint, starts_at: Timestamp) -> bool {
        self.member(alert_key(fingerprint, starts_at)).is_some_and(|(_, member)| member.is_said_over())
    }

    /// Takes in that an alert has resolved, whichever episode of it was open.
    pub fn resolved(&mut self, fingerprint: Fingerprint, at: Timestamp) -> Effect {
        self.doubts.ends(fingerprint);
        let Some(starts_at) = self.fired.get(&fingerprint).and_then(|fired| fired.open) else {
            // What began before and is told of later is over.
            self.ended(fingerprint, at - Duration::from_millis(1), at);
            return Effect::nothing(Outcome::NotWanted);
        };
        let key = alert_key(fingerprint, starts_at);
        let ends_at = at.max(starts_at);
        self.ended(fingerprint, starts_at, ends_at);
        if self.ends_tallied(key, Some(ends_at)) {
            return Effect::nothing(Outcome::Applied);
        }
        if self.place(key).is_none() {
            return Effect::nothing(Outcome::NotWanted);
        }
        self.update(key, |member| {
            member.heard_at = member.heard_at.max(ends_at);
            member.ends_at = Some(ends_at);
        });
        Effect::updated(key)
    }

    /// An episode of an alert has ended.
    pub(super) fn ended(&mut self, fingerprint: Fingerprint, starts_at: Timestamp, at: Timestamp) {
        let fired = self.fired.entry(fingerprint).or_insert_with(|| Box::new(Firing::new(starts_at)));
        if fired.open == Some(starts_at) {
            fired.open = None;
        }
        fired.ended = fired.ended.max(Some(starts_at));
        let newest = fired.flaps.last();
        if starts_at < newest && newest < at {
            fired.since = newest;
        }
        fired.heard = fired.heard.max(at);
        self.forget_fingerprints();
    }

    fn forget_fingerprints(&mut self) {
        if self.fired.len() > EPISODES_MAX {
            let order = |fingerprint: &Fingerprint, fired: &Firing| (fired.open.is_some(), fired.heard, *fingerprint);
            let mut all: Vec<(bool, Timestamp, Fingerprint)> =
                self.fired.iter().map(|(fingerprint, fired)| order(fingerprint, fired)).collect();
            all.sort_unstable();
            let middle = all[all.len() / 2];
            self.fired.retain(|fingerprint, fired| order(fingerprint, fired) > middle);
        }
    }

    /// The same of what is told under changing labels, as by pods that come and go: another alert of that name about the entity fired
    /// before, and may fire again. What began with it is one burst, and says nothing of how often that is; only what was alone does.
    pub(super) fn fires_for_others(&self, member: &Member, node: Node, tuning: &Tuning) -> Option<(f64, SignId)> {
        let (at, name) = (member.starts_at, member.source.name());
        let called = called(&member.source);
        let mut signs = self.forest.signs_of(node).filter_map(|id| self.forest.get(id));
        let sign = signs.find(|sign| sign.name.is(called) && at.since(sign.first) >= OVER_AFTER)?;
        // What lasts, or had a part in a fault, says nothing of what comes by itself.
        if sign.firing > 0 || self.forest.signs_in(sign.situation).len() > 1 {
            return None;
        }
        let (sign, situation) = (sign.id, self.open.get(&sign.situation)?);
        let kin = || situation.members.iter().filter(|of| of.sign == sign && of.source.name() == name);
        let heard = kin().map(|of| of.ends_at.unwrap_or(of.heard_at)).max()?;
        let mut starts: Vec<Timestamp> = kin().map(|of| of.starts_at).collect();
        starts.sort_unstable();
        starts.dedup_by(|next, one| next.since(*one) < OVER_AFTER);
        let is_new = starts.last().is_some_and(|last| at.since(*last) >= OVER_AFTER);
        (is_new && at.since(heard) < tuning.gap).then(|| (Flaps::of(&starts).fires(at), sign))
    }

    /// Takes note of an episode; gives how often it was to be expected, and the sign of the one before.
    pub(super) fn fires_again(&mut self, fingerprint: Fingerprint, at: Timestamp, tuning: &Tuning) -> Option<(f64, SignId)> {
        let fired = self.fired.entry(fingerprint).or_insert_with(|| Box::new(Firing::new(at)));
        let before = fired.sign.filter(|_| at.since(fired.heard) < tuning.gap);
        if fired.open.is_none() && at.since(fired.heard) >= OVER_AFTER {
            fired.since = at;
        }
        let again = before.map(|sign| (fired.flaps.fires(at), sign));
        fired.heard = fired.heard.max(at);
        self.forget_fingerprints();
        again
    }
}

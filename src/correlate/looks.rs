//! Second looks: what nothing explains, or what fires again, may be part of something that came later.

use std::time::Duration;

use crate::model::Timestamp;
use crate::rules::{Rules, Tuning};

use super::Situations;
use super::forest::{Forest, View};
use super::member::blur;
use super::sign::{Onset, SignId};

/// What nothing new explains is looked at again after so long, and once more.
const LOOK_AGAIN: [Duration; 2] = [Duration::from_secs(50), Duration::from_secs(400)];

impl Forest {
    /// To be looked at again.
    pub(super) fn look_later(&mut self, id: SignId) {
        self.due.insert((self.now + LOOK_AGAIN[0], id, 0));
    }

    /// Lets time pass: what came by itself is looked at again.
    pub(super) fn advance(&mut self, now: Timestamp, view: View<'_>) {
        if now <= self.now {
            return;
        }
        self.now = now;
        self.rates.advance(now);
        while let Some((at, id, looks)) = self.due.first().copied().filter(|(at, ..)| *at <= now) {
            self.due.pop_first();
            let Some(sign) = self.get(id) else { continue };
            if sign.cause.is_none() {
                self.reconsider(id, view);
            }
            if let Some(after) = LOOK_AGAIN.get(usize::from(looks) + 1) {
                self.due.insert((at + *after, id, looks + 1));
            }
        }
    }
}

impl Situations {
    /// A member fires again: how often that was to be expected.
    pub(super) fn look_later(&mut self, key: u64, at: Timestamp, rate: f64) {
        self.again.insert((at + LOOK_AGAIN[0], key), (rate, 0));
    }

    /// Lets time pass: what was unexplained is looked at again, in the light of what has come since.
    pub(super) fn advance(&mut self, now: Timestamp, rules: &Rules, tuning: &Tuning) {
        while let Some((&(at, key), &(rate, looks))) = self.again.first_key_value().filter(|((at, _), _)| *at <= now) {
            self.again.pop_first();
            self.look_again(key, rate, rules, tuning);
            if let Some(after) = LOOK_AGAIN.get(usize::from(looks) + 1) {
                self.again.insert((at + *after, key), (rate, looks + 1));
            }
        }
        let view = View::new(&rules.topology, &self.open, &self.changes, tuning, &self.forest);
        self.forest.advance(now, view);
        self.settle();
        self.look_at_ends(rules, tuning);
    }

    /// What fires again may by now be known to be part of something new.
    fn look_again(&mut self, key: u64, rate: f64, rules: &Rules, tuning: &Tuning) {
        let Some((_, member)) = self.member(key).filter(|(situation, _)| !situation.declared) else { return };
        let sign = member.sign;
        let Some(node) = rules.topology.node(&member.entity) else { return };
        let onset = Onset { node, at: member.starts_at, blur: blur(member, rules) };
        let view = View::new(&rules.topology, &self.open, &self.changes, tuning, &self.forest);
        let (other, why) = self.forest.place(onset, Some((rate, sign)), view);
        self.settle();
        if other != sign {
            self.moves(&[key], sign, other, &why);
        }
    }
}

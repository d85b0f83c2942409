//! Second looks: what nothing explains, or what fires again, may be part of something that came later.

use std::time::Duration;

use crate::model::Timestamp;
use crate::rules::{Rules, Tuning};

use super::forest::{Forest, View};
use super::member::{blur, called};
use super::sign::{Onset, SignId};
use super::{MemberKey, Situations};

/// What nothing new explains is looked at again after so long, and once more.
const LOOK_AGAIN: [Duration; 2] = [Duration::from_secs(50), Duration::from_secs(400)];

/// Looks of each kind that one signal may cost; the others wait for the next one, or for the clock.
pub(super) const BY_A_SIGNAL: usize = 1;

/// Looks of each kind that the clock, or the end of a record, may cost; the others wait for the next time.
pub(super) const BY_THE_CLOCK: usize = 64;

impl Forest {
    /// To be looked at again.
    pub(super) fn look_later(&mut self, id: SignId) {
        self.due.insert((self.now + LOOK_AGAIN[0], id, 0));
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, now: Timestamp) {
        if now > self.now {
            self.now = now;
            self.rates.advance(now);
        }
    }

    /// Looks again at what came by itself, so often at most.
    fn look_again(&mut self, most: usize, view: View<'_>) {
        let mut looked = 0;
        while looked < most {
            let Some((at, id, looks)) = self.due.first().copied().filter(|(at, ..)| *at <= self.now) else { return };
            self.due.pop_first();
            let Some(sign) = self.get(id) else { continue };
            if sign.cause.is_none() {
                self.reconsider(id, view);
                looked += 1;
            }
            if let Some(after) = LOOK_AGAIN.get(usize::from(looks) + 1) {
                self.due.insert((at + *after, id, looks + 1));
            }
        }
    }
}

impl Situations {
    /// A member fires again: how often that was to be expected.
    pub(super) fn look_later(&mut self, key: MemberKey, at: Timestamp, rate: f64) {
        self.again.insert((at + LOOK_AGAIN[0], key), (rate, 0));
    }

    /// Lets time pass: what was unexplained is looked at again, in the light of what has come since, and what is over as well; so
    /// many of each at most.
    pub(super) fn advance(&mut self, now: Timestamp, most: usize, rules: &Rules, tuning: &Tuning) {
        for _ in 0..most {
            let Some((&(at, key), &(rate, looks))) = self.again.first_key_value().filter(|((at, _), _)| *at <= now) else { break };
            self.again.pop_first();
            self.look_again(key, rate, rules, tuning);
            if let Some(after) = LOOK_AGAIN.get(usize::from(looks) + 1) {
                self.again.insert((at + *after, key), (rate, looks + 1));
            }
        }
        self.forest.advance(now);
        let view = View::new(&rules.topology, &self.open, &self.changes, tuning, &self.forest);
        self.forest.look_again(most, view);
        self.apply_moves();
        for _ in 0..most {
            let Some(id) = self.forest.next_over() else { return };
            self.look_at_end(id, rules, tuning);
        }
    }

    /// What fires again may by now be known to be part of something new.
    fn look_again(&mut self, key: MemberKey, rate: f64, rules: &Rules, tuning: &Tuning) {
        let Some((_, member)) = self.member(key).filter(|(situation, _)| !situation.is_declared()) else { return };
        let sign = member.sign;
        let Some(node) = rules.topology.node(&member.entity) else { return };
        let onset = Onset { node, at: member.starts_at, blur: blur(member, rules), name: called(&member.source) };
        let view = View::new(&rules.topology, &self.open, &self.changes, tuning, &self.forest);
        let (other, why) = self.forest.place(onset, Some((rate, sign)), view);
        self.apply_moves();
        if other != sign {
            self.moves(&[key], sign, other, &why);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::correlate::{Changes, SituationId};
    use crate::model::Entity;
    use crate::rules::{Dependency, Topology};

    use super::super::sign::Name;
    use super::*;

    #[test]
    fn looks_that_are_too_many_wait_and_are_not_forgotten() {
        let (mut forest, mut topology) = (Forest::default(), Topology::default());
        let began = Timestamp(1_760_000_000_000);
        forest.advance(began);
        for number in 0..100 {
            let service = |name: &str| Entity::new("service", &format!("{name}-{number}"));
            topology.add(&Dependency::certain(service("svc"), service("db")));
            let node = topology.number(&service("svc"));
            let id = forest.grow(Onset { node, at: began, blur: 0.0, name: Name::default() }, 1, SituationId(number), &topology);
            forest.look_later(id);
        }
        let (changes, tuning, open) = (Changes::default(), Tuning::default(), BTreeMap::new());
        forest.advance(began + LOOK_AGAIN[0]);
        let waiting = [BY_A_SIGNAL, BY_THE_CLOCK, BY_THE_CLOCK].map(|most| {
            let view = View::new(&topology, &open, &changes, &tuning, &forest);
            forest.look_again(most, view);
            forest.due.iter().filter(|(at, ..)| *at <= forest.now).count()
        });
        assert_eq!(waiting, [99, 35, 0]);
        assert_eq!(forest.due.len(), 100, "each has a look left");
    }
}

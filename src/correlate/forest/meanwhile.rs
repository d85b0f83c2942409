//! What spreads at a time, as far as that may have reached what no known way connects with it.

use std::collections::BTreeMap;
use std::time::Duration;

use smallvec::SmallVec;

use crate::correlate::kernel::{self, NEAR, seconds};
use crate::correlate::member::NAMELESS;
use crate::correlate::sign::{Link, Name, Sign, SignId};
use crate::correlate::situation::SituationId;
use crate::model::Timestamp;
use crate::rules::Topology;

use super::Forest;
use super::candidates::Candidates;
use super::ends::{Ends, typical_end};

/// What goes on meanwhile is a spreading fault from so many signs on.
const SPREADING: f64 = 1.7;

/// Those of one name have one cause from so many on that came by themselves at that moment.
const CROWDED: f64 = 2.7;

/// By so many nats that must be likelier than that as many came by chance, as often as signs of that name begin.
const NO_CHANCE: f64 = 7.0;

/// Of a name that has never been heard so many are to be expected.
const RARE: f64 = 0.01;

/// That those of one name come together by chance is so many times rarer than that any do.
const ALIKE: f64 = 3.0;

/// Two that no known way connects may end together by chance: no end speaks more for it than by this factor.
const BY_CHANCE: f64 = 3.0;

/// Two that each have brought so many others are two faults, unless a known way connects them or they end as one.
const OF_ITS_OWN: usize = 8;

/// Signs that are looked through for what goes on around a time, to each side of it.
pub(in crate::correlate) const AROUND_MAX: usize = 48;

/// Signs that are counted around a time, to each side of it.
const CROWD_MAX: usize = 4096;

/// How many signs of a situation began around a time, each counting by how near that is, and what their ends say.
#[derive(Default)]
struct Spread {
    /// One of them.
    of: SignId,
    signs: f64,
    /// Of these, strangers that came by themselves.
    lone: f64,
    /// Of these, what is called as that which they are held against, and no known way explains; once all situations' are counted
    /// together, in the one that has most.
    alike: f64,
    factors: f64,
    /// By how much later than they it ended, of those of which that is known, which count so much.
    later: f64,
    known: f64,
    lasts: bool,
}

/// What no known way explains of a sign that another one is held against.
struct Alone {
    /// Both are strangers, and this one came by itself and brought nothing.
    stranger: bool,
    /// Both are called the same.
    alike: bool,
}

impl Spread {
    fn add(&mut self, of: &Sign, Alone { stranger, alike }: Alone, weight: f64, ends: Option<Ends>) {
        self.of = of.id;
        self.signs += weight;
        self.lone += if stranger { weight } else { 0.0 };
        self.alike += if alike { weight } else { 0.0 };
        self.factors += weight * ends.map_or(1.0, |ends| f64::from(ends.factor).min(BY_CHANCE));
        if let Some(ends) = ends {
            self.later += weight * f64::from(ends.later);
            self.known += weight;
            self.lasts |= ends.lasts;
        }
    }

    /// So many others count as well, which end as these do.
    fn take_in(&mut self, others: f64) {
        self.factors += others * self.factor();
        self.signs += others;
    }

    fn factor(&self) -> f64 {
        self.factors / self.signs
    }

    /// What all of their ends say, and that of the root: half of the nats by which that speaks against it, as it may be another
    /// fault's by then.
    fn ends(&self, root: Option<Ends>) -> Option<Ends> {
        let of_root = root.map_or(1.0, |root| f64::from(root.factor).min(1.0).sqrt());
        let (later, factor) = ((self.later / self.known) as f32, (self.factor() * of_root) as f32);
        if self.known > 0.0 {
            Some(Ends { later, lasts: self.lasts, most: false, factor })
        } else {
            root.map(|root| Ends { factor, ..root })
        }
    }
}

impl Forest {
    /// What spreads at that time may have reached it by a way that the topology does not know.
    pub(super) fn meanwhile(&self, found: &mut Candidates<'_>) {
        let Some(own) = found.me else { return };
        let is_fault = self.has_brought(own.id, None);
        let ended = if is_fault { typical_end(self.hanging(own.id, None)) } else { None };
        // What is inferred is so from what depends on it, however little else is known of it.
        let stranger = own.told > 0 && is_stranger(own, found.view.topology);
        for spread in
            self.spreading(own, stranger, found).filter(|spread| spread.signs * spread.factor() >= SPREADING || spread.alike >= CROWDED)
        {
            let root = self.root(spread.of);
            // One that follows another does not make a chain without end.
            if stranger && seconds(own.first, self[root].first).abs() >= NEAR {
                continue;
            }
            let two = is_fault && self.has_brought(root, Some(own.id));
            let ends =
                if two { ended.and_then(|ended| self.ended_as_one(own, ended, root)) } else { spread.ends(self.ended(own, &self[root])) };
            if !two || ends.is_some() {
                let entities = found.view.entities;
                // What is called as these are needs no more of a way to them than a stranger does.
                let alike = if spread.alike >= CROWDED { ALIKE * kernel::unconnected(spread.alike, entities, true) } else { 0.0 };
                let rate = kernel::unconnected(spread.signs, entities, stranger).max(alike);
                found.add(root, Link::Meanwhile, rate, 1.0, ends);
            }
        }
    }

    /// What goes on in each situation as a sign begins, but for what hangs on that one.
    fn spreading(&self, own: &Sign, stranger: bool, found: &Candidates<'_>) -> impl Iterator<Item = Spread> + use<> {
        let mut spreading: BTreeMap<SituationId, Spread> = BTreeMap::new();
        let stands_for = if stranger { self.stands_for(own.first) } else { 1.0 };
        // Alerts of one name, all at once and each alone, have one cause that is in no topology: a certificate, a zone, a rollout.
        let alone = |sign: &Sign| Alone {
            stranger: stranger && sign.cause.is_none() && sign.effects.is_empty() && is_stranger(sign, found.view.topology),
            alike: sign.is_unexplained() && own.effects.is_empty() && own.name.is(sign.name),
        };
        for sign in self.around(own.first, kernel::MEANWHILE_WITHIN) {
            let weight = stands_for * kernel::meanwhile(seconds(sign.first, own.first));
            if sign.situation != own.situation || !self.is_below(sign.id, own.id) {
                spreading.entry(sign.situation).or_default().add(sign, alone(sign), weight, self.ended(own, sign));
            }
        }
        if stranger {
            // They are one fault rather than as many as there are.
            let mut open: SmallVec<[&mut Spread; 8]> =
                spreading.iter_mut().filter(|(situation, _)| found.joins(**situation)).map(|(_, spread)| spread).collect();
            let lone: f64 = open.iter().map(|spread| spread.lone).sum();
            if let Some(largest) = open.iter_mut().max_by(|a, b| a.signs.total_cmp(&b.signs)) {
                largest.take_in(lone - largest.lone);
            }
        }
        self.count_alike(own, &mut spreading, found);
        spreading.into_values()
    }

    /// Those of one name count together, in the situation that has most of them, where so many are no chance.
    fn count_alike(&self, own: &Sign, spreading: &mut BTreeMap<SituationId, Spread>, found: &Candidates<'_>) {
        let open = |(situation, spread): &(&SituationId, &Spread)| spread.alike > 0.0 && found.joins(**situation);
        let all: f64 = spreading.iter().filter(open).map(|(_, spread)| spread.alike).sum();
        let most = spreading.iter().filter(open).max_by(|(a, one), (b, other)| one.alike.total_cmp(&other.alike).then_with(|| b.cmp(a)));
        let most = most.map(|(situation, _)| *situation);
        for (situation, spread) in spreading.iter_mut().filter(|(_, spread)| spread.alike > 0.0) {
            // What it cannot become part of may still be the same.
            let together = if Some(*situation) == most { all } else { spread.alike };
            spread.alike = if self.is_no_chance(own.name, together) { together } else { 0.0 };
        }
    }

    /// Whether so many signs of a name do not begin at once by chance, as often as they do.
    fn is_no_chance(&self, name: Name, signs: f64) -> bool {
        let nats = |usual: f64| signs * libm::log(signs / usual) - (signs - usual);
        signs >= CROWDED && nats(self.rates.usual(name, kernel::MEANWHILE_WINDOW, signs).max(RARE)) >= NO_CHANCE
    }

    /// For how many each of those counts that are looked at around a time, as there may be more.
    fn stands_for(&self, at: Timestamp) -> f64 {
        let near = self.around(at, kernel::MEANWHILE_WITHIN);
        let (looked_at, counts) = near.fold((0, 0.0), |(n, all), sign| (n + 1, all + kernel::meanwhile(seconds(sign.first, at))));
        if looked_at < AROUND_MAX {
            return 1.0;
        }
        let others = self.crowd(at, kernel::MEANWHILE_WITHIN) - looked_at;
        1.0 + others as f64 * kernel::MEANWHILE_EACH / counts
    }

    /// Whether a sign, but for one that may hang on it, has brought so many others that it is a fault of its own.
    fn has_brought(&self, top: SignId, but: Option<SignId>) -> bool {
        self.hanging(top, but).nth(OF_ITS_OWN).is_some()
    }

    /// What began that of which a sign is part.
    pub(in crate::correlate) fn root(&self, mut id: SignId) -> SignId {
        while let Some(cause) = &self[id].cause {
            id = cause.sign;
        }
        id
    }

    /// The signs that began around a time, of which something is told; the nearest ones, if there are many.
    fn around(&self, at: Timestamp, within: Duration) -> impl Iterator<Item = &Sign> {
        self.near(at, within, AROUND_MAX).map(|id| &self[id])
    }

    /// How many there are of them, as far as they are counted.
    fn crowd(&self, at: Timestamp, within: Duration) -> usize {
        self.near(at, within, CROWD_MAX).count()
    }

    /// The signs that began around a time, of which something is told: so many to each side, the nearest.
    pub(super) fn near(&self, at: Timestamp, within: Duration, most: usize) -> impl Iterator<Item = SignId> {
        let least = |at: Timestamp| (at, SignId::default());
        let before = self.began.range(least(at - within)..least(at)).rev().take(most);
        let after = self.began.range(least(at)..least(at + within)).take(most);
        before.chain(after).map(|(_, id)| *id)
    }
}

/// Whether nobody tells on what the entity of a sign depends; of an alert that names no entity there is nothing to tell.
fn is_stranger(sign: &Sign, topology: &Topology) -> bool {
    topology.is_stranger(sign.node) && sign.entity.kind() != NAMELESS
}

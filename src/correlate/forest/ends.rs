//! When signs ended: an effect is over soon after its cause, so what began together and ended apart are two faults.
//!
//! Once nothing of a sign has fired for a while it is over, and its cause is sought once more. Where its alerts ended in bursts
//! apart from one another, it may have been more than one sign.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::correlate::Situations;
use crate::correlate::effect::News;
use crate::correlate::kernel::{self, seconds};
use crate::correlate::membership::{How, Membership};
use crate::correlate::rates::{Kind, ONLY_ONE};
use crate::correlate::sign::{Onset, Sign, SignId};
use crate::correlate::situation::{Member, MemberKey};
use crate::model::{Fingerprint, Timestamp};
use crate::rules::{Rules, Tuning};

use super::{ASKED, Forest, View};

/// What fires no more for so long is over: what flaps fires again before.
pub(in crate::correlate) const OVER_AFTER: Duration = Duration::from_secs(200);

/// Alerts about one entity that ended further apart than this may be of two faults: what ends with one fault does within it.
const BURST: Duration = Duration::from_secs(200);

/// Two faults that no known way connects are parts of one, if that they ended so is so many times as likely of these.
const AS_ONE: f32 = 8.0;

/// So few effects, or fewer, say nothing of whether their cause is over.
const FEW: usize = 3;

/// No end speaks more against anything than by this factor.
const LEAST: f64 = 1e-6;

/// How the end of a sign lies to that of another, as a cause's lies to its effect's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ends {
    /// By how many seconds it ended later than that one; where one of them lasts, so far.
    pub later: f32,
    /// Whether the later one lasts.
    pub lasts: bool,
    /// Whether that is of most of what hangs on them, not of the two alone.
    pub most: bool,
    /// How many times as likely that is as of any two.
    pub factor: f32,
}

impl Ends {
    fn both(later: f64, blur: f64) -> Self {
        Self::new(later, false, kernel::ended(later, blur))
    }

    fn lasts(later: f64, blur: f64) -> Self {
        Self::new(later, true, kernel::outlasted(later.abs(), blur))
    }

    fn new(later: f64, lasts: bool, factor: f64) -> Self {
        Self { later: later as f32, lasts, most: false, factor: factor.max(LEAST) as f32 }
    }
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (by, later) = (self.later.abs(), self.later > 0.0);
        let which = if later { "after" } else { "before" };
        match (self.lasts, later) {
            _ if self.most => write!(f, "it ended {by:.0} s {which} most of that"),
            (true, true) => write!(f, "it lasts {by:.0} s longer so far"),
            (true, false) => write!(f, "which lasts {by:.0} s longer so far"),
            (false, _) => write!(f, "it ended {by:.0} s {which} it"),
        }
    }
}

/// Alerts about one entity that ended at about the same time.
struct Burst {
    first: Timestamp,
    ended: Timestamp,
    fingerprints: Vec<Fingerprint>,
    members: Vec<MemberKey>,
    /// One of them can make a fault.
    grave: bool,
}

impl Burst {
    fn of(member: &Member, ended: Timestamp) -> Self {
        Self {
            first: member.starts_at,
            ended,
            fingerprints: vec![member.fingerprint()],
            members: vec![member.key],
            grave: member.definition.is_some(),
        }
    }

    fn absorb(&mut self, other: Self) {
        (self.first, self.ended) = (self.first.min(other.first), self.ended.max(other.ended));
        self.members.extend(other.members);
        self.grave |= other.grave;
        self.fingerprints.extend(other.fingerprints);
        self.fingerprints.sort_unstable();
        self.fingerprints.dedup();
    }
}

impl Forest {
    /// An alert of a sign has ended then.
    pub(in crate::correlate) fn ends(&mut self, id: SignId, at: Timestamp) {
        let Some(sign) = self.get_mut(id) else { return };
        sign.ends(at);
        if let Some(ended) = sign.ended.filter(|_| sign.firing == 0) {
            self.over.insert((ended.max(self.now) + OVER_AFTER, id));
        }
    }

    /// The next sign that is over by now, and was not before.
    pub(in crate::correlate) fn next_over(&mut self) -> Option<SignId> {
        loop {
            let (_, id) = self.over.first().copied().filter(|(at, _)| *at <= self.now)?;
            self.over.pop_first();
            if self.get(id).is_some_and(|sign| self.is_over(sign)) {
                return Some(id);
            }
        }
    }

    fn is_over(&self, sign: &Sign) -> bool {
        sign.firing == 0 && sign.ended.is_some_and(|ended| ended + OVER_AFTER <= self.now)
    }

    /// What the ends say of whether one is the effect of the other; nothing while both last.
    #[inline]
    pub(super) fn ended(&self, effect: &Sign, cause: &Sign) -> Option<Ends> {
        match (effect.firing > 0, cause.firing > 0) {
            (true, true) => None,
            (false, true) => self.ended_before(effect, cause),
            _ => self.ended_apart(effect, cause),
        }
    }

    /// Of one whose cause lasts. Where other effects of that are over as well, it may last by itself.
    fn ended_before(&self, effect: &Sign, cause: &Sign) -> Option<Ends> {
        let lasts = self.ended_apart(effect, cause)?;
        if cause.effects.len() <= FEW {
            return Some(lasts);
        }
        let others = cause.effects.iter().filter(|other| **other != effect.id).map(|other| &self[*other]);
        let later = typical_end(others).zip(effect.ended).map(|(others, own)| seconds(own, others));
        let most = later.map(|later| Ends { most: true, ..Ends::both(later, effect.blur()) });
        Some(most.filter(|most| most.factor > lasts.factor).unwrap_or(lasts))
    }

    fn ended_apart(&self, effect: &Sign, cause: &Sign) -> Option<Ends> {
        let (effect, cause) = (self.shown(effect, cause.id)?, self.shown(cause, effect.id)?);
        let (over, cause_over) = (self.is_over(effect), self.is_over(cause));
        if !over && !cause_over {
            return None;
        }
        let blur = effect.blur().max(cause.blur());
        if effect.firing == 0 && cause.firing == 0 {
            return Some(Ends::both(seconds(effect.ended?, cause.ended?), blur));
        }
        let later = if over { -seconds(self.now, effect.ended?) } else { seconds(self.now, cause.ended?) };
        Some(Ends::lasts(later, blur))
    }

    /// What the ends of all that hangs on each of two, of which the first ended then, say of whether both are parts of one fault;
    /// nothing where it is hardly that.
    pub(super) fn ended_as_one(&self, part: &Sign, ended: Timestamp, other: SignId) -> Option<Ends> {
        let later = seconds(ended, typical_end(self.hanging(other, Some(part.id)))?);
        let ends = Ends { most: true, ..Ends::both(later, part.blur().max(self[other].blur())) };
        Some(ends).filter(|ends| ends.factor >= AS_ONE)
    }

    /// A sign, or one of those by which it is inferred.
    fn shown<'f>(&'f self, sign: &'f Sign, but: SignId) -> Option<&'f Sign> {
        if sign.told > 0 {
            return Some(sign);
        }
        sign.effects.iter().find(|effect| **effect != but).map(|effect| &self[*effect])
    }

    /// What is inferred as the cause of a sign, and is itself no effect.
    fn inferred_from(&self, id: SignId) -> Option<SignId> {
        let cause = &self[self.get(id)?.cause.as_ref()?.sign];
        (cause.told == 0 && cause.cause.is_none()).then_some(cause.id)
    }

    /// What the ends around a sign say of whether more of it fires at a time.
    pub(super) fn goes_on(&self, id: SignId, at: Timestamp) -> Option<Ends> {
        let sign = &self[id];
        let cause = sign.cause.as_ref().and_then(|cause| self.shown(&self[cause.sign], id));
        let around = || cause.into_iter().chain(sign.effects.iter().map(|effect| &self[*effect]));
        if around().any(|other| !self.is_over(other)) {
            return None;
        }
        let ended = around().filter_map(|other| other.ended).max()?;
        Some(Ends::lasts(seconds(at, ended).max(0.0), sign.blur()))
    }

    /// Makes a sign of its own of a burst of one's alerts, if that is likelier than that it belongs to the rest; says then why not
    /// to that.
    fn leaves(&mut self, id: SignId, rest: &Burst, burst: &Burst, view: View<'_>) -> Option<(SignId, Membership)> {
        let (node, blur, name) = (self[id].node, self[id].blur(), self[id].name);
        let told = burst.members.len() as u32;
        let ends = Ends::both(seconds(burst.ended, rest.ended), blur);
        let delay = seconds(burst.first, rest.first);
        let rate = kernel::same(delay, false, blur) * f64::from(ends.factor);
        let background = self.rates.alone(Kind::Lone, view.entities);
        let new = self.grow_alone(Onset { node, at: burst.first, blur, name }, told, burst.ended, view);
        let others = self.found(self[new].onset(), Some(new), rate / ONLY_ONE, view).rate() * ONLY_ONE;
        if rate > others.max(background * ASKED) {
            self.forget_alone(new);
            return None;
        }
        Some((new, Membership::again(How::SameEntity, delay, rate, background).ends(Some(ends))))
    }
}

/// When the middle one of these ended, if three in four have.
pub(super) fn typical_end<'s>(signs: impl Iterator<Item = &'s Sign>) -> Option<Timestamp> {
    let (mut ends, mut lasting) = (SmallVec::<[Timestamp; 32]>::new(), 0);
    for sign in signs.filter(|sign| sign.told > 0) {
        match sign.ended.filter(|_| sign.firing == 0) {
            Some(ended) => ends.push(ended),
            None => lasting += 1,
        }
    }
    ends.sort_unstable();
    ends.get(ends.len() / 2).copied().filter(|_| ends.len() >= 3 * lasting)
}

/// Whether an episode is too short to be one for itself.
fn may_flap(member: &Member) -> bool {
    member.known_end().is_none_or(|ended| ended.since(member.starts_at) < OVER_AFTER)
}

impl Situations {
    /// A sign is over. What was declared gives away only what makes no fault, and nothing once somebody has acknowledged it.
    pub(in crate::correlate) fn look_at_end(&mut self, id: SignId, rules: &Rules, tuning: &Tuning) {
        let Some(situation) = self.forest.get(id).and_then(|sign| self.open.get(&sign.situation)) else { return };
        if !situation.gives() {
            return;
        }
        let held = situation.is_declared();
        self.part_bursts(id, held, rules, tuning);
        let Some(situation) = self.forest.get(id).map(|sign| sign.situation) else { return };
        let grave = |signs: &[SignId]| {
            let members = self.open.get(&situation).into_iter().flat_map(|situation| &situation.members);
            members.filter(|member| member.definition.is_some()).any(|member| signs.contains(&member.sign))
        };
        // What is no effect takes nothing with it.
        if held && self.forest[id].cause.is_some() && grave(&self.forest.below(id)) {
            return;
        }
        let view = View::new(&rules.topology, &self.open, &self.changes, tuning, &self.forest);
        self.forest.seek(id, view);
        if let Some(inferred) = self.forest.inferred_from(id) {
            self.forest.seek(inferred, view);
        }
        self.apply_moves();
    }

    /// Takes apart a sign whose alerts ended in several bursts, where something else explains one of them.
    fn part_bursts(&mut self, id: SignId, held: bool, rules: &Rules, tuning: &Tuning) {
        let mut bursts = self.bursts(id);
        let Some(most) = (0..bursts.len()).max_by_key(|at| (bursts[*at].fingerprints.len(), std::cmp::Reverse(bursts[*at].first))) else {
            return;
        };
        let mut rest = bursts.swap_remove(most);
        let mut parted = vec![];
        for burst in bursts {
            let view = View::new(&rules.topology, &self.open, &self.changes, tuning, &self.forest);
            let leaves = if held && burst.grave { None } else { self.forest.leaves(id, &rest, &burst, view) };
            match leaves {
                Some((new, why)) => parted.push((new, why, burst)),
                None => rest.absorb(burst),
            }
        }
        if parted.is_empty() {
            return;
        }
        let Some(sign) = self.forest.get(id) else { return };
        let (from, entity) = (sign.situation, sign.entity.clone());
        self.forest.narrow(id, rest.first, rest.ended, rest.members.len());
        for (new, why, burst) in parted {
            for fingerprint in &burst.fingerprints {
                self.fired.entry(*fingerprint).and_modify(|fired| fired.sign = Some(new));
            }
            let into = self.forest[new].situation;
            let (opener, others) = burst.members.split_at(1);
            self.moves(opener, id, new, &Membership::default());
            self.moves(others, id, new, &why);
            self.news.push(News::Split { from, into, entity: entity.clone(), why, alone: true });
            let view = View::new(&rules.topology, &self.open, &self.changes, tuning, &self.forest);
            self.forest.seek(new, view);
            self.apply_moves();
        }
    }

    /// When what a member is an episode of ended last.
    fn last_end(&self, member: &Member) -> Timestamp {
        let own = member.ends_at.unwrap_or(self.forest.now);
        let flaps = self.fired.get(&member.fingerprint()).filter(|fired| may_flap(member) && member.starts_at >= fired.since);
        let Some(fired) = flaps else { return own };
        if fired.open.is_some() { self.forest.now } else { own.max(fired.heard) }
    }

    /// The alerts of a sign by when they ended; an alert that flaps ended when it did last.
    fn bursts(&self, id: SignId) -> Vec<Burst> {
        let apart = |sign: &&Sign| Duration::from_secs(sign.ends_span.into()) >= BURST;
        let Some(sign) = self.forest.get(id).filter(apart) else { return vec![] };
        let members = self.open.get(&sign.situation).into_iter().flat_map(|situation| situation.members.of(id));
        let mut alerts: BTreeMap<(Fingerprint, Option<MemberKey>), Burst> = BTreeMap::new();
        for member in members {
            let burst = Burst::of(member, self.last_end(member));
            match alerts.entry((member.fingerprint(), (!may_flap(member)).then_some(member.key))) {
                Entry::Occupied(mut alert) => alert.get_mut().absorb(burst),
                Entry::Vacant(place) => _ = place.insert(burst),
            }
        }
        let mut alerts: Vec<Burst> = alerts.into_values().collect();
        alerts.sort_by_key(|alert| alert.ended);
        let mut bursts: Vec<Burst> = vec![];
        for alert in alerts {
            match bursts.last_mut().filter(|burst| alert.ended.since(burst.ended) < BURST) {
                Some(burst) => burst.absorb(alert),
                None => bursts.push(alert),
            }
        }
        bursts
    }
}

//! Correlate: signals → situations, the sets of signals believed to have one cause.
//!
//! Where to read what:
//!
//! * `episodes`, `firing`, `doubts`, `settling`, `reload`, `statement`: signals become members, each once, whoever tells
//!   of them and in whichever order, and members end.
//! * `forest`: each member belongs to a sign, a burst of alerts of one entity, and each sign to the one that most likely
//!   made it. What hangs together is a situation. `kernel` and `rates` are the probabilities, `second_look` is for what
//!   comes in an unlucky order, `calls` for dependencies that nobody wrote down.
//! * `situation`, `members`, `storm`: what is kept of a situation, bounded by life and size, so that nothing can glue the
//!   world together.
//! * `suppress`: what makes no fault although it is bad.
//! * `cause`: which entity is likely at the root of a situation. `hints`, `healthy` and `changes` are what it knows of
//!   entities beyond their signs.

mod calls;
mod cause;
mod changes;
mod doubts;
mod effect;
mod episodes;
mod firing;
mod forest;
mod healthy;
mod hints;
mod kernel;
mod member;
mod members;
mod membership;
mod odds;
mod part;
mod rates;
mod relation;
mod reload;
mod second_look;
mod settling;
mod sign;
mod situation;
mod statement;
mod storm;
mod suppress;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Breach, Change, Entity, Fingerprint, Hint, Origin, Phase, Timestamp};
use crate::rules::{Rules, Tuning};
use crate::stage::Outcome;

pub use calls::{Calls, Why};
pub use cause::{Metric, Ranking, Suspect, rank};
pub use changes::{Changed, Changes};
pub use effect::{Effect, News};
pub use forest::Ends;
pub use members::Members;
pub use membership::{How, Membership};
pub use odds::Odds;
pub use part::Part;
pub use relation::Relation;
pub use sign::SignId;
pub use situation::{EndedBy, Hold, Judged, Member, MemberKey, Situation, SituationId, Source};
pub use statement::Statement;
pub use storm::Tally;
pub use suppress::{Silence, Suppressed, Suppressor};

use doubts::Doubts;
use firing::Firing;
use forest::{Forest, Moved, View};
use healthy::Healthy;
use hints::Hints;
use member::{blur, breach_fingerprint, breach_key, called};
use relation::Relations;
use second_look::{BY_A_SIGNAL, BY_THE_CLOCK};
use sign::Onset;
use storm::{Pace, Tallied};
use suppress::{Suppression, inhibits};

/// Situations open at once; beyond it what cannot make a fault opens no new one.
const SITUATIONS_MAX: usize = 100_000;

/// Members of all situations; beyond it nothing new is kept, whatever it could make: that many faults nobody is told of.
const ALL_MEMBERS_MAX: usize = 200_000;

/// How often situations that are over are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// All situations of a domain.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Situations {
    open: BTreeMap<SituationId, Box<Situation>>,
    forest: Forest,
    /// Situations whose incident has recovered, by the keys of the alerts or groups whose relapse would reopen it.
    recovered: BTreeSet<(u64, SituationId)>,
    /// Situations with alerts that are only counted and still fire, and when one of these was heard last.
    storms: BTreeMap<SituationId, Timestamp>,
    pace: Pace,
    /// Breaches of each group that have ended, and are not known yet to stay so.
    unsettled: BTreeMap<Fingerprint, Vec<MemberKey>>,
    /// The episodes of each fingerprint.
    fired: BTreeMap<Fingerprint, Box<Firing>>,
    /// What fired again, by its key: when it is looked at again, how often it was to be expected, and how often it was
    /// looked at.
    again: BTreeMap<(Timestamp, MemberKey), (f64, u8)>,
    doubts: Doubts,
    related: Relations,
    /// What is not kept as a member, by its key.
    tallied: BTreeMap<MemberKey, Tallied>,
    suppression: Suppression,
    /// Recent changes.
    pub changes: Changes,
    hints: Hints,
    goods: Healthy,
    /// Monitors with breaches that last, and that the rules lack since then.
    unwatched: BTreeMap<String, Timestamp>,
    /// When what is over was looked for last.
    swept: Timestamp,
    /// Where a member is.
    #[serde(skip)]
    places: HashMap<MemberKey, (SituationId, usize)>,
    /// The sign of what is on its way to become a member.
    #[serde(skip)]
    coming: Option<SignId>,
    /// When what is taken in was told: its own clock may be fast.
    #[serde(skip)]
    told: Timestamp,
    #[serde(skip)]
    origins: Vec<Arc<Origin>>,
    #[serde(skip)]
    news: Vec<News>,
}

impl Situations {
    /// The situation with that id.
    #[must_use]
    pub fn get(&self, id: SituationId) -> Option<&Situation> {
        self.open.get(&id).map(|situation| &**situation)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Situation> {
        self.open.values().map(|situation| &**situation)
    }

    /// Where a member is.
    #[must_use]
    pub fn place(&self, member: MemberKey) -> Option<(SituationId, usize)> {
        self.places.get(&member).copied()
    }

    /// The member with that key, and its situation.
    #[must_use]
    pub fn member(&self, key: MemberKey) -> Option<(&Situation, &Member)> {
        let (id, place) = self.place(key)?;
        let situation = self.open.get(&id)?;
        Some((situation, situation.members.get(place)?))
    }

    /// Brings a member up to date.
    pub fn update(&mut self, key: MemberKey, update: impl FnOnce(&mut Member)) {
        let Some((id, place)) = self.place(key) else { return };
        let Some(situation) = self.open.get_mut(&id) else { return };
        let ended = |situation: &Situation| situation.members.get(place).map(|m| (m.ends_at.is_none(), m.known_end()));
        let before = ended(situation);
        situation.update(place, update);
        let Some(sign) = situation.members.get(place).map(|member| member.sign) else { return };
        let Some(((fired, known), (fires, ended))) = before.zip(ended(situation)) else { return };
        if let Some(sign) = self.forest.get_mut(sign)
            && fired != fires
        {
            if fires { sign.gains(true) } else { sign.loses(true) }
        }
        if let Some(ended) = ended.filter(|_| ended != known) {
            self.forest.ends(sign, ended);
        }
        if fired != fires {
            self.waits(key, fires);
        }
        if fired && !fires {
            self.inhibits_no_more(key);
        }
    }

    /// What a situation is related to.
    #[must_use]
    pub fn related(&self, id: SituationId) -> &[Relation] {
        self.related.of(id)
    }

    /// What has happened to situations since this was asked last.
    pub fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// A situation's incident was declared, or has recovered, or is on again; or it is part of none any more.
    pub fn hold(&mut self, id: SituationId, hold: Hold) {
        let Some(situation) = self.open.get_mut(&id) else { return };
        let before = std::mem::replace(&mut situation.hold, hold);
        if situation.is_cancelled() {
            situation.members.iter().for_each(|member| self.suppression.frees(member.key));
        }
        situation.relapsed |= matches!((before, hold), (Hold::Over { .. }, Hold::On { .. }));
        let of = situation.members.iter().filter(|member| member.definition.is_some()).map(|member| (member.relapse_key(), id));
        if let Hold::Over { .. } = hold {
            self.recovered.extend(of);
        } else {
            of.for_each(|key| _ = self.recovered.remove(&key));
        }
    }

    /// Finds its way about in what was restored, or in another topology.
    pub fn rebind(&mut self, rules: &mut Rules) {
        self.forest.rebind(&mut rules.topology);
        let places = |s: &Situation| s.members.places().map(|(place, member)| (member.key, (s.id, place))).collect::<Vec<_>>();
        self.places = self.iter().flat_map(places).collect();
        self.rebind_silences();
    }

    /// How many entities there are to fail: those that are known, and others that something is told of.
    #[must_use]
    pub fn entities(&self, rules: &Rules) -> usize {
        self.forest.entities(&rules.topology)
    }

    /// The topology has come to know an entity.
    pub fn listed(&mut self, entity: &Entity, rules: &Rules) {
        if let Some(node) = rules.topology.node(entity) {
            self.forest.listed(node);
        }
    }

    /// Takes in what detection says about a breach.
    pub fn breach(&mut self, breach: &Breach, origin: &Origin, rules: &mut Rules, tuning: &Tuning) -> Effect {
        let (fingerprint, key) = (breach_fingerprint(&breach.monitor, &breach.group), breach_key(breach));
        if let Some((_, member)) = self.member(key) {
            let stale = breach.phase == Phase::Stale;
            // What goes stale is told by the clock, which may be ahead of what comes later.
            let known = if stale { member.stale || member.settled_at.is_some() } else { breach.known_at <= member.told_at };
            if known {
                return Effect::nothing(Outcome::Duplicate);
            }
            if stale {
                self.update(key, |member| member.stale = true);
                return Effect::updated(key);
            }
            return self.goes_on(fingerprint, key, breach, rules);
        }
        if self.tallied.contains_key(&key) {
            let ends = breach.phase == Phase::Ended && self.ends_tallied(key, Some(breach.at));
            return Effect::nothing(if ends { Outcome::Applied } else { Outcome::Duplicate });
        }
        if matches!(breach.phase, Phase::Ended | Phase::Stale) {
            return Effect::nothing(Outcome::NotWanted);
        }
        let entity = rules.topology.resolve(breach.entity.clone());
        let source = Source::Breach { monitor: breach.monitor.clone(), group: breach.group.clone(), judge: breach.judge };
        let member = Member {
            definition: breach.definition.clone().map(Arc::new),
            told_at: breach.known_at,
            heard_at: breach.known_at,
            judged: Some(Box::new(breach.into())),
            ..Member::new(key, entity, source, self.origin(origin), breach.onset)
        };
        self.hear_again(fingerprint);
        self.told = breach.known_at;
        self.join(fingerprint, member, rules, tuning)
    }

    /// One of each, for all that were told there.
    fn origin(&mut self, origin: &Origin) -> Arc<Origin> {
        if let Some(known) = self.origins.iter().find(|known| known.as_ref() == origin) {
            return known.clone();
        }
        let new = Arc::new(origin.clone());
        self.origins.push(new.clone());
        new
    }

    /// Takes in a change.
    pub fn change(&mut self, change: &Change, rules: &Rules) -> Outcome {
        let entity = rules.topology.entity(&change.labels);
        self.changes.push(change, entity)
    }

    /// A monitor has too much of something, though not enough for a breach.
    pub fn hint(&mut self, hint: &Hint, rules: &Rules) {
        let resolve = |entity: &Entity| rules.topology.resolve(entity.clone());
        self.hints.push(Hint { entity: resolve(&hint.entity), calls: hint.calls.as_ref().map(resolve), ..hint.clone() });
    }

    fn join(&mut self, fingerprint: Fingerprint, mut member: Member, rules: &mut Rules, tuning: &Tuning) -> Effect {
        if self.places.len() >= ALL_MEMBERS_MAX || self.open.len() >= SITUATIONS_MAX && member.definition.is_none() {
            return Effect::nothing(Outcome::Limited);
        }
        let (key, at) = (member.key, member.starts_at);
        let name = called(&member.source);
        let onset = Onset { node: rules.topology.number(&member.entity), at, blur: blur(&member, rules), name };
        self.advance(at.min(self.told), BY_A_SIGNAL, rules, tuning);
        let again = self.fires_again(fingerprint, at, tuning).or_else(|| self.fires_for_others(&member, onset.node, tuning));
        let mut view = View::new(&rules.topology, &self.open, &self.changes, tuning, &self.forest);
        view.counts = member.definition.is_some();
        let (sign, why) = match self.relapsed(&member, tuning) {
            Some(situation) => (self.forest.open_in(onset, situation, &rules.topology), Membership::relapse()),
            None => self.forest.place(onset, again, view),
        };
        if let Some((rate, before)) = again
            && before == sign
        {
            self.look_later(key, at, rate);
        }
        if let Some(fired) = self.fired.get_mut(&fingerprint) {
            fired.sign = Some(sign);
            fired.starts(at, rules);
        }
        if let Some(calls) = member.judged.as_ref().and_then(|judged| judged.calls.clone()) {
            self.forest.call(sign, &rules.topology.resolve(calls));
        }
        self.coming = Some(sign);
        self.apply_moves();
        self.coming = None;
        (member.sign, member.why) = (sign, why);
        if let Some(id) = self.overrun(&member).filter(|_| inhibits(&member, rules).is_empty()) {
            self.tally(id, &member);
            return Effect { joined: true, tallied: Some((id, Box::new(member))), ..Effect::nothing(Outcome::Applied) };
        }
        self.pace.keeps(self.told);
        let ended = member.known_end();
        self.put(Box::new(member));
        if let Some(ended) = ended {
            self.forest.ends(sign, ended);
        }
        self.suppress(key, rules);
        Effect { joined: true, ..Effect::updated(key) }
    }

    fn relapsed(&self, member: &Member, tuning: &Tuning) -> Option<SituationId> {
        // What a person declares is what that person says, and not what somebody said before.
        if self.recovered.is_empty() || !member.counts() || matches!(member.source, Source::Person { .. }) {
            return None;
        }
        let key = member.relapse_key();
        let recovered = self.recovered.range((key, SituationId(0))..=(key, SituationId(u64::MAX))).filter_map(|(_, id)| self.open.get(id));
        recovered.filter(|situation| situation.relapses(member, tuning)).map(|situation| situation.id).next()
    }

    fn put(&mut self, member: Box<Member>) {
        let Some(sign) = self.forest.get_mut(member.sign) else { return };
        sign.gains(member.ends_at.is_none());
        sign.opener.get_or_insert(member.key);
        let id = sign.situation;
        self.keep(id, member);
    }

    fn keep(&mut self, id: SituationId, member: Box<Member>) {
        let situation = self.open.entry(id).or_insert_with(|| Box::new(Situation::new(id)));
        let key = member.key;
        self.places.insert(key, (id, situation.push(member)));
    }

    /// Members leave a sign for another.
    fn moves(&mut self, keys: &[MemberKey], sign: SignId, other: SignId, why: &Membership) {
        let Some(from) = self.forest.get(sign).map(|sign| sign.situation) else { return };
        let here = keys.iter().filter_map(|key| self.place(*key)).filter(|(id, _)| *id == from);
        let mut places: Vec<usize> = here.map(|(_, place)| place).collect();
        places.sort_unstable();
        for mut member in self.take(from, |situation| situation.take_at(&places)) {
            if let Some(sign) = self.forest.get_mut(sign) {
                sign.loses(member.ends_at.is_none());
            }
            (member.sign, member.why) = (other, why.clone());
            self.news.push(News::Moved { member: member.key });
            self.put(member);
        }
        let opener = self.open.get(&from).and_then(|situation| situation.members.of(sign).next()).map(|member| member.key);
        self.forest.opened_by(sign, keys, opener);
        self.forget_empty(from);
    }

    /// Signs of which no member is left go; those of one that is still on its way to its sign stay.
    fn forget_empty(&mut self, id: SituationId) {
        if !self.open.contains_key(&id) && self.forest.signs_in(id).iter().all(|sign| Some(*sign) != self.coming) {
            self.related.forget(id);
            self.forest.forget(id);
        }
    }

    /// Takes members out of a situation, which goes with the last of them.
    #[expect(clippy::vec_box, reason = "as they are kept")]
    fn take(&mut self, from: SituationId, take: impl FnOnce(&mut Situation) -> Vec<Box<Member>>) -> Vec<Box<Member>> {
        let Some(situation) = self.open.get_mut(&from) else { return vec![] };
        let gone = take(situation);
        if situation.members.close_gaps() {
            self.places.extend(situation.members.places().map(|(place, member)| (member.key, (from, place))));
        }
        if situation.members.is_empty() {
            self.open.remove(&from);
        }
        gone
    }

    /// Moves the members whose signs have moved, and takes note of why they are where they are.
    fn apply_moves(&mut self) {
        for moved in self.forest.moved() {
            let (from, into, gone) = match moved {
                Moved::Merged { gone, kept, by, cause } => {
                    let related = self.related.moved(gone, kept, |_| true);
                    let members = self.take(gone, |situation| situation.take(|_| true));
                    let why = self.forest.why(by).filter(|_| !members.is_empty());
                    self.news.extend(why.map(|(entity, why)| News::Merged { gone, kept, cause, entity, why }));
                    self.news.extend(related.into_iter().map(|relation| News::Related { situation: kept, relation }));
                    (gone, kept, members)
                }
                Moved::Split { signs, from, into, by, instead } => {
                    let members = self.take(from, |situation| situation.take(|sign| signs.binary_search(&sign).is_ok()));
                    let moves = |entity: &Entity| signs.iter().filter_map(|id| self.forest.get(*id)).any(|sign| sign.entity == *entity);
                    let related = self.related.moved(from, into, moves);
                    self.news.extend(related.into_iter().map(|relation| News::Related { situation: into, relation }));
                    let why = by.filter(|_| !members.is_empty()).and_then(|by| self.forest.why(by));
                    let alone = by.and_then(|by| self.forest.get(by)).is_some_and(|sign| sign.cause.is_none());
                    let why = why.map(|(entity, why)| (entity, instead.map_or(why, |instead| *instead)));
                    self.news.extend(why.map(|(entity, why)| News::Split { from, into, entity, why, alone }));
                    self.news.extend(members.iter().map(|member| News::Moved { member: member.key }));
                    (from, into, members)
                }
                Moved::Related { situation, relation } => {
                    let apart = |id: SituationId| self.open.get(&id).is_some_and(|situation| situation.taken_apart);
                    // A person has said that they are not.
                    if !(apart(situation) && apart(relation.with)) && self.related.add(situation, &relation) {
                        self.news.push(News::Related { situation, relation });
                    }
                    continue;
                }
            };
            for member in gone {
                match self.full(&member) {
                    Some(id) => self.count_only(id, member),
                    None => self.keep(into, member),
                }
            }
            self.storms_move(from, into);
            self.forget_empty(from);
        }
        for sign in self.forest.rejoined() {
            self.explained_anew(sign);
            let Some(member) = self.forest.get(sign).and_then(|sign| sign.opener) else { continue };
            let why = self.forest.joined(sign);
            self.update(member, |member| member.why = why);
            self.news.push(News::Moved { member });
        }
    }

    /// Lets go of what is over, and gives it back.
    pub fn close(&mut self, clock: Timestamp, rules: &Rules, tuning: &Tuning) -> Vec<Situation> {
        self.advance(clock, BY_THE_CLOCK, rules, tuning);
        if clock.since(self.swept) < SWEEP_EVERY {
            return vec![];
        }
        self.swept = clock;
        self.calms_down(clock);
        let heard = |id: &SituationId| self.storms.get(id).is_some_and(|heard| clock <= *heard + tuning.forget_alerts_after);
        let over = self.open.values().filter(|s| s.is_over(clock, rules, tuning) && (s.is_declared() || !heard(&s.id)));
        let over: Vec<SituationId> = over.map(|s| s.id).collect();
        let gone: Vec<Situation> = over.iter().filter_map(|id| self.open.remove(id).map(|situation| *situation)).collect();
        for situation in &gone {
            self.forget_tallied(situation.id);
            self.related.forget(situation.id);
            self.forest.forget(situation.id);
            for member in situation.members.iter().filter(|member| member.definition.is_some()) {
                self.recovered.remove(&(member.relapse_key(), situation.id));
            }
            for member in &situation.members {
                self.places.remove(&member.key);
                self.suppressed_no_more(member);
                self.inhibits_no_more(member.key);
                if let Source::Breach { monitor, group, .. } = &member.source {
                    self.forget_unsettled(breach_fingerprint(monitor, group), member.key);
                }
                if let Source::Alert { fingerprint, .. } = &member.source
                    && let Some(fired) = self.fired.get_mut(fingerprint)
                    && fired.open == Some(member.starts_at)
                {
                    fired.open = None;
                }
            }
        }
        self.hints.forget(clock);
        self.goods.forget(clock);
        self.changes.forget(clock - (tuning.change_window + tuning.life_max));
        gone
    }
}

//! Declare: the last stage. Signals → situations (correlate) → levels (grade) → declarations, one partition of the
//! signals topic, in one order.
//!
//! An incident is declared the moment a member of a situation meets a fault definition. Its events carry the whole
//! story as of their own event time, so that a story does not depend on how fast its parts travelled.

mod agenda;
mod batch;
mod cancellation;
mod commands;
mod costs;
mod emergency;
mod evidence;
mod grading;
mod heartbeats;
mod incident;
mod incidents;
mod life;
mod merge;
mod picture;
mod reason;
mod relation;
mod same_entity;
mod split;
mod storm;
mod story;
mod timers;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::correlate::{Calls, Effect, How, Member, MemberKey, Membership, News, Situation, SituationId, Situations, Source, rank};
use crate::model::command::RICHTER;
use crate::model::{Alert, Entity, Event, Origin, Signal, State, Timestamp};
use crate::rules::{Config, Dependency, Rules, Topology};
use crate::stage::{Count, Outbox, Outcome, Progress, Record, Stage, snapshot};
use crate::wire::internal::{SignalsRecord, decode};
use crate::wire::{Reject, dead_letter};

use agenda::{Agenda, Rungs};
use batch::Batch;
use commands::Seen;
use heartbeats::Heartbeats;
use incident::Incident;
use incidents::Incidents;
use reason::Reason;

/// Entities that only alerts have named, and that are remembered; beyond it those without signs are forgotten.
const STRANGERS_MAX: usize = 50_000;

/// An incident's picture is looked at this often at the least, however often it may be updated.
const LOOK_EVERY_MIN: Duration = Duration::from_secs(1);

/// When somebody first listened, as long as no tick has told it.
const NOT_KNOWN: Timestamp = Timestamp(i64::MAX);

/// The last stage, of one partition.
#[derive(Debug)]
pub struct Declare {
    config: Arc<Config>,
    /// Those of the configuration, with the dependencies that were learnt.
    rules: Rules,
    state: Domain,
    occasion: Occasion,
}

/// What is just being done; there is nothing of it between two records.
#[derive(Debug, Default)]
struct Occasion {
    /// The command that what is told answers, by its id.
    answers: Option<String>,
    /// Why what is declared made no fault so far.
    held_back: Option<String>,
    /// Situations of which nobody may have been told that there is a storm in them.
    storms: BTreeSet<SituationId>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Domain {
    progress: Progress,
    situations: Situations,
    calls: Calls,
    /// By the situation that each began with.
    incidents: Incidents,
    /// Situations that belong to another one's incident.
    owners: BTreeMap<SituationId, SituationId>,
    /// By the entity of what led it then: the last that was declared.
    about: BTreeMap<Entity, Vec<SituationId>>,
    /// Those that are suspected.
    suspected: BTreeSet<SituationId>,
    agenda: Agenda,
    commands: Seen,
    heartbeats: Heartbeats,
    rungs: Rungs,
}

/// What is open, for the metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// Situations, declared or not.
    pub situations: usize,
    /// Incidents that are on, by their leading level.
    pub incidents: BTreeMap<String, usize>,
    /// Incidents by state.
    pub states: BTreeMap<&'static str, usize>,
}

impl Declare {
    /// The stage, with no state yet.
    #[must_use]
    pub fn new(config: Arc<Config>) -> Self {
        let mut stage = Self::from_the_start(config);
        if !stage.config.tuning.declare_history {
            stage.listen_since(NOT_KNOWN);
        }
        stage
    }

    /// The stage of a log that begins with its first record: nothing is history.
    #[must_use]
    pub fn from_the_start(config: Arc<Config>) -> Self {
        Self { rules: config.rules.clone(), config, state: Domain::default(), occasion: Occasion::default() }
    }

    /// What was over before that time only teaches; what lasts acts then.
    pub fn listen_since(&mut self, since: Timestamp) {
        self.state.situations.history(since);
    }

    /// What is open.
    #[must_use]
    pub fn open(&self) -> Open {
        let levels = self.rules.levels.sequences.iter().flat_map(|s| (1..=s.levels).map(move |rank| (format!("{}{rank}", s.name), 0)));
        let states = State::KEPT.into_iter().map(|state| (state.as_str(), 0));
        let mut open = Open { situations: self.state.situations.len(), incidents: levels.collect(), states: states.collect() };
        for incident in self.state.incidents.values() {
            *open.states.entry(incident.state.as_str()).or_default() += 1;
            if let Some(level) = incident.level().filter(|_| incident.state.is_on()) {
                *open.incidents.entry(level.to_string()).or_default() += 1;
            }
        }
        open
    }

    /// Up to when every live input has told.
    #[must_use]
    pub fn watermark(&self) -> Option<Timestamp> {
        Some(self.state.progress.watermark()).filter(|w| *w > Timestamp::MIN)
    }

    /// The rules with what was learnt; all that is open stands in them.
    fn rebind(&mut self) {
        self.rules = self.state.calls.over(&self.config.rules);
        self.state.situations.rebind(&mut self.rules);
    }

    fn signals(&mut self, origin: &Origin, progress: Timestamp, signals: &[Signal], out: &mut Outbox) {
        let told = if progress == Timestamp::MIN { self.state.progress.watermark() } else { progress };
        // All that begins by one record is known before any of it is graded: what a notification or a step of evaluations tells
        // together is one fault rather than many.
        let mut together = Batch::default();
        let mut waiting: Vec<(&Signal, Effect, Timestamp)> = vec![];
        for signal in signals {
            if self.hears_heartbeat(signal, origin, told, out) {
                continue;
            }
            if !together.adds(signal) {
                self.took_all(std::mem::take(&mut waiting), out);
            }
            let taken = self.takes_in(signal, origin, told, out);
            waiting.extend(taken.map(|(taken, at)| (signal, taken, at)));
        }
        self.took_all(waiting, out);
        self.state.progress.hear(origin, progress, self.config.tuning.idle_after);
        self.turns(Some(origin), progress, out);
    }

    /// Takes in a signal that was told at that time, and what follows from it.
    pub(super) fn takes(&mut self, signal: &Signal, origin: &Origin, told: Timestamp, out: &mut Outbox) {
        if let Some((taken, at)) = self.takes_in(signal, origin, told, out) {
            self.took_all(vec![(signal, taken, at)], out);
        }
    }

    /// Grades what has been taken in, and then what asks for what all of that costs.
    fn took_all(&mut self, all: Vec<(&Signal, Effect, Timestamp)>, out: &mut Outbox) {
        let mut dearer: BTreeMap<SituationId, Timestamp> = BTreeMap::new();
        for (signal, taken, at) in all {
            self.took(&taken, at, out);
            let Some(key) = taken.member else { continue };
            if let Signal::Breach(breach) = signal {
                self.hears(breach, key, out);
            }
            if let Some((situation, _)) = self.state.situations.member(key).filter(|(_, member)| !taken.stays && costs::grow(member)) {
                let latest = dearer.entry(situation.id).or_insert(at);
                *latest = at.max(*latest);
            }
        }
        for (situation, at) in dearer {
            self.grade_beside(situation, at, out);
        }
    }

    /// Takes in a signal; gives what is to be graded for it, and as of when.
    fn takes_in(&mut self, signal: &Signal, origin: &Origin, told: Timestamp, out: &mut Outbox) -> Option<(Effect, Timestamp)> {
        if let Signal::Breach(breach) = signal {
            self.turns(Some(origin), breach.at, out);
        }
        self.learn(signal);
        self.reaches_rungs_before_its_end(signal, out);
        let tuning = &self.config.tuning;
        let taken = match signal {
            Signal::Breach(b) => self.state.situations.breach(b, origin, &mut self.rules, tuning),
            Signal::Alert(a) => self.state.situations.alert(a, origin, told, &mut self.rules, tuning),
            Signal::Resolved { fingerprint, at } => self.state.situations.resolved(*fingerprint, *at),
            Signal::Command(c) => {
                self.command(c, origin, told, out);
                return None;
            }
            Signal::Hint(h) => {
                self.state.situations.hint(h, &self.rules);
                out.count(Count::Signals(Outcome::Applied));
                return None;
            }
            Signal::Good(good) => {
                out.count(Count::Signals(self.state.situations.good(good, &self.rules)));
                return None;
            }
            Signal::Change(c) => {
                out.count(Count::Signals(self.state.situations.change(c, &self.rules)));
                return None;
            }
        };
        if let Signal::Alert(Alert { recalled: true, .. }) = signal
            && taken.joined
        {
            out.count(Count::Gaps(origin.topic.clone()));
        }
        out.count(Count::Signals(taken.outcome));
        self.tell_news(out);
        let at = match signal {
            // One that is told again tells of now.
            Signal::Alert(Alert { ends_at: None, .. }) if !taken.joined => told.max(told_at(signal)),
            _ => told_at(signal),
        };
        (taken.outcome == Outcome::Applied || taken.ended.is_some()).then_some((taken, at))
    }

    /// A signal that names several entities tells where one of them runs.
    fn learn(&mut self, signal: &Signal) {
        if let Signal::Breach(breach) = signal
            && let Some(calls) = &breach.calls
        {
            let resolve = |entity: &Entity| self.rules.topology.resolve(entity.clone());
            let new = self.state.calls.name(&resolve(&breach.entity), std::iter::once(resolve(calls)), breach.at);
            self.depend(&new, Topology::note);
        }
        let topology = &mut self.rules.topology;
        let (about, labels, at) = match signal {
            _ if !topology.names_several() => return,
            Signal::Alert(alert) => (None, &alert.labels, alert.starts_at),
            Signal::Breach(breach) => (Some(topology.resolve(breach.entity.clone())), &breach.group, breach.at),
            Signal::Resolved { .. } | Signal::Change(_) | Signal::Command(_) | Signal::Hint(_) | Signal::Good(_) => return,
        };
        let named: Vec<Entity> = topology.entities(labels).collect();
        let Some(about) = about.or_else(|| named.first().cloned()) else { return };
        let new = self.state.calls.name(&about, named.into_iter(), at);
        self.depend(&new, Topology::note);
    }

    /// Takes in dependencies that were traced, named or learnt.
    pub(super) fn depend(&mut self, new: &[Dependency], take_in: fn(&mut Topology, &Dependency)) {
        for dependency in new {
            take_in(&mut self.rules.topology, dependency);
            for entity in [&dependency.from, &dependency.on] {
                self.state.situations.listed(entity, &self.rules);
            }
        }
    }

    fn took(&mut self, taken: &Effect, at: Timestamp, out: &mut Outbox) {
        if let Some((id, member)) = &taken.tallied {
            count_ungraded(member, out);
            out.decide(|| trace::member(*id, member));
        }
        if let Some(key) = taken.member {
            self.took_in(key, taken, at, out);
        }
        if let Some(ended) = taken.ended {
            self.grade_member(ended, at, out);
        }
    }

    /// A member has come, or there is news of it.
    fn took_in(&mut self, key: MemberKey, taken: &Effect, at: Timestamp, out: &mut Outbox) {
        let Some((situation, member)) = self.state.situations.member(key) else { return };
        if taken.joined {
            count_ungraded(member, out);
            out.decide(|| trace::member(situation.id, member));
            // A ranking costs as much as the situation is large, so it is traced as the situation doubles, and at its end.
            if situation.members.len().is_power_of_two() {
                out.decide(|| self.cause(situation));
            }
        }
        self.await_rung(key, member.told_at);
        if !taken.stays {
            self.grade_member(key, at, out);
        }
        if taken.joined {
            self.call_in(key, at, out);
        }
        // What waited to hear that it stays good may have recovered.
        let settled = taken.settled.iter().chain(taken.member.iter().filter(|_| taken.stays));
        let owners = settled.filter_map(|key| Some(self.owner(self.state.situations.place(*key)?.0)));
        for id in owners.collect::<BTreeSet<_>>() {
            self.schedule(id);
        }
    }

    /// Tells what has become of situations, which may make a fault of what was none.
    fn tell_news(&mut self, out: &mut Outbox) {
        let (mut moved, mut given) = (false, BTreeMap::<SituationId, Vec<Reason>>::new());
        for news in self.state.situations.news() {
            moved |= !matches!(news, News::Storm { .. } | News::Calm { .. });
            match news {
                News::Merged { gone, kept, cause, entity, why } => {
                    let reason = Reason::connects(&entity, &why, format!("{cause} explains both"));
                    out.decide(|| trace::merge(gone, kept, &reason, why.odds.nats()));
                    self.merged(gone, kept, &reason, out);
                    if let Some(situation) = self.state.situations.get(kept) {
                        out.decide(|| self.cause(situation));
                    }
                }
                News::Storm { situation, worst } => {
                    out.decide(|| trace::storm("storm", situation, worst.as_ref()));
                    if !self.storm(situation, worst.as_ref(), out) {
                        self.occasion.storms.insert(situation);
                    }
                }
                News::Suppressed { member, suppressed } => {
                    out.count(Count::Suppressed(suppressed.by.as_str()));
                    if let Some((situation, member)) = self.state.situations.member(member) {
                        out.decide(|| trace::suppressed(situation.id, member, &suppressed));
                    }
                }
                News::Related { situation, relation } => {
                    out.decide(|| trace::related(situation, &relation));
                    self.relate(situation, &relation, Timestamp::MIN, out);
                }
                News::Split { from, into, entity, why, alone } => {
                    out.decide(|| trace::split(from, into, &entity, &why, alone));
                    if let Some(reason) = self.gives_away(from, into, &entity, &why, alone) {
                        given.entry(self.owner(from)).or_default().push(reason);
                    }
                }
                News::Calm { situation, worst } => {
                    out.decide(|| trace::storm("calm", situation, worst.as_ref()));
                    self.calm(situation, worst.as_ref(), out);
                }
                News::Counted { situation, member } => out.decide(|| trace::member(situation, &member)),
                News::Moved { member } => {
                    if let Some((situation, member)) = self.state.situations.member(member) {
                        out.decide(|| trace::member(situation.id, member));
                    }
                }
            }
        }
        for (id, reasons) in given {
            self.has_given_away(id, reasons, out);
        }
        if moved {
            self.forget_suspicions(out);
        }
    }

    /// Something is no part of a situation any more: who knows of its incident hears what, and why.
    fn gives_away(&self, from: SituationId, into: SituationId, entity: &Entity, why: &Membership, alone: bool) -> Option<Reason> {
        self.state.incidents.get(&self.owner(from)).filter(|incident| incident.state.is_on())?;
        let gone = self.state.situations.get(into).into_iter().flat_map(|situation| &situation.members);
        let name = gone.filter(|member| member.entity == *entity).map(|member| format!("{} of {entity}", member.source.name())).next();
        let what = name.unwrap_or_else(|| format!("something told of {entity}"));
        let is = if alone { "is no likely part of it" } else { "is part of something else" };
        let ends = why.odds.ends.map_or_else(String::new, |ends| format!(", {ends}"));
        let words = if why.how == How::First { "nothing connects it".into() } else { format!("{why}{ends}") };
        Some(Reason::connects(entity, why, format!("{what} {is}: {words}")))
    }

    /// All of it at once: where one moves, others do.
    fn has_given_away(&mut self, id: SituationId, reasons: Vec<Reason>, out: &mut Outbox) {
        let Some(incident) = self.state.incidents.get_mut(&id) else { return };
        incident.may_begin_later();
        let at = incident.at.max(self.state.progress.clock(self.config.tuning.idle_after));
        let others = reasons.len() - 1;
        let Some(first) = reasons.into_iter().next() else { return };
        let others = if others == 0 { String::new() } else { format!("; and {others} more like it") };
        // What came as it went.
        let news = Some(self.looks_new(id, at)).filter(|news| !news.is_empty()).map_or_else(String::new, |news| format!("; {news}"));
        let reason = first.told(|words| format!("{words}{others}{news}"));
        self.event(id, Event::Updated, at, RICHTER, reason, out);
    }

    /// Lines of the decision log: the suspects of all that is open, as they are ranked now.
    pub fn rankings(&self) -> impl Iterator<Item = serde_json::Value> {
        self.state.situations.iter().map(|situation| self.cause(situation))
    }

    fn cause(&self, situation: &Situation) -> serde_json::Value {
        let latest = situation.members.iter().map(|m| m.starts_at).max().unwrap_or(Timestamp::MIN);
        trace::cause(situation.id, &rank(situation, &self.state.situations, &self.rules, &self.config.tuning, latest))
    }

    /// Other rules hold from now on. Members keep the definitions they joined under; nothing is told now.
    fn follow(&mut self, config: Config) {
        self.config = Arc::new(config);
        self.rebind();
        let clock = self.state.progress.clock(self.config.tuning.idle_after);
        for key in self.state.situations.follow(&self.rules, clock) {
            // Before any input has told the time, that of what is looked at counts.
            let heard_at = self.state.situations.member(key).map_or(clock, |(_, member)| member.heard_at);
            self.state.rungs.add(clock.max(heard_at) + Duration::from_millis(1), key);
        }
        self.state.heartbeats.follow(&self.rules, clock);
        for id in self.state.incidents.keys().copied().collect::<Vec<_>>() {
            if let Some(incident) = self.state.incidents.get_mut(&id) {
                // Maintenance may end earlier than it was to,
                if incident.worked_on.is_some_and(|until| until > clock) {
                    (incident.asks_since, incident.followed_at) = (incident.asks_since.min(clock), incident.followed_at.min(clock));
                }
                // and others may be on duty by now.
                incident.gathered.until = Some(incident.gathered.until.map_or(clock, |until| until.min(clock)));
            }
            self.schedule(id);
        }
    }

    /// What time alone brings: alerts whose duration reaches the next rung, updates, and ends.
    fn clockwork(&mut self, out: &mut Outbox) {
        let clock = self.state.progress.clock(self.config.tuning.idle_after);
        if clock == Timestamp::MIN {
            return;
        }
        if let Some(until) = self.state.situations.history_until() {
            let through = self.state.progress.through(until, self.config.tuning.idle_after);
            self.state.situations.history_told(through);
        }
        while let Some((at, key)) = self.state.rungs.next(clock) {
            self.reaches_rung(at, key, out);
        }
        for (key, why) in self.state.situations.released(clock, &self.rules) {
            let Some((situation, member)) = self.state.situations.member(key) else { continue };
            out.decide(|| trace::released(situation.id, member, clock));
            // What it was told of last may be ahead of what others tell.
            let at = clock.max(member.heard_at);
            self.occasion.held_back = Some(why).filter(|why| !why.is_empty());
            self.grade_member(key, at, out);
            self.occasion.held_back = None;
        }
        for key in self.state.situations.end_unwatched(clock) {
            self.grade_member(key, clock, out);
        }
        while let Some((told, alert, origin)) = self.state.situations.fires_after_all(clock) {
            self.takes(&Signal::Alert(alert), &origin, told, out);
        }
        self.listens_for_heartbeats(clock, out);
        self.turns(None, clock, out);
        for situation in self.state.situations.close(clock, &self.rules, &self.config.tuning) {
            self.lets_go(&situation, clock, out);
            out.decide(|| self.cause(&situation));
            self.learn_from(&situation);
        }
        self.tell_news(out);
        // Those with signs are needed.
        if self.rules.topology.len() > self.state.situations.entities(&self.rules) + STRANGERS_MAX {
            self.rebind();
        }
    }

    /// An alert that lasts is graded again when it meets the next of its rungs after that time.
    fn await_rung(&mut self, key: MemberKey, after: Timestamp) {
        let lasting = self.state.situations.member(key).filter(|(_, member)| member.ends_at.is_none());
        let next = lasting.and_then(|(_, member)| member.next_rung(after));
        next.into_iter().for_each(|next| self.state.rungs.add(next, key));
    }

    /// What an alert met before it ended is told before its end is.
    fn reaches_rungs_before_its_end(&mut self, signal: &Signal, out: &mut Outbox) {
        let (Signal::Alert(Alert { fingerprint, ends_at: Some(ended), .. }) | Signal::Resolved { fingerprint, at: ended }) = signal else {
            return;
        };
        let Some(key) = self.state.situations.lasting(*fingerprint) else { return };
        while let Some(at) = self.state.rungs.next_of(key, *ended) {
            self.reaches_rung(at, key, out);
        }
    }

    /// An alert has lasted for as long as one of its rungs asks.
    fn reaches_rung(&mut self, at: Timestamp, key: MemberKey, out: &mut Outbox) {
        let Some((_, member)) = self.state.situations.member(key).filter(|(_, m)| m.ends_at.is_none()) else { return };
        let by_duration = member.by_duration();
        self.await_rung(key, at);
        // What is said of a breach is graded by what detection tells of it.
        if by_duration {
            self.state.situations.update(key, |member| member.told_at = member.told_at.max(at));
        }
        self.grade_member(key, at, out);
    }
}

impl Stage for Declare {
    fn apply(&mut self, record: &Record<'_>, out: &mut Outbox) {
        match decode(record.payload) {
            Ok(SignalsRecord::Signals { origin, progress, signals }) => self.signals(&origin, progress, &signals, out),
            Ok(SignalsRecord::Tick(now)) => {
                if self.state.progress.is_new() && self.state.situations.history_until() == Some(NOT_KNOWN) {
                    self.listen_since(now);
                }
                self.state.progress.tick(now, self.config.tuning.idle_after);
                if self.state.calls.forget(self.config.tuning.forget_calls_after) {
                    self.rebind();
                }
            }
            Ok(SignalsRecord::Calls(calls)) => {
                let new: Vec<_> = calls.iter().filter_map(|call| self.state.calls.see(call)).collect();
                self.depend(&new, Topology::add);
            }
            Ok(SignalsRecord::Follow(bundle)) => match Config::from_bundle(&bundle) {
                Ok(config) => self.follow(config),
                Err(detail) => dead_letter::bury(record, &Reject { reason: "internal_config", detail }, out),
            },
            Err(reject) => dead_letter::bury(record, &reject, out),
        }
        self.clockwork(out);
        self.tells_storms(out);
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn snapshot(&self) -> Vec<u8> {
        snapshot::write(&self.config, &self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), snapshot::Refused> {
        let (config, state) = snapshot::read(bytes)?;
        self.config = Arc::new(config);
        self.state = state;
        self.rebind();
        Ok(())
    }
}

/// An alert that fires and means nothing, for no definition is about it.
fn count_ungraded(member: &Member, out: &mut Outbox) {
    if member.ends_at.is_none() && member.definition.is_none() && matches!(member.source, Source::Alert { .. }) {
        out.count(Count::Ungraded(member.source.name().to_owned()));
    }
}

/// The time that a signal tells of.
fn told_at(signal: &Signal) -> Timestamp {
    match signal {
        Signal::Breach(b) => b.at,
        Signal::Alert(a) => a.ends_at.unwrap_or(a.starts_at),
        Signal::Resolved { at, .. } => *at,
        Signal::Change(c) => c.at,
        Signal::Command(c) => c.at,
        Signal::Hint(h) => h.at,
        Signal::Good(good) => good.at,
    }
}

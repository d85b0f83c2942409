//! Declare: the last stage. Signals → situations (correlate) → levels (grade) → declarations, one partition of the
//! signals topic, in one order.
//!
//! An incident is declared the moment a member of a situation meets a fault definition. Its events carry the whole
//! story as of their own event time, so that a story does not depend on how fast its parts travelled.

mod incident;
mod story;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::correlate::{Calls, How, News, Situation, SituationId, Situations, Taken, Tally, rank};
use crate::model::{Alert, Entity, Origin, Signal, Timestamp};
use crate::rules::{Config, Rules};
use crate::stage::{Count, Outbox, Outcome, Progress, Record, Stage, snapshot};
use crate::wire::internal::{SignalsRecord, decode};

use incident::Graded;
pub use incident::{Event, Incident, State};

/// The last stage, of one partition.
#[derive(Debug)]
pub struct Declare {
    config: Arc<Config>,
    /// Those of the configuration, with the dependencies that were learnt.
    rules: Rules,
    state: Domain,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Domain {
    progress: Progress,
    situations: Situations,
    calls: Calls,
    incidents: BTreeMap<SituationId, Incident>,
    looks: Vec<Looks>,
    /// When an alert that lasts meets another of its rungs, by its key.
    rungs: BTreeSet<(Timestamp, u64)>,
}

/// When pictures of open incidents are to be looked at, of those that follow the time of one input, or of the clock.
#[derive(Debug, Serialize, Deserialize)]
struct Looks {
    origin: Option<Origin>,
    due: BTreeSet<(Timestamp, SituationId)>,
}

/// What is open, for the metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// Situations, declared or not.
    pub situations: usize,
    /// Declared incidents by level.
    pub incidents: BTreeMap<String, usize>,
}

impl Declare {
    /// The stage, with no state yet.
    #[must_use]
    pub fn new(config: Arc<Config>) -> Self {
        Self { rules: config.rules.clone(), config, state: Domain::default() }
    }

    /// What is open.
    #[must_use]
    pub fn open(&self) -> Open {
        let mut open = Open { situations: self.state.situations.iter().count(), ..Open::default() };
        for incident in self.state.incidents.values().filter(|i| i.state == State::Declared) {
            *open.incidents.entry(incident.level.to_string()).or_default() += 1;
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
        for signal in signals {
            if let Signal::Breach(breach) = signal {
                self.updates(Some(origin), breach.at, out);
            }
            self.learn(signal);
            let told = if progress == Timestamp::MIN { self.state.progress.watermark() } else { progress };
            let tuning = &self.config.tuning;
            let taken = match signal {
                Signal::Breach(b) => self.state.situations.breach(b, origin, &mut self.rules, tuning),
                // A part of a large record tells no progress; the alert was heard at its start at the earliest.
                Signal::Alert(a) => self.state.situations.alert(a, origin, told.max(a.starts_at), &mut self.rules, tuning),
                Signal::Resolved { fingerprint, at } => self.state.situations.resolved(*fingerprint, *at),
                Signal::Command(c) => {
                    out.count(Count::Signals(self.state.situations.command(c, &self.rules)));
                    self.tell_news(out);
                    continue;
                }
                Signal::Change(c) => {
                    out.count(Count::Signals(self.state.situations.change(c, &self.rules)));
                    continue;
                }
            };
            if let Signal::Alert(Alert { recalled: true, .. }) = signal
                && taken.joined
            {
                out.count(Count::Gaps(origin.topic.clone()));
            }
            out.count(Count::Signals(taken.outcome));
            self.tell_news(out);
            if taken.outcome == Outcome::Applied {
                self.took(&taken, signal, out);
            }
        }
        self.state.progress.hear(origin, progress, self.config.tuning.idle_after);
        self.updates(Some(origin), progress, out);
    }

    /// A signal that names several entities tells where one of them runs.
    fn learn(&mut self, signal: &Signal) {
        let topology = &mut self.rules.topology;
        let (about, labels, at) = match signal {
            _ if !topology.names_several() => return,
            Signal::Alert(alert) => (None, &alert.labels, alert.starts_at),
            Signal::Breach(breach) => (Some(topology.resolve(breach.entity.clone())), &breach.group, breach.at),
            Signal::Resolved { .. } | Signal::Change(_) | Signal::Command(_) => return,
        };
        let named: Vec<Entity> = topology.entities(labels).collect();
        let Some(about) = about.or_else(|| named.first().cloned()) else { return };
        let new = self.state.calls.name(&about, named.into_iter(), at);
        self.depend(&new);
    }

    /// Dependencies that were learnt: who depends, on whom.
    fn depend(&mut self, new: &[(Entity, Entity)]) {
        for (from, to) in new {
            self.rules.topology.add(from, to);
            self.state.situations.listed(from, &self.rules);
            self.state.situations.listed(to, &self.rules);
        }
    }

    fn took(&mut self, taken: &Taken, signal: &Signal, out: &mut Outbox) {
        if let Some((id, member)) = &taken.tallied {
            out.decide(|| trace::member(*id, member));
        }
        let Some((situation, member)) = taken.member.and_then(|key| self.state.situations.member(key)) else { return };
        if taken.joined {
            out.decide(|| trace::member(situation.id, member));
            if let Some(at) = member.next_rung(member.told_at) {
                self.state.rungs.insert((at, member.key));
            }
            // A ranking costs as much as the situation is large, so it is traced as the situation doubles, and at its end.
            if situation.members.len().is_power_of_two() {
                out.decide(|| self.cause(situation));
            }
        }
        let at = match signal {
            Signal::Breach(b) => b.at,
            Signal::Alert(a) => a.ends_at.unwrap_or(a.starts_at),
            Signal::Resolved { at, .. } => *at,
            Signal::Change(c) => c.at,
            Signal::Command(c) => c.at,
        };
        self.judge(member.key, at, out);
        if let Some(ended) = taken.ended {
            self.judge(ended, at, out);
        }
    }

    /// Tells what has become of situations, which may make a fault of what was none.
    fn tell_news(&mut self, out: &mut Outbox) {
        for news in self.state.situations.news() {
            match news {
                News::Merged { gone, kept, cause } => {
                    out.decide(|| trace::merge(gone, kept, &cause));
                    if let Some(situation) = self.state.situations.get(kept) {
                        out.decide(|| self.cause(situation));
                    }
                }
                News::Storm { situation, worst } => self.storm(situation, worst.as_ref(), out),
                News::Suppressed { member, suppressed } => {
                    out.count(Count::Suppressed(suppressed.by.as_str()));
                    if let Some((situation, member)) = self.state.situations.member(member) {
                        out.decide(|| trace::suppressed(situation.id, member, &suppressed));
                    }
                }
                News::Calm { situation } => out.decide(|| trace::calm(situation)),
                News::Moved { member } => {
                    if let Some((situation, member)) = self.state.situations.member(member) {
                        out.decide(|| trace::member(situation.id, member));
                    }
                }
            }
        }
    }

    /// A situation has too many members to tell of them all; who knows of its incident hears why.
    fn storm(&mut self, id: SituationId, worst: Option<&Tally>, out: &mut Outbox) {
        out.decide(|| trace::storm(id, worst));
        let Some(incident) = self.state.incidents.get(&id).filter(|i| i.state == State::Declared) else { return };
        let most = worst.map_or_else(String::new, |worst| format!("; most of them of {}", worst.entity));
        let (at, reason) = (incident.at, format!("so many alerts that further ones are only counted{most}"));
        self.event(id, Event::Updated, at, None, reason, out);
    }

    fn cause(&self, situation: &Situation) -> serde_json::Value {
        let latest = situation.members.iter().map(|m| m.starts_at).max().unwrap_or(Timestamp::MIN);
        trace::cause(situation.id, &rank(situation, &self.state.situations.changes, &self.rules, &self.config.tuning, latest))
    }

    /// Grades a member as of a time, and declares what follows from it for its situation.
    fn judge(&mut self, key: u64, at: Timestamp, out: &mut Outbox) {
        let Some((situation, member)) = self.state.situations.member(key) else { return };
        let (id, lasts) = (situation.id, situation.lasts());
        let incident = self.state.incidents.get(&id).map(|i| (i.state, i.level.clone()));
        match (incident, member.graded(at)) {
            (None, Some(_)) if self.state.situations.suppress_now(key, at, &self.rules) => self.tell_news(out),
            (None, Some(graded)) => self.declare(id, at, &graded, out),
            (Some((State::Recovered, _)), graded) if lasts => {
                self.event(id, Event::Reopened, at, graded, "the same trouble again".into(), out);
            }
            (Some((State::Declared, level)), Some(graded)) if graded.level().rank < level.rank => {
                let reason = format!("{level} → {}: {}", graded.level(), graded.reason());
                self.event(id, Event::Escalated, at, Some(graded), reason, out);
            }
            _ => {}
        }
        if !lasts && self.state.incidents.get(&id).is_some_and(|i| i.state == State::Declared) {
            let ended = self.state.situations.get(id).map(ended).unwrap_or_default();
            self.event(id, Event::Recovered, at, None, ended, out);
        }
    }

    fn declare(&mut self, id: SituationId, at: Timestamp, graded: &Graded, out: &mut Outbox) {
        let Some((_, member)) = self.state.situations.member(graded.key) else { return };
        let incident = Incident::new(member, graded, at);
        self.state.incidents.insert(id, incident);
        let reason = format!("{}: {}", graded.level(), graded.reason());
        self.event(id, Event::Declared, at, Some(graded.clone()), reason, out);
    }

    /// One event of an incident: its state moves on, its story is told.
    fn event(&mut self, id: SituationId, event: Event, at: Timestamp, graded: Option<Graded>, reason: String, out: &mut Outbox) {
        let Domain { situations, incidents, .. } = &mut self.state;
        let Some(incident) = incidents.get_mut(&id) else { return };
        incident.moves(event, at, graded, &reason);
        situations.declared(id, incident.recovered_at);
        let Some(situation) = situations.get(id) else { return };
        let story = story::Story::new(incident, situation, situations, &self.rules, &self.config.tuning);
        out.messages.push(story.message(event, &reason));
        out.count(Count::Declarations(event.as_str()));
        out.trace.push(trace::declaration(incident, event, &reason));
        out.decide(|| trace::cause(id, &story.ranking));
        incident.picture = story.picture();
        if matches!(event, Event::Declared | Event::Reopened) {
            self.look_at(id);
        }
    }

    /// Tells of open incidents whose picture has changed, at most every so often, in the time of the input that their
    /// breach came from; those that rest on alerts alone follow the clock.
    fn updates(&mut self, origin: Option<&Origin>, until: Timestamp, out: &mut Outbox) {
        let Some(place) = self.state.looks.iter().position(|looks| looks.origin.as_ref() == origin) else { return };
        while let Some((due, id)) = self.state.looks[place].due.first().copied().filter(|(due, _)| *due <= until) {
            self.state.looks[place].due.pop_first();
            let every = self.config.tuning.update_every;
            let next = |incidents: &BTreeMap<SituationId, Incident>| incidents.get(&id).and_then(|incident| incident.next_look(every));
            if next(&self.state.incidents).is_some_and(|next| next <= due) {
                self.update(id, due, out);
            }
            if let Some(next) = next(&self.state.incidents) {
                self.state.looks[place].due.insert((next, id));
            }
        }
    }

    /// From now on its picture is looked at.
    fn look_at(&mut self, id: SituationId) {
        let Some(incident) = self.state.incidents.get(&id) else { return };
        let Some(due) = incident.next_look(self.config.tuning.update_every) else { return };
        let place = self.state.looks.iter().position(|looks| looks.origin == incident.origin).unwrap_or_else(|| {
            self.state.looks.push(Looks { origin: incident.origin.clone(), due: BTreeSet::new() });
            self.state.looks.len() - 1
        });
        self.state.looks[place].due.insert((due, id));
    }

    fn update(&mut self, id: SituationId, at: Timestamp, out: &mut Outbox) {
        let Some(situation) = self.state.situations.get(id) else {
            self.state.incidents.remove(&id);
            return;
        };
        let Some(incident) = self.state.incidents.get_mut(&id) else { return };
        incident.looked_at = at;
        let ranking = rank(situation, &self.state.situations.changes, &self.rules, &self.config.tuning, at);
        let picture = story::picture(situation, &ranking.suspects, at);
        if picture != incident.picture {
            let reason = picture.news(&incident.picture);
            self.event(id, Event::Updated, at, None, reason, out);
        }
    }

    /// What time alone brings: alerts whose duration reaches the next rung, updates, and ends.
    fn clockwork(&mut self, out: &mut Outbox) {
        let clock = self.state.progress.clock(self.config.tuning.idle_after);
        if clock == Timestamp::MIN {
            return;
        }
        while let Some((at, key)) = self.state.rungs.first().copied().filter(|(at, _)| *at <= clock) {
            self.state.rungs.pop_first();
            self.reaches_rung(at, key, out);
        }
        for key in self.state.situations.released(clock, &self.rules) {
            if let Some((situation, member)) = self.state.situations.member(key) {
                out.decide(|| trace::released(situation.id, member, clock));
            }
            self.judge(key, clock, out);
        }
        self.updates(None, clock, out);
        for situation in self.state.situations.close(clock, &self.rules, &self.config.tuning) {
            self.state.incidents.remove(&situation.id);
            out.decide(|| self.cause(&situation));
            self.learn_from(&situation);
        }
        self.tell_news(out);
        // Those with signs are needed.
        if self.rules.topology.len() > self.state.situations.entities(&self.rules) + STRANGERS_MAX {
            self.rebind();
        }
    }

    /// What often fails together, though no path is known, is believed to depend on one another.
    fn learn_from(&mut self, situation: &Situation) {
        let mut new = vec![];
        for member in &situation.members {
            let meanwhile = match &member.why.how {
                How::Meanwhile(of) => Some(of),
                How::First | How::DependsOn(_) | How::Through(..) | How::SilentCause(_) => None,
                How::Again | How::SameEntity | How::Relapse => continue,
            };
            new.extend(self.state.calls.shows(&member.entity, meanwhile, member.starts_at));
        }
        self.depend(&new);
    }

    /// An alert has lasted for as long as one of its rungs asks.
    fn reaches_rung(&mut self, at: Timestamp, key: u64, out: &mut Outbox) {
        let Some((_, member)) = self.state.situations.member(key).filter(|(_, m)| m.ends_at.is_none()) else { return };
        self.state.rungs.extend(member.next_rung(at).map(|next| (next, key)));
        self.state.situations.update(key, |member| member.told_at = member.told_at.max(at));
        self.judge(key, at, out);
    }
}

impl Stage for Declare {
    fn apply(&mut self, record: &Record<'_>, out: &mut Outbox) {
        match decode(record.payload) {
            Ok(SignalsRecord::Signals { origin, progress, signals }) => self.signals(&origin, progress, &signals, out),
            Ok(SignalsRecord::Tick(now)) => {
                self.state.progress.tick(now, self.config.tuning.idle_after);
                if self.state.calls.forget(self.config.tuning.forget_calls_after) {
                    self.rebind();
                }
            }
            Ok(SignalsRecord::Calls(calls)) => {
                let new: Vec<_> = calls.iter().filter_map(|call| self.state.calls.see(call, &self.rules.topology)).collect();
                self.depend(&new);
            }
            // Members keep the definitions they joined under; nothing is told.
            Ok(SignalsRecord::Follow(bundle)) => match Config::from_bundle(&bundle) {
                Ok(config) => {
                    self.config = Arc::new(config);
                    self.rebind();
                    self.state.situations.follow(&self.rules);
                }
                Err(_) => out.count(Count::DeadLetters("internal_config")),
            },
            Err(reject) => out.count(Count::DeadLetters(reject.reason)),
        }
        self.clockwork(out);
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

/// Why an incident recovers once nothing of it lasts.
fn ended(situation: &Situation) -> String {
    let settled = situation.members.iter().filter(|member| member.new_normal && member.counts());
    let settled: Vec<&str> = settled.filter_map(|member| member.source.monitor()).collect();
    let ended = "every business breach has ended";
    if settled.is_empty() { ended.to_owned() } else { format!("{ended}; the new normal level of {}", settled.join(", ")) }
}

/// Entities that only alerts have named, and that are remembered; beyond it those without signs are forgotten.
const STRANGERS_MAX: usize = 50_000;

/// An incident's picture is looked at this often at the least, however often it may be updated.
const LOOK_EVERY_MIN: Duration = Duration::from_secs(1);

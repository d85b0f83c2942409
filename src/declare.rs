//! Declare: the last stage. Signals → situations (correlate) → levels (grade) → declarations, one partition of the
//! signals topic, in one order.
//!
//! An incident is declared the moment a member of a situation meets a fault definition. Its events carry the whole
//! story as of their own event time, so that a story does not depend on how fast its parts travelled.

mod incident;
mod story;
mod trace;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::correlate::{Calls, Situation, SituationId, Situations, Taken};
use crate::grade;
use crate::model::{Alert, Origin, Signal, Timestamp};
use crate::rules::{Config, Rules};
use crate::stage::{Count, Outbox, Outcome, Progress, Record, Stage, snapshot};
use crate::wire::internal::{SignalsRecord, decode};

pub use incident::{Event, Incident, State};
use incident::{Graded, grades};

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

    fn signals(&mut self, origin: &Origin, progress: Timestamp, signals: &[Signal], out: &mut Outbox) {
        for signal in signals {
            if let Signal::Breach(breach) = signal {
                self.updates(Some(origin), breach.at, out);
            }
            let taken = match signal {
                Signal::Breach(b) => self.state.situations.breach(b, origin, &self.rules, &self.config.tuning),
                // A part of a large record tells no progress; the alert was heard at its start at the earliest.
                Signal::Alert(a) => {
                    let heard_at = progress.max(a.starts_at);
                    self.state.situations.alert(a, origin, heard_at, &self.rules, &self.config.tuning)
                }
                Signal::Resolved { fingerprint, at } => self.state.situations.resolved(*fingerprint, *at),
                Signal::Change(c) => {
                    out.count(Count::Signals(self.state.situations.change(c, &self.rules)));
                    continue;
                }
            };
            if let Signal::Alert(Alert { recalled: true, .. }) = signal
                && taken.joined.is_some()
            {
                out.count(Count::Gaps(origin.topic.clone()));
            }
            out.count(Count::Signals(taken.outcome));
            if taken.outcome == Outcome::Applied {
                self.took(&taken, signal, out);
            }
        }
        self.state.progress.hear(origin, progress, self.config.tuning.idle_after);
        self.updates(Some(origin), progress, out);
    }

    fn took(&mut self, taken: &Taken, signal: &Signal, out: &mut Outbox) {
        let Some(id) = taken.situation else { return };
        let Some(situation) = self.state.situations.get(id) else { return };
        if let Some(member) = taken.joined.and_then(|place| situation.members.get(place)) {
            out.trace.push(trace::member(id, member));
        }
        for gone in &taken.merged {
            out.trace.push(trace::merge(*gone, id));
        }
        // A ranking costs as much as the situation is large, so it is traced as the situation doubles, and at its end.
        if taken.joined.is_some() && (situation.members.len().is_power_of_two() || !taken.merged.is_empty()) {
            out.trace.push(self.cause(situation));
        }
        let at = match signal {
            Signal::Breach(b) => b.at,
            Signal::Alert(a) => a.ends_at.unwrap_or(a.starts_at),
            Signal::Resolved { at, .. } => *at,
            Signal::Change(c) => c.at,
        };
        self.judge(id, at, out);
    }

    fn cause(&self, situation: &Situation) -> serde_json::Value {
        let latest = situation.members.iter().map(|m| m.starts_at).max().unwrap_or(Timestamp::MIN);
        trace::cause(situation.id, &story::suspects(situation, &self.state.situations.changes, &self.rules, &self.config.tuning, latest))
    }

    /// Grades a situation as of a time, and declares what follows from it.
    fn judge(&mut self, id: SituationId, at: Timestamp, out: &mut Outbox) {
        let Some(situation) = self.state.situations.get(id) else { return };
        let (worst, lasts, ended) = (grades(situation, at), situation.lasts(), ended(situation));
        let incident = self.state.incidents.get(&id).map(|i| (i.state, i.level.clone()));
        match (incident, worst) {
            (None, Some(graded)) => self.declare(id, at, &graded, out),
            (Some((State::Recovered, _)), worst) if lasts => {
                self.event(id, Event::Reopened, at, worst, "the same trouble again".into(), out);
            }
            (Some((State::Declared, level)), Some(graded)) if graded.level().rank < level.rank => {
                let reason = format!("{level} → {}: {}", graded.level(), graded.reason());
                self.event(id, Event::Escalated, at, Some(graded), reason, out);
            }
            _ => {}
        }
        if !lasts && self.state.incidents.get(&id).is_some_and(|i| i.state == State::Declared) {
            self.event(id, Event::Recovered, at, None, ended, out);
        }
    }

    fn declare(&mut self, id: SituationId, at: Timestamp, graded: &Graded, out: &mut Outbox) {
        let Some(member) = self.state.situations.get(id).and_then(|s| s.members.get(graded.member)) else { return };
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
        if let Some(situation) = situations.get_mut(id) {
            situation.declared = true;
            situation.recovered_at = incident.recovered_at;
        }
        let Some(situation) = situations.get(id) else { return };
        let story = story::Story::new(incident, situation, &situations.changes, &self.rules, &self.config.tuning);
        out.messages.push(story.message(event, &reason));
        out.count(Count::Declarations(event.as_str()));
        out.trace.push(trace::declaration(incident, event, &reason));
        out.trace.push(trace::cause(id, &story.suspects));
        incident.picture = story.picture();
    }

    /// Tells of open incidents whose picture has changed, at most every so often, in the time of the input that their
    /// breach came from; those that rest on alerts alone follow the clock.
    fn updates(&mut self, origin: Option<&Origin>, until: Timestamp, out: &mut Outbox) {
        let due: Vec<SituationId> = self.state.incidents.iter().filter(|(_, i)| i.follows(origin)).map(|(id, _)| *id).collect();
        for id in due {
            while let Some(at) = self.state.incidents.get(&id).and_then(|i| i.update_due(self.config.tuning.update_every, until)) {
                self.update(id, at, out);
            }
        }
    }

    fn update(&mut self, id: SituationId, at: Timestamp, out: &mut Outbox) {
        let (Some(incident), Some(situation)) = (self.state.incidents.get_mut(&id), self.state.situations.get(id)) else { return };
        incident.looked_at = at;
        let changes = &self.state.situations.changes;
        let suspects = story::suspects(situation, changes, &self.rules, &self.config.tuning, at);
        let picture = story::picture(situation, &suspects, at);
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
        while let Some((at, id)) = self.next_rung(clock) {
            if let Some(situation) = self.state.situations.get_mut(id) {
                situation.members.iter_mut().filter(|m| m.by_duration()).for_each(|m| m.told_at = m.told_at.max(at));
            }
            self.judge(id, at, out);
        }
        self.updates(None, clock, out);
        for situation in self.state.situations.close(clock, &self.rules, &self.config.tuning) {
            self.state.incidents.remove(&situation.id);
            out.trace.push(self.cause(&situation));
        }
    }

    /// The next time, not after the clock, at which a firing alert's duration meets another rung.
    fn next_rung(&self, clock: Timestamp) -> Option<(Timestamp, SituationId)> {
        let members = self.state.situations.iter().flat_map(|s| s.members.iter().map(move |m| (s.id, m)));
        let firing = members.filter(|(_, m)| m.by_duration() && m.ends_at.is_none());
        let next = firing.filter_map(|(id, m)| {
            let at = grade::next_change(m.definition.as_ref()?, m.starts_at, m.told_at)?;
            Some((at, id))
        });
        next.filter(|(at, _)| *at <= clock).min()
    }
}

impl Stage for Declare {
    fn apply(&mut self, record: &Record<'_>, out: &mut Outbox) {
        match decode(record.payload) {
            Ok(SignalsRecord::Signals { origin, progress, signals }) => self.signals(&origin, progress, &signals, out),
            Ok(SignalsRecord::Tick(now)) => {
                self.state.progress.tick(now, self.config.tuning.idle_after);
                if self.state.calls.forget(self.config.tuning.forget_calls_after) {
                    self.rules = self.state.calls.over(&self.config.rules);
                }
            }
            Ok(SignalsRecord::Calls(calls)) => {
                for call in &calls {
                    if let Some((from, to)) = self.state.calls.see(call, &self.rules.topology) {
                        self.rules.topology.add(from, to);
                    }
                }
            }
            // Members keep the definitions they joined under; nothing is told.
            Ok(SignalsRecord::Follow(bundle)) => match Config::from_bundle(&bundle) {
                Ok(config) => {
                    self.config = Arc::new(config);
                    self.rules = self.state.calls.over(&self.config.rules);
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
        self.rules = self.state.calls.over(&self.config.rules);
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

/// An incident's picture is looked at this often at the least, however often it may be updated.
const LOOK_EVERY_MIN: Duration = Duration::from_secs(1);

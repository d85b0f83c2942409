//! What people do about incidents: their commands, each done once, or answered with why it was not.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::contract::{self, ACCEPTED, Acceptance, Action, Cause, Discovery, Note, REJECTED, Rejection, Source, Stamp};
use crate::correlate::{Member, Silence, SituationId, Statement};
use crate::model::command::RICHTER;
use crate::model::text::moment;
use crate::model::{Act, Command, Condition, Definition, Event, Ladder, Measure, Order, Origin, Point, Rung, Split, State, Timestamp};
use crate::stage::{Count, Outbox, Outcome};
use crate::wire::cloudevent::{Attributes, message};

use super::Declare;
use super::costs;
use super::incident::{Incident, NOTES_MAX};
use super::merge::MERGED_MAX;
use super::trace;

/// Commands whose ids are remembered; of more, the oldest is forgotten.
const COMMANDS_MAX: usize = 20_000;

/// Incidents that are told of one silence that does not silence them.
const TOLD_OF_A_SILENCE_MAX: usize = 20;

/// Commands that were seen, so that each is done once.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Seen {
    /// As they came, whatever their own time.
    in_order: VecDeque<String>,
    ids: BTreeSet<String>,
}

impl Seen {
    /// Whether it is the first time.
    fn first(&mut self, command: &Command) -> bool {
        if !self.ids.insert(command.id.clone()) {
            return false;
        }
        self.in_order.push_back(command.id.clone());
        if self.in_order.len() > COMMANDS_MAX
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

/// Why a command is not done.
pub(super) type Refused = String;

impl Declare {
    /// Takes in a command that was told at that time; its own clock may be fast.
    pub(super) fn command(&mut self, command: &Command, origin: &Origin, told: Timestamp, out: &mut Outbox) {
        if !self.state.commands.first(command) {
            out.count(Count::Signals(Outcome::Duplicate));
            return;
        }
        out.count(Count::Signals(Outcome::Applied));
        self.occasion.answers = Some(command.id.clone());
        let done = match self.rules.duty.may(&command.author, command.order.as_str()) {
            true => self.order(command, origin, told, out),
            false => Err(format!("no role of {} may {}", command.author, command.order.as_str())),
        };
        self.occasion.answers = None;
        if let Err(why) = done {
            reject(command, &why, out);
        }
    }

    fn order(&mut self, command: &Command, origin: &Origin, told: Timestamp, out: &mut Outbox) -> Result<(), Refused> {
        match &command.order {
            Order::Silence { alerts, until } => {
                let clock = self.state.progress.clock(self.config.tuning.idle_after);
                let silence = self.state.situations.silence(command, alerts, *until, clock, &self.rules)?;
                self.tell_news(out);
                self.goes_on_all_the_same(command, out);
                let outcome = with(command, &format!("{alerts} is silenced until {}", moment(*until)));
                accept(command, outcome, (&command.id, silence), out);
                Ok(())
            }
            Order::Unsilence { silence } => {
                let ended = self.state.situations.unsilence(silence)?;
                let ended = Silence { until: ended.until.min(command.at).max(ended.from), ..ended };
                accept(command, with(command, &format!("the silence {silence} has ended")), (silence, ended), out);
                Ok(())
            }
            Order::Declare { .. } => self.declare_by_hand(command, origin, told, out),
            Order::On { incident, act } => {
                let mut id = self.find(incident)?;
                if matches!(act, Act::Acknowledge | Act::Note) {
                    id = self.whole_of(id).unwrap_or(id);
                }
                self.act(id, act, command, out)
            }
        }
    }

    /// What is on already is not silenced: that is told where it is, for who silences it means it to end.
    fn goes_on_all_the_same(&mut self, command: &Command, out: &mut Outbox) {
        let is_silenced = |member: &Member| member.ends_at.is_none() && self.state.situations.is_under(&command.id, member);
        let on = self.state.incidents.iter().filter(|(_, incident)| incident.state.is_on()).map(|(id, _)| *id);
        let on: Vec<SituationId> = on.filter(|id| self.counting(*id).any(is_silenced)).take(TOLD_OF_A_SILENCE_MAX).collect();
        for id in on {
            let words = with(command, "the new silence does not end what is on already; acknowledge or cancel it");
            self.event(id, Event::Updated, command.at, &command.author, words, out);
        }
    }

    /// The incident of that name.
    pub(super) fn find(&self, incident: &str) -> Result<SituationId, Refused> {
        self.state
            .incidents
            .named(incident)
            .ok_or_else(|| format!("there is no incident {incident:?} that is open or waits for its review"))
    }

    fn act(&mut self, id: SituationId, act: &Act, command: &Command, out: &mut Outbox) -> Result<(), Refused> {
        match act {
            Act::Acknowledge => self.says(id, Event::Acknowledged, command, with(command, "acknowledged"), out),
            Act::SetLevel { level } => self.set_level(id, level, command, out),
            Act::SetImpact { numbers } => self.set_impact(id, numbers, command, out),
            Act::Mark { point, time } => {
                let words = with(command, &format!("{point} at {}", moment(*time)));
                self.legal(id, Event::Updated, command)?;
                if *time > command.at + self.config.tuning.ahead_max {
                    return Err(format!("{time} is yet to come"));
                }
                if *point == Point::Recovered && self.state.incidents.get(&id).is_some_and(|incident| incident.state.is_on()) {
                    return Err("it is on: `recover` says that it is over".into());
                }
                self.in_order(id, *point, *time)?;
                self.change(id, |incident| {
                    // Who noticed it before anything told of it is by whom it was discovered.
                    let before = incident.timeline.get(&Point::Discovered).is_none_or(|(at, _)| time < at);
                    if *point == Point::Discovered && before {
                        incident.discovery = Some(Discovery { by: Source::Person, name: command.author.clone() });
                    }
                    incident.timeline.insert(*point, (*time, command.author.clone()));
                });
                self.says(id, Event::Updated, command, words, out)
            }
            Act::SetCause { cause, class, entity, change } => {
                self.legal(id, Event::Updated, command)?;
                let known = Cause {
                    cause: cause.clone(),
                    class: *class,
                    entity: entity.as_ref().map(ToString::to_string),
                    change: change.clone(),
                    by: command.author.clone(),
                };
                self.change(id, |incident| {
                    incident.cause = Some(known);
                    incident.timeline.entry(Point::CauseKnown).or_insert((command.at, command.author.clone()));
                });
                self.says(id, Event::Updated, command, format!("root cause ({class}): {cause}"), out)
            }
            Act::Note => {
                self.legal(id, Event::Updated, command)?;
                let note = Note { at: command.at.to_string(), by: command.author.clone(), text: command.comment.clone() };
                self.keeps(id, |incident| &mut incident.notes, note)?;
                self.says(id, Event::Updated, command, format!("note: {}", command.comment), out)
            }
            Act::Merge { into } => self.merge_by_hand(id, into, command, out),
            Act::Split { part: Split::Merged(merged) } => self.split_by_hand(id, merged, command, out),
            Act::Split { part: Split::Entity(entity) } => self.take_apart(id, entity, command, out),
            Act::Cancel => self.cancel(id, command, out),
            Act::Recover => self.recover(id, command, out),
            Act::RevokeRecovery => {
                self.legal(id, Event::RecoveryRevoked, command)?;
                for situation in self.situations_of(id) {
                    for key in self.state.situations.resume(situation, &self.rules) {
                        self.await_rung(key, command.at);
                    }
                }
                self.hears_anew(id);
                self.says(id, Event::RecoveryRevoked, command, with(command, "a person says so"), out)?;
                // What it would have met meanwhile it meets now.
                self.grade_all(id, command.at, out);
                Ok(())
            }
            Act::Action { .. } | Act::ActionDone { .. } | Act::Reviewed => self.review(id, act, command, out),
        }
    }

    /// What follows from an incident so that it does not come again.
    fn review(&mut self, id: SituationId, act: &Act, command: &Command, out: &mut Outbox) -> Result<(), Refused> {
        let by = Stamp { at: command.at.to_string(), by: command.author.clone() };
        match act {
            Act::Action { action, owner, due, verify } => {
                self.legal(id, Event::Updated, command)?;
                if *due < command.at {
                    return Err(format!("it is due at {}, which has passed", moment(*due)));
                }
                let (due_at, verify) = (due.to_string(), verify.clone());
                let new = Action { id: command.id.clone(), action: action.clone(), owner: owner.clone(), due_at, verify, done_at: None };
                self.keeps(id, |incident| &mut incident.actions, new)?;
                let due = due.to_string();
                self.says(id, Event::Updated, command, format!("action of {owner}, due {}: {action}", &due[..10]), out)?;
            }
            Act::ActionDone { action } => {
                self.legal(id, Event::Updated, command)?;
                let incident = self.state.incidents.get_mut(&id);
                let known = incident.and_then(|incident| incident.actions.iter_mut().find(|known| known.id == *action));
                let known = known.ok_or_else(|| format!("it has no action {action:?}"))?;
                if let Some(done_at) = known.done_at.as_deref().and_then(|at| Timestamp::parse(at).ok()) {
                    return Err(format!("it is done since {}", moment(done_at)));
                }
                known.done_at = Some(by.at);
                let words = format!("action done: {}", known.action);
                self.says(id, Event::Updated, command, words, out)?;
            }
            _ => {
                self.legal(id, Event::Reviewed, command)?;
                let known = self.state.incidents.get(&id).is_some_and(|incident| incident.cause.is_some());
                known.then_some(()).ok_or("the root cause is not said yet: set_cause comes first")?;
                self.change(id, |incident| incident.review.iter_mut().for_each(|review| review.done = Some(by.clone())));
                self.says(id, Event::Reviewed, command, with(command, "the review is done"), out)?;
            }
        }
        self.close_reviewed(id, command.at, out);
        Ok(())
    }

    fn set_level(&mut self, id: SituationId, name: &str, command: &Command, out: &mut Outbox) -> Result<(), Refused> {
        let level = self.rules.levels.named(name)?;
        let Some(incident) = self.state.incidents.get(&id) else { return Ok(()) };
        let now = incident.level_in(&level.sequence).cloned();
        let event = match &now {
            Some(now) if now.rank == level.rank => return Err(format!("it is {now} already")),
            Some(now) if now.rank < level.rank => Event::Downgraded,
            _ => Event::Escalated,
        };
        self.legal(id, event, command)?;
        let before = now.map_or_else(|| "none".to_owned(), |now| now.to_string());
        let words = with(command, &format!("{before} → {level}: set by hand"));
        let grades =
            self.counting(id).filter_map(|member| member.grade(command.at, &incident.said, &costs::beside(member, self.counting(id))));
        let measured = grades.filter_map(|grade| Some(grade.0.get(&level.sequence)?.effective()?.level.clone())).min();
        self.change(id, |incident| incident.set_level(level, measured, command.at, &command.author));
        self.says(id, event, command, words, out)
    }

    fn set_impact(&mut self, id: SituationId, numbers: &[(Measure, f64)], command: &Command, out: &mut Outbox) -> Result<(), Refused> {
        self.legal(id, Event::Updated, command)?;
        self.change(id, |incident| {
            for (measure, number) in numbers {
                let said = incident.said.entry(*measure).or_default();
                // What was said later counts, in whichever order both are read.
                said.insert(said.partition_point(|(_, at)| *at <= command.at), (*number, command.at));
                // Of very many the earliest goes: from then on it holds since the next one.
                said.drain(..said.len().saturating_sub(NOTES_MAX));
            }
        });
        let said = |measure: &Measure| self.state.incidents.get(&id).and_then(|incident| incident.said.get(measure)?.last().copied());
        let since = |measure: &Measure| said(measure).filter(|(_, at)| *at > command.at);
        let words = numbers.iter().map(|(measure, number)| match since(measure) {
            Some((later, at)) => format!("{measure} {number}, and {later} since {}", moment(at)),
            None => format!("{measure} {number}"),
        });
        let words: Vec<String> = words.collect();
        self.says(id, Event::Updated, command, with(command, &words.join(", ")), out)?;
        self.grade_all(id, command.at, out);
        self.watches(id, numbers, command.at);
        Ok(())
    }

    /// Looks again when what people say has lasted for as long as a rung asks: detection does not watch that.
    fn watches(&mut self, id: SituationId, numbers: &[(Measure, f64)], at: Timestamp) {
        let due = self.counting(id).flat_map(|member| {
            let ladders = member.definition.iter().flat_map(|definition| definition.ladders());
            let conditions = ladders.flat_map(|ladder| &ladder.rungs).map(|rung| &rung.condition);
            let said =
                |condition: &&Condition| condition.tests.iter().any(|test| numbers.iter().any(|(measure, _)| *measure == test.measure));
            conditions.filter(said).map(|condition| (at + condition.hold, member.key))
        });
        for (due, key) in due.filter(|(due, _)| *due > at).collect::<Vec<_>>() {
            self.state.rungs.add(due, key);
        }
    }

    fn merge_by_hand(&mut self, id: SituationId, into: &str, command: &Command, out: &mut Outbox) -> Result<(), Refused> {
        let other = self.find(into)?;
        if other == id {
            return Err("it is that incident itself".into());
        }
        self.legal(id, Event::Merged, command)?;
        self.legal(other, Event::Updated, command)?;
        if self.state.incidents.get(&other).is_some_and(|whole| whole.state == State::Reviewed) {
            return Err(format!("{into} is reviewed already: what goes on is no part of it"));
        }
        if !self.state.incidents.get(&other).is_some_and(Incident::has_room) {
            return Err(format!("{MERGED_MAX} others are part of {into} already"));
        }
        self.merge(id, other, command.at, &command.author, &with(command, "a person says so").into(), out);
        Ok(())
    }

    /// A person declares what no monitor has noticed; it lasts until a person says that it is over.
    fn declare_by_hand(&mut self, command: &Command, origin: &Origin, told: Timestamp, out: &mut Outbox) -> Result<(), Refused> {
        let Order::Declare { level, scenario, entity, business, owner } = &command.order else { return Ok(()) };
        let level = self.rules.levels.named(level)?;
        if !owner.is_empty() && !self.rules.duty.teams.is_empty() && self.rules.duty.team(owner).is_none() {
            return Err(format!("there is no team {owner:?}"));
        }
        let known = self.rules.levels.scenarios.iter().find(|known| known.name == *scenario);
        let or = |said: &String, known: Option<&String>| if said.is_empty() { known.cloned().unwrap_or_default() } else { said.clone() };
        let (business, owner) = (or(business, known.map(|known| &known.business)), or(owner, known.map(|known| &known.owner)));
        let condition = Condition { tests: vec![], hold: std::time::Duration::ZERO };
        let rung = Rung { level, condition, because: format!("{} says so", command.author) };
        let definition = Definition {
            scenario: scenario.clone(),
            business,
            owner,
            own: vec![Ladder { rungs: vec![rung] }],
            generic: self.rules.levels.floor_by_numbers().collect(),
        };
        let said = Statement {
            author: command.author.clone(),
            command: command.id.clone(),
            comment: command.comment.clone(),
            entity: entity.clone(),
            definition,
            origin: origin.clone(),
            at: command.at,
        };
        let taken = self.state.situations.said(said, told, &mut self.rules, &self.config.tuning);
        self.beside_the_answer(|declare| declare.tell_news(out));
        let before = out.messages.len();
        self.took(&taken, command.at, out);
        if out.messages.len() > before {
            return Ok(());
        }
        // What is refused holds nothing open.
        if let Some(key) = taken.member {
            self.state.situations.update(key, |member| member.ends_at = Some(command.at));
        }
        let known = taken.member.and_then(|key| self.state.situations.place(key));
        let known = known.and_then(|(situation, _)| self.state.incidents.get(&self.owner(situation)));
        Err(known.map_or_else(|| "there are too many incidents".to_owned(), |known| format!("it is part of {} already", known.id)))
    }

    /// Whether a point of the timeline can have been then, by the points that are known.
    fn in_order(&self, id: SituationId, point: Point, time: Timestamp) -> Result<(), Refused> {
        let Some(incident) = self.state.incidents.get(&id) else { return Ok(()) };
        for (other, (at, _)) in incident.timeline.iter().filter(|(other, _)| **other != point) {
            if (other.precedes(point) && *at > time) || (point.precedes(*other) && time > *at) {
                let side = if *at > time { "before" } else { "after" };
                return Err(format!("{point} at {time} would be {side} {other}, which was at {at}"));
            }
        }
        Ok(())
    }

    /// Whether an event is legal now.
    pub(super) fn legal(&self, id: SituationId, event: Event, command: &Command) -> Result<(), Refused> {
        let Some(incident) = self.state.incidents.get(&id) else { return Err("it is closed".into()) };
        let legal = event.after(Some(incident.state)).is_some();
        let whole = incident.merged_into.as_ref().map_or_else(String::new, |whole| format!(": it is part of {whole} now"));
        legal.then_some(()).ok_or_else(|| format!("{} is not possible while it is {}{whole}", command.order.as_str(), incident.state))
    }

    fn recover(&mut self, id: SituationId, command: &Command, out: &mut Outbox) -> Result<(), Refused> {
        self.legal(id, Event::Recovered, command)?;
        self.knows_all(id, command, out)?;
        self.in_order(id, Point::Recovered, command.at)?;
        for situation in self.situations_of(id) {
            self.state.situations.end(situation, command.at);
        }
        self.says(id, Event::Recovered, command, with(command, "a person says so"), out)
    }

    fn cancel(&mut self, id: SituationId, command: &Command, out: &mut Outbox) -> Result<(), Refused> {
        self.legal(id, Event::Cancelled, command)?;
        self.knows_all(id, command, out)?;
        self.remembers_cancelled(id);
        self.says(id, Event::Cancelled, command, with(command, "it was no fault"), out)
    }

    /// What is told so is no answer to the command that is being done.
    fn beside_the_answer(&mut self, tell: impl FnOnce(&mut Self)) {
        let answers = self.occasion.answers.take();
        tell(self);
        self.occasion.answers = answers;
    }

    /// Who says that all of an incident is over, or none, has been told of all of it; otherwise that is told first.
    fn knows_all(&mut self, id: SituationId, command: &Command, out: &mut Outbox) -> Result<(), Refused> {
        if !self.has_untold(id) {
            return Ok(());
        }
        self.beside_the_answer(|declare| declare.look(id, command.at, out));
        Err("more has come to it than was told by then, and is told now: say so again if that is meant, too, or split it off".into())
    }

    /// An event that a person brings about.
    pub(super) fn says(
        &mut self,
        id: SituationId,
        event: Event,
        command: &Command,
        reason: String,
        out: &mut Outbox,
    ) -> Result<(), Refused> {
        self.legal(id, event, command)?;
        self.event(id, event, command.at, &command.author, reason, out);
        Ok(())
    }

    pub(super) fn change<T>(&mut self, id: SituationId, change: impl FnOnce(&mut super::Incident) -> T) {
        if let Some(incident) = self.state.incidents.get_mut(&id) {
            change(incident);
        }
    }

    /// Keeps one more of what an incident may have so many of.
    fn keeps<T>(&mut self, id: SituationId, of: impl Fn(&mut super::Incident) -> &mut Vec<T>, new: T) -> Result<(), Refused> {
        let Some(all) = self.state.incidents.get_mut(&id).map(of) else { return Ok(()) };
        if all.len() >= NOTES_MAX {
            return Err(format!("it has {NOTES_MAX} of them already"));
        }
        all.push(new);
        Ok(())
    }

    /// Nothing is left to do once it is reviewed and all actions are done.
    fn close_reviewed(&mut self, id: SituationId, at: Timestamp, out: &mut Outbox) {
        if self.state.incidents.get(&id).is_some_and(|incident| incident.state == State::Reviewed && incident.is_done()) {
            self.event(id, Event::Closed, at, RICHTER, "reviewed, and all actions are done", out);
        }
    }
}

/// What a person says of it, or else what there is to say.
pub(super) fn with(command: &Command, words: &str) -> String {
    if command.comment.is_empty() { words.to_owned() } else { format!("{words}: {}", command.comment) }
}

/// The answer to a command that is not done.
fn reject(command: &Command, why: &str, out: &mut Outbox) {
    let incident = match &command.order {
        Order::On { incident, .. } => Some(incident.clone()),
        Order::Silence { .. } | Order::Unsilence { .. } | Order::Declare { .. } => None,
    };
    let (order, author) = (command.order.as_str().to_owned(), command.author.clone());
    let rejection = Rejection { command: command.id.clone(), order, author, incident: incident.clone(), reason: why.to_owned() };
    answer(command, REJECTED, incident, &rejection, out);
    out.count(Count::Declarations("command_rejected"));
    out.trace.push(trace::answer("rejection", &rejection));
}

/// The answer to a command that is done, of which no incident tells.
fn accept(command: &Command, outcome: String, (id, silence): (&str, Silence), out: &mut Outbox) {
    let Silence { author, comment, alerts, from, until } = silence;
    let silence = contract::Silence { id: id.to_owned(), alerts, author, comment, from: from.to_string(), until: until.to_string() };
    let (order, author) = (command.order.as_str().to_owned(), command.author.clone());
    let acceptance = Acceptance { command: command.id.clone(), order, author, outcome, silence: Some(silence) };
    answer(command, ACCEPTED, None, &acceptance, out);
    out.count(Count::Declarations("command_accepted"));
    out.trace.push(trace::answer("acceptance", &acceptance));
}

/// It has a key of its own: the last record of an incident's key is the incident.
fn answer<T: Serialize>(command: &Command, kind: &str, incident: Option<String>, data: &T, out: &mut Outbox) {
    let attributes = Attributes {
        specversion: "1.0",
        id: format!("command.{}", command.id),
        source: "/richter",
        kind: kind.into(),
        subject: incident,
        time: command.at.to_string(),
        datacontenttype: "application/json",
        partitionkey: format!("command.{}", command.id),
        sequence: None,
        level: None,
    };
    out.messages.push(message(&attributes, data));
}

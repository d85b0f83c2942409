//! From situations to incidents: suspicion, declaration, escalation, recovery, and what becomes of them together.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::correlate::{EndedBy, How, Member, MemberKey, Situation, SituationId, Source, Why};
use crate::grade::Grade;
use crate::model::command::RICHTER;
use crate::model::{Breach, Event, Level, Numbers, Phase, Point, State, Timestamp, duration};
use crate::rules::Topology;
use crate::stage::{Count, Limit, Outbox};

use super::costs;
use super::evidence::Grounds;
use super::grading::Graded;
use super::incident::{Incident, NOTES_MAX, Review};
use super::merge::Shared;
use super::picture::called;
use super::reason::Reason;
use super::story::{Story, discovered};
use super::{Declare, trace};

/// Incidents that are open or wait for their review. For a further one the one that has recovered longest ago is closed, or what was
/// suspected longest; where all are on, no further one is declared but by people.
const INCIDENTS_MAX: usize = 10_000;

/// So many more may be declared by people.
const BY_PEOPLE: usize = 1_000;

impl Declare {
    /// The incident's key that a situation belongs to.
    pub(super) fn owner(&self, situation: SituationId) -> SituationId {
        self.state.owners.get(&situation).copied().unwrap_or(situation)
    }

    /// The situations of an incident.
    pub(super) fn situations_of(&self, id: SituationId) -> Vec<SituationId> {
        self.state.incidents.get(&id).map(|incident| incident.situations.clone()).unwrap_or_default()
    }

    /// Whether anything that counts lasts.
    pub(super) fn lasts(&self, id: SituationId) -> bool {
        self.situations_of(id).iter().filter_map(|id| self.state.situations.get(*id)).any(Situation::lasts)
    }

    /// Grades a member as of a time, and tells what follows from it for its incident.
    pub(super) fn grade_member(&mut self, key: MemberKey, at: Timestamp, out: &mut Outbox) {
        let Some((situation, member)) = self.state.situations.member(key) else { return };
        let own = situation.id;
        let id = self.owner(own);
        if let Some(incident) = self.state.incidents.get_mut(&id).filter(|_| member.by_duration()) {
            incident.heard_at = incident.heard_at.max(member.heard_at);
        }
        let Some(incident) = self.state.incidents.get(&id) else {
            if member.counts() && member.ends_at.is_none() {
                self.begin(key, own, at, out);
            }
            return;
        };
        if incident.state == State::Merged {
            // It is nobody's: the whole was closed before it. What comes now is a fault of its own.
            self.event(id, Event::Closed, at, RICHTER, "what it was part of is closed", out);
            return self.grade_member(key, at, out);
        }
        let (state, said) = (incident.state, &incident.said);
        let graded = member.graded(at, said, &costs::beside(member, self.counting(id)));
        match (state, graded) {
            (State::Suspected, Some(graded)) => {
                let same = self.same(member).filter(|_| !incident.split_off);
                match same.filter(|same| self.makes_room_in(*same)) {
                    Some(same) => self.becomes_part(id, same, key, at, out),
                    None => self.declares(id, at, &graded, out),
                }
            }
            // What meets no level yet is no fault yet, as when it began.
            (State::Recovered | State::Reviewed, graded) if self.lasts(id) && (graded.is_some() || self.never_ended(id)) => {
                let (reason, after_all) = self.relapses(id, key);
                let began = member.starts_at;
                if let Some(incident) = self.state.incidents.get_mut(&id).filter(|incident| incident.well.len() < NOTES_MAX) {
                    // Where it began before, it was never well.
                    incident.well.extend(incident.good_since.filter(|good| *good < began).map(|good| (good, began)));
                }
                // What contradicts a recovery does so when it is heard.
                let at = if after_all { at.max(member.heard_at) } else { at };
                self.reopens(id, &reason, at, graded, out);
            }
            (State::Recovering, graded) if self.lasts(id) => {
                self.event(id, Event::RecoveryRevoked, at, RICHTER, "it is bad again", out);
                // Nobody need be told of a recovery that was none; of what is worse everybody is.
                graded.into_iter().for_each(|graded| self.rises(id, &graded, at, out));
            }
            (State::Declared | State::Recovering | State::Recovered, Some(graded)) => self.rises(id, &graded, at, out),
            (State::Cancelled, Some(graded)) if self.lasts(id) => self.goes_on_cancelled(id, &graded, at, out),
            // What flaps may come back: recovery waits for it.
            (State::Recovering, None) => self.schedule(id),
            _ => {}
        }
        self.recovers(id, at, out);
    }

    /// What counts and has no incident yet: it is declared where it meets a definition, suspected where it may.
    fn begin(&mut self, key: MemberKey, id: SituationId, at: Timestamp, out: &mut Outbox) {
        if self.state.situations.suppress_now(key, at, &self.rules) {
            return self.tell_news(out);
        }
        let same = self.state.situations.member(key).and_then(|(_, member)| self.same(member));
        if let Some(same) = same.filter(|same| self.makes_room_in(*same)) {
            return self.joins(key, id, same, at, out);
        }
        let Some((_, member)) = self.state.situations.member(key) else { return };
        // An alert's name may be any: only those of monitors are counted by.
        let (by_hand, monitor) = (matches!(member.source, Source::Person { .. }), member.source.monitor().unwrap_or_default().to_owned());
        let most = INCIDENTS_MAX + if by_hand { BY_PEOPLE } else { 0 };
        if self.state.incidents.len() >= most && !self.makes_room(at, out) {
            return out.count(Count::Limited(monitor, Limit::Incidents));
        }
        let Some((_, member)) = self.state.situations.member(key) else { return };
        let can_rise = |grade: &Grade| grade.0.values().any(|standing| standing.next.is_some());
        let mut incident = Incident::new(member, id, at);
        incident.discovery = Some(discovered(member));
        for salt in 1..=u8::MAX {
            if self.state.incidents.named(&incident.id).is_none() {
                break;
            }
            incident.rename(member, salt);
        }
        match member.grade(at, &incident.said, &Numbers::new()) {
            Some(grade) if grade.level().is_some() => {
                self.state.incidents.insert(id, incident);
                self.declares(id, at, &Graded { key, grade }, out);
            }
            Some(grade) if can_rise(&grade) => {
                let next = grade.0.values().filter_map(|standing| standing.next.as_ref()).min_by(|a, b| a.level.cmp(&b.level));
                let reason = next.map_or_else(String::new, |next| format!("{} at {}", next.level, next.by));
                self.state.incidents.insert(id, incident);
                self.state.suspected.insert(id);
                self.event(id, Event::Suspected, at, RICHTER, reason, out);
            }
            _ => {}
        }
    }

    fn declares(&mut self, id: SituationId, at: Timestamp, graded: &Graded, out: &mut Outbox) {
        if self.state.situations.suppress_now(graded.key, at, &self.rules) {
            return self.tell_news(out);
        }
        let before = self.is_now_about(id, graded.key);
        let Some((incident, (_, member))) = self.state.incidents.get_mut(&id).zip(self.state.situations.member(graded.key)) else {
            return;
        };
        incident.leader = graded.key;
        incident.discovery = Some(discovered(member));
        if member.by_duration() {
            incident.heard_at = member.heard_at;
        }
        let author = match &member.source {
            Source::Person { author, .. } => author.to_string(),
            Source::Alert { .. } | Source::Breach { .. } => RICHTER.to_owned(),
        };
        incident.take(graded, Timestamp::MIN);
        self.state.suspected.remove(&id);
        let held_back = self.occasion.held_back.as_ref().map_or_else(String::new, |why| format!("; suppressed until now: {why}"));
        self.event(id, Event::Declared, at, &author, graded.reason() + &held_back, out);
        self.relate_to(id, before, at, out);
        self.relate_below(id, at, out);
        self.occasion.storms.insert(id);
    }

    /// Whether something lasts that began before all was taken for good.
    fn never_ended(&self, id: SituationId) -> bool {
        let good_since = self.state.incidents.get(&id).and_then(|incident| incident.good_since);
        good_since.is_some_and(|good| self.counting(id).any(|member| member.ends_at.is_none() && member.starts_at < good))
    }

    /// By what an incident is on again, and whether it never ended.
    fn relapses(&self, id: SituationId, key: MemberKey) -> (String, bool) {
        let Some((incident, (_, member))) = self.state.incidents.get(&id).zip(self.state.situations.member(key)) else {
            return ("the same trouble again".to_owned(), false);
        };
        // What has ended is not why it is on.
        let newest = || self.counting(id).filter(|member| member.ends_at.is_none()).max_by_key(|member| (member.starts_at, member.key));
        let member = if member.ends_at.is_none() { member } else { newest().unwrap_or(member) };
        if member.ends_at.is_none() && incident.good_since.is_some_and(|good| member.starts_at < good) {
            return ("it lasts after all".to_owned(), member.by_duration());
        }
        let leader = self.state.situations.member(incident.leader).map(|(_, leader)| leader);
        let other = Some(member).filter(|member| {
            member.ends_at.is_none() && leader.is_some_and(|leader| leader.ends_at.is_some() && !leader.is_called_as(member))
        });
        (other.map_or_else(|| "the same trouble again".to_owned(), |other| format!("now {}", called(other, ""))), false)
    }

    /// Since when an incident is told of by what a member is called, of whichever entity; nobody asks where no level was set by hand.
    fn told_since(&self, id: SituationId, key: MemberKey) -> Timestamp {
        let is_set = self.state.incidents.get(&id).is_some_and(|incident| incident.held.values().any(|held| held.set.is_some()));
        let Some((_, member)) = self.state.situations.member(key).filter(|_| is_set) else { return Timestamp::MIN };
        let same = self.counting(id).filter(|known| known.source.name() == member.source.name());
        same.map(|known| known.starts_at).min().unwrap_or(member.starts_at)
    }

    /// It escalates by what is worse than what it had.
    fn rises(&mut self, id: SituationId, graded: &Graded, at: Timestamp, out: &mut Outbox) {
        let since = self.told_since(id, graded.key);
        let Some((incident, (_, member))) = self.state.incidents.get_mut(&id).zip(self.state.situations.member(graded.key)) else {
            return;
        };
        let (leader, risen) = (incident.leader, incident.take(graded, since));
        if risen.is_empty() {
            return;
        }
        let leads = incident.leader != leader;
        let of = if leads { format!("; {}", called(member, "")) } else { String::new() };
        let before = if leads { self.is_now_about(id, graded.key) } else { None };
        self.event(id, Event::Escalated, at, RICHTER, risen.join("; ") + &of, out);
        self.relate_to(id, before, at, out);
    }

    /// It was over; what is worse than before says so in the same event.
    pub(super) fn reopens(&mut self, id: SituationId, reason: &str, at: Timestamp, graded: Option<Graded>, out: &mut Outbox) {
        let since = graded.as_ref().map_or(Timestamp::MIN, |graded| self.told_since(id, graded.key));
        let incident = self.state.incidents.get_mut(&id);
        let leader = incident.as_ref().map(|incident| incident.leader);
        let risen = incident.zip(graded).map(|(incident, graded)| incident.take(&graded, since)).unwrap_or_default();
        let leads = self.state.incidents.get(&id).map(|incident| incident.leader).filter(|leads| Some(*leads) != leader);
        let before = leads.and_then(|leads| self.is_now_about(id, leads));
        let reason = std::iter::once(reason.to_owned()).chain(risen).collect::<Vec<_>>().join("; ");
        self.event(id, Event::Reopened, at, RICHTER, reason, out);
        self.relate_to(id, before, at, out);
    }

    /// Nothing that counts lasts: it may have recovered, or was nothing.
    pub(super) fn recovers(&mut self, id: SituationId, at: Timestamp, out: &mut Outbox) {
        let Some(incident) = self.state.incidents.get(&id) else { return };
        if self.lasts(id) {
            return;
        }
        let ended = self.ended_at(id);
        // What a person says goes on has not ended by what had ended before.
        if incident.revoked_at.is_some_and(|revoked| ended.is_none_or(|ended| ended <= revoked)) {
            return;
        }
        let at_once = self.config.tuning.recover_after.is_zero() && self.calm_at(incident).is_some_and(|calm| calm <= at);
        match incident.state {
            State::Suspected => self.event(id, Event::Closed, at, RICHTER, "it was over before it met a definition", out),
            State::Declared if at_once && !self.is_deaf_to(id, at) => {
                let at = ended.map_or(at, |ended| ended.max(at));
                self.event(id, Event::Recovered, at, RICHTER, self.ended(id, None), out);
            }
            State::Declared => {
                // What is told last need not be what ended last.
                let at = ended.map_or(at, |ended| ended.max(at));
                self.event(id, Event::Recovering, at, RICHTER, self.ended(id, None), out);
            }
            _ => {}
        }
    }

    /// What counts in an incident.
    pub(super) fn counting(&self, id: SituationId) -> impl Iterator<Item = &Member> + Clone {
        let situations = self.state.incidents.get(&id).into_iter().flat_map(|incident| &incident.situations);
        let members = situations.filter_map(|id| self.state.situations.get(*id)).flat_map(|situation| &situation.members);
        members.filter(|member| member.counts())
    }

    /// When the last of what counts ended.
    pub(super) fn ended_at(&self, id: SituationId) -> Option<Timestamp> {
        self.counting(id).filter_map(|member| member.ends_at).max()
    }

    /// Why an incident recovers once nothing of it lasts, be it for so long.
    pub(super) fn ended(&self, id: SituationId, held: Option<Duration>) -> String {
        let monitors = |by: EndedBy| -> BTreeSet<&str> {
            self.counting(id).filter(|member| member.ended_by == by).filter_map(|member| member.source.monitor()).collect()
        };
        let told = |monitors: BTreeSet<&str>, what: &str| match monitors.len() {
            0 => String::new(),
            _ => format!("; {} {what}", monitors.into_iter().collect::<Vec<_>>().join(", ")),
        };
        let held = held.map_or_else(String::new, |held| format!(", for {}", duration::show(held)));
        let settled = told(monitors(EndedBy::NewNormal), "has not come back: its level is taken for the new normal one");
        let gone = told(monitors(EndedBy::Unwatched), "is no monitor any more, so nothing tells whether it lasts");
        format!("all that counts has ended{held}{settled}{gone}")
    }

    /// What a breach tells of its data: that it has stopped, or is back.
    pub(super) fn hears(&mut self, breach: &Breach, key: MemberKey, out: &mut Outbox) {
        let Some(id) = self.state.situations.place(key).map(|(situation, _)| self.owner(situation)) else { return };
        let Some(incident) = self.state.incidents.get_mut(&id).filter(|incident| incident.state.is_on()) else { return };
        let counts = self.state.situations.member(key).is_some_and(|(_, member)| member.counts());
        let monitor = &breach.monitor;
        if breach.phase == Phase::Stale && counts && !incident.no_data {
            incident.no_data = true;
            let reason = match breach.reading.value.is_nan() {
                true => format!("no data of {monitor} any more: nothing tells whether it lasts"),
                false => format!("{monitor} has data, but none that it can be judged by: nothing tells whether it lasts"),
            };
            self.event(id, Event::Stale, breach.at, RICHTER, reason, out);
        } else if breach.phase != Phase::Stale && incident.no_data {
            self.hears_anew(id);
            let Some(incident) = self.state.incidents.get(&id).filter(|incident| !incident.no_data) else { return };
            let reason = format!("{monitor} has data again");
            // What recovers has been told of, unless it did before.
            let waits = incident.history.last().is_some_and(|told| told.event == Event::Stale);
            if incident.state == State::Declared || waits {
                self.event(id, Event::Updated, breach.known_at, RICHTER, reason, out);
            }
        }
    }

    /// Whether data of an incident has stopped, for it may be of other members by now.
    pub(super) fn hears_anew(&mut self, id: SituationId) {
        let no_data = self.counting(id).any(|member| member.stale && member.settled_at.is_none());
        self.change(id, |incident| incident.no_data = no_data);
    }

    /// One event of an incident: its state moves on, its story is told.
    pub(super) fn event(
        &mut self,
        id: SituationId,
        event: Event,
        at: Timestamp,
        author: &str,
        reason: impl Into<Reason>,
        out: &mut Outbox,
    ) {
        let reason = reason.into();
        let Some(incident) = self.state.incidents.get_mut(&id) else { return };
        let before = (incident.sequence > 0).then_some(incident.state);
        let Some(state) = event.after(before) else { return };
        // Where the level did not ask for an acknowledgement so far, whoever is asked has as long as the new one gives.
        let was = incident.history.last().and_then(|told| self.rules.levels.level(told.level.as_deref()?));
        let asked = was.as_ref().is_some_and(|level| incident.asks(&self.rules.levels.handling(level)).next().is_some());
        let handling = |level: Option<&Level>| {
            let handling = self.rules.levels.handling(level?);
            Some((handling.acknowledge_within, handling.follow_up))
        };
        let handled = handling(was.as_ref());
        incident.moves(event, state, at, author, &reason);
        // A person who makes it worse knows of it.
        let worse = was.as_ref().is_some_and(|was| incident.level().is_some_and(|now| now < was));
        let anew = author == RICHTER && incident.is_taken_on() && worse && handling(incident.level()) != handled;
        incident.asks_anew |= event == Event::Escalated && anew;
        // Who makes it milder has it in hand.
        incident.asks_anew &= event != Event::Downgraded || author == RICHTER;
        // Nor is it found late in the moment in which it is told.
        let known_at = incident.known_at();
        let late = |after| Some(after) > incident.asked && incident.asks_since + after <= known_at;
        let late = incident.level().is_some_and(|level| incident.asks(&self.rules.levels.handling(level)).any(late));
        if event == Event::Escalated && (!asked || anew || late) {
            (incident.asks_since, incident.asked) = (known_at, None);
        }
        if state != State::Suspected {
            self.state.suspected.remove(&id);
        }
        // What was only suspected, or is part of another one, leaves its situation as it is.
        let own = state != State::Suspected && state != State::Merged;
        let own = own && (state != State::Closed || !matches!(before, Some(State::Suspected | State::Merged)));
        for situation in incident.situations.iter().filter(|_| own) {
            self.state.situations.hold(*situation, incident.hold());
        }
        self.tell(id, event, author, &reason.words, out);
        match state {
            State::Closed => self.forgets(id),
            _ => self.schedule(id),
        }
        if matches!(event, Event::Declared | Event::Reopened) {
            self.relate_all(id, out);
        }
    }

    fn tell(&mut self, id: SituationId, event: Event, author: &str, reason: &str, out: &mut Outbox) {
        let Self { config, rules, state, occasion } = self;
        let Some(incident) = state.incidents.get_mut(&id) else { return };
        let grounds = Grounds::of(incident, incident.at, &state.situations, rules, &config.tuning);
        if let Some(grounds) = &grounds {
            if let Some(grade) =
                grounds.leader.and_then(|leader| leader.grade(incident.at, &incident.said, &costs::beside(leader, grounds.members())))
            {
                incident.refresh(grade);
            }
            // What has changed since is told by the next look, whatever else is told until then.
            match event {
                Event::Suspected | Event::Declared | Event::Reopened => incident.picture = grounds.picture(),
                Event::Escalated => grounds.leader.into_iter().for_each(|leader| incident.picture.leads(leader, grounds.lasts.clone())),
                _ => {}
            }
            let occurred = grounds.started_at().unwrap_or(incident.at);
            let mark = incident.timeline.entry(Point::Occurred).or_insert_with(|| (occurred, RICHTER.to_owned()));
            // What began it may be let go of by now.
            if mark.1 == RICHTER {
                mark.0 = mark.0.min(occurred);
            }
        }
        let story = Story::new(incident, grounds.as_ref(), rules);
        let gathered = incident.state.is_on().then(|| story.gather(incident.at));
        let evidence = story.into_evidence();
        incident.is_of(&evidence);
        if let Some(gathered) = gathered {
            incident.gathered.follows(gathered, event);
        }
        let recovered_at = match event {
            Event::Recovered => Some(incident.at),
            // A worse level gives less time, and a milder one more.
            Event::Escalated | Event::Downgraded => incident.review.as_ref().map(|review| review.since),
            // What became part of it ended later.
            _ if incident.state == State::Recovered && incident.review.is_none() => Some(incident.at),
            _ => None,
        };
        if let Some((since, level)) = recovered_at.zip(incident.level()) {
            let calendar = rules.duty.team(&evidence.owner).and_then(|team| team.calendar.as_deref());
            let handling = rules.levels.handling(level);
            let due = super::timers::workdays_after(calendar, since, handling.review_within);
            if incident.review.as_ref().is_none_or(|review| review.due_at != due) {
                incident.review = Some(Review::new(since, due, &handling, incident.at));
            }
        }
        if let Some(grounds) = grounds.as_ref().filter(|_| !incident.state.is_on()) {
            incident.kept = Some(Box::new(evidence.clone()));
            incident.measured = grounds.numbers();
        }
        let story = Story::with(incident, grounds.as_ref(), rules, evidence);
        out.messages.push(story.message(event, author, reason, occasion.answers.as_deref()));
        let (called, stood) = (story.called().to_owned(), story.stands());
        incident.called = called;
        incident.told = (Some(incident.state), incident.held().map(|held| held.level.to_string()).collect());
        if matches!(event, Event::Declared | Event::Reopened | Event::FollowUpDue) {
            incident.stood = stood;
        }
        out.count(Count::Declarations(event.as_str()));
        out.trace.push(trace::declaration(incident, event, reason));
        if let Some(grounds) = &grounds {
            out.decide(|| trace::cause(id, &grounds.ranking));
        }
    }

    /// All of a situation is in another one now.
    pub(super) fn merged(&mut self, gone: SituationId, kept: SituationId, reason: &Reason, out: &mut Outbox) {
        let (whole, other) = (self.owner(gone), self.owner(kept));
        let Some(incident) = self.state.incidents.get_mut(&whole) else { return };
        let at = incident.at;
        if whole == other {
            // Both are of it already.
            incident.situations.retain(|id| *id != gone);
            self.state.owners.remove(&gone);
            return;
        }
        if self.state.incidents.contains_key(&other) {
            return self.merge(whole, other, at, RICHTER, reason, out);
        }
        // The other has none of its own: this one is about it from now on.
        let Some(incident) = self.state.incidents.get_mut(&whole) else { return };
        incident.situations.iter_mut().filter(|id| **id == gone).for_each(|id| *id = kept);
        self.state.owners.remove(&gone);
        if whole != gone {
            self.state.owners.insert(kept, whole);
            return self.relate_all(whole, out);
        }
        let Some(incident) = self.state.incidents.remove(&whole) else { return };
        self.state.owners.values_mut().filter(|owner| **owner == whole).for_each(|owner| *owner = kept);
        self.state.about.values_mut().flatten().filter(|of| **of == whole).for_each(|of| *of = kept);
        if self.state.suspected.remove(&whole) {
            self.state.suspected.insert(kept);
        }
        if incident.state != State::Suspected {
            self.state.situations.hold(kept, incident.hold());
        }
        self.state.incidents.insert(kept, incident);
        self.schedule(kept);
        self.relate_all(kept, out);
    }

    /// An incident becomes part of another one.
    pub(super) fn merge(&mut self, gone: SituationId, kept: SituationId, at: Timestamp, author: &str, reason: &Reason, out: &mut Outbox) {
        let Some(whole) = self.state.incidents.get(&kept) else { return };
        let (into, before) = (whole.id.clone(), Shared::of(whole));
        let whole = format!("{into}, {}", whole.called);
        let Some(incident) = self.state.incidents.get_mut(&gone) else { return };
        incident.merged_into = Some(into.clone());
        let (name, part) = (incident.id.clone(), incident.clone());
        let called = format!("{name}, {}", part.called);
        let situations = part.situations.clone();
        self.state.suspected.remove(&gone);
        self.event(gone, Event::Merged, at, author, reason.told(|reason| format!("it is part of {whole}: {reason}")), out);
        if let Some(whole) = self.state.incidents.get_mut(&kept) {
            whole.hears_of(&part);
            whole.merged.push(name.clone());
            whole.situations.extend(situations.iter().filter(|id| **id != kept));
            self.state.owners.extend(situations.into_iter().filter(|id| *id != kept).map(|id| (id, kept)));
        }
        self.hears_anew(kept);
        let ended = self.ended_at(kept);
        if let Some(whole) = self.state.incidents.get_mut(&kept) {
            whole.ends_with(&part, ended);
        }
        let as_well = self.called_in(kept, at);
        self.event(kept, Event::Updated, at, author, reason.told(|reason| format!("{called}, is part of it: {reason}{as_well}")), out);
        self.has_told(kept, at);
        self.relate_all(kept, out);
        self.grade_all(kept, at, out);
        let risen = self.state.incidents.get_mut(&kept).map(|whole| whole.rises_to(&part)).unwrap_or_default();
        if !risen.is_empty() {
            self.event(kept, Event::Escalated, at, author, risen.join("; "), out);
        }
        if let Some(whole) = self.state.incidents.get_mut(&kept) {
            whole.is_taken_on_with(&part);
            let after = Shared::of(whole);
            if let Some(part) = self.state.incidents.get_mut(&gone) {
                part.has_brought(before, after);
            }
        }
        self.schedule(kept);
    }

    /// Grades all that counts in an incident, for it may mean something else by now.
    pub(super) fn grade_all(&mut self, id: SituationId, at: Timestamp, out: &mut Outbox) {
        self.grade_in(&self.situations_of(id), at, out);
    }

    /// What a member costs may be what another one's level asks for.
    pub(super) fn grade_beside(&mut self, situation: SituationId, at: Timestamp, out: &mut Outbox) {
        let id = self.owner(situation);
        if self.counting(id).nth(1).is_none() {
            return;
        }
        for key in self.counting(id).filter(|other| costs::are_asked_for(other)).map(|other| other.key).collect::<Vec<MemberKey>>() {
            self.grade_member(key, at, out);
        }
    }

    /// Grades all that counts in situations.
    pub(super) fn grade_in(&mut self, situations: &[SituationId], at: Timestamp, out: &mut Outbox) {
        let situations = situations.iter().filter_map(|situation| self.state.situations.get(*situation));
        let counting = situations.flat_map(|situation| &situation.members).filter(|m| m.counts()).map(|m| m.key);
        for key in counting.collect::<Vec<MemberKey>>() {
            self.grade_member(key, at, out);
        }
    }

    /// What was suspected may have become part of something else.
    pub(super) fn forget_suspicions(&mut self, out: &mut Outbox) {
        let over = self.state.suspected.iter().copied().filter(|id| !self.lasts(*id));
        for id in over.collect::<Vec<_>>() {
            let now = self.state.progress.clock(self.config.tuning.idle_after);
            self.event(id, Event::Closed, now, RICHTER, "its signs are part of something else, or make no fault", out);
        }
    }

    /// A situation was let go of; what is known of its incident stays until that is closed.
    pub(super) fn lets_go(&mut self, situation: &Situation, at: Timestamp, out: &mut Outbox) {
        let id = self.owner(situation.id);
        self.state.owners.remove(&situation.id);
        if let Some(incident) = self.state.incidents.get_mut(&id) {
            incident.situations.retain(|known| *known != situation.id);
            let all = incident.situations.is_empty();
            incident.kept.iter_mut().for_each(|evidence| evidence.refresh(situation, at, all));
            incident.is_partly_gone |= !incident.state.is_on();
        }
        if self.state.suspected.contains(&id) {
            self.event(id, Event::Closed, at, RICHTER, "nothing was heard of it any more", out);
        }
    }

    fn forgets(&mut self, id: SituationId) {
        self.state.about.retain(|_, of| {
            of.retain(|of| *of != id);
            !of.is_empty()
        });
        self.state.owners.retain(|_, owner| *owner != id);
        self.state.incidents.remove(&id);
    }

    /// Closes the one that has waited longest for its review, or else was suspected longest; false where all are on.
    fn makes_room(&mut self, at: Timestamp, out: &mut Outbox) -> bool {
        let rank = |incident: &Incident| match incident.state {
            State::Recovered | State::Reviewed => Some(0),
            State::Suspected => Some(1),
            _ => None,
        };
        let of = |(id, incident): (&SituationId, &Incident)| Some((rank(incident)?, incident.good_since.unwrap_or(incident.at), *id));
        let Some((_, _, id)) = self.state.incidents.iter().filter_map(of).min() else { return false };
        let reason = format!("there are {INCIDENTS_MAX} incidents: this one makes room");
        self.event(id, Event::Closed, at, RICHTER, reason, out);
        true
    }

    /// What often fails together, though no path is known, is believed to depend on one another.
    pub(super) fn learn_from(&mut self, situation: &Situation) {
        let mut new = vec![];
        for member in &situation.members {
            let why = match &member.why.how {
                How::Meanwhile(of) => Why::Meanwhile(of),
                How::DependsOn(on) => Why::DependsOn(on),
                How::First | How::Through(..) | How::SilentCause(_) | How::Outdone(_) => Why::Itself,
                How::Again | How::SameEntity | How::Relapse => continue,
            };
            new.extend(self.state.calls.shows(&member.entity, why, member.starts_at));
        }
        self.depend(&new, Topology::learn);
    }
}

//! An incident: its life, its levels, and what people said of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contract::{Action, Cause, Discovery, Evidence, HistoryEntry, Note, Related, Stamp};
use crate::correlate::{Hold, Member, MemberKey, SituationId};
use crate::grade::{Grade, Standing, Stated};
use crate::model::command::RICHTER;
use crate::model::text::moment;
use crate::model::{Event, Level, Numbers, Origin, Point, State, Timestamp, labels::Fnv};
use crate::rules::{Handling, OVERDUE_AFTER, Tuning};

use super::LOOK_EVERY_MIN;
use super::agenda::Timer;
use super::cancellation::Cancellation;
use super::emergency::Gathered;
use super::grading::Graded;
use super::merge::Brought;
use super::picture::Picture;
use super::reason::Reason;

/// Events that an incident's history keeps; each event carries it whole.
const HISTORY_MAX: usize = 100;

/// Notes and actions that an incident keeps; further ones are refused.
pub(super) const NOTES_MAX: usize = 200;

/// Businesses, and teams, that it is remembered to have been of.
const NAMES_MAX: usize = 200;

/// How often it is told how things stand of what nobody tells of any more, at the most.
const FOLLOW_UP_UNHEARD: Duration = Duration::from_secs(86_400);

/// How often an overdue review is reminded of, each time after twice as long: the last time after 32 days.
const OVERDUE_MAX: u8 = 6;

/// A fault, suspected or declared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Incident {
    /// The day of its first sign and a hash of what began it: the same on every machine and after every replay.
    pub(super) id: String,
    /// Where it is in its life.
    pub(super) state: State,
    /// The number of its last event; the first is 1, without gaps.
    pub(super) sequence: u32,
    /// Its level in each sequence, by the sequence's name.
    pub(super) held: BTreeMap<String, Held>,
    /// The levels that it has had, in any sequence, in order.
    pub(super) had: Vec<Level>,
    /// The businesses of all that has counted in it, and the teams that own it.
    pub(super) of_businesses: BTreeSet<String>,
    pub(super) of_owners: BTreeSet<String>,
    /// The member that leads: by whom it was graded so.
    pub(super) leader: MemberKey,
    /// The input that its first breach came from; none where alerts or people alone made it.
    pub(super) origin: Option<Origin>,
    /// The situations it is of: its own, and those of what was merged into it.
    pub(super) situations: Vec<SituationId>,
    /// When it was declared; when it was suspected first while it is.
    pub(super) declared_at: Timestamp,
    /// When all that counts had ended, while it is recovering or recovered.
    pub(super) good_since: Option<Timestamp>,
    /// The same of what was cancelled, which has no recovery.
    pub(super) over_since: Option<Timestamp>,
    /// When all was well before it relapsed.
    pub(super) well: Vec<(Timestamp, Timestamp)>,
    /// As it was when it was cancelled, where it was.
    pub(super) cancelled: Cancellation,
    /// The time of its last event.
    pub(super) at: Timestamp,
    /// When what it was told of was heard last, which may be later: nobody can be asked before.
    pub(super) heard_at: Timestamp,
    /// A person says that it is a fault of its own.
    pub(super) split_off: bool,
    /// When a person said that it has not recovered after all: from then on something has to end for it to recover.
    pub(super) revoked_at: Option<Timestamp>,
    /// What it is called: scenario and entity.
    pub(super) called: String,
    /// How it stood, in numbers, when that was told last.
    pub(super) stood: String,
    /// When its picture was last looked at.
    pub(super) looked_at: Timestamp,
    /// Since when it is on and known to be: its declaration, or its last relapse.
    pub(super) on_since: Timestamp,
    /// Since when somebody is asked to take it on: that, or when its level first asked for it.
    pub(super) asks_since: Timestamp,
    /// When it was last told how things stand.
    pub(super) followed_at: Timestamp,
    /// Until when all that lasts of it is worked on, as was told: nobody is asked meanwhile.
    pub(super) worked_on: Option<Timestamp>,
    /// The picture that its last event showed.
    pub(super) picture: Picture,
    /// Where it was in its life by its last event, and its levels then, the leading one first.
    pub(super) told: (Option<State>, Vec<String>),
    /// Who has taken it on.
    pub(super) acknowledged: Option<Stamp>,
    /// Whoever has taken it on did so as it was handled then, and it is handled otherwise by now.
    pub(super) asks_anew: bool,
    /// After how long somebody was asked last.
    pub(super) asked: Option<Duration>,
    /// Data of a monitor in it has stopped.
    pub(super) no_data: bool,
    /// Nobody tells of any of its alerts.
    pub(super) unheard: bool,
    /// It has not recovered before then, for nothing tells whether what ended did.
    pub(super) held_until: Option<Timestamp>,
    /// When it is closed at the earliest, of what was cancelled and goes on.
    pub(super) close_at: Timestamp,
    /// What people say it costs.
    pub(super) said: Stated,
    /// What it was measured to cost when its situation was let go of.
    pub(super) measured: Numbers,
    /// How it was noticed.
    pub(super) discovery: Option<Discovery>,
    /// Points in time.
    pub(super) timeline: BTreeMap<Point, (Timestamp, String)>,
    /// The root cause.
    pub(super) cause: Option<Cause>,
    /// What people noted.
    pub(super) notes: Vec<Note>,
    /// What is to be done so that it does not come again.
    pub(super) actions: Vec<Action>,
    /// Whom to gather.
    pub(super) gathered: Gathered,
    /// Its review.
    pub(super) review: Option<Review>,
    /// The incident it is part of.
    pub(super) merged_into: Option<String>,
    /// What it has brought to that one.
    pub(super) brought: Option<Box<Brought>>,
    /// The incidents that are part of it.
    pub(super) merged: Vec<String>,
    /// The incidents that would be part of it, or it of them, had not both been declared.
    pub(super) related: Vec<Related>,
    /// What it rested on when its situation was let go of.
    pub(super) kept: Option<Box<Evidence>>,
    /// Part of it was let go of when it was over: what was kept tells more than what is left.
    pub(super) is_partly_gone: bool,
    /// Its events so far; of very many those that only say how things stood are left out first.
    pub(super) history: Vec<HistoryEntry>,
}

/// A level in a sequence.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Held {
    /// It never falls by itself.
    pub(super) level: Level,
    /// The most severe level that was ever measured.
    pub(super) measured: Option<Level>,
    /// What met it, and what is next.
    pub(super) standing: Standing,
    /// Who set it and when, where a person did.
    pub(super) set: Option<(Timestamp, String)>,
}

/// The review after the recovery.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Review {
    /// From when it is due within the time that its level gives: the recovery.
    pub(super) since: Timestamp,
    /// When it is due.
    pub(super) due_at: Timestamp,
    /// When it is reminded of next.
    pub(super) remind_at: Timestamp,
    /// How often it was found overdue.
    pub(super) overdue: u8,
    /// Who has done it.
    pub(super) done: Option<Stamp>,
}

impl Incident {
    pub(super) fn new(member: &Member, situation: SituationId, at: Timestamp) -> Self {
        Self {
            id: id(member, at, 0),
            state: State::Suspected,
            sequence: 0,
            held: BTreeMap::new(),
            had: vec![],
            of_businesses: BTreeSet::new(),
            of_owners: BTreeSet::new(),
            leader: member.key,
            origin: (!member.by_duration()).then(|| Origin::clone(&member.origin)),
            situations: vec![situation],
            declared_at: at,
            good_since: None,
            over_since: None,
            well: vec![],
            cancelled: Cancellation::default(),
            at,
            heard_at: at,
            split_off: false,
            revoked_at: None,
            called: String::new(),
            stood: String::new(),
            looked_at: at,
            on_since: at,
            asks_since: at,
            followed_at: at,
            worked_on: None,
            picture: Picture::default(),
            told: (None, vec![]),
            acknowledged: None,
            asks_anew: false,
            asked: None,
            no_data: false,
            unheard: false,
            held_until: None,
            close_at: at,
            said: Stated::new(),
            measured: Numbers::new(),
            discovery: None,
            timeline: BTreeMap::new(),
            cause: None,
            notes: vec![],
            actions: vec![],
            gathered: Gathered::default(),
            review: None,
            merged_into: None,
            brought: None,
            merged: vec![],
            related: vec![],
            kept: None,
            is_partly_gone: false,
            history: vec![],
        }
    }

    /// Another id, for there is one that began with the same member at the same time and has become part of something else.
    pub(super) fn rename(&mut self, member: &Member, salt: u8) {
        self.id = id(member, self.at, salt);
    }

    /// The leading level; none while it is suspected.
    pub(super) fn level(&self) -> Option<&Level> {
        self.held().next().map(|held| &held.level)
    }

    /// Its levels, the leading one first.
    pub(super) fn held(&self) -> impl Iterator<Item = &Held> {
        let mut held: Vec<&Held> = self.held.values().collect();
        held.sort_by(|a, b| a.level.cmp(&b.level));
        held.into_iter()
    }

    /// Takes a member's grade in: in each sequence the level rises, or stays as it is. Gives what has risen, in words. A level that
    /// a person has set is of what was told by then: what had not been told by `since` rises over it.
    pub(super) fn take(&mut self, graded: &Graded, since: Timestamp) -> Vec<String> {
        let mut risen = vec![];
        for (sequence, standing) in &graded.grade.0 {
            let Some(met) = standing.effective() else { continue };
            let Some(held) = self.held.get_mut(sequence) else {
                let level = met.level.clone();
                risen.push((level.clone(), format!("{level}: {}", standing.reason())));
                self.held.insert(sequence.clone(), Held { measured: Some(level.clone()), level, standing: standing.clone(), set: None });
                continue;
            };
            // What a person has set less severe stays so until more is measured than was by then.
            let more = held.measured.as_ref().is_none_or(|most| met.level.rank < most.rank);
            let other = held.set.as_ref().is_some_and(|(set_at, _)| since > *set_at);
            if (more || other) && met.level.rank < held.level.rank {
                risen.push((met.level.clone(), format!("{} → {}: {}", held.level, met.level, standing.reason())));
                (held.level, held.standing, held.set) = (met.level.clone(), standing.clone(), None);
            } else if held.standing.effective().is_some_and(|was| was.is(met)) {
                held.standing = standing.clone();
            }
            if more {
                held.measured = Some(met.level.clone());
            }
        }
        risen.sort();
        if risen.first().is_some_and(|(level, _)| Some(level) == self.level()) {
            self.leader = graded.key;
        }
        risen.into_iter().map(|(_, words)| words).collect()
    }

    /// A person sets a level, of what was measured at the most by then, as far as that still holds.
    pub(super) fn set_level(&mut self, level: Level, measured: Option<Level>, at: Timestamp, author: &str) {
        let held = self.held.entry(level.sequence.clone()).or_insert_with(|| Held {
            level: level.clone(),
            measured: None,
            standing: Standing::default(),
            set: None,
        });
        (held.level, held.measured) = (level, measured);
        held.set = Some((at, author.to_owned()));
    }

    /// Whether somebody has taken it on as it is now: a worse level asks anew.
    pub(super) fn is_taken_on(&self) -> bool {
        self.acknowledged.is_some() && !self.asks_anew
    }

    /// Its level in a sequence.
    pub(super) fn level_in(&self, sequence: &str) -> Option<&Level> {
        self.held.get(sequence).map(|held| &held.level)
    }

    /// It is of these businesses and teams: whoever was told of it by that is told of its end as well.
    pub(super) fn is_of(&mut self, evidence: &Evidence) {
        let add = |all: &mut BTreeSet<String>, names: &[String]| {
            let new: Vec<&String> = names.iter().filter(|name| !all.contains(*name)).take(NAMES_MAX.saturating_sub(all.len())).collect();
            all.extend(new.into_iter().cloned());
        };
        add(&mut self.of_businesses, &evidence.businesses);
        add(&mut self.of_owners, &evidence.owners);
    }

    /// Of a long story what only repeats goes first: how things stood, then what became known; how it began stays.
    fn forgets_one(&mut self) {
        let of = |events: &[Event]| self.history.iter().skip(1).position(|told| events.contains(&told.event)).map(|place| place + 1);
        let place = of(&[Event::FollowUpDue]).or_else(|| of(&[Event::Updated, Event::HandedOver])).unwrap_or(1);
        self.history.remove(place);
    }

    /// Its state after an event.
    pub(super) fn moves(&mut self, event: Event, state: State, at: Timestamp, author: &str, reason: &Reason) {
        // What was known late is told late: the story's time never goes back.
        self.at = at.max(self.at);
        self.looked_at = self.at;
        self.sequence += 1;
        let before = std::mem::replace(&mut self.state, state);
        match event {
            Event::Declared => {
                self.declared_at = self.at;
                self.is_asked_for();
                self.timeline.entry(Point::Discovered).or_insert((self.asks_since, author.to_owned()));
            }
            // An escalation tells how things stand.
            Event::FollowUpDue | Event::Escalated => self.followed_at = self.known_at(),
            Event::Acknowledged => {
                // When it was said, however late that was read.
                self.is_taken_on_by(author, at.max(self.on_since));
            }
            Event::Recovering => self.good_since = Some(at),
            Event::Recovered => {
                let good_since = *self.good_since.get_or_insert(at);
                self.timeline.entry(Point::Recovered).or_insert((good_since, author.to_owned()));
                (self.no_data, self.unheard, self.revoked_at) = (false, false, None);
            }
            Event::Reopened => {
                (self.revoked_at, self.is_partly_gone) = (None, false);
                self.is_asked_for();
                if before == State::Cancelled && !self.history.iter().any(|told| told.event == Event::Declared) {
                    self.declared_at = self.at;
                    self.timeline.entry(Point::Discovered).or_insert((self.asks_since, author.to_owned()));
                }
                // Who had taken on what is a fault of its own again has it still.
                if before != State::Merged {
                    (self.acknowledged, self.asks_anew) = (None, false);
                }
                self.gathered.asked.clear();
                self.goes_on();
            }
            Event::RecoveryRevoked => {
                // While all was well nobody was asked.
                if before == State::Recovered {
                    self.is_asked_for();
                    (self.acknowledged, self.asks_anew) = (None, false);
                }
                self.goes_on();
                self.revoked_at = (author != RICHTER).then_some(self.at);
            }
            // What was no fault, or is part of another one, has no recovery of its own.
            Event::Cancelled | Event::Merged => {
                self.over_since = self.good_since;
                self.goes_on();
            }
            _ => {}
        }
        for level in self.held.values().map(|held| &held.level) {
            if !self.had.iter().any(|had| had.is(level)) {
                self.had.push(level.clone());
            }
        }
        if self.history.len() >= HISTORY_MAX {
            self.forgets_one();
        }
        let level = self.level().map(ToString::to_string);
        let Reason { words, evidence } = reason.clone();
        self.history.push(HistoryEntry { event, at: self.at.to_string(), level, author: author.to_owned(), reason: words, evidence });
    }

    /// Who took it on first has it, until it asks for somebody anew.
    fn is_taken_on_by(&mut self, author: &str, at: Timestamp) {
        if self.acknowledged.is_none() || self.asks_anew {
            self.acknowledged = Some(Stamp { at: at.to_string(), by: author.to_owned() });
        }
        self.asks_anew = false;
        self.timeline.entry(Point::Responded).or_insert((at, author.to_owned()));
    }

    /// For how long of that time all was well.
    pub(super) fn well_within(&self, from: Timestamp, to: Timestamp) -> Duration {
        self.well.iter().map(|(since, until)| (*until).min(to).since((*since).max(from))).sum()
    }

    /// The time of its last event, or when what that tells of was heard.
    pub(super) fn known_at(&self) -> Timestamp {
        self.at.max(self.heard_at)
    }

    /// From now on people are asked to take it on, and told how things stand.
    fn is_asked_for(&mut self) {
        let since = self.known_at();
        (self.on_since, self.asks_since, self.followed_at, self.asked) = (since, since, since, None);
    }

    /// Something was taken from it that may have been its first sign.
    pub(super) fn may_begin_later(&mut self) {
        self.timeline.retain(|point, (_, by)| *point != Point::Occurred || by != RICHTER);
    }

    /// It has not recovered.
    fn goes_on(&mut self) {
        (self.good_since, self.review, self.held_until) = (None, None, None);
        self.timeline.remove(&Point::Recovered);
    }

    /// What has to be looked at when; `settled_at`: by when what has ended had stayed so for long enough, if it has.
    pub(super) fn timers(&self, handling: &Handling, tuning: &Tuning, settled_at: Option<Timestamp>) -> Vec<(Timer, Timestamp)> {
        let mut timers = vec![];
        if self.state.is_on() {
            timers.push((Timer::Look, self.looked_at + tuning.update_every.max(LOOK_EVERY_MIN)));
            timers.push((Timer::FollowUp, self.followed_at + self.follows_up_after(handling)));
            timers.extend(self.gathered.until.map(|until| (Timer::HandOver, until)));
        }
        if self.state == State::Declared && !self.is_taken_on() {
            let next = self.asks(handling).filter(|after| self.asked.is_none_or(|asked| *after > asked)).min();
            timers.extend(next.map(|after| (Timer::Unacknowledged, self.asks_since + after)));
        }
        if let (State::Recovering, Some(good_since), Some(settled_at)) = (self.state, self.good_since, settled_at) {
            let settled_at = settled_at.max(good_since + tuning.recover_after);
            timers.push((Timer::Recovery, self.held_until.map_or(settled_at, |held| held.max(settled_at))));
        }
        if let (State::Recovered, Some(review)) = (self.state, &self.review)
            && review.overdue < OVERDUE_MAX
        {
            timers.push((Timer::Review, review.remind_at));
        }
        if matches!(self.state, State::Cancelled | State::Merged) {
            timers.push((Timer::Close, self.close_at.max(self.at + tuning.reopen_within)));
        }
        timers
    }

    /// After how long it is told how things stand; of what nobody tells of any more there is nothing new.
    pub(super) fn follows_up_after(&self, handling: &Handling) -> Duration {
        if self.unheard { handling.follow_up.max(FOLLOW_UP_UNHEARD) } else { handling.follow_up }
    }

    /// After how long without an acknowledgement somebody is asked.
    pub(super) fn asks(&self, handling: &Handling) -> impl Iterator<Item = Duration> {
        handling.acknowledge_within.into_iter().chain(self.gathered.escalate.iter().map(|(after, _)| *after))
    }

    /// How its leader stands by now: what gave the level stays what gave it, and what is next is so from where it is.
    pub(super) fn refresh(&mut self, grade: Grade) {
        for (sequence, standing) in grade.0 {
            let Some(held) = self.held.get_mut(&sequence) else { continue };
            if held.standing.effective() == standing.effective() {
                held.standing = standing;
            } else {
                held.standing.next = standing.next;
            }
        }
    }

    /// What correlation may do with its situations.
    pub(super) fn hold(&self) -> Hold {
        match self.state {
            State::Suspected | State::Declared | State::Recovering | State::Merged => {
                Hold::On { acknowledged: self.acknowledged.is_some() }
            }
            State::Recovered | State::Reviewed | State::Cancelled | State::Closed => {
                self.is_over_since(self.good_since.or(self.over_since).unwrap_or(self.at))
            }
        }
    }

    /// The same, of what is over since then.
    pub(super) fn is_over_since(&self, since: Timestamp) -> Hold {
        Hold::Over { since, cancelled: self.state == State::Cancelled }
    }

    /// Nothing tells whether it lasts.
    pub(super) fn is_stale(&self) -> bool {
        self.no_data || self.unheard
    }

    /// All actions are done.
    pub(super) fn is_done(&self) -> bool {
        self.actions.iter().all(|action| action.done_at.is_some())
    }
}

impl Review {
    /// A review that is due then, of what has recovered `since`, and of which it is reminded so long before.
    pub(super) fn new(since: Timestamp, due_at: Timestamp, handling: &Handling, now: Timestamp) -> Self {
        let remind_at = Some(due_at - handling.remind_before).filter(|at| *at > now).unwrap_or(due_at.max(now));
        Self { since, due_at, remind_at, overdue: 0, done: None }
    }

    /// It was reminded of; the event, and when it is next.
    pub(super) fn reminds(&mut self) -> (Event, String) {
        let at = self.remind_at;
        self.remind_at = if at < self.due_at { self.due_at } else { at + OVERDUE_AFTER * 2_u32.pow(self.overdue.into()) };
        match at.cmp(&self.due_at) {
            std::cmp::Ordering::Less => (Event::ReviewDue, format!("the review is due at {}", moment(self.due_at))),
            std::cmp::Ordering::Equal => (Event::ReviewDue, "the review is due now".to_owned()),
            std::cmp::Ordering::Greater => {
                self.overdue += 1;
                (Event::ReviewOverdue, format!("the review was due at {}", moment(self.due_at)))
            }
        }
    }
}

/// The day of the onset and 40 bits of how it began, in letters that are not mistaken for one another when read out
/// (Crockford's base 32). A member may begin another one later. Nothing of it depends on how fast other inputs are.
fn id(member: &Member, at: Timestamp, salt: u8) -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let hash = Fnv::of(&[b"incident", &member.key.0.to_be_bytes(), &at.0.to_be_bytes(), &[salt]]);
    let letters: String = (0..8).map(|i| char::from(LETTERS[usize::try_from(hash >> (5 * i) & 31).unwrap_or(0)])).collect();
    let day: String = member.starts_at.to_string().chars().take(10).filter(char::is_ascii_digit).collect();
    format!("{day}-{letters}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overdue_review_is_reminded_of_less_and_less_often() {
        let due = Timestamp(1_760_000_000_000);
        let mut review = Review { since: due, due_at: due, remind_at: due, overdue: 0, done: None };
        let mut days = vec![];
        while review.overdue < OVERDUE_MAX {
            review.reminds();
            days.push(review.remind_at.since(due).as_secs() / 86_400);
        }
        assert_eq!(days[..6], [1, 2, 4, 8, 16, 32]);
    }
}

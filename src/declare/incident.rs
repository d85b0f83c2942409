//! An incident: its life, its level and its history.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::correlate::{Member, Source};
use crate::grade::{self, Grade, Met};
use crate::model::{Level, Origin, Timestamp, labels::Fnv};

use super::LOOK_EVERY_MIN;
use super::story::Picture;

/// Events that an incident's history keeps; each event carries it whole.
const HISTORY_MAX: usize = 100;

/// Where an incident is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is on.
    Declared,
    /// All that counts has ended; a relapse may reopen it.
    Recovered,
}

/// What a declaration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// A fault definition is met for the first time.
    Declared,
    /// The level has risen.
    Escalated,
    /// Other entities are in it, or another one is suspected.
    Updated,
    /// All that counts has ended.
    Recovered,
    /// It relapsed.
    Reopened,
}

impl Event {
    /// As written in the event's type.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Escalated => "escalated",
            Self::Updated => "updated",
            Self::Recovered => "recovered",
            Self::Reopened => "reopened",
        }
    }
}

/// A declared fault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Incident {
    /// The day of its first sign and a hash of what declared it: the same on every machine and after every replay.
    pub id: String,
    /// Where it is in its life.
    pub state: State,
    /// The number of its last event; the first is 1, without gaps.
    pub sequence: u32,
    /// The effective level: it never falls by itself.
    pub level: Level,
    /// What met it.
    pub grade: Grade,
    /// The member that leads: by whom it was graded so.
    pub leader: u64,
    /// The input that the declaring breach came from; none where alerts alone made the incident.
    pub origin: Option<Origin>,
    /// When it was declared.
    pub declared_at: Timestamp,
    /// When it recovered, while it is recovered.
    pub recovered_at: Option<Timestamp>,
    /// The time of its last event.
    pub at: Timestamp,
    /// When its picture was last looked at.
    pub looked_at: Timestamp,
    /// The picture that its last event showed.
    pub picture: Picture,
    /// Its events so far; of very many the first and the latest.
    pub history: Vec<Told>,
}

/// One event in an incident's history.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// What.
    pub event: Event,
    /// When.
    pub at: Timestamp,
    /// The level then.
    pub level: Level,
    /// Why.
    pub reason: String,
}

/// A member that meets a definition, and how it is graded.
#[derive(Clone, Debug)]
pub(super) struct Graded {
    /// Its key.
    pub(super) key: u64,
    /// Its grade.
    pub grade: Grade,
    met: Met,
}

impl Graded {
    /// The effective level.
    #[must_use]
    pub(super) fn level(&self) -> &Level {
        &self.met.level
    }

    /// Which definition gave it, and by what.
    #[must_use]
    pub(super) fn reason(&self) -> String {
        let which = if self.grade.business.as_ref() == Some(&self.met) { "business" } else { "generic" };
        format!("{which} definition, {}", self.met.by)
    }
}

impl Member {
    /// Whether it is graded by its duration alone.
    #[must_use]
    pub fn by_duration(&self) -> bool {
        matches!(self.source, Source::Alert { .. })
    }

    /// None for what is evidence only, and for what meets nothing yet.
    pub(super) fn graded(&self, at: Timestamp) -> Option<Graded> {
        let definition = self.definition.as_ref().filter(|_| self.counts())?;
        let grade = match self.source {
            Source::Breach { .. } => grade::by_conditions(definition, self.judged.as_ref().map_or(&[], |judged| &judged.met)),
            Source::Alert { .. } => grade::by_duration(definition, self.starts_at, self.ends_at.unwrap_or(at)),
        };
        let met = grade.effective()?.clone();
        Some(Graded { key: self.key, grade, met })
    }

    /// When, if it lasts, it meets another rung; none for what is not graded by its duration.
    pub(super) fn next_rung(&self, after: Timestamp) -> Option<Timestamp> {
        let definition = self.definition.as_ref().filter(|_| self.by_duration())?;
        grade::next_change(definition, self.starts_at, after)
    }
}

impl Incident {
    pub(super) fn new(member: &Member, graded: &Graded, at: Timestamp) -> Self {
        Self {
            id: id(member),
            state: State::Declared,
            sequence: 0,
            level: graded.level().clone(),
            grade: graded.grade.clone(),
            leader: member.key,
            origin: (!member.by_duration()).then(|| Origin::clone(&member.origin)),
            declared_at: at,
            recovered_at: None,
            at,
            looked_at: at,
            picture: Picture::default(),
            history: vec![],
        }
    }

    /// Its state after an event.
    pub(super) fn moves(&mut self, event: Event, at: Timestamp, graded: Option<Graded>, reason: &str) {
        // What was known late is told late: the story's time never goes back.
        self.at = at.max(self.at);
        self.looked_at = self.at;
        self.sequence += 1;
        if let Some(graded) = graded
            && (self.history.is_empty() || graded.level().rank < self.level.rank)
        {
            self.level = graded.level().clone();
            self.leader = graded.key;
            self.grade = graded.grade;
        }
        match event {
            Event::Declared | Event::Escalated | Event::Updated => {}
            Event::Recovered => (self.state, self.recovered_at) = (State::Recovered, Some(self.at)),
            Event::Reopened => (self.state, self.recovered_at) = (State::Declared, None),
        }
        if self.history.len() >= HISTORY_MAX {
            // The declaration stays; what followed it longest ago goes.
            self.history.remove(1);
        }
        self.history.push(Told { event, at: self.at, level: self.level.clone(), reason: reason.to_owned() });
    }

    /// When its picture has to be looked at next; never while it is over.
    pub(super) fn next_look(&self, every: Duration) -> Option<Timestamp> {
        (self.state == State::Declared).then(|| self.looked_at + every.max(LOOK_EVERY_MIN))
    }
}

/// The day of the onset and 40 bits of the declaring member's identity, in letters that are not mistaken for one
/// another when read out (Crockford's base 32).
fn id(member: &Member) -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let hash = Fnv::of(&[b"incident", &member.key.to_be_bytes()]);
    let letters: String = (0..8).map(|i| char::from(LETTERS[usize::try_from(hash >> (5 * i) & 31).unwrap_or(0)])).collect();
    let day: String = member.starts_at.to_string().chars().take(10).filter(char::is_ascii_digit).collect();
    format!("{day}-{letters}")
}

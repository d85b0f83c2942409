//! What has to be looked at when: for each incident, in the time of the input that its breach came from, or by the clock.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::correlate::{MemberKey, SituationId};
use crate::model::{Origin, Timestamp};

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Timer {
    /// It has been good for long enough.
    Recovery,
    /// Whether its picture has changed.
    Look,
    /// Others are on duty.
    HandOver,
    /// Nobody has acknowledged it.
    Unacknowledged,
    /// How things stand.
    FollowUp,
    /// Its review, soon, now, or too late.
    Review,
    /// Nothing more comes of it.
    Close,
}

impl Timer {
    /// Whether it waits for data: what is not heard of does not change.
    pub(super) fn waits_for_data(self) -> bool {
        self == Self::Look
    }
}

/// When alerts that last meet another of their rungs, by their keys.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Rungs {
    by_time: BTreeSet<(Timestamp, MemberKey)>,
    by_key: BTreeSet<(MemberKey, Timestamp)>,
}

impl Rungs {
    pub(super) fn add(&mut self, at: Timestamp, key: MemberKey) {
        self.by_time.insert((at, key));
        self.by_key.insert((key, at));
    }

    /// The next that is due by then.
    pub(super) fn next(&mut self, until: Timestamp) -> Option<(Timestamp, MemberKey)> {
        let (at, key) = self.by_time.first().copied().filter(|(at, _)| *at <= until)?;
        self.by_time.pop_first();
        self.by_key.remove(&(key, at));
        Some((at, key))
    }

    /// The next of one of them that is due by then.
    pub(super) fn next_of(&mut self, key: MemberKey, until: Timestamp) -> Option<Timestamp> {
        let (_, at) = self.by_key.range((key, Timestamp::MIN)..=(key, until)).next().copied()?;
        self.by_key.remove(&(key, at));
        self.by_time.remove(&(at, key));
        Some(at)
    }
}

/// What is due, by whose time.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Agenda(Vec<Line>);

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    /// None: the clock.
    origin: Option<Origin>,
    due: BTreeSet<(Timestamp, Timer, SituationId)>,
    /// When each is due: what is put off is there once, however long nobody tells the time.
    at: BTreeMap<(Timer, SituationId), Timestamp>,
}

impl Agenda {
    pub(super) fn add(&mut self, origin: Option<&Origin>, at: Timestamp, timer: Timer, id: SituationId) {
        let place = self.0.iter().position(|line| line.origin.as_ref() == origin).unwrap_or_else(|| {
            self.0.push(Line { origin: origin.cloned(), due: BTreeSet::new(), at: BTreeMap::new() });
            self.0.len() - 1
        });
        let line = &mut self.0[place];
        if let Some(before) = line.at.insert((timer, id), at) {
            line.due.remove(&(before, timer, id));
        }
        line.due.insert((at, timer, id));
    }

    /// The next that is due by then.
    pub(super) fn next(&mut self, origin: Option<&Origin>, until: Timestamp) -> Option<(Timestamp, Timer, SituationId)> {
        let line = self.0.iter_mut().find(|line| line.origin.as_ref() == origin)?;
        let (at, timer, id) = line.due.first().copied().filter(|(at, ..)| *at <= until)?;
        line.due.pop_first();
        line.at.remove(&(timer, id));
        Some((at, timer, id))
    }
}

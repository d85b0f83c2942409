//! What becomes part of an incident, and parts with it again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::contract::{Cause, Discovery, Stamp};
use crate::correlate::MemberKey;
use crate::grade::Stated;
use crate::model::command::RICHTER;
use crate::model::{Point, State, Timestamp};

use super::incident::{Held, Incident, NOTES_MAX};

/// Incidents that are part of one; more are related to it.
pub(super) const MERGED_MAX: usize = 100;

/// What of an incident another one can change that becomes part of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Shared {
    held: BTreeMap<String, Held>,
    leader: MemberKey,
    acknowledged: Option<Stamp>,
    discovery: Option<Discovery>,
    timeline: BTreeMap<Point, (Timestamp, String)>,
    said: Stated,
    cause: Option<Cause>,
}

/// What a part has brought to the whole: how that was just before, and just after.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Brought {
    before: Shared,
    after: Shared,
}

impl Shared {
    pub(super) fn of(whole: &Incident) -> Self {
        Self {
            held: whole.held.clone(),
            leader: whole.leader,
            acknowledged: whole.acknowledged.clone(),
            discovery: whole.discovery.clone(),
            timeline: whole.timeline.clone(),
            said: whole.said.clone(),
            cause: whole.cause.clone(),
        }
    }

    /// Takes back what a part has brought, as far as it is still there.
    fn without(mut self, brought: &Brought) -> Self {
        let Brought { before, after } = brought;
        take_back(&mut self.leader, &before.leader, &after.leader);
        take_back(&mut self.acknowledged, &before.acknowledged, &after.acknowledged);
        take_back(&mut self.discovery, &before.discovery, &after.discovery);
        take_back(&mut self.cause, &before.cause, &after.cause);
        take_back_each(&mut self.timeline, &before.timeline, &after.timeline, |a, b| a == b);
        take_back_each(&mut self.said, &before.said, &after.said, |a, b| a == b);
        // A fault without a level is none.
        if !before.held.is_empty() {
            take_back_each(&mut self.held, &before.held, &after.held, |a, b| a.level == b.level && a.set == b.set);
        }
        self
    }
}

fn take_back<T: Clone + PartialEq>(now: &mut T, before: &T, after: &T) {
    if now == after {
        now.clone_from(before);
    }
}

fn take_back_each<K: Clone + Ord, V: Clone>(
    now: &mut BTreeMap<K, V>,
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
    same: fn(&V, &V) -> bool,
) {
    for (key, brought) in after {
        let was = before.get(key);
        let is_brought = was.is_none_or(|was| !same(was, brought)) && now.get(key).is_some_and(|now| same(now, brought));
        match was {
            _ if !is_brought => {}
            Some(was) => drop(now.insert(key.clone(), was.clone())),
            None => drop(now.remove(key)),
        }
    }
}

impl Incident {
    /// Whether another one can become part of it.
    pub(super) fn has_room(&self) -> bool {
        self.merged.len() < MERGED_MAX
    }

    /// It has become part of another one, which was that before, and is that now.
    pub(super) fn has_brought(&mut self, before: Shared, after: Shared) {
        self.brought = Some(Box::new(Brought { before, after }));
    }

    /// What was a part of it is none: what it had of that is taken back, and what else was said meanwhile stays.
    pub(super) fn parts_with(&mut self, part: &mut Self, at: Timestamp) {
        part.merged_into = None;
        let Self { brought: Some(brought), notes, actions, .. } = part else { return };
        let acknowledged = self.acknowledged.clone();
        let Shared { held, leader, acknowledged: own, discovery, timeline, said, cause } = Shared::of(self).without(brought);
        (self.held, self.leader, self.acknowledged, self.discovery) = (held, leader, own, discovery);
        (self.timeline, self.said, self.cause) = (timeline, said, cause);
        let by_richter = self.timeline.get(&Point::Recovered).filter(|(_, by)| by == RICHTER && self.good_since.is_some());
        if let Some((recovered, _)) = by_richter {
            self.good_since = Some(*recovered);
            self.well.retain(|(_, until)| until <= recovered);
        }
        if self.acknowledged != acknowledged {
            (self.asks_since, self.asked, self.asks_anew) = (at, None, false);
        }
        self.notes.retain(|note| !notes.contains(note));
        // They may be done by now.
        for action in actions {
            if let Some(place) = self.actions.iter().position(|own| own.id == action.id) {
                *action = self.actions.remove(place);
            }
        }
    }

    /// Another part of the same whole is none any more: what that had brought is not to be given back with this one.
    pub(super) fn forgets_of(&mut self, gone: &Self) {
        if let (Some(own), Some(brought)) = (&mut self.brought, &gone.brought) {
            own.before = own.before.clone().without(brought);
            own.after = own.after.clone().without(brought);
        }
    }

    /// What people have said of what is a part of it now is said of it as well, where nobody said otherwise.
    pub(super) fn hears_of(&mut self, part: &Self) {
        // The one may have been bad while the other was well.
        self.well.clear();
        for (measure, said) in &part.said {
            self.said.entry(*measure).or_insert_with(|| said.clone());
        }
        for (point, (at, by)) in part.timeline.iter().filter(|(point, _)| **point != Point::Recovered) {
            let first = self.timeline.entry(*point).or_insert_with(|| (*at, by.clone()));
            let earlier = match point {
                Point::Discovered | Point::Responded => true,
                // What a person says stays.
                Point::Occurred => first.1 == RICHTER,
                _ => false,
            };
            if earlier && *at < first.0 {
                *first = (*at, by.clone());
                if *point == Point::Discovered {
                    self.discovery.clone_from(&part.discovery);
                }
            }
        }
        self.acknowledged = self.acknowledged.take().or_else(|| part.acknowledged.clone());
        self.cause = self.cause.take().or_else(|| part.cause.clone());
        let room = |known: usize| NOTES_MAX.saturating_sub(known);
        self.actions.extend(part.actions.iter().take(room(self.actions.len())).cloned());
        self.notes.extend(part.notes.iter().take(room(self.notes.len())).cloned());
        self.notes.sort_by(|a, b| a.at.cmp(&b.at));
    }

    /// With what is a part of it now it has recovered no earlier than that did.
    pub(super) fn ends_with(&mut self, part: &Self, ended: Option<Timestamp>) {
        let Some((good, ended)) = self.good_since.zip(ended).filter(|(good, ended)| ended > good) else { return };
        let by_richter = self.timeline.get(&Point::Recovered).is_none_or(|(_, by)| by == RICHTER);
        match self.state {
            State::Recovering => self.good_since = Some(ended),
            State::Recovered if by_richter => {
                let began = part.timeline.get(&Point::Occurred).map(|(at, _)| *at);
                self.well.extend(began.filter(|began| *began > good).map(|began| (good, began)));
                self.timeline.insert(Point::Recovered, (ended, RICHTER.to_owned()));
                (self.good_since, self.review) = (Some(ended), None);
            }
            _ => {}
        }
    }

    /// It is as severe as what is a part of it now; gives what has risen, in words.
    pub(super) fn rises_to(&mut self, part: &Self) -> Vec<String> {
        let mut risen = vec![];
        for (sequence, held) in &part.held {
            let own = self.held.get(sequence).map(|held| held.level.clone());
            if own.as_ref().is_none_or(|own| held.level.rank < own.rank) {
                let from = own.map_or_else(String::new, |own| format!("{own} → "));
                risen.push(format!("{from}{}, as {} was", held.level, part.id));
                self.held.insert(sequence.clone(), held.clone());
            }
        }
        risen
    }

    /// Whoever has taken on a part of it has taken it on, as severe as it is by that.
    pub(super) fn is_taken_on_with(&mut self, part: &Self) {
        self.asks_anew &= !part.is_taken_on();
    }
}

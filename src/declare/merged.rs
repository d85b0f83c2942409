//! What becomes part of an incident, and parts with it again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::grade::Stated;
use crate::model::{Point, Timestamp};

use super::contract::{Cause, Discovery, Stamp};
use super::incident::{Held, Incident, NOTES_MAX};

/// What an incident was before another one became part of it, as far as that changes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Before {
    held: BTreeMap<u8, Held>,
    leader: u64,
    acknowledged: Option<Stamp>,
    discovery: Option<Discovery>,
    timeline: BTreeMap<Point, (Timestamp, String)>,
    said: Stated,
    cause: Option<Cause>,
}

impl Incident {
    /// It is about to become part of another one.
    pub(super) fn becomes_part_of(&mut self, whole: &Self) {
        self.merged_into = Some(whole.id.clone());
        self.before = Some(Box::new(Before {
            held: whole.held.clone(),
            leader: whole.leader,
            acknowledged: whole.acknowledged.clone(),
            discovery: whole.discovery.clone(),
            timeline: whole.timeline.clone(),
            said: whole.said.clone(),
            cause: whole.cause.clone(),
        }));
    }

    /// What was a part of it is none: what it had of that is taken back, and what else was said meanwhile stays.
    pub(super) fn parts_with(&mut self, part: &mut Self, at: Timestamp) {
        part.merged_into = None;
        let Some(before) = part.before.take() else { return };
        let Before { held, leader, acknowledged, discovery, timeline, said, cause } = *before;
        for (place, of_part) in &part.held {
            let own = held.get(place);
            // What a person has set since is of what it is now.
            let said = self.held.get(place).is_some_and(|now| now.set_by.is_some() && now.set_by != of_part.set_by);
            match own {
                _ if said => {}
                Some(own) => drop(self.held.insert(*place, own.clone())),
                None if held.is_empty() => {}
                None => drop(self.held.remove(place)),
            }
        }
        self.leader = leader;
        if self.acknowledged == part.acknowledged && self.acknowledged != acknowledged {
            (self.acknowledged, self.asks_since, self.asked) = (acknowledged, at, None);
        }
        if self.discovery == part.discovery {
            self.discovery = discovery;
        }
        if self.cause == part.cause {
            self.cause = cause;
        }
        for (point, of_part) in &part.timeline {
            if self.timeline.get(point) == Some(of_part) {
                match timeline.get(point) {
                    Some(own) => drop(self.timeline.insert(*point, own.clone())),
                    None => drop(self.timeline.remove(point)),
                }
            }
        }
        for (measure, of_part) in &part.said {
            if self.said.get(measure) == Some(of_part) && !said.contains_key(measure) {
                self.said.remove(measure);
            }
        }
        self.notes.retain(|note| !part.notes.contains(note));
        // They may be done by now.
        for action in &mut part.actions {
            if let Some(place) = self.actions.iter().position(|own| own.id == action.id) {
                *action = self.actions.remove(place);
            }
        }
    }

    /// What people have said of what is a part of it now is said of it as well, where nobody said otherwise.
    pub(super) fn hears_of(&mut self, part: &Self) {
        for (measure, said) in &part.said {
            self.said.entry(*measure).or_insert_with(|| said.clone());
        }
        for (point, (at, by)) in part.timeline.iter().filter(|(point, _)| **point != Point::Recovered) {
            let first = self.timeline.entry(*point).or_insert_with(|| (*at, by.clone()));
            if matches!(point, Point::Discovered | Point::Responded) && *at < first.0 {
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

    /// It is as severe as what is a part of it now; gives what has risen, in words.
    pub(super) fn rises_to(&mut self, part: &Self) -> Vec<String> {
        let mut risen = vec![];
        for (place, held) in &part.held {
            let own = self.held.get(place).map(|held| held.level.clone());
            if own.as_ref().is_none_or(|own| held.level.rank < own.rank) {
                let from = own.map_or_else(String::new, |own| format!("{own} → "));
                risen.push(format!("{from}{}, as {} was", held.level, part.id));
                self.held.insert(*place, held.clone());
            }
        }
        risen
    }

    /// Whoever has taken on a part of it has taken it on, as severe as it is by that.
    pub(super) fn is_taken_on_with(&mut self, part: &Self) {
        if part.is_taken_on() && self.acknowledged == part.acknowledged {
            self.asks_since = self.asks_since.min(part.asks_since);
        }
    }
}

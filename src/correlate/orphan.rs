//! Breaches of monitors that the configuration lacks: nothing will tell that they are over.

use std::collections::BTreeSet;

use crate::model::Timestamp;
use crate::rules::{GONE_FOR, Rules};

use super::{EndedBy, MemberKey, Situations, Source};

impl Situations {
    /// Other rules hold: takes note of the monitors that they lack, of breaches that last or are not known to stay over.
    pub(super) fn watched_by(&mut self, rules: &Rules, clock: Timestamp) {
        let known: BTreeSet<&str> = rules.watches().map(|(monitor, _)| monitor.name.as_str()).collect();
        let before = std::mem::take(&mut self.unwatched);
        for member in self.open.values().flat_map(|situation| &situation.members).filter(|member| member.settled_at.is_none()) {
            let Source::Breach { monitor, .. } = &member.source else { continue };
            if !known.contains(monitor.as_str()) {
                // Before any input has told the time, that of what is known counts.
                let since = before.get(monitor).copied().unwrap_or(clock.max(member.told_at));
                self.unwatched.insert(monitor.clone(), since);
            }
        }
    }

    /// Ends what is left of monitors that have been gone for longer than any reload takes; gives it.
    pub fn end_unwatched(&mut self, clock: Timestamp) -> Vec<MemberKey> {
        let gone = self.unwatched.iter().filter(|(_, since)| clock.since(**since) > GONE_FOR).map(|(monitor, _)| monitor.clone());
        let gone: BTreeSet<String> = gone.collect();
        if gone.is_empty() {
            return vec![];
        }
        self.unwatched.retain(|monitor, _| !gone.contains(monitor));
        let is_gone = |source: &Source| matches!(source, Source::Breach { monitor, .. } if gone.contains(monitor));
        let members = self.open.values().flat_map(|situation| &situation.members);
        let lasting = members.filter(|member| member.settled_at.is_none() && is_gone(&member.source)).map(|member| member.key);
        let lasting: Vec<MemberKey> = lasting.collect();
        for key in &lasting {
            self.update(*key, |member| {
                if member.ends_at.is_none() {
                    (member.ends_at, member.ended_by) = (Some(clock), EndedBy::Unwatched);
                }
                (member.settled_at, member.stale) = (Some(clock), false);
            });
        }
        lasting
    }
}

//! What is open when other rules come to hold: it may mean more by these, and of what they do not watch nothing will tell that it is
//! over.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::{Definition, Fingerprint, Timestamp};
use crate::rules::{GONE_FOR, Rules};

use super::member::{alert_key, definition};
use super::{EndedBy, MemberKey, Situations, Source};

impl Situations {
    /// Other rules inhibit from now on, and others are inhibited; what is open keeps its ladders, and is called as these say. Gives the
    /// alerts that fire, made no fault so far, and may make one by these.
    pub fn follow(&mut self, rules: &Rules, clock: Timestamp) -> Vec<MemberKey> {
        self.watched_by(rules, clock);
        self.inhibits_anew();
        self.rename(rules);
        let firing = self.open.values().flat_map(|s| &s.members).filter(|m| m.ends_at.is_none()).map(|m| m.key);
        let mut new = vec![];
        for key in firing.collect::<Vec<MemberKey>>() {
            self.inhibits(key, rules);
            let Some((_, member)) = self.member(key).filter(|(_, member)| member.definition.is_none()) else { continue };
            let Source::Alert { labels, summary, .. } = &member.source else { continue };
            if let Some(definition) = definition(labels, summary, rules) {
                let name = rules.alert_monitor(labels).map(|monitor| monitor.name.clone());
                self.update(key, |member| {
                    member.definition = Some(Arc::new(definition));
                    if let Source::Alert { monitor, .. } = &mut member.source {
                        *monitor = name;
                    }
                });
                self.suppress(key, rules);
                new.push(key);
            }
        }
        new
    }

    /// What something is about, whose business that is, who owns it and what watches it is as these rules call it.
    fn rename(&mut self, rules: &Rules) {
        let graded = self.open.values().flat_map(|situation| &situation.members).filter_map(|member| {
            let was = member.definition.as_ref()?;
            let (is, by) = match &member.source {
                Source::Breach { monitor, .. } => (rules.monitor(monitor)?.definition.clone()?, None),
                Source::Alert { labels, summary, .. } => (definition(labels, summary, rules)?, rules.alert_monitor(labels)),
                Source::Person { .. } => return None,
            };
            let by = by.map(|monitor| monitor.name.clone()).filter(|name| member.source.monitor() != Some(name));
            (by.is_some() || !was.is_called_as(&is)).then(|| (member.key, was.called_as(&is), by))
        });
        for (key, definition, by) in graded.collect::<Vec<(MemberKey, Definition, Option<String>)>>() {
            self.update(key, |member| {
                member.definition = Some(Arc::new(definition));
                if let Source::Alert { monitor, .. } = &mut member.source {
                    *monitor = by.or(monitor.take());
                }
            });
        }
    }

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
        lasting.iter().for_each(|key| self.unwatch(*key, clock));
        lasting
    }

    /// Ends an alert that is told here, and that is told no more; gives it.
    pub fn end_unwatched_alert(&mut self, fingerprint: Fingerprint, clock: Timestamp) -> Option<MemberKey> {
        let starts_at = self.fired.get(&fingerprint)?.open?;
        self.ended(fingerprint, starts_at, clock);
        let key = alert_key(fingerprint, starts_at);
        if self.ends_tallied(key, Some(clock)) {
            return None;
        }
        self.unwatch(key, clock);
        Some(key)
    }

    fn unwatch(&mut self, key: MemberKey, clock: Timestamp) {
        self.update(key, |member| {
            if member.ends_at.is_none() {
                (member.ends_at, member.ended_by) = (Some(clock), EndedBy::Unwatched);
            }
            (member.settled_at, member.stale) = (Some(clock), false);
        });
    }
}

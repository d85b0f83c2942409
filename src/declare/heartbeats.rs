//! Heartbeats: alerts that fire as long as all is well, as Prometheus' `Watchdog` does. That one has fallen silent is told as
//! an alert of our own, with its labels, that lasts until it is heard again: a dead man's switch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Alert, Fingerprint, Origin, Signal, Timestamp, duration};
use crate::rules::{GONE_FOR, Monitor, Rules};
use crate::stage::{Count, Limit, Outbox, Outcome};

use super::Declare;

/// Heartbeats that are listened for. Beyond it one that is silent is forgotten, and where none is, a new one is not listened for.
const HEARTBEATS_MAX: usize = 10_000;

/// What is overdue for longer, and not silent yet by its monitor, holds nothing up any more: it may be gone for good.
const OVERDUE_MAX: Duration = Duration::from_secs(1800);

/// One that was missed again so soon after is missed since the first time.
const MISSED_AGAIN: Duration = Duration::from_secs(600);

/// Times ahead that are kept of one; beyond it the earliest goes.
const AHEAD_MAX: usize = 1000;

/// Those that have ever been heard.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Heartbeats {
    /// By their fingerprints.
    all: BTreeMap<Fingerprint, Heartbeat>,
    /// When something is to be told of each.
    next: BTreeSet<(Timestamp, Fingerprint)>,
    /// Those that are silent and that nobody listens for any more, with since when that is so.
    orphans: BTreeMap<Fingerprint, (Timestamp, Heartbeat)>,
    /// Of the one that was heard again last: from when to when it was not.
    unheard: Option<(Timestamp, Timestamp)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Heartbeat {
    monitor: String,
    /// For how long it may be silent.
    within: Duration,
    /// As it was told last.
    alert: Alert,
    origin: Origin,
    heard: Timestamp,
    /// How often it is heard, at the least; none until that is known.
    pace: Option<Duration>,
    /// When it was heard of which that is not time yet: other inputs may still tell of before.
    ahead: BTreeSet<Timestamp>,
    /// Since when it is silent.
    silent: Option<Timestamp>,
    /// When it is silent, or is told to be so still.
    due: Timestamp,
}

impl Heartbeats {
    /// Whether one was silent or overdue then that is so now, or was until so lately.
    pub(super) fn was_unheard(&self, then: Timestamp, now: Timestamp, lately: Duration) -> bool {
        let is_silent = self.all.values().any(|heartbeat| heartbeat.is_overdue(now) && heartbeat.heard <= then);
        let was = self.unheard.filter(|(_, until)| now < *until + lately);
        is_silent || was.is_some_and(|(since, until)| since <= then && then <= until)
    }
}

impl Heartbeat {
    fn next(&self) -> (Timestamp, Fingerprint) {
        let ahead = self.ahead.first().copied();
        (ahead.map_or(self.due, |ahead| ahead.min(self.due)), self.alert.fingerprint)
    }

    /// Whether it should have been heard again by then, by how often it usually is; it is told to be silent only later.
    fn is_overdue(&self, now: Timestamp) -> bool {
        let late = now.since(self.heard);
        self.silent.is_some() || late <= OVERDUE_MAX && self.pace.is_some_and(|pace| late > pace + pace / 4)
    }

    /// It is heard then. Gives whether it had been missed.
    fn beats(&mut self, at: Timestamp) -> bool {
        let (between, missed) = (at.since(self.heard), self.is_overdue(at));
        if between <= self.within {
            // The slowest of late: a repetition comes with the next round of what sends it, or with the one after.
            self.pace = Some(self.pace.map_or(between, |pace| between.max(pace * 9 / 10)));
        }
        (self.heard, self.due) = (at, at + self.within);
        missed
    }

    /// Takes note of a time ahead, but for one between two that are close enough.
    fn hears_ahead(&mut self, at: Timestamp) {
        let before = self.ahead.range(..at).next_back().copied();
        let after = self.ahead.range(at..).next().copied();
        if before.zip(after).is_none_or(|(before, after)| after.since(before) > self.within / 2) {
            self.ahead.insert(at);
        }
        let last = before.and_then(|last| Some((self.ahead.range(..last).next_back().copied()?, last)));
        if let Some((_, between)) = last.filter(|(first, _)| after.is_none() && at.since(*first) <= self.within / 2) {
            self.ahead.remove(&between);
        }
        if self.ahead.len() > AHEAD_MAX {
            self.ahead.pop_first();
        }
    }

    /// The fingerprint of the alert that it is silent.
    fn silence_fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&[b"heartbeat", &self.alert.labels.fingerprint().bytes()])
    }

    /// The alert that it is silent since then. One with an end tells that it is heard again.
    fn silence(&self, since: Timestamp, ends_at: Option<Timestamp>) -> Alert {
        let labels = self.alert.labels.clone();
        let (fingerprint, name, within) = (self.silence_fingerprint(), labels.get("alertname"), duration::show(self.within));
        let summary = format!("{name} was not heard for {within}\nlast heard at {}\n{}", self.heard, self.alert.summary);
        Alert { fingerprint, labels, summary, starts_at: since, ends_at, by_key: false, recalled: false }
    }
}

/// What has happened to a heartbeat.
struct Beat {
    fingerprint: Fingerprint,
    /// What is to be told; none where it goes on.
    alert: Option<Alert>,
    origin: Origin,
    /// It is told once more.
    again: bool,
}

impl Heartbeats {
    /// Whether an alert with that fingerprint is one.
    fn knows(&self, fingerprint: Fingerprint) -> bool {
        self.all.contains_key(&fingerprint)
    }

    /// Whether there is room for one, be it of what is silent for longest.
    fn makes_room(&mut self, fingerprint: Fingerprint) -> bool {
        if self.knows(fingerprint) || self.all.len() < HEARTBEATS_MAX {
            return true;
        }
        let silent = self.all.iter().filter_map(|(fingerprint, heartbeat)| Some((heartbeat.silent?, *fingerprint))).min();
        silent.and_then(|(_, fingerprint)| self.remove(fingerprint)).is_some()
    }

    /// Takes note that one was heard then, which is told of when it is time.
    fn hear(&mut self, alert: &Alert, (monitor, within): (&str, Duration), origin: &Origin, at: Timestamp) {
        let (monitor, alert, origin) = (monitor.to_owned(), alert.clone(), origin.clone());
        let mut heartbeat = match self.remove(alert.fingerprint) {
            Some(known) => Heartbeat { monitor, within, alert, origin, ..known },
            None => {
                Heartbeat { monitor, within, alert, origin, heard: at, pace: None, ahead: BTreeSet::new(), silent: None, due: at + within }
            }
        };
        if at > heartbeat.heard {
            heartbeat.hears_ahead(at);
        }
        self.insert(heartbeat);
    }

    fn insert(&mut self, heartbeat: Heartbeat) {
        self.next.insert(heartbeat.next());
        self.all.insert(heartbeat.alert.fingerprint, heartbeat);
    }

    fn remove(&mut self, fingerprint: Fingerprint) -> Option<Heartbeat> {
        let heartbeat = self.all.remove(&fingerprint)?;
        self.next.remove(&heartbeat.next());
        Some(heartbeat)
    }

    /// The next that has happened by then: one is silent, which is told again as long as it is, as an alert that lasts has to be,
    /// or is not silent any more.
    fn next_by(&mut self, clock: Timestamp) -> Option<Beat> {
        let (at, fingerprint) = self.next.first().copied().filter(|(at, _)| *at <= clock)?;
        let mut heartbeat = self.remove(fingerprint)?;
        let origin = heartbeat.origin.clone();
        let (alert, again) = if heartbeat.ahead.first() == Some(&at) {
            heartbeat.ahead.pop_first();
            let last = heartbeat.heard;
            if heartbeat.beats(at) {
                let since = self.unheard.filter(|(_, until)| at.since(*until) <= MISSED_AGAIN).map_or(last, |(since, _)| since.min(last));
                self.unheard = Some((since, at));
            }
            let over = heartbeat.silent.take().map(|since| heartbeat.silence(since, Some(at)));
            (over, false)
        } else {
            let (since, again) = (heartbeat.silent.unwrap_or(at), heartbeat.silent.is_some());
            let next = if again { clock.max(at) } else { at };
            (heartbeat.silent, heartbeat.due) = (Some(since), next + heartbeat.within);
            (Some(heartbeat.silence(since, None)), again)
        };
        self.insert(heartbeat);
        Some(Beat { fingerprint, alert, origin, again })
    }

    /// Listens as other rules say; a silence that they do not ask for is told no more.
    pub(super) fn follow(&mut self, rules: &Rules, clock: Timestamp) {
        let Self { all, orphans, unheard, .. } = std::mem::take(self);
        self.unheard = unheard;
        // What has been heard since is no orphan.
        let mut known = orphans;
        known.extend(all.into_iter().map(|(fingerprint, heartbeat)| (fingerprint, (clock.max(heartbeat.heard), heartbeat))));
        for (since, heartbeat) in known.into_values() {
            if let Some((monitor, within)) = rules.heartbeat(&heartbeat.alert.labels) {
                let due = heartbeat.silent.unwrap_or(heartbeat.heard) + within;
                self.insert(Heartbeat { monitor: monitor.name.clone(), within, due, ..heartbeat });
            } else if heartbeat.silent.is_some() && self.orphans.len() < HEARTBEATS_MAX {
                self.orphans.insert(heartbeat.alert.fingerprint, (since, heartbeat));
            }
        }
    }

    /// The fingerprints of the silences of those that nobody has listened for in longer than any reload takes.
    fn forget_orphans(&mut self, clock: Timestamp) -> Vec<Fingerprint> {
        let mut gone = vec![];
        self.orphans.retain(|_, (since, heartbeat)| {
            let listened = clock.since(*since) <= GONE_FOR;
            gone.extend((!listened).then(|| heartbeat.silence_fingerprint()));
            listened
        });
        gone
    }
}

impl Declare {
    /// Whether a heartbeat that this monitor listens for is known.
    #[must_use]
    pub fn has_heard(&self, monitor: &Monitor) -> bool {
        self.state.heartbeats.all.values().any(|heartbeat| heartbeat.monitor == monitor.name)
    }

    /// Whether a signal is of a heartbeat: of that nothing else is to be taken in, but for the end of what lasts since before it
    /// was listened for.
    pub(super) fn hears_heartbeat(&mut self, signal: &Signal, origin: &Origin, told: Timestamp, out: &mut Outbox) -> bool {
        let lasts = |fingerprint: Fingerprint| self.state.situations.lasting(fingerprint).is_some();
        let alert = match signal {
            Signal::Resolved { fingerprint, .. } => {
                let is_beat = self.state.heartbeats.knows(*fingerprint) && !lasts(*fingerprint);
                if is_beat {
                    out.count(Count::Signals(Outcome::Applied));
                }
                return is_beat;
            }
            Signal::Alert(alert) => alert,
            _ => return false,
        };
        let Some((monitor, within)) = self.rules.heartbeat(&alert.labels) else { return false };
        if alert.ends_at.is_some() && lasts(alert.fingerprint) {
            return false;
        }
        // As long as nobody tells the time, nothing is silent.
        if alert.ends_at.is_none() && told > Timestamp::MIN {
            if !self.state.heartbeats.makes_room(alert.fingerprint) {
                out.count(Count::Limited(monitor.name.clone(), Limit::Heartbeats));
                out.count(Count::Signals(Outcome::Limited));
                return true;
            }
            self.state.heartbeats.hear(alert, (&monitor.name, within), origin, told);
        }
        out.count(Count::Signals(Outcome::Applied));
        true
    }

    /// Tells what has fallen silent by then, and what is heard again.
    pub(super) fn listens_for_heartbeats(&mut self, clock: Timestamp, out: &mut Outbox) {
        while let Some(Beat { fingerprint, alert, origin, again }) = self.state.heartbeats.next_by(clock) {
            let Some(alert) = alert else { continue };
            // What a person has ended is not missed any more, until it is heard again.
            if again && self.state.situations.is_said_over(alert.fingerprint, alert.starts_at) {
                self.state.heartbeats.remove(fingerprint);
                continue;
            }
            let at = alert.ends_at.unwrap_or(if again { clock } else { alert.starts_at });
            self.takes(&Signal::Alert(alert), &origin, at, out);
        }
        for silence in self.state.heartbeats.forget_orphans(clock) {
            if let Some(key) = self.state.situations.end_unwatched_alert(silence, clock) {
                self.grade_member(key, clock, out);
            }
        }
    }
}

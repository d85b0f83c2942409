//! Heartbeats: alerts that fire as long as all is well, as Prometheus' `Watchdog` does. That one has fallen silent is told as
//! an alert of our own, with its labels, that lasts until it is heard again: a dead man's switch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Alert, Origin, Signal, Timestamp, duration, labels::Fnv};
use crate::rules::{Monitor, Rules};
use crate::stage::{Count, Outbox, Outcome};

use super::Declare;

/// Heartbeats that are listened for. Beyond it one that is silent is forgotten, and where none is, a new one is not listened for.
const HEARTBEATS_MAX: usize = 10_000;

/// Those that have ever been heard.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Heartbeats {
    /// By their fingerprints.
    all: BTreeMap<u64, Heartbeat>,
    /// When each is silent, or is said to be so still.
    due: BTreeSet<(Timestamp, u64)>,
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
    /// Since when it is silent.
    silent: Option<Timestamp>,
    due: Timestamp,
}

impl Heartbeat {
    /// The alert that it is silent since then; over, where that `ends`.
    fn silence(&self, since: Timestamp, ends_at: Option<Timestamp>) -> Alert {
        let labels = self.alert.labels.clone();
        let fingerprint = Fnv::of(&[b"heartbeat", self.monitor.as_bytes(), &labels.fingerprint().to_be_bytes()]);
        let (name, within) = (labels.get("alertname"), duration::show(self.within));
        let summary = format!("{name} was not heard for {within}\nlast heard at {}\n{}", self.heard, self.alert.summary);
        Alert { fingerprint, labels, summary, starts_at: since, ends_at, by_key: false, recalled: false }
    }
}

impl Heartbeats {
    /// Whether an alert with that fingerprint is one.
    fn knows(&self, fingerprint: u64) -> bool {
        self.all.contains_key(&fingerprint)
    }

    /// Whether there is room for one, be it of what is silent for longest.
    fn makes_room(&mut self, fingerprint: u64) -> bool {
        if self.knows(fingerprint) || self.all.len() < HEARTBEATS_MAX {
            return true;
        }
        let silent = self.all.iter().filter_map(|(fingerprint, heartbeat)| Some((heartbeat.silent?, *fingerprint))).min();
        silent.and_then(|(_, fingerprint)| self.remove(fingerprint)).is_some()
    }

    /// Takes note that one was heard; gives the silence that is over by that, as it began, if nobody has told so, and as it ended.
    fn hear(&mut self, alert: &Alert, (monitor, within): (&str, Duration), origin: &Origin, at: Timestamp) -> Vec<Alert> {
        let known = self.remove(alert.fingerprint);
        let heard = known.as_ref().map_or(at, |known| known.heard.max(at));
        let (monitor, alert, origin) = (monitor.to_owned(), alert.clone(), origin.clone());
        self.insert(Heartbeat { monitor, within, alert, origin, heard, silent: None, due: heard + within });
        let Some(known) = known else { return vec![] };
        let untold = Some(known.due).filter(|due| known.silent.is_none() && *due <= at);
        let over = known.silent.or(untold).map(|since| known.silence(since, Some(at.max(since))));
        untold.map(|since| known.silence(since, None)).into_iter().chain(over).collect()
    }

    fn insert(&mut self, heartbeat: Heartbeat) {
        self.due.insert((heartbeat.due, heartbeat.alert.fingerprint));
        self.all.insert(heartbeat.alert.fingerprint, heartbeat);
    }

    fn remove(&mut self, fingerprint: u64) -> Option<Heartbeat> {
        let heartbeat = self.all.remove(&fingerprint)?;
        self.due.remove(&(heartbeat.due, fingerprint));
        Some(heartbeat)
    }

    /// The next that is silent by then; it is told again as long as it is, as an alert that lasts has to be.
    fn next_silent(&mut self, clock: Timestamp) -> Option<(Alert, Origin)> {
        let (due, fingerprint) = self.due.first().copied().filter(|(due, _)| *due <= clock)?;
        let heartbeat = self.remove(fingerprint)?;
        let since = heartbeat.silent.unwrap_or(due);
        let told = (heartbeat.silence(since, None), heartbeat.origin.clone());
        self.insert(Heartbeat { silent: Some(since), due: clock + heartbeat.within, ..heartbeat });
        Some(told)
    }

    /// Listens as other rules say; a silence that they do not ask for is told no more.
    pub(super) fn follow(&mut self, rules: &Rules) {
        for heartbeat in std::mem::take(self).all.into_values() {
            let Some((monitor, within)) = rules.heartbeat(&heartbeat.alert.labels) else { continue };
            if monitor.name == heartbeat.monitor {
                let due = heartbeat.silent.unwrap_or(heartbeat.heard) + within;
                self.insert(Heartbeat { within, due, ..heartbeat });
            }
        }
    }
}

impl Declare {
    /// Whether a heartbeat that this monitor listens for is known.
    #[must_use]
    pub fn has_heard(&self, monitor: &Monitor) -> bool {
        self.state.heartbeats.all.values().any(|heartbeat| heartbeat.monitor == monitor.name)
    }

    /// Whether a signal is of a heartbeat: of that nothing else is to be taken in.
    pub(super) fn hears_heartbeat(&mut self, signal: &Signal, origin: &Origin, told: Timestamp, out: &mut Outbox) -> bool {
        let alert = match signal {
            Signal::Resolved { fingerprint, .. } => return self.state.heartbeats.knows(*fingerprint),
            Signal::Alert(alert) => alert,
            _ => return false,
        };
        let Some((monitor, within)) = self.rules.heartbeat(&alert.labels) else { return false };
        // As long as nobody tells the time, nothing is silent.
        if alert.ends_at.is_none() && told > Timestamp::MIN {
            if !self.state.heartbeats.makes_room(alert.fingerprint) {
                out.count(Count::Limited(monitor.name.clone(), "heartbeats"));
                out.count(Count::Signals(Outcome::Limited));
                return true;
            }
            for silence in self.state.heartbeats.hear(alert, (&monitor.name, within), origin, told) {
                let at = silence.ends_at.unwrap_or(silence.starts_at);
                self.takes(&Signal::Alert(silence), origin, at, out);
            }
        }
        out.count(Count::Signals(Outcome::Applied));
        true
    }

    /// Tells what has fallen silent by then.
    pub(super) fn misses_heartbeats(&mut self, clock: Timestamp, out: &mut Outbox) {
        while let Some((alert, origin)) = self.state.heartbeats.next_silent(clock) {
            self.takes(&Signal::Alert(alert), &origin, clock, out);
        }
    }
}

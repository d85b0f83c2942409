//! Whether a member is with its group, as its client's statistics tell. A client that was told of no broker for a moment, as a
//! broker that was frozen tells when it wakes, may never find one again: then it is made anew.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::statistics::Statistics;

use super::client::{Base, reader, serve};

/// How often clients tell their statistics.
pub(super) const EVERY_MS: &str = "5000";

/// Away from its group for so long, a member asks whether the brokers are there; and as often as this again.
const ASTRAY: Duration = Duration::from_secs(30);

/// How long an answer to that is waited for.
const ASK: Duration = Duration::from_secs(1);

/// Since when a member has been away from its group, or has asked last; none while it is with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Pulse(Arc<Mutex<Option<Instant>>>);

impl Pulse {
    /// Takes in what a client tells of itself.
    pub(super) fn see(&self, statistics: &Statistics) {
        let is_with = statistics.cgrp.as_ref().is_some_and(|group| group.state == "up");
        let mut astray = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *astray = if is_with { None } else { astray.or_else(|| Some(Instant::now())) };
    }

    /// Whether the member does not find back to its group, though another client finds the brokers.
    pub(super) fn is_lost(&self, base: &Base, group: &str, topic: &str) -> bool {
        let mut astray = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if astray.is_none_or(|since| since.elapsed() < ASTRAY) {
            return false;
        }
        *astray = Some(Instant::now());
        let asked = reader(base, group).and_then(|reader| {
            serve(&reader, base);
            Ok(reader.fetch_metadata(Some(topic), ASK)?)
        });
        asked.is_ok_and(|metadata| !metadata.brokers().is_empty())
    }
}

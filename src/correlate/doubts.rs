//! Alerts that are told to fire after they were told to have ended, with the start that they had: an Alertmanager that was cut off from
//! what evaluates them ends them, and has them again as they were. What is only sent once more is soon followed by its end.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Alert, Fingerprint, Origin, Timestamp};

use super::episodes::REPLICAS_WITHIN;
use super::{EndedBy, MemberKey, Situations};

/// For so long their end is waited for, which another replica tells soon, or a connector that sends what it has sent before.
const WAITS: Duration = Duration::from_secs(120);

/// Alerts that are waited for at once; what comes beyond them has ended, as was told.
const DOUBTS_MAX: usize = 10_000;

/// What fires although it had ended, by its episode.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Doubts(BTreeMap<MemberKey, (Timestamp, Alert, Origin)>);

impl Doubts {
    /// It is told to have ended, once more.
    pub(super) fn ends(&mut self, fingerprint: Fingerprint) {
        self.0.retain(|_, (_, alert, _)| alert.fingerprint != fingerprint);
    }

    fn add(&mut self, key: MemberKey, at: Timestamp, alert: &Alert, origin: &Origin) {
        if self.0.len() < DOUBTS_MAX {
            self.0.entry(key).or_insert_with(|| (at, alert.clone(), origin.clone()));
        }
    }
}

impl Situations {
    /// An alert is told at that time to fire, whose episode had ended then.
    pub(super) fn doubts(&mut self, key: MemberKey, ended: Timestamp, at: Timestamp, alert: &Alert, origin: &Origin) {
        if alert.ends_at.is_none() && !alert.by_key && at.since(ended) > REPLICAS_WITHIN {
            self.doubts.add(key, at, alert, origin);
        }
    }

    /// What fires after all, as nothing has told its end since, and when it was told so. It is taken in as if nobody had told its end.
    pub fn fires_after_all(&mut self, clock: Timestamp) -> Vec<(Timestamp, Alert, Origin)> {
        let due = self.doubts.0.iter().filter(|(_, (at, ..))| *at + WAITS <= clock).map(|(key, _)| *key);
        let due: Vec<MemberKey> = due.collect();
        let due = due.into_iter().filter_map(|key| Some((key, self.doubts.0.remove(&key)?)));
        let mut fire = vec![];
        for (key, (at, alert, origin)) in due.collect::<Vec<_>>() {
            self.update(key, |member| member.ended_by = EndedBy::Next);
            if let Some(fired) = self.fired.get_mut(&alert.fingerprint).filter(|fired| fired.ended == Some(alert.starts_at)) {
                fired.ended = None;
            }
            fire.push((at, alert, origin));
        }
        fire
    }
}

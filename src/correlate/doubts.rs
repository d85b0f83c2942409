//! Alerts that are told to fire after they were told to have ended, with the start that they had: an Alertmanager that was cut off from
//! what evaluates them ends them, and has them again as they were. What is only sent once more is soon followed by its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Alert, Fingerprint, Origin, Timestamp};

use super::{EndedBy, MemberKey, Situations};

/// What is told to fire within so long after its end is only late.
const LATE: Duration = Duration::from_secs(300);

/// For so long their end is waited for, which another replica tells soon, or a connector that sends what it has sent before.
const WAITS: Duration = Duration::from_secs(120);

/// Alerts that are waited for at once; what comes beyond them has ended, as was told.
const DOUBTS_MAX: usize = 10_000;

/// What fires although it had ended.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Doubts {
    all: BTreeMap<Fingerprint, Doubt>,
    /// By when each was told of first.
    told: BTreeSet<(Timestamp, Fingerprint)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Doubt {
    /// The episode.
    key: MemberKey,
    told: Timestamp,
    alert: Alert,
    origin: Origin,
}

impl Doubts {
    /// It is told to have ended, once more.
    pub(super) fn ends(&mut self, fingerprint: Fingerprint) {
        self.take(fingerprint);
    }

    fn take(&mut self, fingerprint: Fingerprint) -> Option<Doubt> {
        let doubt = self.all.remove(&fingerprint)?;
        self.told.remove(&(doubt.told, fingerprint));
        Some(doubt)
    }

    fn add(&mut self, key: MemberKey, told: Timestamp, alert: &Alert, origin: &Origin) {
        if self.all.len() < DOUBTS_MAX && !self.all.contains_key(&alert.fingerprint) {
            self.told.insert((told, alert.fingerprint));
            self.all.insert(alert.fingerprint, Doubt { key, told, alert: alert.clone(), origin: origin.clone() });
        }
    }

    /// The next of which nobody has told the end for long enough by then.
    fn next(&mut self, clock: Timestamp) -> Option<Doubt> {
        let (_, fingerprint) = self.told.first().copied().filter(|(told, _)| *told + WAITS <= clock)?;
        self.take(fingerprint)
    }
}

impl Situations {
    /// An alert is told at that time to fire, whose episode had ended then.
    pub(super) fn doubts(&mut self, key: MemberKey, ended: Timestamp, at: Timestamp, alert: &Alert, origin: &Origin) {
        if alert.ends_at.is_none() && !alert.by_key && at.since(ended) > LATE {
            self.doubts.add(key, at, alert, origin);
        }
    }

    /// The next that fires after all, as nothing has told its end since, and when it was told so. It is to be taken in as if nobody had
    /// told its end.
    pub fn fires_after_all(&mut self, clock: Timestamp) -> Option<(Timestamp, Alert, Origin)> {
        let Doubt { key, told, alert, origin } = self.doubts.next(clock)?;
        self.update(key, |member| member.ended_by = EndedBy::Next);
        if let Some(fired) = self.fired.get_mut(&alert.fingerprint).filter(|fired| fired.ended == Some(alert.starts_at)) {
            fired.ended = None;
        }
        Some((told, alert, origin))
    }
}

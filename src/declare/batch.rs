//! Which signals of a record tell of what begins together.

use std::collections::BTreeSet;

use crate::model::{Alert, Fingerprint, Phase, Signal, Timestamp};

/// Those that were told one after the other, and only of beginnings: of alerts, each once, or of breaches at one step.
#[derive(Debug, Default)]
pub(super) struct Batch {
    alerts: BTreeSet<Fingerprint>,
    step: Option<Timestamp>,
}

impl Batch {
    /// Whether the next signal goes with those before it; where it does not, others may go with it.
    pub(super) fn adds(&mut self, signal: &Signal) -> bool {
        let goes = match signal {
            Signal::Alert(alert) if fires(alert) => self.step.is_none() && !self.alerts.contains(&alert.fingerprint),
            Signal::Breach(breach) if breach.phase == Phase::Opened => {
                self.alerts.is_empty() && self.step.is_none_or(|step| step == breach.at)
            }
            _ => false,
        };
        if !goes {
            *self = Self::default();
        }
        match signal {
            Signal::Alert(alert) if fires(alert) => _ = self.alerts.insert(alert.fingerprint),
            Signal::Breach(breach) if breach.phase == Phase::Opened => self.step = Some(breach.at),
            // What comes after it is graded after it.
            _ => self.step = Some(Timestamp::MIN),
        }
        goes
    }
}

fn fires(alert: &Alert) -> bool {
    alert.ends_at.is_none()
}

//! How likely a connection is, against that a sign came by itself.

use serde::{Deserialize, Serialize};

use super::forest::Ends;

/// How likely a connection is, as rates in a second, of which no more than a few digits are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Odds {
    /// Of that connection alone.
    pub best: f32,
    /// How likely the dependencies are by which it is connected.
    pub confidence: f32,
    /// What its end says of that connection; nothing while both last. Its factor is in the rates.
    pub ends: Option<Ends>,
    /// Of all that connects it with the same situation.
    pub rate: f32,
    /// Of the same without one; that this be beaten three times is asked.
    pub background: f32,
    /// How many times as often as usual that is, for what was changed of it shortly before.
    pub changed: f32,
}

impl Odds {
    /// Of a single connection that nothing is doubted of.
    pub(super) fn certain(rate: f64, background: f64) -> Self {
        Self { best: rate as f32, confidence: 1.0, ends: None, rate: rate as f32, background: background as f32, changed: 1.0 }
    }

    /// Against that, in a second, and how many times as often as usual it is for what was changed.
    pub(super) fn against(self, background: f64, changed: f64) -> Self {
        Self { background: background as f32, changed: changed as f32, ..self }
    }

    /// By how many nats the connection is likelier than its absence.
    #[must_use]
    pub fn nats(&self) -> f64 {
        if self.background > 0.0 { libm::log(f64::from(self.rate) / f64::from(self.background)) } else { 0.0 }
    }
}

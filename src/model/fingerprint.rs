//! The identity of a set of labels, and of what fires with them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::labels::Fnv;

/// Of labels Prometheus' fingerprint, which is that of an alert too; of what Richter finds itself, a hash of the monitor and its
/// group. It is the same in each episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// Of what is named by these parts.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        Self(Fnv::of(parts))
    }

    /// To be hashed with more.
    #[must_use]
    pub fn bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

/// As Prometheus and Alertmanager write it: 16 hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

//! Fault levels: a sequence and a rank in it; a lower rank is more severe.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A level such as P1. Ordered most severe first: by rank, then by the sequence's place in the configuration that it was graded by.
/// What is open outlives a configuration: which level it is, sequence and rank say, see [`Level::is`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Level {
    /// 1 is the most severe.
    pub rank: u8,
    /// The sequence's place in the configuration, so that ties between sequences have one winner.
    pub place: u8,
    /// The sequence's name: P, D, R, S by default.
    pub sequence: String,
}

impl Level {
    /// Whether it is the same level, wherever its sequence stands in the configuration by now.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        (self.rank, &self.sequence) == (other.rank, &other.sequence)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.sequence, self.rank)
    }
}

//! What people do about a fault, and until when: follow-ups, acknowledgement, review.

use std::time::Duration;

use crate::model::Level;

/// What people do about faults of some levels.
#[derive(Clone, Debug, PartialEq)]
pub struct Handling {
    /// Of these ranks.
    pub levels: Vec<u8>,
    /// Of this sequence; of all where it is missing.
    pub sequence: Option<String>,
    /// How often it is told how things stand while it is on.
    pub follow_up: Duration,
    /// Somebody acknowledges it by then; otherwise it is told of again.
    pub acknowledge_within: Option<Duration>,
    /// Its review is due so many workdays after its recovery.
    pub review_within: u8,
    /// The review is reminded of so long before.
    pub remind_before: Duration,
}

/// How long after it is due a review is overdue.
pub const OVERDUE_AFTER: Duration = Duration::from_secs(86_400);

const MINUTE: Duration = Duration::from_secs(60);

impl Handling {
    /// That of the two most severe levels, and of the others, where nothing else is said.
    #[must_use]
    pub fn default_of(rank: u8) -> Self {
        let severe = rank <= 2;
        Self {
            levels: if severe { vec![1, 2] } else { (3..=9).collect() },
            sequence: None,
            follow_up: if severe { 30 * MINUTE } else { 120 * MINUTE },
            acknowledge_within: severe.then_some(10 * MINUTE),
            review_within: if severe { 1 } else { 3 },
            remind_before: 240 * MINUTE,
        }
    }

    /// Whether it is for that level.
    #[must_use]
    pub fn is_for(&self, level: &Level) -> bool {
        self.levels.contains(&level.rank) && self.sequence.as_ref().is_none_or(|sequence| *sequence == level.sequence)
    }
}

//! What few series have at a time: a band that was left, and what was normal before another level was taken for it.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// What few series have at a time.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Rare {
    /// The band was left.
    pub(super) left: Option<Left>,
    /// What was normal before another level was taken for it.
    pub(super) former: Option<Former>,
}

/// The band was left.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Left {
    pub(super) at: Timestamp,
    /// The season's level by then.
    pub(super) season: Option<f32>,
    /// The level that was expected, over the season's where there is one.
    pub(super) level: f32,
    /// How far the level was from the season's.
    pub(super) offsets: (f32, f32),
    /// Half the band that the noise gives, and how much noisier than usual that part of the season was.
    pub(super) half: f32,
    pub(super) noise: f32,
    pub(super) up: bool,
    /// By the channel of shifts, if only after the other.
    pub(super) shifted: bool,
    /// That side is judged. Otherwise it is only known that coming back is no anomaly.
    pub(super) told: bool,
    pub(super) calm: u16,
}

/// What was normal until a fault had lasted for so long that it was taken for the normal; it is so still, for faults end.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Former {
    pub(super) until: Timestamp,
    /// How it was left, its level as told from what is normal now.
    pub(super) left: Left,
    /// By how much the season's level has moved.
    pub(super) by: f32,
    /// Evaluations that were within it.
    pub(super) calm: u16,
}

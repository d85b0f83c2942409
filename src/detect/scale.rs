//! How far a series usually is from what is expected: a mean of deviations, of which none teaches more than a few.

use serde::{Deserialize, Serialize};

use crate::rules::Dynamics;

/// What sparse series ask for at the least is asked for in quiet parts of the season up to this many times their own noise: the
/// day's would hide that nothing is left of a night.
const OF_PART: f32 = 1.5;

/// Where deviations are taken as they were, the most that teaches is so many times more: a value that is none at all would else
/// hide for days what comes after it.
const RAW_CLIP: f32 = 300.0;

/// Deviations above this are taken for this.
const LARGEST: f32 = 1e30;

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Scale {
    /// Of deviations that were clipped.
    clipped: f32,
    /// Of deviations nearly as they were.
    raw: f32,
}

impl Scale {
    /// The scale, `part` being how much larger or smaller it is at this part of the season; at least `floor`.
    pub(super) fn of(&self, dynamics: &Dynamics, part: f32, floor: f32) -> f32 {
        let sparse = dynamics.constants.raw_share * self.raw * (OF_PART * part).min(1.0);
        (self.clipped * part).max(sparse).max(floor)
    }

    /// The mean deviation.
    pub(super) fn clipped(&self) -> f32 {
        self.clipped
    }

    /// Learns from a deviation, the most that teaches being given.
    pub(super) fn learn(&mut self, dynamics: &Dynamics, first: f32, deviation: f32, most: f32) {
        let weight = dynamics.scale.max(first);
        self.clipped += weight * (deviation.min(most) - self.clipped);
        self.raw += weight * (deviation.min(RAW_CLIP * most).min(LARGEST) - self.raw);
    }
}

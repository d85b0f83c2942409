//! What is expected next: five simple predictors, each weighed by how well it did on this series.
//!
//! Two averages and the last value, and the season's level with the recent offset from it, averaged fast and slower. A
//! predictor's weight is 1 over the square of its mean error, so a series without a season does not hear the season.

use serde::{Deserialize, Serialize};

use crate::rules::Dynamics;

use super::baseline::Now;

/// Predictors that need no season.
const PLAIN: usize = 3;

/// Makes the weights of predictors that never err equal.
const TINY: f32 = 1e-20;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Forecast {
    fast: f32,
    medium: f32,
    last: f32,
    fast_offset: f32,
    medium_offset: f32,
    errors: [f32; 5],
}

impl Forecast {
    /// The level where no season tells one.
    pub(super) fn medium(&self) -> f32 {
        self.medium
    }

    /// How far the level is from the season's, of late.
    pub(super) fn offset(&self) -> f32 {
        self.medium_offset
    }

    /// After a gap, or as another level is taken for normal: what was of late counts no more.
    pub(super) fn restart(&mut self, level: f32) {
        (self.fast, self.last) = (level, level);
    }

    /// How far the level is from the season's, averaged fast and slower.
    pub(super) fn offsets(&self) -> (f32, f32) {
        (self.fast_offset, self.medium_offset)
    }

    /// It is back where it was expected, within half the band: what has gone along with it is taken back to there. The level is
    /// as far from the season's as it was, or as it is where that is less: what is within a band that is wide by night may be an
    /// outage still.
    pub(super) fn back(&mut self, now: &Now, expected: f32, half: f32, offsets: (f32, f32)) {
        let astray = |level: f32| (level - now.value).abs() > half;
        for level in [&mut self.fast, &mut self.medium].into_iter().filter(|level| astray(**level)) {
            *level = expected;
        }
        if astray(self.last) {
            self.last = now.value;
        }
        let usual = now.usual();
        for (offset, before) in [(&mut self.fast_offset, offsets.0), (&mut self.medium_offset, offsets.1)] {
            if astray(usual + *offset) || before.abs() < offset.abs() {
                *offset = before;
            }
        }
    }

    /// The offset has become the season's level.
    pub(super) fn settle(&mut self) {
        (self.fast_offset, self.medium_offset) = (self.fast_offset - self.medium_offset, 0.0);
    }

    /// Moves all levels; what is an offset from the season's stays.
    pub(super) fn shift(&mut self, by: f32) {
        [&mut self.fast, &mut self.medium, &mut self.last].into_iter().for_each(|level| *level += by);
    }

    fn predictors(&self, season: Option<f32>) -> ([f32; 5], usize) {
        let level = season.unwrap_or(0.0);
        let all = [self.fast, self.medium, self.last, level + self.fast_offset, level + self.medium_offset];
        (all, if season.is_some() { all.len() } else { PLAIN })
    }

    /// What is expected, given the season's level where it is known.
    pub(super) fn expected(&self, season: Option<f32>) -> f32 {
        let (all, known) = self.predictors(season);
        let best = self.errors[..known].iter().copied().fold(f32::INFINITY, f32::min) + TINY;
        let (mut sum, mut weights) = (0.0, 0.0);
        for (value, error) in all[..known].iter().zip(&self.errors) {
            let ratio = best / (error + TINY);
            sum += ratio * ratio * value;
            weights += ratio * ratio;
        }
        sum / weights
    }

    /// Learns from a value, and from how much of it may teach; `first` is 1 over the number of values.
    pub(super) fn learn(&mut self, dynamics: &Dynamics, first: f32, season: Option<f32>, value: f32, clipped: f32, most: f32) {
        let (all, known) = self.predictors(season);
        let weight = dynamics.error.max(first);
        for (predicted, error) in all[..known].iter().zip(&mut self.errors) {
            *error += weight * ((value - predicted).abs().min(most) - *error);
        }
        match season {
            Some(level) => {
                self.fast_offset += dynamics.fast * (clipped - level - self.fast_offset);
                self.medium_offset += dynamics.medium * (clipped - level - self.medium_offset);
            }
            None => {
                for place in PLAIN..self.errors.len() {
                    self.errors[place] = self.errors[place].max(self.errors[1]);
                }
            }
        }
        self.fast += dynamics.fast.max(first) * (clipped - self.fast);
        self.medium += dynamics.medium.max(first) * (clipped - self.medium);
        self.last = clipped;
    }
}

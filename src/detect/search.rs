//! Which season there is, if any: autocorrelations at the lags of the seasons that people have, on means of a quarter of an
//! hour or of a step. A season is believed when it explains more than half of the variance, and more than half a season does.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

const HOUR: u64 = 3600;

const DAY: Duration = Duration::from_secs(24 * HOUR);

/// The seasons that are looked for, the shortest first.
const SEASONS: [Duration; 4] = [Duration::from_secs(HOUR), Duration::from_secs(12 * HOUR), DAY, Duration::from_secs(168 * HOUR)];

/// A mean is of this long, or of a step where that is longer.
const SLOT: Duration = Duration::from_secs(900);

/// An autocorrelation above this is one.
const ENOUGH: f32 = 0.5;

/// A longer season must explain so much more than a shorter one.
const LONGER: f32 = 0.1;

/// It is decided after so many of the season: then chance explains little.
const SEASONS_SEEN: u32 = 3;

/// After this long without one there is none.
const LONG_ENOUGH: Duration = Duration::from_secs(35 * 24 * HOUR);

/// Values further off, in units, are taken for this: squares of them are still numbers.
const LARGEST: f32 = 1e15;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Search {
    /// The newest last, as far back as the longest season.
    means: VecDeque<f32>,
    slot: i64,
    sum: f32,
    values: u32,
    /// Means that were taken in.
    seen: u32,
    mean: f32,
    variance: f32,
    /// With what was a season ago, and half a season ago.
    products: [(f32, f32); SEASONS.len()],
}

/// What is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    NotYet,
    Nothing,
    Season(Duration),
}

impl Search {
    pub(super) fn see(&mut self, every: Duration, at: Timestamp, value: f32) -> Found {
        let long = SLOT.max(every);
        let slot = at.0.div_euclid(i64::try_from(long.as_millis()).unwrap_or(i64::MAX).max(1));
        if self.values == 0 {
            self.slot = slot;
        }
        let mut found = Found::NotYet;
        if slot != self.slot {
            let mean = self.sum / self.values as f32;
            // What is missing is as it was before; of more than a season's worth the phase is kept.
            let week = steps(SEASONS[SEASONS.len() - 1], long) as i64;
            let missing = slot - self.slot;
            for _ in 0..if missing > week { week + missing % week } else { missing } {
                self.take(long, mean);
            }
            found = self.found(long);
            (self.slot, self.sum, self.values) = (slot, 0.0, 0);
        }
        self.sum += value.clamp(-LARGEST, LARGEST);
        self.values += 1;
        found
    }

    fn take(&mut self, slot: Duration, mean: f32) {
        self.seen += 1;
        let weight = (1.0 / self.seen as f32).max(1.0 / steps(LONG_ENOUGH, slot) as f32);
        self.mean += weight * (mean - self.mean);
        let off = mean - self.mean;
        self.variance += weight * (off * off - self.variance);
        for (season, (whole, half)) in SEASONS.into_iter().zip(&mut self.products) {
            let lag = steps(season, slot);
            for (lag, product) in [(lag, whole), (lag / 2, half)] {
                let then = self.means.len().checked_sub(lag.max(1)).and_then(|place| self.means.get(place));
                if let Some(then) = then {
                    *product += weight.max(1.0 / (self.seen - lag as u32).max(1) as f32) * (off * (then - self.mean) - *product);
                }
            }
        }
        self.means.push_back(mean);
        if self.means.len() > steps(SEASONS[SEASONS.len() - 1], slot) {
            self.means.pop_front();
        }
    }

    /// The shortest season that explains enough, unless a longer one explains clearly more. A day is waited for; a week is
    /// one where a day is none.
    fn found(&self, slot: Duration) -> Found {
        let known = |season: Duration| self.seen >= SEASONS_SEEN * steps(season, slot) as u32;
        let variance = self.variance.max(f32::MIN_POSITIVE);
        let mut best: Option<(Duration, f32)> = None;
        for (season, (whole, half)) in SEASONS.into_iter().zip(self.products).filter(|(season, _)| known(*season)) {
            let (whole, half) = (whole / variance, half / variance);
            let fits = steps(season, slot) >= 4 && whole > ENOUGH && whole > half;
            if fits && best.is_none_or(|(_, before)| whole > before + LONGER) {
                best = Some((season, whole));
            }
        }
        match best {
            Some((season, _)) if known(DAY) => Found::Season(season),
            None if self.seen as usize >= steps(LONG_ENOUGH, slot) => Found::Nothing,
            Some(_) | None => Found::NotYet,
        }
    }
}

fn steps(span: Duration, slot: Duration) -> usize {
    usize::try_from(span.as_millis() / slot.as_millis().max(1)).unwrap_or(usize::MAX).max(1)
}

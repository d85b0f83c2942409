//! The tail of a series' own deviations: how rare it is that one as large begins.
//!
//! Peaks over a threshold, as extreme-value theory has them: the threshold is a streaming quantile, excesses over it are
//! declustered (one that follows another closely is the same event), and the heavier of two tails is believed: a
//! generalised Pareto distribution by its moments, and a power law by the mean logarithm, which is not believed for ever.
//! Sources: A. Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory", KDD 2017; B. M. Hill, "A Simple
//! General Approach to Inference About the Tail of a Distribution", 1975.

use serde::{Deserialize, Serialize};

use crate::rules::Dynamics;

/// Deviations before anything is said.
pub(super) const LEARNING: u32 = 150;

/// Tails heavier than this are left to the power law.
const SHAPE_MAX: f32 = 0.4;

/// The least exponent of the power law: no tail is believed to be lighter.
const LOG_MIN: f32 = 0.02;

/// The power law begins no lower than at this share of the mean excess.
const BASE_LEAST: f32 = 0.05;

/// Logarithms of excesses teach up to this many mean ones.
const LOG_CLIP: f32 = 4.0;

/// The power law is believed up to so many times what an excess usually comes to. Where most excesses are of another kind than the
/// noise below them, such as the dips that lost samples make, it would reach to a hundred times what was ever seen.
const FURTHEST: f32 = 7.0;

/// What is more surprising than this cannot be told apart.
const SURPRISE_MAX: f32 = 12.0;

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tail {
    threshold: f32,
    /// Of all deviations.
    mean: f32,
    /// How often a cluster of excesses begins.
    rate: f32,
    /// Mean excess, mean squared excess, mean logarithm of deviation over threshold.
    excess: f32,
    square: f32,
    log: f32,
    clusters: u16,
    /// Deviations since the last excess.
    since: u16,
}

/// Whether too few deviations were seen for anything to be said.
pub(super) fn is_learning(seen: u32) -> bool {
    seen < LEARNING
}

impl Tail {
    /// The deviation at which it begins.
    pub(super) fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Whether it is in the tail.
    pub(super) fn exceeds(&self, deviation: f32) -> bool {
        deviation > self.threshold
    }

    /// How surprising a deviation is that comes after so many: −log₁₀ of its probability; zero below the threshold.
    pub(super) fn surprise(&self, seen: u32, deviation: f32) -> f32 {
        if deviation <= self.threshold || is_learning(seen) {
            return 0.0;
        }
        // Nothing ever deviated: it is as rare as what was never seen in so many.
        if self.excess <= 0.0 {
            return libm::log10f(seen as f32);
        }
        let (shape, scale) = self.pareto();
        let excess = (deviation - self.threshold) / scale;
        let pareto = if shape < 1e-3 { excess * std::f32::consts::LOG10_E } else { libm::log10f(1.0 + shape * excess) / shape };
        let power = if deviation > self.furthest() { f32::INFINITY } else { libm::log10f(deviation / self.base()) / self.log.max(LOG_MIN) };
        (self.began() + pareto.min(power)).min(SURPRISE_MAX)
    }

    /// The deviation that is that surprising.
    pub(super) fn limit(&self, surprise: f32) -> f32 {
        let beyond = (surprise - self.began()).max(0.0);
        let (shape, scale) = self.pareto();
        let pareto =
            if shape < 1e-3 { scale * beyond / std::f32::consts::LOG10_E } else { scale * (libm::exp10f(shape * beyond) - 1.0) / shape };
        let power = self.base() * libm::exp10f(self.log.max(LOG_MIN) * beyond);
        (self.threshold + pareto).max(power.min(self.furthest()))
    }

    /// So far the power law is believed.
    fn furthest(&self) -> f32 {
        FURTHEST * (self.threshold + self.square.max(0.0).sqrt())
    }

    /// Where the power law begins: at the threshold, which falls to nothing where most of a series never deviates.
    fn base(&self) -> f32 {
        self.threshold.max(BASE_LEAST * self.excess).max(f32::MIN_POSITIVE)
    }

    /// −log₁₀ of how often an excess begins.
    pub(super) fn began(&self) -> f32 {
        -libm::log10f(self.rate.max(1e-5))
    }

    /// Shape and scale by the moments: for an excess of mean m and variance v, (1 − m²/v)/2 and m(1 − shape).
    fn pareto(&self) -> (f32, f32) {
        let squared = self.excess * self.excess;
        let variance = (self.square - squared).max(f32::EPSILON * squared).max(f32::MIN_POSITIVE);
        let shape = (0.5 * (1.0 - squared / variance)).clamp(0.0, SHAPE_MAX);
        (shape, (self.excess * (1.0 - shape)).max(f32::MIN_POSITIVE))
    }

    /// Learns from a deviation that comes after so many.
    pub(super) fn learn(&mut self, dynamics: &Dynamics, seen: u32, deviation: f32) {
        let constants = &dynamics.constants;
        let first = 1.0 / seen.saturating_add(1) as f32;
        let weight = dynamics.tail.max(first);
        self.mean += weight * (deviation - self.mean);
        if seen == 0 {
            self.threshold = 2.0 * deviation;
        }
        // A step of the threshold: of stochastic approximation, with larger ones in the beginning.
        let beyond = 1.0 - constants.quantile;
        let step = 0.25 * self.mean / beyond * (2.0 * dynamics.tail).max(first.min(0.05));
        self.since = self.since.saturating_add(1);
        let exceeds = deviation > self.threshold;
        let begins = exceeds && self.since > constants.cluster as u16;
        self.rate += weight * (f32::from(u8::from(begins)) - self.rate);
        if begins {
            self.learn_excess(dynamics, deviation);
        }
        if exceeds {
            self.since = 0;
            self.threshold += step * constants.quantile;
        } else {
            self.threshold = (self.threshold - step * beyond).max(0.0);
        }
    }

    fn learn_excess(&mut self, dynamics: &Dynamics, deviation: f32) {
        let constants = &dynamics.constants;
        self.clusters = self.clusters.saturating_add(1);
        let weight = (dynamics.tail / (1.0 - constants.quantile)).max(1.0 / f32::from(self.clusters));
        // Three teach what is usual; after that one alone teaches little.
        let is_new = self.clusters > 3;
        let most = if is_new { constants.excess_clip * self.excess } else { f32::INFINITY };
        let excess = (deviation - self.threshold).min(most);
        self.excess += weight * (excess - self.excess);
        self.square += weight * (excess * excess - self.square);
        let most = if is_new { LOG_CLIP * self.log.max(LOG_MIN) } else { f32::INFINITY };
        let log = libm::logf(deviation / self.base()).clamp(0.0, most);
        self.log += weight * (log - self.log);
    }
}

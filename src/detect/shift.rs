//! The channel of slow shifts: deviations from the season's level, averaged over a short and a long while, each with a
//! tail of its own. What is not worse than what there was of late is no news, and a series that shifts again and again has
//! to shift further each time.

use serde::{Deserialize, Serialize};

use crate::rules::{BaselineRule, Dynamics};

use super::baseline::Now;
use super::scale::Scale;
use super::tail::Tail;

/// One more in the surprise that is asked for asks for so much more of a mean of three.
const PER_SURPRISE: f32 = 1.0 / 3.0;

/// The surprise at which the constant for shifts was chosen.
const USUAL: f32 = 4.0;

/// A young series counts as one that has shifted by this much: what it does in the course of a week is not known yet.
const YOUNG: f32 = 5.0;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Shift {
    steady: Scale,
    short: f32,
    long: f32,
    short_tail: Tail,
    long_tail: Tail,
    recent: f32,
    past: f32,
    /// Shifts told of late.
    told: f32,
}

/// What the channel says of an evaluation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shifted {
    /// 1 at the limit.
    pub(super) score: f32,
    pub(super) up: bool,
    /// One of the averages is out of the ordinary, news or not.
    pub(super) lasts: bool,
    /// The average deviation.
    pub(super) by: f32,
}

impl Shift {
    pub(super) fn is_learning(&self) -> bool {
        self.long_tail.is_learning()
    }

    /// Deviations seen so far by either tail.
    pub(super) fn seen(&self) -> [u32; 2] {
        [self.short_tail.seen(), self.long_tail.seen()]
    }

    /// Takes a deviation from the season's level in, `point` being how surprising the evaluation is by itself.
    pub(super) fn see(&mut self, rule: &BaselineRule, now: &Now, point: f32) -> Shifted {
        let dynamics = &rule.dynamics;
        let scale = self.scale(dynamics, now.noise, now.floor);
        let most = dynamics.constants.steady_clip;
        let scaled = (now.steady / scale).clamp(-most, most);
        self.short += dynamics.short * (scaled - self.short);
        self.long += dynamics.long * (scaled - self.long);
        let (mut short, long) = (self.short_tail.surprise(self.short.abs()), self.long_tail.surprise(self.long.abs()));
        // What this one value has lifted is the value's surprise, and not another one.
        if !self.short_tail.exceeds(self.short.abs() - dynamics.short * scaled.abs()) {
            short = short.min(self.short_tail.began());
        }
        self.short_tail.learn(dynamics, self.short.abs());
        self.long_tail.learn(dynamics, self.long.abs());
        if self.long_tail.is_learning() {
            self.past = self.past.max(YOUNG);
        }
        let mean = (point + short + long) / 3.0;
        // What is odd but small is none, and neither is what is not as odd as is asked for, taken together.
        let odd = point + short + long >= rule.surprise;
        let large = self.short.abs() >= dynamics.constants.short_least || self.long.abs() >= dynamics.constants.long_least;
        let known = self.recent.max(dynamics.constants.past_share * self.past);
        let news = if odd && large { (mean - known).max(0.0) } else { 0.0 };
        self.recent = (self.recent * (1.0 - dynamics.recent)).max(mean);
        self.past = (self.past * (1.0 - dynamics.past)).max(mean);
        let asked = (dynamics.constants.shift + PER_SURPRISE * (rule.surprise - USUAL)).max(0.1);
        let asked = asked * (1.0 + dynamics.constants.told_share * self.told);
        self.told *= 1.0 - dynamics.told;
        Shifted {
            score: news / asked,
            up: self.short + self.long > 0.0,
            lasts: short > 0.0 || long > 0.0,
            by: self.long.abs().max(self.short.abs()) * scale,
        }
    }

    /// A breach was opened by it.
    pub(super) fn tells(&mut self) {
        self.told += 1.0;
    }

    /// How large deviations from the season's level usually are.
    pub(super) fn scale(&self, dynamics: &Dynamics, noise: f32, floor: f32) -> f32 {
        self.steady.of(dynamics, noise, floor)
    }

    /// Learns how large they are, and at most so much; `first` is 1 over their number.
    pub(super) fn learn(&mut self, dynamics: &Dynamics, first: f32, deviation: f32, most: f32) {
        self.steady.learn(dynamics, first, deviation, most);
    }

    /// So many evaluations were missing.
    pub(super) fn skip(&mut self, dynamics: &Dynamics, missing: f32) {
        self.recent *= libm::powf(1.0 - dynamics.recent, missing);
        self.past *= libm::powf(1.0 - dynamics.past, missing);
        self.told *= libm::powf(1.0 - dynamics.told, missing);
    }

    /// The level that lasted is the normal one.
    pub(super) fn settle(&mut self) {
        (self.short, self.long) = (0.0, 0.0);
    }
}

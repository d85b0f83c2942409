//! The channel of shifts: deviations from the season's level, averaged over a short and a long while, and over a brief one
//! where steps are short, each with a tail of its own. What is not worse than what there was of late is no news, and a series
//! that shifts again and again has to shift further each time.

use serde::{Deserialize, Serialize};

use crate::rules::{BaselineRule, Dynamics};

use super::baseline::Now;
use super::scale::Scale;
use super::tail::{self, Tail};

/// One more in the surprise that is asked for asks for so much more of a mean of three.
const PER_SURPRISE: f32 = 1.0 / 3.0;

/// The surprise at which the constant for shifts was chosen.
const USUAL: f32 = 4.0;

/// The brief average counts from so many mean deviations on: it is to find in minutes what is large, not what is small sooner.
const BRIEF_LEAST: f32 = 4.0;

/// One more in the surprise that is asked for asks for so many more of them: an average of values that hang together is far off
/// more often than its tail says.
const BRIEF_PER_SURPRISE: f32 = 2.0;

/// A young series counts as one that has shifted by this much: what it does in the course of a week is not known yet.
const YOUNG: f32 = 5.0;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Shift {
    steady: Scale,
    short: Average,
    long: Average,
    recent: f32,
    past: f32,
    /// Shifts told of late.
    told: f32,
}

/// An average of deviations, and how large it usually is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Average {
    mean: f32,
    tail: Tail,
}

impl Average {
    /// Takes a deviation in that comes after so many; gives how surprising the average is, and how surprising without what this
    /// one value has lifted: that is the value's surprise, and not another one.
    fn see(&mut self, dynamics: &Dynamics, weight: f32, seen: u32, deviation: f32) -> (f32, f32) {
        self.mean += weight * (deviation - self.mean);
        let mean = self.mean.abs();
        let surprise = self.tail.surprise(seen, mean);
        let lifted = !self.tail.exceeds(mean - weight * deviation.abs());
        let sustained = if lifted { surprise.min(self.tail.began()) } else { surprise };
        self.tail.learn(dynamics, seen, mean);
        (surprise, sustained)
    }
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
    /// Of so many evaluations.
    pub(super) of: f32,
}

impl Shift {
    /// Where its tails begin.
    pub(super) fn thresholds(&self) -> [f32; 2] {
        [self.short.tail.threshold(), self.long.tail.threshold()]
    }

    /// Takes a deviation from the season's level in that comes after so many, `point` being how surprising the evaluation is by
    /// itself, and `brief` the average over a brief while.
    pub(super) fn see(&mut self, rule: &BaselineRule, now: &Now, seen: u32, point: f32, brief: Option<&mut Average>) -> Shifted {
        let dynamics = &rule.dynamics;
        let constants = &dynamics.constants;
        let scale = self.scale(dynamics, now.noise, now.floor);
        let scaled = (now.steady / scale).clamp(-constants.steady_clip, constants.steady_clip);
        let (long, _) = self.long.see(dynamics, dynamics.long, seen, scaled);
        let (_, short) = self.short.see(dynamics, dynamics.short, seen, scaled);
        let brief = brief.zip(dynamics.brief);
        let brief = brief.map(|(average, weight)| (average.see(dynamics, weight, seen, scaled).1, average.mean, weight));
        // The brief average speaks for the short one, where it has more to say.
        let least = BRIEF_LEAST + BRIEF_PER_SURPRISE * (rule.surprise - USUAL).max(0.0);
        let large = |(surprise, mean, _): &(f32, f32, f32)| *surprise > short && mean.abs() >= least;
        let (short, mean, weight) = brief.filter(large).unwrap_or((short, self.short.mean, dynamics.short));
        if tail::is_learning(seen) {
            self.past = self.past.max(YOUNG);
        }
        let surprise = (point + short + long) / 3.0;
        // What is odd but small is none, and neither is what is not as odd as is asked for, taken together.
        let odd = point + short + long >= rule.surprise;
        let large = mean.abs() >= constants.short_least || self.long.mean.abs() >= constants.long_least;
        let known = self.recent.max(constants.past_share * self.past);
        let news = if odd && large { (surprise - known).max(0.0) } else { 0.0 };
        self.recent = (self.recent * (1.0 - dynamics.recent)).max(surprise);
        self.past = (self.past * (1.0 - dynamics.past)).max(surprise);
        let asked = (constants.shift + PER_SURPRISE * (rule.surprise - USUAL)).max(0.1);
        let asked = asked * (1.0 + constants.told_share * self.told);
        self.told *= 1.0 - dynamics.told;
        Shifted {
            score: news / asked,
            up: mean + self.long.mean > 0.0,
            lasts: short > 0.0 || long > 0.0,
            by: self.long.mean.abs().max(mean.abs()) * scale,
            of: 1.0 / weight,
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
    pub(super) fn settle(&mut self, brief: Option<&mut Average>) {
        let averages = [&mut self.short, &mut self.long].into_iter().chain(brief);
        averages.for_each(|average| average.mean = 0.0);
    }
}

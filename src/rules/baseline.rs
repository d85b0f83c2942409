//! How a baseline is learnt and how much it has to be left: what SREs wrote, and the constants behind it.

use std::sync::Arc;
use std::time::Duration;

use crate::model::Timestamp;

use super::calendar::{Calendar, Local};
use super::compiled::Side;

/// Evaluations of a series before a baseline gives a verdict of it.
pub const LEARNS_FOR: u32 = 181;

/// The learnt band.
#[derive(Clone, Debug, PartialEq)]
pub struct BaselineRule {
    /// What repeats.
    pub season: Season,
    /// How surprising a deviation must be: −log₁₀ of the share of evaluations of which one may be as surprising by chance.
    pub surprise: f32,
    /// On which side of the band a value is bad.
    pub side: Side,
    /// A smaller deviation is none, however surprising.
    pub min_change: MinChange,
    /// A level that has lasted for so long is the new normal one.
    pub relearn: Duration,
    /// Whose time of day and holidays count; without it UTC's, and none.
    pub calendar: Option<Arc<Calendar>>,
    /// How fast it learns.
    pub dynamics: Dynamics,
}

impl BaselineRule {
    /// That moment in the season's own time.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> Local {
        self.calendar.as_ref().map_or(Local { clock: at, holiday: false }, |calendar| calendar.local(at))
    }

    /// Whether deviations in that direction are judged.
    #[must_use]
    pub fn judges(&self, up: bool) -> bool {
        self.side != if up { Side::Below } else { Side::Above }
    }
}

/// What repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Season {
    /// Nothing.
    None,
    /// What the data shows: a day, a week, half a day, an hour, or nothing.
    Auto,
    /// The same after that long.
    Every(Duration),
}

/// The least deviation from what is expected that is one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MinChange {
    /// In the query's unit.
    pub absolute: f64,
    /// As a share of the expected value.
    pub relative: f64,
}

impl MinChange {
    /// The least deviation from an expected value, both in the query's unit.
    #[must_use]
    pub fn least(&self, expected: f64) -> f64 {
        self.absolute.max(self.relative * expected.abs())
    }
}

/// The constants of the detector. Half-lives count evaluations.
///
/// They were chosen on the public series that `make accuracy` reads, together, by a random search from the values of a
/// prototype; that they may all be 30 % off is measured there too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constants {
    /// Half-life of the fast average.
    pub fast: f32,
    /// Half-life of the medium average.
    pub medium: f32,
    /// Half-life of a predictor's mean error.
    pub error: f32,
    /// Half-life of the scales.
    pub scale: f32,
    /// Deviations teach up to this many scales.
    pub clip: f32,
    /// A scale is at least this share of the mean deviation without clipping: sparse series are not quiet ones.
    pub raw_share: f32,
    /// How much of its mean deviation a part of the season learns with each visit.
    pub part_gain: f32,
    /// How much a bucket of the season's profile learns with each visit, at the least.
    pub profile_gain: f32,
    /// The tail begins at this quantile.
    pub quantile: f32,
    /// Half-life of the tail's moments.
    pub tail: f32,
    /// Excesses teach up to this many mean excesses.
    pub excess_clip: f32,
    /// Excesses within so many evaluations are of one cluster.
    pub cluster: f32,
    /// Half-life of the short average of deviations from the season.
    pub short: f32,
    /// Half-life of the long one.
    pub long: f32,
    /// Deviations enter the averages up to this many scales.
    pub steady_clip: f32,
    /// Half-life of the recent worst shift: what is not worse than that is no news.
    pub recent: f32,
    /// Half-life of the past worst shift.
    pub past: f32,
    /// What is not worse than this share of the past worst shift is no news.
    pub past_share: f32,
    /// Half-life of the number of shifts that were told.
    pub told: f32,
    /// For each of them the next one has to be news by so much more, as a share.
    pub told_share: f32,
    /// A shift is anomalous when it is news by this much, at the usual sensitivity.
    pub shift: f32,
    /// And when the short average is off by this many mean deviations,
    pub short_least: f32,
    /// or the long one by this many.
    pub long_least: f32,
}

impl Constants {
    /// The ones that are used.
    pub const SHIPPED: Self = Self {
        fast: 2.6,
        medium: 27.0,
        error: 2500.0,
        scale: 4200.0,
        clip: 5.5,
        raw_share: 0.84,
        part_gain: 0.004,
        profile_gain: 0.25,
        quantile: 0.98,
        tail: 3400.0,
        excess_clip: 3.4,
        cluster: 10.0,
        short: 10.0,
        long: 85.0,
        steady_clip: 8.0,
        recent: 150.0,
        past: 1750.0,
        past_share: 0.38,
        told: 7000.0,
        told_share: 0.15,
        shift: 0.56,
        short_least: 0.8,
        long_least: 0.4,
    };
}

/// The constants as weights of one evaluation, for monitors of one interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dynamics {
    /// What is not a half-life.
    pub constants: Constants,
    /// Of the fast average.
    pub fast: f32,
    /// Of the medium average.
    pub medium: f32,
    /// Of a predictor's mean error.
    pub error: f32,
    /// Of the scales.
    pub scale: f32,
    /// Of the tail.
    pub tail: f32,
    /// Of the brief average, which there is where steps are so short that it is another than the short one.
    pub brief: Option<f32>,
    /// Of the short average.
    pub short: f32,
    /// Of the long average.
    pub long: f32,
    /// Of the recent worst shift.
    pub recent: f32,
    /// Of the past worst shift.
    pub past: f32,
    /// Of the number of shifts told.
    pub told: f32,
}

/// A shift is one of the time and not of the number of evaluations: its half-lives count evaluations of at least this.
const SHIFT_STEP: Duration = Duration::from_secs(300);

/// Those of the brief average count evaluations of at least this: five minutes of them.
const BRIEF_STEP: Duration = Duration::from_secs(30);

/// There is a brief average where the short one counts so many times as many evaluations or more.
const BRIEF_FROM: f32 = 2.0;

impl Dynamics {
    /// For a monitor that is evaluated once in so long.
    #[must_use]
    pub fn new(constants: Constants, every: Duration) -> Self {
        let steps_of = |least: Duration| (least.as_secs_f32() / every.as_secs_f32().max(1e-3)).max(1.0);
        let (steps, brief) = (steps_of(SHIFT_STEP), steps_of(BRIEF_STEP));
        Self {
            constants,
            fast: gain(constants.fast),
            medium: gain(constants.medium),
            error: gain(constants.error),
            scale: gain(constants.scale),
            tail: gain(constants.tail),
            brief: (steps >= BRIEF_FROM * brief).then(|| gain(constants.short * brief)),
            short: gain(constants.short * steps),
            long: gain(constants.long * steps),
            recent: gain(constants.recent * steps),
            past: gain(constants.past * steps),
            told: gain(constants.told * steps),
        }
    }
}

/// The weight of one more value that halves the past after `half_life` values.
fn gain(half_life: f32) -> f32 {
    -libm::expm1f(-std::f32::consts::LN_2 / half_life)
}

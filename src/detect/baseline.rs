//! The rolling baseline and the smart threshold: what a series is expected to be, and how far from it is too far.
//!
//! A `Forecast` says what is expected, a `Scale` how far off that usually is. Two channels judge: a single evaluation
//! by the `Tail` of the series' own deviations, and a slow shift by averages (`Shift`). The limit is where the tail
//! says that one evaluation in so many is as far off by chance; a score is the surprise over the one that is asked for.
//! Once a value has left the band, the band stays as it was: the breach lasts until the value is back, or until the new
//! level has lasted for so long that it is normal. All the while the series teaches, but no value more than a few scales.

use std::hint::black_box;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::rules::{BaselineRule, Dynamics, LEARNS_FOR, Season};

use super::chance::Counted;
use super::forecast::Forecast;
use super::judges;
use super::left::{Former, Left, Rare};
use super::profile::{Moment, Profile};
use super::scale::Scale;
use super::search::{Found, Search};
use super::shift::{Average, Shift, Shifted};
use super::tail::{self, Tail};

const DAY: Duration = Duration::from_secs(86_400);

/// Evaluations before deviations count.
const WARM: u32 = 30;

const _: () = assert!(WARM + 1 + tail::LEARNING == LEARNS_FOR, "it is told by the notes of `check`");

/// After so many missing evaluations, what was of late counts no more.
const GAP: i64 = 10;

/// Evaluations inside the band before one that was left is forgotten.
const KEEP: u16 = 10;

/// What was normal before another level was taken for it is normal still for so many times as long as that had lasted.
const FORMER: u32 = 7;

/// A score below this is calm.
const CALM: f32 = 0.6;

/// Deviations to the side that is not judged count up to this many usual ones in the noise of a part of the season.
const UNASKED_CLIP: f32 = 3.0;

/// What is lost to rounding, as a share of the distance from the origin.
const ROUNDING: f32 = 4e-7;

/// Values further from the origin than this, in units, are taken for this.
const LARGEST: f64 = 1e30;

/// Deviations of more scales than this are taken for this.
const OFF_MAX: f32 = 1e6;

/// The same for scores, which are kept as shorter numbers here.
const SCORE_MAX: f32 = judges::SCORE_MAX as f32;

/// The most that a score may be that opens nothing.
const QUIET: f32 = 0.99;

/// So many scales from the origin are far.
const FAR: f32 = 4096.0;

/// What is known of one series. It fills four lines of the cache, as series are visited in no order.
#[derive(Debug, Serialize, Deserialize)]
#[repr(align(64))]
pub struct Baseline {
    /// Values are taken as (value − origin) / unit, so that neither size nor offset matters.
    origin: f64,
    unit: f64,
    seen: u32,
    began: Timestamp,
    last: Timestamp,
    forecast: Forecast,
    scale: Scale,
    point: Tail,
    shift: Shift,
    /// Only where steps are short. It is part of the channel of shifts; kept here it fills a line of the cache.
    brief: Option<Box<Average>>,
    season: Seasonal,
    /// Kept elsewhere, so that it takes no room where there is none.
    rare: Option<Box<Rare>>,
}

const _: () = assert!(size_of::<Baseline>() == 256, "four lines");

/// What is known of what repeats.
#[derive(Debug, Serialize, Deserialize)]
enum Seasonal {
    Nothing,
    Known(Profile),
    Searched(Box<Search>),
}

impl Seasonal {
    fn profile(&self) -> Option<&Profile> {
        match self {
            Self::Known(profile) => Some(profile),
            Self::Nothing | Self::Searched(_) => None,
        }
    }

    fn profile_mut(&mut self) -> Option<&mut Profile> {
        match self {
            Self::Known(profile) => Some(profile),
            Self::Nothing | Self::Searched(_) => None,
        }
    }

    /// Goes on searching, where there is something to be found.
    fn search(&mut self, every: Duration, step: Timestamp, value: f32) {
        let Self::Searched(search) = self else { return };
        match search.see(every, step, value) {
            Found::NotYet => {}
            Found::Nothing => *self = Self::Nothing,
            Found::Season(period) => *self = Self::Known(Profile::new(period, every)),
        }
    }
}

/// What is normal at a step, in the query's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// What was expected.
    pub expected: f64,
    /// None where values below are not judged.
    pub lower: Option<f64>,
    /// None where values above are not judged.
    pub upper: Option<f64>,
    /// How surprising the value is, 1 at the limit.
    pub score: f64,
    /// Where the value is.
    pub state: State,
}

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not known yet.
    Learning,
    /// Within the band.
    Inside,
    /// Out of the band, or part of a shift.
    Outside,
    /// It was outside for so long that it is the normal one from now on.
    NewNormal,
}

/// An evaluation, in the baseline's own unit.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) value: f32,
    expected: f32,
    deviation: f32,
    /// From the season's level, or from the medium average where there is none.
    pub(super) steady: f32,
    /// How much noisier than usual this part of the season is.
    pub(super) noise: f32,
    season: Option<f32>,
    moment: Option<Moment>,
    /// A holiday teaches nothing of what is usual at that time.
    holiday: bool,
    scale: f32,
    pub(super) floor: f32,
}

impl Baseline {
    /// Of a series that is evaluated once in so long, with nothing learnt yet.
    #[must_use]
    pub fn new(rule: &BaselineRule, every: Duration) -> Self {
        let season = match rule.season {
            Season::None => Seasonal::Nothing,
            Season::Auto => Seasonal::Searched(Box::default()),
            Season::Every(period) => Seasonal::Known(Profile::new(period, every)),
        };
        Self {
            origin: 0.0,
            unit: 0.0,
            seen: 0,
            began: Timestamp::MIN,
            last: Timestamp::MIN,
            forecast: Forecast::default(),
            scale: Scale::default(),
            point: Tail::default(),
            shift: Shift::default(),
            brief: rule.dynamics.brief.map(|_| Box::default()),
            season,
            rare: None,
        }
    }

    /// Tells what was normal before this value, then learns from it. None for what is no number. A share of what was
    /// counted is no further off than its counts say.
    pub fn see(&mut self, rule: &BaselineRule, every: Duration, step: Timestamp, value: f64, counted: Option<Counted>) -> Option<Band> {
        if !value.is_finite() {
            return if value.is_nan() { None } else { self.endless(rule, step, value > 0.0) };
        }
        if self.seen == 0 {
            (self.origin, self.began, self.last) = (value, step, step);
        }
        let value = self.normal(value);
        let bridged = self.bridge(rule, every, step);
        let now = self.now(rule, step, value);
        let warm = self.seen > WARM;
        let point = if warm { self.point.surprise(self.deviations(), now.off()) } else { 0.0 };
        let shifted =
            if warm { self.shift.see(rule, &now, self.deviations(), point, self.brief.as_deref_mut()) } else { Shifted::default() };
        let learning = bridged || self.is_learning(step);
        let (point, shifted) = counted.map_or((point, shifted), |counted| self.by_counts(rule, &now, counted, point, shifted));
        let left = self.rare().left.map(|left| (left, self.half(rule, &now, &left)));
        let former = if learning { None } else { self.as_before(rule, step, &now) };
        let band = match former {
            Some((former, half)) => self.band(rule, self.level(&now, &former.left), half, 0.0, State::Inside),
            None => self.judge(rule, step, &now, point, shifted, learning),
        };
        self.learn(rule, every, step, &now, warm);
        if let Some((former, half)) = former {
            if former.calm >= KEEP {
                let expected = self.level(&now, &former.left);
                self.forecast.back(&now, expected, half, former.left.offsets);
                self.undo(&rule.dynamics, former.by);
            }
        } else if let Some((left, half)) = left.filter(|_| self.rare().left.is_none() && band.state == State::Inside) {
            // What it was meanwhile says nothing of what comes next.
            self.forecast.back(&now, self.level(&now, &left), half, left.offsets);
        }
        self.last = step;
        if self.seen.is_multiple_of(1024) {
            self.move_origin(&rule.dynamics);
        }
        Some(band)
    }

    /// What is beyond any number is out of any band; nothing is learnt from it.
    fn endless(&self, rule: &BaselineRule, step: Timestamp, up: bool) -> Option<Band> {
        if self.is_learning(step) {
            return None;
        }
        let now = self.now(rule, step, self.forecast.medium());
        let (score, state) = if rule.judges(up) { (SCORE_MAX, State::Outside) } else { (0.0, State::Inside) };
        Some(self.band(rule, now.expected, self.point.limit(rule.surprise) * now.scale, score, state))
    }

    /// Reads what judging these at that step will read first, so that memory is waited for once for all of them, and not
    /// for one after the other.
    pub fn read_ahead<'b>(several: impl Iterator<Item = &'b Self> + Clone, rule: &BaselineRule, step: Timestamp) {
        several.clone().for_each(|baseline| {
            let Self { seen, forecast, point, shift, .. } = baseline;
            black_box((seen, point.threshold(), shift.thresholds(), forecast.medium()));
        });
        let clock = rule.local(step).clock;
        several.filter_map(|baseline| baseline.season.profile()).for_each(|profile| {
            let moment = profile.moment(clock);
            black_box((profile.level(moment), profile.noise(moment)));
        });
    }

    fn rare(&self) -> Rare {
        self.rare.as_deref().copied().unwrap_or_default()
    }

    fn keep(&mut self, rare: Rare) {
        self.rare = (rare.left.is_some() || rare.former.is_some()).then(|| Box::new(rare));
    }

    fn leave(&mut self, left: Option<Left>) {
        self.keep(Rare { left, ..self.rare() });
    }

    /// Deviations seen so far.
    fn deviations(&self) -> u32 {
        self.seen.saturating_sub(WARM + 1)
    }

    fn is_learning(&self, step: Timestamp) -> bool {
        let season = self.season.profile().is_some_and(|profile| step.since(self.began) < 2 * profile.period().min(DAY));
        season || self.seen <= WARM || tail::is_learning(self.deviations())
    }

    /// In the baseline's own unit: a power of two of about the size of the first difference, so that nothing is lost.
    fn normal(&mut self, value: f64) -> f32 {
        let away = value - self.origin;
        if away == 0.0 {
            return 0.0;
        }
        if self.unit == 0.0 {
            self.unit = libm::ldexp(1.0, libm::ilogb(away).clamp(-1000, 1000));
        }
        (away / self.unit).clamp(-LARGEST, LARGEST) as f32
    }

    /// In the query's unit.
    fn there(&self, value: f32) -> f64 {
        self.origin + f64::from(value) * self.unit
    }

    /// What evaluations that are missing do; tells whether too many are, so that this one is no evidence.
    fn bridge(&mut self, rule: &BaselineRule, every: Duration, step: Timestamp) -> bool {
        let missing = i64::try_from(step.since(self.last).as_millis() / every.as_millis().max(1)).unwrap_or(i64::MAX) - 1;
        if missing <= 0 {
            return false;
        }
        self.shift.skip(&rule.dynamics, missing as f32);
        if missing <= GAP {
            return false;
        }
        let season = self.season.profile().and_then(|profile| profile.level(profile.moment(rule.local(step).clock)));
        let level = season.map_or(self.forecast.medium(), |level| level + self.forecast.offset());
        self.forecast.restart(level);
        true
    }

    fn now(&self, rule: &BaselineRule, step: Timestamp, value: f32) -> Now {
        let (profile, local) = (self.season.profile(), rule.local(step));
        let moment = profile.map(|profile| profile.moment(local.clock));
        let season = profile.zip(moment).and_then(|(profile, moment)| profile.level(moment));
        let noise = profile.zip(moment).map_or(1.0, |(profile, moment)| profile.noise(moment));
        let expected = self.forecast.expected(season);
        let floor = ROUNDING * expected.abs() + f32::MIN_POSITIVE;
        let steady = value - season.unwrap_or(self.forecast.medium());
        Now {
            value,
            expected,
            deviation: value - expected,
            steady,
            noise,
            season,
            moment,
            holiday: local.holiday,
            scale: self.scale.of(&rule.dynamics, noise, floor),
            floor,
        }
    }

    /// No more surprising than the counts behind the share are. A shift is tested on what its average has counted.
    fn by_counts(&self, rule: &BaselineRule, now: &Now, counted: Counted, point: f32, shifted: Shifted) -> (f32, Shifted) {
        let surprise = |counted: Counted, expected: f32, value: f32| {
            counted.surprise(self.there(expected), self.there(value), f64::from(self.seen)) as f32
        };
        let point = if point < rule.surprise { point } else { point.min(surprise(counted, now.expected, now.value)) };
        if shifted.score < 1.0 {
            return (point, shifted);
        }
        let usual = now.usual();
        let by = if shifted.up { shifted.by } else { -shifted.by };
        let over = counted.over(f64::from(shifted.of));
        let enough = surprise(over, usual, usual + by) >= rule.surprise;
        (point, Shifted { score: if enough { shifted.score } else { QUIET }, ..shifted })
    }

    fn judge(&mut self, rule: &BaselineRule, step: Timestamp, now: &Now, point: f32, shifted: Shifted, learning: bool) -> Band {
        let (of_point, of_shift) = (point / rule.surprise, shifted.score);
        let expected = self.there(now.expected);
        let least = self.least(rule, expected);
        let noise_half = self.point.limit(rule.surprise) * now.scale;
        let half = noise_half.max(least as f32);
        let enough = |by: f32| f64::from(by) >= least;
        // What is expected follows a slow fall, and no average counts one value for more than a few scales.
        let away = |up: bool| if up { now.steady } else { -now.steady };
        let of_point = if enough(now.deviation.abs().max(away(now.deviation > 0.0))) { of_point } else { 0.0 };
        let of_shift = if enough(shifted.by.max(away(shifted.up))) { of_shift } else { 0.0 };
        if let Some(left) = self.rare().left {
            // Coming back is a jump as well, but none that the breach lasts by.
            let same_side = |up: bool, score: f32| if up == left.up { score } else { 0.0 };
            let score = same_side(now.deviation > 0.0, of_point).max(same_side(shifted.up, of_shift));
            return self.outside(rule, step, now, shifted, score, left);
        }
        let score = of_point.max(of_shift);
        // A shift is away from what is usual; what is expected next has come along with it.
        // One value that is off by itself says on which side; surprise has none.
        let (up, expected) =
            if of_point >= 1.0 || of_point >= of_shift { (now.deviation > 0.0, now.expected) } else { (shifted.up, now.usual()) };
        let state = match (learning, score >= 1.0) {
            (true, _) => State::Learning,
            (false, false) => State::Inside,
            (false, true) => {
                let (season, level) = (now.season, expected - now.season.unwrap_or(0.0));
                let told = rule.judges(up);
                let offsets = self.forecast.offsets();
                let (half, noise, shifted) = (noise_half, now.noise, of_shift >= 1.0);
                self.leave(Some(Left { at: step, season, level, offsets, half, noise, up, shifted, told, calm: 0 }));
                if told && of_shift >= 1.0 {
                    self.shift.tells();
                }
                if told { State::Outside } else { State::Inside }
            }
        };
        match state {
            State::Outside => self.band(rule, expected, half, score, state),
            State::Inside => self.band(rule, now.expected, half, score.min(QUIET), state),
            State::Learning | State::NewNormal => self.band(rule, now.expected, half, score, state),
        }
    }

    /// What was expected when the band was left, the season having gone on: as far from that as it was, or where nobody asked about
    /// that side, in the proportion that it was, if the value is nearer to that. A tenth more of a busy evening is less by night.
    fn level(&self, now: &Now, left: &Left) -> f32 {
        let Some(then) = left.season else { return left.level };
        let Some(season) = now.season else { return self.forecast.medium() };
        let added = season + left.level;
        if left.told {
            return added;
        }
        let times = self.there(season) / self.there(then);
        let scaled = ((self.there(then + left.level) * times - self.origin) / self.unit) as f32;
        if times > 0.0 && (scaled - now.value).abs() < (added - now.value).abs() { scaled } else { added }
    }

    /// Half the band that was left, the noise of the season having gone on: by night as little as is usual then is far off.
    fn half(&self, rule: &BaselineRule, now: &Now, left: &Left) -> f32 {
        let scale = |noise: f32| self.scale.of(&rule.dynamics, noise, now.floor);
        // What a part adds to the scale for being sparse is the more the larger the fault is.
        let noise = if left.noise > 0.0 { now.noise / left.noise } else { f32::INFINITY };
        let gone_on = left.half * noise.min(scale(now.noise) / scale(left.noise));
        let least = self.least(rule, self.there(self.level(now, left))) as f32;
        gone_on.max(least).max(self.scale.clipped() * now.noise).max(now.floor)
    }

    /// The least change that counts, in the baseline's own unit.
    fn least(&self, rule: &BaselineRule, expected: f64) -> f64 {
        if self.unit == 0.0 { 0.0 } else { rule.min_change.least(expected) / self.unit }
    }

    /// The band was left, and stays as it was.
    fn outside(&mut self, rule: &BaselineRule, step: Timestamp, now: &Now, shifted: Shifted, score: f32, mut left: Left) -> Band {
        let (expected, half) = (self.level(now, &left), self.half(rule, now, &left));
        let side = |left: &Left| if left.up { 1.0 } else { -1.0 };
        if !left.told && rule.judges(!left.up) && side(&left) * (now.value - expected) < -half {
            // From the side that is not judged to the one that is.
            left = Left { at: step, up: !left.up, told: true, shifted: false, calm: 0, ..left };
        }
        let side = side(&left);
        let off = side * (now.value - expected) / half;
        // Too far on the other side is not back, if that side is judged.
        let away = if rule.judges(!left.up) { off.abs() } else { off };
        // The averages remember for long what is over by now: the value itself must still be where they are.
        left.shifted |= shifted.score >= 1.0 && shifted.up == left.up;
        let counts = (shifted.by / 2.0).max(self.least(rule, self.there(expected)) as f32);
        let lasts = left.shifted && shifted.lasts && shifted.up == left.up && side * now.steady >= counts;
        let is_outside = away > 1.0 || lasts || score >= 1.0;
        left.calm = if is_outside || score >= CALM { 0 } else { left.calm + 1 };
        let score = score.max(away.min(SCORE_MAX));
        self.leave((left.calm < KEEP).then_some(left));
        let state = match is_outside {
            true if step.since(left.at) >= rule.relearn => {
                self.settle(rule, step, left);
                State::NewNormal
            }
            true if left.told => State::Outside,
            true | false => State::Inside,
        };
        let score = if state == State::Outside { score.max(1.0) } else { score.clamp(0.0, QUIET) };
        self.band(rule, expected, half, score, state)
    }

    fn band(&self, rule: &BaselineRule, expected: f32, half: f32, score: f32, state: State) -> Band {
        let (lower, upper) = (self.there(expected - half), self.there(expected + half));
        Band {
            expected: self.there(expected),
            lower: rule.judges(false).then_some(lower),
            upper: rule.judges(true).then_some(upper),
            score: f64::from(score.min(SCORE_MAX)),
            state,
        }
    }

    /// The level that lasted is the normal one from now on.
    fn settle(&mut self, rule: &BaselineRule, step: Timestamp, left: Left) {
        self.shift.settle(self.brief.as_deref_mut());
        let until = step + rule.relearn.saturating_mul(FORMER);
        // What was no fault may have been the end of one.
        let new = left.told.then_some(Former { until, left, by: 0.0, calm: 0 });
        let mut former = new.or(self.rare().former);
        if let Some(former) = former.as_mut().filter(|former| former.left.season.is_some()) {
            former.left.level -= self.forecast.offset();
            former.by += self.forecast.offset();
        }
        self.keep(Rare { left: None, former });
        if let Some(profile) = self.season.profile_mut() {
            profile.shift(&rule.dynamics, self.forecast.offset());
            self.forecast.settle();
        }
    }

    /// What was normal before, and half its band, where the value is within it.
    fn as_before(&mut self, rule: &BaselineRule, step: Timestamp, now: &Now) -> Option<(Former, f32)> {
        let mut former = self.rare().former?;
        if step >= former.until {
            self.keep(Rare { former: None, ..self.rare() });
            return None;
        }
        let half = self.half(rule, now, &former.left);
        let within = (now.value - self.level(now, &former.left)).abs() <= half;
        former.calm = if within { former.calm + 1 } else { 0 };
        self.keep(Rare { former: Some(former), ..self.rare() });
        within.then_some((former, half))
    }

    /// What was normal before is the normal once more.
    fn undo(&mut self, dynamics: &Dynamics, by: f32) {
        self.rare = None;
        self.shift.settle(self.brief.as_deref_mut());
        if let Some(profile) = self.season.profile_mut() {
            profile.shift(dynamics, -by);
        }
    }

    fn learn(&mut self, rule: &BaselineRule, every: Duration, step: Timestamp, now: &Now, warm: bool) {
        let dynamics = &rule.dynamics;
        let before = self.deviations();
        self.seen = self.seen.saturating_add(1);
        let first = 1.0 / self.seen as f32;
        let most = |scale: f32| if warm { dynamics.constants.clip * scale } else { f32::INFINITY };
        if warm {
            self.point.learn(dynamics, before, now.off());
        }
        let clipped = now.expected + now.deviation.clamp(-most(now.scale), most(now.scale));
        self.forecast.learn(dynamics, first, now.season, now.value, clipped, most(now.scale));
        // A rise that nobody asked about, such as a sale, says little of how far a fall may go.
        let (off, asked) = (now.deviation.abs(), rule.judges(now.deviation > 0.0));
        self.scale.learn(dynamics, first, if asked { off } else { off.min(most(now.scale)) }, most(now.scale));
        let steady = most(self.shift.scale(dynamics, now.noise, now.floor));
        self.shift.learn(dynamics, first, now.steady.abs(), steady);
        self.season.search(every, step, now.value);
        if let (Some(profile), Some(moment)) = (self.season.profile_mut(), now.moment.filter(|_| !now.holiday)) {
            let usual = self.scale.clipped();
            let off = if asked { off } else { off.min(UNASKED_CLIP * usual) };
            profile.learn_noise(dynamics, moment, if usual > 0.0 { off / usual } else { 1.0 });
            profile.learn(dynamics, moment, if now.season.is_some() { now.value } else { clipped }, steady);
        }
    }

    /// Single precision is enough as long as the values are near the origin, measured by their noise.
    fn move_origin(&mut self, dynamics: &Dynamics) {
        let by = self.forecast.medium();
        if by.abs() < FAR * self.scale.clipped() || matches!(self.season, Seasonal::Searched(_)) {
            return;
        }
        self.origin = self.there(by);
        self.forecast.shift(-by);
        if let Some(profile) = self.season.profile_mut() {
            profile.shift(dynamics, -by);
        }
        let Some(Rare { left, former }) = self.rare.as_deref_mut() else { return };
        let lefts = left.iter_mut().chain(former.iter_mut().map(|former| &mut former.left));
        lefts.for_each(|left| *left.season.as_mut().unwrap_or(&mut left.level) -= by);
    }
}

impl Now {
    /// How many scales the value is off.
    fn off(&self) -> f32 {
        (self.deviation.abs() / self.scale).min(OFF_MAX)
    }

    /// The season's level, or the medium average where there is none.
    pub(super) fn usual(&self) -> f32 {
        self.value - self.steady
    }
}

//! Series whose truth is known: one disturbance of each kind in a series with noise, a season or none, of any magnitude.

use std::time::Duration;

use richter::detect::Trial;
use richter::engine::Evaluation;
use richter::model::{Judge, Labels, Timestamp, Value};
use richter::rules::JudgeRules;

use crate::random::Random;

/// Steps of five minutes.
const EVERY: Duration = Duration::from_secs(300);
const DAY: usize = 288;
const DAYS: usize = 21;

/// Nothing happens before, so that all is learnt.
const CALM_DAYS: usize = 10;

/// A breach counts as found up to so long after the disturbance has ended.
const GRACE: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    None,
    /// What is far off stays so for a while: an autocorrelated series.
    Drift,
    /// A night five times as noisy as the day.
    Nights,
    /// Heavy tails: log-normal values, as those of latency.
    Skewed,
    /// A value in thirty is not zero.
    Sparse,
    /// A count of about three, as of failures.
    Counts,
    Spike,
    Dip,
    LevelShift,
    Ramp,
    Variance,
    LostSeason,
    Flatline,
    Gap,
    Reset,
    Late,
}

pub(crate) const KINDS: [Kind; 16] = [
    Kind::None,
    Kind::Drift,
    Kind::Nights,
    Kind::Skewed,
    Kind::Sparse,
    Kind::Counts,
    Kind::Spike,
    Kind::Dip,
    Kind::LevelShift,
    Kind::Ramp,
    Kind::Variance,
    Kind::LostSeason,
    Kind::Flatline,
    Kind::Gap,
    Kind::Reset,
    Kind::Late,
];

impl Kind {
    /// Nothing happens that would be worth a word.
    pub(crate) fn is_calm(self) -> bool {
        matches!(self, Self::None | Self::Drift | Self::Nights | Self::Skewed | Self::Sparse | Self::Counts | Self::Reset | Self::Late)
    }
}

/// What the judges made of the series of a kind.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) series: usize,
    pub(crate) found: usize,
    pub(crate) delays: Vec<usize>,
    pub(crate) false_alarms: usize,
    pub(crate) days: f64,
}

/// A normal deviate by Box and Muller.
fn normal(random: &mut Random) -> f64 {
    (-2.0 * random.share().max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * random.share()).cos()
}

/// A number of events, of which so many are expected.
fn poisson(random: &mut Random, mean: f64) -> f64 {
    let (mut number, mut left) = (0.0, random.share());
    while left > (-mean).exp() {
        (number, left) = (number + 1.0, left * random.share());
    }
    number
}

/// The values, with their times; and where the disturbance is.
fn series(kind: Kind, random: &mut Random) -> (Vec<(Timestamp, f64)>, usize, usize) {
    let magnitude = 10f64.powi(random.below(13) as i32 - 6);
    let (level, noise) = (100.0, 1.0 + 2.0 * random.share());
    let amplitude = if kind == Kind::LostSeason || random.chance(60) { 30.0 } else { 0.0 };
    let start = CALM_DAYS * DAY + random.below((DAYS - CALM_DAYS - 4) as u64 * DAY as u64) as usize;
    let length = match kind {
        Kind::Spike => 3,
        Kind::Dip => 24,
        Kind::Variance | Kind::Flatline => 72,
        Kind::LevelShift | Kind::Ramp | Kind::LostSeason => 2 * DAY,
        Kind::Gap => 36,
        calm => {
            debug_assert!(calm.is_calm());
            1
        }
    };
    let mut points = vec![];
    let (mut stuck, mut drift) = (0.0, 0.0);
    for place in 0..DAYS * DAY {
        let season = amplitude * (std::f64::consts::TAU * (place % DAY) as f64 / DAY as f64).sin();
        let within = (start..start + length).contains(&place);
        let since = (place.saturating_sub(start)) as f64;
        let deviate = normal(random);
        let value = match (kind, within) {
            (Kind::Spike, true) => level + season + 15.0 * noise + noise * deviate,
            (Kind::Dip, true) => level + season - 12.0 * noise + noise * deviate,
            (Kind::LevelShift, true) => level + season + 8.0 * noise + noise * deviate,
            (Kind::Ramp, true) => level + season - noise * since / 24.0 + noise * deviate,
            (Kind::Variance, true) => level + season + 5.0 * noise * deviate,
            (Kind::LostSeason, true) => level + noise * deviate,
            (Kind::Flatline, true) => stuck,
            (Kind::Drift, _) => {
                drift = 0.95 * drift + noise * deviate;
                level + season + drift
            }
            (Kind::Nights, _) => level + season + if place % DAY < 96 { 5.0 } else { 1.0 } * noise * deviate,
            (Kind::Skewed, _) => (level + season) * (0.15 * noise * deviate).exp(),
            (Kind::Sparse, _) => {
                if random.chance(3) {
                    1.0 + random.below(4) as f64
                } else {
                    0.0
                }
            }
            (Kind::Counts, _) => poisson(random, 3.0 + season / 15.0),
            _ => level + season + noise * deviate,
        };
        if !within {
            stuck = value;
        }
        let at = Timestamp(1_790_000_000_000 + place as i64 * EVERY.as_millis() as i64);
        if !(kind == Kind::Gap && within) {
            points.push((at, value * magnitude));
        }
        if kind == Kind::Late && random.chance(5) {
            points.push((at - Duration::from_secs(1200), 0.0));
        }
    }
    let points = if kind == Kind::Reset { rated(&points, start) } else { points };
    (points, start, start + length)
}

/// What a query gives of a counter of these, which is set back in the middle.
fn rated(points: &[(Timestamp, f64)], reset: usize) -> Vec<(Timestamp, f64)> {
    let mut evaluation = Evaluation::new("rate(c[15m])", EVERY, EVERY).expect("a query");
    let (series, mut counter) = (Labels::of([("__name__", "c")]), 0.0);
    let mut rate = |(place, (at, value)): (usize, &(Timestamp, f64))| {
        counter = if place == reset { 0.0 } else { counter + value };
        evaluation.push(&series, *at, &Value::Float(counter));
        let outputs = evaluation.step(*at).expect("one series");
        outputs.first().and_then(|output| output.value.float()).map(|rate| (*at, rate))
    };
    points.iter().enumerate().filter_map(&mut rate).collect()
}

/// Tries so many series of a kind.
pub(crate) fn tally(kind: Kind, rules: &JudgeRules, number: usize, random: &mut Random) -> Tally {
    let mut tally = Tally { series: number, ..Tally::default() };
    for _ in 0..number {
        let (points, start, end) = series(kind, random);
        let first = points[0].0;
        let mut trial = Trial::new(rules.clone(), EVERY);
        let mut found: Option<usize> = None;
        for (at, value) in points {
            let Some(tried) = trial.see(at, value) else { continue };
            if !tried.opened {
                continue;
            }
            let place = (at.since(first).as_secs() / EVERY.as_secs()) as usize;
            let disturbed = !kind.is_calm() && (start..end + GRACE).contains(&place);
            // An absence is told of when the data is back, at the latest.
            match disturbed || kind == Kind::Gap && tried.breach == Some(Judge::Absent) {
                true => found = found.or(Some(place - start)),
                false => tally.false_alarms += 1,
            }
        }
        tally.found += usize::from(found.is_some());
        tally.delays.extend(found);
        tally.days += DAYS as f64;
    }
    tally.delays.sort_unstable();
    tally
}

//! Forecast: when a trend reaches a limit. Two lines are fitted to the past, older values counting less: one that looks back
//! about as far as it looks ahead, and one that looks back a quarter as far, for what has begun to rise. A line is believed
//! where its slope stands out of the noise around it; the one that reaches the limit first speaks.

use serde::{Deserialize, Serialize};

use crate::model::{Judge, Timestamp};
use crate::rules::ForecastRule;

use super::judges::{Measured, Opinion, SCORE_MAX};

/// Evaluations before anything is said.
const LEARNING: u32 = 30;

/// The slope must be this many of its standard errors away from none.
const SIGNIFICANT: f64 = 4.0;

/// The half-lives of what counts, as shares of how far it looks ahead, and the steps that each has at the least.
const HALF_LIVES: [(f64, f64); 2] = [(0.5, 10.0), (0.125, 6.0)];

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Trend {
    lines: [Line; HALF_LIVES.len()],
    /// Values are taken from the first.
    origin: f64,
    last: Option<Timestamp>,
    seen: u32,
}

/// Weighted sums over the past, times counting back from the newest value, in steps.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Line {
    weights: f64,
    times: f64,
    squares: f64,
    values: f64,
    products: f64,
    /// The mean squared error of a value against the line before it.
    error: f64,
}

impl Trend {
    pub(super) fn see(&mut self, rule: &ForecastRule, measured: Measured) -> Opinion {
        if measured.value.is_infinite() {
            let passed = if measured.value > 0.0 { rule.above } else { rule.below };
            let score = if passed.is_some() { SCORE_MAX } else { 0.0 };
            let score = Some(score).filter(|_| self.seen >= LEARNING);
            return Opinion { judge: Judge::Forecast, score, expected: None, lower: rule.below, upper: rule.above };
        }
        let steps = |span: std::time::Duration| span.as_secs_f64() / measured.every.as_secs_f64().max(1e-3);
        let (ahead, passed) = (steps(rule.within), self.last.map_or(0.0, |last| steps(measured.step.since(last))));
        if self.seen == 0 {
            self.origin = measured.value;
        }
        let value = measured.value - self.origin;
        for (line, (share, least)) in self.lines.iter_mut().zip(HALF_LIVES) {
            line.see(value, passed, (ahead * share).max(least), self.seen);
        }
        (self.last, self.seen) = (Some(measured.step), self.seen.saturating_add(1));
        if self.seen < LEARNING {
            return Opinion::unknown(Judge::Forecast);
        }
        let scores = self.lines.iter().filter_map(|line| line.score(rule, value, self.origin, ahead));
        let score = scores.max_by(f64::total_cmp);
        Opinion { judge: Judge::Forecast, score, expected: None, lower: rule.below, upper: rule.above }
    }
}

impl Line {
    /// Takes in a value, so many steps after the last one.
    fn see(&mut self, value: f64, passed: f64, half_life: f64, seen: u32) {
        self.pass(passed, half_life);
        if let Some((level, _)) = self.fitted().filter(|_| seen >= 3) {
            let off = value - level;
            self.error += (off * off - self.error) / f64::from(seen.min(2 * half_life as u32).max(1));
        }
        self.weights += 1.0;
        self.values += value;
    }

    /// So many steps have passed: all times move back, and count less.
    fn pass(&mut self, steps: f64, half_life: f64) {
        let less = libm::exp2(-steps / half_life);
        self.squares = less * (self.squares - 2.0 * steps * self.times + steps * steps * self.weights);
        self.products = less * (self.products - steps * self.values);
        self.times = less * (self.times - steps * self.weights);
        self.values *= less;
        self.weights *= less;
    }

    /// Weighted least squares: the level now, and the slope of a step.
    fn fitted(&self) -> Option<(f64, f64)> {
        let spread = self.weights * self.squares - self.times * self.times;
        if spread <= 0.0 {
            return None;
        }
        let slope = (self.weights * self.products - self.times * self.values) / spread;
        Some(((self.values - slope * self.times) / self.weights, slope))
    }

    /// How near it comes to a limit in so many steps, 1 being the limit.
    fn score(&self, rule: &ForecastRule, value: f64, origin: f64, ahead: f64) -> Option<f64> {
        let (level, slope) = self.fitted()?;
        let spread = self.squares - self.times * self.times / self.weights;
        let certain = slope.abs() >= SIGNIFICANT * (self.error / spread.max(f64::MIN_POSITIVE)).sqrt();
        let then = level + slope * ahead;
        let toward = |limit: f64, up: bool| {
            let limit = limit - origin;
            let (left, gained) = if up { (limit - value, then - value) } else { (value - limit, value - then) };
            match (left <= 0.0, certain && gained > 0.0) {
                (true, _) => (1.0 - left / limit.abs().max(f64::MIN_POSITIVE)).min(SCORE_MAX),
                (false, true) => (gained / left).min(SCORE_MAX),
                (false, false) => 0.0,
            }
        };
        Some(rule.above.map_or(0.0, |limit| toward(limit, true)).max(rule.below.map_or(0.0, |limit| toward(limit, false))))
    }
}

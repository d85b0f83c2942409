//! Forecast: when a trend reaches a limit. A line is fitted to the past, older values counting less, and is believed where
//! its slope stands out of the noise around it.

use serde::{Deserialize, Serialize};

use crate::model::{Judge, Timestamp};
use crate::rules::ForecastRule;

use super::judges::{Measured, Opinion};

/// Evaluations before anything is said.
const LEARNING: u32 = 30;

/// The slope must be this many of its standard errors away from none.
const SIGNIFICANT: f64 = 4.0;

/// Weighted sums over the past, times counting back from the newest value, in steps.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Trend {
    weights: f64,
    times: f64,
    squares: f64,
    values: f64,
    products: f64,
    /// The mean squared error of a value against the line before it.
    error: f64,
    /// Values are taken from the first.
    origin: f64,
    last: Option<Timestamp>,
    seen: u32,
}

impl Trend {
    pub(super) fn see(&mut self, rule: &ForecastRule, measured: Measured) -> Opinion {
        if !measured.value.is_finite() {
            return Opinion::unknown(Judge::Forecast);
        }
        let step = |span: std::time::Duration| span.as_secs_f64() / measured.every.as_secs_f64().max(1e-3);
        // It looks back about as far as it looks ahead.
        let half_life = (step(rule.within) / 2.0).max(10.0);
        if self.seen == 0 {
            self.origin = measured.value;
        }
        let value = measured.value - self.origin;
        self.pass(self.last.map_or(0.0, |last| step(measured.step.since(last))), half_life);
        if let Some((level, _)) = self.line() {
            let off = value - level;
            self.error += (off * off - self.error) / f64::from(self.seen.min(2 * half_life as u32).max(1));
        }
        self.weights += 1.0;
        self.values += value;
        (self.last, self.seen) = (Some(measured.step), self.seen.saturating_add(1));
        self.judge(rule, value, step(rule.within))
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
    fn line(&self) -> Option<(f64, f64)> {
        let spread = self.weights * self.squares - self.times * self.times;
        if self.seen < 3 || spread <= 0.0 {
            return None;
        }
        let slope = (self.weights * self.products - self.times * self.values) / spread;
        Some(((self.values - slope * self.times) / self.weights, slope))
    }

    fn judge(&self, rule: &ForecastRule, value: f64, ahead: f64) -> Opinion {
        let Some((level, slope)) = self.line().filter(|_| self.seen >= LEARNING) else { return Opinion::unknown(Judge::Forecast) };
        let spread = self.squares - self.times * self.times / self.weights;
        let certain = slope.abs() >= SIGNIFICANT * (self.error / spread.max(f64::MIN_POSITIVE)).sqrt();
        let then = level + slope * ahead;
        let toward = |limit: f64, up: bool| {
            let limit = limit - self.origin;
            let (left, gained) = if up { (limit - value, then - value) } else { (value - limit, value - then) };
            match (left <= 0.0, certain && gained > 0.0) {
                (true, _) => 1.0 + (-left / limit.abs().max(f64::MIN_POSITIVE)).min(1e6),
                (false, true) => (gained / left).min(1e6),
                (false, false) => 0.0,
            }
        };
        let score = rule.above.map_or(0.0, |limit| toward(limit, true)).max(rule.below.map_or(0.0, |limit| toward(limit, false)));
        Opinion { judge: Judge::Forecast, score: Some(score), expected: None, lower: rule.below, upper: rule.above }
    }
}

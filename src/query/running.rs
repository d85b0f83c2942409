//! What is kept of a long range from step to step, so that each sample is visited twice, when it enters and when it
//! leaves, however long the range is.
//!
//! Counts and resets are exact. Sums are kept in twice the precision, so that what has left leaves no trace
//! (Knuth's two-sum; <https://en.wikipedia.org/wiki/2Sum>), and are read anew after what was too large for that. The extreme
//! is the front of a queue of those that may still become it. Samples that enter are never older than what was seen: late ones are not taken in.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

use super::range::{RangeFunction, changed};
use super::window::{Point, Window};

/// The state of one range of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Running {
    after: Timestamp,
    until: Timestamp,
    pub(super) kind: Kind,
}

/// What is kept, by what is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Kind {
    Resets(Resets),
    Changes(usize),
    Sum(RunningSum),
    Smallest(VecDeque<Point>),
    Largest(VecDeque<Point>),
}

impl Running {
    /// What is kept for a function; none where the whole range has to be read anew.
    #[must_use]
    pub fn of(function: RangeFunction) -> Option<Self> {
        let kind = match function {
            RangeFunction::Rate | RangeFunction::Increase | RangeFunction::Resets => Kind::Resets(Resets::default()),
            RangeFunction::Changes => Kind::Changes(0),
            RangeFunction::Sum | RangeFunction::Avg => Kind::Sum(RunningSum::default()),
            RangeFunction::Min => Kind::Smallest(VecDeque::new()),
            RangeFunction::Max => Kind::Largest(VecDeque::new()),
            RangeFunction::Delta
            | RangeFunction::Irate
            | RangeFunction::Idelta
            | RangeFunction::Deriv
            | RangeFunction::PredictLinear
            | RangeFunction::DoubleExponentialSmoothing
            | RangeFunction::Count
            | RangeFunction::Quantile
            | RangeFunction::Stddev
            | RangeFunction::Stdvar
            | RangeFunction::Last
            | RangeFunction::First
            | RangeFunction::Present => return None,
        };
        Some(Self { after: Timestamp::MIN, until: Timestamp::MIN, kind })
    }

    /// Reads what a counter has gained anew, for fewer samples are in the window now.
    pub(super) fn gains_anew(&mut self, window: &Window) {
        let until = std::mem::replace(&mut self.until, self.after);
        self.kind = Kind::Resets(Resets::default());
        self.advance(window, self.after, until);
    }

    /// Lets the samples go that are not later than then, before their time.
    pub(super) fn leave(&mut self, window: &Window, after: Timestamp) {
        self.advance(window, after, self.until);
    }

    /// Moves on to the samples later than `after` and not later than `until`. The window still holds those that leave.
    pub(super) fn advance(&mut self, window: &Window, after: Timestamp, until: Timestamp) {
        let after = after.max(self.after);
        let entering = window.floats(self.until.max(after), until);
        let last = window.floats(Timestamp::MIN, self.until).next_back().filter(|(t, _)| *t > after);
        let leaving = window.floats(self.after, after.min(self.until));
        match &mut self.kind {
            Kind::Resets(resets) => resets.advance(last, entering, leaving.count(), after),
            Kind::Changes(number) => {
                let left: Vec<f64> = leaving.map(|(_, value)| value).collect();
                let next = window.floats(after, self.until).next().map(|(_, value)| value);
                *number -= pairs(left.into_iter().chain(next)).min(*number);
                *number += pairs(last.into_iter().chain(entering).map(|(_, value)| value));
            }
            Kind::Sum(sum) => {
                let largest = leaving.clone().map(|(_, value)| value.abs()).filter(|value| value.is_finite()).fold(0.0, f64::max);
                leaving.for_each(|(_, value)| sum.leave(value));
                entering.for_each(|(_, value)| sum.enter(value));
                if sum.is_lost() || sum.was_drowned_by(largest) {
                    *sum = RunningSum::default();
                    window.floats(after, until).for_each(|(_, value)| sum.enter(value));
                }
            }
            Kind::Smallest(queue) => extreme(queue, entering, after, |new, old| new <= old),
            Kind::Largest(queue) => extreme(queue, entering, after, |new, old| new >= old),
        }
        (self.after, self.until) = (after, until.max(self.until));
    }
}

fn pairs(values: impl Iterator<Item = f64>) -> usize {
    let mut previous: Option<f64> = None;
    values.filter(|value| previous.replace(*value).is_some_and(|before| changed(before, *value))).count()
}

fn extreme(queue: &mut VecDeque<Point>, entering: impl Iterator<Item = Point>, after: Timestamp, beats: impl Fn(f64, f64) -> bool) {
    for (t, value) in entering.filter(|(_, value)| !value.is_nan()) {
        while queue.back().is_some_and(|(_, old)| beats(value, *old)) {
            queue.pop_back();
        }
        queue.push_back((t, value));
    }
    while queue.front().is_some_and(|(t, _)| *t <= after) {
        queue.pop_front();
    }
}

/// Where a counter began anew, and how many samples there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Resets {
    samples: usize,
    /// The sample before each, oldest first.
    before: VecDeque<Point>,
}

impl Resets {
    fn advance(&mut self, last: Option<Point>, entering: impl Iterator<Item = Point>, leaving: usize, after: Timestamp) {
        self.samples -= leaving.min(self.samples);
        let mut previous = last;
        for point in entering {
            self.samples += 1;
            if let Some(before) = previous.replace(point).filter(|before| point.1 < before.1) {
                self.before.push_back(before);
            }
        }
        while self.before.front().is_some_and(|(t, _)| *t <= after) {
            self.before.pop_front();
        }
    }

    /// How many samples there are.
    pub(super) fn count(&self) -> usize {
        self.samples
    }

    /// What the counter had come to before each.
    pub(super) fn before(&self) -> impl Iterator<Item = f64> {
        self.before.iter().map(|(_, value)| *value)
    }
}

/// A sum that is so small a share of what has left it may have lost part of itself beside that. It is far more than twice the precision
/// loses, for the sum may still hold another outlier.
const DROWNED: f64 = 1e-6;

/// A sum in two parts, and how many numbers are in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct RunningSum {
    high: f64,
    low: f64,
    count: usize,
    /// Those that are not finite; while there is one, the sum is of no use.
    odd: usize,
}

impl RunningSum {
    fn enter(&mut self, value: f64) {
        self.count += 1;
        if value.is_finite() { self.add(value) } else { self.odd += 1 }
    }

    fn leave(&mut self, value: f64) {
        self.count = self.count.saturating_sub(1);
        if value.is_finite() { self.add(-value) } else { self.odd = self.odd.saturating_sub(1) }
    }

    fn add(&mut self, value: f64) {
        let sum = self.high + value;
        let part = sum - self.high;
        let error = (self.high - (sum - part)) + (value - part);
        let low = self.low + error;
        self.high = sum + low;
        self.low = low - (self.high - sum);
    }

    /// It has overflown.
    fn is_lost(&self) -> bool {
        !self.high.is_finite()
    }

    /// Whether what has left was too large for what remains to be exact.
    fn was_drowned_by(&self, left: f64) -> bool {
        left * DROWNED > self.high.abs()
    }

    /// The sum and the mean; none where there are numbers that are not finite.
    pub(super) fn sum_and_mean(&self) -> Option<(f64, f64)> {
        let sum = self.high + self.low;
        (self.odd == 0 && !self.is_lost()).then_some((sum, sum / self.count as f64))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::range::Range;
    use super::*;
    use crate::model::{Value, value::STALE};

    /// Every function over a long range gives, at every step, what reading the range anew gives.
    #[test]
    fn running_is_what_reading_anew_gives() {
        let functions = [
            RangeFunction::Rate,
            RangeFunction::Increase,
            RangeFunction::Resets,
            RangeFunction::Changes,
            RangeFunction::Sum,
            RangeFunction::Avg,
            RangeFunction::Min,
            RangeFunction::Max,
        ];
        let mut window = Window::default();
        let mut running: Vec<Running> = functions.iter().filter_map(|f| Running::of(*f)).collect();
        let (mut state, range) = (7u64, Duration::from_secs(600));
        for second in 0..4000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = match state >> 60 {
                0 => f64::NAN,
                1 => STALE,
                2 => f64::INFINITY,
                3 => [1e15, 1e20, 1e40][second as usize % 3],
                _ => (state >> 40) as f64 / 1000.0,
            };
            if state % 7 > 1 && !(1500..2300).contains(&second) {
                window.push(Timestamp(second * 1000), Value::Float(value));
            }
            if second % 10 != 0 {
                continue;
            }
            let until = Timestamp(second * 1000);
            for (function, kept) in functions.iter().zip(&mut running) {
                kept.advance(&window, until - range, until);
                let read = Range { window: &window, until, range, now: until };
                let number = |value: Option<(Timestamp, Value)>| value.and_then(|(_, v)| v.float());
                let (anew, kept) = (number(read.apply(*function, &[], None)), number(read.apply(*function, &[], Some(kept))));
                let same = match (anew, kept) {
                    (Some(a), Some(b)) => a.to_bits() == b.to_bits() || (a - b).abs() <= 1e-12 * a.abs() || (a.is_nan() && b.is_nan()),
                    (a, b) => a.is_none() && b.is_none(),
                };
                assert!(same, "{function:?} at {second}: {anew:?} anew, {kept:?} kept");
            }
            window.forget(until - range);
        }
    }
}

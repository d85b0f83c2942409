//! Functions over a range of samples: what `rate`, `avg_over_time` and the like read from one series.
//! Source: `promql/functions.go` of Prometheus 3; where its arithmetic has an order, this follows it.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{Histogram, Timestamp, Value, histogram::Reset};

use super::quantile::quantile;
use super::running::{Kind, Running};
use super::sum::{Mean, Sum};
use super::window::{HistogramPoint, Point, Window};

/// A function over a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeFunction {
    /// The increase per second of a counter, extrapolated to the range's ends.
    Rate,
    /// The increase of a counter, extrapolated to the range's ends.
    Increase,
    /// The difference of a gauge, extrapolated to the range's ends.
    Delta,
    /// The increase per second between the last two samples.
    Irate,
    /// The difference of the last two samples.
    Idelta,
    /// The slope of the regression line, per second.
    Deriv,
    /// Where that line is so many seconds from now.
    PredictLinear,
    /// Holt's linear method.
    DoubleExponentialSmoothing,
    /// How often the value changed.
    Changes,
    /// How often the counter began anew.
    Resets,
    /// The mean.
    Avg,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The sum.
    Sum,
    /// How many samples.
    Count,
    /// The quantile.
    Quantile,
    /// The standard deviation.
    Stddev,
    /// The variance.
    Stdvar,
    /// The last sample.
    Last,
    /// The first sample.
    First,
    /// 1 where there is a sample.
    Present,
}

impl RangeFunction {
    /// Whether it only asks for what a counter has gained, or when it began anew.
    pub(super) fn is_of_gains(self) -> bool {
        matches!(self, Self::Rate | Self::Increase | Self::Resets)
    }

    /// By the name PromQL has for it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "rate" => Self::Rate,
            "increase" => Self::Increase,
            "delta" => Self::Delta,
            "irate" => Self::Irate,
            "idelta" => Self::Idelta,
            "deriv" => Self::Deriv,
            "predict_linear" => Self::PredictLinear,
            "double_exponential_smoothing" => Self::DoubleExponentialSmoothing,
            "changes" => Self::Changes,
            "resets" => Self::Resets,
            "avg_over_time" => Self::Avg,
            "min_over_time" => Self::Min,
            "max_over_time" => Self::Max,
            "sum_over_time" => Self::Sum,
            "count_over_time" => Self::Count,
            "quantile_over_time" => Self::Quantile,
            "stddev_over_time" => Self::Stddev,
            "stdvar_over_time" => Self::Stdvar,
            "last_over_time" => Self::Last,
            "first_over_time" => Self::First,
            "present_over_time" => Self::Present,
            _ => return None,
        })
    }

    /// Whether it is too low as long as its range holds only the last part of its samples.
    pub(super) fn adds_up(self) -> bool {
        matches!(self, Self::Rate | Self::Increase | Self::Changes | Self::Resets | Self::Sum | Self::Count)
    }

    /// Whether the result still is the metric itself.
    #[must_use]
    pub fn keeps_name(self) -> bool {
        matches!(self, Self::Last | Self::First)
    }
}

/// A range of one series: the samples later than `until − range` and not later than `until`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range<'w> {
    pub(super) window: &'w Window,
    pub(super) until: Timestamp,
    pub(super) range: Duration,
    /// The time of the evaluation, which an offset tells apart from `until`.
    pub(super) now: Timestamp,
}

impl<'w> Range<'w> {
    fn after(&self) -> Timestamp {
        self.until - self.range
    }

    pub(super) fn floats(&self) -> impl DoubleEndedIterator<Item = Point> + Clone + use<'w> {
        self.window.floats(self.after(), self.until)
    }

    fn histograms(&self) -> impl DoubleEndedIterator<Item = &'w HistogramPoint> + Clone {
        self.window.histograms(self.after(), self.until)
    }

    /// The newest sample's time.
    fn newest(&self) -> Option<Timestamp> {
        let float = self.floats().next_back().map(|p| p.0);
        float.max(self.histograms().next_back().map(|p| p.0))
    }

    /// The function's value and the newest sample's time; none where it says nothing. `parameters` are its scalars;
    /// `running` is what is kept of this range from step to step, where something is.
    pub(super) fn apply(&self, function: RangeFunction, parameters: &[f64], running: Option<&Running>) -> Option<(Timestamp, Value)> {
        let newest = self.newest()?;
        let mixed = || self.floats().next().is_some() && self.histograms().next().is_some();
        let only_histograms = || self.floats().next().is_none();
        let parameter = |place: usize| parameters.get(place).copied().unwrap_or(f64::NAN);
        let value = match function {
            RangeFunction::Rate | RangeFunction::Increase | RangeFunction::Delta if mixed() => return None,
            RangeFunction::Rate => self.rate(true, true, running)?,
            RangeFunction::Increase => self.rate(true, false, running)?,
            RangeFunction::Delta => self.rate(false, false, None)?,
            RangeFunction::Irate => self.instant(true)?,
            RangeFunction::Idelta => self.instant(false)?,
            RangeFunction::Sum | RangeFunction::Avg if mixed() => return None,
            RangeFunction::Sum | RangeFunction::Avg if only_histograms() => {
                self.histogram_sum(function == RangeFunction::Avg).map(Value::Histogram)?
            }
            RangeFunction::Last => self.last()?,
            RangeFunction::First => self.first()?,
            RangeFunction::Present => Value::Float(1.0),
            RangeFunction::Count => Value::Float((self.floats().count() + self.histograms().count()) as f64),
            RangeFunction::Changes => Value::Float(self.changes(running)),
            RangeFunction::Resets => Value::Float(self.resets(running)),
            RangeFunction::Deriv => Value::Float(self.regression(None)?.0),
            RangeFunction::PredictLinear => {
                let (slope, intercept) = self.regression(Some(self.now))?;
                Value::Float(slope * parameter(0) + intercept)
            }
            RangeFunction::DoubleExponentialSmoothing => Value::Float(self.smoothed(parameter(0), parameter(1))?),
            RangeFunction::Avg
            | RangeFunction::Min
            | RangeFunction::Max
            | RangeFunction::Sum
            | RangeFunction::Quantile
            | RangeFunction::Stddev
            | RangeFunction::Stdvar => Value::Float(self.folded(function, parameter(0), running)?),
        };
        Some((newest, value))
    }

    /// Source: `extrapolatedRate`.
    fn rate(&self, counter: bool, per_second: bool, running: Option<&Running>) -> Option<Value> {
        let (first, last, count, gained) = match self.floats().next() {
            Some(first) => {
                let last = self.floats().next_back()?;
                let count = match running.map(|r| &r.kind) {
                    Some(Kind::Resets(resets)) => resets.count(),
                    _ => self.floats().count(),
                };
                let gained = Gained::Float { from: first.1, by: self.gained(first.1, last.1, counter, running)? };
                (first.0, last.0, count, gained)
            }
            None => {
                let (first, last) = (self.histograms().next()?, self.histograms().next_back()?);
                let count = self.histograms().count();
                (count >= 2).then_some(())?;
                (first.0, last.0, count, Gained::Histogram { from: first.1.count, by: self.histogram_gained(counter)? })
            }
        };
        if count < 2 {
            return None;
        }
        let sampled = (last.0 - first.0) as f64 / 1000.0;
        let mean_gap = sampled / (count - 1) as f64;
        let near = mean_gap * 1.1;
        let reach = |gap: f64| if gap >= near { mean_gap / 2.0 } else { gap };
        let mut to_start = reach((first.0 - self.after().0) as f64 / 1000.0);
        if counter && let Some(share) = gained.share_before() {
            to_start = to_start.min(sampled * share);
        }
        let to_end = reach((self.until.0 - last.0) as f64 / 1000.0);
        let mut factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
        if per_second {
            factor /= self.range.as_secs_f64();
        }
        Some(match gained {
            Gained::Float { by, .. } => Value::Float(by * factor),
            Gained::Histogram { by, .. } => Value::Histogram(Arc::new(by.times(factor))),
        })
    }

    /// What a counter gained between its first and its last sample, resets bridged.
    fn gained(&self, first: f64, last: f64, counter: bool, running: Option<&Running>) -> Option<f64> {
        let mut gained = last - first;
        if counter {
            match running.map(|r| &r.kind) {
                Some(Kind::Resets(resets)) => resets.before().for_each(|before| gained += before),
                _ => {
                    let mut previous = first;
                    for (_, value) in self.floats() {
                        if value < previous {
                            gained += previous;
                        }
                        previous = value;
                    }
                }
            }
        }
        Some(gained)
    }

    /// Source: `histogramRate`.
    fn histogram_gained(&self, counter: bool) -> Option<Histogram> {
        let points: Vec<&Histogram> = self.histograms().map(|(_, h)| h.as_ref()).collect();
        let (first, second, last) = (*points.first()?, *points.get(1)?, *points.last()?);
        let nothing = Histogram { schema: second.schema, bounds: second.bounds.clone(), ..Histogram::default() };
        // Of a first one that was reset at once nothing matters, its buckets' widths included.
        let first = if counter && second.is_reset_after(first) { &nothing } else { first };
        let kinds = points.iter().skip(1).all(|h| h.is_custom() == first.is_custom());
        kinds.then_some(())?;
        let coarsest = if counter { points.iter().skip(1).map(|h| h.schema).min()? } else { last.schema };
        let mut gained = last.clone().at_schema(coarsest.min(first.schema)).minus(first).ok()?;
        if counter {
            let mut previous = first;
            for current in &points[1..] {
                if current.is_reset_after(previous) {
                    gained = gained.plus(previous).ok()?;
                }
                previous = current;
            }
        }
        gained.reset = Reset::Gauge;
        gained.compact();
        Some(gained)
    }

    /// Source: `instantValue`.
    fn instant(&self, rate: bool) -> Option<Value> {
        let mut newest: Vec<(Timestamp, Value)> = self.floats().rev().take(2).map(|(t, v)| (t, Value::Float(v))).collect();
        newest.extend(self.histograms().rev().take(2).map(|(t, h)| (*t, Value::Histogram(h.clone()))));
        newest.sort_by_key(|(t, _)| std::cmp::Reverse(*t));
        let [(last_at, last), (before_at, before), ..] = newest.as_slice() else { return None };
        let seconds = (last_at.0 - before_at.0) as f64 / 1000.0;
        Some(match (before, last) {
            (Value::Float(before), Value::Float(last)) => {
                let gained = if rate && last < before { *last } else { last - before };
                Value::Float(if rate { gained / seconds } else { gained })
            }
            (Value::Histogram(before), Value::Histogram(last)) => {
                let reset = rate && last.is_reset_after(before);
                let mut gained = if reset { last.as_ref().clone() } else { last.minus(before).ok()? };
                gained.reset = Reset::Gauge;
                Value::Histogram(Arc::new(if rate { gained.over(seconds) } else { gained }))
            }
            (Value::Float(_), Value::Histogram(_)) | (Value::Histogram(_), Value::Float(_)) => return None,
        })
    }

    fn last(&self) -> Option<Value> {
        let float = self.floats().next_back();
        let histogram = self.histograms().next_back();
        match (float, histogram) {
            (Some((t, value)), Some((u, _))) if t > *u => Some(Value::Float(value)),
            (_, Some((_, value))) => Some(Value::Histogram(value.clone())),
            (Some((_, value)), None) => Some(Value::Float(value)),
            (None, None) => None,
        }
    }

    fn first(&self) -> Option<Value> {
        let float = self.floats().next();
        let histogram = self.histograms().next();
        match (float, histogram) {
            (Some((t, value)), Some((u, _))) if t < *u => Some(Value::Float(value)),
            (_, Some((_, value))) => Some(Value::Histogram(value.clone())),
            (Some((_, value)), None) => Some(Value::Float(value)),
            (None, None) => None,
        }
    }

    fn histogram_sum(&self, mean: bool) -> Option<Arc<Histogram>> {
        let mut points = self.histograms().map(|(_, h)| h);
        let first = points.next()?;
        let mut sum = first.as_ref().clone();
        for point in points {
            sum = sum.plus(point).ok()?;
        }
        Some(Arc::new(if mean { sum.over(self.histograms().count() as f64) } else { sum }))
    }

    /// Numbers and histograms in one order.
    fn all(&self) -> Vec<Value> {
        let mut all: Vec<(Timestamp, Value)> = self.floats().map(|(t, v)| (t, Value::Float(v))).collect();
        all.extend(self.histograms().map(|(t, h)| (*t, Value::Histogram(h.clone()))));
        all.sort_by_key(|(t, _)| *t);
        all.into_iter().map(|(_, value)| value).collect()
    }

    fn pairs(&self, counts: impl Fn(&Value, &Value) -> bool) -> f64 {
        let all = self.all();
        all.windows(2).filter(|pair| counts(&pair[0], &pair[1])).count() as f64
    }

    fn changes(&self, running: Option<&Running>) -> f64 {
        match running.map(|r| &r.kind) {
            Some(Kind::Changes(number)) if self.histograms().next().is_none() => *number as f64,
            _ => self.pairs(|a, b| match (a, b) {
                (Value::Float(a), Value::Float(b)) => changed(*a, *b),
                (Value::Histogram(a), Value::Histogram(b)) => a != b,
                (Value::Float(_), Value::Histogram(_)) | (Value::Histogram(_), Value::Float(_)) => true,
            }),
        }
    }

    fn resets(&self, running: Option<&Running>) -> f64 {
        match running.map(|r| &r.kind) {
            Some(Kind::Resets(resets)) if self.histograms().next().is_none() => resets.before().count() as f64,
            _ => self.pairs(|a, b| match (a, b) {
                (Value::Float(a), Value::Float(b)) => b < a,
                (Value::Histogram(a), Value::Histogram(b)) => b.is_reset_after(a),
                (Value::Float(_), Value::Histogram(_)) | (Value::Histogram(_), Value::Float(_)) => true,
            }),
        }
    }

    /// What is folded over numbers alone.
    fn folded(&self, function: RangeFunction, parameter: f64, running: Option<&Running>) -> Option<f64> {
        let first = self.floats().next()?.1;
        let rest = || self.floats().skip(1).map(|(_, value)| value);
        let kept = match running.map(|r| &r.kind) {
            Some(Kind::Sum(sum)) => sum.sum_and_mean().map(|(sum, mean)| if function == RangeFunction::Sum { sum } else { mean }),
            Some(Kind::Smallest(queue) | Kind::Largest(queue)) => Some(queue.front().map_or(f64::NAN, |(_, value)| *value)),
            Some(Kind::Resets(_) | Kind::Changes(_)) | None => None,
        };
        if kept.is_some() {
            return kept;
        }
        Some(match function {
            RangeFunction::Sum => {
                let mut sum = Sum::default();
                self.floats().for_each(|(_, value)| sum.add(value));
                sum.total()
            }
            RangeFunction::Avg => {
                let mut mean = Mean::of(first);
                rest().for_each(|value| mean.add(value));
                mean.mean()
            }
            RangeFunction::Min => rest().fold(first, |min, value| if value < min || min.is_nan() { value } else { min }),
            RangeFunction::Max => rest().fold(first, |max, value| if value > max || max.is_nan() { value } else { max }),
            RangeFunction::Quantile => quantile(parameter, self.floats().map(|(_, value)| value).collect()),
            RangeFunction::Stdvar => self.variance(),
            RangeFunction::Stddev => self.variance().sqrt(),
            _ => return None,
        })
    }

    /// Source: `varianceOverTime`.
    fn variance(&self) -> f64 {
        let (mut count, mut mean, mut squares) = (0.0, Sum::default(), Sum::default());
        for (_, value) in self.floats() {
            count += 1.0;
            let delta = value - mean.raw();
            mean.add(delta / count);
            squares.add(delta * (value - mean.raw()));
        }
        squares.raw() / count
    }

    /// Slope and intercept; the latter at `at`, or at the first sample. Source: `linearRegression`.
    fn regression(&self, at: Option<Timestamp>) -> Option<(f64, f64)> {
        let first = self.floats().next()?;
        let origin = at.unwrap_or(first.0);
        let (mut n, mut xs, mut ys, mut xys, mut x2s) = (0.0, Sum::default(), Sum::default(), Sum::default(), Sum::default());
        let mut constant = true;
        for (t, y) in self.floats() {
            constant &= n == 0.0 || y == first.1;
            n += 1.0;
            let x = (t.0 - origin.0) as f64 / 1000.0;
            xs.add(x);
            ys.add(y);
            xys.add(x * y);
            x2s.add(x * x);
        }
        if n < 2.0 {
            return None;
        }
        if constant {
            return Some(if first.1.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first.1) });
        }
        let (xs, ys, xys, x2s) = (xs.raw(), ys.raw(), xys.raw(), x2s.raw());
        let slope = (xys - xs * ys / n) / (x2s - xs * xs / n);
        Some((slope, ys / n - slope * xs / n))
    }

    /// Source: `funcDoubleExponentialSmoothing`.
    fn smoothed(&self, smoothing: f64, trending: f64) -> Option<f64> {
        let first = self.floats().next()?.1;
        let second = self.floats().nth(1)?.1;
        let (mut before, mut level, mut trend) = (0.0, first, second - first);
        for (number, (_, value)) in self.floats().skip(1).enumerate() {
            if number > 0 {
                trend = trending * (level - before) + (1.0 - trending) * trend;
            }
            let next = smoothing * value + (1.0 - smoothing) * (level + trend);
            before = std::mem::replace(&mut level, next);
        }
        Some(level)
    }
}

/// What was gained between the first and the last sample.
enum Gained {
    Float { from: f64, by: f64 },
    Histogram { from: f64, by: Histogram },
}

impl Gained {
    /// How far before the first sample the counter was at zero, in spans of the samples; none where that is not to be said.
    fn share_before(&self) -> Option<f64> {
        let (from, by) = match self {
            Self::Float { from, by } => (*from, *by),
            Self::Histogram { from, by } => (*from, by.count),
        };
        (by > 0.0 && from >= 0.0).then(|| from / by)
    }
}

/// Whether a number is another one; not a number stays what it is.
pub(super) fn changed(a: f64, b: f64) -> bool {
    a != b && !(a.is_nan() && b.is_nan())
}

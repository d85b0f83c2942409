//! The samples of one series that an evaluation may still need.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Histogram, Timestamp, Value, value::is_stale};

/// What became of a pushed sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the window.
    Applied,
    /// A sample with its timestamp was there already; the first one stays.
    Duplicate,
}

/// A number at a time.
pub(super) type Point = (Timestamp, f64);

/// A native histogram at a time.
pub(super) type HistogramPoint = (Timestamp, Arc<Histogram>);

/// Samples in order of their timestamps: numbers, the staleness marker among them, and native histograms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    floats: VecDeque<Point>,
    histograms: VecDeque<HistogramPoint>,
}

/// Room for so many samples is no waste, however few there are.
const ROOMY: usize = 32;

impl Window {
    /// Adds a sample at its place.
    pub fn push(&mut self, at: Timestamp, value: Value) -> Pushed {
        let (float, histogram) = (place(&self.floats, at), place(&self.histograms, at));
        if float.is_none() || histogram.is_none() {
            return Pushed::Duplicate;
        }
        match value {
            Value::Float(value) => self.floats.insert(float.unwrap_or_default(), (at, value)),
            Value::Histogram(value) => self.histograms.insert(histogram.unwrap_or_default(), (at, value)),
        }
        Pushed::Applied
    }

    /// Forgets what is not later than `until`.
    pub fn forget(&mut self, until: Timestamp) {
        forget(&mut self.floats, until);
        forget(&mut self.histograms, until);
    }

    /// Of numbers older than the newest quarter, those go that are nearer to the one before than they would be were they a quarter
    /// as many, and that a counter has only passed: what it gained between any two that stay is the same.
    pub(super) fn thin(&mut self) {
        let points = std::mem::take(&mut self.floats);
        let newest = points.len() - points.len() / 4;
        let (Some((first, _)), Some((last, _))) = (points.front(), points.back()) else { return };
        let gap = last.since(*first) / u32::try_from(points.len() / 4).unwrap_or(u32::MAX).max(1);
        for (place, (at, value)) in points.iter().enumerate() {
            let passed = self
                .floats
                .back()
                .zip(points.get(place + 1))
                .is_some_and(|((before, least), (_, most))| at.since(*before) < gap && least <= value && value <= most);
            if !passed || place >= newest {
                self.floats.push_back((*at, *value));
            }
        }
    }

    /// True where no sample is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty()
    }

    /// How many samples it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }

    /// The oldest sample's time.
    #[must_use]
    pub fn first(&self) -> Option<Timestamp> {
        let first = self.floats.front().map(|p| p.0).into_iter().chain(self.histograms.front().map(|p| p.0));
        first.min()
    }

    /// The newest sample an instant selector sees at `at`, unless the series has ended.
    #[must_use]
    pub fn instant(&self, at: Timestamp, lookback: Duration) -> Option<(Timestamp, Value)> {
        let float = newest(&self.floats, at);
        let histogram = newest(&self.histograms, at);
        let (when, value) = match (float, histogram) {
            (Some((t, _)), Some((u, histogram))) if u > t => (*u, Value::Histogram(histogram.clone())),
            (Some((t, value)), _) => (*t, Value::Float(*value)),
            (None, Some((u, histogram))) => (*u, Value::Histogram(histogram.clone())),
            (None, None) => return None,
        };
        (when > at - lookback && !value.float().is_some_and(is_stale)).then_some((when, value))
    }

    /// The numbers later than `after` and not later than `until`, staleness markers left out: Prometheus' left-open range.
    pub fn floats(&self, after: Timestamp, until: Timestamp) -> impl DoubleEndedIterator<Item = Point> + Clone {
        between(&self.floats, after, until).copied().filter(|(_, value)| !is_stale(*value))
    }

    /// The native histograms in that range.
    pub fn histograms(&self, after: Timestamp, until: Timestamp) -> impl DoubleEndedIterator<Item = &HistogramPoint> + Clone {
        between(&self.histograms, after, until)
    }
}

/// Where a sample of that time belongs; none where there is one.
fn place<T>(points: &VecDeque<(Timestamp, T)>, at: Timestamp) -> Option<usize> {
    // Most come in order.
    match points.back() {
        Some((last, _)) if *last >= at => {}
        _ => return Some(points.len()),
    }
    let place = points.partition_point(|(t, _)| *t < at);
    points.get(place).is_none_or(|(t, _)| *t != at).then_some(place)
}

fn forget<T>(points: &mut VecDeque<(Timestamp, T)>, until: Timestamp) {
    while points.front().is_some_and(|(t, _)| *t <= until) {
        points.pop_front();
    }
    // What a backlog needed is given back.
    if points.capacity() > ROOMY && points.len() < points.capacity() / 4 {
        points.shrink_to(2 * points.len());
    }
}

fn newest<T>(points: &VecDeque<(Timestamp, T)>, at: Timestamp) -> Option<&(Timestamp, T)> {
    match points.back() {
        Some(last) if last.0 <= at => Some(last),
        _ => points.get(points.partition_point(|(t, _)| *t <= at).checked_sub(1)?),
    }
}

fn between<T>(
    points: &VecDeque<(Timestamp, T)>,
    after: Timestamp,
    until: Timestamp,
) -> std::collections::vec_deque::Iter<'_, (Timestamp, T)> {
    let from = points.partition_point(|(t, _)| *t <= after);
    let to = points.partition_point(|(t, _)| *t <= until).max(from);
    points.range(from..to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::STALE;

    const LOOKBACK: Duration = Duration::from_secs(300);

    fn window(points: &[(i64, f64)]) -> Window {
        let mut window = Window::default();
        for (second, value) in points {
            window.push(Timestamp(second * 1000), Value::Float(*value));
        }
        window
    }

    fn instant(window: &Window, ms: i64) -> Option<(i64, Option<f64>)> {
        window.instant(Timestamp(ms), LOOKBACK).map(|(at, value)| (at.0, value.float()))
    }

    #[test]
    fn instant_looks_back_five_minutes_and_no_further() {
        let w = window(&[(0, 7.0)]);
        assert_eq!(instant(&w, 299_999), Some((0, Some(7.0))));
        assert_eq!(instant(&w, 300_000), None);
    }

    #[test]
    fn a_stale_marker_ends_the_series() {
        let w = window(&[(0, 7.0), (10, STALE)]);
        assert_eq!(instant(&w, 9_000), Some((0, Some(7.0))));
        assert_eq!(instant(&w, 10_000), None);
    }

    #[test]
    fn late_samples_take_their_place_and_repeats_are_told_apart() {
        let mut w = window(&[(10, 1.0), (30, 3.0)]);
        assert_eq!(w.push(Timestamp(20_000), Value::Float(2.0)), Pushed::Applied);
        assert_eq!(w.push(Timestamp(20_000), Value::Float(9.0)), Pushed::Duplicate);
        assert_eq!(w.push(Timestamp(20_000), Value::Histogram(Arc::default())), Pushed::Duplicate);
        assert_eq!(instant(&w, 29_000), Some((20_000, Some(2.0))));
    }
}

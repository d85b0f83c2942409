//! The samples of one series that an evaluation may still need, and what PromQL reads from them.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// How far an instant selector looks back for the last sample: Prometheus' default.
pub const LOOKBACK: Duration = Duration::from_secs(300);

/// The bits of Prometheus' staleness marker. Compared as bits: arithmetic may quiet a NaN.
/// Source: `model/value/value.go` of Prometheus.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Whether a value says "this series has ended".
#[must_use]
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE.to_bits()
}

/// What became of a pushed sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the window.
    Applied,
    /// A sample with its timestamp was there already; the first one stays.
    Duplicate,
}

/// Samples in order of their timestamps. Values are kept as bits, so that a snapshot loses no NaN.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    points: VecDeque<(Timestamp, u64)>,
}

impl Window {
    /// Adds a sample at its place.
    pub fn push(&mut self, at: Timestamp, value: f64) -> Pushed {
        let place = self.points.partition_point(|(t, _)| *t < at);
        if self.points.get(place).is_some_and(|(t, _)| *t == at) {
            return Pushed::Duplicate;
        }
        self.points.insert(place, (at, value.to_bits()));
        Pushed::Applied
    }

    /// Forgets what is not later than `until`.
    pub fn forget(&mut self, until: Timestamp) {
        let keep_from = self.points.partition_point(|(t, _)| *t <= until);
        self.points.drain(..keep_from);
    }

    /// True where no sample is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// How many samples it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// The oldest sample's time.
    #[must_use]
    pub fn first(&self) -> Option<Timestamp> {
        self.points.front().map(|(t, _)| *t)
    }

    /// The samples later than `after` and not later than `until`: Prometheus' left-open range, stale markers left out.
    fn range(&self, after: Timestamp, until: Timestamp) -> impl DoubleEndedIterator<Item = (Timestamp, f64)> + Clone {
        let from = self.points.partition_point(|(t, _)| *t <= after);
        let to = self.points.partition_point(|(t, _)| *t <= until).max(from);
        self.points.range(from..to).map(|(t, bits)| (*t, f64::from_bits(*bits))).filter(|(_, v)| !is_stale(*v))
    }

    /// The newest sample an instant selector sees at `at`, unless the series has ended.
    #[must_use]
    pub fn instant(&self, at: Timestamp) -> Option<(Timestamp, f64)> {
        let newest = self.points.partition_point(|(t, _)| *t <= at).checked_sub(1)?;
        let (t, value) = (self.points[newest].0, f64::from_bits(self.points[newest].1));
        (t > at - LOOKBACK && !is_stale(value)).then_some((t, value))
    }

    /// A counter's increase over the range that ends at `at`, extrapolated to the range's ends as Prometheus does,
    /// with the newest sample's time. Source: `extrapolatedRate` in `promql/functions.go` of Prometheus.
    #[must_use]
    pub fn increase(&self, at: Timestamp, range: Duration) -> Option<(Timestamp, f64)> {
        let start = at - range;
        let points = self.range(start, at);
        let (first_at, first) = points.clone().next()?;
        let (last_at, last) = points.clone().next_back()?;
        let count = points.clone().count();
        if count < 2 {
            return None;
        }
        let resets: f64 = points.clone().zip(points.skip(1)).filter(|(a, b)| b.1 < a.1).map(|(a, _)| a.1).sum();
        let increase = last - first + resets;

        let sampled = last_at.since(first_at).as_secs_f64();
        let mean_gap = sampled / (count - 1) as f64;
        let near = mean_gap * 1.1;
        let reach = |gap: f64| if gap >= near { mean_gap / 2.0 } else { gap };
        let mut to_start = reach(first_at.since(start).as_secs_f64());
        if increase > 0.0 && first >= 0.0 {
            to_start = to_start.min(sampled * (first / increase));
        }
        let to_end = reach(at.since(last_at).as_secs_f64());
        Some((last_at, increase * ((sampled + to_start + to_end) / sampled)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(points: &[(i64, f64)]) -> Window {
        let mut window = Window::default();
        for (second, value) in points {
            window.push(Timestamp(second * 1000), *value);
        }
        window
    }

    #[test]
    fn instant_looks_back_five_minutes_and_no_further() {
        let w = window(&[(0, 7.0)]);
        assert_eq!(w.instant(Timestamp(299_999)), Some((Timestamp(0), 7.0)));
        assert_eq!(w.instant(Timestamp(300_000)), None);
    }

    #[test]
    fn a_stale_marker_ends_the_series() {
        let w = window(&[(0, 7.0), (10, STALE)]);
        assert_eq!(w.instant(Timestamp(9_000)), Some((Timestamp(0), 7.0)));
        assert_eq!(w.instant(Timestamp(10_000)), None);
    }

    /// Values from `promtool test rules` (Prometheus 2.42) on the same samples.
    #[test]
    fn increase_extrapolates_and_bridges_resets_as_prometheus_does() {
        let range = Duration::from_secs(300);
        let rising = window(&[(0, 0.0), (60, 10.0), (120, 20.0), (180, 30.0), (240, 40.0), (300, 50.0)]);
        assert_eq!(rising.increase(Timestamp(300_000), range).map(|p| p.1), Some(50.0));
        let reset = window(&[(60, 100.0), (120, 130.0), (180, 10.0), (240, 20.0)]);
        assert_eq!(reset.increase(Timestamp(300_000), range).map(|p| p.1), Some(83.333_333_333_333_34));
    }

    #[test]
    fn late_samples_take_their_place_and_repeats_are_told_apart() {
        let mut w = window(&[(10, 1.0), (30, 3.0)]);
        assert_eq!(w.push(Timestamp(20_000), 2.0), Pushed::Applied);
        assert_eq!(w.push(Timestamp(20_000), 9.0), Pushed::Duplicate);
        assert_eq!(w.instant(Timestamp(29_000)), Some((Timestamp(20_000), 2.0)));
    }
}

//! Quantiles: of numbers, of classic histograms (buckets as series) and of native ones.
//! Source: `promql/quantile.go` of Prometheus 3.

use crate::model::Histogram;
use crate::model::histogram::Bucket;

/// Buckets whose counts differ by no more than this share are taken for equal: sums of rates are not exact.
const SMALL: f64 = 1e-12;

/// The quantile of numbers; what is not a number counts as the smallest.
pub(super) fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if let Some(beyond) = beyond(q) {
        return beyond;
    }
    let smallest = |v: &f64| !v.is_nan();
    values.sort_by(|a, b| (smallest(a), *a).partial_cmp(&(smallest(b), *b)).unwrap_or(std::cmp::Ordering::Equal));
    let last = (values.len() - 1) as f64;
    let rank = q * last;
    let (lower, weight) = (rank.floor(), rank - rank.floor());
    let at = |place: f64| values[place.clamp(0.0, last) as usize];
    if weight == 0.0 { at(lower) } else { at(lower) * (1.0 - weight) + at(lower + 1.0) * weight }
}

fn beyond(q: f64) -> Option<f64> {
    match q {
        q if q < 0.0 => Some(f64::NEG_INFINITY),
        q if q > 1.0 => Some(f64::INFINITY),
        _ => None,
    }
}

/// Classic buckets as (upper bound, count of all up to it), made whole: sorted, bounds once, counts never falling. None
/// where they do not make a histogram.
fn whole(mut buckets: Vec<(f64, f64)>) -> Option<Vec<(f64, f64)>> {
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    if buckets.last()?.0 != f64::INFINITY {
        return None;
    }
    let mut merged: Vec<(f64, f64)> = vec![];
    for (bound, count) in buckets {
        match merged.last_mut().filter(|last| last.0 == bound) {
            Some(last) => last.1 += count,
            None => merged.push((bound, count)),
        }
    }
    let mut highest = merged[0].1;
    for bucket in &mut merged[1..] {
        if almost_equal(highest, bucket.1) || bucket.1 < highest {
            bucket.1 = highest;
        }
        highest = bucket.1;
    }
    Some(merged)
}

/// Source: `util/almost` of Prometheus.
fn almost_equal(a: f64, b: f64) -> bool {
    if a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < SMALL
}

/// Source: `BucketQuantile`.
pub(super) fn of_classic(q: f64, buckets: Vec<(f64, f64)>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if let Some(beyond) = beyond(q) {
        return beyond;
    }
    let Some(buckets) = whole(buckets).filter(|buckets| buckets.len() >= 2) else { return f64::NAN };
    let last = buckets.len() - 1;
    let all = buckets[last].1;
    if all == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * all;
    let place = buckets[..last].partition_point(|(_, count)| !matches!(count.partial_cmp(&rank), Some(o) if o.is_ge()));
    if place == last {
        return buckets[last - 1].0;
    }
    if place == 0 && buckets[0].0 <= 0.0 {
        return buckets[0].0;
    }
    let (end, mut count) = buckets[place];
    let mut start = 0.0;
    if let Some((bound, before)) = place.checked_sub(1).map(|below| buckets[below]) {
        start = bound;
        count -= before;
        rank -= before;
    }
    start + (end - start) * (rank / count)
}

/// Source: `BucketFraction`.
pub(super) fn fraction_of_classic(lower: f64, upper: f64, buckets: Vec<(f64, f64)>) -> f64 {
    if buckets.is_empty() {
        return f64::NAN;
    }
    let mut merged = buckets;
    merged.sort_by(|a, b| a.0.total_cmp(&b.0));
    merged.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    let Some((bound, all)) = merged.last().copied() else { return f64::NAN };
    if bound != f64::INFINITY || all == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let mut below = if merged[0].0 <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let mut rank = 0.0;
    let mut ranks = Ranks { bounds: [lower, upper], ranks: [None, None] };
    for (bound, count) in merged {
        let linear = |v: f64| {
            if below == f64::NEG_INFINITY { count } else { rank + (count - rank) * (v - below) / (bound - below) }
        };
        ranks.pass(below, bound, rank, linear);
        rank = count;
        below = bound;
    }
    ranks.fraction(all, all)
}

/// The ranks of two bounds, found bucket by bucket.
struct Ranks {
    bounds: [f64; 2],
    ranks: [Option<f64>; 2],
}

impl Ranks {
    fn pass(&mut self, lower: f64, upper: f64, before: f64, inside: impl Fn(f64) -> f64) {
        for (bound, rank) in self.bounds.iter().zip(&mut self.ranks) {
            if rank.is_none() && lower >= *bound {
                *rank = Some(before);
            } else if rank.is_none() && upper > *bound {
                *rank = Some(inside(*bound));
            }
        }
    }

    fn fraction(&self, most: f64, all: f64) -> f64 {
        let rank = |place: usize| self.ranks[place].filter(|rank| *rank <= most).unwrap_or(most);
        (rank(1) - rank(0)) / all
    }
}

/// Buckets of a native histogram, the one around zero cut where only one side has observations.
fn trimmed(histogram: &Histogram) -> Vec<Bucket> {
    let mut buckets = histogram.buckets();
    for bucket in &mut buckets {
        if histogram.is_custom() {
            if bucket.lower == f64::NEG_INFINITY && bucket.upper > 0.0 {
                bucket.lower = 0.0;
            }
        } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            if histogram.negative.is_empty() && !histogram.positive.is_empty() {
                bucket.lower = 0.0;
            } else if histogram.positive.is_empty() && !histogram.negative.is_empty() {
                bucket.upper = 0.0;
            }
        }
    }
    buckets
}

/// Source: `HistogramQuantile`.
pub(super) fn of_native(q: f64, histogram: &Histogram) -> f64 {
    if let Some(beyond) = beyond(q) {
        return beyond;
    }
    if histogram.count == 0.0 || q.is_nan() {
        return f64::NAN;
    }
    let upward = histogram.sum.is_nan() || q < 0.5;
    let mut buckets = trimmed(histogram);
    if !upward {
        buckets.reverse();
    }
    let rank = histogram.count * if upward { q } else { 1.0 - q };
    let mut seen = 0.0;
    let mut found: Option<Bucket> = None;
    for bucket in buckets.into_iter().filter(|bucket| bucket.count != 0.0) {
        seen += bucket.count;
        found = Some(bucket);
        if seen >= rank {
            break;
        }
    }
    let Some(bucket) = found else { return f64::NAN };
    if histogram.is_custom() {
        if bucket.lower == f64::NEG_INFINITY {
            return bucket.upper;
        }
        if bucket.upper == f64::INFINITY {
            return bucket.lower;
        }
    }
    let seen = seen.min(histogram.count);
    if seen < rank {
        return if histogram.sum.is_nan() { f64::NAN } else { bucket.upper };
    }
    let inside = if upward { rank - (seen - bucket.count) } else { seen - rank };
    let share = inside / bucket.count;
    let linear = histogram.is_custom() || (bucket.lower <= 0.0 && bucket.upper >= 0.0);
    if linear {
        return bucket.lower + (bucket.upper - bucket.lower) * share;
    }
    let (lower, upper) = (libm::log2(bucket.lower.abs()), libm::log2(bucket.upper.abs()));
    if bucket.lower > 0.0 { libm::exp2(lower + (upper - lower) * share) } else { -libm::exp2(upper + (lower - upper) * (1.0 - share)) }
}

/// Source: `HistogramFraction`.
pub(super) fn fraction_of_native(lower: f64, upper: f64, histogram: &Histogram) -> f64 {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let (mut rank, mut all) = (0.0, 0.0);
    let mut ranks = Ranks { bounds: [lower, upper], ranks: [None, None] };
    for bucket in trimmed(histogram) {
        all += bucket.count;
        let linear = histogram.is_custom() || (bucket.lower <= 0.0 && bucket.upper >= 0.0);
        let inside = |v: f64| {
            if linear && bucket.lower == f64::NEG_INFINITY { bucket.count } else { rank + bucket.count * share_below(&bucket, v, linear) }
        };
        ranks.pass(bucket.lower, bucket.upper, rank, inside);
        rank += bucket.count;
    }
    ranks.fraction(if histogram.sum.is_nan() { all } else { histogram.count }, histogram.count)
}

/// The share of a bucket below a value inside it.
fn share_below(bucket: &Bucket, v: f64, linear: bool) -> f64 {
    if linear {
        return (v - bucket.lower) / (bucket.upper - bucket.lower);
    }
    let (lower, upper, at) = (libm::log2(bucket.lower.abs()), libm::log2(bucket.upper.abs()), libm::log2(v.abs()));
    if v > 0.0 { (at - lower) / (upper - lower) } else { 1.0 - (at - upper) / (lower - upper) }
}

/// The variance of a native histogram, each bucket's observations taken to be in its middle.
/// Source: `histogramVariance`.
pub(super) fn variance_of_native(histogram: &Histogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let (mut variance, mut lost) = (0.0, super::sum::Sum::default());
    for bucket in histogram.buckets().into_iter().filter(|bucket| bucket.count != 0.0) {
        let middle = if histogram.is_custom() || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
            middle_of_linear(&bucket)
        } else {
            (bucket.upper * bucket.lower).sqrt() * if bucket.upper < 0.0 { -1.0 } else { 1.0 }
        };
        let delta = middle - mean;
        lost.add(bucket.count * delta * delta);
        variance = lost.raw();
    }
    variance / histogram.count
}

fn middle_of_linear(bucket: &Bucket) -> f64 {
    if bucket.lower <= 0.0 && bucket.upper >= 0.0 && bucket.lower == -bucket.upper {
        return 0.0;
    }
    (bucket.upper + bucket.lower) / 2.0
}

//! Native histograms: buckets of exponential or given widths, and the arithmetic PromQL does with them.
//! Source: <https://prometheus.io/docs/specs/native_histograms/>; buckets are kept sparse instead of as spans.

use serde::{Deserialize, Serialize};

/// The schema that marks bounds of one's own.
pub const CUSTOM: i8 = -53;

/// The finest and the coarsest exponential schema.
const SCHEMAS: std::ops::RangeInclusive<i8> = -4..=8;

/// Populated buckets a histogram may have; more is refused where it is decoded.
pub const BUCKETS_MAX: usize = 10_000;

/// Beyond this index no bucket of any schema holds a number.
const INDEX_MAX: u32 = 1 << 20;

/// What is known of whether it follows its predecessor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reset {
    /// Nothing.
    #[default]
    Unknown,
    /// It began anew.
    Yes,
    /// It goes on.
    No,
    /// It is a gauge: there is no such thing.
    Gauge,
}

/// A native histogram with fractional counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Resolution: a bucket is 2^(2^-schema) times as wide as the one before; [`CUSTOM`] for bounds of one's own.
    pub schema: i8,
    /// Half the width of the bucket around zero.
    pub zero_threshold: f64,
    /// Observations in it.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Populated buckets above zero, by index: exponential ones end at 2^(index·2^-schema), own ones at `bounds[index]`.
    pub positive: Vec<(i32, f64)>,
    /// Populated buckets below zero, likewise.
    pub negative: Vec<(i32, f64)>,
    /// Upper bounds of one's own, ascending; above the last there is one more bucket.
    pub bounds: Vec<f64>,
    /// Whether it follows its predecessor.
    pub reset: Reset,
}

/// A bucket: more than `lower`, up to `upper`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// The lower bound.
    pub lower: f64,
    /// The upper bound.
    pub upper: f64,
    /// Observations in it.
    pub count: f64,
}

/// Two histograms of which one has bounds of its own and the other has not do not add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incompatible;

/// The bounds that are in both; both are in order.
fn common(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().copied().filter(|bound| b.binary_search_by(|other| other.total_cmp(bound)).is_ok()).collect()
}

impl Histogram {
    /// Whether the bounds are its own.
    #[must_use]
    pub fn is_custom(&self) -> bool {
        self.schema == CUSTOM
    }

    /// Whether this schema is one we know.
    #[must_use]
    pub fn knows(schema: i64) -> bool {
        i8::try_from(schema).is_ok_and(|schema| schema == CUSTOM || SCHEMAS.contains(&schema))
    }

    /// Whether bounds and buckets are in order and within range, so that arithmetic with them is.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let ascending = |buckets: &[(i32, f64)]| buckets.is_sorted_by(|a, b| a.0 < b.0);
        let most = i32::try_from(self.bounds.len()).unwrap_or(i32::MAX);
        let inside = |index: i32| if self.is_custom() { (0..=most).contains(&index) } else { index.unsigned_abs() < INDEX_MAX };
        let all = || self.positive.iter().chain(&self.negative);
        ascending(&self.positive)
            && ascending(&self.negative)
            && all().all(|(index, _)| inside(*index))
            && self.bounds.is_sorted_by(|a, b| a < b)
            && self.zero_threshold >= 0.0
            && self.positive.len() + self.negative.len() <= BUCKETS_MAX
            && self.bounds.len() <= BUCKETS_MAX
    }

    /// Populated buckets in ascending order, that around zero included.
    #[must_use]
    pub fn buckets(&self) -> Vec<Bucket> {
        let zero = Bucket { lower: -self.zero_threshold, upper: self.zero_threshold, count: self.zero_count };
        let mut buckets = vec![];
        for (index, count) in self.negative.iter().rev() {
            let (lower, upper) = (-self.bound(*index), -self.bound(index - 1));
            buckets.push(Bucket { lower, upper: upper.min(zero.lower), count: *count });
        }
        if self.zero_count > 0.0 {
            buckets.push(zero);
        }
        for (index, count) in &self.positive {
            let lower = self.bound(index - 1);
            let lower = if self.is_custom() { lower } else { lower.max(zero.upper) };
            buckets.push(Bucket { lower, upper: self.bound(*index), count: *count });
        }
        buckets
    }

    /// The upper bound of a bucket.
    fn bound(&self, index: i32) -> f64 {
        if self.is_custom() {
            return match usize::try_from(index) {
                Ok(place) => self.bounds.get(place).copied().unwrap_or(f64::INFINITY),
                Err(_) => f64::NEG_INFINITY,
            };
        }
        let exponent = f64::from(index) * libm::ldexp(1.0, -i32::from(self.schema));
        // The bucket with the largest numbers ends with them.
        if exponent >= 1024.0 { f64::MAX } else { libm::exp2(exponent) }
    }

    /// Its sum with another.
    ///
    /// # Errors
    /// Only one of them has bounds of its own.
    pub fn plus(&self, other: &Self) -> Result<Self, Incompatible> {
        self.combined(other, 1.0)
    }

    /// Its difference to another.
    ///
    /// # Errors
    /// Only one of them has bounds of its own.
    pub fn minus(&self, other: &Self) -> Result<Self, Incompatible> {
        self.combined(other, -1.0)
    }

    fn combined(&self, other: &Self, sign: f64) -> Result<Self, Incompatible> {
        if self.is_custom() != other.is_custom() {
            return Err(Incompatible);
        }
        let (mut a, mut b) = (self.clone(), other.clone());
        if a.is_custom() {
            if a.bounds != b.bounds {
                let common = common(&a.bounds, &b.bounds);
                a = a.with_bounds(&common);
                b = b.with_bounds(&common);
            }
        } else {
            reconcile_zero(&mut a, &mut b);
            let schema = a.schema.min(b.schema);
            a = a.at_schema(schema);
            b = b.at_schema(schema);
        }
        a.zero_count += sign * b.zero_count;
        a.count += sign * b.count;
        a.sum += sign * b.sum;
        a.positive = merged(&a.positive, &b.positive, sign);
        a.negative = merged(&a.negative, &b.negative, sign);
        a.reset = after(a.reset, b.reset);
        Ok(a)
    }

    /// All counts and the sum times a factor.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        self.scaled(factor, |count| count * factor)
    }

    /// All counts and the sum divided; by zero, no bucket is left.
    #[must_use]
    pub fn over(&self, divisor: f64) -> Self {
        let mut quotient = self.scaled(divisor, |count| count / divisor);
        if divisor == 0.0 {
            quotient.positive.clear();
            quotient.negative.clear();
        }
        quotient
    }

    fn scaled(&self, by: f64, scale: impl Fn(f64) -> f64) -> Self {
        let mut scaled = self.clone();
        for count in [&mut scaled.zero_count, &mut scaled.count, &mut scaled.sum] {
            *count = scale(*count);
        }
        let buckets = scaled.positive.iter_mut().chain(&mut scaled.negative);
        buckets.for_each(|(_, count)| *count = scale(*count));
        if by < 0.0 {
            scaled.reset = Reset::Gauge;
        }
        scaled.compact();
        scaled
    }

    /// The same with coarser buckets; as it is where they would be finer.
    #[must_use]
    pub fn at_schema(mut self, schema: i8) -> Self {
        if self.is_custom() || schema >= self.schema {
            return self;
        }
        let shift = u32::from(self.schema.abs_diff(schema));
        let coarser = |index: i32| ((index - 1) >> shift) + 1;
        self.positive = regrouped(&self.positive, coarser);
        self.negative = regrouped(&self.negative, coarser);
        self.schema = schema;
        self
    }

    /// The same with fewer bounds of its own.
    fn with_bounds(mut self, bounds: &[f64]) -> Self {
        let old = std::mem::replace(&mut self.bounds, bounds.to_vec());
        let place = |index: i32| {
            let upper = usize::try_from(index).ok().and_then(|i| old.get(i).copied()).unwrap_or(f64::INFINITY);
            i32::try_from(bounds.partition_point(|bound| *bound < upper)).unwrap_or(i32::MAX)
        };
        self.positive = regrouped(&self.positive, place);
        self
    }

    /// Widens the bucket around zero, further than asked where that would cut a populated bucket in two.
    fn widen_zero(&mut self, threshold: f64) {
        let mut threshold = threshold;
        loop {
            let cut = |buckets: &[(i32, f64)]| {
                let crosses =
                    |(index, count): &&(i32, f64)| *count != 0.0 && self.bound(index - 1) < threshold && self.bound(*index) > threshold;
                buckets.iter().find(crosses).map(|(index, _)| self.bound(*index))
            };
            match cut(&self.positive).or_else(|| cut(&self.negative)) {
                Some(wider) => threshold = wider,
                None => break,
            }
        }
        let inside = |index: i32| self.bound(index - 1) < threshold;
        let swallowed: f64 = self.positive.iter().chain(&self.negative).filter(|(index, _)| inside(*index)).map(|(_, count)| count).sum();
        let kept = |buckets: &[(i32, f64)]| buckets.iter().copied().filter(|(index, _)| !inside(*index)).collect();
        let (positive, negative) = (kept(&self.positive), kept(&self.negative));
        self.positive = positive;
        self.negative = negative;
        self.zero_count += swallowed;
        self.zero_threshold = threshold;
    }

    /// Whether the counter began anew between `previous` and this.
    #[must_use]
    pub fn is_reset_after(&self, previous: &Self) -> bool {
        match self.reset {
            Reset::Yes => return true,
            Reset::No => return false,
            Reset::Unknown | Reset::Gauge => {}
        }
        let finer = self.schema > previous.schema || self.zero_threshold < previous.zero_threshold;
        if self.count < previous.count || self.is_custom() != previous.is_custom() || (!self.is_custom() && finer) {
            return true;
        }
        let (mut now, mut before) = (self.clone(), previous.clone());
        if now.is_custom() {
            let common = common(&now.bounds, &before.bounds);
            now = now.with_bounds(&common);
            before = before.with_bounds(&common);
        } else {
            before.widen_zero(now.zero_threshold);
            if before.zero_threshold > now.zero_threshold || now.zero_count < before.zero_count {
                return true;
            }
            before = before.at_schema(now.schema);
        }
        fell(&before.positive, &now.positive) || fell(&before.negative, &now.negative)
    }

    /// Drops buckets without observations.
    pub fn compact(&mut self) {
        self.positive.retain(|(_, count)| *count != 0.0);
        self.negative.retain(|(_, count)| *count != 0.0);
    }
}

/// Gives both the same bucket around zero.
fn reconcile_zero(a: &mut Histogram, b: &mut Histogram) {
    while a.zero_threshold < b.zero_threshold || b.zero_threshold < a.zero_threshold {
        if a.zero_threshold > b.zero_threshold {
            b.widen_zero(a.zero_threshold);
        } else {
            a.widen_zero(b.zero_threshold);
        }
    }
}

/// Bucket by bucket; what becomes empty goes.
fn merged(a: &[(i32, f64)], b: &[(i32, f64)], sign: f64) -> Vec<(i32, f64)> {
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    let mut merged = vec![];
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some((i, x)), Some((j, y))) if i == j => (*i, x + sign * y),
            (Some((i, x)), Some((j, _))) if i < j => (*i, *x),
            (Some((i, x)), None) => (*i, *x),
            (_, Some((j, y))) => (*j, sign * y),
            (None, None) => return merged,
        };
        a.next_if(|(i, _)| *i == next.0);
        b.next_if(|(j, _)| *j == next.0);
        if next.1 != 0.0 {
            merged.push(next);
        }
    }
}

/// Buckets that go to one place are added up; places keep the order.
fn regrouped(buckets: &[(i32, f64)], place: impl Fn(i32) -> i32) -> Vec<(i32, f64)> {
    let mut regrouped: Vec<(i32, f64)> = vec![];
    for (index, count) in buckets {
        let to = place(*index);
        match regrouped.last_mut().filter(|last| last.0 == to) {
            Some(last) => last.1 += count,
            None => regrouped.push((to, *count)),
        }
    }
    regrouped
}

/// Whether some bucket holds less than before.
fn fell(before: &[(i32, f64)], now: &[(i32, f64)]) -> bool {
    before.iter().any(|(index, was)| {
        let is = now.binary_search_by_key(index, |(i, _)| *i).map_or(0.0, |place| now[place].1);
        *was != 0.0 && is < *was
    })
}

/// What is known of a sum's predecessor, from what is known of its parts'.
fn after(a: Reset, b: Reset) -> Reset {
    match (a, b) {
        (a, b) if a == b => a,
        (Reset::Gauge, _) | (_, Reset::Gauge) => Reset::Gauge,
        (Reset::Unknown | Reset::Yes | Reset::No, _) => Reset::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(schema: i8, zero_threshold: f64, positive: &[(i32, f64)]) -> Histogram {
        let count = positive.iter().map(|(_, count)| count).sum();
        Histogram { schema, zero_threshold, count, positive: positive.to_vec(), ..Histogram::default() }
    }

    #[test]
    fn histograms_of_different_resolution_add_up_at_the_coarser_one() {
        let sum = histogram(1, 0.0, &[(1, 1.0), (2, 2.0), (3, 4.0)]).plus(&histogram(0, 0.0, &[(1, 10.0)]));
        assert_eq!(sum.map(|h| (h.schema, h.positive)), Ok((0, vec![(1, 13.0), (2, 4.0)])));
    }

    #[test]
    fn a_wider_zero_bucket_swallows_whole_buckets_only() {
        let narrow = histogram(0, 0.5, &[(1, 3.0), (3, 5.0)]);
        let wide = histogram(0, 1.5, &[]);
        let sum = narrow.plus(&wide).expect("both exponential");
        assert_eq!((sum.zero_threshold, sum.zero_count, sum.positive), (2.0, 3.0, vec![(3, 5.0)]));
    }

    #[test]
    fn a_bucket_that_fell_is_a_reset() {
        let before = histogram(0, 0.0, &[(1, 3.0), (2, 5.0)]);
        assert!(histogram(0, 0.0, &[(1, 9.0), (2, 4.0)]).is_reset_after(&before));
        assert!(!histogram(0, 0.0, &[(1, 3.0), (2, 5.0), (9, 1.0)]).is_reset_after(&before));
        assert!(histogram(1, 0.0, &[(1, 30.0)]).is_reset_after(&before), "a finer schema");
    }
}

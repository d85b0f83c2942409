//! Values that are shares of what was counted: failed requests of all requests, and the like.

use std::time::Duration;

use super::Leaf;
use super::node::{AggregateOp, Binary, Node, Operator, Source};
use super::range::RangeFunction;

/// A query's value is a quotient of two counts over one range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// What is counted in it.
    pub range: Duration,
    /// The value of all of them: 1, or 100 of percent.
    pub whole: f64,
    /// The value where none of what was counted is one of those. Known where one metric counts both: that there is no series of
    /// them is no lack of data then.
    pub none: Option<f64>,
    /// How many were counted, for each unit of the divisor.
    per: f64,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Count<'q> {
    range: Duration,
    /// How many one unit of the result stands for.
    per: f64,
    metric: Option<&'q str>,
}

impl Share {
    /// Of the root of a query: `a / b`, `1 - a / b` or `100 * a / b`, where both are sums of increases or of rates of what counts.
    pub(super) fn of(node: &Node, leaves: &[Leaf]) -> Option<Self> {
        let Node::Binary(binary) = node else { return None };
        let Binary { op, left, right, .. } = binary.as_ref();
        match (op, left, right) {
            (Operator::Sub, Node::Number(all), share) => {
                let share = Self::of(share, leaves).filter(|share| share.whole == *all)?;
                Some(Self { none: share.none.map(|none| all - none), ..share })
            }
            (Operator::Mul, Node::Number(times), share) | (Operator::Mul, share, Node::Number(times)) => {
                let share = Self::of(share, leaves).filter(|_| *times > 0.0)?;
                Some(Self { whole: share.whole * times, none: share.none.map(|none| none * times), ..share })
            }
            (Operator::Div, left, right) => {
                let (times, left) = times(left);
                let (some, all) = (counted(left, leaves)?, counted(right, leaves)?);
                let none = (some.metric.is_some() && some.metric == all.metric).then_some(0.0);
                let alike = (some.range, some.per) == (all.range, all.per);
                alike.then_some(Self { range: all.range, whole: times, none, per: all.per })
            }
            _ => None,
        }
    }

    /// How many were counted where that is the divisor.
    #[must_use]
    pub fn counted(&self, divisor: f64) -> f64 {
        divisor * self.per
    }
}

/// How many times something is taken, as in `100 * a / b`, which is `(100 * a) / b`.
fn times(node: &Node) -> (f64, &Node) {
    if let Node::Binary(binary) = node
        && let (Operator::Mul, Node::Number(times), of) | (Operator::Mul, of, Node::Number(times)) =
            (binary.op, &binary.left, &binary.right)
        && *times > 0.0
    {
        return (*times, of);
    }
    (1.0, node)
}

/// Over which range something is counted, and of what.
fn counted<'q>(node: &Node, leaves: &'q [Leaf]) -> Option<Count<'q>> {
    match node {
        Node::Range(range) => {
            let metric = metric(&range.source, leaves);
            let per = match range.function {
                RangeFunction::Increase => 1.0,
                RangeFunction::Rate => range.range.as_secs_f64(),
                _ => return None,
            };
            (!metric.is_some_and(is_amount)).then_some(Count { range: range.range, per, metric })
        }
        Node::Aggregate(aggregate) if aggregate.op == AggregateOp::Sum => counted(&aggregate.operand, leaves),
        // Such as `or vector(0)`, for what has not failed yet.
        Node::Binary(binary) if binary.op == Operator::Or => counted(&binary.left, leaves),
        _ => None,
    }
}

fn metric<'q>(source: &Source, leaves: &'q [Leaf]) -> Option<&'q str> {
    let Source::Leaf(leaf) = source else { return None };
    leaves.get(*leaf)?.selector.metric()
}

/// Whether a counter adds up amounts, as its name says: three seconds are not three of anything. After Prometheus' names, where
/// the unit stands before `_total`, and a histogram's or a summary's sum ends with `_sum`.
fn is_amount(name: &str) -> bool {
    let units = ["seconds", "milliseconds", "microseconds", "nanoseconds", "ms", "bytes", "joules"];
    let base = name.strip_suffix("_total").unwrap_or(name);
    name.ends_with("_sum") || base.rsplit('_').next().is_some_and(|unit| units.contains(&unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Query;

    #[test]
    fn only_what_counts_makes_a_share() {
        let whole = |text: &str| {
            let query = Query::plan(text, Duration::from_secs(60), Duration::from_secs(300)).expect("a query");
            query.share().map(|share| share.whole)
        };
        assert_eq!(whole("rate(failed_total[5m]) / rate(requests_total[5m])"), Some(1.0));
        assert_eq!(whole("100 * sum(increase(failed[5m])) / sum(increase(requests[5m]))"), Some(100.0));
        let none = |text: &str| {
            let query = Query::plan(text, Duration::from_secs(60), Duration::from_secs(300)).expect("a query");
            query.share().and_then(|share| share.none)
        };
        assert_eq!(none("sum by (a) (rate(requests_total{code=~'5..'}[5m])) / sum by (a) (rate(requests_total[5m]))"), Some(0.0));
        assert_eq!(none("100 - 100 * rate(requests_total{ok='no'}[5m]) / rate(requests_total[5m])"), Some(100.0));
        assert_eq!(none("rate(failed_total[5m]) / rate(requests_total[5m])"), None, "who counts failures may be gone");
        assert_eq!(whole("rate(failed_total[5m]) / rate(requests_total[1m])"), None, "of two ranges");
        assert_eq!(whole("rate(latency_seconds_sum[5m]) / rate(latency_seconds_count[5m])"), None, "an average");
        assert_eq!(whole("rate(busy_seconds_total[5m]) / rate(requests_total[5m])"), None, "an average");
    }
}

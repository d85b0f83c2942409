//! Values that are shares of what was counted: failed requests of all requests, and the like.

use std::time::Duration;

use super::node::{AggregateOp, Binary, Node, Operator};
use super::range::RangeFunction;

/// A query's value is a quotient of two counts over one range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// What is counted in it.
    pub range: Duration,
    /// The value of all of them: 1, or 100 of percent.
    pub whole: f64,
    /// How many were counted, for each unit of the divisor.
    per: f64,
}

impl Share {
    /// Of the root of a query: `a / b`, `1 - a / b` or `100 * a / b`, where both are sums of increases or of rates.
    pub(super) fn of(node: &Node) -> Option<Self> {
        let Node::Binary(binary) = node else { return None };
        let Binary { op, left, right, .. } = binary.as_ref();
        match (op, left, right) {
            (Operator::Sub, Node::Number(all), share) => Self::of(share).filter(|share| share.whole == *all),
            (Operator::Mul, Node::Number(times), share) | (Operator::Mul, share, Node::Number(times)) => {
                let share = Self::of(share).filter(|_| *times > 0.0)?;
                Some(Self { whole: share.whole * times, ..share })
            }
            (Operator::Div, left, right) => {
                let (range, per) = counted(right)?;
                (counted(left)? == (range, per)).then_some(Self { range, whole: 1.0, per })
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

/// Over which range something is counted, and how much one unit of the result stands for.
fn counted(node: &Node) -> Option<(Duration, f64)> {
    match node {
        Node::Range(range) => match range.function {
            RangeFunction::Increase => Some((range.range, 1.0)),
            RangeFunction::Rate => Some((range.range, range.range.as_secs_f64())),
            _ => None,
        },
        Node::Aggregate(aggregate) if aggregate.op == AggregateOp::Sum => counted(&aggregate.operand),
        // Such as `or vector(0)`, for what has not failed yet.
        Node::Binary(binary) if binary.op == Operator::Or => counted(&binary.left),
        _ => None,
    }
}

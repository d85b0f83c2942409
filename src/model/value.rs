//! What a sample measures: a number or a native histogram.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Histogram;

/// The bits of Prometheus' staleness marker. Compared as bits: arithmetic may quiet a NaN.
/// Source: `model/value/value.go` of Prometheus.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Whether a number says "this series has ended".
#[must_use]
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE.to_bits()
}

/// The value of a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// A number, or the staleness marker.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

impl Value {
    /// The number, where it is one.
    #[must_use]
    pub fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Histogram(_) => None,
        }
    }

    /// As how many numbers it counts where samples are limited: a histogram as one more for each hundred buckets.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Float(_) => 1,
            Self::Histogram(histogram) => 1 + (histogram.positive.len() + histogram.negative.len()).div_ceil(100),
        }
    }
}

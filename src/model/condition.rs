//! Conditions on the measures of a breach, as the rungs of a ladder state them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{breach::Reading, duration};

/// What a breach is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// The monitor's value itself.
    Value,
    /// How far the value is above the expected one, as a share of it: `(value − expected) / |expected|`.
    Rise,
    /// How far the value is below the expected one, as a share of it: `(expected − value) / |expected|`.
    Drop,
}

/// How a measure is compared with its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Comparison {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
}

impl Comparison {
    /// Its sign, as written.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
        }
    }

    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Above => left > right,
            Self::AtLeast => left >= right,
            Self::Below => left < right,
            Self::AtMost => left <= right,
        }
    }
}

/// One comparison of a measure with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Test {
    /// What is compared.
    pub measure: Measure,
    /// How.
    pub comparison: Comparison,
    /// With what: the monitor's unit for a value, a share (0.3 for 30 %) for a rise or drop.
    pub limit: f64,
}

impl Test {
    /// Whether the reading passes; a measure that cannot be taken (no expected value) does not.
    #[must_use]
    pub fn holds(&self, reading: &Reading) -> bool {
        reading.measure(self.measure).is_some_and(|x| self.comparison.holds(x, self.limit))
    }
}

/// Tests that must all hold, for at least `hold` without a break. No test at all means: while the breach lasts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// All of them must hold.
    pub tests: Vec<Test>,
    /// For how long, in event time over which there was data.
    pub hold: Duration,
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.measure {
            Measure::Value => write!(f, "value {} {}", self.comparison.sign(), self.limit),
            Measure::Rise => write!(f, "rise {} {}%", self.comparison.sign(), percent(self.limit)),
            Measure::Drop => write!(f, "drop {} {}%", self.comparison.sign(), percent(self.limit)),
        }
    }
}

/// Hides the last bits of `0.07 * 100`.
fn percent(share: f64) -> f64 {
    (share * 1e8).round() / 1e6
}

/// As a sentence: `drop >= 30% for 3m`. It is also the condition's identity between the stages.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tests.is_empty() {
            f.write_str("breach")?;
        }
        for (i, test) in self.tests.iter().enumerate() {
            write!(f, "{}{test}", if i > 0 { " and " } else { "" })?;
        }
        if self.hold.is_zero() { Ok(()) } else { write!(f, " for {}", duration::show(self.hold)) }
    }
}

//! Conditions on the measures of a breach, as the rungs of a ladder state them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{breach::Reading, duration, number::percent};

/// What a breach is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The monitor's value itself.
    Value,
    /// How far the value is above the expected one, as a share of it: `(value − expected) / |expected|`.
    Rise,
    /// How far the value is below the expected one, as a share of it: `(expected − value) / |expected|`.
    Drop,
    /// The integral lost since the onset, in what the query counts: `∑ (expected − value)` over the bad steps, or `∑ (value −
    /// expected)` where too much is bad.
    Lost,
    /// The same as a share of what a usual day has.
    LostShare,
    /// The same in money.
    Money,
    /// Users who feel it.
    AffectedUsers,
    /// Merchants who feel it.
    AffectedMerchants,
    /// Complaints about it.
    Complaints,
    /// Times that it is mentioned in public.
    Mentions,
    /// The share of the mentions that are negative.
    NegativeShare,
    /// People who can have read of it.
    Reach,
}

/// Measures other than a reading's own, as far as they are known.
pub type Numbers = BTreeMap<Measure, f64>;

impl Measure {
    /// Those that are no reading's own.
    pub const NUMBERS: [Self; 9] = [
        Self::Lost,
        Self::LostShare,
        Self::Money,
        Self::AffectedUsers,
        Self::AffectedMerchants,
        Self::Complaints,
        Self::Mentions,
        Self::NegativeShare,
        Self::Reach,
    ];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Rise => "rise",
            Self::Drop => "drop",
            Self::Lost => "lost",
            Self::LostShare => "lost_share",
            Self::Money => "money",
            Self::AffectedUsers => "affected_users",
            Self::AffectedMerchants => "affected_merchants",
            Self::Complaints => "complaints",
            Self::Mentions => "mentions",
            Self::NegativeShare => "negative_share",
            Self::Reach => "reach",
        }
    }

    /// Whether people can say it, too.
    #[must_use]
    pub fn can_be_said(self) -> bool {
        matches!(self, Self::Money | Self::AffectedUsers | Self::AffectedMerchants | Self::Complaints)
    }

    /// Whether it is a share, which people read in per cent.
    #[must_use]
    pub fn is_share(self) -> bool {
        matches!(self, Self::Rise | Self::Drop | Self::LostShare | Self::NegativeShare)
    }

    /// Whether it grows as long as the breach lasts: time is in it already.
    #[must_use]
    pub fn grows(self) -> bool {
        matches!(self, Self::Lost | Self::LostShare | Self::Money)
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
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
    /// The measure, where it can be taken: of the reading, or of the numbers beside it.
    #[must_use]
    pub fn measured(&self, reading: &Reading, numbers: &Numbers) -> Option<f64> {
        reading.measure(self.measure).or_else(|| numbers.get(&self.measure).copied())
    }

    /// Whether the reading, with the numbers beside it, passes; a measure that cannot be taken does not.
    #[must_use]
    pub fn holds(&self, reading: &Reading, numbers: &Numbers) -> bool {
        self.measured(reading, numbers).is_some_and(|x| self.comparison.holds(x, self.limit))
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

impl Condition {
    /// Whether another one holds whenever this one does.
    #[must_use]
    pub fn implies(&self, other: &Self) -> bool {
        let upward = |c: Comparison| matches!(c, Comparison::Above | Comparison::AtLeast);
        let covers = |strict: &Test, loose: &Test| {
            strict.measure == loose.measure
                && upward(strict.comparison) == upward(loose.comparison)
                && if upward(loose.comparison) { strict.limit >= loose.limit } else { strict.limit <= loose.limit }
        };
        other.hold <= self.hold && other.tests.iter().all(|loose| self.tests.iter().any(|strict| covers(strict, loose)))
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (measure, sign) = (self.measure, self.comparison.sign());
        if measure.is_share() {
            write!(f, "{measure} {sign} {}%", percent(self.limit))
        } else {
            write!(f, "{measure} {sign} {}", self.limit)
        }
    }
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

//! Event time: milliseconds since the Unix epoch, UTC.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point of event time, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Before every real timestamp: "nothing has been heard yet".
    pub const MIN: Self = Self(i64::MIN);

    /// Reads an RFC 3339 time, with any offset.
    ///
    /// # Errors
    /// The text is not RFC 3339.
    pub fn parse(text: &str) -> Result<Self, String> {
        // `+0000` is as common as it is wrong.
        let parsed = text.parse::<jiff::Timestamp>().or_else(|_| jiff::Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text));
        parsed.map(|t| Self(t.as_millisecond())).map_err(|_| format!("{text:?} is not an RFC 3339 time"))
    }

    /// How much later `self` is than `earlier`; zero where it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let ms = self.0.saturating_sub(earlier.0).max(0);
        Duration::from_millis(ms.unsigned_abs())
    }

    /// How far apart the two are, whichever comes first.
    #[must_use]
    pub fn distance(self, other: Self) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }

    /// The first multiple of `step` since the epoch that is later than `self`.
    #[must_use]
    pub fn next_multiple(self, step: Duration) -> Self {
        let step = millis(step).max(1);
        Self((self.0.div_euclid(step)).saturating_add(1).saturating_mul(step))
    }

    /// Seconds since the epoch, as PromQL counts them; milliseconds are the fraction.
    #[must_use]
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(millis(d)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(millis(d)))
    }
}

/// RFC 3339 in UTC with milliseconds, e.g. `2026-11-22T15:00:32.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_milliseconds_and_reads_them_back() {
        let t = Timestamp(1_795_359_600_120);
        assert_eq!(t.to_string(), "2026-11-22T15:00:00.120Z");
        assert_eq!(Timestamp::parse(&t.to_string()), Ok(t));
    }

    #[test]
    fn steps_are_multiples_of_the_interval_also_before_the_epoch() {
        let minute = Duration::from_secs(60);
        assert_eq!(Timestamp(0).next_multiple(minute), Timestamp(60_000));
        assert_eq!(Timestamp(-1).next_multiple(minute), Timestamp(0));
    }
}

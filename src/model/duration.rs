//! Durations as Prometheus writes them: `1h30m`, units in falling order, no fractions.
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/basics/#float-literals-and-time-durations>.

use std::time::Duration;

const UNITS: [(&str, u64); 7] =
    [("y", 365 * 86_400_000), ("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads a duration such as `5m` or `1h30m`; a bare `0` is allowed.
///
/// # Errors
/// A sentence that says what is allowed.
pub fn parse(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is not a duration; write one like 30s, 5m or 1h30m");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut next_unit, mut total) = (text, 0, 0_u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
        let tail = &rest[digits..];
        let unit_len = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let place = UNITS.iter().position(|(name, _)| *name == &tail[..unit_len]).ok_or_else(bad)?;
        if place < next_unit {
            return Err(bad());
        }
        next_unit = place + 1;
        total = number.checked_mul(UNITS[place].1).and_then(|ms| total.checked_add(ms)).ok_or_else(bad)?;
        rest = &tail[unit_len..];
    }
    if text.is_empty() { Err(bad()) } else { Ok(Duration::from_millis(total)) }
}

/// Writes a duration the way [`parse`] reads it.
#[must_use]
pub fn show(duration: Duration) -> String {
    let mut ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 {
        return "0s".into();
    }
    let mut out = String::new();
    for (name, size) in &UNITS[2..] {
        if ms >= *size {
            out += &format!("{}{name}", ms / size);
            ms %= size;
        }
    }
    out
}

/// Serde for a `Duration` written as text, for use with `#[serde(with = "...")]`.
pub mod text {
    use super::Duration;
    use serde::{Deserialize as _, Deserializer, Serializer};

    /// Reads the text form.
    ///
    /// # Errors
    /// The value is not text, or not a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(d)?;
        super::parse(&text).map_err(serde::de::Error::custom)
    }

    /// Writes the text form.
    ///
    /// # Errors
    /// Only those of the serializer.
    pub fn serialize<S: Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&super::show(*value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_prometheus_reads_and_nothing_else() {
        for (text, ms) in [("0", 0), ("5m", 300_000), ("1h30m", 5_400_000), ("1d", 86_400_000), ("20ms", 20)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "5", "m", "5 m", "1.5h", "30m1h", "5m5m", "-5m", "99999999999999999999s"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(show(Duration::from_secs(5400)), "1h30m");
    }
}

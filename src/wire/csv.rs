//! A series as a table: `timestamp,value`, a line each. Times are seconds since the epoch or `YYYY-MM-DD hh:mm:ss` in UTC;
//! further columns, and a first line that names them, are passed over.

use std::time::Duration;

use crate::model::Timestamp;

/// Values in the order they were written.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Time and value; NaN where the value is missing.
    pub points: Vec<(Timestamp, f64)>,
    /// The usual time from one to the next.
    pub every: Duration,
}

/// Steps that are looked at to tell the usual one.
const STEPS: usize = 1000;

/// Reads a table.
///
/// # Errors
/// A line that cannot be read, with its number and what was expected; or there are fewer than two lines.
pub fn read(text: &str) -> Result<Series, String> {
    let mut points = vec![];
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match point(line) {
            Ok(point) => points.push(point),
            Err(_) if number == 0 && line.starts_with(|c: char| c.is_ascii_alphabetic()) => {}
            Err(why) => return Err(format!("line {}: {why}", number + 1)),
        }
    }
    // The order of a table's lines is of no matter: many are exported newest first.
    points.sort_by_key(|(at, _)| *at);
    points.dedup_by_key(|(at, _)| *at);
    let mut steps: Vec<i64> = points.windows(2).take(STEPS).map(|pair| pair[1].0.0 - pair[0].0.0).filter(|step| *step > 0).collect();
    steps.sort_unstable();
    let usual = steps.get(steps.len() / 2).ok_or("a series needs two values at different times")?;
    Ok(Series { points, every: Duration::from_millis(usual.unsigned_abs()) })
}

fn point(line: &str) -> Result<(Timestamp, f64), String> {
    let mut fields = line.split(',').map(str::trim);
    let (Some(at), Some(value)) = (fields.next(), fields.next()) else {
        return Err(format!("{line:?} is not `timestamp,value`"));
    };
    let value = if value.is_empty() { f64::NAN } else { value.parse().map_err(|_| format!("value {value:?} is not a number"))? };
    Ok((time(at)?, value))
}

/// A time as people and tables write it: RFC 3339, `YYYY-MM-DD hh:mm:ss` of UTC, a day, or seconds since the epoch.
///
/// # Errors
/// It is none; with what was expected.
pub fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = Some(seconds * 1000.0).filter(|_| seconds.abs() < 1e11);
        return millis.map(|millis| Timestamp(millis.round() as i64)).ok_or_else(|| format!("{text} is no time in seconds"));
    }
    let day = text.len() == "YYYY-MM-DD".len();
    let utc = if day { format!("{text}T00:00:00Z") } else { format!("{}Z", text.replacen(' ', "T", 1)) };
    let wrong = |_| format!("time {text:?} is none of RFC 3339, YYYY-MM-DD, YYYY-MM-DD hh:mm:ss and seconds since the epoch");
    Timestamp::parse(text).or_else(|_| Timestamp::parse(&utc)).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_dates() {
        let series =
            read("timestamp,value,label\n2023-11-14T22:15:20.5Z,-2e3\n2023-11-14 22:14:20,,0\n1700000000,1.5,0").expect("a series");
        let times: Vec<i64> = series.points.iter().map(|(at, _)| at.0).collect();
        assert_eq!(times, [1_700_000_000_000, 1_700_000_060_000, 1_700_000_120_500]);
        assert_eq!(time("2023-11-14T23:13:20+01:00").ok(), Some(series.points[0].0));
        assert_eq!(time("2023-11-15").ok(), time("2023-11-15 00:00:00").ok());
        assert!(time("inf").is_err() && time("1e300").is_err() && time("soon").is_err());
        assert!(series.points[1].1.is_nan() && series.points[2].1 == -2000.0);
        assert_eq!(series.every, Duration::from_millis(60_500));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert_eq!(
            read("timestamp,value\n12:00,3").unwrap_err(),
            "line 2: time \"12:00\" is none of RFC 3339, YYYY-MM-DD, YYYY-MM-DD hh:mm:ss and seconds since the epoch"
        );
        assert_eq!(read("1,2\n2,x").unwrap_err(), "line 2: value \"x\" is not a number");
        assert_eq!(read("1,2").unwrap_err(), "a series needs two values at different times");
    }
}

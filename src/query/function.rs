//! Functions of one value: arithmetic, and the calendar in UTC.
//! Source: `promql/functions.go` of Prometheus 3.

/// A function from a number to a number, by the name PromQL has for it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Math {
    /// Of the value alone.
    Plain(fn(f64) -> f64),
    /// Of the value and a scalar.
    With(fn(f64, f64) -> f64),
    /// Of the value between two scalars.
    Clamp,
    /// Of the value taken for a time.
    Date(DatePart),
}

/// A part of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DatePart {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 0 is Sunday.
    DayOfWeek,
    /// 1 to 31.
    DayOfMonth,
    /// 1 to 366.
    DayOfYear,
    /// 28 to 31.
    DaysInMonth,
    /// 1 to 12.
    Month,
    /// Such as 2026.
    Year,
}

impl Math {
    /// The function of that name.
    #[must_use]
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "abs" => Self::Plain(f64::abs),
            "ceil" => Self::Plain(f64::ceil),
            "floor" => Self::Plain(f64::floor),
            "exp" => Self::Plain(libm::exp),
            "sqrt" => Self::Plain(f64::sqrt),
            "ln" => Self::Plain(libm::log),
            "log2" => Self::Plain(libm::log2),
            "log10" => Self::Plain(libm::log10),
            "sin" => Self::Plain(libm::sin),
            "cos" => Self::Plain(libm::cos),
            "tan" => Self::Plain(libm::tan),
            "asin" => Self::Plain(libm::asin),
            "acos" => Self::Plain(libm::acos),
            "atan" => Self::Plain(libm::atan),
            "sinh" => Self::Plain(libm::sinh),
            "cosh" => Self::Plain(libm::cosh),
            "tanh" => Self::Plain(libm::tanh),
            "asinh" => Self::Plain(libm::asinh),
            "acosh" => Self::Plain(libm::acosh),
            "atanh" => Self::Plain(libm::atanh),
            "rad" => Self::Plain(|v| v * std::f64::consts::PI / 180.0),
            "deg" => Self::Plain(|v| v * 180.0 / std::f64::consts::PI),
            "sgn" => Self::Plain(|v| {
                if v < 0.0 {
                    -1.0
                } else if v > 0.0 {
                    1.0
                } else {
                    v
                }
            }),
            "round" => Self::With(round),
            "clamp_min" => Self::With(|v, least| largest(least, v)),
            "clamp_max" => Self::With(|v, most| smallest(most, v)),
            "clamp" => Self::Clamp,
            "minute" => Self::Date(DatePart::Minute),
            "hour" => Self::Date(DatePart::Hour),
            "day_of_week" => Self::Date(DatePart::DayOfWeek),
            "day_of_month" => Self::Date(DatePart::DayOfMonth),
            "day_of_year" => Self::Date(DatePart::DayOfYear),
            "days_in_month" => Self::Date(DatePart::DaysInMonth),
            "month" => Self::Date(DatePart::Month),
            "year" => Self::Date(DatePart::Year),
            _ => return None,
        })
    }

    /// Its value; none where it has none.
    pub(super) fn apply(self, value: f64, parameters: &[f64]) -> Option<f64> {
        let parameter = |place: usize, default: f64| parameters.get(place).copied().unwrap_or(default);
        match self {
            Self::Plain(function) => Some(function(value)),
            Self::With(function) => Some(function(value, parameter(0, 1.0))),
            Self::Clamp => {
                let (least, most) = (parameter(0, f64::NEG_INFINITY), parameter(1, f64::INFINITY));
                (most >= least || most.is_nan() || least.is_nan()).then(|| largest(least, smallest(most, value)))
            }
            Self::Date(part) => Some(part.of(value)),
        }
    }
}

/// Ties go up.
fn round(value: f64, to: f64) -> f64 {
    let inverse = 1.0 / to;
    (value * inverse + 0.5).floor() / inverse
}

/// Go's `math.Max`: not a number wins, unlike Rust's.
fn largest(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// Go's `math.Min`.
fn smallest(a: f64, b: f64) -> f64 {
    -largest(-a, -b)
}

impl DatePart {
    /// Of seconds since the epoch; fractions are cut off.
    pub(super) fn of(self, seconds: f64) -> f64 {
        let seconds = seconds as i64;
        let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, date) = civil(day);
        match self {
            Self::Minute => (second / 60 % 60) as f64,
            Self::Hour => (second / 3600) as f64,
            Self::DayOfWeek => (day + 4).rem_euclid(7) as f64,
            Self::DayOfMonth => date as f64,
            Self::DayOfYear => (day - days_before(year) + 1) as f64,
            Self::DaysInMonth => days_in(year, month) as f64,
            Self::Month => month as f64,
            Self::Year => year as f64,
        }
    }
}

/// Year, month and day of a day since the epoch, in the proleptic Gregorian calendar.
/// Source: <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>; jiff's range ends with the year 9999.
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day.saturating_add(719_468);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let date = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, date)
}

/// Days from the epoch to a year's first.
fn days_before(year: i64) -> i64 {
    let last = year - 1;
    365 * (year - 1970) + last.div_euclid(4) - last.div_euclid(100) + last.div_euclid(400) - 477
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let of = |text: &str| {
            let seconds = crate::model::Timestamp::parse(text).expect(text).as_seconds();
            let part = |part: DatePart| part.of(seconds);
            [DatePart::Year, DatePart::Month, DatePart::DayOfMonth, DatePart::DayOfWeek, DatePart::DayOfYear, DatePart::DaysInMonth]
                .map(part)
        };
        assert_eq!(of("2026-11-25T10:00:00Z"), [2026.0, 11.0, 25.0, 3.0, 329.0, 30.0]);
        assert_eq!(of("2024-02-29T23:59:59Z"), [2024.0, 2.0, 29.0, 4.0, 60.0, 29.0]);
        assert_eq!(of("1969-12-31T23:00:00Z"), [1969.0, 12.0, 31.0, 3.0, 365.0, 31.0]);
        assert_eq!(of("2000-01-01T00:00:00Z"), [2000.0, 1.0, 1.0, 6.0, 1.0, 31.0]);
    }
}

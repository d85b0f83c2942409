//! Calendars: where it is what time of day, and which days are holidays.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use crate::model::Timestamp;

/// A time zone and its holidays.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    /// Unique.
    pub name: String,
    zone: TimeZone,
    /// In order.
    holidays: Vec<Date>,
}

/// A moment as people in the calendar's place live it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// The local clock, as if it were UTC's. A holiday counts as the Sunday of its week, so that a weekly season knows what
    /// to expect.
    pub clock: Timestamp,
    /// The day is a holiday.
    pub holiday: bool,
}

impl Calendar {
    /// Of a time zone by its name in the IANA database, such as `Europe/Berlin`.
    ///
    /// # Errors
    /// There is no such time zone.
    pub fn new(name: &str, zone: &str, mut holidays: Vec<Date>) -> Result<Self, String> {
        let known = TimeZone::get(zone).map_err(|_| format!("unknown time zone {zone:?}; write one like Europe/Berlin or UTC"))?;
        holidays.sort_unstable();
        holidays.dedup();
        Ok(Self { name: name.to_owned(), zone: known, holidays })
    }

    /// The time zone's name.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        self.zone.iana_name()
    }

    /// The local clock, as if it were UTC's.
    #[must_use]
    pub fn wall(&self, at: Timestamp) -> Timestamp {
        let Ok(instant) = jiff::Timestamp::from_millisecond(at.0) else { return at };
        Timestamp(at.0 + i64::from(self.zone.to_offset(instant).seconds()) * 1000)
    }

    /// That moment there.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> Local {
        let Ok(instant) = jiff::Timestamp::from_millisecond(at.0) else { return Local { clock: at, holiday: false } };
        let clock = self.wall(at);
        let date = self.zone.to_datetime(instant).date();
        let holiday = self.holidays.binary_search(&date).is_ok();
        let days = if holiday { i64::from(date.weekday().until(Weekday::Sunday)) } else { 0 };
        Local { clock: Timestamp(clock.0 + days * 86_400_000), holiday }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> Calendar {
        Calendar::new("b", "Europe/Berlin", vec!["2026-05-14".parse().expect("a date")]).expect("a calendar")
    }

    #[test]
    fn the_clock_is_the_local_one_across_a_change_to_winter() {
        let clock = |text: &str| berlin().local(Timestamp::parse(text).expect("a time")).clock.to_string();
        assert_eq!(clock("2026-10-24T07:00:00Z"), "2026-10-24T09:00:00.000Z");
        assert_eq!(clock("2026-10-26T08:00:00Z"), "2026-10-26T09:00:00.000Z");
    }

    #[test]
    fn a_holiday_counts_as_a_sunday() {
        let local = berlin().local(Timestamp::parse("2026-05-14T10:00:00Z").expect("a time"));
        assert_eq!((local.clock.to_string().as_str(), local.holiday), ("2026-05-17T12:00:00.000Z", true));
        assert_eq!(Calendar::new("x", "Mars/Olympus", vec![]).map_err(|why| why.contains("Mars/Olympus")), Err(true));
    }
}

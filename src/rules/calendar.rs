//! Calendars: where it is what time of day, and which days are holidays.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use crate::model::Timestamp;
use crate::model::number::whole;

/// Days that are looked through for workdays.
const DAYS_MAX: usize = 1000;

/// The calendar of that name.
pub(super) fn named(calendars: &[Arc<Calendar>], name: &str) -> Result<Arc<Calendar>, String> {
    let found = calendars.iter().find(|calendar| calendar.name == name).cloned();
    found.ok_or_else(|| format!("unknown calendar {name:?}; add it under `calendars` in a duty file"))
}

/// A time of day such as 22:00, since midnight.
pub(super) fn time_of_day(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time of day; write one like 22:00");
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    let (hours, minutes): (u64, u64) = (whole(hours).ok_or_else(wrong)?, whole(minutes).ok_or_else(wrong)?);
    if hours < 24 && minutes < 60 { Ok(Duration::from_secs(3600 * hours + 60 * minutes)) } else { Err(wrong()) }
}

/// A time zone, its holidays and its weekends.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    /// Unique.
    pub name: String,
    /// Whose clock.
    pub zone: TimeZone,
    /// In order.
    holidays: Vec<Date>,
    weekend: Vec<Weekday>,
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
        Ok(Self { name: name.to_owned(), zone: known, holidays, weekend: vec![Weekday::Saturday, Weekday::Sunday] })
    }

    /// With other days of the week off, Monday first.
    #[must_use]
    pub fn with_weekend(self, off: [bool; 7]) -> Self {
        let days = Weekday::Monday.cycle_forward().take(7).zip(off).filter(|(_, off)| *off).map(|(day, _)| day).collect();
        Self { weekend: days, ..self }
    }

    /// The time zone's name.
    #[must_use]
    pub fn zone_name(&self) -> Option<&str> {
        self.zone.iana_name()
    }

    /// The same time of day so many workdays later: neither weekends nor holidays count.
    #[must_use]
    pub fn workdays_after(&self, at: Timestamp, workdays: u8) -> Timestamp {
        let Ok(instant) = jiff::Timestamp::from_millisecond(at.0) else { return at };
        let local = self.zone.to_datetime(instant);
        let (mut day, mut left) = (local.date(), workdays);
        // A calendar without any workday would never end.
        for _ in 0..DAYS_MAX {
            let Some(next) = Some(left).filter(|left| *left > 0).and_then(|_| day.tomorrow().ok()) else { break };
            day = next;
            left -= u8::from(!self.weekend.contains(&day.weekday()) && self.holidays.binary_search(&day).is_err());
        }
        let due = day.to_datetime(local.time()).to_zoned(self.zone.clone());
        due.map_or(at, |due| Timestamp(due.timestamp().as_millisecond()))
    }

    /// The local clock, as if it were UTC's.
    #[must_use]
    pub fn wall(&self, at: Timestamp) -> Timestamp {
        let Ok(instant) = jiff::Timestamp::from_millisecond(at.0) else { return at };
        Timestamp(at.0 + i64::from(self.zone.to_offset(instant).seconds()) * 1000)
    }

    /// When the clock there shows that time, as if it were UTC's, after a moment; where it never does, what it shows instead.
    #[must_use]
    pub fn next(&self, wall: Timestamp, after: Timestamp) -> Timestamp {
        let Ok(shown) = jiff::Timestamp::from_millisecond(wall.0) else { return wall };
        let shown = self.zone.to_ambiguous_zoned(TimeZone::UTC.to_datetime(shown));
        // Of a night of 25 hours some moments are shown twice.
        let moments = [shown.clone().compatible(), shown.later()].into_iter().flatten();
        let moments: Vec<Timestamp> = moments.map(|zoned| Timestamp(zoned.timestamp().as_millisecond())).collect();
        moments.iter().find(|moment| **moment > after).or(moments.last()).copied().unwrap_or(wall)
    }

    /// The last day of the week that is off: what a holiday is like.
    fn day_off(&self) -> Weekday {
        self.weekend.iter().copied().max_by_key(|day| day.to_monday_zero_offset()).unwrap_or(Weekday::Sunday)
    }

    /// That moment there.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> Local {
        let Ok(instant) = jiff::Timestamp::from_millisecond(at.0) else { return Local { clock: at, holiday: false } };
        let clock = self.wall(at);
        let date = self.zone.to_datetime(instant).date();
        let holiday = self.holidays.binary_search(&date).is_ok();
        let days = if holiday { i64::from(date.weekday().until(self.day_off())) } else { 0 };
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
    fn workdays_leave_weekends_and_holidays_out() {
        let after = |text: &str, days| berlin().workdays_after(Timestamp::parse(text).expect("a time"), days).to_string();
        assert_eq!(after("2026-05-13T10:00:00Z", 1), "2026-05-15T10:00:00.000Z", "Thursday is a holiday");
        assert_eq!(after("2026-05-15T10:00:00Z", 3), "2026-05-20T10:00:00.000Z", "over a weekend");
        assert_eq!(after("2026-10-23T10:00:00Z", 1), "2026-10-26T11:00:00.000Z", "noon is noon, in summer and in winter");
        let gulf =
            Calendar::new("g", "Asia/Riyadh", vec![]).expect("a calendar").with_weekend([false, false, false, false, true, true, false]);
        let thursday = Timestamp::parse("2026-05-14T10:00:00Z").expect("a time");
        assert_eq!(gulf.workdays_after(thursday, 1).to_string(), "2026-05-17T10:00:00.000Z");
    }

    #[test]
    fn a_holiday_counts_as_a_sunday() {
        let local = berlin().local(Timestamp::parse("2026-05-14T10:00:00Z").expect("a time"));
        assert_eq!((local.clock.to_string().as_str(), local.holiday), ("2026-05-17T12:00:00.000Z", true));
        assert_eq!(Calendar::new("x", "Mars/Olympus", vec![]).map_err(|why| why.contains("Mars/Olympus")), Err(true));
    }
}

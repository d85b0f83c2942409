//! What makes no fault although it is bad: explained by something else, planned, or fluttering.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{Entity, Labels, Timestamp, labels::Fnv};
use crate::query::Selector;

use super::calendar::Calendar;

const DAY: i64 = 86_400_000;

/// What is suppressed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Suppress {
    /// While one thing fires, another makes no fault.
    pub inhibit: Vec<Inhibit>,
    /// Planned work.
    pub maintenance: Vec<Maintenance>,
    /// Alerts that come and go.
    pub flapping: Option<Flapping>,
}

/// While a source fires, targets with the same values of some labels make no fault: Alertmanager's inhibition.
#[derive(Clone, Debug, PartialEq)]
pub struct Inhibit {
    /// What fires.
    pub source: Selector,
    /// What it explains.
    pub target: Selector,
    /// Labels that must be equal; missing counts as empty.
    pub equal: Vec<String>,
    /// The target's entity must depend on the source's, directly or not.
    pub along_topology: bool,
}

impl Inhibit {
    /// What must be equal, hashed.
    #[must_use]
    pub fn equal(&self, labels: &Labels) -> u64 {
        let values: Vec<&[u8]> = self.equal.iter().map(|name| labels.get(name).as_bytes()).collect();
        Fnv::of(&values)
    }
}

/// Planned work on something, at some time.
#[derive(Clone, Debug, PartialEq)]
pub struct Maintenance {
    /// What is done.
    pub name: String,
    /// On what.
    pub of: Of,
    /// When.
    pub window: Window,
}

/// What maintenance is on.
#[derive(Clone, Debug, PartialEq)]
pub enum Of {
    /// An entity, and all that depends on it.
    Entity(Entity),
    /// What these labels are of.
    Alerts(Selector),
}

/// When maintenance is.
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    /// Once.
    Once {
        /// From.
        from: Timestamp,
        /// To, exclusively.
        to: Timestamp,
    },
    /// On days of the week, by a calendar's clock.
    Weekly {
        /// Monday first.
        days: [bool; 7],
        /// From, since midnight; that of the day named.
        from: Duration,
        /// To, since midnight, exclusively; of the next day where it is not later than the start.
        to: Duration,
        /// Whose clock; without one, UTC's.
        calendar: Option<Arc<Calendar>>,
    },
}

/// Alerts that come and go make no fault until one lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flapping {
    /// An alert that fired so many times
    pub times: u32,
    /// within the last so long
    pub within: Duration,
    /// makes a fault only once it has lasted for this.
    pub settle: Duration,
}

impl Window {
    /// Until when it lasts, if that moment is in it.
    #[must_use]
    pub fn until(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Once { from, to } => (*from <= at && at < *to).then_some(*to),
            Self::Weekly { days, from, to, calendar } => {
                let clock = calendar.as_ref().map_or(at, |calendar| calendar.wall(at));
                let (day, time) = (clock.0.div_euclid(DAY), clock.0.rem_euclid(DAY));
                // The epoch was a Thursday.
                let is_on = |day: i64| days[usize::try_from((day + 3).rem_euclid(7)).unwrap_or(0)];
                let (from, to) = (from.as_millis() as i64, to.as_millis() as i64);
                // On that clock.
                let until = if from < to {
                    (is_on(day) && from <= time && time < to).then_some(day * DAY + to)
                } else if is_on(day) && time >= from {
                    Some((day + 1) * DAY + to)
                } else {
                    (is_on(day - 1) && time < to).then_some(day * DAY + to)
                };
                let until = until.map(Timestamp);
                until.map(|until| calendar.as_ref().map_or(until, |calendar| calendar.next(until, at)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_begins_on() {
        let hours = |hours: u64| Duration::from_secs(3600 * hours);
        let days = [false, false, false, false, false, true, false];
        let calendar = Calendar::new("b", "Europe/Berlin", vec![]).ok().map(Arc::new);
        let till = |to: Duration| Window::Weekly { days, from: hours(22), to, calendar: calendar.clone() };
        let to = |to: u64| till(hours(to));
        let of = |window: &Window, text: &str| window.until(Timestamp::parse(text).expect("a time")).map(|t| t.to_string());
        let until = |text: &str| of(&to(2), text);
        assert_eq!(until("2026-11-28T20:59:00Z"), None, "Saturday, 21:59 in Berlin");
        assert_eq!(until("2026-11-28T21:00:00Z"), Some("2026-11-29T01:00:00.000Z".into()));
        assert_eq!(until("2026-11-29T00:30:00Z"), Some("2026-11-29T01:00:00.000Z".into()));
        assert_eq!(until("2026-11-29T21:30:00Z"), None, "Sunday");
        assert_eq!(of(&to(4), "2026-03-28T23:30:00Z"), Some("2026-03-29T02:00:00.000Z".into()), "an hour is missing that night");
        let twice = till(Duration::from_secs(9000));
        assert_eq!(of(&twice, "2026-10-25T00:10:00Z"), Some("2026-10-25T00:30:00.000Z".into()), "half past two, for the first time");
        assert_eq!(of(&twice, "2026-10-25T01:10:00Z"), Some("2026-10-25T01:30:00.000Z".into()), "and once more");
    }
}

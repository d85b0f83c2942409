//! Who is on duty: teams, their shifts around the world, who stands in for whom, and who may do what.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use crate::model::{Entity, Level, Timestamp};

use super::calendar::Calendar;
use super::text::Text;

/// Days that are looked ahead for the next change of shifts.
const AHEAD: i64 = 8;

const HALF_AN_HOUR: Duration = Duration::from_secs(1800);

/// Midnights of Mondays: shifts are alike each week, but for summer time. In January it is nowhere north of the equator, in July
/// everywhere that has it, in the middle of March in America and not in Europe.
const MONDAYS: [Timestamp; 3] = [Timestamp(1_767_571_200_000), Timestamp(1_773_619_200_000), Timestamp(1_783_296_000_000)];

/// Teams, roles, and whom to gather.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Duty {
    /// In the order they were written.
    pub teams: Vec<Team>,
    /// Who may do what; where there are none, everybody may do all.
    pub roles: Vec<Role>,
    /// Whom to gather for which fault; the first that fits a level.
    pub emergency: Vec<Emergency>,
}

/// People who look after something.
#[derive(Clone, Debug, PartialEq)]
pub struct Team {
    /// Unique.
    pub name: String,
    /// Whose workdays its reviews are due on.
    pub calendar: Option<Arc<Calendar>>,
    /// The entities it looks after.
    pub owns: Vec<Entity>,
    /// How it is reached.
    pub contact: String,
    /// When who of it is on duty.
    pub shifts: Vec<Shift>,
    /// When others are.
    pub overrides: Vec<Override>,
}

/// A time of the day at which some people are on duty.
#[derive(Clone, Debug, PartialEq)]
pub struct Shift {
    /// Such as the place where it is day then.
    pub name: String,
    /// All of them, or one at a time where they rotate.
    pub people: Vec<String>,
    /// Whose clock.
    pub zone: TimeZone,
    /// Monday first.
    pub days: [bool; 7],
    /// From then on.
    pub from: Time,
    /// Until then; of the next day where that is not later.
    pub to: Time,
    /// One of the people at a time, each for so many days, the first from that day on.
    pub rotation: Option<(i64, Date)>,
}

/// For some time others are on duty.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// From.
    pub from: Timestamp,
    /// To, exclusively.
    pub to: Timestamp,
    /// Who.
    pub people: Vec<String>,
    /// Instead of whom, in that shift's hours; instead of all where it is missing.
    pub shift: Option<String>,
}

/// Who may do what.
#[derive(Clone, Debug, PartialEq)]
pub struct Role {
    /// Unique.
    pub name: String,
    /// `*` is everybody.
    pub people: Vec<String>,
    /// Names of commands; `*` is all.
    pub may: Vec<String>,
}

/// Whom to gather for a fault, where, and who is asked when nobody acknowledges.
#[derive(Clone, Debug, PartialEq)]
pub struct Emergency {
    /// Of these ranks; of all where it is missing.
    pub levels: Option<Vec<u8>>,
    /// Of levels in these sequences; where it is missing, of the one that leads.
    pub sequences: Option<Vec<String>>,
    /// Of these businesses; of all where it is missing.
    pub business: Option<Vec<String>>,
    /// Which teams.
    pub gather: Vec<Gather>,
    /// The handling group's name.
    pub group: Option<Text>,
    /// The channel it talks in.
    pub channel: Option<Text>,
    /// The link to its conference.
    pub conference: Option<Text>,
    /// Who is asked after how long without an acknowledgement; the earliest first.
    pub escalate: Vec<(Duration, Vec<String>)>,
}

/// For how much of a week nobody is on duty of any of these teams, to half an hour, and from when: "Sat 2026-01-10 02:30 UTC"; of the
/// worst week of the year. A team without shifts is reached as it is.
pub(super) fn unattended(teams: &[&Team]) -> Option<(Duration, String)> {
    let all = MONDAYS.into_iter().filter_map(|monday| unattended_from(teams, monday));
    all.reduce(|worst, other| if other.0 > worst.0 { other } else { worst })
}

fn unattended_from(teams: &[&Team], monday: Timestamp) -> Option<(Duration, String)> {
    let nobody = |half: &u32| {
        let at = monday + HALF_AN_HOUR * *half;
        teams.iter().all(|team| !team.shifts.is_empty() && team.shifts.iter().all(|shift| shift.on_duty(at).is_empty()))
    };
    let empty: Vec<u32> = (0..7 * 48).filter(|half| !teams.is_empty() && nobody(half)).collect();
    let first = empty.first()?;
    let day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][*first as usize / 48];
    let length = HALF_AN_HOUR * u32::try_from(empty.len()).unwrap_or(u32::MAX);
    let at = (monday + HALF_AN_HOUR * *first).to_string();
    Some((length, format!("{day} {} {} UTC", &at[..10], &at[11..16])))
}

impl Emergency {
    /// Whether it fits whatever the other one fits.
    fn all_of<T: PartialEq>(own: Option<&Vec<T>>, other: Option<&Vec<T>>) -> bool {
        own.is_none_or(|own| other.is_some_and(|other| other.iter().all(|one| own.contains(one))))
    }

    /// Whether it is for faults of that business.
    pub(super) fn is_of(&self, business: &str) -> bool {
        self.business.as_ref().is_none_or(|all| all.iter().any(|one| one == business))
    }

    /// Whether it is for all faults that another one is for.
    pub(super) fn covers(&self, other: &Self) -> bool {
        Self::all_of(self.levels.as_ref(), other.levels.as_ref())
            && Self::all_of(self.sequences.as_ref(), other.sequences.as_ref())
            && Self::all_of(self.business.as_ref(), other.business.as_ref())
    }

    /// Whether it is for faults of that level and business.
    fn fits(&self, level: &Level, business: &str) -> bool {
        self.levels.as_ref().is_none_or(|levels| levels.contains(&level.rank))
            && self.sequences.as_ref().is_none_or(|sequences| sequences.contains(&level.sequence))
            && self.is_of(business)
    }
}

/// A team to gather.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gather {
    /// The one that owns the monitor.
    Owner,
    /// The one that looks after the first suspect.
    Suspect,
    /// This one.
    Team(String),
}

impl Duty {
    /// The team of that name.
    #[must_use]
    pub fn team(&self, name: &str) -> Option<&Team> {
        self.teams.iter().find(|team| team.name == name)
    }

    /// The team that looks after an entity.
    #[must_use]
    pub fn looks_after(&self, entity: &Entity) -> Option<&Team> {
        self.teams.iter().find(|team| team.owns.contains(entity))
    }

    /// Whether somebody may give a command of that name.
    #[must_use]
    pub fn may(&self, person: &str, command: &str) -> bool {
        let is = |all: &[String], one: &str| all.iter().any(|known| known == "*" || known == one);
        self.roles.is_empty() || self.roles.iter().any(|role| is(&role.people, person) && is(&role.may, command))
    }

    /// Whom to gather for a fault of these levels, the leading one first, and that business: the first that fits the leading level,
    /// and for each other level the first that fits it, where that is for its sequence.
    pub fn emergencies<'d>(&'d self, levels: &[&Level], business: &str) -> Vec<&'d Emergency> {
        let mut all: Vec<&Emergency> = vec![];
        for (place, level) in levels.iter().enumerate() {
            let is_for = |emergency: &&Emergency| place == 0 || emergency.sequences.is_some();
            let first = self.emergency.iter().filter(is_for).find(|emergency| emergency.fits(level, business));
            all.extend(first.filter(|first| all.iter().all(|known| !std::ptr::eq(*known, *first))));
        }
        all
    }
}

impl Team {
    /// Who is on duty then, in the order they were written.
    #[must_use]
    pub fn on_duty(&self, at: Timestamp) -> Vec<&str> {
        let overrides = || self.overrides.iter().filter(|other| other.from <= at && at < other.to);
        let mut people: Vec<&str> = vec![];
        for shift in self.shifts.iter().filter(|shift| !overrides().any(|o| o.shift.as_ref().is_none_or(|name| *name == shift.name))) {
            people.extend(shift.on_duty(at));
        }
        let covers = |other: &&Override| match &other.shift {
            None => true,
            Some(name) => self.shifts.iter().any(|shift| shift.name == *name && !shift.on_duty(at).is_empty()),
        };
        people.extend(overrides().filter(covers).flat_map(|other| &other.people).map(String::as_str));
        let mut seen = std::collections::BTreeSet::new();
        people.retain(|person| seen.insert(*person));
        people
    }

    /// When others may be on duty next.
    #[must_use]
    pub fn changes_after(&self, at: Timestamp) -> Option<Timestamp> {
        let shifts = self.shifts.iter().flat_map(|shift| shift.around(at)).flat_map(|(_, from, to)| [from, to]);
        let overrides = self.overrides.iter().flat_map(|other| [other.from, other.to]);
        shifts.chain(overrides).filter(|change| *change > at).min()
    }
}

impl Shift {
    fn on_duty(&self, at: Timestamp) -> Vec<&str> {
        let Some((day, ..)) = self.around(at).into_iter().find(|(_, from, to)| *from <= at && at < *to) else { return vec![] };
        match self.rotation {
            None => self.people.iter().map(String::as_str).collect(),
            Some((days, since)) => {
                let turns = since.until(day).map_or(0, |span| i64::from(span.get_days())).div_euclid(days.max(1));
                let turn = usize::try_from(turns.rem_euclid(self.people.len().max(1) as i64)).unwrap_or(0);
                self.people.get(turn).map(String::as_str).into_iter().collect()
            }
        }
    }

    /// The shift's days from yesterday on, with its times on each.
    fn around(&self, at: Timestamp) -> Vec<(Date, Timestamp, Timestamp)> {
        let Ok(instant) = jiff::Timestamp::from_millisecond(at.0) else { return vec![] };
        let today = self.zone.to_datetime(instant).date();
        let day = |ahead: i64| today.checked_add(jiff::Span::new().days(ahead)).ok();
        let days = (-1..=AHEAD).filter_map(day);
        days.filter(|day| self.days[usize::try_from(day.weekday().to_monday_zero_offset()).unwrap_or(0)])
            .filter_map(|day| {
                let until = if self.to > self.from { day } else { day.tomorrow().ok()? };
                Some((day, self.instant(day, self.from)?, self.instant(until, self.to)?))
            })
            .collect()
    }

    fn instant(&self, day: Date, time: Time) -> Option<Timestamp> {
        let zoned = day.to_datetime(time).to_zoned(self.zone.clone()).ok()?;
        Some(Timestamp(zoned.timestamp().as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shift(name: &str, zone: &str, from: i8, to: i8, people: &[&str]) -> Shift {
        Shift {
            name: name.into(),
            people: people.iter().map(|p| (*p).to_owned()).collect(),
            zone: TimeZone::get(zone).expect("a zone"),
            days: [true; 7],
            from: Time::constant(from, 0, 0, 0),
            to: Time::constant(to, 0, 0, 0),
            rotation: None,
        }
    }

    fn team(shifts: Vec<Shift>) -> Team {
        Team { name: "ops".into(), calendar: None, owns: vec![], contact: String::new(), shifts, overrides: vec![] }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    #[test]
    fn duty_follows_the_sun_also_across_a_change_to_winter() {
        let team = team(vec![shift("berlin", "Europe/Berlin", 6, 18, &["ann"]), shift("seattle", "America/Los_Angeles", 9, 21, &["sue"])]);
        assert_eq!(team.on_duty(at("2026-10-24T04:30:00Z")), ["ann"], "06:30 in Berlin, in summer");
        assert!(team.on_duty(at("2026-10-25T04:30:00Z")).is_empty(), "05:30 in Berlin, in winter");
        assert_eq!(team.on_duty(at("2026-10-25T16:30:00Z")), ["ann", "sue"]);
        assert_eq!(team.changes_after(at("2026-10-25T16:30:00Z")), Some(at("2026-10-25T17:00:00Z")));
    }

    #[test]
    fn a_night_shift_is_of_the_day_it_begins_on_and_people_rotate() {
        let mut night = shift("night", "UTC", 22, 6, &["ann", "bob"]);
        night.rotation = Some((7, Date::constant(2026, 11, 2)));
        let team = team(vec![night]);
        assert_eq!(team.on_duty(at("2026-11-08T23:00:00Z")), ["ann"]);
        assert_eq!(team.on_duty(at("2026-11-09T05:00:00Z")), ["ann"], "Sunday's night is not over");
        assert_eq!(team.on_duty(at("2026-11-09T23:00:00Z")), ["bob"]);
        assert!(team.on_duty(at("2026-11-09T12:00:00Z")).is_empty());
    }

    #[test]
    fn who_stands_in_replaces_a_shift() {
        let mut team = team(vec![shift("day", "UTC", 0, 0, &["ann"]), shift("lead", "UTC", 0, 0, &["eve"])]);
        let (from, to) = (at("2026-12-24T00:00:00Z"), at("2026-12-25T00:00:00Z"));
        team.overrides.push(Override { from, to, people: vec!["cy".into()], shift: Some("day".into()) });
        assert_eq!(team.on_duty(at("2026-12-24T12:00:00Z")), ["eve", "cy"]);
        assert_eq!(team.on_duty(at("2026-12-25T12:00:00Z")), ["ann", "eve"]);
    }

    #[test]
    fn without_roles_everybody_may_do_all() {
        let mut duty = Duty::default();
        assert!(duty.may("ann", "cancel"));
        duty.roles.push(Role { name: "goc".into(), people: vec!["ann".into()], may: vec!["*".into()] });
        duty.roles.push(Role { name: "all".into(), people: vec!["*".into()], may: vec!["note".into()] });
        assert_eq!(["cancel", "note"].map(|command| (duty.may("ann", command), duty.may("bob", command))), [(true, false), (true, true)]);
    }
}

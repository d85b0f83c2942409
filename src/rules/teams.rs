//! Raw duty files → [`Duty`].

use std::sync::Arc;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use crate::model::command::COMMANDS;
use crate::model::{Entity, Timestamp};

use super::calendar::{Calendar, named, time_of_day};
use super::compiled::Sequence;
use super::duty::{Duty, Emergency, Gather, Override, Role, Shift, Team};
use super::fault::{At, Fault};
use super::raw;
use super::text::Text;

const DAY_SECONDS: u64 = 86_400;

/// What the names of groups, channels and conferences may be made of.
pub(super) const VARIABLES: [&str; 9] = ["id", "title", "level", "sequence", "rank", "scenario", "business", "owner", "entity"];

/// Raw duty files of one name each → who is on duty, with the faults.
pub(super) fn compile(files: &[(&String, raw::DutyFile)], calendars: &[Arc<Calendar>], sequences: &[Sequence]) -> (Duty, Vec<Fault>) {
    let mut compiler = Compiler { calendars, sequences, faults: vec![] };
    let mut duty = Duty::default();
    for (file, raw) in files {
        for team in &raw.teams {
            if duty.team(&team.name.value).is_some() {
                compiler.faults.push(team.name.fault(file, format!("team {:?} exists already; name it once", team.name.value)));
            }
            let team = compiler.team(file, team);
            duty.teams.push(team);
        }
    }
    for (file, raw) in files {
        for role in &raw.roles {
            if duty.roles.iter().any(|known| known.name == role.name.value) {
                compiler.faults.push(role.name.fault(file, format!("role {:?} exists already; name it once", role.name.value)));
            }
            let role = compiler.role(file, role);
            duty.roles.push(role);
        }
        for one in &raw.emergency {
            let emergency = compiler.emergency(file, one, &duty);
            if duty.emergency.iter().any(|before| before.covers(&emergency)) {
                compiler.faults.push(one.fault(
                    file,
                    "never looked at: one before it is for all of its levels, sequences and businesses, and the first is taken",
                ));
            }
            duty.emergency.push(emergency);
        }
    }
    (duty, compiler.faults)
}

struct Compiler<'c> {
    calendars: &'c [Arc<Calendar>],
    sequences: &'c [Sequence],
    faults: Vec<Fault>,
}

impl Compiler<'_> {
    fn good<T, U>(&mut self, file: &str, at: &At<U>, result: Result<T, String>) -> Option<T> {
        result.map_err(|why| self.faults.push(at.fault(file, why))).ok()
    }

    fn calendar(&mut self, file: &str, name: Option<&At<String>>) -> Option<Arc<Calendar>> {
        let name = name?;
        self.good(file, name, named(self.calendars, &name.value))
    }

    fn team(&mut self, file: &str, raw: &raw::Team) -> Team {
        let calendar = self.calendar(file, raw.calendar.as_ref());
        let owns = raw.owns.iter().filter_map(|name| self.good(file, name, Entity::parse(&name.value))).collect();
        let shifts: Vec<Shift> = raw.shifts.iter().filter_map(|shift| self.shift(file, shift, calendar.as_ref())).collect();
        for other in raw.overrides.iter().filter(|o| o.value.shift.as_ref().is_some_and(|name| shifts.iter().all(|s| s.name != *name))) {
            let name = other.value.shift.as_deref().unwrap_or_default();
            self.faults.push(other.fault(file, format!("the team has no shift {name:?}")));
        }
        let overrides = raw.overrides.iter().filter_map(|other| {
            let from = self.good(file, &other.value.from, Timestamp::parse(&other.value.from.value))?;
            let to = self.good(file, &other.value.to, Timestamp::parse(&other.value.to.value))?;
            if other.value.people.is_empty() {
                self.faults.push(other.fault(file, "nobody stands in; name people"));
            }
            if to <= from {
                self.faults.push(other.value.to.fault(file, "the end is not after the beginning"));
            }
            Some(Override { from, to, people: other.value.people.clone(), shift: other.value.shift.clone() })
        });
        let overrides = overrides.collect();
        Team { name: raw.name.value.clone(), calendar, owns, contact: raw.contact.clone().unwrap_or_default(), shifts, overrides }
    }

    fn shift(&mut self, file: &str, at: &At<raw::Shift>, team: Option<&Arc<Calendar>>) -> Option<Shift> {
        let raw = &at.value;
        if raw.people.is_empty() {
            self.faults.push(at.fault(file, "a shift without people"));
        }
        if raw.days.as_ref().is_some_and(Vec::is_empty) {
            self.faults.push(at.fault(file, "a shift on no day"));
        }
        let calendar = self.calendar(file, raw.calendar.as_ref()).or_else(|| team.cloned());
        let days = raw.days.as_deref().map_or([true; 7], raw::Day::week);
        let mut clock = |text: Option<&At<String>>| match text {
            None => Some(Time::midnight()),
            Some(text) => self.good(file, text, time_of_day(&text.value)).map(|since| Time::midnight().wrapping_add(since)),
        };
        let (from, to) = (clock(raw.from.as_ref())?, clock(raw.to.as_ref())?);
        let rotation = match (&raw.rotate, &raw.since) {
            (None, None) => None,
            (Some(every), Some(since)) => {
                let days = every.value.0.as_secs() / DAY_SECONDS;
                let whole = days > 0 && every.value.0.as_secs().is_multiple_of(DAY_SECONDS);
                let days = self.good(file, every, whole.then_some(days as i64).ok_or_else(|| "people rotate by whole days".to_owned()))?;
                let date = since.value.parse::<Date>().map_err(|_| format!("{:?} is not a date; write one like 2026-01-05", since.value));
                Some((days, self.good(file, since, date)?))
            }
            (Some(_), None) | (None, Some(_)) => {
                self.faults
                    .push(at.fault(file, "`rotate` and `since` belong together: each for how long, and the first from which day on"));
                None
            }
        };
        let zone = calendar.map_or(TimeZone::UTC, |calendar| calendar.zone.clone());
        Some(Shift { name: raw.name.clone(), people: raw.people.clone(), zone, days, from, to, rotation })
    }

    fn role(&mut self, file: &str, raw: &raw::Role) -> Role {
        for command in raw.may.iter().filter(|name| name.value != "*" && !COMMANDS.contains(&name.value.as_str())) {
            self.faults.push(command.fault(file, format!("unknown command {:?}; there are {} and *", command.value, COMMANDS.join(", "))));
        }
        let may = raw.may.iter().map(|name| name.value.clone()).collect();
        Role { name: raw.name.value.clone(), people: raw.people.clone(), may }
    }

    /// Sequences that there are not, or that have no such level.
    fn graded(&mut self, file: &str, raw: &raw::Emergency) {
        let known = self.sequences;
        if let Some(sequences) = &raw.sequences {
            if sequences.value.is_empty() {
                self.faults.push(sequences.fault(file, "it is for no sequence at all"));
            }
            for name in sequences.value.iter().filter(|name| known.iter().all(|sequence| sequence.name != **name)) {
                let all = known.iter().map(|sequence| sequence.name.as_str()).collect::<Vec<_>>().join(", ");
                self.faults.push(sequences.fault(file, format!("unknown sequence {name:?}; there are {all}")));
            }
        }
        let Some(levels) = &raw.levels else { return };
        if levels.value.is_empty() {
            self.faults.push(levels.fault(file, "it is for no level at all"));
        }
        let wanted = |sequence: &&Sequence| raw.sequences.as_ref().is_none_or(|of| of.value.contains(&sequence.name));
        let ranks = known.iter().filter(wanted).map(|sequence| sequence.levels).max().unwrap_or(u8::MAX);
        for level in levels.value.iter().filter(|level| !(1..=ranks).contains(*level)) {
            self.faults.push(levels.fault(file, format!("level {level}; there are 1 to {ranks}")));
        }
    }

    fn emergency(&mut self, file: &str, at: &At<raw::Emergency>, duty: &Duty) -> Emergency {
        let raw = &at.value;
        self.graded(file, raw);
        if raw.escalate.iter().any(|step| step.to.is_empty()) {
            self.faults.push(at.fault(file, "a step of `escalate` asks nobody"));
        }
        if raw.escalate.iter().any(|step| step.after.0.is_zero()) {
            self.faults.push(at.fault(file, "a step of `escalate` after no time; whom to call at once belongs under `gather`"));
        }
        let mut known = |name: &At<String>| {
            let found = duty.team(&name.value).map(|team| team.name.clone());
            self.good(file, name, found.ok_or_else(|| format!("unknown team {:?}; add it under `teams`", name.value)))
        };
        let gather = raw.gather.iter().filter_map(|name| match name.value.as_str() {
            "owner" => Some(Gather::Owner),
            "suspect" => Some(Gather::Suspect),
            _ => known(name).map(Gather::Team),
        });
        let gather = gather.collect();
        let mut escalate: Vec<_> =
            raw.escalate.iter().map(|step| (step.after.0, step.to.iter().filter_map(&mut known).collect::<Vec<_>>())).collect();
        escalate.sort();
        let mut text = |text: Option<&At<String>>| text.and_then(|text| self.good(file, text, Text::parse(&text.value, &VARIABLES)));
        let (group, channel, conference) = (text(raw.group.as_ref()), text(raw.channel.as_ref()), text(raw.conference.as_ref()));
        Emergency {
            levels: raw.levels.as_ref().map(|levels| levels.value.clone()),
            sequences: raw.sequences.as_ref().map(|sequences| sequences.value.clone()),
            business: raw.business.clone(),
            gather,
            group,
            channel,
            conference,
            escalate,
        }
    }
}

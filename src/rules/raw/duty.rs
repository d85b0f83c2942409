//! Calendars, teams and roles as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Day, Span};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct DutyFile {
    /// Whose time of day, whose weekends and holidays count.
    #[serde(default)]
    pub(in crate::rules) calendars: Vec<Calendar>,
    /// Who is on duty.
    #[serde(default)]
    pub(in crate::rules) teams: Vec<Team>,
    /// Who may say what; without any, everybody may say all.
    #[serde(default)]
    pub(in crate::rules) roles: Vec<Role>,
    /// Whom to gather for a fault, and where: the first that fits.
    #[serde(default)]
    pub(in crate::rules) emergency: Vec<At<Emergency>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Calendar {
    /// Unique.
    pub(in crate::rules) name: At<String>,
    /// By its name in the IANA database: Europe/Berlin.
    pub(in crate::rules) time_zone: At<String>,
    /// Dates: 2026-12-25.
    #[serde(default)]
    pub(in crate::rules) holidays: Vec<At<String>>,
    /// Saturday and Sunday where it is missing.
    pub(in crate::rules) weekend: Option<Vec<Day>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Team {
    /// Unique; monitors and emergencies name it.
    pub(in crate::rules) name: At<String>,
    /// Its times are of this one, and its reviews are due on its workdays; UTC, without holidays, where it is missing.
    pub(in crate::rules) calendar: Option<At<String>>,
    /// Entities: the team is gathered when one of these is suspected.
    #[serde(default)]
    pub(in crate::rules) owns: Vec<At<String>>,
    /// Who is on duty when.
    #[serde(default)]
    pub(in crate::rules) shifts: Vec<At<Shift>>,
    /// Who is on duty instead, once.
    #[serde(default)]
    pub(in crate::rules) overrides: Vec<At<Override>>,
    /// How to reach the team.
    #[serde(default)]
    pub(in crate::rules) contact: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Shift {
    /// In words.
    pub(in crate::rules) name: String,
    /// All are on duty at once, unless they rotate.
    pub(in crate::rules) people: Vec<String>,
    /// Whose time of day; the team's where it is missing.
    pub(in crate::rules) calendar: Option<At<String>>,
    /// On which days it begins; on all where it is missing.
    pub(in crate::rules) days: Option<Vec<Day>>,
    /// The time of day: "07:00". All day where neither this nor `to` is given.
    pub(in crate::rules) from: Option<At<String>>,
    /// Until when; where that is no later, on the next day.
    pub(in crate::rules) to: Option<At<String>>,
    /// One of the people at a time, each for so long.
    pub(in crate::rules) rotate: Option<At<Span>>,
    /// The day the first of them begins.
    pub(in crate::rules) since: Option<At<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Override {
    /// RFC 3339.
    pub(in crate::rules) from: At<String>,
    /// RFC 3339.
    pub(in crate::rules) to: At<String>,
    /// Who is on duty.
    pub(in crate::rules) people: Vec<String>,
    /// The shift whose people are replaced; all of them where it is missing.
    pub(in crate::rules) shift: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Role {
    /// In words.
    pub(in crate::rules) name: At<String>,
    /// Who has it; "*" is everybody.
    pub(in crate::rules) people: Vec<String>,
    /// Commands; "*" is all of them.
    pub(in crate::rules) may: Vec<At<String>>,
}

/// Whom to gather, where, and who is asked next.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Emergency {
    /// For faults of these levels; of all where it is missing.
    pub(in crate::rules) levels: Option<At<Vec<u8>>>,
    /// Of levels in these sequences, whichever leads; without it, of the level that leads.
    pub(in crate::rules) sequences: Option<At<Vec<String>>>,
    /// Of these businesses; of all where it is missing.
    pub(in crate::rules) business: Option<Vec<String>>,
    /// `owner`, `suspect`, or a team's name.
    #[serde(default)]
    pub(in crate::rules) gather: Vec<At<String>>,
    /// The handling group's name, a template.
    pub(in crate::rules) group: Option<At<String>>,
    /// Where it is spoken about, a template.
    pub(in crate::rules) channel: Option<At<String>>,
    /// Where it is talked about, a template.
    pub(in crate::rules) conference: Option<At<String>>,
    /// Who is asked next while nobody has acknowledged it.
    #[serde(default)]
    pub(in crate::rules) escalate: Vec<Escalate>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Escalate {
    /// So long after the declaration
    pub(in crate::rules) after: Span,
    /// these teams.
    pub(in crate::rules) to: Vec<At<String>>,
}

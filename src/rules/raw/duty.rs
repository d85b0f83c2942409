//! Calendars, teams and roles as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Day, Span};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct DutyFile {
    #[serde(default)]
    pub(in crate::rules) calendars: Vec<Calendar>,
    #[serde(default)]
    pub(in crate::rules) teams: Vec<Team>,
    #[serde(default)]
    pub(in crate::rules) roles: Vec<Role>,
    #[serde(default)]
    pub(in crate::rules) emergency: Vec<At<Emergency>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Calendar {
    pub(in crate::rules) name: At<String>,
    pub(in crate::rules) time_zone: At<String>,
    #[serde(default)]
    pub(in crate::rules) holidays: Vec<At<String>>,
    pub(in crate::rules) weekend: Option<Vec<Day>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Team {
    pub(in crate::rules) name: At<String>,
    pub(in crate::rules) calendar: Option<At<String>>,
    #[serde(default)]
    pub(in crate::rules) owns: Vec<At<String>>,
    #[serde(default)]
    pub(in crate::rules) shifts: Vec<At<Shift>>,
    #[serde(default)]
    pub(in crate::rules) overrides: Vec<At<Override>>,
    #[serde(default)]
    pub(in crate::rules) contact: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Shift {
    pub(in crate::rules) name: String,
    pub(in crate::rules) people: Vec<String>,
    pub(in crate::rules) calendar: Option<At<String>>,
    pub(in crate::rules) days: Option<Vec<Day>>,
    pub(in crate::rules) from: Option<At<String>>,
    pub(in crate::rules) to: Option<At<String>>,
    /// One of the people at a time, each for so long.
    pub(in crate::rules) rotate: Option<At<Span>>,
    /// The day the first of them begins.
    pub(in crate::rules) since: Option<At<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Override {
    pub(in crate::rules) from: At<String>,
    pub(in crate::rules) to: At<String>,
    pub(in crate::rules) people: Vec<String>,
    /// The shift whose people are replaced; all of them where it is missing.
    pub(in crate::rules) shift: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Role {
    pub(in crate::rules) name: At<String>,
    pub(in crate::rules) people: Vec<String>,
    pub(in crate::rules) may: Vec<At<String>>,
}

/// Whom to gather, where, and who is asked next.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Emergency {
    pub(in crate::rules) levels: Option<At<Vec<u8>>>,
    pub(in crate::rules) business: Option<Vec<String>>,
    #[serde(default)]
    pub(in crate::rules) gather: Vec<At<String>>,
    pub(in crate::rules) group: Option<At<String>>,
    pub(in crate::rules) channel: Option<At<String>>,
    pub(in crate::rules) conference: Option<At<String>>,
    #[serde(default)]
    pub(in crate::rules) escalate: Vec<Escalate>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Escalate {
    pub(in crate::rules) after: Span,
    pub(in crate::rules) to: Vec<At<String>>,
}

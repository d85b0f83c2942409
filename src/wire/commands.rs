//! Operators' commands: JSON, one object or several.
//!
//! ```json
//! {"id": "s-17", "author": "ann", "at": "2026-11-25T10:00:00Z", "command": "silence",
//!  "alerts": "{service=\"search\"}", "until": "2026-11-25T12:00:00Z", "comment": "reindexing"}
//! {"id": "c-4", "author": "ann", "command": "acknowledge", "incident": "20261125-k3v9x0ab"}
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::command::{COMMANDS, RICHTER};
use crate::model::{Act, Class, Command, Entity, Measure, Order, Point, Signal, Split, Timestamp};
use crate::query::Selector;

use super::decoder::documents;
use super::{Parts, Reject, time, within_limits};

/// Commands of one record: people give few at a time, and some cost time to read.
const COMMANDS_MAX: usize = 100;

/// What a command's texts may hold, in bytes each.
const TEXT_BYTES_MAX: usize = 4096;

/// The largest number that is said of an incident: what is computed of it can still be written as JSON.
const NUMBER_MAX: f64 = 1e15;

/// A command as it is written. Which of the fields are needed depends on the command.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Command")]
pub struct Written {
    /// Unique: the same command told twice acts once.
    pub id: String,
    /// Who says so.
    pub author: String,
    /// When, RFC 3339; when the record was appended where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub at: Option<String>,
    /// What is to be done.
    #[schemars(extend("enum" = COMMANDS))]
    pub command: String,
    /// Why, or whatever else there is to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// The incident it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// silence: a selector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts: Option<String>,
    /// silence: when it ends, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub until: Option<String>,
    /// unsilence: the silence's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence: Option<String>,
    /// set_level and declare: such as P2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// declare: what the user cannot do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// declare and set_cause: what failed; split: what is another matter; as kind=name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// declare: whose business.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business: Option<String>,
    /// declare: the team that owns it; action: who does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// set_impact: how many users are affected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affected_users: Option<f64>,
    /// set_impact: how many merchants are affected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affected_merchants: Option<f64>,
    /// set_impact: how many complaints there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complaints: Option<f64>,
    /// set_impact: how much money is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub money: Option<f64>,
    /// mark: which point of the timeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point: Option<Point>,
    /// mark: when that was, RFC 3339; the command's own time where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub time: Option<String>,
    /// set_cause: in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// set_cause: its class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// set_cause: the id of the change that triggered it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// merge: the incident it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// split: the incident that was merged into it; or `entity`, which is another matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged: Option<String>,
    /// action: what is to be done; action_done: the action's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// action: until when, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub due: Option<String>,
    /// action: how it is known to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<String>,
}

/// Decodes one record; a command without a time was given when it was appended.
///
/// # Errors
/// It is no record at all; a command that cannot be read is a part that is refused.
pub fn decode(payload: &[u8], appended: Timestamp) -> Result<Parts, Reject> {
    within_limits(payload)?;
    let documents = documents(payload)?;
    if documents.len() > COMMANDS_MAX {
        return Err(Reject::new("too_large", format!("{} commands in a record; {COMMANDS_MAX} at most", documents.len())));
    }
    Ok(documents.into_iter().map(|one| one.and_then(|one| command(one, appended)).map(Signal::Command)).collect())
}

fn command(one: serde_json::Value, appended: Timestamp) -> Result<Command, Reject> {
    if !one.is_object() {
        return Err(Reject::new("unexpected_shape", "a command is an object with `id`, `author` and `command`"));
    }
    let written: Written = serde_json::from_value(one).map_err(|why| Reject::new("unexpected_shape", format!("no command: {why}")))?;
    written.read(appended)
}

impl Written {
    /// The command; one without a time was given at `appended`.
    ///
    /// # Errors
    /// Something that the command needs is missing or cannot be read.
    pub fn read(self, appended: Timestamp) -> Result<Command, Reject> {
        if self.id.is_empty() || self.author.is_empty() {
            return Err(Reject::new("unexpected_shape", "a command has an id and an author: who says so?"));
        }
        if self.author == RICHTER {
            return Err(Reject::new("unexpected_shape", format!("the author {RICHTER:?} is no person: who says so?")));
        }
        if self.texts().any(|text| text.len() > TEXT_BYTES_MAX) {
            return Err(Reject::new("too_large", format!("a text of more than {TEXT_BYTES_MAX} bytes")));
        }
        let at = self.at.as_deref().map(|at| time("at", at)).transpose()?.unwrap_or(appended);
        let order = self.order(at)?;
        Ok(Command { id: self.id, author: self.author, at, comment: self.comment, order })
    }

    fn texts(&self) -> impl Iterator<Item = &String> {
        let about = [&self.incident, &self.into, &self.merged, &self.silence, &self.level, &self.entity];
        let told = [&self.scenario, &self.business, &self.owner, &self.cause, &self.change, &self.action, &self.verify, &self.alerts];
        let optional = about.into_iter().chain(told);
        [&self.id, &self.author, &self.comment].into_iter().chain(optional.flatten())
    }

    fn order(&self, at: Timestamp) -> Result<Order, Reject> {
        Ok(match self.command.as_str() {
            "silence" => {
                let alerts = self.need("alerts", &self.alerts)?;
                Selector::parse_told(&alerts).map_err(|why| Reject::new("bad_selector", why))?;
                Order::Silence { alerts, until: time("until", &self.need("until", &self.until)?)? }
            }
            "unsilence" => Order::Unsilence { silence: self.need("silence", &self.silence)? },
            "declare" => Order::Declare {
                level: self.need("level", &self.level)?,
                scenario: self.words("scenario", &self.scenario)?,
                entity: entity(&self.need("entity", &self.entity)?)?,
                business: self.business.clone().unwrap_or_default(),
                owner: self.owner.clone().unwrap_or_default(),
            },
            _ => Order::On { act: self.act(at)?, incident: self.need("incident", &self.incident)? },
        })
    }

    fn act(&self, at: Timestamp) -> Result<Act, Reject> {
        Ok(match self.command.as_str() {
            "acknowledge" => Act::Acknowledge,
            "set_level" => Act::SetLevel { level: self.need("level", &self.level)? },
            "set_impact" => Act::SetImpact { numbers: self.numbers()? },
            "mark" => Act::Mark {
                point: self.need("point", &self.point)?,
                time: self.time.as_deref().map(|text| time("time", text)).transpose()?.unwrap_or(at),
            },
            "set_cause" => Act::SetCause {
                cause: self.words("cause", &self.cause)?,
                class: self.need("class", &self.class)?,
                entity: self.entity.as_deref().map(entity).transpose()?,
                change: self.change.clone(),
            },
            "note" => match self.comment.is_empty() {
                true => return Err(self.missing("comment")),
                false => Act::Note,
            },
            "merge" => Act::Merge { into: self.need("into", &self.into)? },
            "split" => Act::Split { part: self.part()? },
            "cancel" => Act::Cancel,
            "recover" => Act::Recover,
            "revoke_recovery" => Act::RevokeRecovery,
            "action" => Act::Action {
                action: self.words("action", &self.action)?,
                owner: self.words("owner", &self.owner)?,
                due: time("due", &self.need("due", &self.due)?)?,
                verify: self.verify.clone().unwrap_or_default(),
            },
            "action_done" => Act::ActionDone { action: self.need("action", &self.action)? },
            "review_done" => Act::Reviewed,
            other => return Err(Reject::new("unknown_command", format!("{other:?}; there are {}", COMMANDS.join(", ")))),
        })
    }

    fn part(&self) -> Result<Split, Reject> {
        match (&self.merged, &self.entity) {
            (Some(merged), None) => Ok(Split::Merged(merged.clone())),
            (None, Some(of)) => entity(of).map(Split::Entity),
            (None, None) => Err(self.missing("merged` or `entity")),
            (Some(_), Some(_)) => Err(Reject::new("unexpected_shape", "split with both `merged` and `entity`: one at a time")),
        }
    }

    fn numbers(&self) -> Result<Vec<(Measure, f64)>, Reject> {
        let numbers = [
            (Measure::AffectedUsers, self.affected_users),
            (Measure::AffectedMerchants, self.affected_merchants),
            (Measure::Complaints, self.complaints),
            (Measure::Money, self.money),
        ];
        let numbers: Vec<(Measure, f64)> = numbers.into_iter().filter_map(|(measure, number)| Some((measure, number?))).collect();
        match numbers.iter().find(|(_, number)| !(0.0..=NUMBER_MAX).contains(number)) {
            Some((measure, number)) => {
                Err(Reject::new("bad_number", format!("{measure}: {number} is not a number from 0 to {NUMBER_MAX:e}")))
            }
            None if numbers.is_empty() => Err(self.missing("affected_users, affected_merchants, complaints or money")),
            None => Ok(numbers),
        }
    }

    fn need<T: Clone>(&self, what: &str, value: &Option<T>) -> Result<T, Reject> {
        value.clone().ok_or_else(|| self.missing(what))
    }

    /// What people read: a blank tells nothing.
    fn words(&self, what: &str, value: &Option<String>) -> Result<String, Reject> {
        value.clone().filter(|words| !words.trim().is_empty()).ok_or_else(|| self.missing(what))
    }

    fn missing(&self, what: &str) -> Reject {
        Reject::new("unexpected_shape", format!("{} without `{what}`", self.command))
    }
}

fn entity(text: &str) -> Result<Entity, Reject> {
    Entity::parse(text).map_err(|why| Reject::new("bad_entity", why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> &'static str {
        let parts = decode(text.as_bytes(), Timestamp(0)).expect("JSON");
        parts.into_iter().find_map(Result::err).map_or("none", |reject| reject.reason)
    }

    #[test]
    fn what_is_no_command_is_refused_with_the_reason() {
        assert_eq!(reason(r#"{"id":"a","author":"b","command":"unsilence","silence":"c"}"#), "none");
        assert_eq!(reason(r#"{"id":"a","author":"b","command":"unsilence"}"#), "unexpected_shape");
        assert_eq!(reason(r#"{"id":"a","author":"b","command":"dance","incident":"i"}"#), "unknown_command");
        assert_eq!(reason(r#"{"id":"a","command":"unsilence","silence":"c"}"#), "unexpected_shape");
        assert_eq!(reason(r#"{"id":"a","author":"b","command":"silence","alerts":"{x=","until":"2026-11-25T12:00:00Z"}"#), "bad_selector");
        assert_eq!(reason(r#"{"id":"a","author":"b","command":"acknowledge"}"#), "unexpected_shape");
        assert_eq!(reason(r#"{"id":"a","author":"b","command":"split","incident":"i"}"#), "unexpected_shape");
        assert_eq!(reason(r#"{"id":"a","author":"richter","command":"acknowledge","incident":"i"}"#), "unexpected_shape");
        assert_eq!(
            reason(r#"{"id":"a","author":"b","command":"set_cause","incident":"i","class":"process","cause":" "}"#),
            "unexpected_shape"
        );
        assert_eq!(reason(r#"{"id":"a","author":"b","command":"split","incident":"i","entity":"mail"}"#), "bad_entity");
        assert_eq!(reason(r#"{"id":"a","author":"b","command":"split","incident":"i","entity":"a=b","merged":"j"}"#), "unexpected_shape");
        assert_eq!(reason(r#"{"id":"a","author":"b","command":"set_impact","incident":"i","money":-1}"#), "bad_number");
    }
}

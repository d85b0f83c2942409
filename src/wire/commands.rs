//! Operators' commands: JSON, one object or several.
//!
//! ```json
//! {"id": "s-17", "author": "ann", "at": "2026-11-25T10:00:00Z", "command": "silence",
//!  "alerts": "{service=\"search\"}", "until": "2026-11-25T12:00:00Z", "comment": "reindexing"}
//! {"id": "u-4", "author": "ann", "command": "unsilence", "silence": "s-17"}
//! ```

use serde::Deserialize;

use crate::model::{Command, Order, Signal, Timestamp};
use crate::query::Selector;

use super::alerts::documents;
use super::{Reject, time, within_limits};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: String,
    author: String,
    at: Option<String>,
    command: String,
    alerts: Option<String>,
    until: Option<String>,
    #[serde(default)]
    comment: String,
    silence: Option<String>,
}

/// Decodes one record; a command without a time was given when it was appended.
///
/// # Errors
/// It is no command, or something in it cannot be read.
pub fn decode(payload: &[u8], appended: Timestamp) -> Result<Vec<Signal>, Reject> {
    within_limits(payload)?;
    documents(payload)?.into_iter().map(|one| command(one, appended).map(Signal::Command)).collect()
}

fn command(one: serde_json::Value, appended: Timestamp) -> Result<Command, Reject> {
    let raw: Raw = serde_json::from_value(one).map_err(|why| Reject::new("unexpected_shape", format!("no command: {why}")))?;
    let missing = |what: &str| Reject::new("unexpected_shape", format!("{} without `{what}`", raw.command));
    let order = match raw.command.as_str() {
        "silence" => {
            let alerts = raw.alerts.clone().ok_or_else(|| missing("alerts"))?;
            Selector::parse(&alerts).map_err(|why| Reject::new("bad_selector", why))?;
            let until = time("until", raw.until.as_deref().ok_or_else(|| missing("until"))?)?;
            Order::Silence { alerts, until, comment: raw.comment.clone() }
        }
        "unsilence" => Order::Unsilence { silence: raw.silence.clone().ok_or_else(|| missing("silence"))? },
        other => return Err(Reject::new("unknown_command", format!("{other:?}; there are silence and unsilence"))),
    };
    if raw.id.is_empty() || raw.author.is_empty() {
        return Err(Reject::new("unexpected_shape", "a command has an id and an author"));
    }
    let at = raw.at.as_deref().map(|at| time("at", at)).transpose()?.unwrap_or(appended);
    Ok(Command { id: raw.id, author: raw.author, at, order })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> &'static str {
        decode(text.as_bytes(), Timestamp(0)).map_or_else(|reject| reject.reason, |_| "none")
    }

    #[test]
    fn what_is_no_command_is_refused_with_the_reason() {
        assert_eq!(reason(r#"{"id":"a","author":"b","command":"unsilence","silence":"c"}"#), "none");
        assert_eq!(reason(r#"{"id":"a","author":"b","command":"unsilence"}"#), "unexpected_shape");
        assert_eq!(reason(r#"{"id":"a","author":"b","command":"dance"}"#), "unknown_command");
        assert_eq!(reason(r#"{"id":"a","command":"unsilence","silence":"c"}"#), "unexpected_shape");
        assert_eq!(reason(r#"{"id":"a","author":"b","command":"silence","alerts":"{x=","until":"2026-11-25T12:00:00Z"}"#), "bad_selector");
    }
}

//! `richter silences`: what people have silenced, by the answers to their commands.

use std::collections::BTreeMap;
use std::io::Write;

use crate::contract::{Acceptance, Silence};
use crate::model::Timestamp;
use crate::model::text::{clock, in_a_line};
use crate::shell::now;
use crate::wire::csv::time;

use super::events::Where;
use super::{Format, Outcome, put, stdout};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    events: Where,
    /// Those that are on then: RFC 3339, a day, or seconds since the epoch; now where it is missing
    #[arg(long, value_parser = time)]
    at: Option<Timestamp>,
    /// text is a line for each; json prints one object a line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let at = arguments.at.unwrap_or_else(now).to_string();
    let mut all: BTreeMap<String, Silence> = BTreeMap::new();
    arguments.events.read_as(Acceptance::of, |accepted| {
        let Some(silence) = accepted.silence else { return };
        // One that was ended is over, whichever of the two answers is read first.
        let known = all.entry(silence.id.clone()).or_insert_with(|| silence.clone());
        if silence.until < known.until {
            *known = silence;
        }
    })?;
    let mut on: Vec<&Silence> = all.values().filter(|silence| silence.from <= at && at < silence.until).collect();
    on.sort_by_key(|silence| (&silence.until, &silence.id));
    let mut out = stdout();
    for silence in on {
        match arguments.format {
            Format::Json => put(&mut out, serde_json::to_string(silence)?.as_bytes())?,
            Format::Text => {
                let Silence { id, alerts, author, comment, until, .. } = silence;
                let why = if comment.is_empty() { String::new() } else { format!(": {comment}") };
                writeln!(out, "{}", in_a_line(&format!("{id}  until {} UTC  {alerts}  by {author}{why}", clock(until))))?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

//! `richter explain`: why an incident is what it is.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::anyhow;

use crate::declare::contract::{Body, Data};

use super::events::Where;
use super::render::{clock, levels};
use super::{Failure, Format, Outcome, put, stdout};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The incident's id; without one, the last incident there is
    incident: Option<String>,
    #[command(flatten)]
    events: Where,
    /// text tells the reasons; json prints the incident as of its last event
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let last = last(&arguments.events, arguments.incident.as_deref())?;
    let mut out = stdout();
    match arguments.format {
        Format::Json => put(&mut out, serde_json::to_string(&last)?.as_bytes())?,
        Format::Text => out.write_all(told(&last.incident)?.as_bytes())?,
    }
    out.flush()?;
    Ok(())
}

/// The last event of an incident; of the last one where none is named.
pub(super) fn last(events: &Where, incident: Option<&str>) -> Result<Data, Failure> {
    let mut last: Option<Data> = None;
    events.read(|data| {
        if incident.is_none_or(|wanted| wanted == data.incident.id) {
            last = Some(data);
        }
    })?;
    let which = incident.map_or_else(|| "no incident".to_owned(), |id| format!("no incident {id}"));
    last.ok_or_else(|| Failure::CouldNot(anyhow!("{which} among the events")))
}

/// The reasons, in words and nats: a nat more makes a thing 2.7 times as likely.
fn told(incident: &Body) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let evidence = &incident.evidence;
    writeln!(out, "{}", incident.title)?;
    writeln!(out, "{}, {}, event {}\n", incident.id, incident.state, incident.sequence)?;
    writeln!(out, "Why this level")?;
    for level in &incident.levels {
        writeln!(out, "  {}", levels(level))?;
    }
    for told in &incident.history {
        writeln!(out, "  {}  {:<10} {}", clock(&told.at), told.event.as_str(), told.reason)?;
    }
    writeln!(out, "\nWhy these belong together")?;
    for member in &evidence.members {
        let what = format!("{} {} {}", member.kind.as_str(), member.name, member.entity);
        writeln!(out, "  {}  {what}: {} {:+.1}", clock(&member.started_at), member.joined, member.joined_nats)?;
        if let Some(why) = &member.suppressed {
            writeln!(out, "                    makes no fault: {why}")?;
        }
    }
    for counted in &evidence.counted {
        writeln!(out, "  only counted: {} of {} {}, {} of them lasting", counted.told, counted.name, counted.entity, counted.firing)?;
    }
    let shown = evidence.members.len() as u64;
    if evidence.members_total > shown {
        writeln!(out, "  {shown} of {} are shown", evidence.members_total)?;
    }
    writeln!(out, "\nWho is suspected")?;
    for suspect in &evidence.suspects {
        writeln!(out, "  {} {:.0}%", suspect.entity, suspect.probability * 100.0)?;
        for part in &suspect.evidence {
            writeln!(out, "    {:+.2}  {}", part.nats, part.what)?;
        }
    }
    if evidence.undetermined {
        writeln!(out, "  none of them stands out: undetermined")?;
    }
    writeln!(out, "  that no change has to do with it: {:.0}%", evidence.no_change * 100.0)?;
    Ok(out)
}

//! `richter explain`: why an incident is what it is.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::contract::{Body, Evidence, Part};
use crate::model::command::RICHTER;
use crate::model::text::clock;

use super::events::Which;
use super::render::levels;
use super::{Format, Outcome, put, stdout};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// text tells the reasons; json prints the data of its last event
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let last = arguments.which.last()?;
    let mut out = stdout();
    match arguments.format {
        Format::Json => put(&mut out, serde_json::to_string(&last)?.as_bytes())?,
        Format::Text => out.write_all(told(&last.incident)?.as_bytes())?,
    }
    out.flush()?;
    Ok(())
}

/// The parts of a score, in short: ` (link +5.1, noise -0.3)`.
fn parts(evidence: &[Part]) -> String {
    let parts = evidence.iter().filter(|part| part.nats != 0.0);
    let parts: Vec<String> = parts.map(|part| format!("{} {:+.1}", part.kind, part.nats)).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
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
    if let Some(measure) = &evidence.measure {
        let (last, worst) = (measure.last.in_numbers(), measure.worst.in_numbers());
        let worst = if worst == last { String::new() } else { format!("; at worst {worst}") };
        writeln!(out, "  measured by {}: {last}{worst}", measure.by_whom())?;
    }
    for told in &incident.history {
        let by = if told.author == RICHTER { String::new() } else { format!("{}: ", told.author) };
        writeln!(out, "  {}  {:<16} {by}{}{}", clock(&told.at), told.event.as_str(), told.reason, parts(&told.evidence))?;
    }
    writeln!(out, "\nWhy these belong together")?;
    for member in &evidence.members {
        let what = format!("{} {} {}", member.kind.as_str(), member.name, member.entity);
        let other = member.alternative.as_ref().map_or(String::new(), |other| format!("; else with {} {:+.1}", other.entity, other.nats));
        writeln!(
            out,
            "  {}  {what}: {} {:+.1}{}{other}",
            clock(&member.started_at),
            member.joined,
            member.joined_nats,
            parts(&member.evidence)
        )?;
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
    for merged in &incident.merged {
        writeln!(out, "  {merged} is part of it")?;
    }
    if let Some(into) = &incident.merged_into {
        writeln!(out, "  it is part of {into}")?;
    }
    if !incident.related.is_empty() {
        writeln!(out, "\nWhat is related")?;
    }
    for related in &incident.related {
        writeln!(out, "  {}: {}", related.incident, related.why)?;
    }
    suspected(evidence, &mut out)?;
    Ok(out)
}

fn suspected(evidence: &Evidence, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\nWho is suspected")?;
    for suspect in &evidence.suspects {
        writeln!(out, "  {} {:.0}%", suspect.entity, suspect.probability * 100.0)?;
        for part in &suspect.evidence {
            let reference = part.reference.as_ref().map_or(String::new(), |reference| format!("  [{reference}]"));
            writeln!(out, "    {:+.2}  {}{reference}", part.nats, part.what)?;
        }
        for metric in &suspect.metrics {
            writeln!(out, "    {:.0}%  seen by {} {}", metric.probability * 100.0, metric.name, metric.labels)?;
            for one in &metric.dimensions {
                let (share, lift) = (one.coverage * 100.0, one.lift);
                writeln!(out, "         {share:.0}% of it by {}, {lift:.1} times as far off as the whole", one.labels)?;
            }
        }
        if let Some(change) = &suspect.change {
            writeln!(out, "    {:.0}%  made by its change {change}", suspect.change_probability * 100.0)?;
        }
    }
    if evidence.undetermined {
        writeln!(out, "  none of them stands out: undetermined")?;
    }
    if evidence.changes.is_empty() && evidence.suspects.iter().all(|suspect| suspect.change.is_none()) {
        writeln!(out, "  no change near its onset is known")?;
    } else {
        writeln!(out, "  that no change has to do with it: {:.0}%", evidence.no_change * 100.0)?;
    }
    Ok(())
}

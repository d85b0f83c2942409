//! `richter explain`: why an incident is what it is.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use serde_json::Value;

use crate::shell::incidents;

use super::render::{clock, levels, list, text};
use super::{Failure, Format, Outcome, config, put, stdout};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The incident's id; without one, the last incident there is
    incident: Option<String>,
    /// Events, one JSON object a line, as replay and demo print them; `-` is stdin. Without it, the incidents topic
    #[arg(long)]
    events: Option<PathBuf>,
    /// The settings file, or the directory that holds it as richter.yaml: where the incidents topic is
    #[arg(long, default_value = "config/richter.yaml")]
    config: PathBuf,
    /// text tells the reasons; json prints the incident's last event
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let mut last: Option<Value> = None;
    let mut take = |payload: &[u8]| {
        let Ok(event) = serde_json::from_slice::<Value>(payload) else { return };
        let id = text(&event, "/data/incident/id");
        if !id.is_empty() && arguments.incident.as_ref().is_none_or(|wanted| wanted == id) {
            last = Some(event);
        }
    };
    match &arguments.events {
        Some(path) => read(path, &mut take)?,
        None => incidents(&config(&arguments.config)?.settings, &mut take)?,
    }
    let Some(event) = last else {
        let which = arguments.incident.as_ref().map_or_else(|| "no incident".to_owned(), |id| format!("no incident {id}"));
        return Err(Failure::CouldNot(anyhow!("{which} among the events")));
    };
    let mut out = stdout();
    match arguments.format {
        Format::Json => put(&mut out, event.to_string().as_bytes())?,
        Format::Text => out.write_all(told(&event["data"]["incident"])?.as_bytes())?,
    }
    out.flush()?;
    Ok(())
}

fn read(path: &Path, take: &mut impl FnMut(&[u8])) -> anyhow::Result<()> {
    let input: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(std::io::stdin()),
        _ => Box::new(std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?),
    };
    for line in BufReader::new(input).split(b'\n') {
        take(&line.with_context(|| format!("cannot read {}", path.display()))?);
    }
    Ok(())
}

/// The reasons, in words and nats: a nat more makes a thing 2.7 times as likely.
fn told(incident: &Value) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(out, "{}", text(incident, "/title"))?;
    writeln!(out, "{}, {}, event {}\n", text(incident, "/id"), text(incident, "/state"), incident["sequence"])?;
    writeln!(out, "Why this level\n  {}", levels(incident))?;
    for told in list(incident, "/history") {
        writeln!(out, "  {}  {:<10} {}", clock(text(told, "/at")), text(told, "/event"), text(told, "/reason"))?;
    }
    writeln!(out, "\nWhy these belong together")?;
    for member in list(incident, "/members") {
        let what = format!("{} {} {}", text(member, "/kind"), text(member, "/name"), text(member, "/entity"));
        let nats = member["joined_nats"].as_f64().unwrap_or_default();
        writeln!(out, "  {}  {what}: {} {nats:+.1}", clock(text(member, "/started_at")), text(member, "/joined"))?;
        if let Some(why) = member["suppressed"].as_str() {
            writeln!(out, "                    makes no fault: {why}")?;
        }
    }
    for counted in list(incident, "/counted") {
        let (name, entity) = (text(counted, "/name"), text(counted, "/entity"));
        writeln!(out, "  only counted: {} of {name} {entity}, {} of them lasting", counted["told"], counted["firing"])?;
    }
    let shown = list(incident, "/members").len() as u64;
    let all = incident["members_total"].as_u64().unwrap_or_default();
    if all > shown {
        writeln!(out, "  {shown} of {all} are shown")?;
    }
    writeln!(out, "\nWho is suspected")?;
    for suspect in list(incident, "/suspects") {
        let share = suspect["probability"].as_f64().unwrap_or_default() * 100.0;
        writeln!(out, "  {} {share:.0}%", text(suspect, "/entity"))?;
        for part in list(suspect, "/evidence") {
            writeln!(out, "    {:+.2}  {}", part["nats"].as_f64().unwrap_or_default(), text(part, "/what"))?;
        }
    }
    if incident["undetermined"].as_bool() == Some(true) {
        writeln!(out, "  none of them stands out: undetermined")?;
    }
    let no_change = incident["no_change"].as_f64().unwrap_or_default() * 100.0;
    writeln!(out, "  that no change has to do with it: {no_change:.0}%")?;
    Ok(out)
}

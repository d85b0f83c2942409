//! `richter check`: every fault of all files at once.

use std::io::Write;
use std::path::PathBuf;

use crate::model::duration;
use crate::model::text::counted;
use crate::rules::Kind;
use crate::shell::files::load;
use crate::shell::missing_secrets;

use super::{Failure, Format, Outcome, in_lines, stdout};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The settings file, or the directory that holds it as richter.yaml
    #[arg(long, default_value = "config/richter.yaml")]
    config: PathBuf,
    /// How the faults are written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let checked = load(&arguments.config)?;
    let faults = checked.as_ref().err().cloned().unwrap_or_default();
    let mut out = stdout();
    match arguments.format {
        Format::Text => out.write_all(in_lines(&faults).as_bytes())?,
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&faults)?)?,
    }
    out.flush()?;
    match checked {
        Ok(loaded) => {
            let (monitors, sources) = (loaded.config.rules.monitors.len(), loaded.settings.sources.len());
            eprintln!("fine: {}, {}", counted(monitors, "monitor"), counted(sources, "source"));
            for (number, what) in [(sources, "source: nothing is read"), (monitors, "monitor: nothing is watched")] {
                if number == 0 {
                    eprintln!("note: there is no {what}");
                }
            }
            let reads = |kind: Kind| loaded.settings.sources.iter().any(|source| source.kind == kind);
            let watched: Vec<Kind> = loaded.config.rules.monitors.iter().map(|monitor| monitor.input.kind()).collect();
            for (kind, what) in [(Kind::Metrics, "metrics: no query"), (Kind::Alerts, "alerts: no monitor of alerts")] {
                if sources > 0 && watched.contains(&kind) && !reads(kind) {
                    eprintln!("note: there is no source of {what} is ever told anything");
                }
            }
            for note in &loaded.config.rules.notes {
                eprintln!("note: {note}");
            }
            let (idle, session) = (loaded.settings.tuning.idle_after, loaded.settings.session());
            if idle < session * 2 {
                let (idle, session) = (duration::show(idle), duration::show(session));
                eprintln!(
                    "note: time.idle_after of {idle} is too near to Kafka's session.timeout.ms of {session}: what a dead instance read is \
                     let go of before another one reads it, and looks like missing data"
                );
            }
            for missing in missing_secrets(&loaded.settings) {
                eprintln!("note: {missing}; `run` needs it");
            }
            for (monitor, _) in loaded.config.rules.watches().filter(|(_, watch)| watch.query.key_scope().is_none()) {
                let name = &monitor.name;
                eprintln!("note: {name}: its query needs all series in one place, so one instance does its work; `by (..)` spreads it");
            }
            Ok(())
        }
        Err(_) => {
            eprintln!("{} in the configuration", counted(faults.len(), "fault"));
            Err(Failure::No)
        }
    }
}

//! `richter decode`: what the daemon would read from records, so that a source can be tried before it is configured.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::ValueEnum;
use serde_json::{Value as Json, json};

use crate::model::{Command, Order, Signal, Timestamp, Value, value::is_stale};
use crate::rules::{Dependency, Fault, Files, Format, Kind, Source, Unit, check};
use crate::wire::decoder::Decoder;
use crate::wire::metrics::{self, Context, Scratch, Sink};
use crate::wire::recording::Recorded;
use crate::wire::{Reject, SeriesBuf, commands, shape};

use super::{Failure, Outcome, config, eval::written, put, replay, stdout, topics};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What the records are
    #[arg(long, value_enum, required_unless_present = "source")]
    kind: Option<What>,
    /// How they are written; `auto` knows the JSON shapes by their marks
    #[arg(long, default_value = "auto")]
    format: String,
    /// The topic of a source: its records are read as the settings say, with its mapping
    #[arg(long, value_name = "TOPIC", conflicts_with_all = ["kind", "format", "timestamp_unit"])]
    source: Option<String>,
    /// The settings file, or the directory that holds it as richter.yaml: where that source is
    #[arg(long, default_value = "config/richter.yaml")]
    config: PathBuf,
    /// The files hold recordings as `kcat -C -J` prints them, not one record's payload each
    #[arg(long)]
    recording: bool,
    /// A header of the record, its value in hexadecimal; for payloads
    #[arg(long, value_name = "NAME=HEX")]
    header: Vec<String>,
    /// What a bare number of time counts, where it is not what the format says: s, ms, us or ns
    #[arg(long, value_parser = unit)]
    timestamp_unit: Option<Unit>,
    /// When a payload was appended: RFC 3339; now where it is missing
    #[arg(long, value_parser = Timestamp::parse)]
    appended: Option<Timestamp>,
    /// Files
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    Metrics,
    Alerts,
    Changes,
    /// Operators' commands
    Commands,
    /// A topology file: ours, a catalog, or another that is known
    Topology,
}

fn value_of(value: &Value) -> Json {
    if value.float().is_some_and(is_stale) { json!("stale") } else { written(value) }
}

fn unit(text: &str) -> Result<Unit, String> {
    serde_json::from_value(json!(text)).map_err(|_| "one of s, ms, us, ns".into())
}

/// Samples as lines.
struct Lines(Vec<Json>);

impl Sink for Lines {
    fn sample(&mut self, series: &SeriesBuf, at: Timestamp, value: Value) {
        self.0.push(json!({"sample": series.labels(), "timestamp": at.to_string(), "value": value_of(&value)}));
    }

    fn refuse(&mut self, reject: Reject) {
        self.0.push(json!({"refused": reject.reason, "detail": reject.detail}));
    }

    fn skip(&mut self, reason: &'static str) {
        self.0.push(json!({"skipped": reason}));
    }
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let (mut lines, mut is_at_fault) = (vec![], false);
    if arguments.kind == Some(What::Topology) {
        for path in &arguments.files {
            let (dependencies, faults) = topology(path)?;
            eprint!("{}", super::in_lines(&faults));
            is_at_fault |= !faults.is_empty();
            lines.extend(dependencies);
        }
    } else {
        let source = source(arguments)?;
        for path in &arguments.files {
            let records = if arguments.recording { replay::read(path)? } else { vec![payload(arguments, path)?] };
            lines.extend(records.iter().flat_map(|record| decode(&source, record)));
        }
    }
    let mut out = stdout();
    for line in &lines {
        put(&mut out, line.to_string().as_bytes())?;
    }
    out.flush()?;
    if is_at_fault || lines.is_empty() || lines.iter().all(|line| line["refused"].is_string()) { Err(Failure::No) } else { Ok(()) }
}

fn payload(arguments: &Arguments, path: &Path) -> anyhow::Result<Recorded> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let header = |text: &String| {
        let (name, hex) = text.split_once('=')?;
        let digits = |at: usize| hex.get(at..at + 2).filter(|pair| pair.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let byte = |at: usize| u8::from_str_radix(digits(at)?, 16).ok();
        Some((name.to_owned(), (0..hex.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?))
    };
    let headers = arguments.header.iter().map(|text| header(text).ok_or_else(|| anyhow!("--header {text}: write NAME=HEX")));
    let headers = headers.collect::<Result<Vec<_>, _>>()?;
    let ts = arguments.appended.unwrap_or_else(crate::shell::now);
    Ok(Recorded { ts, headers, payload: Some(bytes), ..Recorded::default() })
}

/// How the records are written: as the settings say of that source, or as the options do.
fn source(arguments: &Arguments) -> Result<Source, Failure> {
    if let Some(topic) = &arguments.source {
        let settings = config(&arguments.config)?.settings;
        let found = settings.sources.iter().find(|source| source.topic == *topic).cloned();
        return found.ok_or_else(|| Failure::CouldNot(anyhow!("{topic:?} is no source; sources are {}", topics(&settings))));
    }
    if arguments.timestamp_unit.is_some() && arguments.kind != Some(What::Metrics) {
        return Err(Failure::CouldNot(anyhow!("--timestamp-unit is for --kind metrics")));
    }
    let kind = match arguments.kind {
        None | Some(What::Metrics | What::Topology) => Kind::Metrics,
        Some(What::Alerts) => Kind::Alerts,
        Some(What::Changes) => Kind::Changes,
        Some(What::Commands) => Kind::Commands,
    };
    let Some((format, mapping)) = Format::named(kind, &arguments.format) else {
        return Err(Failure::CouldNot(anyhow!("--format {}: there are {}", arguments.format, Format::names(kind).join(", "))));
    };
    if format == Format::Mapped && mapping.is_none() {
        return Err(Failure::CouldNot(anyhow!("--format mapped: by which mapping? Name the source that has it: --source TOPIC")));
    }
    Ok(Source { topic: String::new(), kind, format, mapping, unit: arguments.timestamp_unit, promote: vec![] })
}

fn decode(source: &Source, record: &Recorded) -> Vec<Json> {
    let Source { kind, format, mapping, unit, promote, .. } = source;
    let headers: Vec<(&str, &[u8])> = record.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let decoder = Decoder::new(*kind, *format, mapping.clone());
    let signals = match kind {
        Kind::Metrics => {
            let format = if *format == Format::Auto { shape(record.bytes()).unwrap_or(*format) } else { *format };
            eprintln!("format: {}", format.name());
            let context = Context { appended: record.ts, unit: *unit, promote, version: metrics::version(&headers) };
            let (mut lines, mut scratch) = (Lines(vec![]), Scratch::default());
            if let Err(reject) = metrics::decode(format, record.bytes(), &context, &mut scratch, &mut lines) {
                lines.refuse(reject);
            }
            return lines.0;
        }
        Kind::Alerts => decoder.alerts(record.bytes(), record.ts),
        Kind::Changes => decoder.changes(record.bytes(), &headers, record.ts),
        Kind::Commands => commands::decode(record.bytes(), record.ts),
    };
    let refused = |reject: &Reject| json!({"refused": reject.reason, "detail": reject.detail});
    match signals {
        Ok(parts) => parts.iter().map(|part| part.as_ref().map_or_else(refused, signal)).collect(),
        Err(reject) => vec![refused(&reject)],
    }
}

fn signal(signal: &Signal) -> Json {
    match signal {
        Signal::Alert(alert) => json!({
            "alert": alert.labels,
            "fingerprint": alert.fingerprint.to_string(),
            "summary": alert.summary,
            "starts_at": alert.starts_at.to_string(),
            "ends_at": alert.ends_at.map(|at| at.to_string()),
            "recalled": alert.recalled,
        }),
        Signal::Resolved { fingerprint, at } => json!({"resolved": fingerprint.to_string(), "at": at.to_string()}),
        Signal::Change(change) => json!({
            "change": change.labels,
            "id": change.id,
            "source": change.source,
            "kind": change.kind,
            "summary": change.summary,
            "at": change.at.to_string(),
        }),
        Signal::Command(Command { id, author, at, comment, order }) => {
            let (about, details) = match order {
                Order::Silence { alerts, until } => (None, json!({"alerts": alerts, "until": until.to_string()})),
                Order::Unsilence { silence } => (None, json!({"silence": silence})),
                Order::Declare { level, scenario, entity, .. } => (None, json!({"level": level, "scenario": scenario, "entity": entity})),
                Order::On { incident, act } => (Some(incident), json!(act)),
            };
            json!({
                "command": order.as_str(),
                "id": id,
                "author": author,
                "at": at.to_string(),
                "comment": comment,
                "incident": about,
                "details": details,
            })
        }
        Signal::Breach(_) | Signal::Hint(_) | Signal::Good(_) => Json::Null,
    }
}

fn topology(path: &Path) -> anyhow::Result<(Vec<Json>, Vec<Fault>)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let files = Files { topology: vec![(path.display().to_string(), text)], ..Files::default() };
    let (rules, faults) = check(&files);
    let mut dependencies: Vec<Dependency> = rules.topology.dependencies().collect();
    dependencies.sort_by(|a, b| (&a.from, &a.on).cmp(&(&b.from, &b.on)));
    let told = |of: Dependency| json!({"depends": of.from, "on": of.on, "confidence": of.confidence});
    Ok((dependencies.into_iter().map(told).collect(), faults))
}

//! `richter demo`: a recorded fault on a small shop, on the embedded log. Everything it needs is in the program.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, anyhow};
use serde_json::json;

use crate::model::Timestamp;
use crate::rules::{Fault, Place};
use crate::shell::files::{Loaded, checked};
use crate::stage::Topic;
use crate::wire::recording::{Recorded, line};

use super::{Format, Outcome, history, put, render, replay::replay, stdout};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// text tells the story; json prints the CloudEvents, one a line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Print the events of so many simulated faults and of those who handle them instead, one a line, for `richter report`
    #[arg(long, value_name = "FAULTS", conflicts_with = "format")]
    history: Option<usize>,
    /// Of the simulation
    #[arg(long, default_value_t = 7, requires = "history")]
    seed: u64,
}

const CONFIG: [(&str, &str); 7] = [
    ("config/richter.yaml", include_str!("../../config/richter.yaml")),
    ("config/monitors/shop.yaml", include_str!("../../config/monitors/shop.yaml")),
    ("config/levels.yaml", include_str!("../../config/levels.yaml")),
    ("config/topology.yaml", include_str!("../../config/topology.yaml")),
    ("config/duty.yaml", include_str!("../../config/duty.yaml")),
    ("config/plans.yaml", include_str!("../../config/plans.yaml")),
    ("config/suppress.yaml", include_str!("../../config/suppress.yaml")),
];

/// Series of the Numenta Anomaly Benchmark and the parts they play; see `demo/README.md`.
const ORDERS: &str = include_str!("../../demo/nab/machine_temperature_system_failure.csv");
const DATABASE_CPU: &str = include_str!("../../demo/nab/ec2_cpu_utilization_fe7f93.csv");
const STAGED: &str = include_str!("../../demo/staged.jsonl");

/// The server's load of 2014-02-17 05:47 falls on 2013-12-16 15:22.
const DATABASE_SHIFT_MS: i64 = (1_387_207_320 - 1_392_616_020) * 1000;

/// Where the first series is cut off, 2013-12-18; so is the second.
const END: Timestamp = Timestamp(1_387_324_800_000);

/// 2013-12-15: by then two weeks have taught what is normal.
const SINCE: Timestamp = Timestamp(1_387_065_600_000);

const METRICS: &str = "metrics";

const INTRODUCTION: &str = "\
Richter, a fault on a small shop. The two metrics are recordings (Numenta Anomaly Benchmark), two weeks
at five minutes; the shop around them, its alerts and its deploys are staged. The rules are those in config/.
What was before 15 December is history: it teaches what is normal, and nobody is told of it.
";

const DOSSIER: &str = "\
What is left for the review is its dossier, complete by now. `richter dossier --events FILE --format html` writes it as a
page, with the breach's plot; the events are what `richter demo --format json` prints.";

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let mut out = stdout();
    if let Some(faults) = arguments.history {
        for message in history::events(faults, arguments.seed)? {
            put(&mut out, &message.payload)?;
        }
        out.flush()?;
        return Ok(());
    }
    let config = config()?;
    let records = records()?;
    if arguments.format == Format::Text {
        writeln!(out, "{INTRODUCTION}")?;
    }
    let mut last: Option<Vec<u8>> = None;
    replay(&config, &records, Some(SINCE), false, |record, output| {
        if arguments.format == Format::Text && record.topic != METRICS {
            out.write_all(render::input(record).as_bytes())?;
        }
        for message in output.messages.iter().filter(|m| m.topic == Topic::Incidents) {
            match arguments.format {
                Format::Json => put(&mut out, &message.payload)?,
                Format::Text => out.write_all(render::event(&message.payload)?.as_bytes())?,
            }
            last = Some(message.payload.clone());
        }
        Ok(())
    })?;
    if let Some(event) = last.filter(|_| arguments.format == Format::Text) {
        writeln!(out, "\n{DOSSIER}\n\n{}", render::dossier(&event)?)?;
    }
    out.flush()?;
    Ok(())
}

fn config() -> anyhow::Result<Loaded> {
    let read = |patterns: &[(String, Place)], _: &mut Vec<Fault>| {
        let start = |pattern: &str| format!("config/{}", pattern.split('*').next().unwrap_or_default());
        let fits = |file: &str| patterns.iter().any(|(pattern, _)| file.starts_with(&start(pattern)));
        CONFIG.iter().filter(|(file, _)| fits(file)).map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect()
    };
    let (file, text) = CONFIG[0];
    checked(file, text, &BTreeMap::new(), &read).map_err(|faults| anyhow!("the demo's own configuration: {faults:?}"))
}

/// The recorded series and the staged alerts and changes, in order of time.
fn records() -> anyhow::Result<Vec<Recorded>> {
    let mut records = series("orders_per_minute", "checkout", ORDERS, 0)?;
    records.extend(series("database_cpu_percent", "payments-db", DATABASE_CPU, DATABASE_SHIFT_MS)?);
    for text in STAGED.lines() {
        records.push(line(text.as_bytes()).map_err(|why| anyhow!("demo/staged.jsonl: {why}"))?);
    }
    records.sort_by_key(|r| r.ts);
    Ok(records)
}

/// A benchmark's file (`timestamp,value`) as the records prometheus-kafka-adapter would have written.
fn series(metric: &str, service: &str, csv: &str, shift_ms: i64) -> anyhow::Result<Vec<Recorded>> {
    let sample = |row: &str| {
        let (time, value) = row.split_once(',').with_context(|| format!("{metric}: no value in {row:?}"))?;
        let at = Timestamp::parse(&format!("{}Z", time.replace(' ', "T"))).map_err(|why| anyhow!("{metric}: {why}"))?;
        let at = Timestamp(at.0 + shift_ms);
        let labels = json!({"__name__": metric, "service": service});
        let payload = json!({"labels": labels, "name": metric, "timestamp": at.to_string(), "value": value.trim()});
        Ok(Recorded { topic: METRICS.into(), ts: at, payload: Some(payload.to_string().into_bytes()), ..Recorded::default() })
    };
    let samples: anyhow::Result<Vec<Recorded>> = csv.lines().skip(1).map(sample).collect();
    Ok(samples?.into_iter().filter(|r| r.ts < END).collect())
}

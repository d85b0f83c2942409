//! `richter replay`: recordings through the stages, deterministically.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::engine::Pipeline;
use crate::model::text::counted;
use crate::model::{Origin, Timestamp};
use crate::rules::Monitor;
use crate::shell::files::Loaded;
use crate::stage::{Count, Limit, Outbox, Outcome, Record, Topic};
use crate::wire::csv::time;
use crate::wire::recording::{Recorded, line};

use super::{Format, Outcome as Exit, config, put, render, stdout, topics};

/// Dead letters that are shown, of each topic and reason; of more the number is told.
const LETTERS_SHOWN: usize = 10;

/// Names that are told of the alerts without a definition.
const UNGRADED_SHOWN: usize = 20;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The settings file, or the directory that holds it as richter.yaml
    #[arg(long, default_value = "config/richter.yaml")]
    config: PathBuf,
    /// text tells the story; json prints the CloudEvents, one a line
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Write the decision log here, one JSON object a line
    #[arg(long)]
    trace: Option<PathBuf>,
    /// What was over before then only teaches, as what Kafka still holds when Richter first listens: RFC 3339, a day, or
    /// seconds since the epoch
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Recordings as `kcat -C -J` prints them; several are merged by time
    #[arg(required = true)]
    recordings: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let config = config(&arguments.config)?;
    let mut records = vec![];
    for path in &arguments.recordings {
        records.extend(read(path)?);
    }
    // Stable: records of one time stay in the order of their files and lines.
    records.sort_by_key(|record| record.ts);
    let mut trace = arguments.trace.as_deref().map(create).transpose()?;
    let mut out = stdout();
    let mut letters: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut counts: BTreeMap<Count, u64> = BTreeMap::new();
    let pipeline = replay(&config, &records, arguments.since, arguments.trace.is_some(), |_, output| {
        for message in output.messages.iter().filter(|m| m.topic == Topic::Incidents) {
            match arguments.format {
                Format::Json => put(&mut out, &message.payload)?,
                Format::Text => out.write_all(render::event(&message.payload)?.as_bytes())?,
            }
        }
        for (count, number) in &output.counts {
            *counts.entry(count.clone()).or_default() += number;
        }
        for letter in output.messages.iter().filter(|m| m.topic == Topic::DeadLetter) {
            let reason = letter.headers.iter().find(|(name, _)| *name == "reason").map(|(_, reason)| reason.clone());
            let number = letters.entry((letter.key.clone(), reason.unwrap_or_default())).or_default();
            *number += 1;
            if *number <= LETTERS_SHOWN {
                eprintln!("dead letter: {}", String::from_utf8_lossy(&letter.payload));
            }
        }
        if let Some(trace) = &mut trace {
            for decision in &output.trace {
                put(trace, decision.to_string().as_bytes())?;
            }
        }
        Ok(())
    })?;
    if let Some(trace) = &mut trace {
        // What is open was ranked when it doubled last, and may have given away or taken in much since.
        for ranking in pipeline.rankings() {
            put(trace, ranking.to_string().as_bytes())?;
        }
        trace.flush()?;
    }
    out.flush()?;
    for ((topic, reason), number) in letters.iter().filter(|(_, number)| **number > LETTERS_SHOWN) {
        eprintln!("dead letters of {topic} in all: {number} {reason}");
    }
    tell_strangers(&config, &records);
    tell_what_was_left_out(&counts);
    name_monitors("nothing was heard of", pipeline.unheard(&config.config));
    name_monitors("measured, but their queries never gave a value", pipeline.valueless(&config.config));
    Ok(())
}

fn name_monitors<'m>(what: &str, monitors: impl Iterator<Item = &'m Monitor>) {
    let names: Vec<&str> = monitors.map(|monitor| monitor.name.as_str()).collect();
    if !names.is_empty() {
        eprintln!("{what}: {}", names.join(", "));
    }
}

fn told(number: u64, what: &str) -> String {
    counted(usize::try_from(number).unwrap_or(usize::MAX), what)
}

/// Says what was not taken in, or makes no fault, though somebody may have meant it to.
fn tell_what_was_left_out(counts: &BTreeMap<Count, u64>) {
    for (count, number) in counts {
        match count {
            Count::Samples(Outcome::Late) => eprintln!("late, and not taken in: {}; see time.lateness", told(*number, "sample")),
            Count::Limited(_, Limit::Incidents) => eprintln!("not declared, for there are too many incidents: {}", told(*number, "member")),
            Count::Limited(monitor, limit) => {
                eprintln!("refused by the limit of {} of {monitor}: {}", limit.as_str(), told(*number, "time"))
            }
            Count::Suppressed(by) => eprintln!("suppressed by {by}, so no fault: {}", told(*number, "member")),
            Count::Unmatched(monitor) => {
                eprintln!("not evaluated, for its vectors do not match: {monitor}, {}", told(*number, "time"));
            }
            _ => {}
        }
    }
    let ungraded = counts.iter().filter_map(|(count, number)| match count {
        Count::Ungraded(name) => Some((*number, name)),
        _ => None,
    });
    let ungraded: BTreeSet<(u64, &String)> = ungraded.collect();
    if !ungraded.is_empty() {
        let all: u64 = ungraded.iter().map(|(number, _)| number).sum();
        let most: Vec<String> = ungraded.iter().rev().take(UNGRADED_SHOWN).map(|(number, name)| format!("{name} {number}")).collect();
        let more = if ungraded.len() > most.len() { format!(" and {} other names", ungraded.len() - most.len()) } else { String::new() };
        eprintln!("without a definition, so evidence only: {}: {}{more}", told(all, "alert"), most.join(", "));
    }
}

/// Says which records no source is for.
fn tell_strangers(config: &Loaded, records: &[Recorded]) {
    let sources = &config.settings.sources;
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    for record in records.iter().filter(|record| sources.iter().all(|source| source.topic != record.topic)) {
        *others.entry(&record.topic).or_default() += 1;
    }
    for (topic, number) in others {
        let records = counted(number, "record");
        eprintln!("not read: {records} of {topic:?}, which is no source; sources are {}", topics(&config.settings));
    }
    if records.is_empty() {
        eprintln!("there are no records");
    }
}

/// Runs records through the composed stages, and gives those; `take` gets each record and what came of it. What was over
/// by `since` only teaches; the whole decision log is told where it is `traced`.
pub(super) fn replay(
    loaded: &Loaded,
    records: &[Recorded],
    since: Option<Timestamp>,
    traced: bool,
    mut take: impl FnMut(&Recorded, &Outbox) -> anyhow::Result<()>,
) -> anyhow::Result<Pipeline> {
    let origins = records.iter().map(|r| Origin { topic: r.topic.clone(), partition: r.partition });
    let sources = |o: &Origin| loaded.settings.sources.iter().any(|s| s.topic == o.topic);
    let (mut pipeline, _) = Pipeline::new(&loaded.config, &loaded.settings, origins.filter(sources));
    if let Some(since) = since {
        pipeline.listen_since(since);
    }
    if traced {
        pipeline = pipeline.traced();
    }
    for recorded in records {
        let Some(payload) = &recorded.payload else { continue };
        let headers: Vec<(&str, &[u8])> = recorded.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let record = Record {
            topic: &recorded.topic,
            partition: recorded.partition,
            offset: recorded.offset,
            timestamp: recorded.ts,
            headers: &headers,
            payload,
        };
        take(recorded, &pipeline.push(&record))?;
    }
    Ok(pipeline)
}

/// The records of a file.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Recorded>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut records = vec![];
    for (number, text) in BufReader::new(file).split(b'\n').enumerate() {
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        if text.trim_ascii().is_empty() {
            continue;
        }
        records.push(line(&text).map_err(|why| anyhow::anyhow!("{}:{}: {why}", path.display(), number + 1))?);
    }
    Ok(records)
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    File::create(path).map(BufWriter::new).with_context(|| format!("cannot write {}", path.display()))
}

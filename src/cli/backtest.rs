//! `richter backtest`: series through a monitor's judges; one JSON object a value, and how often it would have paged.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde::Serialize;

use crate::detect::Trial;
use crate::model::text::counted;
use crate::model::{Judge, Timestamp, duration};
use crate::rules::{Files, JudgeRules, check};
use crate::wire::csv::{Series, read, time};

use super::{Failure, Outcome, in_lines, plot, stdout};

const DAY: Duration = Duration::from_secs(86_400);

const MONTH: Duration = Duration::from_secs(30 * 86_400);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Tables of `timestamp,value`; times in seconds or as YYYY-MM-DD hh:mm:ss
    #[arg(required = true)]
    series: Vec<PathBuf>,
    /// A file of monitors; the first that has judges judges the series. Without it: a baseline as it is by default
    #[arg(long)]
    monitor: Option<PathBuf>,
    /// Which of the file's monitors
    #[arg(long, requires = "monitor")]
    name: Option<String>,
    /// Files with the calendars that the monitor names
    #[arg(long, requires = "monitor")]
    duty: Vec<PathBuf>,
    /// Files with the scenarios, sequences and grades of assets that the monitor names
    #[arg(long, requires = "monitor")]
    levels: Vec<PathBuf>,
    /// Draws the series, the expected band and the breaches into this SVG file; of one series
    #[arg(long)]
    plot: Option<PathBuf>,
    /// The first value that is shown, in the series' own times; all before it is learnt from
    #[arg(long, value_parser = time)]
    start: Option<Timestamp>,
    /// The last value that is shown
    #[arg(long, value_parser = time)]
    end: Option<Timestamp>,
}

/// What became of one value.
#[derive(Debug, Serialize)]
pub(super) struct Point<'s> {
    pub(super) series: &'s str,
    #[serde(serialize_with = "seconds")]
    pub(super) timestamp: Timestamp,
    pub(super) value: Option<f64>,
    pub(super) expected: Option<f64>,
    pub(super) lower: Option<f64>,
    pub(super) upper: Option<f64>,
    /// None while it is learning.
    pub(super) score: Option<f64>,
    /// The judge of the breach that is open, if one is.
    pub(super) breach: Option<Judge>,
}

fn seconds<S: serde::Serializer>(at: &Timestamp, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64(at.0 as f64 / 1000.0)
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    if arguments.plot.is_some() && arguments.series.len() > 1 {
        return Err(Failure::CouldNot(anyhow!("a plot is of one series")));
    }
    let mut out = stdout();
    for path in &arguments.series {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let series = read(&text).map_err(|why| anyhow!("{}: {why}", path.display()))?;
        let (rules, every) = rules(arguments, series.every)?;
        let name = path.display().to_string();
        let shown = |at: Timestamp| arguments.start.is_none_or(|start| at >= start) && arguments.end.is_none_or(|end| at <= end);
        let mut points = vec![];
        let opened = judge(&name, &series, &rules, every, |point| {
            if shown(point.timestamp) {
                points.push(point);
            }
        });
        for point in &points {
            serde_json::to_writer(&mut out, point)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        summarise(&name, &series, &rules, every, opened);
        if let Some(path) = &arguments.plot {
            let drawn = plot::svg(&points, every).map_err(|why| anyhow!("the plot: {why}"))?;
            std::fs::write(path, drawn).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// The judges, and the step they are for.
fn rules(arguments: &Arguments, every: Duration) -> Result<(JudgeRules, Duration), Failure> {
    let (name, text) = match &arguments.monitor {
        Some(path) => (path.display().to_string(), text(path)?),
        None => ("default".to_owned(), default(every)),
    };
    let read = |path: &PathBuf| Ok((path.display().to_string(), self::text(path)?));
    let duty = arguments.duty.iter().map(read).collect::<anyhow::Result<_>>()?;
    let levels = arguments.levels.iter().map(read).collect::<anyhow::Result<_>>()?;
    let (rules, faults) = check(&Files { monitors: vec![(name.clone(), text)], duty, levels, ..Files::default() });
    if !faults.is_empty() {
        eprint!("{}", in_lines(&faults));
        return Err(Failure::No);
    }
    let wanted = arguments.name.as_deref();
    let found = rules.watches().find(|(monitor, _)| wanted.is_none_or(|wanted| monitor.name == wanted));
    let Some((monitor, watch)) = found else {
        return Err(Failure::CouldNot(anyhow!("{name} has no such monitor with judges")));
    };
    if watch.every != every {
        let (own, found) = (duration::show(watch.every), duration::show(every));
        eprintln!("note: {} is evaluated every {own}, and the series has a value every {found}", monitor.name);
    }
    if watch.query.share().is_some() {
        eprintln!("note: {} is a share of a count, which the series does not tell; here it is judged without", monitor.name);
    }
    Ok((watch.judge.clone(), watch.every))
}

/// A monitor with the default judge; where a day has too few values it is no season.
fn default(every: Duration) -> String {
    let season = if every * 4 > DAY { "none" } else { "day" };
    let every = duration::show(every);
    format!("monitors: [ {{ name: default, entity: \"a=b\", query: m, every: {every}, judge: {{ baseline: {{ season: {season} }} }} }} ]")
}

fn text(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    if text.trim().is_empty() { bail!("{} is empty", path.display()) } else { Ok(text) }
}

/// Runs the series through the judges; gives how many breaches opened.
fn judge<'s>(name: &'s str, series: &Series, rules: &JudgeRules, every: Duration, mut take: impl FnMut(Point<'s>)) -> usize {
    let mut trial = Trial::new(rules.clone(), every);
    let mut opened = 0;
    for (at, value) in &series.points {
        let Some(tried) = trial.see(*at, *value) else { continue };
        opened += usize::from(tried.opened);
        let number = |number: f64| Some(number).filter(|number| number.is_finite());
        take(Point {
            series: name,
            timestamp: *at,
            value: number(*value),
            expected: tried.reading.and_then(|reading| reading.expected).and_then(number),
            lower: tried.reading.and_then(|reading| reading.lower).and_then(number),
            upper: tried.reading.and_then(|reading| reading.upper).and_then(number),
            score: tried.reading.map(|reading| reading.score),
            breach: tried.breach,
        });
    }
    opened
}

/// How often it would have paged, at this sensitivity and at the ones beside it.
fn summarise(name: &str, series: &Series, rules: &JudgeRules, every: Duration, opened: usize) {
    let (first, last) = (series.points[0].0, series.points[series.points.len() - 1].0);
    let long = last.since(first);
    let monthly = |opened: usize| opened as f64 * MONTH.as_secs_f64() / long.as_secs_f64().max(1.0);
    let days = long.as_secs_f64() / 86_400.0;
    eprintln!("{name}: {} in {days:.1} days, {}: {:.2} a month", counted(series.points.len(), "value"), breaches(opened), monthly(opened));
    let Some(baseline) = &rules.baseline else { return };
    for surprise in [baseline.surprise - 1.0, baseline.surprise + 1.0] {
        let mut other = rules.clone();
        other.baseline = Some(crate::rules::BaselineRule { surprise, ..baseline.clone() });
        let opened = judge(name, series, &other, every, |_| ());
        let one_in = 10f64.powf(f64::from(surprise));
        eprintln!("  were one evaluation in {one_in:.0} allowed to be false, {}: {:.2} a month", breaches(opened), monthly(opened));
    }
}

fn breaches(number: usize) -> String {
    format!("{number} breach{}", if number == 1 { "" } else { "es" })
}

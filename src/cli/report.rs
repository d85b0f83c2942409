//! `richter report`: what past incidents teach, over a period.

use std::io::Write;

use anyhow::anyhow;
use clap::ValueEnum;

use crate::model::Timestamp;
use crate::model::text::{clock, counted, hours};
use crate::report::{Kept, Log, Overdue, Report, Stage};
use crate::wire::csv::time;

use super::document::Document;
use super::events::Where;
use super::{Failure, Outcome, Pages, stdout};

/// Rows of a table.
const ROWS: usize = 15;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    events: Where,
    /// Incidents declared from then on: RFC 3339, a day, or seconds since the epoch; the first one where it is missing
    #[arg(long, value_parser = time)]
    from: Option<Timestamp>,
    /// Incidents declared before then, as they were known by then; after the last event where it is missing
    #[arg(long, value_parser = time)]
    to: Option<Timestamp>,
    /// How it is written
    #[arg(long, value_enum, default_value_t)]
    format: Written,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Written {
    #[default]
    Markdown,
    /// One self-contained page with charts
    Html,
    Json,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let mut log = Log::until(arguments.to);
    arguments.events.read(|data| log.read(data))?;
    // A quiet time has a report as well, where it is said which.
    let (from, to) = match (arguments.from, arguments.to, log.span()) {
        (Some(from), Some(to), _) => (from, to),
        (Some(from), None, span) => (from, Timestamp(span.map_or(from, |(_, last)| last.max(from)).0 + 1)),
        (None, Some(to), span) => (span.map_or(to, |(first, _)| first).min(Timestamp(to.0 - 1)), to),
        (None, None, Some((first, last))) => (first, Timestamp(last.0 + 1)),
        (None, None, None) => return Err(Failure::CouldNot(anyhow!("no incident was declared among the events"))),
    };
    if to <= from {
        return Err(Failure::CouldNot(anyhow!("from {from} to {to} is no time at all")));
    }
    let report = log.report(from, to);
    let mut out = stdout();
    match arguments.format {
        Written::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
        Written::Markdown => out.write_all(document(&report).written(Pages::Markdown).as_bytes())?,
        Written::Html => out.write_all(document(&report).written(Pages::Html).as_bytes())?,
    }
    out.flush()?;
    Ok(())
}

fn document(report: &Report) -> Document {
    let mut document = Document::new(format!("Faults from {} to {}", day(&report.from), day(&report.to)));
    figures(report, &mut document);
    faults(report, &mut document);
    document.heading("Where the time goes");
    let stages = report.stages.iter().map(|(stage, q)| {
        (
            format!("time to {}", stage.as_str()),
            q.median as f64,
            format!("{}, nine in ten within {} ({} known)", hours(q.median), hours(q.p90), q.known),
        )
    });
    document.bars(stages.collect());
    document.heading("The weakest stage of each business");
    let weak = report.weaknesses.iter().map(|weak| {
        let median = format!("{}, elsewhere {}", hours(weak.median), hours(weak.others));
        vec![weak.business.clone(), weak.stage.as_str().to_owned(), median, format!("{:.1} ×", weak.times), weak.incidents.join(", ")]
    });
    document.table(&["business", "stage", "median", "slower", "incidents that show it"], weak.collect());
    let even = report.by_business.keys().filter(|business| report.weaknesses.iter().all(|weak| weak.business != **business));
    let even: Vec<&str> = even.map(String::as_str).collect();
    if !even.is_empty() {
        document.text(format!("No stage stands out, or too little is known: {}.", even.join(", ")));
    }
    trend(report, &mut document);
    document.heading("What keeps coming back");
    let repeats = report.repeats.iter().take(ROWS).map(|repeat| {
        let shown = repeat.incidents.iter().rev().take(3).cloned().collect::<Vec<_>>().join(", ");
        vec![repeat.scenario.clone(), repeat.because.clone(), repeat.incidents.len().to_string(), shown]
    });
    none(report.repeats.is_empty(), &mut document);
    document.table(&["scenario", "because", "times", "the last ones"], repeats.collect());
    document.heading("By level, business and class of root cause");
    let bars = |counts: Vec<(String, usize)>| counts.into_iter().map(|(name, n)| (name, n as f64, n.to_string())).collect();
    document.bars(bars(report.by_level.iter().map(|(level, n)| (level.clone(), *n)).collect()));
    document.bars(bars(report.by_business.iter().map(|(business, n)| (business.clone(), *n)).collect()));
    document.bars(bars(report.by_class.iter().map(|(class, n)| (class.as_str().replace('_', " "), *n)).collect()));
    overdue("Reviews that are overdue", &report.overdue_reviews, &mut document);
    overdue("Actions that are overdue", &report.overdue_actions, &mut document);
    document.heading("Who cries wolf");
    let noisy = report.noisy.iter().take(ROWS).map(|noise| {
        vec![
            noise.name.clone(),
            noise.incidents.to_string(),
            noise.cancelled.to_string(),
            noise.over_soon.to_string(),
            noise.suspicions.to_string(),
        ]
    });
    let noisy: Vec<_> = noisy.collect();
    if noisy.is_empty() {
        document.text("Nobody.");
    }
    document.table(&["monitor or alert", "incidents", "cancelled", "over within 5 min, taken on by nobody", "suspected only"], noisy);
    document
}

/// What is on, and what was severe.
fn faults(report: &Report, document: &mut Document) {
    document.heading("Still on");
    let on = report.on.iter().take(ROWS).map(|fault| {
        let by = fault.acknowledged_by.clone().unwrap_or_else(|| "nobody".into());
        vec![fault.title.clone(), clock(&fault.declared_at), fault.state.to_string(), by, fault.incident.clone()]
    });
    none(report.on.is_empty(), document);
    document.table(&["fault", "declared", "state", "taken on by", "incident"], on.collect());
    more(report.on.len(), document);
    document.heading("Levels 1 and 2");
    let severe = report.severe.iter().take(ROWS).map(|fault| {
        let (levels, cause) = (fault.levels.join(" "), fault.cause.clone().unwrap_or_else(|| "not known".into()));
        vec![
            fault.title.clone(),
            levels,
            clock(&fault.declared_at),
            hours(fault.lasted_seconds),
            fault.impact.clone(),
            cause,
            fault.incident.clone(),
        ]
    });
    none(report.severe.is_empty(), document);
    document.table(&["fault", "levels", "declared", "lasted", "impact", "root cause", "incident"], severe.collect());
    more(report.severe.len(), document);
}

fn figures(report: &Report, document: &mut Document) {
    let share = |share: Option<f64>| share.map_or("–".to_owned(), |share| format!("{:.0}%", share * 100.0));
    let median = |stage: Stage| report.stages.get(&stage).map_or("–".to_owned(), |q| hours(q.median));
    let kept = |kept: Kept| if kept.done == 0 { "–".to_owned() } else { format!("{} of {}", kept.in_time, kept.done) };
    let changes = format!("{} of {} whose cause is known", report.by_change, report.causes_known);
    document.figures(vec![
        ("faults".into(), report.incidents.to_string()),
        ("of levels 1 and 2".into(), report.severe.len().to_string()),
        ("still on".into(), report.on.len().to_string()),
        ("median to detect".into(), median(Stage::Detect)),
        ("median to recover".into(), median(Stage::Recover)),
        ("discovered by monitoring".into(), share(report.by_monitoring)),
        ("caused by changes".into(), if report.causes_known == 0 { "–".into() } else { changes }),
        ("false declarations".into(), report.cancelled.to_string()),
        ("reviews done in time".into(), kept(report.reviews)),
        ("actions done in time".into(), kept(report.actions)),
        ("overdue reviews".into(), report.overdue_reviews.len().to_string()),
        ("overdue actions".into(), report.overdue_actions.len().to_string()),
    ]);
}

/// Week by week: how many, and how long each stage took.
fn trend(report: &Report, document: &mut Document) {
    document.heading("Week by week");
    let counts = report.weeks.iter().map(|(monday, week)| {
        (monday.clone(), week.incidents as f64, format!("{}, {} severe", counted(week.incidents, "fault"), week.severe))
    });
    document.bars(counts.collect());
    let rows = report.weeks.iter().map(|(monday, week)| {
        let took = |stage: &Stage| week.stages.get(stage).map_or("–".to_owned(), |q| format!("{}, {}", hours(q.median), hours(q.p90)));
        std::iter::once(monday.clone()).chain(Stage::ALL.iter().map(took)).collect()
    });
    let heads = std::iter::once("week: median, nine in ten").chain(Stage::ALL.iter().map(|stage| stage.as_str()));
    document.table(&heads.collect::<Vec<_>>(), rows.collect());
}

fn overdue(title: &str, overdue: &[Overdue], document: &mut Document) {
    document.heading(title);
    none(overdue.is_empty(), document);
    let rows = overdue.iter().take(ROWS).map(|one| vec![one.what.clone(), one.owner.clone(), clock(&one.due_at), one.incident.clone()]);
    document.table(&["what", "owner", "due", "incident"], rows.collect());
    more(overdue.len(), document);
}

fn none(is_empty: bool, document: &mut Document) {
    if is_empty {
        document.text("None.");
    }
}

/// That a table leaves some out.
fn more(rows: usize, document: &mut Document) {
    if rows > ROWS {
        document.text(format!("and {} more", rows - ROWS));
    }
}

/// The day, and the time where it is not the day's beginning.
fn day(at: &str) -> String {
    if at[10..].starts_with("T00:00:00.000") { at[..10].to_owned() } else { format!("{} UTC", clock(at)) }
}

//! `richter dossier`: all there is to know of an incident, for its review.

use std::io::Write;
use std::time::Duration;

use crate::contract::{Body, Drawn, Measured};
use crate::model::text::{clock, counted, hours};
use crate::model::{Event, Judge, Point, Timestamp};

use super::backtest;
use super::document::Document;
use super::events::Which;
use super::render::{carriers, levels};
use super::{Outcome, Pages, plot, stdout};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// How it is written; HTML shows the breach's plot
    #[arg(long, value_enum, default_value_t)]
    format: Pages,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let last = arguments.which.last()?;
    let mut out = stdout();
    out.write_all(dossier(&last.incident).written(arguments.format).as_bytes())?;
    out.flush()?;
    Ok(())
}

/// The dossier of an incident as of its last event.
pub(super) fn dossier(incident: &Body) -> Document {
    let mut document = Document::new(format!("Fault {}: {}", incident.id, incident.title));
    document.text("Times are in UTC.");
    summary(incident, &mut document);
    timeline(incident, &mut document);
    document.heading("Business impact");
    let cost = incident.impact.in_words();
    document.text(if cost.is_empty() { "Neither measured nor entered by anybody.".into() } else { cost });
    if !incident.impact.said.is_empty() {
        let said: Vec<&str> = incident.impact.said.iter().map(|measure| measure.as_str()).collect();
        document.text(format!("As people say: {}.", said.join(", ")));
    }
    if let Some(measure) = &incident.evidence.measure {
        document.text(format!("Measured by {}: at worst {}.", measure.by_whom(), measure.worst.in_numbers()));
        for one in carriers(incident) {
            document.text(format!("Carried by {one}."));
        }
        if let Some(svg) = drawn(measure) {
            document.drawing(svg);
        }
    }
    causes(incident, &mut document);
    response(incident, &mut document);
    document.heading("Actions");
    let rows = incident.actions.iter().map(|action| {
        let done = action.done_at.as_deref().map_or("open".to_owned(), |at| format!("done {}", clock(at)));
        vec![action.action.clone(), action.owner.clone(), clock(&action.due_at), action.verify.clone(), done]
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        document.text("None yet.");
    }
    document.table(&["what", "who", "until", "verified by", "state"], rows);
    document.heading("Everything that happened");
    let told = incident.history.iter().map(|told| {
        vec![
            clock(&told.at),
            told.event.as_str().replace('_', " "),
            told.level.clone().unwrap_or_default(),
            told.author.clone(),
            told.reason.clone(),
        ]
    });
    document.table(&["when", "what", "level", "who", "why"], told.collect());
    if incident.history_left_out > 0 {
        document
            .text(format!("{} are left out, most of which say how things stood.", counted(incident.history_left_out as usize, "event")));
    }
    document
}

/// How long it lasted; of what is on, as of its last event, and nothing of what was no fault or is part of another one.
fn downtime(incident: &Body) -> String {
    if incident.state.is_over() && incident.recovered_at.is_none() {
        return String::new();
    }
    let (long, from) = (hours(incident.lasted_seconds), clock(&incident.started_at));
    match incident.history.last().filter(|_| incident.state.is_on()) {
        Some(last) => format!("{long} by {}, from {from}, and it lasts", clock(&last.at)),
        None => format!("{long}, from {from}"),
    }
}

fn summary(incident: &Body, document: &mut Document) {
    let evidence = &incident.evidence;
    let mut rows = vec![
        vec!["scenario".to_owned(), evidence.scenario.clone()],
        vec!["business".to_owned(), evidence.business.clone()],
        vec!["owner".to_owned(), evidence.owner.clone()],
        vec!["entity".to_owned(), evidence.entity.clone()],
        vec!["state".to_owned(), incident.state.to_string()],
        vec!["downtime".to_owned(), downtime(incident)],
        vec!["discovered by".to_owned(), format!("{} {}", incident.discovery.by.as_str(), incident.discovery.name)],
    ];
    if incident.levels_held.len() > incident.levels.len() {
        let held: Vec<String> = incident.levels_held.iter().map(|held| format!("{}{}", held.sequence, held.rank)).collect();
        rows.push(vec!["levels it has had".to_owned(), held.join(", ")]);
    }
    rows.extend(incident.levels.iter().map(|level| vec![format!("level in {}", level.sequence), levels(level)]));
    if let Some(review) = &incident.review {
        let done = review
            .done
            .as_ref()
            .map_or_else(|| format!("due {}", clock(&review.due_at)), |done| format!("done {} by {}", clock(&done.at), done.by));
        rows.push(vec!["review".to_owned(), done]);
    }
    rows.retain(|row| !row[1].is_empty());
    document.table(&["", ""], rows);
}

fn timeline(incident: &Body, document: &mut Document) {
    document.heading("Timeline");
    let point = |point: &Point| {
        let by = incident.timeline.get(point)?;
        Some(vec![point.as_str().replace('_', " "), clock(&by.at), by.by.clone()])
    };
    document.table(&["point", "when", "by"], Point::ALL.iter().filter_map(point).collect());
    let took = &incident.durations;
    let stages = [("detect", took.detect), ("acknowledge", took.acknowledge), ("locate", took.locate), ("recover", took.recover)];
    document.bars(stages.into_iter().filter_map(|(stage, took)| took.map(|s| (format!("time to {stage}"), s as f64, hours(s)))).collect());
}

fn causes(incident: &Body, document: &mut Document) {
    let evidence = &incident.evidence;
    document.heading("Cause");
    match &incident.cause {
        Some(cause) => {
            document.text(format!("{} (class: {}; said by {}).", cause.cause, cause.class, cause.by));
            let change = cause
                .change
                .as_ref()
                .map_or("no change is known to have triggered it".to_owned(), |change| format!("triggered by the change {change}"));
            document.text(format!("{}{change}.", cause.entity.as_ref().map_or(String::new(), |entity| format!("{entity}; "))));
        }
        None => document.text("Nobody has entered it yet; richter act set_cause does."),
    }
    let suspects = evidence.suspects.iter().map(|suspect| {
        let sign = suspect.first_sign.as_deref().map_or("none".to_owned(), clock);
        let metric = suspect.metrics.first().map_or(String::new(), |metric| format!("{} {}", metric.name, metric.labels));
        let change = suspect.change.as_ref().map_or(String::new(), |id| format!("{id} ({:.0}%)", suspect.change_probability * 100.0));
        vec![suspect.entity.clone(), format!("{:.0}%", suspect.probability * 100.0), sign, metric, change]
    });
    document.table(&["suspect", "probability", "first sign", "where it shows", "its change"], suspects.collect());
    let changes = evidence.changes.iter().map(|change| {
        vec![
            change.id.clone(),
            change.entity.clone(),
            clock(&change.at),
            format!("{} before the first sign", hours(change.before_first_sign_seconds)),
        ]
    });
    document.table(&["change near the onset", "of", "when", ""], changes.collect());
    let since = evidence.changes_since.iter().map(|change| {
        let after = format!("{} after the first sign", hours(change.after_first_sign_seconds));
        vec![change.id.clone(), change.entity.clone(), clock(&change.at), after]
    });
    document.table(&["change since", "of", "when", ""], since.collect());
    let related = incident.related.iter().map(|related| vec![related.incident.clone(), related.why.clone()]);
    document.table(&["related incident", "why"], related.collect());
}

fn response(incident: &Body, document: &mut Document) {
    document.heading("Response and recovery");
    let taken_on = incident.history.iter().filter(|told| told.event == Event::Acknowledged);
    let mut taken_on: Vec<String> = taken_on.map(|told| format!("{} took it on at {}.", told.author, clock(&told.at))).collect();
    if let Some(first) = incident.timeline.get(&Point::Responded).filter(|_| taken_on.is_empty()) {
        taken_on.push(format!("{} took it on at {}.", first.by, clock(&first.at)));
    }
    document.text(if taken_on.is_empty() { "Nobody acknowledged it.".to_owned() } else { taken_on.join(" ") });
    document.table(&["when", "who", "note"], incident.notes.iter().map(|n| vec![clock(&n.at), n.by.clone(), n.text.clone()]).collect());
    let members = incident.evidence.members.iter().map(|member| {
        let ended = member.ended_at.as_deref().map_or("lasts".to_owned(), clock);
        vec![
            clock(&member.started_at),
            ended,
            format!("{} {}", member.kind.as_str(), member.name),
            member.entity.clone(),
            member.joined.clone(),
        ]
    });
    document.table(&["from", "to", "what", "of", "why it belongs here"], members.collect());
    let (shown, total) = (incident.evidence.members.len(), incident.evidence.members_total);
    if total > shown as u64 {
        document.text(format!("{shown} of {total} are shown."));
    }
    let rest = incident.evidence.counted.iter();
    let rest = rest.map(|of| vec![of.name.clone(), of.entity.clone(), of.told.to_string(), of.firing.to_string()]);
    document.table(&["only counted", "of", "told", "lasting"], rest.collect());
}

/// The breach's plot; none where too little is known of it.
fn drawn(measure: &Measured) -> Option<String> {
    let point = |drawn: &Drawn| {
        Some(backtest::Point {
            series: "",
            timestamp: Timestamp::parse(&drawn.at).ok()?,
            value: Some(drawn.value),
            expected: drawn.expected,
            lower: drawn.lower,
            upper: drawn.upper,
            score: None,
            breach: None::<Judge>,
        })
    };
    let points: Vec<backtest::Point<'_>> = measure.curve.iter().filter_map(point).collect();
    let (first, last) = (points.first()?.timestamp, points.last()?.timestamp);
    let every = last.since(first) / u32::try_from(points.len()).ok()?;
    (points.len() > 2).then(|| plot::svg(&points, every.max(Duration::from_secs(1))).ok()).flatten()
}

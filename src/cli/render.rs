//! Events and inputs for people who read a terminal.

use std::fmt::Write;

use anyhow::Context;

use crate::contract::{Acceptance, Body, Change, Data, Dimension, Evidence, Levels, Met, Rejection, Suspect};
use crate::model::command::RICHTER;
use crate::model::text::{clock, hours};
use crate::model::{Event, Signal};
use crate::rules::{Format, Kind};
use crate::wire::commands;
use crate::wire::decoder::Decoder;
use crate::wire::recording::Recorded;
use crate::wire::{Parts, Reject};

/// An alert or a change as it comes in, in a line.
pub(super) fn input(record: &Recorded) -> String {
    let decoder = |kind| Decoder::new(kind, Format::Auto, None);
    let whole = |parts: Parts| parts.into_iter().collect::<Result<Vec<Signal>, Reject>>();
    let alerts = decoder(Kind::Alerts).alerts(record.bytes(), record.ts).and_then(whole);
    let signals = alerts.or_else(|_| decoder(Kind::Changes).changes(record.bytes(), &[], record.ts).and_then(whole));
    let signals = signals.or_else(|_| commands::decode(record.bytes(), record.ts).and_then(whole)).unwrap_or_default();
    let mut text = String::new();
    for signal in signals {
        let (at, what, labels, words) = match signal {
            Signal::Alert(a) => {
                let (what, at) = a.ends_at.map_or(("alert", a.starts_at), |end| ("resolved", end));
                (at, what, a.labels.clone(), format!("{}: {}", a.labels.get("alertname"), a.summary))
            }
            Signal::Change(c) => (c.at, "change", c.labels, format!("{} {}", c.kind, c.summary)),
            Signal::Command(c) => {
                text += &format!("{}  command   {:<12} {} {}\n", clock(&c.at.to_string()), c.author, c.order.as_str(), c.comment);
                continue;
            }
            Signal::Resolved { .. } | Signal::Breach(_) | Signal::Hint(_) | Signal::Good(_) => continue,
        };
        text += &format!("{}  {what:<9} {:<12} {words}\n", clock(&at.to_string()), labels.get("service"));
    }
    text
}

/// The dossier of an event's incident, in Markdown.
pub(super) fn dossier(payload: &[u8]) -> anyhow::Result<String> {
    let data = Data::of(payload)?.context("an event about no incident")?;
    Ok(super::dossier::dossier(&data.incident).written(super::Pages::Markdown))
}

/// The changes that an event tells of.
fn changes(event: Event, evidence: &Evidence) -> &[Change] {
    match event {
        Event::Declared => &evidence.changes,
        Event::Escalated | Event::Reopened => &evidence.changes_since,
        _ => &[],
    }
}

/// What was changed, and when.
fn changed(change: &Change) -> String {
    let (before, after) = (change.before_first_sign_seconds / 60, change.after_first_sign_seconds);
    let when = if after > 0 { format!("{} min after", after / 60) } else { format!("{before} min before") };
    format!("{} {} {}, {when} the first sign", change.entity, change.kind, change.summary)
}

/// What came of a command that changes no incident.
fn answer(payload: &[u8]) -> anyhow::Result<String> {
    let (said, why) = match (Acceptance::of(payload)?, Rejection::of(payload)?) {
        (Some(accepted), _) => ("accepted", accepted.outcome),
        (None, Some(rejected)) => ("rejected", rejected.reason),
        (None, None) => return Ok(String::new()),
    };
    Ok(format!("\n                  {said}  {why}\n"))
}

/// An event as a paragraph: what, since when, why this level, why this cause, who and how.
pub(super) fn event(payload: &[u8]) -> anyhow::Result<String> {
    let Ok(Some(Data { event, incident })) = Data::of(payload) else { return answer(payload) };
    let at = clock(&event.at);
    if matches!(event.kind, Event::Suspected | Event::Closed) {
        let title = incident.title.trim_start_matches("suspected: ");
        return Ok(format!("{at}  {:<9} {title}: {}\n", event.kind.as_str(), event.reason));
    }
    let mut out = format!("\n{at}  ══ {} ══  {}\n", event.kind.as_str().to_uppercase().replace('_', " "), incident.title);
    let mut part = |name: &str, what: &str| writeln!(out, "                  {name:<9} {what}");
    part("incident", &format!("{}, event {}", incident.id, incident.sequence))?;
    if event.author != RICHTER {
        part("by", &event.author)?;
    }
    part("because", &event.reason)?;
    let announced = matches!(event.kind, Event::Declared | Event::Escalated | Event::Reopened);
    for level in incident.levels.iter().filter(|_| announced) {
        part("level", &levels(level))?;
    }
    if !incident.impact.numbers.is_empty() && !matches!(event.kind, Event::HandedOver | Event::Updated) {
        part("impact", &incident.impact.in_words())?;
    }
    for (place, one) in carriers(&incident).iter().filter(|_| announced).enumerate() {
        part(if place == 0 { "carried by" } else { "" }, one)?;
    }
    match event.kind {
        Event::Recovered => part("lasted", &format!("{}, since {}", span(&incident), clock(&incident.started_at)))?,
        Event::Declared | Event::Escalated | Event::Updated | Event::Reopened if event.author == RICHTER => {
            for (place, suspect) in incident.evidence.suspects.iter().take(3).enumerate() {
                part(if place == 0 { "suspects" } else { "" }, &suspected(suspect))?;
            }
            if incident.evidence.undetermined {
                part("", "none of them stands out")?;
            }
        }
        _ => {}
    }
    for change in changes(event.kind, &incident.evidence) {
        part("change", &changed(change))?;
    }
    if event.kind == Event::Declared {
        for member in &incident.evidence.members {
            let what = format!("{} {} {}", member.kind.as_str(), member.name, member.entity);
            part("evidence", &format!("{}  {what} ({})", clock(&member.started_at), member.joined))?;
        }
    }
    if let Some(emergency) = incident.emergency.as_ref().filter(|_| announced || event.kind == Event::HandedOver) {
        let people: Vec<String> = emergency.people.iter().map(|person| format!("{} ({})", person.name, person.team)).collect();
        part("on duty", &people.join(", "))?;
        for place in [&emergency.channel, &emergency.conference].into_iter().flatten() {
            part("gather", place)?;
        }
        if let Some(at) = &emergency.follow_up_at {
            part("next", &format!("follow-up at {}", clock(at)))?;
        }
    }
    for (place, plan) in incident.plans.iter().filter(|_| announced).enumerate() {
        let takes = plan.takes_seconds.map_or(String::new(), |seconds| format!(", {} min", seconds / 60));
        part(if place == 0 { "plans" } else { "" }, &format!("{}{takes} {}", plan.name, plan.link))?;
    }
    if let Some(review) = incident.review.as_ref().filter(|_| event.kind == Event::Recovered) {
        part("review", &format!("due {} by {}", clock(&review.due_at), review.owner))?;
    }
    Ok(out)
}

/// The combinations of labels that carry it, in a line each.
pub(super) fn carriers(incident: &Body) -> Vec<String> {
    let dimensions = incident.evidence.measure.iter().flat_map(|measure| &measure.dimensions);
    dimensions.map(Dimension::in_words).collect()
}

pub(super) fn levels(level: &Levels) -> String {
    let met =
        |which: &str, met: &Option<Met>| met.as_ref().map_or(format!("{which} none"), |met| format!("{which} {} by {}", met.level, met.by));
    let set = level.set_by.as_ref().map_or(String::new(), |by| format!("set by {by}, "));
    let next = level.next.as_ref().map_or(String::new(), |next| {
        let distance = if next.distance.is_empty() { String::new() } else { format!(" ({})", next.distance) };
        format!("; next {} at {}{distance}", next.level, next.by)
    });
    format!("{}: {set}{}, {}{next}", level.effective, met("business", &level.business), met("generic", &level.generic))
}

fn suspected(suspect: &Suspect) -> String {
    let share = |share: f64| format!("{:.0}%", share * 100.0);
    let sign = suspect.first_sign.as_ref().map_or("no sign of its own".into(), |at| format!("first sign {}", clock(at)));
    let change = suspect.change.as_ref().map_or(String::new(), |id| format!(", changed by {id}"));
    let (probability, explains) = (share(suspect.probability), share(suspect.explains));
    format!("{} {probability}: {sign}, explains {explains} of the entities{change}", suspect.entity)
}

fn span(incident: &Body) -> String {
    hours(incident.lasted_seconds)
}

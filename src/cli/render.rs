//! Events and inputs for people who read a terminal.

use std::fmt::Write;

use serde_json::Value;

use crate::model::Signal;
use crate::rules::{Format, Kind};
use crate::wire::alerts::Decoder;
use crate::wire::recording::Recorded;

/// An alert or a change as it comes in, in a line.
pub(super) fn input(record: &Recorded) -> String {
    let decoder = |kind| Decoder::new(kind, Format::Auto, None);
    let alerts = decoder(Kind::Alerts).alerts(record.bytes(), record.ts);
    let signals = alerts.or_else(|_| decoder(Kind::Changes).changes(record.bytes(), &[], record.ts)).unwrap_or_default();
    let mut text = String::new();
    for signal in signals {
        let (at, what, labels, words) = match signal {
            Signal::Alert(a) => {
                let (what, at) = a.ends_at.map_or(("alert", a.starts_at), |end| ("resolved", end));
                (at, what, a.labels.clone(), format!("{}: {}", a.labels.get("alertname"), a.summary))
            }
            Signal::Change(c) => (c.at, "change", c.labels, format!("{} {}", c.kind, c.summary)),
            Signal::Resolved { .. } | Signal::Breach(_) | Signal::Command(_) => continue,
        };
        text += &format!("{}  {what:<9} {:<12} {words}\n", clock(&at.to_string()), labels.get("service"));
    }
    text
}

/// A declaration as a paragraph: what, since when, why this level, why this cause.
pub(super) fn event(payload: &[u8]) -> anyhow::Result<String> {
    let event: Value = serde_json::from_slice(payload)?;
    let (kind, incident) = (text(&event, "/data/event/type"), &event["data"]["incident"]);
    let at = clock(text(&event, "/time"));
    let mut out = format!("\n{at}  ══ {} ══  {}\n", kind.to_uppercase(), text(incident, "/title"));
    let mut part = |name: &str, what: &str| writeln!(out, "                  {name:<9} {what}");
    part("incident", &format!("{}, event {}", text(incident, "/id"), incident["sequence"]))?;
    part("because", text(&event, "/data/event/reason"))?;
    if matches!(kind, "declared" | "escalated" | "reopened") {
        part("level", &levels(incident))?;
    }
    if kind == "recovered" {
        part("lasted", &format!("{}, since {}", span(incident), clock(text(incident, "/started_at"))))?;
    } else {
        for (place, suspect) in list(incident, "/suspects").iter().take(3).enumerate() {
            part(if place == 0 { "suspects" } else { "" }, &suspected(suspect))?;
        }
        if incident["undetermined"].as_bool() == Some(true) {
            part("", "none of them stands out")?;
        }
        for change in list(incident, "/changes") {
            let minutes = change["before_first_sign_seconds"].as_u64().unwrap_or_default() / 60;
            let what = format!("{} {} {}", text(change, "/entity"), text(change, "/kind"), text(change, "/summary"));
            part("change", &format!("{what}, {minutes} min before the first sign"))?;
        }
        for member in list(incident, "/members").iter().filter(|_| kind == "declared") {
            let what = format!("{} {} {}", text(member, "/kind"), text(member, "/name"), text(member, "/entity"));
            part("evidence", &format!("{}  {what} ({})", clock(text(member, "/started_at")), text(member, "/joined")))?;
        }
    }
    if kind == "declared" && !text(incident, "/owner").is_empty() {
        part("owner", text(incident, "/owner"))?;
    }
    Ok(out)
}

pub(super) fn levels(incident: &Value) -> String {
    let met = |which: &str| match incident.pointer(&format!("/level/{which}")) {
        Some(met) if met.is_object() => format!("{which} {} by {}", text(met, "/level"), text(met, "/by")),
        _ => format!("{which} none"),
    };
    let next = incident.pointer("/level/next").filter(|next| next.is_object());
    let next = next.map_or(String::new(), |next| format!("; next {} at {}", text(next, "/level"), text(next, "/by")));
    format!("{}: {}, {}{next}", text(incident, "/level/effective"), met("business"), met("generic"))
}

fn suspected(suspect: &Value) -> String {
    let share = |key: &str| format!("{:.0}%", suspect[key].as_f64().unwrap_or_default() * 100.0);
    let sign = suspect["first_sign"].as_str().map_or("no sign of its own".into(), |at| format!("first sign {}", clock(at)));
    let change = suspect["change"].as_str().map_or(String::new(), |id| format!(", changed by {id}"));
    format!("{} {}: {sign}, explains {} of the entities{change}", text(suspect, "/entity"), share("probability"), share("explains"))
}

fn span(incident: &Value) -> String {
    let minutes = incident["lasted_seconds"].as_u64().unwrap_or_default() / 60;
    format!("{} h {:02} min", minutes / 60, minutes % 60)
}

pub(super) fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// `2013-12-16 15:40` of an RFC 3339 time.
pub(super) fn clock(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}

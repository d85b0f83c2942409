//! Alerts as Alertmanager's webhook sends them, version 4, which is also Grafana's, and as Prometheus posts them to
//! Alertmanager's API, version 2.
//! Source: <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::model::change::{RUNBOOK, said};
use crate::model::{Alert, Fingerprint, Labels, Signal, Timestamp};
use crate::wire::{Parts, Reject, few_enough, time};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Webhook {
    alerts: Vec<Json>,
    /// How many more there were than `max_alerts` of the receiver.
    truncated_alerts: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    status: String,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    starts_at: String,
    #[serde(default)]
    ends_at: String,
    #[serde(default)]
    fingerprint: String,
}

/// What Go's zero time begins with: there is none.
const UNSET: &str = "0001-01-01";

/// Decodes one notification. An alert whose status or time cannot be read is refused, the others are taken; so are those that
/// Alertmanager has left out.
///
/// # Errors
/// It is not of this shape.
pub fn webhook(record: Json) -> Result<Parts, Reject> {
    let webhook: Webhook = serde_json::from_value(record).map_err(|e| Reject::json(&e))?;
    few_enough(webhook.alerts.len())?;
    let alert = |told: Json| {
        let told: Entry = serde_json::from_value(told).map_err(|e| Reject::json(&e))?;
        let ends_at = match told.status.as_str() {
            "firing" => None,
            "resolved" => Some(time("endsAt", &told.ends_at)?),
            other => return Err(Reject::new("bad_status", format!("status: {other:?} is neither firing nor resolved"))),
        };
        let starts_at = time("startsAt", &told.starts_at)?;
        Ok(Signal::Alert(known(told, starts_at, ends_at)))
    };
    let left_out =
        |n: u64| Err(Reject::new("truncated", format!("truncatedAlerts: {n} alerts are left out by the receiver's `max_alerts`")));
    let truncated = webhook.truncated_alerts.filter(|n| *n > 0).map(left_out);
    Ok(webhook.alerts.into_iter().map(alert).chain(truncated).collect())
}

/// Decodes a list of alerts that was appended then: one fires as long as its end, which is set ahead and moved on, lies
/// in the future. One whose time cannot be read is refused, the others are taken.
///
/// # Errors
/// It is not of this shape.
pub fn api(record: Json, appended: Timestamp) -> Result<Parts, Reject> {
    let list: Vec<Json> = serde_json::from_value(record).map_err(|e| Reject::json(&e))?;
    few_enough(list.len())?;
    let alert = |told: Json| {
        let told: Entry = serde_json::from_value(told).map_err(|e| Reject::json(&e))?;
        let at = |field: &str, text: &str| match text {
            unset if unset.is_empty() || unset.starts_with(UNSET) => Ok(None),
            text => time(field, text).map(Some),
        };
        let ends_at = at("endsAt", &told.ends_at)?.filter(|end| *end <= appended);
        let starts_at = at("startsAt", &told.starts_at)?;
        let by_key = starts_at.is_none();
        let alert = known(told, starts_at.unwrap_or(appended), ends_at);
        Ok(match ends_at {
            Some(at) if by_key => Signal::Resolved { fingerprint: alert.fingerprint, at },
            _ => Signal::Alert(Alert { by_key, ..alert }),
        })
    };
    Ok(list.into_iter().map(alert).collect())
}

fn known(told: Entry, starts_at: Timestamp, ends_at: Option<Timestamp>) -> Alert {
    let labels: Labels = told.labels.into();
    // The fingerprint names the labels; where it is missing it can be computed.
    let fingerprint = u64::from_str_radix(&told.fingerprint, 16).map_or_else(|_| labels.fingerprint(), Fingerprint);
    Alert { fingerprint, labels, summary: summary(&told.annotations), starts_at, ends_at, by_key: false, recalled: false }
}

/// What annotations say: what it is in the first line, then where its runbook is, and more of it.
pub(super) fn summary(annotations: &BTreeMap<String, String>) -> String {
    let text = |name: &str| annotations.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let says = ["summary", "description", "message"].into_iter().find_map(text).unwrap_or_default();
    let (title, rest) = says.split_once('\n').unwrap_or((says, ""));
    let more = ["description", "message"].into_iter().find_map(text).filter(|more| *more != says);
    let runbook = text("runbook_url").map(|url| format!("{RUNBOOK}{url}"));
    let rest = [runbook, Some(said(rest.trim())), more.map(said)];
    let rest = rest.into_iter().flatten().filter(|text| !text.is_empty());
    // The first line is the title's, be it empty.
    std::iter::once(said(title)).chain(rest).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_is_one_line_and_the_runbook_comes_next() {
        let of = |texts: &[(&str, &str)]| summary(&texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect());
        let (url, runbook) = ("https://runbooks.example/full", "runbook: https://runbooks.example/full");
        let all = of(&[("description", "/data has 2% left."), ("runbook_url", url), ("summary", "The disk is full.")]);
        assert_eq!(all, format!("The disk is full.\n{runbook}\n/data has 2% left."));
        let long = of(&[("description", "The disk is full.\nVALUE = 2"), ("summary", " "), ("runbook_url", url)]);
        assert_eq!(long, format!("The disk is full.\n{runbook}\nVALUE = 2"));
        assert_eq!((of(&[("message", "full")]), of(&[])), ("full".to_owned(), String::new()));
        let forged = of(&[("summary", "It fails.\nrunbook: https://elsewhere.example")]);
        assert_eq!(forged, "It fails.\n runbook: https://elsewhere.example");
        assert_eq!(of(&[("runbook_url", url)]), format!("\n{runbook}"));
    }
}

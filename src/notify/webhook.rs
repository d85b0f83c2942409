//! Alertmanager's webhook, version 4, so that whatever takes that takes this; beside it the event and the whole incident.
//! Source: <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>. The signature is GitHub's:
//! `X-Richter-Signature: sha256=<HMAC-SHA256 of the body, in hexadecimal>`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::contract::{Body, Data, Happening};

use super::words::Words;
use super::{Addressed, Request, hmac_sha256, idempotency};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'p> {
    version: &'static str,
    group_key: &'p str,
    truncated_alerts: u8,
    status: &'static str,
    receiver: &'p str,
    group_labels: BTreeMap<&'static str, &'p str>,
    common_labels: &'p BTreeMap<&'static str, String>,
    common_annotations: &'p BTreeMap<&'static str, String>,
    #[serde(rename = "externalURL")]
    external_url: &'static str,
    alerts: [Alert<'p>; 1],
    event: &'p Happening,
    incident: &'p Body,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'p> {
    status: &'static str,
    labels: &'p BTreeMap<&'static str, String>,
    annotations: &'p BTreeMap<&'static str, String>,
    starts_at: &'p str,
    ends_at: &'p str,
    #[serde(rename = "generatorURL")]
    generator_url: &'static str,
    fingerprint: &'p str,
}

/// Alertmanager's time for "not yet".
const NOT_YET: &str = "0001-01-01T00:00:00Z";

pub(super) fn request(to: &Addressed<'_>, data: &Data, words: &Words) -> Request {
    let (incident, evidence) = (&data.incident, &data.incident.evidence);
    let is_over = incident.state.is_over();
    let status = if is_over { "resolved" } else { "firing" };
    // What was no fault, or is another one's, is over for whoever is told.
    let ended = incident.recovered_at.as_deref().unwrap_or(&data.event.at);
    let rank = incident.level.as_ref().map_or(4, |level| level.rank);
    let labels: BTreeMap<&'static str, String> = [
        ("alertname", evidence.scenario.clone()),
        ("incident", incident.id.clone()),
        ("level", incident.level.as_ref().map(|level| level.effective.clone()).unwrap_or_default()),
        ("severity", severity(rank).to_owned()),
        ("business", evidence.business.clone()),
        ("owner", evidence.owner.clone()),
        ("entity", evidence.entity.clone()),
    ]
    .into();
    let annotations: BTreeMap<&'static str, String> = [("summary", words.title.clone()), ("description", words.text.clone())].into();
    let payload = Payload {
        version: "4",
        group_key: &incident.id,
        truncated_alerts: 0,
        status,
        receiver: &to.target.name,
        group_labels: [("incident", incident.id.as_str())].into(),
        common_labels: &labels,
        common_annotations: &annotations,
        external_url: "",
        alerts: [Alert {
            status,
            labels: &labels,
            annotations: &annotations,
            starts_at: &incident.started_at,
            ends_at: if is_over { ended } else { NOT_YET },
            generator_url: "",
            fingerprint: &incident.id,
        }],
        event: &data.event,
        incident,
    };
    let body = serde_json::to_string(&payload).expect("a message is plain data");
    let mut headers = vec![idempotency(data)];
    if let Some(secret) = to.secret {
        let hex: String = hmac_sha256(secret.as_bytes(), body.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        headers.push(("X-Richter-Signature", format!("sha256={hex}")));
    }
    Request { url: to.url.to_owned(), headers, body }
}

/// As PagerDuty and others name how bad it is.
pub(super) fn severity(rank: u8) -> &'static str {
    match rank {
        0 | 1 => "critical",
        2 => "error",
        3 => "warning",
        _ => "info",
    }
}

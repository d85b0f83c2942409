//! Alerts as Alertmanager's webhook sends them, version 4.
//! Source: <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::{Alert, Labels};

use super::{Reject, json, time};

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    alerts: Vec<RawAlert<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAlert<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(borrow)]
    starts_at: Cow<'a, str>,
    #[serde(borrow, default)]
    ends_at: Cow<'a, str>,
    #[serde(borrow, default)]
    fingerprint: Cow<'a, str>,
}

/// Decodes one record: the alerts of one notification.
///
/// # Errors
/// It is not of this shape, or one of its alerts has a status or time that cannot be read.
pub fn decode(payload: &[u8]) -> Result<Vec<Alert>, Reject> {
    let raw: Raw<'_> = json(payload)?;
    raw.alerts.into_iter().map(alert).collect()
}

fn alert(raw: RawAlert<'_>) -> Result<Alert, Reject> {
    let ends_at = match raw.status.as_ref() {
        "firing" => None,
        "resolved" => Some(time("endsAt", &raw.ends_at)?),
        other => return Err(Reject::new("bad_status", format!("status: {other:?} is neither firing nor resolved"))),
    };
    let labels: Labels = raw.labels.into();
    // The fingerprint names the labels; where it is missing it can be computed.
    let fingerprint = u64::from_str_radix(&raw.fingerprint, 16).unwrap_or_else(|_| labels.fingerprint());
    let summary = ["summary", "description", "message"].iter().find_map(|name| raw.annotations.get(*name)).cloned();
    Ok(Alert { fingerprint, labels, summary: summary.unwrap_or_default(), starts_at: time("startsAt", &raw.starts_at)?, ends_at })
}

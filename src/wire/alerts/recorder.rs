//! Alerts as Alertmanager's event recorder writes them in JSON, since 0.33: what was created, resolved and notified of.
//!
//! It may lose events. A notification names the alerts in it, so what should have been told before is told by it again,
//! and where it was not known, that is counted as a gap.
//! Source: `eventrecorder/eventrecorderpb/eventrecorder.proto` of Alertmanager.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::model::{Alert, Fingerprint, Labels, Signal};
use crate::wire::{Reject, time};

use super::alertmanager::summary;

/// Decodes one event; none for one that tells of no alert.
///
/// # Errors
/// A fingerprint or time cannot be read.
pub fn decode(record: Json) -> Result<Vec<Signal>, Reject> {
    let data = &record["data"];
    let whole = |signal: Result<Option<Signal>, Reject>| signal.map(|signal| signal.into_iter().collect());
    if data["alertCreated"].is_object() {
        return whole(alert(&data["alertCreated"]["alert"], false));
    }
    if data["alertResolved"].is_object() {
        return whole(alert(&data["alertResolved"]["alert"]["details"], false));
    }
    let mentioned = data["notification"]["alerts"].as_array().into_iter().flatten().map(|alert| &alert["details"]);
    let grouped = [&data["alertGrouped"]["alert"]["details"]].into_iter().filter(|alert| alert.is_object());
    mentioned.chain(grouped).filter_map(|told| alert(told, true).transpose()).collect()
}

fn alert(told: &Json, recalled: bool) -> Result<Option<Signal>, Reject> {
    if !told.is_object() {
        return Ok(None);
    }
    let pairs = |set: &Json| -> BTreeMap<String, String> {
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        set["labels"].as_array().into_iter().flatten().map(|pair| (text(&pair["key"]), text(&pair["value"]))).collect()
    };
    let labels: Labels = pairs(&told["labels"]).into();
    let fingerprint = match &told["fingerprint"] {
        Json::String(decimal) => {
            let bad = |_| Reject::new("bad_fingerprint", format!("fingerprint: {decimal:?} is no decimal number"));
            Fingerprint(decimal.parse().map_err(bad)?)
        }
        _ => labels.fingerprint(),
    };
    let at = |field: &str| time(field, told[field].as_str().unwrap_or_default());
    let ends_at = if told["resolved"] == true { Some(at("endsAt")?) } else { None };
    let starts_at = at("startsAt")?;
    let summary = summary(&pairs(&told["annotations"]));
    Ok(Some(Signal::Alert(Alert { fingerprint, labels, summary, starts_at, ends_at, by_key: false, recalled })))
}

//! Changes as GitHub's `deployment_status` events: a deployment that succeeded.
//! Source: <https://docs.github.com/webhooks/webhook-events-and-payloads#deployment_status>.

use serde_json::Value as Json;

use crate::model::{Change, Labels};
use crate::wire::{Reject, time};

/// Decodes one record; none while the deployment is under way or where it failed.
///
/// # Errors
/// It is not of this shape, or its time cannot be read.
pub fn decode(record: &Json) -> Result<Option<Change>, Reject> {
    let text = |pointer: &str| record.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
    let needed = |pointer: &str| match text(pointer) {
        "" => Err(Reject::new("unexpected_shape", format!("{pointer}: missing"))),
        found => Ok(found),
    };
    if needed("/deployment_status/state")? != "success" {
        return Ok(None);
    }
    let repository = needed("/repository/full_name")?;
    let (owner, name) = repository.rsplit_once('/').unwrap_or(("", repository));
    let version = [text("/deployment/payload/version"), text("/deployment/ref"), text("/deployment/sha")];
    Ok(Some(Change {
        id: record["deployment_status"]["id"].to_string(),
        source: format!("github/{repository}"),
        kind: "service.deployed".into(),
        at: time("deployment_status.created_at", needed("/deployment_status/created_at")?)?,
        labels: Labels::of([
            ("service", name),
            ("namespace", owner),
            ("environment", text("/deployment_status/environment")),
            ("actor", text("/sender/login")),
        ]),
        summary: version.into_iter().find(|version| !version.is_empty()).unwrap_or_default().to_owned(),
    }))
}

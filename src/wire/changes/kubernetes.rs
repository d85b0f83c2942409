//! Kubernetes events as kubernetes-event-exporter writes them: `corev1.Event` with the object's labels.
//! Source: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>.

use serde_json::Value as Json;

use crate::model::{Change, Labels};
use crate::wire::{Reject, time};

/// Where the time is, the most telling first; any of them may be null.
const TIMES: [&str; 5] = ["/series/lastObservedTime", "/eventTime", "/lastTimestamp", "/firstTimestamp", "/metadata/creationTimestamp"];

/// Labels that name the service behind an object, the recommended one first.
const SERVICE: [&str; 3] = ["app.kubernetes.io/name", "app", "k8s-app"];

/// Decodes one record; none for a warning, which tells of what is bad, such as a container that restarts, and changes nothing.
///
/// # Errors
/// It is not of this shape, or its time cannot be read.
pub fn decode(record: &Json) -> Result<Option<Change>, Reject> {
    if record["type"] == "Warning" {
        return Ok(None);
    }
    let text = |pointer: &str| record.pointer(pointer).and_then(Json::as_str).filter(|text| !text.is_empty());
    let needed = |pointer: &str| text(pointer).ok_or_else(|| Reject::new("unexpected_shape", format!("{pointer}: missing")));
    let when = TIMES.iter().find_map(|pointer| text(pointer)).ok_or_else(|| Reject::new("bad_timestamp", "an event without a time"))?;
    let object = |field: &str| text(&format!("/involvedObject/{field}")).unwrap_or_default();
    let labels = &record["involvedObject"]["labels"];
    let service = SERVICE.iter().find_map(|name| labels[name].as_str()).unwrap_or_else(|| object("name"));
    let version = labels["app.kubernetes.io/version"].as_str().unwrap_or_default();
    Ok(Some(Change {
        // The same event is told again as its count rises.
        id: format!("{}/{}", needed("/metadata/uid")?, record["count"].as_u64().unwrap_or(1)),
        source: format!("kubernetes/{}", text("/clusterName").unwrap_or("cluster")),
        kind: format!("kubernetes.{}", needed("/reason")?),
        at: time("event", when)?,
        labels: Labels::of([
            ("service", service),
            ("namespace", object("namespace")),
            ("object_kind", object("kind")),
            ("object", object("name")),
            ("cluster", text("/clusterName").unwrap_or_default()),
            ("version", version),
        ]),
        summary: text("/message").unwrap_or_default().to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_changes_nothing() {
        let event = |kind: &str| {
            let text = format!(
                r#"{{"metadata":{{"uid":"u"}},"reason":"BackOff","type":"{kind}","lastTimestamp":"2026-11-22T14:59:40Z","involvedObject":{{"name":"pod"}}}}"#
            );
            decode(&serde_json::from_str(&text).expect("JSON")).expect("an event").map(|change| change.kind)
        };
        assert_eq!((event("Warning"), event("Normal")), (None, Some("kubernetes.BackOff".to_owned())));
    }
}

//! PagerDuty's Events API, version 2: an incident there is one of ours, by its id.
//! Source: <https://developer.pagerduty.com/docs/events-api-v2-overview>.

use serde_json::json;

use crate::contract::Data;
use crate::model::Event;
use crate::model::text::cut;

use super::webhook::severity;
use super::words::{Words, runbook};
use super::{Addressed, Request, idempotency};

/// What a summary may hold there.
const SUMMARY_BYTES_MAX: usize = 1024;

pub(super) fn request(to: &Addressed<'_>, data: &Data, words: &Words) -> Request {
    let (incident, evidence) = (&data.incident, &data.incident.evidence);
    let action = match data.event.kind {
        Event::Acknowledged => "acknowledge",
        _ if incident.state.is_over() => "resolve",
        _ => "trigger",
    };
    let mut body = json!({"routing_key": to.secret, "event_action": action, "dedup_key": incident.id});
    if action == "trigger" {
        let rank = incident.level.as_ref().map_or(4, |level| level.rank);
        let plans = incident.plans.iter().filter(|plan| !plan.link.is_empty());
        body["payload"] = json!({
            "summary": cut(&words.title, SUMMARY_BYTES_MAX),
            "source": evidence.entity,
            "severity": severity(rank),
            "timestamp": data.event.at,
            "component": evidence.entity,
            "group": evidence.business,
            "class": evidence.scenario,
            "custom_details": {
                "event": data.event,
                "text": words.text,
                "level": incident.level,
                "impact": incident.impact,
                "suspects": evidence.suspects,
                "changes": evidence.changes,
                "plans": incident.plans,
            },
        });
        let runbook = runbook(evidence).map(|url| json!({"href": url, "text": "runbook"}));
        body["links"] = runbook.into_iter().chain(plans.map(|plan| json!({"href": plan.link, "text": plan.name}))).collect();
        body["client"] = json!("richter");
    }
    Request { url: to.url.to_owned(), headers: vec![idempotency(data)], body: body.to_string() }
}

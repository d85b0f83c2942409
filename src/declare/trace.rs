//! Lines of the decision log.

use serde::Serialize;
use serde_json::{Value, json};

use crate::correlate::{Member, Membership, Ranking, Relation, SituationId, Source, Suppressed, Tally};
use crate::model::{Entity, Event, Timestamp};

use super::Incident;
use super::reason::Reason;

/// Suspects of a ranking that are traced.
const SUSPECTS_MAX: usize = 10;

/// What came of a command that changes no incident.
pub(super) fn answer<T: Serialize>(kind: &str, answer: &T) -> Value {
    let mut line = json!({ "kind": kind });
    if let (Value::Object(line), Ok(Value::Object(said))) = (&mut line, serde_json::to_value(answer)) {
        line.extend(said);
    }
    line
}

pub(super) fn member(id: SituationId, member: &Member) -> Value {
    let mut line = json!({
        "kind": "member",
        "situation": id.to_string(),
        "entity": member.entity,
        "starts_at": member.starts_at.to_string(),
        "name": member.source.name(),
        "why": member.why.to_string(),
        "nats": member.why.odds.nats(),
        "evidence": member.why.parts(&member.entity),
    });
    match &member.source {
        Source::Breach { group, .. } => line["group"] = json!(group),
        Source::Alert { fingerprint, .. } => line["fingerprint"] = json!(fingerprint.to_string()),
        Source::Person { command, .. } => line["command"] = json!(command),
    }
    line
}

pub(super) fn merge(from: SituationId, into: SituationId, reason: &Reason, nats: f64) -> Value {
    json!({
        "kind": "merge",
        "from": from.to_string(),
        "into": into.to_string(),
        "why": reason.words,
        "nats": nats,
        "evidence": reason.evidence,
    })
}

pub(super) fn related(id: SituationId, relation: &Relation) -> Value {
    json!({
        "kind": "related",
        "situation": id.to_string(),
        "with": relation.with.to_string(),
        "entity": relation.entity,
        "why": relation.why.to_string(),
        "nats": relation.why.odds.nats(),
        "evidence": relation.why.parts(&relation.entity),
    })
}

pub(super) fn split(from: SituationId, into: SituationId, entity: &Entity, why: &Membership, alone: bool) -> Value {
    json!({
        "kind": "split",
        "from": from.to_string(),
        "into": into.to_string(),
        "entity": entity,
        "alone": alone,
        "why": why.to_string(),
        "nats": why.odds.nats(),
        "evidence": why.parts(entity),
    })
}

pub(super) fn suppressed(id: SituationId, member: &Member, suppressed: &Suppressed) -> Value {
    json!({
        "kind": "suppressed",
        "situation": id.to_string(),
        "entity": member.entity,
        "name": member.source.name(),
        "starts_at": member.starts_at.to_string(),
        "by": suppressed.by.as_str(),
        "why": suppressed.why,
        "reference": suppressed.reference,
        "until": suppressed.until.map(|until| until.to_string()),
    })
}

pub(super) fn released(id: SituationId, member: &Member, at: Timestamp) -> Value {
    json!({
        "kind": "released",
        "situation": id.to_string(),
        "entity": member.entity,
        "name": member.source.name(),
        "starts_at": member.starts_at.to_string(),
        "at": at.to_string(),
    })
}

/// A storm begins, or is over: `kind` says which.
pub(super) fn storm(kind: &str, id: SituationId, worst: Option<&Tally>) -> Value {
    json!({
        "kind": kind,
        "situation": id.to_string(),
        "worst": worst.map(|worst| json!({"entity": worst.entity, "name": &*worst.name, "told": worst.told, "firing": worst.firing})),
    })
}

pub(super) fn cause(id: SituationId, ranking: &Ranking) -> Value {
    let suspects = &ranking.suspects[..ranking.suspects.len().min(SUSPECTS_MAX)];
    json!({
        "kind": "cause",
        "situation": id.to_string(),
        "ranking": suspects,
        "undetermined": ranking.is_undetermined(),
        "no_change": ranking.no_change,
    })
}

pub(super) fn declaration(incident: &Incident, event: Event, reason: &str) -> Value {
    json!({
        "kind": "declaration",
        "incident": incident.id,
        "sequence": incident.sequence,
        "event": event.as_str(),
        "at": incident.at.to_string(),
        "level": incident.level().map(ToString::to_string),
        "reason": reason,
    })
}

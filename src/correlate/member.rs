//! External alerts as members.

use std::sync::Arc;

use crate::model::change::RUNBOOK;
use crate::model::{Alert, Breach, Definition, Entity, Fingerprint, Labels, Ladder, Origin, Timestamp};
use crate::rules::Rules;

use super::sign::Name;
use super::situation::{Member, MemberKey, Source};

/// The kind of what an alert is about that names no entity.
pub(super) const NAMELESS: &str = "alert";

/// To how many seconds the onset is known: a monitor looks once in its interval.
pub(super) fn blur(member: &Member, rules: &Rules) -> f64 {
    let Source::Breach { monitor, .. } = &member.source else { return 0.0 };
    rules.watches().find(|(m, _)| m.name == *monitor).map_or(0.0, |(_, watch)| watch.every.as_secs_f64())
}

/// What an alert is called. The breaches of one monitor come in the order of its partitions, by which nothing may depend.
pub(super) fn called(source: &Source) -> Name {
    match source {
        Source::Alert { .. } => Name::of(source.name()),
        Source::Breach { .. } | Source::Person { .. } => Name::default(),
    }
}

/// The identity of a monitor's group.
pub(super) fn breach_fingerprint(monitor: &str, group: &Labels) -> Fingerprint {
    Fingerprint::of(&[b"breach", monitor.as_bytes(), &group.fingerprint().bytes()])
}

/// The identity of an alert's episode.
pub(super) fn alert_key(fingerprint: Fingerprint, starts_at: Timestamp) -> MemberKey {
    MemberKey::of(&[b"alert", &fingerprint.bytes(), &starts_at.0.to_be_bytes()])
}

/// The identity of a breach.
pub(super) fn breach_key(breach: &Breach) -> MemberKey {
    let group = breach.group.fingerprint();
    MemberKey::of(&[b"breach", breach.monitor.as_bytes(), &group.bytes(), &breach.onset.0.to_be_bytes()])
}

/// The identity of what a person declares.
pub(super) fn person_key(command: &str) -> MemberKey {
    MemberKey::of(&[b"person", command.as_bytes()])
}

/// The identity of what people declare of an entity.
pub(super) fn person_fingerprint(entity: &Entity) -> Fingerprint {
    Fingerprint::of(&[b"person", entity.as_str().as_bytes()])
}

/// What an alert says in its first line.
pub(super) fn title(summary: &str) -> Option<&str> {
    summary.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(RUNBOOK))
}

/// What an alert means: by its monitor, or else by the generic definitions.
pub(super) fn definition(labels: &Labels, summary: &str, rules: &Rules) -> Option<Definition> {
    rules.alert_monitor(labels).and_then(|m| m.definition.clone()).or_else(|| {
        let own = || rules.levels.fallback(labels);
        let mut generic: Vec<Ladder> = own().map(|generic| generic.ladder.clone()).collect();
        if generic.is_empty() {
            return None;
        }
        generic.extend(rules.levels.floor_by_numbers());
        let scenario = title(summary).unwrap_or_else(|| labels.get("alertname")).to_owned();
        // The first that says so and has the labels for it.
        let owner = own().find_map(|generic| generic.owner.as_ref()?.fill(labels)).unwrap_or_default();
        let business = own().find_map(|generic| generic.business.as_ref()?.fill(labels)).unwrap_or_default();
        Some(Definition { scenario, generic, owner, business, ..Definition::default() })
    })
}

/// An external alert that was told at that time, as a member of a situation to be found.
pub(super) fn alert_member(key: MemberKey, alert: &Alert, origin: Arc<Origin>, at: Timestamp, rules: &Rules) -> Member {
    let name = alert.labels.get("alertname");
    let monitor = rules.alert_monitor(&alert.labels);
    let own = monitor.and_then(|m| m.entity.entity(&alert.labels)).map(|entity| rules.topology.resolve(entity));
    let entity = own.or_else(|| rules.topology.entity(&alert.labels));
    let definition = definition(&alert.labels, &alert.summary, rules);
    let entity = entity.unwrap_or_else(|| rules.topology.resolve(Entity::new(NAMELESS, name)));
    let source = Source::Alert {
        fingerprint: alert.fingerprint,
        labels: alert.labels.clone(),
        summary: alert.summary.as_str().into(),
        monitor: monitor.map(|m| m.name.clone()),
    };
    let definition = definition.map(Arc::new);
    Member { definition, heard_at: at, ..Member::new(key, entity, source, origin, alert.starts_at) }
}

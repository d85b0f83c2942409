//! The story an event tells: all a consumer needs, without history.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::correlate::{Changed, Member, Ranking, Situation, Situations, Source, Suspect, Tally, rank};
use crate::grade::Met;
use crate::model::{Entity, Reading, Timestamp};
use crate::rules::{Rules, Tuning};
use crate::stage::Message;
use crate::wire::cloudevent::{Attributes, message};

use super::{Event, Incident};

/// Members and suspects that an event shows; all are counted.
const MEMBERS_MAX: usize = 50;
const SUSPECTS_MAX: usize = 5;

/// Counts of further members that an event shows, the largest ones.
const TALLIES_MAX: usize = 20;

/// Changes that an event shows, the latest ones.
const CHANGES_MAX: usize = 20;

/// What has to change for an open incident to be told of again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    entities: BTreeSet<Entity>,
    suspect: Option<Entity>,
}

impl Picture {
    /// What is new against an earlier picture, in words.
    pub(super) fn news(&self, before: &Self) -> String {
        let new: Vec<&str> = self.entities.difference(&before.entities).map(Entity::as_str).collect();
        let joined = (!new.is_empty()).then(|| format!("now also {}", new.join(", ")));
        let suspect = self.suspect.as_ref().filter(|s| Some(*s) != before.suspect.as_ref()).map(|s| format!("first suspect is now {s}"));
        joined.into_iter().chain(suspect).collect::<Vec<_>>().join("; ")
    }
}

/// The picture of a situation as it was known at `at`.
pub(super) fn picture(situation: &Situation, suspects: &[Suspect], at: Timestamp) -> Picture {
    let known = situation.members.iter().filter(|m| m.starts_at <= at);
    Picture { entities: known.map(|m| m.entity.clone()).collect(), suspect: suspects.first().map(|s| s.entity.clone()) }
}

/// The story of an incident as of its last event.
pub(super) struct Story<'a> {
    incident: &'a Incident,
    situation: &'a Situation,
    leader: Option<&'a Member>,
    pub(super) ranking: Ranking,
    changes: Vec<&'a Changed>,
    tallies: Vec<Tally>,
}

#[derive(Serialize)]
struct Data<'a> {
    event: Happening<'a>,
    incident: Body<'a>,
}

#[derive(Serialize)]
struct Happening<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    at: String,
    reason: &'a str,
}

#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    sequence: u32,
    state: super::State,
    title: String,
    scenario: &'a str,
    business: &'a str,
    owner: &'a str,
    entity: &'a str,
    level: Levels<'a>,
    started_at: String,
    declared_at: String,
    recovered_at: Option<String>,
    lasted_seconds: u64,
    measure: Option<Measured<'a>>,
    suspects: Vec<Suspected<'a>>,
    undetermined: bool,
    no_change: f64,
    changes: Vec<ChangeView<'a>>,
    members: Vec<MemberView<'a>>,
    members_total: u64,
    counted: Vec<CountedView<'a>>,
    history: Vec<HistoryView<'a>>,
}

#[derive(Serialize)]
struct Levels<'a> {
    effective: String,
    sequence: &'a str,
    rank: u8,
    business: Option<MetView<'a>>,
    generic: Option<MetView<'a>>,
    next: Option<MetView<'a>>,
}

#[derive(Serialize)]
struct MetView<'a> {
    level: String,
    by: &'a str,
}

#[derive(Serialize)]
struct Measured<'a> {
    monitor: &'a str,
    group: &'a crate::model::Labels,
    last: Reading,
    worst: Reading,
}

#[derive(Serialize)]
struct Suspected<'a> {
    entity: &'a str,
    probability: f64,
    explains: f64,
    first_sign: Option<String>,
    change: Option<&'a str>,
    evidence: Vec<Evidence<'a>>,
}

#[derive(Serialize)]
struct Evidence<'a> {
    kind: &'a str,
    what: &'a str,
    nats: f64,
}

#[derive(Serialize)]
struct ChangeView<'a> {
    id: &'a str,
    kind: &'a str,
    entity: &'a str,
    at: String,
    summary: &'a str,
    before_first_sign_seconds: u64,
}

#[derive(Serialize)]
struct MemberView<'a> {
    kind: &'static str,
    name: &'a str,
    entity: &'a str,
    started_at: String,
    ended_at: Option<String>,
    joined: String,
    joined_nats: f64,
    summary: &'a str,
    suppressed: Option<&'a str>,
}

#[derive(Serialize)]
struct CountedView<'a> {
    entity: &'a str,
    name: &'a str,
    told: u64,
    firing: u64,
}

#[derive(Serialize)]
struct HistoryView<'a> {
    event: &'static str,
    at: String,
    level: String,
    reason: &'a str,
}

impl<'a> Story<'a> {
    pub(super) fn new(
        incident: &'a Incident,
        situation: &'a Situation,
        situations: &'a Situations,
        rules: &Rules,
        tuning: &Tuning,
    ) -> Self {
        let changes = &situations.changes;
        let near = changes.near(situation, incident.at, &rules.topology, tuning);
        let ranking = rank(situation, changes, rules, tuning, incident.at);
        let leader = situation.members.iter().find(|m| m.key == incident.leader);
        let tallies = situations.tallies(situation.id);
        Self { incident, situation, leader, ranking, changes: near, tallies }
    }

    pub(super) fn picture(&self) -> Picture {
        picture(self.situation, &self.ranking.suspects, self.incident.at)
    }

    pub(super) fn message(&self, event: Event, reason: &str) -> Message {
        let incident = self.incident;
        let at = incident.at.to_string();
        let subject = self.leader.map_or("", |m| m.entity.as_str());
        let attributes = Attributes {
            specversion: "1.0",
            id: format!("{}.{}", incident.id, incident.sequence),
            source: "/richter",
            kind: format!("io.richter.incident.{}.v1", event.as_str()),
            subject: subject.to_owned(),
            time: at.clone(),
            datacontenttype: "application/json",
            partitionkey: incident.id.clone(),
            sequence: format!("{:010}", incident.sequence),
            level: incident.level.to_string(),
        };
        let data = Data { event: Happening { kind: event.as_str(), at, reason }, incident: self.body(subject) };
        message(&attributes, &data)
    }

    fn body(&'a self, entity: &'a str) -> Body<'a> {
        let incident = self.incident;
        let started = self.situation.members.iter().filter(|m| m.counts()).map(|m| m.starts_at).min().unwrap_or(incident.declared_at);
        let definition = self.leader.and_then(|m| m.definition.as_ref());
        let known = || self.situation.members.iter().filter(|m| m.starts_at <= incident.at);
        Body {
            id: &incident.id,
            sequence: incident.sequence,
            state: incident.state,
            title: self.title(),
            scenario: self.leader.map_or("", |m| &m.summary),
            business: definition.map_or("", |d| &d.unit),
            owner: definition.map_or("", |d| &d.owner),
            entity,
            level: self.levels(),
            started_at: started.to_string(),
            declared_at: incident.declared_at.to_string(),
            recovered_at: incident.recovered_at.map(|t| t.to_string()),
            lasted_seconds: incident.at.since(started).as_secs(),
            measure: self.leader.and_then(measured),
            suspects: self.ranking.suspects.iter().take(SUSPECTS_MAX).map(suspected).collect(),
            undetermined: self.ranking.is_undetermined(),
            no_change: rounded(self.ranking.no_change),
            changes: self.changes.iter().rev().take(CHANGES_MAX).rev().map(|c| self.change(c)).collect(),
            members: known().take(MEMBERS_MAX).map(|m| member(m, incident.at)).collect(),
            members_total: known().count() as u64 + self.tallies.iter().map(|tally| tally.told).sum::<u64>(),
            counted: self.tallies.iter().take(TALLIES_MAX).map(counted).collect(),
            history: incident.history.iter().map(told).collect(),
        }
    }

    fn title(&self) -> String {
        let Some(leader) = self.leader else { return self.incident.id.clone() };
        let numbers = match &leader.source {
            Source::Breach { .. } => in_numbers(&leader.judged.as_ref().map_or_else(Reading::default, |judged| judged.reading)),
            Source::Alert { labels, .. } => labels.get("alertname").to_owned(),
        };
        format!("{} {} ({}): {numbers}", self.incident.level, leader.summary, leader.entity.name())
    }

    fn levels(&self) -> Levels<'_> {
        let (level, grade) = (&self.incident.level, &self.incident.grade);
        Levels {
            effective: level.to_string(),
            sequence: &level.sequence,
            rank: level.rank,
            business: grade.business.as_ref().map(met),
            generic: grade.generic.as_ref().map(met),
            next: grade.next.as_ref().map(met),
        }
    }

    fn change(&self, changed: &'a Changed) -> ChangeView<'a> {
        let change = &changed.change;
        let first = self.situation.started_at().unwrap_or(change.at);
        ChangeView {
            id: &change.id,
            kind: &change.kind,
            entity: changed.entity.as_str(),
            at: change.at.to_string(),
            summary: &change.summary,
            before_first_sign_seconds: first.since(change.at).as_secs(),
        }
    }
}

/// `41.3, expected 78.2 (47 % below)`.
fn in_numbers(reading: &Reading) -> String {
    if reading.value.is_nan() {
        return "no data".into();
    }
    let value = significant(reading.value);
    match reading.expected.filter(|e| *e != 0.0) {
        Some(expected) => {
            let share = (reading.value - expected) / expected.abs() * 100.0;
            let side = if share < 0.0 { "below" } else { "above" };
            format!("{value}, expected {} ({:.0}% {side})", significant(expected), share.abs())
        }
        None => value,
    }
}

/// Four significant digits, which is as many as anybody reads.
fn significant(x: f64) -> String {
    if x == 0.0 {
        return "0".into();
    }
    let digits = (3.0 - x.abs().log10().floor()).clamp(0.0, 9.0);
    let text = format!("{x:.0$}", digits as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn met(met: &Met) -> MetView<'_> {
    MetView { level: met.level.to_string(), by: &met.by }
}

fn measured(member: &Member) -> Option<Measured<'_>> {
    match &member.source {
        Source::Breach { monitor, group, .. } => {
            let judged = member.judged.as_ref()?;
            Some(Measured { monitor, group, last: judged.reading, worst: judged.worst })
        }
        Source::Alert { .. } => None,
    }
}

/// Probabilities are rounded: their last digits are no knowledge, and they differ between C libraries.
fn suspected(suspect: &Suspect) -> Suspected<'_> {
    Suspected {
        entity: suspect.entity.as_str(),
        probability: rounded(suspect.probability),
        explains: rounded(suspect.explains),
        first_sign: suspect.first_sign.map(|t| t.to_string()),
        change: suspect.change.as_deref(),
        evidence: suspect.evidence.iter().map(|part| Evidence { kind: &part.kind, what: &part.what, nats: rounded(part.nats) }).collect(),
    }
}

fn rounded(x: f64) -> f64 {
    (x * 1000.0).round() / 1000.0
}

fn member(member: &Member, at: Timestamp) -> MemberView<'_> {
    MemberView {
        kind: match member.source {
            Source::Breach { .. } => "breach",
            Source::Alert { .. } => "alert",
        },
        name: member.source.name(),
        entity: member.entity.as_str(),
        started_at: member.starts_at.to_string(),
        ended_at: member.ends_at.filter(|end| *end <= at).map(|end| end.to_string()),
        joined: member.why.to_string(),
        joined_nats: rounded(member.why.nats()),
        summary: &member.summary,
        suppressed: member.suppressed.as_ref().map(|suppressed| suppressed.why.as_str()),
    }
}

fn counted(tally: &Tally) -> CountedView<'_> {
    CountedView { entity: tally.entity.as_str(), name: &tally.name, told: tally.told, firing: tally.firing }
}

fn told(told: &super::incident::Told) -> HistoryView<'_> {
    HistoryView { event: told.event.as_str(), at: told.at.to_string(), level: told.level.to_string(), reason: &told.reason }
}

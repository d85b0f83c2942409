//! The story an event tells: all a consumer needs, without history.

use std::collections::BTreeMap;

use crate::contract::{
    Body, Change, Data, Discovery, Durations, Emergency, Evidence, Happening, INCIDENT, Impact, Levels, Met, Next, Plan, Rank, Related,
    Review, Source, Stamp,
};
use crate::correlate::Member;
use crate::grade;
use crate::model::command::RICHTER;
use crate::model::text::{cut, in_a_line};
use crate::model::{Class, Entity, Event, Measure, Point, State, Timestamp};
use crate::rules::Rules;
use crate::rules::plans::{Kind, Need, fitting};
use crate::stage::Message;
use crate::wire::cloudevent::{Attributes, message};

use super::emergency::{self, Fault, gather};
use super::evidence::{Grounds, rounded, source};
use super::grading::said_at_least;
use super::incident::{Held, Incident};

/// Plans that an event shows, the best ones.
const PLANS_MAX: usize = 5;

/// Labels that a title says beside whose it is, and how much of each, in bytes.
const LABELS_SAID_MAX: usize = 4;
const LABEL_BYTES_SAID_MAX: usize = 60;

/// The story of an incident as of its last event.
pub(super) struct Story<'a> {
    incident: &'a Incident,
    rules: &'a Rules,
    /// None where its situations were let go of.
    grounds: Option<&'a Grounds<'a>>,
    evidence: Evidence,
    called: String,
    title: String,
}

impl<'a> Story<'a> {
    pub(super) fn new(incident: &'a Incident, grounds: Option<&'a Grounds<'a>>, rules: &'a Rules) -> Self {
        let kept = || incident.kept.as_deref().cloned().unwrap_or_default();
        Self::with(incident, grounds, rules, grounds.map_or_else(kept, Grounds::evidence))
    }

    /// The same, of what it rests on by then.
    pub(super) fn with(incident: &'a Incident, grounds: Option<&'a Grounds<'a>>, rules: &'a Rules, evidence: Evidence) -> Self {
        let called = called(&evidence, rules);
        let title = title(incident, grounds, &called);
        Self { incident, rules, grounds, evidence, called, title }
    }

    /// Whom to gather, as of a time.
    pub(super) fn gather(&self, at: Timestamp) -> emergency::Gathered {
        let owners = self.grounds.into_iter().flat_map(Grounds::owners);
        let fault = Fault {
            id: &self.incident.id,
            title: &self.title,
            levels: self.incident.held().map(|held| &held.level).collect(),
            business: self.grounds.map_or(&self.evidence.business, Grounds::business),
            evidence: &self.evidence,
            owners: std::iter::once(self.evidence.owner.as_str()).chain(owners).collect(),
            unacknowledged: !self.incident.is_taken_on(),
            asked_after: self.incident.asked,
            asked: &self.incident.gathered.asked,
        };
        gather(&fault, &self.rules.duty, at)
    }

    /// What it is called: scenario and entity.
    pub(super) fn called(&self) -> &str {
        &self.called
    }

    /// How it stands in numbers: `22% below, lost 1725, money 73310 EUR`; nothing where nothing is measured.
    pub(super) fn stands(&self) -> String {
        let measured = self.evidence.measure.as_ref().map(|measure| measure.last.deviation());
        let all = [measured.unwrap_or_default(), self.impact().in_words()];
        all.into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join(", ")
    }

    /// What it rests on, to be kept when its situation goes.
    pub(super) fn into_evidence(self) -> Evidence {
        self.evidence
    }

    pub(super) fn message(&self, event: Event, author: &str, reason: &str, command: Option<&str>) -> Message {
        let incident = self.incident;
        let at = incident.at.to_string();
        let attributes = Attributes {
            specversion: "1.0",
            id: format!("{}.{}", incident.id, incident.sequence),
            source: "/richter",
            kind: format!("{INCIDENT}{}.v1", event.as_str()),
            subject: Some(self.evidence.entity.clone()).filter(|entity| !entity.is_empty()),
            time: at.clone(),
            datacontenttype: "application/json",
            partitionkey: incident.id.clone(),
            sequence: Some(format!("{:010}", incident.sequence)),
            level: incident.level().map(ToString::to_string),
        };
        let (state_before, levels_before) = incident.told.clone();
        let (author, reason, command) = (author.to_owned(), reason.to_owned(), command.map(str::to_owned));
        let event = Happening { kind: event, at, author, reason, command, state_before, levels_before };
        message(&attributes, &Data { event, incident: self.body() })
    }

    fn body(&self) -> Body {
        let incident = self.incident;
        let marked = |point: Point| incident.timeline.get(&point).map(|(at, _)| *at);
        let started = marked(Point::Occurred).unwrap_or(incident.declared_at);
        let over = matches!(incident.state, State::Recovered | State::Reviewed | State::Closed);
        let recovered = marked(Point::Recovered).or(incident.good_since).filter(|_| over);
        let until = recovered.unwrap_or(incident.at);
        let levels: Vec<Levels> = incident.held().map(|held| self.levels(held)).collect();
        Body {
            id: incident.id.clone(),
            sequence: incident.sequence,
            state: incident.state,
            title: self.title.clone(),
            level: levels.first().cloned(),
            levels,
            businesses_held: incident.of_businesses.iter().cloned().collect(),
            owners_held: incident.of_owners.iter().cloned().collect(),
            levels_held: incident.had.iter().map(|level| Rank { sequence: level.sequence.clone(), rank: level.rank }).collect(),
            started_at: started.to_string(),
            declared_at: incident.declared_at.to_string(),
            recovered_at: recovered.map(|t| t.to_string()),
            lasted_seconds: until.since(started).saturating_sub(incident.well_within(started, until)).as_secs(),
            acknowledged: incident.acknowledged.clone(),
            unacknowledged: incident.state == State::Declared && !incident.is_taken_on(),
            stale: incident.is_stale(),
            impact: self.impact(),
            timeline: incident.timeline.iter().map(|(point, (at, by))| (*point, Stamp { at: at.to_string(), by: by.clone() })).collect(),
            durations: durations(incident),
            discovery: self.discovery(),
            emergency: self.emergency(),
            plans: if incident.state.is_on() { self.plans() } else { vec![] },
            cause: incident.cause.clone(),
            review: incident.review.as_ref().map(|review| Review {
                due_at: review.due_at.to_string(),
                owner: self.evidence.owner.clone(),
                done: review.done.clone(),
            }),
            actions: incident.actions.clone(),
            notes: incident.notes.clone(),
            merged_into: incident.merged_into.clone(),
            merged: incident.merged.clone(),
            related: self.related(),
            evidence: self.evidence.clone(),
            history_left_out: incident.sequence - u32::try_from(incident.history.len()).unwrap_or(incident.sequence),
            history: incident.history.clone(),
        }
    }

    /// What it is one with by now is not related to it.
    fn related(&self) -> Vec<Related> {
        let incident = self.incident;
        let parts = || incident.merged.iter().chain(&incident.merged_into);
        incident.related.iter().filter(|related| parts().all(|part| *part != related.incident)).cloned().collect()
    }

    fn levels(&self, held: &Held) -> Levels {
        let met = |met: &grade::Met| Met { level: met.level.to_string(), by: met.by.clone() };
        let next = |next: &grade::Next| Next { level: next.level.to_string(), by: next.by.clone(), distance: next.distance.clone() };
        // Of what seems to be over, or is, nothing is next.
        let lasts = matches!(self.incident.state, State::Suspected | State::Declared);
        let above = held.standing.next.as_ref().filter(|next| lasts && next.level.rank < held.level.rank);
        Levels {
            effective: held.level.to_string(),
            sequence: held.level.sequence.clone(),
            rank: held.level.rank,
            set_by: held.set.as_ref().map(|(_, by)| by.clone()),
            business: held.standing.business.as_ref().map(met),
            generic: held.standing.generic.as_ref().map(met),
            next: above.map(next),
        }
    }

    fn impact(&self) -> Impact {
        let mut numbers = self.grounds.map_or_else(|| self.incident.measured.clone(), Grounds::numbers);
        let said = said_at_least(&mut numbers, &self.incident.said);
        let numbers: BTreeMap<Measure, f64> = numbers.into_iter().map(|(measure, number)| (measure, rounded(number))).collect();
        let currency = if numbers.contains_key(&Measure::Money) { self.rules.currency() } else { "" }.to_owned();
        Impact { numbers, currency, said }
    }

    fn discovery(&self) -> Discovery {
        match &self.incident.discovery {
            Some(discovery) => discovery.clone(),
            None => self.grounds.and_then(|grounds| grounds.leader).map_or_else(unknown, discovered),
        }
    }

    fn emergency(&self) -> Option<Emergency> {
        let incident = self.incident;
        let gathered = Some(&incident.gathered).filter(|_| incident.state.is_on())?;
        let handling = self.rules.levels.handling(incident.level()?);
        Some(Emergency {
            group: gathered.group.clone(),
            channel: gathered.channel.clone(),
            conference: gathered.conference.clone(),
            people: gathered.people.clone(),
            until: gathered.until.map(|until| until.to_string()),
            follow_up_at: Some((incident.followed_at + incident.follows_up_after(&handling)).to_string()),
        })
    }

    /// The plans that fit; where a change is suspected first, taking it back comes first.
    fn plans(&self) -> Vec<Plan> {
        let evidence = &self.evidence;
        let first = evidence.suspects.first().filter(|_| !evidence.undetermined);
        let change = first.and_then(|suspect| suspect.change.as_ref());
        let change = change.and_then(|id| evidence.changes.iter().find(|change| change.id == *id));
        let suspect = first.and_then(|suspect| Entity::parse(&suspect.entity).ok());
        let Ok(entity) = Entity::parse(&evidence.entity) else { return vec![] };
        let need = Need {
            scenario: &evidence.scenario,
            entity: &entity,
            suspect: suspect.as_ref(),
            class: self.incident.cause.as_ref().map(|cause| cause.class).or_else(|| change.map(|_| Class::Change)),
            change: change.map(|change| change.kind.as_str()),
        };
        let back = |kind: Kind| change.filter(|_| kind == Kind::RollBack).map(|change| change.id.clone());
        let plans = fitting(&self.rules.plans, &need).into_iter().map(|plan| Plan {
            name: plan.name.clone(),
            kind: plan.kind,
            link: plan.link.clone(),
            owner: plan.owner.clone(),
            takes_seconds: plan.takes.map(|takes| takes.as_secs()),
            risk: plan.risk,
            change: back(plan.kind),
        });
        let mut plans: Vec<Plan> = plans.take(PLANS_MAX).collect();
        if let Some(change) = change.filter(|_| plans.iter().all(|plan| plan.kind != Kind::RollBack)) {
            plans.insert(0, roll_back(change));
        }
        plans
    }
}

/// Nobody has to write a plan for taking a change back.
fn roll_back(change: &Change) -> Plan {
    Plan {
        name: format!("roll {} of {} back", change.in_words(), change.entity),
        kind: Kind::RollBack,
        link: String::new(),
        owner: String::new(),
        takes_seconds: None,
        risk: crate::rules::plans::Risk::Medium,
        change: Some(change.id.clone()),
    }
}

/// By what a member makes an incident known.
pub(super) fn discovered(member: &Member) -> Discovery {
    Discovery { by: source(member), name: member.source.name().to_owned() }
}

fn unknown() -> Discovery {
    Discovery { by: Source::Person, name: String::new() }
}

/// The scenario, whose it is, and which of several of that, as a region or a pod.
fn called(evidence: &Evidence, rules: &Rules) -> String {
    let entity = evidence.entity.split_once('=').map_or(evidence.entity.as_str(), |(_, name)| name);
    let Some(measure) = &evidence.measure else { return format!("{} ({entity})", evidence.scenario) };
    let named_by: Vec<&str> = rules.monitor(&measure.monitor).into_iter().flat_map(|monitor| monitor.entity.labels()).collect();
    let says_more = |(name, value): &(&str, &str)| !name.starts_with("__") && !named_by.contains(name) && *value != entity;
    let which = measure.group.iter().filter(says_more).take(LABELS_SAID_MAX);
    let which: String = which.map(|(name, value)| format!(", {name}={}", cut(&in_a_line(value), LABEL_BYTES_SAID_MAX))).collect();
    format!("{} ({entity}{which})", evidence.scenario)
}

fn title(incident: &Incident, grounds: Option<&Grounds<'_>>, called: &str) -> String {
    let level = incident.level().map_or_else(|| "suspected:".to_owned(), ToString::to_string);
    let what = match (grounds.map_or(0, Grounds::alike), called.strip_suffix(')')) {
        (alike @ 1.., Some(called)) => format!("{level} {called} and {alike} more)"),
        _ => format!("{level} {called}"),
    };
    match grounds.map(Grounds::in_numbers).filter(|numbers| !numbers.is_empty()) {
        Some(numbers) => format!("{what}: {numbers}"),
        None => what,
    }
}

fn durations(incident: &Incident) -> Durations {
    let at = |point: Point| incident.timeline.get(&point).map(|(at, _)| *at);
    let between = |from: Point, to: Point| Some(at(to)?.since(at(from)?).as_secs());
    // When that began which a person has found, only a person can say.
    let by_hand = incident.discovery.as_ref().is_some_and(|discovery| discovery.by == Source::Person)
        && incident.timeline.get(&Point::Occurred).is_some_and(|(_, by)| by == RICHTER);
    let detect = between(Point::Occurred, Point::Discovered);
    Durations {
        detect: detect.filter(|detect| *detect > 0 || !by_hand),
        acknowledge: between(Point::Discovered, Point::Responded),
        locate: between(Point::Discovered, Point::Located),
        recover: between(Point::Occurred, Point::Recovered),
    }
}

//! The emergency: whom to gather for a fault, where, and who is asked when nobody takes it on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contract::{Evidence, Person};
use crate::model::{Entity, Event, Level, Timestamp};
use crate::rules::Duty;
use crate::rules::duty::{Gather, Team};

/// Who is gathered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gathered {
    pub(super) group: Option<String>,
    pub(super) channel: Option<String>,
    pub(super) conference: Option<String>,
    pub(super) people: Vec<Person>,
    /// The teams they are of.
    pub(super) teams: Vec<String>,
    /// When others may be on duty.
    pub(super) until: Option<Timestamp>,
    /// Who is asked after how long without an acknowledgement.
    pub(super) escalate: Vec<(Duration, Vec<String>)>,
    /// The teams that were asked so; they stay until somebody takes it on.
    pub(super) asked: Vec<String>,
}

/// What the names of groups, channels and conferences are made of.
#[derive(Serialize)]
struct Given<'g> {
    id: &'g str,
    title: &'g str,
    level: String,
    sequence: &'g str,
    rank: u8,
    scenario: &'g str,
    business: &'g str,
    owner: &'g str,
    entity: &'g str,
}

/// A fault to gather people for.
pub(super) struct Fault<'f> {
    pub(super) id: &'f str,
    pub(super) title: &'f str,
    /// The leading one first.
    pub(super) levels: Vec<&'f Level>,
    /// Whose emergency it is.
    pub(super) business: &'f str,
    pub(super) evidence: &'f Evidence,
    /// The teams whose business it is, first of all that of what leads.
    pub(super) owners: Vec<&'f str>,
    /// Nobody has taken it on,
    pub(super) unacknowledged: bool,
    /// so that somebody was asked last after so long,
    pub(super) asked_after: Option<Duration>,
    /// and these teams already.
    pub(super) asked: &'f [String],
}

/// Whom to gather, as of a time.
pub(super) fn gather(fault: &Fault<'_>, duty: &Duty, at: Timestamp) -> Gathered {
    let evidence = fault.evidence;
    let emergencies = duty.emergencies(&fault.levels, fault.business);
    let Some((first, level)) = emergencies.first().zip(fault.levels.first()) else { return Gathered::default() };
    let mut escalate: Vec<(Duration, Vec<String>)> = emergencies.iter().flat_map(|emergency| emergency.escalate.clone()).collect();
    escalate.sort_by_key(|(after, _)| *after);
    let suspect = evidence.suspects.first().filter(|_| !evidence.undetermined);
    let suspect = suspect.and_then(|suspect| Entity::parse(&suspect.entity).ok());
    let named = emergencies.iter().flat_map(|emergency| &emergency.gather).flat_map(|whom| -> Vec<&Team> {
        match whom {
            Gather::Owner => fault.owners.iter().filter_map(|owner| duty.team(owner)).collect(),
            Gather::Suspect => suspect.as_ref().and_then(|suspect| duty.looks_after(suspect)).into_iter().collect(),
            Gather::Team(name) => duty.team(name).into_iter().collect(),
        }
    });
    let asked = escalate.iter().filter(|(after, _)| Some(*after) <= fault.asked_after).flat_map(|(_, teams)| teams);
    let asked = fault.asked.iter().chain(asked).filter(|_| fault.unacknowledged);
    let asked = distinct(asked.filter_map(|name| duty.team(name)));
    let teams = distinct(named.chain(asked.iter().copied()));
    let person = |team: &Team, name: &str| Person { name: name.to_owned(), team: team.name.clone(), contact: team.contact.clone() };
    let given = Given {
        id: fault.id,
        title: fault.title,
        level: level.to_string(),
        sequence: &level.sequence,
        rank: level.rank,
        scenario: &evidence.scenario,
        business: &evidence.business,
        owner: &evidence.owner,
        entity: &evidence.entity,
    };
    // What cannot be filled in says so where it is read.
    let fill = |text: &Option<crate::rules::Text>| text.as_ref().map(|text| text.fill(&given).unwrap_or_else(|why| why));
    Gathered {
        group: fill(&first.group),
        channel: fill(&first.channel),
        conference: fill(&first.conference),
        people: teams.iter().flat_map(|team| team.on_duty(at).into_iter().map(|name| person(team, name))).collect(),
        teams: teams.iter().map(|team| team.name.clone()).collect(),
        until: teams.iter().filter_map(|team| team.changes_after(at)).min(),
        asked: asked.into_iter().map(|team| team.name.clone()).collect(),
        escalate,
    }
}

fn distinct<'t>(all: impl Iterator<Item = &'t Team>) -> Vec<&'t Team> {
    let mut teams: Vec<&Team> = vec![];
    for team in all {
        if teams.iter().all(|known| known.name != team.name) {
            teams.push(team);
        }
    }
    teams
}

impl Gathered {
    /// Others are gathered from now on. That the same teams have other people on duty is for the change of shift to tell.
    pub(super) fn follows(&mut self, now: Self, event: Event) {
        let shift = self.teams == now.teams && self.people != now.people && event != Event::HandedOver;
        if shift {
            let (people, until) = (std::mem::take(&mut self.people), self.until);
            *self = Self { people, until, ..now };
        } else {
            *self = now;
        }
    }
}

/// Who is gathered as well by now.
pub(super) fn joined(before: &[Person], now: &[Person]) -> Option<String> {
    let new: Vec<&str> = now.iter().filter(|person| !before.contains(person)).map(|person| person.name.as_str()).collect();
    (!new.is_empty()).then(|| format!("on duty as well: {}", new.join(", ")))
}

/// From whom to whom it is handed over, where the same team has other people on duty.
pub(super) fn handed_over(before: &[Person], now: &[Person]) -> Option<String> {
    let names = |people: &[Person]| people.iter().map(|person| person.name.as_str()).collect::<Vec<_>>().join(", ");
    let somebody = |people: &[Person]| if people.is_empty() { "nobody".to_owned() } else { names(people) };
    (names(before) != names(now)).then(|| format!("on duty: {} → {}", somebody(before), somebody(now)))
}

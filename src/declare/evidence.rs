//! What an incident rests on, as it is shown: measurements, suspects, changes, members.

use std::collections::BTreeSet;

use crate::contract::{self, Alternative, Change, Counted, Drawn, Evidence, Measured, Part};
use crate::correlate::{Changed, EndedBy, Member, Ranking, Situation, Situations, Source, Suspect, Tally, rank};
use crate::grade::Stated;
use crate::model::text::{cut, moment};
use crate::model::{Entity, Numbers, Reading, Step, Timestamp};
use crate::rules::{Rules, Tuning};

use super::costs;
use super::incident::Incident;
use super::picture::{Lasts, Picture, called};

/// Members and suspects that an event shows; all are counted.
const MEMBERS_MAX: usize = 50;
const SUSPECTS_MAX: usize = 5;

/// Counts of further members that an event shows, the largest ones.
const TALLIES_MAX: usize = 20;

/// Changes that an event shows, the latest ones.
const CHANGES_MAX: usize = 20;

/// Entities that an event names of what else fails.
const OTHERS_MAX: usize = 20;

/// Of what a member says of itself.
const WORDS_BYTES_MAX: usize = 1024;

/// An incident's situations, and what stands out in them.
pub(super) struct Grounds<'g> {
    pub(super) situations: Vec<&'g Situation>,
    /// The member that leads; where that has ended, the worst of what lasts.
    pub(super) leader: Option<&'g Member>,
    /// The one that led, be it over.
    led: Option<&'g Member>,
    pub(super) lasts: Lasts,
    pub(super) ranking: Ranking,
    changes: Vec<&'g Changed>,
    changes_since: Vec<&'g Changed>,
    tallies: Vec<Tally>,
    /// The team that owns what leads, where no monitor says whose it is.
    owner: Option<&'g str>,
    at: Timestamp,
}

impl<'g> Grounds<'g> {
    /// Of an incident, as of a time; none where its situation was let go of, or one of them once it was over.
    pub(super) fn of(incident: &Incident, at: Timestamp, all: &'g Situations, rules: &'g Rules, tuning: &Tuning) -> Option<Self> {
        if incident.is_partly_gone && !incident.state.is_on() {
            return None;
        }
        let situations: Vec<&Situation> = incident.situations.iter().filter_map(|id| all.get(*id)).collect();
        let members = || situations.iter().flat_map(|s| &s.members);
        let leader = members().find(|m| m.key == incident.leader).map(|leader| {
            // Of a trouble that has come back the last episode tells how things stand.
            let is_same = |m: &&Member| m.counts() && m.entity == leader.entity && leader.is_called_as(m);
            let own = |m: &Member| m.fingerprint() == leader.fingerprint();
            let last = members().filter(is_same).max_by_key(|m| (m.ends_at.is_none(), own(m), m.starts_at, m.key));
            last.filter(|_| leader.ends_at.is_some()).unwrap_or(leader)
        });
        let led = leader.or_else(|| members().find(|m| m.counts()));
        let sequence = incident.level().map(|level| level.sequence.as_str());
        let (lasts, other) = lasts(led, members().filter(|m| m.counts() && m.ends_at.is_none()), sequence, at);
        let leader = other.or(led);
        // The root is that of what began it.
        let leads = |situation: &&&Situation| led.is_some_and(|led| situation.members.iter().any(|m| m.key == led.key));
        let leading = *situations.iter().find(leads).or(situations.first())?;
        Some(Self {
            leader,
            led,
            lasts,
            ranking: rank(leading, all, rules, tuning, at),
            changes: all.changes.near(leading, at, &rules.topology, tuning),
            changes_since: all.changes.since(leading, at),
            tallies: situations.iter().flat_map(|s| all.tallies(s.id)).collect(),
            owner: leader.and_then(|leader| rules.duty.looks_after(&leader.entity)).map(|team| team.name.as_str()),
            at,
            situations,
        })
    }

    pub(super) fn picture(&self) -> Picture {
        Picture::of(&self.situations, &self.ranking, self.lasts.clone(), self.at)
    }

    /// The first sign of what counts.
    pub(super) fn started_at(&self) -> Option<Timestamp> {
        self.members().filter(|m| m.counts()).map(|m| m.starts_at).min()
    }

    /// Whose business what counts is, with repeats.
    pub(super) fn owners(&self) -> impl Iterator<Item = &'g str> {
        self.members().filter(|m| m.counts()).filter_map(|m| m.definition.as_ref()).map(|definition| definition.owner.as_str())
    }

    /// Whose emergency it is: the business of what led, though other things last by now.
    pub(super) fn business(&self) -> &'g str {
        self.led.and_then(|led| led.definition.as_ref()).map_or("", |definition| &definition.business)
    }

    /// The businesses of what counts.
    fn businesses(&self) -> Vec<String> {
        let definitions = self.members().filter(|m| m.counts()).filter_map(|m| m.definition.as_ref());
        distinct(definitions.map(|definition| definition.business.as_str()))
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &'g Member> + Clone {
        self.situations.iter().flat_map(|situation| &situation.members)
    }

    /// The team that owns what leads; where no monitor says so, the one that looks after what it is about.
    fn owner(&self) -> &'g str {
        let own = self.leader.and_then(|m| m.definition.as_ref()).map(|definition| definition.owner.as_str());
        own.filter(|owner| !owner.is_empty()).or(self.owner).unwrap_or_default()
    }

    pub(super) fn evidence(&self) -> Evidence {
        let definition = self.leader.and_then(|m| m.definition.as_ref());
        let known = || self.members().filter(|m| m.starts_at <= self.at);
        let first = self.situations.iter().filter_map(|s| s.started_at()).min().unwrap_or(self.at);
        let (others, others_last) = self.others();
        Evidence {
            scenario: self.leader.map_or_else(String::new, |m| m.summary().to_owned()),
            business: definition.map_or_else(String::new, |d| d.business.clone()),
            businesses: self.businesses(),
            owner: self.owner().to_owned(),
            owners: distinct(std::iter::once(self.owner()).chain(self.owners())),
            entity: self.leader.map_or_else(String::new, |m| m.entity.to_string()),
            since: self.leader.map(|m| m.starts_at.to_string()),
            says: cut(self.words(), WORDS_BYTES_MAX),
            others: others.iter().take(OTHERS_MAX).map(ToString::to_string).collect(),
            others_total: others.len() as u64,
            others_last: others_last && !others.is_empty(),
            measure: self.leader.and_then(|leader| self.measured(leader)),
            suspects: self.ranking.suspects.iter().take(SUSPECTS_MAX).map(suspect).collect(),
            undetermined: self.ranking.is_undetermined(),
            no_change: rounded(self.ranking.no_change),
            changes: self.changes.iter().rev().take(CHANGES_MAX).rev().map(|changed| change(changed, first)).collect(),
            changes_since: self.changes_since.iter().rev().take(CHANGES_MAX).rev().map(|changed| change(changed, first)).collect(),
            members: self.foremost(known().collect()).into_iter().map(|m| member(m, self.at)).collect(),
            members_total: known().count() as u64 + self.tallies.iter().map(|tally| tally.told).sum::<u64>(),
            counted: self.tallies.iter().take(TALLIES_MAX).map(counted).collect(),
        }
    }

    /// Of very many members those that are told of: what leads, then what makes it a fault, then what joined first; as they joined.
    fn foremost(&self, members: Vec<&'g Member>) -> Vec<&'g Member> {
        let mut ranked: Vec<(usize, &Member)> = members.into_iter().enumerate().collect();
        ranked.sort_by_key(|(place, m)| (self.leader.is_none_or(|leader| leader.key != m.key), !m.counts(), *place));
        ranked.truncate(MEMBERS_MAX);
        ranked.sort_by_key(|(place, _)| *place);
        ranked.into_iter().map(|(_, member)| member).collect()
    }

    /// What is said of what leads: by itself, or else by what means something too and lasts where that is.
    fn words(&self) -> &'g str {
        let Some(leader) = self.leader else { return "" };
        let beside = |m: &&Member| m.counts() && m.ends_at.is_none() && m.entity == leader.entity;
        let mut words = std::iter::once(leader).chain(self.members().filter(beside)).map(Member::words);
        words.find(|words| !words.is_empty()).unwrap_or_default()
    }

    /// What fails beside what leads, or once nothing does what did, and which of both; in the order in which it began, what is only
    /// counted last.
    fn others(&self) -> (Vec<&Entity>, bool) {
        let known = || self.members().filter(|m| m.starts_at <= self.at && m.suppressed.is_none());
        let fails = |member: &Member| member.ends_at.is_none_or(|end| end > self.at);
        let lasts = known().any(fails);
        let mut failed: Vec<&Member> = known().filter(|m| !lasts || fails(m)).collect();
        failed.sort_by_key(|member| (member.starts_at, member.key));
        let counted = self.tallies.iter().filter(|tally| !lasts || tally.firing > 0).map(|tally| &tally.entity);
        let mut seen: BTreeSet<&Entity> = self.leader.map(|leader| &leader.entity).into_iter().collect();
        (failed.into_iter().map(|member| &member.entity).chain(counted).filter(|entity| seen.insert(entity)).collect(), lasts)
    }

    /// Of how many further entities the same is told as of what leads.
    pub(super) fn alike(&self) -> usize {
        let Some(leader) = self.leader else { return 0 };
        let same = |m: &&Member| m.counts() && m.starts_at <= self.at && m.entity != leader.entity && m.summary() == leader.summary();
        self.members().filter(same).map(|m| &m.entity).collect::<BTreeSet<&Entity>>().len()
    }

    /// What it costs, as it is measured.
    pub(super) fn numbers(&self) -> Numbers {
        costs::numbers(self.members())
    }

    /// The worst reading of all episodes of what a monitor measured.
    fn worst(&self, leader: &Member) -> Option<&Reading> {
        let episodes = self.members().filter(|m| m.fingerprint() == leader.fingerprint()).filter_map(|m| m.judged.as_ref());
        episodes.map(|judged| &judged.worst).reduce(|worst, other| if other.is_worse_than(worst) { other } else { worst })
    }

    /// What a monitor measured of a member; the worst of all its episodes.
    fn measured(&self, leader: &Member) -> Option<Measured> {
        let Source::Breach { monitor, group, judge } = &leader.source else { return None };
        let judged = leader.judged.as_ref()?;
        let drawn = |step: &Step| Drawn {
            at: step.at.to_string(),
            value: step.reading.value,
            expected: step.reading.expected,
            lower: step.reading.lower,
            upper: step.reading.upper,
        };
        Some(Measured {
            monitor: monitor.clone(),
            group: group.clone(),
            judge: Some(*judge),
            last: reading(&judged.reading),
            worst: reading(self.worst(leader)?),
            dimensions: judged.dimensions.iter().map(dimension).collect(),
            curve: judged.curve.iter().filter(|step| step.reading.value.is_finite()).map(drawn).collect(),
        })
    }

    /// The leading member's numbers, in words.
    pub(super) fn in_numbers(&self) -> String {
        match self.leader.map(|leader| (leader, &leader.source)) {
            Some((leader, Source::Breach { monitor, .. })) => {
                let Some(judged) = leader.judged.as_deref() else { return String::new() };
                // Of an objective there are several monitors: the number alone does not say of what it is.
                let what = monitor.split_once(": ").map_or_else(String::new, |(_, what)| format!("{what} "));
                let now = what + &reading(&judged.reading).in_numbers();
                match leader.ends_at {
                    Some(_) if leader.ended_by == EndedBy::NewNormal => format!("{now}, which is the new normal"),
                    Some(_) => format!("{now}; at worst {}", reading(self.worst(leader).unwrap_or(&judged.worst)).in_numbers()),
                    None if leader.stale => format!("last known {now}"),
                    None => now,
                }
            }
            Some((leader, Source::Alert { labels, .. })) => {
                let heard = if leader.stale { format!(", last heard of {}", moment(leader.heard_at)) } else { String::new() };
                labels.get("alertname").to_owned() + &heard
            }
            Some((_, Source::Person { author, .. })) => format!("{author} says so"),
            None => String::new(),
        }
    }
}

/// What lasts of an incident: what led it, or what is called as that; or else the worst of the rest, which leads by now: of the
/// leading sequence, where something of that lasts.
fn lasts<'g>(
    led: Option<&'g Member>,
    lasting: impl Iterator<Item = &'g Member> + Clone,
    sequence: Option<&str>,
    at: Timestamp,
) -> (Lasts, Option<&'g Member>) {
    let Some(led) = led.filter(|led| led.ends_at.is_some()) else { return (Lasts::Leader, None) };
    if lasting.clone().any(|member| led.is_called_as(member) && led.entity == member.entity) {
        return (Lasts::Leader, None);
    }
    let graded = lasting.filter_map(|m| Some((m.graded(at, &Stated::new(), &Numbers::new())?.grade.level()?.clone(), m)));
    match graded.min_by_key(|(level, m)| (Some(level.sequence.as_str()) != sequence, level.clone(), m.starts_at, m.key)) {
        Some((level, worst)) => (Lasts::Other(format!("{}, {level} by itself,", called(worst, ""))), Some(worst)),
        None => (Lasts::Nothing, None),
    }
}

/// By what a member is known.
pub(super) fn source(member: &Member) -> contract::Source {
    match member.source {
        Source::Breach { .. } => contract::Source::Breach,
        Source::Alert { .. } => contract::Source::Alert,
        Source::Person { .. } => contract::Source::Person,
    }
}

fn dimension(one: &crate::model::Dimension) -> contract::Dimension {
    contract::Dimension {
        labels: one.labels.clone(),
        coverage: rounded(one.coverage),
        lift: rounded(one.lift),
        is: one.is,
        expected: one.expected,
    }
}

fn metric(metric: &crate::correlate::Metric) -> contract::Metric {
    contract::Metric {
        name: metric.name.clone(),
        labels: metric.labels.clone(),
        probability: rounded(metric.probability),
        dimensions: metric.dimensions.iter().map(dimension).collect(),
    }
}

fn reading(reading: &Reading) -> contract::Reading {
    let Reading { value, expected, lower, upper, score, weight } = *reading;
    let infinite = value.is_infinite();
    contract::Reading { value: Some(value).filter(|value| value.is_finite()), infinite, expected, lower, upper, score, weight }
}

pub(super) fn part(part: &crate::correlate::Part) -> Part {
    Part {
        kind: part.kind.to_owned(),
        subject: part.subject.clone(),
        value: part.value.map(rounded),
        nats: rounded(part.nats),
        reference: part.reference.clone(),
        what: part.what.clone(),
    }
}

/// Probabilities are rounded: their last digits are no knowledge, and they differ between C libraries.
fn suspect(suspect: &Suspect) -> contract::Suspect {
    contract::Suspect {
        entity: suspect.entity.to_string(),
        probability: rounded(suspect.probability),
        explains: rounded(suspect.explains),
        first_sign: suspect.first_sign.map(|t| t.to_string()),
        change: suspect.change.clone(),
        change_probability: rounded(suspect.change_probability),
        metrics: suspect.metrics.iter().map(metric).collect(),
        evidence: suspect.evidence.iter().map(part).collect(),
    }
}

pub(super) fn rounded(x: f64) -> f64 {
    (x * 1000.0).round() / 1000.0
}

fn change(changed: &Changed, first: Timestamp) -> Change {
    let change = &changed.change;
    Change {
        id: change.id.clone(),
        kind: change.kind.clone(),
        entity: changed.entity.to_string(),
        at: change.at.to_string(),
        summary: change.summary.clone(),
        before_first_sign_seconds: first.since(change.at).as_secs(),
        after_first_sign_seconds: change.at.since(first).as_secs(),
    }
}

impl Evidence {
    /// What has become of its members by now; of `all` of them, if that situation is the last one.
    pub(super) fn refresh(&mut self, situation: &Situation, at: Timestamp, all: bool) {
        let mut left: Vec<&mut contract::Member> = self.members.iter_mut().collect();
        for now in &situation.members {
            let (name, entity, started_at) = (now.source.name(), now.entity.to_string(), now.starts_at.to_string());
            let same = |known: &&mut contract::Member| known.name == name && known.entity == entity && known.started_at == started_at;
            // Of several that look alike each is one.
            if let Some(place) = left.iter().position(same) {
                *left.remove(place) = member(now, at);
            }
        }
        if all && std::mem::take(&mut self.others_last) {
            let failed = self.members.iter().map(|member| &member.entity).chain(self.counted.iter().map(|counted| &counted.entity));
            let mut seen: BTreeSet<&String> = [&self.entity].into();
            let others: Vec<String> = failed.filter(|entity| seen.insert(entity)).cloned().collect();
            self.others_total = self.others_total.max(others.len() as u64);
            self.others = others.into_iter().take(OTHERS_MAX).collect();
        }
    }
}

fn member(member: &Member, at: Timestamp) -> contract::Member {
    let mut evidence = member.why.parts(&member.entity);
    evidence.extend(member.suppressed.as_ref().map(|suppressed| suppressed.part(&member.entity)));
    contract::Member {
        kind: source(member),
        name: member.source.name().to_owned(),
        entity: member.entity.to_string(),
        started_at: member.starts_at.to_string(),
        ended_at: member.ends_at.filter(|end| *end <= at).map(|end| end.to_string()),
        joined: member.why.to_string(),
        joined_nats: rounded(member.why.odds.nats()),
        evidence: evidence.iter().map(part).collect(),
        alternative: member.why.alternative().map(|(entity, nats)| Alternative { entity: entity.to_string(), nats: rounded(nats) }),
        summary: cut(if member.words().is_empty() { member.summary() } else { member.words() }, WORDS_BYTES_MAX),
        suppressed: member.suppressed.as_ref().map(|suppressed| suppressed.why.clone()),
    }
}

fn counted(tally: &Tally) -> Counted {
    Counted { entity: tally.entity.to_string(), name: tally.name.to_string(), told: tally.told, firing: tally.firing }
}

/// Those that are named, each once.
fn distinct<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let names: BTreeSet<&str> = names.filter(|name| !name.is_empty()).collect();
    names.into_iter().map(str::to_owned).collect()
}

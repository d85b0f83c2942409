//! Report: what past incidents teach. Pure: the last event of each incident → numbers, and the incidents that show them.

mod weakness;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::contract::{Body, Data, Source};
use crate::model::{Class, Event, State, Timestamp};

pub use weakness::{Stage, Weakness, weaknesses};

/// A fault that was over so soon, and that nobody took on, need not have been one.
const SOON: Duration = Duration::from_secs(300);

/// Weeks that are told of though nothing happened in them.
const WEEKS_MAX: i64 = 60;

const WEEK_MS: i64 = 7 * 86_400_000;

/// A monitor with so many of its incidents false, or with as many suspicions that came to nothing, is noisy.
const NOISE_MIN: usize = 3;

/// What a period's incidents teach.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// From when, inclusively.
    pub from: String,
    /// To when, exclusively; what is overdue is so by then.
    pub to: String,
    /// Incidents declared in it, without those that were cancelled or merged.
    pub incidents: usize,
    /// Those of the two most severe ranks, the most severe first, and of equals the latest.
    pub severe: Vec<Fault>,
    /// Those that are still on, whenever they were declared.
    pub on: Vec<Fault>,
    /// Declared and then found to be none.
    pub cancelled: usize,
    /// Found to be part of another one.
    pub merged: usize,
    /// By level; one of several sequences counts in each.
    pub by_level: BTreeMap<String, usize>,
    /// By business.
    pub by_business: BTreeMap<String, usize>,
    /// By the class of their root cause, of those whose cause is known.
    pub by_class: BTreeMap<Class, usize>,
    /// The share that a monitor or an alert discovered, and not a person.
    pub by_monitoring: Option<f64>,
    /// How many have a root cause that is known.
    pub causes_known: usize,
    /// How many of these a change caused.
    pub by_change: usize,
    /// Reviews that were done, and how many of them in time.
    pub reviews: Kept,
    /// Actions that were done, likewise.
    pub actions: Kept,
    /// How long the stages took.
    pub stages: BTreeMap<Stage, Quantiles>,
    /// The same by the week that begins on that Monday, in UTC; also of weeks in which there was none.
    pub weeks: BTreeMap<String, Week>,
    /// What happened in it not for the first time for that reason, the most frequent first.
    pub repeats: Vec<Repeat>,
    /// Reviews that should be done by now, of faults of any time.
    pub overdue_reviews: Vec<Overdue>,
    /// Actions that should be done by now, likewise.
    pub overdue_actions: Vec<Overdue>,
    /// Monitors and alerts that cry wolf, the worst first.
    pub noisy: Vec<Noise>,
    /// The stage in which each business is weakest against the others.
    pub weaknesses: Vec<Weakness>,
}

/// A fault in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The incident.
    pub incident: String,
    /// What it is called.
    pub title: String,
    /// Its levels, the leading one first.
    pub levels: Vec<String>,
    /// When it was declared.
    pub declared_at: String,
    /// How long it lasted, in seconds.
    pub lasted_seconds: u64,
    /// What it cost, in words.
    pub impact: String,
    /// Its root cause, where it is known.
    pub cause: Option<String>,
    /// Who has taken it on.
    pub acknowledged_by: Option<String>,
    /// As of its last event.
    pub state: State,
}

/// What was done, and how much of it by when it was due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// How many were done.
    pub done: usize,
    /// Of these in time.
    pub in_time: usize,
}

/// The median and the ninth decile, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// How many are known.
    pub known: usize,
    /// Half took no longer.
    pub median: u64,
    /// Nine in ten took no longer.
    pub p90: u64,
}

/// One week.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Week {
    /// Incidents.
    pub incidents: usize,
    /// Of the two most severe levels.
    pub severe: usize,
    /// How long the stages took.
    pub stages: BTreeMap<Stage, Quantiles>,
}

/// The same again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repeat {
    /// What users could not do, each time.
    pub scenario: String,
    /// Its root cause's class with the entity or the change; what was suspected first where nobody said.
    pub because: String,
    /// The incidents of any time, in order.
    pub incidents: Vec<String>,
}

/// What should be done by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overdue {
    /// Of this incident.
    pub incident: String,
    /// What.
    pub what: String,
    /// By whom.
    pub owner: String,
    /// Since when.
    pub due_at: String,
}

/// Who cries wolf.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Noise {
    /// The monitor or the alert.
    pub name: String,
    /// Its incidents.
    pub incidents: usize,
    /// Those that were cancelled.
    pub cancelled: usize,
    /// Those that were over within minutes, never escalated, and taken on by nobody.
    pub over_soon: usize,
    /// What it made suspected and never declared.
    pub suspicions: usize,
}

/// An incident, as of its last event.
#[derive(Clone, Debug)]
pub struct Past {
    /// As of its last event.
    pub body: Body,
    /// When it was declared; none where it was suspected only.
    pub declared_at: Option<Timestamp>,
}

/// The last event of each incident, as events are read.
#[derive(Debug, Default)]
pub struct Log {
    pasts: BTreeMap<String, Past>,
    /// The time of the last event.
    last: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Log {
    /// Of what was told before a time, as it was known by then; of everything where there is none.
    #[must_use]
    pub fn until(until: Option<Timestamp>) -> Self {
        Self { until, ..Self::default() }
    }

    /// Takes in the next event.
    pub fn read(&mut self, data: Data) {
        if self.until.is_some_and(|until| Timestamp::parse(&data.event.at).is_ok_and(|at| at >= until)) {
            return;
        }
        let declared = !data.incident.levels.is_empty();
        let declared_at = declared.then(|| Timestamp::parse(&data.incident.declared_at).ok()).flatten();
        self.last = self.last.max(Timestamp::parse(&data.event.at).ok());
        self.pasts.insert(data.incident.id.clone(), Past { body: data.incident, declared_at });
    }

    /// From the first declaration to the last event.
    #[must_use]
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let declared = self.pasts.values().filter_map(|past| past.declared_at).min()?;
        Some((declared, self.last.unwrap_or(declared)))
    }

    /// What the incidents of a period teach.
    #[must_use]
    pub fn report(&self, from: Timestamp, to: Timestamp) -> Report {
        let within = |past: &&Past| past.declared_at.is_some_and(|at| from <= at && at < to);
        let all: Vec<&Past> = self.pasts.values().filter(within).collect();
        // What was split off again is a fault of its own.
        let is_fault = |past: &&Past| !past.is_cancelled() && past.body.merged_into.is_none();
        let counted: Vec<&Past> = all.iter().copied().filter(is_fault).collect();
        // What is on, or to be done, is so however long ago it was declared.
        let by_then = |past: &&Past| past.declared_at.is_some_and(|at| at < to);
        let due: Vec<&Past> = self.pasts.values().filter(by_then).filter(is_fault).collect();
        let known: Vec<Class> = counted.iter().filter_map(|past| past.body.cause.as_ref()).map(|cause| cause.class).collect();
        let changed = counted.iter().filter(|past| past.by_change()).count();
        let watched = counted.iter().filter(|past| past.body.discovery.by != Source::Person).count();
        let mut severe: Vec<&Past> = counted.iter().copied().filter(|past| past.is_severe()).collect();
        severe.sort_by_key(|past| (past.body.level.as_ref().map(|level| level.rank), Reverse(past.declared_at)));
        let mut on: Vec<&Past> = due.iter().copied().filter(|past| past.body.state.is_on()).collect();
        on.sort_by_key(|past| past.declared_at);
        let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
        Report {
            from: from.to_string(),
            to: to.to_string(),
            incidents: counted.len(),
            severe: faults(severe.iter()),
            on: faults(on.iter()),
            cancelled: all.iter().filter(|past| past.is_cancelled()).count(),
            merged: all.iter().filter(|past| past.body.merged_into.is_some()).count(),
            by_level: tally(counted.iter().flat_map(|past| past.body.levels.iter().map(|level| level.effective.clone()))),
            by_business: tally(counted.iter().map(|past| past.business())),
            by_class: tally(known.iter().copied()),
            by_monitoring: share(watched, counted.len()),
            causes_known: known.len(),
            by_change: changed,
            reviews: reviews(&counted),
            actions: actions(&counted),
            stages: stages(&counted),
            weeks: weeks(&counted, from, to),
            repeats: repeats(&due, from),
            overdue_reviews: overdue_reviews(&due, to),
            overdue_actions: overdue_actions(&due, to),
            noisy: noisy(self.pasts.values().filter(|past| past.was_suspected_within(from, to)), &all),
            weaknesses: weaknesses(&counted),
        }
    }
}

impl Past {
    /// Of the two most severe ranks.
    fn is_severe(&self) -> bool {
        self.body.level.as_ref().is_some_and(|level| level.rank <= 2)
    }

    fn was(&self, event: Event) -> bool {
        self.body.history.iter().any(|told| told.event == event)
    }

    /// Whether it was no fault in the end: it may have got worse since a person said so.
    fn is_cancelled(&self) -> bool {
        let last = self.body.history.iter().rfind(|told| matches!(told.event, Event::Cancelled | Event::Reopened));
        last.is_some_and(|told| told.event == Event::Cancelled)
    }

    /// Whether it was suspected in a period, and was nothing: neither declared nor part of what was.
    fn was_suspected_within(&self, from: Timestamp, to: Timestamp) -> bool {
        let began = self.body.history.first().and_then(|told| Timestamp::parse(&told.at).ok());
        let nothing = self.declared_at.is_none() && self.body.state == State::Closed && self.body.merged_into.is_none();
        nothing && began.is_some_and(|at| from <= at && at < to)
    }

    fn by_change(&self) -> bool {
        self.body.cause.as_ref().is_some_and(|cause| cause.class == Class::Change || cause.change.is_some())
    }

    /// Whose business it is.
    fn business(&self) -> String {
        if self.body.evidence.business.is_empty() { "(nobody's)".to_owned() } else { self.body.evidence.business.clone() }
    }

    /// How long a stage took.
    fn took(&self, stage: Stage) -> Option<u64> {
        let durations = &self.body.durations;
        match stage {
            Stage::Detect => durations.detect,
            Stage::Acknowledge => durations.acknowledge,
            Stage::Locate => durations.locate,
            Stage::Recover => durations.recover,
        }
    }

    /// Why it was, and where that does not tell one cause from others the scenario.
    fn because(&self) -> Option<(String, Option<String>)> {
        let scenario = || Some(without_numbers(&self.body.evidence.scenario));
        let suspect = || self.body.evidence.suspects.first().filter(|_| !self.body.evidence.undetermined);
        match &self.body.cause {
            Some(cause) => match cause.entity.as_ref().or(cause.change.as_ref()) {
                Some(what) => Some((format!("{} {what}", cause.class), None)),
                None => Some((cause.class.to_string(), scenario())),
            },
            None => suspect().map(|suspect| (format!("suspected {}", suspect.entity), scenario())),
        }
    }
}

/// An alert's own words are the scenario where no monitor has one: what they measure is not what they say.
fn without_numbers(scenario: &str) -> String {
    let words = scenario.split_whitespace().filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

fn tally<T: Ord>(of: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    of.for_each(|one| *counts.entry(one).or_default() += 1);
    counts
}

/// The median and the ninth decile: of so many sorted numbers, the nearest rank's.
fn quantiles(mut seconds: Vec<u64>) -> Option<Quantiles> {
    seconds.sort_unstable();
    let rank = |share: usize| seconds.get((seconds.len() * share).div_ceil(100).max(1) - 1).copied();
    Some(Quantiles { known: seconds.len(), median: rank(50)?, p90: rank(90)? })
}

fn stages(pasts: &[&Past]) -> BTreeMap<Stage, Quantiles> {
    let of = |stage: Stage| Some((stage, quantiles(pasts.iter().filter_map(|past| past.took(stage)).collect())?));
    Stage::ALL.into_iter().filter_map(of).collect()
}

fn faults<'p>(pasts: impl Iterator<Item = &'p &'p Past>) -> Vec<Fault> {
    let fault = |past: &&Past| {
        let body = &past.body;
        Fault {
            incident: body.id.clone(),
            title: body.title.clone(),
            levels: body.levels.iter().map(|level| level.effective.clone()).collect(),
            declared_at: body.declared_at.clone(),
            lasted_seconds: body.lasted_seconds,
            impact: body.impact.in_words(),
            cause: body.cause.as_ref().map(|cause| format!("{}: {}", cause.class.as_str().replace('_', " "), cause.cause)),
            acknowledged_by: body.acknowledged.as_ref().map(|stamp| stamp.by.clone()),
            state: body.state,
        }
    };
    pasts.map(fault).collect()
}

fn reviews(pasts: &[&Past]) -> Kept {
    let reviews = pasts.iter().filter_map(|past| past.body.review.as_ref());
    let done = reviews.filter_map(|review| Some((review.done.as_ref()?.at.as_str(), review.due_at.as_str())));
    kept(done)
}

fn actions(pasts: &[&Past]) -> Kept {
    let actions = pasts.iter().flat_map(|past| &past.body.actions);
    kept(actions.filter_map(|action| Some((action.done_at.as_deref()?, action.due_at.as_str()))))
}

/// Of what was done, by when, and when it was due.
fn kept<'t>(done: impl Iterator<Item = (&'t str, &'t str)>) -> Kept {
    let mut kept = Kept::default();
    for (at, due) in done {
        let in_time = Timestamp::parse(at).ok() <= Timestamp::parse(due).ok();
        kept = Kept { done: kept.done + 1, in_time: kept.in_time + usize::from(in_time) };
    }
    kept
}

fn weeks(pasts: &[&Past], from: Timestamp, to: Timestamp) -> BTreeMap<String, Week> {
    let all = (0..WEEKS_MAX).map(|week| Timestamp(from.0 + week * WEEK_MS)).take_while(|at| *at < to);
    let mut weeks: BTreeMap<String, Vec<&Past>> = all.chain([Timestamp(to.0 - 1)]).map(|at| (monday(at), vec![])).collect();
    for past in pasts {
        if let Some(at) = past.declared_at {
            weeks.entry(monday(at)).or_default().push(past);
        }
    }
    let week = |pasts: Vec<&Past>| {
        let severe = pasts.iter().filter(|past| past.is_severe()).count();
        Week { incidents: pasts.len(), severe, stages: stages(&pasts) }
    };
    weeks.into_iter().map(|(monday, pasts)| (monday, week(pasts))).collect()
}

/// The day that the week began on, in UTC.
fn monday(at: Timestamp) -> String {
    const DAY: i64 = 86_400_000;
    let day = at.0.div_euclid(DAY);
    // The epoch was a Thursday.
    Timestamp((day - (day + 3).rem_euclid(7)) * DAY).to_string().chars().take(10).collect()
}

fn repeats(pasts: &[&Past], from: Timestamp) -> Vec<Repeat> {
    let mut same: BTreeMap<(String, Option<String>), Vec<&Past>> = BTreeMap::new();
    for past in pasts {
        if let Some(because) = past.because() {
            same.entry(because).or_default().push(past);
        }
    }
    let is_new = |past: &&Past| past.declared_at.is_some_and(|at| from <= at);
    let again = same.into_iter().filter(|(_, pasts)| pasts.len() > 1 && pasts.iter().any(is_new));
    let repeat = |((because, _), mut pasts): ((String, _), Vec<&Past>)| {
        pasts.sort_by_key(|past| (&past.body.declared_at, &past.body.id));
        let scenarios: BTreeSet<&str> = pasts.iter().map(|past| past.body.evidence.scenario.as_str()).collect();
        Repeat {
            scenario: scenarios.into_iter().collect::<Vec<_>>().join("; "),
            because,
            incidents: pasts.iter().map(|past| past.body.id.clone()).collect(),
        }
    };
    let mut repeats: Vec<Repeat> = again.map(repeat).collect();
    repeats.sort_by_key(|repeat| std::cmp::Reverse(repeat.incidents.len()));
    repeats
}

fn overdue_reviews(pasts: &[&Past], now: Timestamp) -> Vec<Overdue> {
    let waits = pasts.iter().filter(|past| past.body.state == State::Recovered);
    let due = waits.filter_map(|past| {
        let review = past.body.review.as_ref().filter(|review| review.done.is_none())?;
        let late = Timestamp::parse(&review.due_at).ok()? < now;
        let (owner, due_at) = (review.owner.clone(), review.due_at.clone());
        late.then(|| Overdue { incident: past.body.id.clone(), what: past.body.title.clone(), owner, due_at })
    });
    due.collect()
}

fn overdue_actions(pasts: &[&Past], now: Timestamp) -> Vec<Overdue> {
    let all = pasts.iter().flat_map(|past| past.body.actions.iter().map(move |action| (past, action)));
    let late = all.filter(|(_, action)| action.done_at.is_none() && Timestamp::parse(&action.due_at).is_ok_and(|due| due < now));
    late.map(|(past, action)| Overdue {
        incident: past.body.id.clone(),
        what: action.action.clone(),
        owner: action.owner.clone(),
        due_at: action.due_at.clone(),
    })
    .collect()
}

fn noisy<'p>(suspected: impl Iterator<Item = &'p Past>, declared: &[&'p Past]) -> Vec<Noise> {
    let mut noise: BTreeMap<&str, Noise> = BTreeMap::new();
    for past in suspected {
        noise.entry(&past.body.discovery.name).or_default().suspicions += 1;
    }
    for past in declared.iter().filter(|past| past.body.discovery.by != Source::Person) {
        let of = noise.entry(&past.body.discovery.name).or_default();
        of.incidents += 1;
        of.cancelled += usize::from(past.is_cancelled());
        let soon = past.body.recovered_at.is_some() && past.body.lasted_seconds <= SOON.as_secs();
        of.over_soon += usize::from(soon && !past.was(Event::Escalated) && past.body.acknowledged.is_none());
    }
    let named = noise.into_iter().map(|(name, noise)| Noise { name: name.to_owned(), ..noise });
    let mut noisy: Vec<Noise> =
        named.filter(|noise| noise.cancelled + noise.over_soon >= NOISE_MIN || noise.suspicions >= NOISE_MIN).collect();
    noisy.sort_by(|a, b| (b.cancelled + b.over_soon).cmp(&(a.cancelled + a.over_soon)).then_with(|| a.name.cmp(&b.name)));
    noisy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        assert_eq!(quantiles(vec![]), None);
        assert_eq!(quantiles(vec![7]), Some(Quantiles { known: 1, median: 7, p90: 7 }));
        assert_eq!(quantiles((1..=10).rev().collect()), Some(Quantiles { known: 10, median: 5, p90: 9 }));
    }

    #[test]
    fn an_alerts_words_are_the_same_whatever_they_measure() {
        assert_eq!(without_numbers("disk of db-1 at 91%"), without_numbers("disk of db-2 at 93%"));
        assert_ne!(without_numbers("disk full"), without_numbers("disk slow"));
    }

    #[test]
    fn weeks_begin_on_mondays() {
        let of = |text: &str| monday(Timestamp::parse(text).expect("a time"));
        assert_eq!([of("2026-11-29T23:59:59Z"), of("2026-11-30T00:00:00Z")], ["2026-11-23", "2026-11-30"]);
    }
}

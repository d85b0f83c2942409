//! Raw rules → [`Rules`], with every fault of every file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Entity, Labels, Measure, Rung};
use crate::query::{Breakdown, LOOKBACK, Query, Selector};

use super::calendar::Calendar;
use super::compiled::{ImpactRules, Input, JudgeRules, Levels, Money, Monitor, PartsRules, Rules, Sequence, Watch};
use super::decode::decode;
use super::duty::Duty;
use super::fault::{At, Fault, Place};
use super::plans::{self, Plan};
use super::suppress::Suppress;
use super::topology::Naming;
use super::{CONFIDENCE_LEAST, Dependency, Template, Topology, catalog, judges, raw, suppressed, teams};

/// Labels by which a value is broken down: their combinations are all looked at.
const DIMENSIONS_MAX: usize = 4;

/// How often a query is evaluated where its monitor does not say.
const EVERY: Duration = Duration::from_secs(60);

/// What a query counts by where nothing is said: seconds, as a rate does.
const PER: Duration = Duration::from_secs(1);

/// The rule files' names and texts.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Files {
    /// Monitors.
    pub monitors: Vec<(String, String)>,
    /// Sequences and generic definitions.
    pub levels: Vec<(String, String)>,
    /// Entities.
    pub topology: Vec<(String, String)>,
    /// Calendars, teams and roles.
    #[serde(default)]
    pub duty: Vec<(String, String)>,
    /// Recovery plans.
    #[serde(default)]
    pub plans: Vec<(String, String)>,
    /// What makes no fault.
    #[serde(default)]
    pub suppress: Vec<(String, String)>,
}

/// Checks all files together. The rules are whole only where the list of faults is empty.
#[must_use]
pub fn check(files: &Files) -> (Rules, Vec<Fault>) {
    let mut checker = Checker::default();
    let (topology, entities) = checker.topology(&files.topology);
    let (levels, slos) = checker.levels(&files.levels);
    let listed = Listed { entities: &entities, topology: &topology };
    let duty = checker.duty(&files.duty, listed, &levels.sequences);
    let suppress = checker.suppress(&files.suppress, listed);
    let mut rules = Rules { monitors: vec![], levels, topology, suppress, duty, plans: vec![], notes: vec![] };
    let mut names = BTreeMap::new();
    let monitors: Vec<_> = files.monitors.iter().map(|(file, text)| (file, text, checker.decode::<raw::MonitorFile>(file, text))).collect();
    let written = monitors.into_iter().map(|(file, text, raw)| (file, text.as_str(), raw.monitors));
    for (file, text, monitors) in written.chain(slos.into_iter().map(|(file, monitors)| (file, "", monitors))) {
        for monitor in monitors {
            let first = names.entry(monitor.name.value.clone()).or_insert_with(|| monitor.name.place(file));
            if *first != monitor.name.place(file) {
                let message = format!("a monitor {:?} exists already at {first}; names are unique", monitor.name.value);
                checker.faults.push(monitor.name.fault(file, message));
            }
            let source = Source { file, text };
            checker.note_nobody(file, &monitor, &rules.duty);
            if let Some(checked) = checker.monitor(source, &monitor, &rules.levels, &entities) {
                rules.monitors.push(checked);
            }
        }
    }
    rules.plans = checker.plans(&files.plans, &rules, &entities);
    checker.unmeasured(&rules);
    checker.note_owners(&rules.duty);
    checker.note_unattended(&rules);
    checker.faults.sort();
    checker.faults.dedup();
    checker.notes.sort();
    rules.notes = checker.notes;
    (rules, checker.faults)
}

#[derive(Default)]
pub(super) struct Checker {
    pub(super) faults: Vec<Fault>,
    /// What is no fault, but should be looked at.
    pub(super) notes: Vec<Fault>,
    calendars: Vec<Arc<Calendar>>,
    /// What money is counted in, and where that is written first.
    currency: Option<(String, Place)>,
    /// Where it is written whom to gather.
    pub(super) emergencies: Vec<Place>,
    /// Scenarios with one of the two most severe levels: where they are written.
    pub(super) severe: Vec<(String, Place)>,
    /// Whose scenarios are: where they are written.
    pub(super) owners: Vec<(String, Place)>,
    /// Generic definitions of such a level: where they are written.
    pub(super) floors: Vec<(Rung, Place)>,
    /// What any business monitor measures.
    pub(super) measured: BTreeSet<Measure>,
}

/// What the topology files list.
#[derive(Clone, Copy)]
struct Listed<'t> {
    entities: &'t BTreeSet<Entity>,
    topology: &'t Topology,
}

impl Listed<'_> {
    /// Whether it is listed, or may go without, as nothing of its kind is.
    fn has(self, entity: &Entity) -> bool {
        let own = self.topology.resolve(entity.clone());
        self.entities.contains(&own) || self.entities.iter().all(|listed| listed.kind() != own.kind())
    }
}

#[derive(Clone, Copy)]
struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl Source<'_> {
    /// The place of a byte offset inside a text value, also where the value is a block of several lines.
    fn inside(self, value: &At<String>, offset: usize) -> Place {
        let before = &value.value[..offset.min(value.value.len())];
        let (row, start) = (before.matches('\n').count(), before.rfind('\n').map_or(0, |i| i + 1));
        let line_text = value.value.lines().nth(row).unwrap_or_default();
        let lines = self.text.lines().enumerate().skip(value.line.saturating_sub(1));
        let found = lines.take(row + 3).find_map(|(number, line)| Some((number + 1, line.find(line_text)?)));
        match found {
            Some((line, indent)) if !line_text.is_empty() => {
                let column =
                    self.text.lines().nth(line - 1).map_or(0, |l| l[..indent].chars().count()) + before[start..].chars().count() + 1;
                Place { file: self.file.to_owned(), line, column }
            }
            _ => value.place(self.file),
        }
    }
}

impl Checker {
    pub(super) fn decode<T: serde::de::DeserializeOwned + Default>(&mut self, file: &str, text: &str) -> T {
        if text.trim().is_empty() {
            let place = Place { file: file.to_owned(), ..Place::default() };
            self.faults.push(Fault {
                place,
                message: "the file is empty: was it written whole? Without it nothing of its kind would be known".into(),
            });
        }
        let (value, faults) = decode(file, text);
        self.faults.extend(faults);
        value.unwrap_or_default()
    }

    /// Notes a fault at the value's place, and gives what is good.
    pub(super) fn good<T, U>(&mut self, file: &str, at: &At<U>, result: Result<T, String>) -> Option<T> {
        result.map_err(|why| self.faults.push(at.fault(file, why))).ok()
    }

    /// Entities that the topology does not list, though it lists others of their kind.
    fn note_unlisted<'n>(&mut self, file: &str, names: impl Iterator<Item = &'n At<String>>, listed: Listed<'_>) {
        for name in names {
            if name.value.contains(['*', '{']) {
                self.notes.push(name.fault(file, format!("{} is the name of one entity: nothing in it stands for others", name.value)));
            }
            let Some(entity) = Entity::parse(&name.value).ok().filter(|entity| !listed.has(entity)) else { continue };
            self.notes.push(name.fault(file, format!("the topology lists no {entity}, though others of its kind: is that its name?")));
        }
    }

    fn duty(&mut self, files: &[(String, String)], listed: Listed<'_>, sequences: &[Sequence]) -> Duty {
        let files: Vec<(&String, raw::DutyFile)> = files.iter().map(|(file, text)| (file, self.decode(file, text))).collect();
        for (file, raw) in files.iter().flat_map(|(file, raw)| raw.calendars.iter().map(move |calendar| (*file, calendar))) {
            let dates = raw.holidays.iter().filter_map(|day| {
                let date = day.value.parse().map_err(|_| format!("{:?} is not a date; write one like 2026-10-01", day.value));
                self.good(file, day, date)
            });
            let dates = dates.collect();
            let calendar = self.good(file, &raw.time_zone, Calendar::new(&raw.name.value, &raw.time_zone.value, dates));
            let Some(mut calendar) = calendar else { continue };
            if let Some(weekend) = &raw.weekend {
                calendar = calendar.with_weekend(raw::Day::week(weekend));
            }
            if self.calendars.iter().any(|known| known.name == calendar.name) {
                self.faults.push(raw.name.fault(file, format!("calendar {:?} exists already; name it once", calendar.name)));
            }
            self.calendars.push(Arc::new(calendar));
        }
        for (file, raw) in &files {
            self.note_unlisted(file, raw.teams.iter().flat_map(|team| &team.owns), listed);
        }
        let (duty, faults) = teams::compile(&files, &self.calendars, sequences);
        self.faults.extend(faults);
        self.emergencies = files.iter().flat_map(|(file, raw)| raw.emergency.iter().map(|emergency| emergency.place(file))).collect();
        duty
    }

    fn plans(&mut self, files: &[(String, String)], rules: &Rules, entities: &BTreeSet<Entity>) -> Vec<Plan> {
        let listed = Listed { entities, topology: &rules.topology };
        let scenarios = rules.monitors.iter().filter_map(|m| m.definition.as_ref()).map(|d| d.scenario.clone());
        let scenarios: Vec<String> = scenarios.chain(rules.levels.scenarios.iter().map(|s| s.name.clone())).collect();
        let mut all = vec![];
        for (file, text) in files {
            let raw: raw::PlanFile = self.decode(file, text);
            self.note_unlisted(file, raw.plans.iter().flat_map(|plan| &plan.entities), listed);
            let (plans, faults) = plans::compile(file, raw, &all, &scenarios);
            self.faults.extend(faults);
            all.extend(plans);
        }
        all
    }

    fn suppress(&mut self, files: &[(String, String)], listed: Listed<'_>) -> Suppress {
        let mut all = Suppress::default();
        for (file, text) in files {
            let raw: raw::SuppressFile = self.decode(file, text);
            self.note_unlisted(file, raw.maintenance.iter().filter_map(|at| at.value.entity.as_ref()), listed);
            if let Some(again) = raw.flapping.as_ref().filter(|_| all.flapping.is_some()) {
                self.faults.push(again.fault(file, "another file has `flapping` already; say it once"));
            }
            let (suppress, faults) = suppressed::compile(file, raw, &self.calendars);
            self.faults.extend(faults);
            all.inhibit.extend(suppress.inhibit);
            all.maintenance.extend(suppress.maintenance);
            all.flapping = all.flapping.or(suppress.flapping);
        }
        all
    }

    fn topology(&mut self, files: &[(String, String)]) -> (Topology, BTreeSet<Entity>) {
        let mut mapping = vec![];
        let mut entities: BTreeMap<Entity, Place> = BTreeMap::new();
        let mut aliases: BTreeMap<Entity, (Entity, Place)> = BTreeMap::new();
        let mut edges = vec![];
        let mut catalogs = vec![];
        for (file, text) in files {
            if let Some((catalog, faults)) = catalog::foreign(file, text) {
                self.faults.extend(faults);
                catalogs.push((file, catalog));
                continue;
            }
            let raw: raw::TopologyFile = self.decode(file, text);
            mapping.extend(raw.entity_from.iter().filter_map(|naming| self.good(file, naming, named(&naming.value))));
            for entity in &raw.entities {
                let Some(name) = self.good(file, &entity.name, Entity::parse(&entity.name.value)) else { continue };
                if let Some(first) = entities.get(&name) {
                    self.faults.push(entity.name.fault(file, format!("entity {name} exists already at {first}; name it once")));
                }
                entities.entry(name.clone()).or_insert_with(|| entity.name.place(file));
                for alias in &entity.aliases {
                    let Some(alias_name) = self.good(file, alias, Entity::parse(&alias.value)) else { continue };
                    if let Some((other, _)) = aliases.insert(alias_name.clone(), (name.clone(), alias.place(file))) {
                        self.faults.push(alias.fault(file, format!("{alias_name} is an alias of {other} already")));
                    }
                }
                edges.extend(entity.depends_on.iter().map(|on| (file, name.clone(), on.clone(), 1.0)));
                for doubted in &entity.may_depend_on {
                    let raw::Share(confidence) = doubted.confidence.value;
                    if !(CONFIDENCE_LEAST..1.0).contains(&confidence) {
                        let message = "a confidence is from 10% to below 100%; what is certain belongs under `depends_on`";
                        self.faults.push(doubted.confidence.fault(file, message));
                    }
                    edges.push((file, name.clone(), doubted.entity.clone(), confidence));
                }
            }
        }
        for (alias, (_, place)) in aliases.iter().filter(|(alias, _)| entities.contains_key(*alias)) {
            self.faults
                .push(Fault { place: place.clone(), message: format!("{alias} is an entity of its own; it cannot be an alias too") });
        }
        let known = self.dependencies(edges, &entities, &aliases);
        if mapping.is_empty() {
            mapping.extend(named(&raw::Naming::All("service={{ service }}".into())));
        }
        let mut topology = Topology::new(known, mapping);
        aliases.into_iter().for_each(|(alias, (of, _))| topology.alias(alias, of));
        let mut entities: BTreeSet<Entity> = entities.into_keys().collect();
        let service = |topology: &Topology, name: &str| topology.entity(&Labels::of([("service", name)]));
        for (file, catalog) in &catalogs {
            let named = catalog.services.first();
            self.note_catalog(file, named, named.is_some_and(|name| service(&topology, name).is_none()));
            entities.extend(catalog.services.iter().filter_map(|name| service(&topology, name)));
            for (from, to) in &catalog.edges {
                if let (Some(from), Some(to)) = (service(&topology, from), service(&topology, to)) {
                    entities.extend([from.clone(), to.clone()]);
                    topology.add(&Dependency::certain(from, to));
                }
            }
        }
        for entity in &entities {
            topology.list(entity);
        }
        (topology, entities)
    }

    /// A catalog of others of which nothing is taken.
    fn note_catalog(&mut self, file: &str, named: Option<&String>, unknown: bool) {
        let message = match named {
            None => "it names no service".to_owned(),
            Some(name) if unknown => format!("it names services such as {name:?}, and no template of `entity_from` has the label service"),
            Some(_) => return,
        };
        self.notes.push(Fault { place: Place { file: file.to_owned(), ..Place::default() }, message });
    }

    /// What is written down, with how likely it is.
    fn dependencies(
        &mut self,
        mut edges: Vec<(&String, Entity, At<String>, f64)>,
        entities: &BTreeMap<Entity, Place>,
        aliases: &BTreeMap<Entity, (Entity, Place)>,
    ) -> Vec<Dependency> {
        let (mut known, mut written) = (vec![], BTreeSet::new());
        // What is certain first, so that what is doubted as well is found.
        edges.sort_by(|(.., a), (.., b)| b.total_cmp(a));
        for (file, from, on, confidence) in edges {
            let Some(to) = self.good(file, &on, Entity::parse(&on.value)) else { continue };
            let to = aliases.get(&to).map_or(to, |(of, _)| of.clone());
            if !entities.contains_key(&to) {
                self.faults.push(on.fault(file, format!("unknown entity {to}; add it under `entities`, or mend the name")));
            }
            if confidence < 1.0 && written.contains(&(from.clone(), to.clone())) {
                self.faults.push(on.fault(file, format!("{from} depends on {to} already; write it once")));
            }
            written.insert((from.clone(), to.clone()));
            known.push(Dependency { from, on: to, confidence });
        }
        known
    }

    fn monitor(&mut self, source: Source<'_>, raw: &raw::Monitor, levels: &Levels, entities: &BTreeSet<Entity>) -> Option<Monitor> {
        let file = source.file;
        let entity = self.good(file, &raw.entity, Template::parse(&raw.entity.value));
        let calls = raw.calls.as_ref().and_then(|calls| self.good(file, calls, Template::parse(&calls.value)));
        let definition = self.definition(file, raw, levels);
        let input = match (&raw.query, &raw.alerts) {
            (Some(query), None) => self.watch(source, raw, query).map(|w| Input::Watch(Box::new(w))),
            (None, Some(alerts)) => self.alerts(file, raw, alerts),
            (Some(_), Some(alerts)) => {
                self.faults.push(alerts.fault(file, "`query` and `alerts` together; a monitor reads one of them"));
                None
            }
            (None, None) => {
                self.faults.push(raw.name.fault(file, "reads nothing; add `query` or `alerts`"));
                None
            }
        };
        if let Some(Input::Watch(watch)) = &input {
            self.note_contradicted(file, raw, definition.as_ref(), &watch.judge);
            self.note_beyond_all(file, raw, definition.as_ref(), watch);
            self.note_slow(file, raw, watch);
        }
        let (entity, input) = (entity?, input?);
        self.entity_exists(file, &raw.entity, &entity, &input, entities);
        if let Some((at, calls)) = raw.calls.as_ref().zip(calls.as_ref()) {
            self.entity_exists(file, at, calls, &input, entities);
        }
        Some(Monitor { name: raw.name.value.clone(), entity, calls, input, definition })
    }

    fn alerts(&mut self, file: &str, raw: &raw::Monitor, alerts: &At<String>) -> Option<Input> {
        let within = raw.judge.as_ref().and_then(|judge| self.good(file, judge, judges::heartbeat(&judge.value)));
        if let Some(first) = raw.dimensions.first() {
            self.faults.push(first.fault(file, "`dimensions` with `alerts`; what an alert is of cannot be broken down"));
        }
        if let Some(calls) = &raw.calls {
            self.faults.push(calls.fault(file, "`calls` with `alerts`; only a query measures how much of something its calls have"));
        }
        if let Some(every) = &raw.every {
            self.faults.push(every.fault(file, "`every` with `alerts`; alerts come when they come"));
        }
        if let Some(lookback) = &raw.lookback {
            self.faults.push(lookback.fault(file, "`lookback` with `alerts`; it is for queries"));
        }
        if let Some(impact) = &raw.impact {
            self.faults.push(impact.fault(file, "`impact` with `alerts`; what an alert costs is measured by no query: people say it"));
        }
        let selector = self.good(file, alerts, selector(&alerts.value))?;
        Some(match within {
            Some(within) => Input::Heartbeat(selector, within),
            None => Input::Alerts(selector),
        })
    }

    fn entity_exists(&mut self, file: &str, at: &At<String>, entity: &Template, input: &Input, entities: &BTreeSet<Entity>) {
        let labels: Vec<&str> = entity.labels().collect();
        if let Input::Watch(watch) = input {
            for label in labels.iter().filter(|label| !watch.query.can_have(label)) {
                let message =
                    format!("the query's groups have no label `{label}`; keep it with `by ({label})`, or name the entity without it");
                self.faults.push(at.fault(file, message));
            }
        }
        let named = labels.is_empty().then(|| Entity::parse(&at.value).ok()).flatten();
        if let Some(name) = named.filter(|name| !entities.is_empty() && !entities.contains(name)) {
            self.faults.push(at.fault(file, format!("unknown entity {name}; add it to the topology, or mend the name")));
        }
    }

    fn watch(&mut self, source: Source<'_>, raw: &raw::Monitor, text: &At<String>) -> Option<Watch> {
        let file = source.file;
        let every = raw.every.as_ref().map_or(EVERY, |e| e.value.0);
        if let Some(at) = raw.every.as_ref().filter(|e| e.value.0 < Duration::from_secs(1)) {
            self.faults.push(at.fault(file, "evaluated more often than every second; write 1s or more"));
        }
        let judge = self.judge(file, raw, every);
        let lookback = raw.lookback.as_ref().map_or(LOOKBACK, |l| l.value.0);
        if let Some(at) = raw.lookback.as_ref().filter(|l| l.value.0.is_zero()) {
            self.faults.push(at.fault(file, "looks back 0s and sees nothing; give it longer than the time between two samples"));
        }
        let query = Query::plan(&text.value, every, lookback).map_err(|refusal| {
            self.faults.push(Fault { place: source.inside(text, refusal.offset), message: refusal.message });
        });
        let query = query.ok()?;
        if let Some(least) = raw.judge.as_ref().and_then(|judge| judge.value.min_traffic.as_ref()).filter(|_| query.share().is_none()) {
            let message = "the query is no share of a count; divide one sum of increases or rates by another over the same range";
            self.faults.push(least.fault(file, message));
        }
        let (key, routed) = (Watch::key(&raw.name.value, &text.value), Watch::key(&raw.name.value, ""));
        let impact = raw.impact.as_ref().map(|impact| self.impact(source, raw, impact, &query, routed));
        let parts = self.parts(source, raw, text, &query, routed);
        Some(Watch { key, query, every, judge, routed, impact, parts })
    }

    /// What a query is broken down into, in the cells of the query itself.
    fn parts(&mut self, source: Source<'_>, monitor: &raw::Monitor, text: &At<String>, query: &Query, routed: u64) -> Option<PartsRules> {
        let first = monitor.dimensions.first()?;
        let labels: Vec<String> = monitor.dimensions.iter().map(|label| label.value.clone()).collect();
        if labels.len() > DIMENSIONS_MAX {
            self.faults.push(first.fault(source.file, format!("{} dimensions; at most {DIMENSIONS_MAX}", labels.len())));
        }
        let parts = self.good(source.file, first, Breakdown::of(&text.value, &labels))?;
        let every = query.every();
        let mut watch = |name: &str, text: &str| {
            let planned = Query::plan(text, every, query.lookback()).map_err(|refusal| refusal.message);
            let query = self.good(source.file, first, planned)?.apart_as(query);
            let key = Watch::key(&format!("{}/{name}", monitor.name.value), text);
            Some(Box::new(Watch { key, query, every, judge: JudgeRules::default(), routed, impact: None, parts: None }))
        };
        let part = watch("part", &parts.part)?;
        let whole = match &parts.whole {
            Some(text) => Some(watch("whole", text)?),
            None => None,
        };
        Some(PartsRules { labels, part, whole, is_multiple: parts.is_multiple })
    }

    /// What an incident costs is added up over its monitors.
    fn one_currency(&mut self, file: &str, currency: &At<String>) {
        let (first, place) = self.currency.get_or_insert_with(|| (currency.value.clone(), currency.place(file)));
        if *first != currency.value {
            let message =
                format!("money is counted in {first} at {place}, and what an incident costs is added up: write all in one currency");
            self.faults.push(currency.fault(file, message));
        }
    }

    /// What is counted beside a monitor is counted in its groups, so that both meet in one partition.
    fn impact(&mut self, source: Source<'_>, monitor: &raw::Monitor, at: &At<raw::Impact>, query: &Query, routed: u64) -> ImpactRules {
        let (file, raw) = (source.file, &at.value);
        let beside = [
            (Measure::AffectedUsers, &raw.affected_users),
            (Measure::AffectedMerchants, &raw.affected_merchants),
            (Measure::Complaints, &raw.complaints),
            (Measure::Mentions, &raw.mentions),
            (Measure::NegativeShare, &raw.negative_share),
            (Measure::Reach, &raw.reach),
        ];
        let every = monitor.every.as_ref().map_or(EVERY, |e| e.value.0);
        let lookback = monitor.lookback.as_ref().map_or(LOOKBACK, |l| l.value.0);
        let mut queries = vec![];
        for (measure, text) in beside.into_iter().filter_map(|(measure, text)| Some((measure, text.as_ref()?))) {
            match Query::plan(&text.value, every, lookback) {
                Ok(counts) if counts.key_scope() != query.key_scope() => {
                    let message = "it is not kept apart by the labels that the monitor's query is; use the same `by (..)`";
                    self.faults.push(text.fault(file, message));
                }
                Ok(counts) => {
                    let key = Watch::key(&format!("{}/{measure}", monitor.name.value), &text.value);
                    queries.push((
                        measure,
                        Watch { key, query: counts, every, judge: JudgeRules::default(), routed, impact: None, parts: None },
                    ));
                }
                Err(refusal) => self.faults.push(Fault { place: source.inside(text, refusal.offset), message: refusal.message }),
            }
        }
        let per = raw.per.as_ref().map_or(PER, |per| per.value.0);
        if per.is_zero() {
            self.faults.push(at.fault(file, "counts by no time at all; let `per` be 1s for a rate, 1m for a number a minute"));
        }
        let money = raw.money.as_ref().map(|money| {
            self.one_currency(file, &money.currency);
            Money { per_lost_unit: money.per_lost_unit.value, currency: money.currency.value.clone() }
        });
        if let Some(money) = raw.money.as_ref().filter(|money| !(money.per_lost_unit.value > 0.0 && money.per_lost_unit.value.is_finite()))
        {
            self.faults.push(money.per_lost_unit.fault(file, "what is lost is worth more than 0"));
        }
        let expects = monitor.judge.as_ref().is_some_and(|judge| judge.value.expects());
        if let Some(money) = raw.money.as_ref().filter(|_| !expects) {
            let message =
                "nothing tells what would be expected, so nothing is known to be lost; add `baseline`, `compare` or `change` to `judge`";
            self.faults.push(money.per_lost_unit.fault(file, message));
        }
        ImpactRules { per, money, queries }
    }

    fn judge(&mut self, file: &str, raw: &raw::Monitor, every: Duration) -> JudgeRules {
        let Some(at) = &raw.judge else {
            self.faults.push(
                raw.name.fault(file, "judges nothing; add `judge` with static, baseline, change, compare, forecast, flatline or absent"),
            );
            return JudgeRules::default();
        };
        let judge = &at.value;
        let (rules, faults) = judges::compile(file, judge, every, &self.calendars);
        self.faults.extend(faults);
        if rules.judges_nothing() {
            self.faults.push(at.fault(file, "judges nothing; add static, baseline, change, compare, forecast, flatline or absent"));
        }
        rules
    }
}

fn named(naming: &raw::Naming) -> Result<Naming, String> {
    let optional = |text: &Option<String>| text.as_deref().map(selector).transpose();
    Ok(match naming {
        raw::Naming::All(entity) => {
            let entity = Template::parse(entity)?;
            if entity.labels().next().is_none() {
                return Err("names one entity for everything; fill in a label, as in service={{ service }}".into());
            }
            Naming { entity, matches: None, unless: None }
        }
        raw::Naming::Some(raw::NamingOf { entity, matches, unless }) => {
            Naming { entity: Template::parse(entity)?, matches: optional(matches)?, unless: optional(unless)? }
        }
    })
}

pub(super) fn selector(text: &str) -> Result<Selector, String> {
    let selector = Selector::parse(text)?;
    selector.contradiction().map_or(Ok(selector), |why| Err(format!("matches nothing: {why}")))
}

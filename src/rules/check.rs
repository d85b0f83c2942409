//! Raw rules → [`Rules`], with every fault of every file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Comparison, Condition, Definition, Entity, Labels, Ladder, Level, Measure, Rung, Test};
use crate::query::{LOOKBACK, Query, Selector};

use super::calendar::Calendar;
use super::compiled::{Generic, Input, JudgeRules, Levels, Monitor, Rules, Sequence, Watch};
use super::decode::decode;
use super::fault::{At, Fault, Place};
use super::suppress::Suppress;
use super::{Template, Topology, catalog, judges, raw, suppressed};

/// How often a query is evaluated where its monitor does not say.
const EVERY: Duration = Duration::from_secs(60);

/// The rule files' names and texts.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Files {
    /// Monitors.
    pub monitors: Vec<(String, String)>,
    /// Sequences and generic definitions.
    pub levels: Vec<(String, String)>,
    /// Entities.
    pub topology: Vec<(String, String)>,
    /// Calendars.
    #[serde(default)]
    pub duty: Vec<(String, String)>,
    /// What makes no fault.
    #[serde(default)]
    pub suppress: Vec<(String, String)>,
}

/// Checks all files together. The rules are whole only where the list of faults is empty.
#[must_use]
pub fn check(files: &Files) -> (Rules, Vec<Fault>) {
    let mut checker = Checker::default();
    let (topology, entities) = checker.topology(&files.topology);
    let levels = checker.levels(&files.levels);
    checker.calendars(&files.duty);
    let suppress = checker.suppress(&files.suppress);
    let mut rules = Rules { monitors: vec![], levels, topology, suppress };
    let mut names = BTreeMap::new();
    for (file, text) in &files.monitors {
        for monitor in checker.decode::<raw::MonitorFile>(file, text).monitors {
            let first = names.entry(monitor.name.value.clone()).or_insert_with(|| monitor.name.place(file));
            if *first != monitor.name.place(file) {
                let message = format!("a monitor {:?} exists already at {first}; names are unique", monitor.name.value);
                checker.faults.push(monitor.name.fault(file, message));
            }
            let source = Source { file, text };
            if let Some(checked) = checker.monitor(source, &monitor, &rules.levels, &entities) {
                rules.monitors.push(checked);
            }
        }
    }
    checker.faults.sort();
    checker.faults.dedup();
    (rules, checker.faults)
}

#[derive(Default)]
struct Checker {
    faults: Vec<Fault>,
    calendars: Vec<Arc<Calendar>>,
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
    fn decode<T: serde::de::DeserializeOwned + Default>(&mut self, file: &str, text: &str) -> T {
        let (value, faults) = decode(file, text);
        self.faults.extend(faults);
        value.unwrap_or_default()
    }

    /// Notes a fault at the value's place, and gives what is good.
    fn good<T, U>(&mut self, file: &str, at: &At<U>, result: Result<T, String>) -> Option<T> {
        result.map_err(|why| self.faults.push(at.fault(file, why))).ok()
    }

    fn calendars(&mut self, files: &[(String, String)]) {
        for (file, text) in files {
            for raw in self.decode::<raw::DutyFile>(file, text).calendars {
                let dates = raw.holidays.iter().filter_map(|day| {
                    let date = day.value.parse().map_err(|_| format!("{:?} is not a date; write one like 2026-10-01", day.value));
                    self.good(file, day, date)
                });
                let dates = dates.collect();
                let Some(calendar) = self.good(file, &raw.time_zone, Calendar::new(&raw.name.value, &raw.time_zone.value, dates)) else {
                    continue;
                };
                if self.calendars.iter().any(|known| known.name == calendar.name) {
                    self.faults.push(raw.name.fault(file, format!("calendar {:?} exists already; name it once", calendar.name)));
                }
                self.calendars.push(Arc::new(calendar));
            }
        }
    }

    fn suppress(&mut self, files: &[(String, String)]) -> Suppress {
        let mut all = Suppress::default();
        for (file, text) in files {
            let (suppress, faults) = suppressed::compile(file, self.decode(file, text), &self.calendars);
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
                catalogs.push(catalog);
                continue;
            }
            let raw: raw::TopologyFile = self.decode(file, text);
            mapping.extend(raw.entity_from.iter().filter_map(|t| self.good(file, t, Template::parse(&t.value))));
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
                edges.extend(entity.depends_on.iter().map(|on| (file, name.clone(), on.clone())));
            }
        }
        for (alias, (_, place)) in aliases.iter().filter(|(alias, _)| entities.contains_key(*alias)) {
            self.faults
                .push(Fault { place: place.clone(), message: format!("{alias} is an entity of its own; it cannot be an alias too") });
        }
        let mut known_edges = vec![];
        for (file, from, on) in edges {
            let Some(to) = self.good(file, &on, Entity::parse(&on.value)) else { continue };
            let to = aliases.get(&to).map_or(to, |(of, _)| of.clone());
            if !entities.contains_key(&to) {
                self.faults.push(on.fault(file, format!("unknown entity {to}; add it under `entities`, or mend the name")));
            }
            known_edges.push((from, to));
        }
        if mapping.is_empty() {
            mapping.extend(Template::parse("service={{ service }}"));
        }
        let mut topology = Topology::new(known_edges, mapping);
        aliases.into_iter().for_each(|(alias, (of, _))| topology.alias(alias, of));
        let mut entities: BTreeSet<Entity> = entities.into_keys().collect();
        let service = |topology: &Topology, name: &str| topology.entity(&Labels::of([("service", name)]));
        for catalog in &catalogs {
            entities.extend(catalog.services.iter().filter_map(|name| service(&topology, name)));
            for (from, to) in &catalog.edges {
                if let (Some(from), Some(to)) = (service(&topology, from), service(&topology, to)) {
                    entities.extend([from.clone(), to.clone()]);
                    topology.add(&from, &to);
                }
            }
        }
        for entity in &entities {
            topology.list(entity);
        }
        (topology, entities)
    }

    fn levels(&mut self, files: &[(String, String)]) -> Levels {
        let files: Vec<(&String, raw::LevelFile)> = files.iter().map(|(file, text)| (file, self.decode(file, text))).collect();
        let mut levels = Levels::default();
        for (file, sequence) in files.iter().flat_map(|(file, raw)| raw.sequences.iter().map(move |s| (*file, s))) {
            self.sequence(file, sequence, &mut levels);
        }
        if levels.sequences.is_empty() {
            let default = [("P", "priority"), ("D", "data quality"), ("R", "public-opinion risk"), ("S", "SLA")];
            levels.sequences = default.map(|(name, title)| Sequence { name: name.into(), title: title.into(), levels: 4 }).into();
        }
        for (file, generic) in files.iter().flat_map(|(file, raw)| raw.generic.iter().map(move |g| (*file, g))) {
            let alerts = generic.alerts.as_ref().map(|text| (text, self.good(file, text, selector(&text.value))));
            let measurable = if alerts.is_some() { Measurable::Duration } else { Measurable::All };
            let ladder = self.ladder(file, &generic.sequence, &generic.ladder, measurable, &levels.sequences);
            if let (Some(ladder), None | Some((_, Some(_)))) = (ladder, &alerts) {
                levels.generic.push(Generic { alerts: alerts.and_then(|(_, s)| s), ladder });
            }
        }
        levels
    }

    fn sequence(&mut self, file: &str, raw: &raw::Sequence, levels: &mut Levels) {
        if levels.sequences.iter().any(|s| s.name == raw.name.value) {
            self.faults.push(raw.name.fault(file, format!("sequence {:?} exists already; name it once", raw.name.value)));
            return;
        }
        let count = raw.levels.as_ref().map_or(4, |l| l.value);
        if let Some(at) = raw.levels.as_ref().filter(|l| !(1..=9).contains(&l.value)) {
            self.faults.push(at.fault(file, format!("{} levels; a sequence has 1 to 9", at.value)));
        }
        let title = raw.title.clone().unwrap_or_else(|| raw.name.value.clone());
        levels.sequences.push(Sequence { name: raw.name.value.clone(), title, levels: count });
    }

    fn monitor(&mut self, source: Source<'_>, raw: &raw::Monitor, levels: &Levels, entities: &BTreeSet<Entity>) -> Option<Monitor> {
        let file = source.file;
        let entity = self.good(file, &raw.entity, Template::parse(&raw.entity.value));
        let measurable = match (&raw.alerts, raw.judge.as_ref().is_some_and(|judge| judge.value.expects())) {
            (Some(_), _) => Measurable::Duration,
            (None, true) => Measurable::All,
            (None, false) => Measurable::Value,
        };
        let ladder = raw.fault.as_ref().map(|f| self.ladder(file, &f.value.sequence, &f.value.ladder, measurable, &levels.sequences));
        let definition = self.definition(file, raw, ladder.flatten(), levels);
        let input = match (&raw.query, &raw.alerts) {
            (Some(query), None) => self.watch(source, raw, query).map(|w| Input::Watch(Box::new(w))),
            (None, Some(alerts)) => self.alerts(file, raw, alerts).map(Input::Alerts),
            (Some(_), Some(alerts)) => {
                self.faults.push(alerts.fault(file, "`query` and `alerts` together; a monitor reads one of them"));
                None
            }
            (None, None) => {
                self.faults.push(raw.name.fault(file, "reads nothing; add `query` or `alerts`"));
                None
            }
        };
        let (entity, input) = (entity?, input?);
        self.entity_exists(file, raw, &entity, &input, entities);
        Some(Monitor { name: raw.name.value.clone(), entity, input, definition })
    }

    fn definition(&mut self, file: &str, raw: &raw::Monitor, ladder: Option<Ladder>, levels: &Levels) -> Option<Definition> {
        if raw.scenario.is_none()
            && let Some(fault) = &raw.fault
        {
            self.faults.push(fault.fault(file, "a fault needs a `scenario`: what the user cannot do, in a sentence"));
        }
        Some(Definition {
            scenario: raw.scenario.clone()?,
            unit: raw.business.clone().unwrap_or_default(),
            owner: raw.owner.clone().unwrap_or_default(),
            business: ladder,
            generic: levels.floor().cloned().collect(),
        })
    }

    fn alerts(&mut self, file: &str, raw: &raw::Monitor, alerts: &At<String>) -> Option<Selector> {
        if let Some(judge) = &raw.judge {
            self.faults.push(judge.fault(file, "`judge` with `alerts`; alerts were judged already where they come from"));
        }
        if let Some(every) = &raw.every {
            self.faults.push(every.fault(file, "`every` with `alerts`; alerts come when they come"));
        }
        if let Some(lookback) = &raw.lookback {
            self.faults.push(lookback.fault(file, "`lookback` with `alerts`; it is for queries"));
        }
        self.good(file, alerts, selector(&alerts.value))
    }

    fn entity_exists(&mut self, file: &str, raw: &raw::Monitor, entity: &Template, input: &Input, entities: &BTreeSet<Entity>) {
        let labels: Vec<&str> = entity.labels().collect();
        if let Input::Watch(watch) = input {
            for label in labels.iter().filter(|label| !watch.query.can_have(label)) {
                let message =
                    format!("the query's groups have no label `{label}`; keep it with `by ({label})`, or name the entity without it");
                self.faults.push(raw.entity.fault(file, message));
            }
        }
        let named = labels.is_empty().then(|| Entity::parse(&raw.entity.value).ok()).flatten();
        if let Some(name) = named.filter(|name| !entities.is_empty() && !entities.contains(name)) {
            self.faults.push(raw.entity.fault(file, format!("unknown entity {name}; add it to the topology, or mend the name")));
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
        Some(Watch { key: Watch::key(&raw.name.value, &text.value), query, every, judge })
    }

    fn judge(&mut self, file: &str, raw: &raw::Monitor, every: Duration) -> JudgeRules {
        let Some(at) = &raw.judge else {
            self.faults.push(raw.name.fault(file, "judges nothing; add `judge` with static, baseline or absent"));
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

    fn ladder(
        &mut self,
        file: &str,
        sequence: &At<String>,
        raw: &[At<raw::Rung>],
        measurable: Measurable,
        sequences: &[Sequence],
    ) -> Option<Ladder> {
        let Some(place) = sequences.iter().position(|s| s.name == sequence.value) else {
            let names: Vec<&str> = sequences.iter().map(|s| s.name.as_str()).collect();
            self.faults.push(sequence.fault(file, format!("unknown sequence {:?}; there are {}", sequence.value, names.join(", "))));
            return None;
        };
        if raw.is_empty() {
            self.faults.push(sequence.fault(file, "the ladder has no rung; add at least one {level: ..}"));
        }
        let mut rungs: Vec<(&At<raw::Rung>, Rung)> = raw.iter().map(|r| (r, rung(&r.value, &sequences[place], place))).collect();
        for (at, rung) in &rungs {
            if rung.level.rank == 0 || rung.level.rank > sequences[place].levels {
                let (rank, most) = (rung.level.rank, sequences[place].levels);
                self.faults.push(at.value.level.fault(file, format!("level {rank} of sequence {}; it has 1 to {most}", sequence.value)));
            }
            self.measurable(file, at, &rung.condition, measurable);
        }
        rungs.sort_by(|a, b| a.1.level.cmp(&b.1.level));
        self.monotone(file, &rungs);
        Some(Ladder { rungs: rungs.into_iter().map(|(_, rung)| rung).collect() })
    }

    fn measurable(&mut self, file: &str, at: &At<raw::Rung>, condition: &Condition, measurable: Measurable) {
        for test in &condition.tests {
            let why = match (measurable, test.measure) {
                (Measurable::Duration, _) => "cannot be measured on an alert; only `for` can",
                (Measurable::Value, Measure::Rise | Measure::Drop) => {
                    "needs an expected value; add `baseline`, `compare` or `change` to `judge`"
                }
                (Measurable::Value, Measure::Value) | (Measurable::All, _) => continue,
            };
            self.faults.push(at.fault(file, format!("`{test}` {why}")));
        }
    }

    /// A more severe level must demand more: it may not hold whenever a less severe one does.
    fn monotone(&mut self, file: &str, rungs: &[(&At<raw::Rung>, Rung)]) {
        for (i, (at, severe)) in rungs.iter().enumerate() {
            let mild = rungs[i + 1..].iter().map(|(_, r)| r);
            if let Some(mild) = mild.filter(|m| m.level.rank > severe.level.rank).find(|m| implies(&m.condition, &severe.condition)) {
                let message = format!(
                    "the ladder is not monotone: level {} ({}) holds whenever level {} ({}) does; a more severe level must demand more",
                    severe.level.rank, severe.condition, mild.level.rank, mild.condition
                );
                self.faults.push(at.fault(file, message));
            }
        }
    }
}

/// What a monitor's breaches can be measured by.
#[derive(Clone, Copy)]
enum Measurable {
    All,
    Value,
    Duration,
}

pub(super) fn selector(text: &str) -> Result<Selector, String> {
    let selector = Selector::parse(text)?;
    selector.contradiction().map_or(Ok(selector), |why| Err(format!("matches nothing: {why}")))
}

fn rung(raw: &raw::Rung, sequence: &Sequence, place: usize) -> Rung {
    let value = raw.value.map(|raw::Compared(comparison, limit)| Test { measure: Measure::Value, comparison, limit });
    let share = |measure, share: raw::Share| Test { measure, comparison: Comparison::AtLeast, limit: share.0 };
    let rise = raw.rise.map(|s| share(Measure::Rise, s));
    let drop = raw.drop.map(|s| share(Measure::Drop, s));
    let place = u8::try_from(place).unwrap_or(u8::MAX);
    Rung {
        level: Level { rank: raw.level.value, place, sequence: sequence.name.clone() },
        condition: Condition { tests: value.into_iter().chain(rise).chain(drop).collect(), hold: raw.hold.unwrap_or_default().0 },
    }
}

/// Whether `b` holds whenever `a` does.
fn implies(a: &Condition, b: &Condition) -> bool {
    let upward = |c: Comparison| matches!(c, Comparison::Above | Comparison::AtLeast);
    let covers = |strict: &Test, loose: &Test| {
        strict.measure == loose.measure
            && upward(strict.comparison) == upward(loose.comparison)
            && if upward(loose.comparison) { strict.limit >= loose.limit } else { strict.limit <= loose.limit }
    };
    b.hold <= a.hold && b.tests.iter().all(|loose| a.tests.iter().any(|strict| covers(strict, loose)))
}

//! Detect: samples → breaches. One partition of the samples topic, every monitor's groups that live in it.
//!
//! When the watermark, less the allowed lateness, passes a step of a monitor's interval, every group of it is
//! evaluated at that step and judged. Only transitions are told: a breach opened, more of its ladder's
//! conditions hold, it ended.

mod absence;
pub mod baseline;
mod chance;
mod forecast;
mod group;
mod hold;
mod impact;
mod index;
mod judges;
mod left;
mod monitor;
mod parts;
mod past;
mod profile;
mod scale;
mod search;
mod shift;
mod still;
mod tail;
mod trend;
mod trial;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Breach, Good, Hint, Labels, Origin, Signal, Timestamp};
use crate::rules::{Config, GONE_FOR, Input, Monitor, Partitions, Rules, Watch};
use crate::stage::{Count, Outbox, Outcome, Progress, Record, Stage, Topic, snapshot};
use crate::wire::internal::{Batch, SamplesRecord, decode, signals_messages};
use crate::wire::{Reject, dead_letter};

pub use chance::Counted;
pub use trial::{Trial, Tried};

use group::{Broken, Counts, Subject};
use monitor::MonitorState;

/// Progress is passed on when it has grown by this much: finer than any monitor's step.
const PROGRESS_STEP: Duration = Duration::from_secs(1);

/// The detect stage of one partition.
#[derive(Debug)]
pub struct Detect {
    config: Arc<Config>,
    /// Places of the monitors in the rules, by their keys.
    by_key: BTreeMap<u64, usize>,
    origin: Origin,
    partitions: Partitions,
    state: State,
}

/// What evaluations tell of.
#[derive(Debug, Default)]
struct Findings {
    breaches: Vec<Breach>,
    hints: Vec<Hint>,
    good: Vec<Good>,
}

impl Findings {
    fn append(&mut self, mut later: Self) {
        self.breaches.append(&mut later.breaches);
        self.hints.append(&mut later.hints);
        self.good.append(&mut later.good);
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    progress: Progress,
    /// Everything up to here has been evaluated; what comes later is late.
    evaluated: Option<Timestamp>,
    passed_on: Option<Timestamp>,
    /// By the monitors' keys.
    monitors: BTreeMap<u64, MonitorState>,
    /// Of monitors that are not followed now.
    parked: BTreeMap<u64, Parked>,
}

/// A monitor's state that nothing of what is followed reads.
#[derive(Debug, Serialize, Deserialize)]
struct Parked {
    since: Timestamp,
    /// What it learnt is good under judges of this key.
    memory: u64,
    state: MonitorState,
}

impl Detect {
    /// The stage of a partition of the samples topic, with no state yet.
    #[must_use]
    pub fn new(config: Arc<Config>, partition: u32, partitions: Partitions) -> Self {
        let origin = Origin { topic: Topic::Samples.suffix().to_owned(), partition };
        Self { by_key: config.rules.by_key(), config, origin, partitions, state: State::default() }
    }

    /// Announces this partition: correlation waits for it until it tells its progress or is let go as idle.
    pub fn announce(&self, out: &mut Outbox) {
        out.messages.extend(signals_messages(&self.origin, Timestamp::MIN, vec![]));
    }

    /// Follows another configuration from now on. A monitor with the same name and query keeps its whole state, one
    /// whose query changed keeps its open breaches; nothing is told.
    fn follow(&mut self, config: Config) {
        let now = self.state.evaluated.unwrap_or(Timestamp::MIN);
        let mut old = std::mem::take(&mut self.state.monitors);
        let mut parked = std::mem::take(&mut self.state.parked);
        for (monitor, watch) in config.rules.inputs() {
            if let Some(Parked { memory, state, .. }) = parked.remove(&watch.key).filter(|_| !old.contains_key(&watch.key)) {
                self.state.monitors.insert(watch.key, state.resumed(now, memory == watch.judge.memory_key(watch.every)));
            } else if let Some(mut state) = old.remove(&watch.key) {
                if let Some((_, was)) = watched(&self.config.rules, &self.by_key, watch.key).filter(|(before, _)| *before != monitor) {
                    state.reconfigure(was.judge.memory_key(was.every) == watch.judge.memory_key(watch.every));
                }
                self.state.monitors.insert(watch.key, state);
            } else if let Some(key) = old.iter().find(|(_, s)| s.name == monitor.name).map(|(key, _)| *key)
                // What is counted beside a monitor has no breach to keep.
                && monitor.watches(watch)
            {
                let kept = old.remove(&key).map(|state| state.only_open_breaches(&watch.query, now));
                self.state.monitors.extend(kept.map(|state| (watch.key, state)));
            }
        }
        for (key, state) in old {
            let watch = watched(&self.config.rules, &self.by_key, key);
            let memory = watch.map_or(0, |(_, watch)| watch.judge.memory_key(watch.every));
            parked.insert(key, Parked { since: now, memory, state });
        }
        self.state.parked = parked;
        self.by_key = config.rules.by_key();
        self.config = Arc::new(config);
    }

    /// Groups under watch, for the metrics.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.state.monitors.values().map(MonitorState::groups).sum()
    }

    /// The same of each monitor whose query tells of a group as long as there is data of it.
    pub fn groups_by_monitor(&self) -> impl Iterator<Item = (&str, usize)> {
        let watches = self.config.rules.watches().filter(|(_, watch)| !watch.query.filters());
        watches.map(|(monitor, watch)| (monitor.name.as_str(), self.groups_of(watch)))
    }

    /// Whether anything was ever measured of a monitor here.
    #[must_use]
    pub fn has_heard(&self, watch: &Watch) -> bool {
        self.state.monitors.get(&watch.key).is_some_and(|state| !watch.query.speaks_of_nothing() || state.has_samples())
    }

    /// Whether a monitor's query has ever given a value here.
    #[must_use]
    pub fn has_value(&self, watch: &Watch) -> bool {
        self.state.monitors.get(&watch.key).is_some_and(MonitorState::is_valued)
    }

    /// How many groups a query has here.
    fn groups_of(&self, watch: &Watch) -> usize {
        self.state.monitors.get(&watch.key).map_or(0, MonitorState::groups)
    }

    /// Up to when everything was evaluated.
    #[must_use]
    pub fn watermark(&self) -> Option<Timestamp> {
        self.state.evaluated
    }

    fn batch(&mut self, batch: &Batch, out: &mut Outbox) {
        for sample in &batch.samples {
            let series = usize::try_from(sample.series).ok().and_then(|i| batch.series.get(i));
            let (Some(series), Some((monitor, watch))) = (series, watched(&self.config.rules, &self.by_key, sample.monitor)) else {
                out.count(Count::Samples(Outcome::NotWanted));
                continue;
            };
            // The step that it belongs to, the first one from it on, was evaluated.
            if self.state.evaluated.is_some_and(|until| sample.at + watch.every <= until.next_multiple(watch.every)) {
                out.count(Count::Samples(Outcome::Late));
                continue;
            }
            let name = || if monitor.watches(watch) { monitor.name.clone() } else { format!("{} (beside)", monitor.name) };
            let state = self.state.monitors.entry(watch.key).or_insert_with(|| MonitorState::new(name()));
            let outcome = state.push(watch, series, sample.at, &sample.value, &self.config.tuning, out);
            out.count(Count::Samples(outcome));
        }
        self.state.progress.hear(&batch.origin, batch.progress, self.config.tuning.idle_after);
    }

    /// Evaluates every step that time has passed, and tells what changed, in order of time.
    fn advance(&mut self, out: &mut Outbox) {
        let watermark = self.state.progress.watermark();
        if watermark == Timestamp::MIN {
            return;
        }
        let ready = watermark - self.config.tuning.lateness;
        if self.state.evaluated.is_some_and(|until| ready <= until) {
            return;
        }
        let mut findings = Findings::default();
        for (monitor, watch) in self.config.rules.watches() {
            let own = watch.partition(&Labels::default(), self.partitions.samples) == self.origin.partition;
            if own && watch.query.speaks_of_nothing() {
                self.state.monitors.entry(watch.key).or_insert_with(|| MonitorState::new(monitor.name.clone()));
            }
            let counted = counted(&mut self.state.monitors, monitor, watch, ready, out);
            let parts = broken_down(&mut self.state.monitors, monitor, watch, ready, out);
            let Some(state) = self.state.monitors.get_mut(&watch.key) else { continue };
            let recover_after = self.config.tuning.recover_after;
            let subject = Subject { monitor, watch, counted: &counted, parts: &parts, recover_after };
            state.evaluate(subject, ready, own, &self.config.tuning, &mut findings, out);
        }
        self.state.evaluated = Some(ready);
        self.state.parked.retain(|_, parked| ready.since(parked.since) <= GONE_FOR);
        self.tell(findings, out);
    }

    /// Where all inputs are silent no step comes; then the clock says how long data has been missing.
    fn silence(&mut self, out: &mut Outbox) {
        let clock = self.state.progress.clock(self.config.tuning.idle_after);
        if clock <= self.state.progress.watermark() {
            return;
        }
        let mut breaches = vec![];
        for (monitor, watch) in self.config.rules.watches() {
            if let Some(state) = self.state.monitors.get_mut(&watch.key) {
                let recover_after = self.config.tuning.recover_after;
                let (counted, parts) = (&Counts::new(), &Broken::new());
                state.silence(Subject { monitor, watch, counted, parts, recover_after }, clock, &mut breaches);
            }
        }
        self.tell(Findings { breaches, ..Findings::default() }, out);
    }

    fn tell(&mut self, findings: Findings, out: &mut Outbox) {
        let Findings { mut breaches, hints, good } = findings;
        let Some(progress) = self.state.evaluated else { return };
        let grown = self.state.passed_on.is_none_or(|sent| progress.since(sent) >= PROGRESS_STEP);
        if breaches.is_empty() && hints.is_empty() && good.is_empty() && !grown {
            return;
        }
        self.state.passed_on = Some(progress);
        breaches.sort_by(|a, b| (a.known_at, a.at, &a.monitor, &a.group).cmp(&(b.known_at, b.at, &b.monitor, &b.group)));
        // What is hinted at is known where a breach of the same time is looked into.
        let hints = good.into_iter().map(Signal::Good).chain(hints.into_iter().map(Signal::Hint));
        let signals = hints.chain(breaches.into_iter().map(|breach| Signal::Breach(Box::new(breach)))).collect();
        out.messages.extend(signals_messages(&self.origin, progress, signals));
    }
}

/// What is counted beside a monitor, at all steps up to `ready`.
fn counted(states: &mut BTreeMap<u64, MonitorState>, monitor: &Monitor, watch: &Watch, ready: Timestamp, out: &mut Outbox) -> Counts {
    let mut counts = Counts::new();
    for (measure, beside) in watch.impact.iter().flat_map(|impact| &impact.queries) {
        if let Some(state) = states.get_mut(&beside.key) {
            state.count(monitor, beside, ready, out, |step, labels, number| {
                counts.entry((step, labels)).or_default().push((*measure, number))
            });
        }
    }
    counts
}

/// What a monitor's values are made of, at all steps up to `ready`.
fn broken_down(states: &mut BTreeMap<u64, MonitorState>, monitor: &Monitor, watch: &Watch, ready: Timestamp, out: &mut Outbox) -> Broken {
    let mut broken = Broken::new();
    let Some(rules) = &watch.parts else { return broken };
    for (watch, is_part) in std::iter::once((&rules.part, true)).chain(rules.whole.iter().map(|whole| (whole, false))) {
        let Some(state) = states.get_mut(&watch.key) else { continue };
        state.count(monitor, watch, ready, out, |step, labels, number| {
            let dimension = |name: &str| rules.labels.iter().any(|label| label == name);
            let (group, part) = (labels.filtered(|name| !dimension(name)), labels.filtered(dimension));
            let cell = broken.entry((step, group)).or_default().entry(part).or_default();
            if is_part { cell.0 += number } else { cell.1 += number }
        });
    }
    broken
}

/// The monitor with that key, or the one beside which that is counted.
fn watched<'r>(rules: &'r Rules, by_key: &BTreeMap<u64, usize>, key: u64) -> Option<(&'r Monitor, &'r Watch)> {
    let monitor = rules.monitors.get(*by_key.get(&key)?)?;
    match &monitor.input {
        Input::Watch(watch) if watch.key == key => Some((monitor, watch)),
        Input::Watch(watch) => watch.beside().find(|watch| watch.key == key).map(|watch| (monitor, watch)),
        Input::Alerts(_) | Input::Heartbeat(..) => None,
    }
}

impl Stage for Detect {
    fn apply(&mut self, record: &Record<'_>, out: &mut Outbox) {
        match decode(record.payload) {
            Ok(SamplesRecord::Batch(batch)) => self.batch(&batch, out),
            Ok(SamplesRecord::Tick(now)) => {
                self.state.progress.tick(now, self.config.tuning.idle_after);
                self.silence(out);
            }
            Ok(SamplesRecord::Follow(bundle)) => match Config::from_bundle(&bundle) {
                Ok(config) => self.follow(config),
                Err(detail) => dead_letter::bury(record, &Reject { reason: "internal_config", detail }, out),
            },
            Err(reject) => dead_letter::bury(record, &reject, out),
        }
        self.advance(out);
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn snapshot(&self) -> Vec<u8> {
        snapshot::write(&self.config, &self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), snapshot::Refused> {
        let (config, state) = snapshot::read(bytes)?;
        self.by_key = config.rules.by_key();
        self.config = Arc::new(config);
        self.state = state;
        self.state.monitors.values_mut().for_each(MonitorState::restored);
        Ok(())
    }
}

//! Route: records of the sources → samples for the monitors that want them, and signals.
//!
//! Stateless but for a memo of where a series goes, for what the records of a source looked like last, and for how far
//! each origin is: it may repeat itself after a crash. Samples are keyed so that all that one evaluation needs lands in
//! one partition; alerts and changes go straight to the signals topic. What cannot be decoded goes to the dead-letter
//! topic, and so does notice of a part of a record that cannot.

mod input;
mod limits;
mod memo;
mod taker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Origin, Timestamp};
use crate::rules::{Config, Format, Kind, Settings, Source};
use crate::stage::{Count, Outbox, Outcome, Record};
use crate::wire::decoder::Decoder;
use crate::wire::internal::{calls_messages, signals_messages};
use crate::wire::metrics::{self, Context, Scratch};
use crate::wire::{Parts, Reject, commands, dated, dead_letter, shape};

use input::Input;
use limits::{Refused, admitted};
use memo::Memo;
use taker::{Taken, Taker};

/// An origin's progress is passed on when it has grown by this much: finer than any monitor's step.
const PROGRESS_STEP: Duration = Duration::from_secs(1);

/// The route stage, for any number of input partitions.
#[derive(Debug)]
pub struct Route {
    config: Arc<Config>,
    settings: Arc<Settings>,
    memo: Memo,
    sources: Vec<Sourced>,
    scratch: Scratch,
    /// The number of the batch that was begun last.
    last_batch: u64,
}

/// A source, and what its records looked like.
#[derive(Debug)]
struct Sourced {
    decoder: Decoder,
    /// The format of the last record, where it is recognised by its marks.
    recognised: Format,
    inputs: BTreeMap<u32, Input>,
    /// By outcome, since the last flush.
    records: BTreeMap<Outcome, u64>,
    matched: u64,
}

impl Sourced {
    fn new(source: &Source) -> Self {
        let decoder = Decoder::new(source.kind, source.format, source.mapping.clone());
        Self { decoder, recognised: source.format, inputs: BTreeMap::new(), records: BTreeMap::new(), matched: 0 }
    }
}

impl Route {
    /// A route that follows these rules.
    #[must_use]
    pub fn new(config: Arc<Config>, settings: Arc<Settings>) -> Self {
        let sources = settings.sources.iter().map(Sourced::new).collect();
        Self { config, settings, memo: Memo::default(), sources, scratch: Scratch::default(), last_batch: 0 }
    }

    /// Follows another configuration from now on.
    pub fn follow(&mut self, config: Arc<Config>) {
        self.config = config;
        self.memo.clear();
    }

    /// Takes an input partition over: the stages behind wait for it until it tells its progress or is let go as idle.
    pub fn assign(&mut self, origin: Origin, out: &mut Outbox) {
        let Some(place) = self.place(&origin.topic) else { return };
        let mut input = Input::new(origin.clone(), self.settings.partitions.samples);
        match self.settings.sources[place].kind {
            Kind::Metrics => {
                input.touch();
                input.flush(&mut out.messages);
            }
            Kind::Alerts | Kind::Changes | Kind::Commands => {
                out.messages.extend(signals_messages(&origin, Timestamp::MIN, vec![]));
            }
        }
        self.sources[place].inputs.insert(origin.partition, input);
    }

    /// Gives an input partition up.
    pub fn revoke(&mut self, origin: &Origin) {
        if let Some(place) = self.place(&origin.topic) {
            self.sources[place].inputs.remove(&origin.partition);
        }
    }

    /// Takes in a record of a source. Samples wait in batches for [`Route::flush`].
    pub fn apply(&mut self, record: &Record<'_>, out: &mut Outbox) {
        let Some(place) = self.place(record.topic) else { return };
        let decoder = &self.sources[place].decoder;
        let dated = dated(record.timestamp);
        let signals = match self.settings.sources[place].kind {
            Kind::Metrics => None,
            Kind::Alerts => Some(decoder.alerts(record.payload, record.timestamp)),
            Kind::Changes => Some(decoder.changes(record.payload, record.headers, record.timestamp)),
            Kind::Commands => Some(commands::decode(record.payload, record.timestamp)),
        };
        let outcome = match signals {
            _ if dated.is_err() => dated.map(|()| Outcome::DeadLettered),
            None => self.metrics(place, record, out),
            Some(parts) => parts.and_then(|parts| self.signals(record, parts, out)),
        };
        let outcome = outcome.unwrap_or_else(|reject| {
            dead_letter::bury(record, &reject, out);
            Outcome::DeadLettered
        });
        *self.sources[place].records.entry(outcome).or_default() += 1;
    }

    /// Sends the waiting batches, and passes on the progress of every origin that has grown enough.
    pub fn flush(&mut self, out: &mut Outbox) {
        for (source, sourced) in self.settings.sources.iter().zip(&mut self.sources) {
            for input in sourced.inputs.values_mut() {
                let begins = input.passed_on == Timestamp::MIN && input.progress > Timestamp::MIN;
                if begins || input.progress.since(input.passed_on) >= PROGRESS_STEP {
                    input.passed_on = input.progress;
                    input.touch();
                }
                if source.kind == Kind::Metrics {
                    input.flush(&mut out.messages);
                }
            }
            for (outcome, number) in std::mem::take(&mut sourced.records) {
                out.add(Count::Records(source.topic.clone(), outcome), number);
            }
            if sourced.matched > 0 {
                out.add(Count::Matched, std::mem::take(&mut sourced.matched));
            }
        }
    }

    fn place(&self, topic: &str) -> Option<usize> {
        self.settings.sources.iter().position(|source| source.topic == topic)
    }

    fn metrics(&mut self, place: usize, record: &Record<'_>, out: &mut Outbox) -> Result<Outcome, Reject> {
        let Self { config, settings, memo, sources, scratch, last_batch } = self;
        let (source, sourced) = (&settings.sources[place], &mut sources[place]);
        let partitions = settings.partitions.samples;
        let input = sourced.inputs.entry(record.partition).or_insert_with(|| {
            let origin = Origin { topic: record.topic.to_owned(), partition: record.partition };
            Input::new(origin, partitions)
        });
        let context =
            Context { appended: record.timestamp, unit: source.unit, promote: &source.promote, version: metrics::version(record.headers) };
        let mut taker = Taker { config, memo, input, last_batch, partitions, appended: record.timestamp, out, taken: Taken::default() };
        let mut decoded = metrics::decode(sourced.recognised, record.payload, &context, scratch, &mut taker);
        if source.format == Format::Auto
            && decoded.is_err()
            && taker.taken.taken == 0
            && let Some(format) = shape(record.payload).filter(|format| *format != sourced.recognised)
        {
            sourced.recognised = format;
            decoded = metrics::decode(format, record.payload, &context, scratch, &mut taker);
        }
        let Taken { taken, matched, mut refused, skipped, calls, .. } = taker.taken;
        // What came before the part that cannot be read has been passed on.
        if let Err(reject) = decoded {
            refused.add(reject);
        }
        sourced.matched += matched;
        if !calls.is_empty() {
            out.messages.extend(calls_messages(calls));
        }
        for (reason, number) in skipped {
            out.add(Count::Skipped(source.topic.clone(), reason), number);
        }
        Self::parts(record, taken, refused, out)?;
        Ok(if matched > 0 { Outcome::Applied } else { Outcome::NotWanted })
    }

    /// Gives notice of the parts that were refused, one letter a reason; where nothing else was taken the whole record was.
    fn parts(record: &Record<'_>, taken: u64, refused: Refused, out: &mut Outbox) -> Result<(), Reject> {
        let whole = taken == 0;
        for (reason, (number, mut reject)) in refused.0 {
            if number > 1 {
                reject.detail = format!("{} (and {} more parts)", reject.detail, number - 1);
            }
            if whole {
                return Err(reject);
            }
            out.add(Count::Refused(record.topic.to_owned(), reason), number);
            out.count(Count::DeadLetters(record.topic.to_owned(), reason));
            out.messages.push(dead_letter::part_letter(record, &reject));
        }
        Ok(())
    }

    /// Alerts and changes tell of times long past, so their origin's progress is the record's own time.
    fn signals(&self, record: &Record<'_>, parts: Parts, out: &mut Outbox) -> Result<Outcome, Reject> {
        let (appended, latest) = (record.timestamp, record.timestamp + self.config.tuning.ahead_max);
        let (mut signals, mut refused) = (vec![], Refused::default());
        for part in parts {
            match part.and_then(|signal| admitted(signal, appended, latest)) {
                Ok(signal) => signals.push(signal),
                Err(reject) => refused.add(reject),
            }
        }
        Self::parts(record, signals.len() as u64, refused, out)?;
        let outcome = if signals.is_empty() { Outcome::NotWanted } else { Outcome::Applied };
        let origin = Origin { topic: record.topic.to_owned(), partition: record.partition };
        out.messages.extend(signals_messages(&origin, record.timestamp, signals));
        Ok(outcome)
    }
}

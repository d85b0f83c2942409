//! Route's worker: reads the sources, delivers what comes of their records, and only then commits their offsets. After
//! a crash it may repeat itself; who reads it knows a repetition.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::bail;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers as _, Message as _, OwnedMessage};
use rdkafka::producer::{Producer as _, ThreadedProducer};
use serde_json::Value;
use tracing::{error, info, warn};

use crate::model::{Origin, Timestamp};
use crate::route::Route;
use crate::rules::Settings;
use crate::shell::metrics::Metrics;
use crate::stage::{Count, Message, Outbox, Outcome, Record, Topic};

use super::client::{Base, Event, Reports, producer};
use super::intake::{Intake, OUT_BYTES_MAX, Place, number, place};
use super::transaction::{BREATH, record};
use super::worker::MUTE_AFTER;
use super::{Control, now};

const NAME: &str = "route";

/// How long a round without records is.
const IDLE_ROUND: Duration = Duration::from_millis(100);

/// After a round's first record others are waited for: enough for one fetch to bring what is in the other inputs.
const GATHERS: Duration = Duration::from_millis(10);

/// After this long of reading records, or of waiting for deliveries, the consumer is polled, so that the group keeps us.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long a worker that is told to stop waits for what it has sent.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Of records that cannot be read the log tells at most this often; the metrics count all.
const TELL_UNREADABLE_EVERY: Duration = Duration::from_secs(60);

/// How often it is looked whether the sources are there.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How often it is looked whether offsets that were passed over are lost records.
const LOOK_OVER_EVERY: Duration = Duration::from_secs(10);

/// Questions that are not answered in one look before no more is asked.
const UNANSWERED_MAX: usize = 3;

/// Route's loop and its clients.
pub(in crate::shell) struct Router {
    route: Route,
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
    intake: Intake,
    producer: ThreadedProducer<Reports>,
    controls: Receiver<Control>,
    stop: Arc<AtomicBool>,
    ready: Arc<AtomicBool>,
    /// The next record of each partition owned; none before the first.
    owned: BTreeMap<Place, Option<i64>>,
    /// Offsets that were passed over, from and to: those of transactions and compaction are none of records that are lost.
    passed_over: BTreeMap<Place, (i64, i64)>,
    /// When it was looked last whether they are.
    looked_over: Instant,
    /// The next offset of each partition, all of whose outputs are delivered.
    uncommitted: BTreeMap<Place, i64>,
    committed: Instant,
    joined: bool,
    /// When it was looked last whether the sources are there.
    looked: Option<Instant>,
    /// The sources of which it was said that they are not.
    missing: BTreeSet<String>,
    /// When it was said last that one of a topic cannot be read for that reason.
    told_unreadable: BTreeMap<(String, String), Instant>,
    /// The group does not know us any more: until it does, a commit would be taken for an impostor's.
    estranged: bool,
}

impl Router {
    /// Joins route's consumer group. `ready` is set once it has its partitions.
    pub(in crate::shell) fn new(
        route: Route,
        base: &Base,
        settings: Arc<Settings>,
        metrics: Arc<Metrics>,
        controls: Receiver<Control>,
        stop: Arc<AtomicBool>,
        ready: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let topics: Vec<String> = settings.sources.iter().map(|source| source.topic.clone()).collect();
        let intake = Intake::new(NAME, base, &settings.prefix, &topics, metrics.clone())?;
        let producer = producer(base, intake.teller())?;
        let (owned, uncommitted) = (BTreeMap::new(), BTreeMap::new());
        let committed = Instant::now();
        Ok(Self {
            route,
            settings,
            metrics,
            intake,
            producer,
            controls,
            stop,
            ready,
            owned,
            passed_over: BTreeMap::new(),
            looked_over: committed,
            uncommitted,
            committed,
            joined: false,
            told_unreadable: BTreeMap::new(),
            looked: None,
            missing: BTreeSet::new(),
            estranged: false,
        })
    }

    /// Runs until it is told to stop; then what was sent is delivered and committed.
    pub(in crate::shell) fn run(mut self) -> anyhow::Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            let records = in_order_of_time(self.intake.collect(IDLE_ROUND, GATHERS)?);
            let began = Instant::now();
            let mut out = Outbox::default();
            self.events(&mut out)?;
            for Control::Follow(config) in self.controls.try_iter() {
                self.route.follow(config);
            }
            self.looks_for_sources();
            self.looks_over();
            let (mut offsets, mut polled) = (BTreeMap::new(), began);
            for record in &records {
                // Reading them may take long as well.
                if polled.elapsed() > PATIENCE {
                    self.intake.keep_place(Duration::ZERO)?;
                    polled = Instant::now();
                }
                self.apply(record, &mut offsets, &mut out);
                if out.bytes() > OUT_BYTES_MAX && !self.passes_on(&mut out, &mut offsets)? {
                    break;
                }
            }
            if !self.passes_on(&mut out, &mut offsets)? {
                break;
            }
            if self.committed.elapsed() >= self.settings.commit_every {
                self.commit();
            }
            if !records.is_empty() {
                self.metrics.took(NAME, began.elapsed());
            }
            self.ready.store(self.joined, Ordering::Relaxed);
            self.metrics.ready(NAME, self.joined);
        }
        self.ready.store(false, Ordering::Relaxed);
        self.commit();
        info!(stage = NAME, "stopped");
        Ok(())
    }

    /// Delivers what there is. False: told to stop before it was.
    fn passes_on(&mut self, out: &mut Outbox, offsets: &mut BTreeMap<Place, i64>) -> anyhow::Result<bool> {
        self.route.flush(out);
        let out = std::mem::take(out);
        if !self.deliver(&out.messages)? {
            return Ok(false);
        }
        self.metrics.count(&out);
        self.uncommitted.append(offsets);
        Ok(true)
    }

    fn events(&mut self, out: &mut Outbox) -> anyhow::Result<()> {
        for event in self.intake.told() {
            match event {
                Event::Assigned(places, _) => {
                    (self.joined, self.estranged) = (true, false);
                    let from: Vec<(Place, Option<i64>)> = places.iter().map(|place| (place.clone(), None)).collect();
                    self.intake.take(&from)?;
                    self.misses(&places);
                    places.into_iter().for_each(|place| self.assigned(place, out));
                }
                Event::Revoked(places) => {
                    self.commit();
                    self.give_up(&places, "revoked")?;
                }
                Event::Lost(places) => {
                    self.joined = false;
                    self.give_up(&places, "lost")?;
                }
                Event::Expelled => {
                    self.joined = false;
                    self.give_up(&self.owned.keys().cloned().collect::<Vec<_>>(), "lost")?;
                }
                Event::Ends(ends) => {
                    for (topic, partition, end) in ends {
                        if let Some(Some(next)) = self.owned.get(&(topic.clone(), partition)) {
                            let lag = (end - next).max(0);
                            self.metrics.consumer_lag.with_label_values(&[topic.as_str(), &partition.to_string()]).set(lag);
                        }
                    }
                }
                Event::Undelivered { topic, why } => bail!("a record for {topic} was not delivered: {why}"),
                Event::TooLarge { topic, bytes } | Event::Refused { topic, bytes } => self.intake.lost(&topic, bytes),
                Event::Error(what) => self.intake.grumble(&what),
            }
        }
        Ok(())
    }

    fn assigned(&mut self, place: Place, out: &mut Outbox) {
        info!(stage = NAME, topic = place.0, partition = place.1, "took a partition over");
        self.metrics.rebalances.with_label_values(&[NAME, "assigned"]).inc();
        self.route.assign(Origin { topic: place.0.clone(), partition: number(place.1) }, out);
        self.owned.insert(place, None);
    }

    /// Looks now and then whether the sources are there: one that is not tells nothing, and the client says little of it.
    fn looks_for_sources(&mut self) {
        if self.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return;
        }
        self.looked = Some(Instant::now());
        let mut unanswered = 0;
        for source in &self.settings.sources {
            let told = self.metrics.source_partitions.with_label_values(&[&source.topic]);
            let asked = unanswered < UNANSWERED_MAX;
            match asked.then(|| self.intake.partitions(&source.topic).ok()).flatten() {
                Some(0) => {
                    told.set(0);
                    if self.missing.insert(source.topic.clone()) {
                        error!(stage = NAME, topic = source.topic, "the source is not there: nothing is read of it until it is");
                    }
                }
                Some(partitions) => {
                    told.set(i64::try_from(partitions).unwrap_or(i64::MAX));
                    if self.missing.remove(&source.topic) {
                        info!(stage = NAME, topic = source.topic, "the source is there");
                    }
                }
                // What we read is there.
                None => {
                    unanswered += 1;
                    let ours = self.owned.keys().filter(|(topic, _)| *topic == source.topic).count();
                    told.set(told.get().max(i64::try_from(ours).unwrap_or(i64::MAX)));
                }
            }
        }
    }

    /// Counts what was removed before it was read. Brokers that do not answer are not asked on.
    fn misses(&mut self, places: &[Place]) {
        for place in places {
            let Ok((records, first)) = self.intake.gone(place) else { return };
            if records > 0 {
                // Once: where nothing comes after it, nothing would be committed.
                self.uncommitted.insert(place.clone(), first);
                self.lost(place, records);
            }
        }
    }

    /// Counts now and then what of the offsets that were passed over was removed before it was read.
    fn looks_over(&mut self) {
        if self.passed_over.is_empty() || self.looked_over.elapsed() < LOOK_OVER_EVERY {
            return;
        }
        self.looked_over = Instant::now();
        for (place, (from, to)) in std::mem::take(&mut self.passed_over) {
            match self.intake.first(&place) {
                Ok(first) => self.lost(&place, u64::try_from(first.min(to) - from).unwrap_or(0)),
                Err(_) => _ = self.passed_over.insert(place, (from, to)),
            }
        }
    }

    fn lost(&self, (topic, partition): &Place, records: u64) {
        if records > 0 {
            self.metrics.lost(topic, records);
            error!(
                stage = NAME,
                topic, partition, records, "records were removed before they were read, by retention or by hand, and are lost"
            );
        }
    }

    fn give_up(&mut self, places: &[Place], what: &str) -> anyhow::Result<()> {
        for place in places {
            info!(stage = NAME, topic = place.0, partition = place.1, "a partition was {what}");
            self.metrics.rebalances.with_label_values(&[NAME, what]).inc();
            self.owned.remove(place);
            self.passed_over.remove(place);
            self.uncommitted.remove(place);
            self.route.revoke(&Origin { topic: place.0.clone(), partition: number(place.1) });
            self.metrics.forget(NAME, &place.0, number(place.1));
        }
        self.intake.give_up(places)
    }

    fn apply(&mut self, record: &OwnedMessage, offsets: &mut BTreeMap<Place, i64>, out: &mut Outbox) {
        let place = place(record);
        // What is not ours any more is read by whoever has it now.
        let Some(next) = self.owned.get_mut(&place) else { return };
        if let Some(next) = next.filter(|next| *next < record.offset()) {
            self.passed_over.entry(place.clone()).or_insert((next, record.offset())).1 = record.offset();
        }
        *next = Some(record.offset() + 1);
        let Some(payload) = record.payload() else {
            // A tombstone, by which a key is forgotten, tells nothing.
            out.count(Count::Records(record.topic().to_owned(), Outcome::NotWanted));
            offsets.insert(place, record.offset() + 1);
            return;
        };
        // A producer whose clock is fast must not make the future believable.
        let timestamp = record.timestamp().to_millis().map_or_else(now, |at| Timestamp(at).min(now()));
        let headers: Vec<(&str, &[u8])> = record
            .headers()
            .into_iter()
            .flat_map(|headers| headers.iter().map(|header| (header.key, header.value.unwrap_or_default())))
            .collect();
        let seen = Record {
            topic: record.topic(),
            partition: number(record.partition()),
            offset: record.offset(),
            timestamp,
            headers: &headers,
            payload,
        };
        self.route.apply(&seen, out);
        offsets.insert(place, record.offset() + 1);
    }

    /// Sends messages and waits until all are delivered. False: told to stop before they were.
    fn deliver(&mut self, messages: &[Message]) -> anyhow::Result<bool> {
        let mut wait = Waiting { began: Instant::now(), stopping: None };
        'messages: for message in messages {
            let topic = message.topic.name(&self.settings.prefix);
            if message.topic == Topic::DeadLetter {
                self.tell_unreadable(message);
            }
            while let Err((why, _)) = self.producer.send(record(&topic, message)) {
                match why {
                    KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => {
                        if !self.wait(&mut wait)? {
                            return Ok(false);
                        }
                    }
                    KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge) => {
                        self.intake.lost(&topic, message.payload.len());
                        continue 'messages;
                    }
                    why => bail!("a record for {topic} cannot be sent: {why}"),
                }
            }
            self.metrics.produced(message.topic, &self.settings);
        }
        while self.producer.in_flight_count() > 0 {
            if !self.wait(&mut wait)? {
                return Ok(false);
            }
        }
        match self.intake.undelivered() {
            Some(why) => bail!(why),
            None => Ok(true),
        }
    }

    /// Says that a record cannot be read, unless one of its topic was said just now that cannot for the same reason.
    fn tell_unreadable(&mut self, letter: &Message) {
        let (topic, reason) = (&letter.key, letter.headers.first().map_or("", |(_, reason)| reason));
        let told = self.told_unreadable.entry((topic.clone(), reason.to_owned()));
        let is_new = matches!(told, Entry::Vacant(_));
        let told = told.or_insert_with(Instant::now);
        if is_new || told.elapsed() > TELL_UNREADABLE_EVERY {
            *told = Instant::now();
            let letter: Value = serde_json::from_slice(&letter.payload).unwrap_or_default();
            warn!(
                stage = NAME,
                topic,
                partition = %letter["partition"],
                offset = %letter["offset"],
                reason,
                detail = %letter["detail"],
                "a record cannot be read; it is in the dead-letter topic, as are others like it"
            );
        }
    }

    /// One breath of waiting for deliveries. A long wait must not cost us our place in the group.
    fn wait(&mut self, wait: &mut Waiting) -> anyhow::Result<bool> {
        std::thread::sleep(BREATH);
        if let Some((code, reason)) = self.producer.client().fatal_error() {
            bail!("the {NAME} producer cannot go on: {code}: {reason}");
        }
        if self.stop.load(Ordering::Relaxed) {
            let since = *wait.stopping.get_or_insert_with(Instant::now);
            if since.elapsed() > DRAIN_MAX {
                warn!(stage = NAME, "stopping with records undelivered; they are made again after a restart");
                return Ok(false);
            }
        }
        if wait.began.elapsed() > PATIENCE {
            self.intake.keep_place(Duration::ZERO)?;
        }
        if wait.began.elapsed() > MUTE_AFTER {
            self.ready.store(false, Ordering::Relaxed);
            self.metrics.ready(NAME, false);
        }
        Ok(true)
    }

    fn commit(&mut self) {
        self.committed = Instant::now();
        if self.uncommitted.is_empty() || self.estranged {
            return;
        }
        match self.intake.commit(&self.uncommitted) {
            Ok(()) => self.uncommitted.clear(),
            // Tried again with the next round; a partition that was taken away is dropped by its revocation.
            Err(why) => {
                let unknown = [RDKafkaErrorCode::UnknownMemberId, RDKafkaErrorCode::IllegalGeneration];
                self.estranged = why.rdkafka_error_code().is_some_and(|code| unknown.contains(&code));
                self.intake.grumble(&format!("commit: {why}"));
            }
        }
    }
}

/// How a wait for deliveries stands.
struct Waiting {
    began: Instant,
    stopping: Option<Instant>,
}

/// Records of several partitions in order of time, so that after a pause an alert does not fall behind the metrics it
/// came before; those of one partition stay in the order of their offsets.
fn in_order_of_time(records: Vec<OwnedMessage>) -> Vec<OwnedMessage> {
    let mut latest: BTreeMap<Place, Option<i64>> = BTreeMap::new();
    let mut timed: Vec<(Option<i64>, OwnedMessage)> = records
        .into_iter()
        .map(|record| {
            let so_far = latest.entry(place(&record)).or_default();
            *so_far = record.timestamp().to_millis().max(*so_far);
            (*so_far, record)
        })
        .collect();
    timed.sort_by_key(|(at, _)| *at);
    timed.into_iter().map(|(_, record)| record).collect()
}

//! The worker of a stage with state: takes partitions over, hands them their records, and commits what comes of them
//! together with their offsets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::message::{Message as _, OwnedMessage};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::{error, info, warn};

use crate::model::Timestamp;
use crate::rules::{Config, Settings};
use crate::shell::metrics::Metrics;
use crate::stage::{Message, Outbox, Record};

use super::client::{Base, Event, Grumbles};
use super::intake::{Intake, OUT_BYTES_MAX, Place, number};
use super::partition::{Fate, Partition};
use super::recovery::{Recovered, Recovery};
use super::transaction::{Ended, Transaction, Transactions, Wait};
use super::{Control, Partitioned, now};

/// How long a round without records is.
const IDLE_ROUND: Duration = Duration::from_millis(100);

/// How often owners append the time to their partitions, at the least: silence is measured on it.
const TICK_EVERY: Duration = Duration::from_secs(5);

/// What is to be heard is committed early, but no sooner than so many times as long after a commit as that took.
const PAUSE_PER_COMMIT: u32 = 4;

/// How long a worker that is told to stop goes on trying to commit what it has.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Between two tries of a commit that failed.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// The metrics of the state are brought up to date this often.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// A worker whose commits have failed for so long is not ready.
pub(super) const MUTE_AFTER: Duration = Duration::from_secs(15);

/// A stage's loop and its clients.
pub(in crate::shell) struct Worker<S> {
    config: Arc<Config>,
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
    intake: Intake,
    transactions: Transactions,
    recovery: Recovery<S>,
    controls: Receiver<Control>,
    stop: Arc<AtomicBool>,
    ready: Arc<AtomicBool>,
    owned: BTreeMap<u32, Partition<S>>,
    /// Ours, but not recovered yet; with the ticket of the wish.
    recovering: BTreeMap<u32, u64>,
    /// The group's generation that we were last told our partitions in. Commits are fenced by it, and by no newer one
    /// that we might have joined under another identity without having been told.
    group: Option<Arc<ConsumerGroupMetadata>>,
    /// How far the group has committed is to be asked before the next commit: the last one was not answered, or there
    /// is a new generation, before which the partitions we kept may have been somebody else's.
    unsure: bool,
    /// Since when commits fail: nothing more is taken in before what is pending is committed.
    failed: Option<Instant>,
    committed: Instant,
    commit_took: Duration,
    ticked: Option<Instant>,
    /// When the metrics of the state were brought up to date.
    shown: Option<Instant>,
    /// When it was logged last that a command is refused.
    refusals: Grumbles,
}

impl<S: Partitioned> Worker<S> {
    /// Joins the stage's consumer group. `ready` is set once its partitions have caught up.
    pub(in crate::shell) fn new(
        config: Arc<Config>,
        base: &Base,
        settings: Arc<Settings>,
        metrics: Arc<Metrics>,
        controls: Receiver<Control>,
        stop: Arc<AtomicBool>,
        ready: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let intake = Intake::new(S::NAME, base, &settings.prefix, &[Partition::<S>::log(&settings.prefix)], metrics.clone())?;
        Ok(Self {
            transactions: Transactions::new(base, &settings.prefix, S::NAME, intake.teller()),
            recovery: Recovery::new(base, &settings, &stop)?,
            config,
            settings,
            metrics,
            intake,
            controls,
            stop,
            ready,
            owned: BTreeMap::new(),
            recovering: BTreeMap::new(),
            group: None,
            unsure: false,
            failed: None,
            committed: Instant::now(),
            commit_took: Duration::ZERO,
            ticked: None,
            shown: None,
            refusals: Grumbles::default(),
        })
    }

    /// Runs until it is told to stop; then what came of what was taken in is committed.
    pub(in crate::shell) fn run(mut self) -> anyhow::Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            // What a producer of our name left open, be it our own, holds everybody back who waits for its offsets.
            self.transactions.ready(&mut || Wait::NoLonger)?;
            let records = self.collect()?;
            let began = Instant::now();
            self.events()?;
            self.take_over()?;
            self.controls();
            self.tick();
            for record in &records {
                self.apply(record);
                if self.owned.values().map(Partition::out_bytes).sum::<usize>() > OUT_BYTES_MAX && self.failed.is_none() {
                    self.commit()?;
                }
            }
            self.reach_ends();
            self.heed();
            self.snapshots();
            if self.is_due() {
                self.commit()?;
            }
            if !records.is_empty() {
                self.metrics.took(S::NAME, began.elapsed());
            }
            self.show();
        }
        self.ready.store(false, Ordering::Relaxed);
        self.commit()?;
        info!(stage = S::NAME, "stopped");
        Ok(())
    }

    fn collect(&mut self) -> anyhow::Result<Vec<OwnedMessage>> {
        // What could not be committed may have gone with its partition.
        self.failed = self.failed.filter(|_| self.is_pending());
        if let Some(since) = self.failed {
            self.intake.keep_place(since.elapsed().clamp(RETRY_MIN, RETRY_MAX))?;
            return Ok(vec![]);
        }
        let patience = if self.is_pending() { self.until_due().min(IDLE_ROUND) } else { IDLE_ROUND };
        self.intake.collect(patience, Duration::ZERO)
    }

    fn events(&mut self) -> anyhow::Result<()> {
        for event in self.intake.told() {
            match event {
                Event::Assigned(places, group) => {
                    self.group = group.map(Arc::new);
                    self.unsure = true;
                    // The protocol waits for an answer; what is assigned is read once it is recovered.
                    self.intake.take(&[])?;
                    places.iter().for_each(|place| self.assigned(place));
                }
                // What is pending of them is not committed: there is a new generation already. Whoever comes next commits it.
                Event::Revoked(places) => self.give_up(&places, "revoked")?,
                Event::Lost(places) => {
                    // Until we are told of a new generation we are no member.
                    self.group = None;
                    self.give_up(&places, "lost")?;
                }
                Event::Expelled => {
                    self.group = None;
                    let log = Partition::<S>::log(&self.settings.prefix);
                    let ours = self.owned.keys().chain(self.recovering.keys());
                    let places: Vec<Place> = ours.filter_map(|p| Some((log.clone(), i32::try_from(*p).ok()?))).collect();
                    self.give_up(&places, "lost")?;
                }
                Event::Ends(ends) => {
                    for (topic, partition, end) in ends {
                        if let Some(owned) = self.owned.get(&number(partition)) {
                            let lag = (end - owned.position).max(0);
                            self.metrics.consumer_lag.with_label_values(&[topic.as_str(), &partition.to_string()]).set(lag);
                        }
                    }
                }
                // The transaction it belonged to fails, and is tried again.
                Event::Undelivered { topic, why } => self.intake.grumble(&format!("a record for {topic} was not delivered: {why}")),
                Event::TooLarge { topic, bytes } => self.intake.lost(&topic, bytes),
                // Likewise, until the topic takes it: nothing is lost.
                Event::Refused { topic, bytes } => {
                    let what = format!(
                        "{topic} takes no record of {bytes} bytes, which is tried again until it does; raise its max.message.bytes"
                    );
                    self.intake.grumble(&what);
                }
                Event::Error(what) => self.intake.grumble(&what),
            }
        }
        Ok(())
    }

    fn assigned(&mut self, (topic, partition): &Place) {
        let partition = number(*partition);
        if partition >= S::partitions(&self.settings) {
            error!(topic, partition, "the topic has grown; nothing is written to that partition, and the next start is refused");
            return;
        }
        self.metrics.rebalances.with_label_values(&[S::NAME, "assigned"]).inc();
        let ticket = self.recovery.wish(partition, &self.config);
        self.recovering.insert(partition, ticket);
    }

    fn give_up(&mut self, places: &[Place], what: &str) -> anyhow::Result<()> {
        for (topic, partition) in places {
            let partition = number(*partition);
            info!(stage = S::NAME, partition, "a partition was {what}");
            self.metrics.rebalances.with_label_values(&[S::NAME, what]).inc();
            self.owned.remove(&partition);
            self.recovering.remove(&partition);
            self.metrics.forget(S::NAME, topic, partition);
        }
        self.intake.give_up(places)
    }

    /// Reads on what has been recovered.
    fn take_over(&mut self) -> anyhow::Result<()> {
        for recovered in self.recovery.recovered() {
            let recovered = match recovered {
                // Nothing is recovered any more.
                Err(_) if self.stop.load(Ordering::Relaxed) => return Ok(()),
                recovered => recovered?,
            };
            let Recovered { ticket, partition, from, committed, bytes, gone, .. } = recovered;
            // One that was given up in the meantime, or wished for again, is somebody else's or comes again.
            if self.recovering.get(&partition) != Some(&ticket) {
                continue;
            }
            self.recovering.remove(&partition);
            info!(stage = S::NAME, partition, from, committed, snapshot_bytes = bytes, "took a partition over");
            self.metrics.snapshot_is(S::NAME, partition, bytes);
            self.metrics.lost(&Partition::<S>::log(&self.settings.prefix), gone);
            self.owned.insert(partition, Partition::new(recovered));
            let place = (Partition::<S>::log(&self.settings.prefix), i32::try_from(partition)?);
            self.intake.take(&[(place, Some(from))])?;
        }
        Ok(())
    }

    fn controls(&mut self) {
        for Control::Follow(config) in self.controls.try_iter() {
            self.config = config;
        }
        for partition in self.owned.values_mut() {
            partition.ask_for(&self.config);
        }
    }

    fn tick(&mut self) {
        let every = TICK_EVERY.min(self.config.tuning.idle_after / 2);
        if self.ticked.is_none_or(|at| at.elapsed() >= every) {
            self.ticked = Some(Instant::now());
            for (number, partition) in self.owned.iter_mut().filter(|(_, partition)| partition.live()) {
                partition.append(S::tick(*number, now()));
            }
        }
    }

    fn apply(&mut self, record: &OwnedMessage) {
        let partition = number(record.partition());
        // What is not ours any more is read by whoever has it now.
        let Some(owned) = self.owned.get_mut(&partition) else { return };
        owned.apply(&Record {
            topic: record.topic(),
            partition,
            offset: record.offset(),
            timestamp: record.timestamp().to_millis().map_or(Timestamp::MIN, Timestamp),
            headers: &[],
            payload: record.payload().unwrap_or_default(),
        });
    }

    fn reach_ends(&mut self) {
        for partition in self.intake.ends() {
            if let Some(owned) = self.owned.get_mut(&number(partition)) {
                owned.at_end();
            }
        }
    }

    /// An owner's own ticks come every few seconds. Where they do not, though the log goes on, somebody's transaction
    /// was left open: nothing after it may be read. Kafka ends it in time, but for faults of its own.
    fn heed(&mut self) {
        // While nothing can be committed, nothing is taken in.
        if self.failed.is_some() {
            return;
        }
        let log = Partition::<S>::log(&self.settings.prefix);
        let place = |partition: u32| (log.clone(), i32::try_from(partition).unwrap_or(i32::MAX));
        let owned = self.owned.iter().map(|(partition, owned)| (place(*partition), owned.position));
        if let Some(((topic, partition), offset, end)) = self.intake.silent(owned) {
            self.metrics.blocked.with_label_values(&[S::NAME]).inc();
            let broker = self.settings.brokers.first().map_or("", String::as_str);
            error!(
                topic,
                partition,
                offset,
                end,
                "an open transaction holds up what follows; if this goes on: kafka-transactions.sh --bootstrap-server {broker} abort \
                 --topic {topic} --partition {partition} --start-offset {offset}"
            );
        }
    }

    fn snapshots(&mut self) {
        // One at a time: each takes as long as its state is large.
        for (partition, owned) in &mut self.owned {
            let began = Instant::now();
            if let Some(bytes) = owned.snapshot(&self.settings) {
                self.metrics.snapshot_is(S::NAME, *partition, bytes);
                self.metrics.snapshot_took(S::NAME, began.elapsed());
                return;
            }
        }
    }

    fn is_pending(&self) -> bool {
        self.owned.values().any(Partition::is_pending)
    }

    fn is_due(&self) -> bool {
        self.is_pending() && self.until_due().is_zero()
    }

    /// How long what is pending may wait. What somebody waits for goes early, as far as commits are cheap.
    fn until_due(&self) -> Duration {
        let urgent = self.owned.values().any(Partition::has_messages);
        let early = self.commit_took * PAUSE_PER_COMMIT;
        let pause = if urgent { early.min(self.settings.commit_every) } else { self.settings.commit_every };
        pause.saturating_sub(self.committed.elapsed())
    }

    /// Commits all that is pending, in one transaction. What fails stays, and is tried again.
    fn commit(&mut self) -> anyhow::Result<()> {
        if self.unsure && !self.settle()? {
            return Ok(());
        }
        if !self.is_pending() {
            self.failed = None;
            return Ok(());
        }
        let began = Instant::now();
        let Some(ended) = self.commit_pending()? else { return Ok(()) };
        self.committed = Instant::now();
        match ended {
            Ended::Committed => {
                self.commit_took = began.elapsed();
                self.failed = None;
                self.metrics.transactions.with_label_values(&[S::NAME, "committed"]).inc();
                let all: Vec<u32> = self.owned.keys().copied().collect();
                all.into_iter().for_each(|partition| self.settled(partition));
            }
            Ended::Aborted(why) => {
                self.failed.get_or_insert_with(Instant::now);
                self.metrics.transactions.with_label_values(&[S::NAME, "aborted"]).inc();
                self.intake.grumble(&format!("a transaction was aborted and is tried again: {why}"));
            }
            Ended::Unknown(why) => {
                self.failed.get_or_insert_with(Instant::now);
                self.unsure = true;
                self.metrics.transactions.with_label_values(&[S::NAME, "unknown"]).inc();
                self.intake.grumble(&format!("a transaction was not answered; what became of it is asked: {why}"));
            }
        }
        Ok(())
    }

    fn commit_pending(&mut self) -> anyhow::Result<Option<Ended>> {
        let Some(group) = self.group.clone() else { return Ok(None) };
        let mut offsets = TopicPartitionList::new();
        let (mut messages, mut portions) = (vec![], vec![]);
        let log = Partition::<S>::log(&self.settings.prefix);
        for (partition, owned) in self.owned.iter().filter(|(_, owned)| owned.is_pending()) {
            let (out, portion, offset) = owned.pending();
            messages.extend(out);
            portions.extend(portion);
            if let Some((next, metadata)) = offset {
                let mut element = offsets.add_partition(&log, i32::try_from(*partition)?);
                element.set_offset(Offset::Offset(next))?;
                element.set_metadata(metadata);
            }
        }
        let messages: Vec<&Message> = portions.iter().chain(messages).collect();
        let (intake, stop, began) = (&mut self.intake, &self.stop, Instant::now());
        let mut wait = || {
            let stopping = stop.load(Ordering::Relaxed) && began.elapsed() > DRAIN_MAX;
            if stopping || intake.has_lost() { Wait::NoLonger } else { kept(intake) }
        };
        self.transactions.commit(&Transaction { messages, offsets, group }, &mut wait).map(Some)
    }

    fn settled(&mut self, partition: u32) {
        let Some(owned) = self.owned.get_mut(&partition).filter(|owned| owned.is_pending()) else { return };
        let (out, snapshot) = owned.on_committed();
        if let Some(bytes) = snapshot {
            self.metrics.snapshot_written(S::NAME, partition);
            tracing::debug!(stage = S::NAME, partition, bytes, "a snapshot is whole");
        }
        for message in &out.messages {
            self.metrics.produced(message.topic, &self.settings);
        }
        self.metrics.count(&out);
        log_decisions(&out, &mut self.refusals);
    }

    /// Asks how far the group has committed. False where that is not told yet.
    fn settle(&mut self) -> anyhow::Result<bool> {
        // Only a new producer settles what the old one left; then the committed offsets do not change any more.
        let (intake, stop) = (&mut self.intake, &self.stop);
        let ready = self.transactions.ready(&mut || if stop.load(Ordering::Relaxed) { Wait::NoLonger } else { kept(intake) })?;
        if ready.is_none() {
            return Ok(false);
        }
        let log = Partition::<S>::log(&self.settings.prefix);
        let committed = match self.intake.committed(&log, self.owned.keys().copied()) {
            Ok(committed) => committed,
            Err(why) => {
                self.intake.grumble(&format!("committed offsets: {why}"));
                return Ok(false);
            }
        };
        self.unsure = false;
        for (partition, offset) in committed {
            match self.owned.get(&partition).map(|owned| owned.fate(offset)) {
                Some(Fate::Committed) => self.settled(partition),
                Some(Fate::Superseded) => self.recover_again(partition)?,
                Some(Fate::NotCommitted) | None => {}
            }
        }
        Ok(true)
    }

    /// Another instance went on with a partition that was ours, and is again: what we have of it is of the past.
    fn recover_again(&mut self, partition: u32) -> anyhow::Result<()> {
        warn!(stage = S::NAME, partition, "another instance had the partition in the meantime; it is recovered again");
        self.owned.remove(&partition);
        let log = Partition::<S>::log(&self.settings.prefix);
        self.intake.give_up(&[(log, i32::try_from(partition)?)])?;
        let ticket = self.recovery.wish(partition, &self.config);
        self.recovering.insert(partition, ticket);
        Ok(())
    }

    fn show(&mut self) {
        // What is counted in the state costs as much as there is of it.
        if self.shown.is_none_or(|shown| shown.elapsed() >= SHOW_EVERY) {
            self.shown = Some(Instant::now());
            S::show(self.owned.iter().map(|(partition, owned)| (*partition, &owned.stage)), &self.metrics);
        }
        let mut ready = self.group.is_some() && self.recovering.is_empty();
        for (partition, owned) in &mut self.owned {
            let caught_up = owned.caught_up();
            if caught_up && let Some((replayed, took)) = owned.recovered() {
                info!(stage = S::NAME, partition, replayed, took_ms = took.as_millis(), "a partition has caught up");
                self.metrics.recovered(S::NAME, *partition, replayed, took);
            }
            ready &= caught_up;
            self.metrics.follows(S::NAME, *partition, owned.follows(&self.config));
        }
        // Who cannot commit does not work, however little it is behind.
        ready &= self.failed.is_none_or(|since| since.elapsed() < MUTE_AFTER);
        self.ready.store(ready, Ordering::Relaxed);
        self.metrics.ready(S::NAME, ready);
    }
}

/// A poll between two tries, so that the group keeps us.
fn kept(intake: &mut Intake) -> Wait {
    // An error that is fatal comes again at the next poll.
    intake.keep_place(Duration::ZERO).map_or(Wait::NoLonger, |()| Wait::Longer)
}

fn log_decisions(out: &Outbox, refusals: &mut Grumbles) {
    for decision in &out.trace {
        let text = |key: &str| decision[key].as_str().unwrap_or_default();
        match text("kind") {
            "declaration" => {
                info!(incident = text("incident"), level = text("level"), at = text("at"), reason = text("reason"), "{}", text("event"));
            }
            // Its author is answered; the log has one of many.
            "rejection" if refusals.are_due() => {
                let (command, order, author) = (text("command"), text("order"), text("author"));
                info!(
                    command,
                    order,
                    author,
                    incident = text("incident"),
                    reason = text("reason"),
                    "a command is refused, as may be others"
                );
            }
            _ => {}
        }
    }
}

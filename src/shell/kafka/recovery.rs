//! Recovery: a partition's state from its newest good snapshot, on a thread of its own, so that the partitions that
//! stay keep working.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::{error, warn};

use crate::rules::{Config, Settings};
use crate::stage::Topic;
use crate::wire::state::{Bookmark, Name, Owner, Shelf, Torn, state_partition};

use super::client::{Base, Quiet, reader, serve};
use super::{Partitioned, now};

const REQUEST: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(200);

/// A client that nobody has needed for so long is let go of.
const IDLE: Duration = Duration::from_secs(60);

/// A snapshot that is named but not there may be behind a transaction that somebody left open; those end in this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Kafka ends transactions that were left open after a minute, so what lasts longer has another cause.
const SUSPICIOUS: Duration = Duration::from_secs(90);

/// A partition to recover.
struct Wish {
    ticket: u64,
    partition: u32,
    config: Arc<Config>,
}

/// A partition's state, and where its log is to be read from.
pub(super) struct Recovered<S> {
    /// Of the wish.
    pub(super) ticket: u64,
    pub(super) partition: u32,
    pub(super) stage: S,
    /// Records from here on are missing in the state.
    pub(super) from: i64,
    /// What comes of records before this offset is committed already; none where nothing ever was.
    pub(super) committed: Option<i64>,
    /// Where the log ended when this was asked.
    pub(super) end: i64,
    pub(super) bookmark: Bookmark,
    /// The snapshot's size.
    pub(super) bytes: usize,
    /// Records that the state needs and the log no longer holds.
    pub(super) gone: u64,
}

/// The thread that recovers, one partition after the other.
pub(super) struct Recovery<S> {
    wishes: Option<Sender<Wish>>,
    recovered: Receiver<anyhow::Result<Recovered<S>>>,
    thread: Option<JoinHandle<()>>,
    tickets: u64,
}

impl<S: Partitioned> Recovery<S> {
    /// Starts the thread. It ends with this value, or soon after `stop` is set.
    pub(super) fn new(base: &Base, settings: &Arc<Settings>, stop: &Arc<AtomicBool>) -> anyhow::Result<Self> {
        let (wishes, wished) = channel::<Wish>();
        let (tell, recovered) = channel();
        let (base, settings, stop) = (base.clone(), settings.clone(), stop.clone());
        let thread = std::thread::Builder::new().name(format!("{}-recovery", S::NAME));
        let thread = thread.spawn(move || {
            let mut reader = Reader { base: &base, settings: &settings, stop: &stop, consumer: None };
            loop {
                let wish = match wished.recv_timeout(IDLE) {
                    Ok(wish) => wish,
                    // Nobody polls it: what brokers that are away bring about would queue up.
                    Err(RecvTimeoutError::Timeout) => {
                        reader.consumer = None;
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                };
                let Some(result) = reader.recover(&wish) else { return };
                if tell.send(result).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { wishes: Some(wishes), recovered, thread: Some(thread), tickets: 0 })
    }

    /// Wishes for a partition; gives the ticket that its state will come with.
    pub(super) fn wish(&mut self, partition: u32, config: &Arc<Config>) -> u64 {
        self.tickets += 1;
        let wish = Wish { ticket: self.tickets, partition, config: config.clone() };
        // A thread that has ended is noticed by what does not come.
        self.wishes.as_ref().map(|wishes| wishes.send(wish).ok());
        self.tickets
    }

    /// What has been recovered since the last time.
    pub(super) fn recovered(&self) -> Vec<anyhow::Result<Recovered<S>>> {
        let mut recovered: Vec<_> = self.recovered.try_iter().collect();
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) && recovered.is_empty() {
            recovered.push(Err(anyhow!("the recovery thread has ended")));
        }
        recovered
    }
}

impl<S> Drop for Recovery<S> {
    fn drop(&mut self) {
        self.wishes = None;
        self.thread.take().map(JoinHandle::join);
    }
}

struct Reader<'r> {
    base: &'r Base,
    settings: &'r Settings,
    stop: &'r AtomicBool,
    /// Kept, for it knows the coordinator.
    consumer: Option<BaseConsumer<Quiet>>,
}

/// What the broker tells of a partition.
struct Position {
    committed: Option<i64>,
    bookmark: Option<Bookmark>,
    low: i64,
    end: i64,
}

impl Reader<'_> {
    /// None where we were told to stop before.
    fn recover<S: Partitioned>(&mut self, wish: &Wish) -> Option<anyhow::Result<Recovered<S>>> {
        let began = Instant::now();
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            match self.attempt(wish) {
                Ok(recovered) => return Some(recovered),
                Err(why) => {
                    self.consumer = None;
                    warn!(stage = S::NAME, partition = wish.partition, error = format!("{why:#}"), "recovery is tried again");
                    if began.elapsed() > SUSPICIOUS {
                        self.hint(wish);
                    }
                    std::thread::sleep(RETRY);
                }
            }
        }
    }

    /// A committed offset is not told while the transaction it was committed in is open.
    fn hint(&self, wish: &Wish) {
        let broker = self.settings.brokers.first().map_or("", String::as_str);
        error!(
            partition = wish.partition,
            "no recovery yet; kafka-transactions.sh --bootstrap-server {broker} find-hanging --broker-id ID shows whether an open \
             transaction holds up __consumer_offsets, and `abort` ends it"
        );
    }

    /// The outer error is one that passes, the inner one is not.
    fn attempt<S: Partitioned>(&mut self, wish: &Wish) -> anyhow::Result<anyhow::Result<Recovered<S>>> {
        let consumer = match self.consumer.take() {
            Some(consumer) => consumer,
            None => reader(self.base, &format!("{}.{}", self.settings.prefix, S::NAME))?,
        };
        serve(&consumer, self.base);
        let recovered = self.read(&consumer, wish);
        self.consumer = Some(consumer);
        recovered
    }

    fn read<S: Partitioned>(&self, consumer: &BaseConsumer<Quiet>, wish: &Wish) -> anyhow::Result<anyhow::Result<Recovered<S>>> {
        let log = S::LOG.name(&self.settings.prefix);
        let at = position(consumer, &log, wish.partition)?;
        let partitions = S::partitions(self.settings);
        if let Some(bookmark) = at.bookmark.as_ref().filter(|b| b.partitions != partitions) {
            return Ok(Err(spread_differently(&log, bookmark.partitions, partitions, self.settings)));
        }
        let stage = S::new(&wish.config, self.settings, wish.partition);
        let fresh = Bookmark { partitions, snapshots: vec![] };
        let mut recovered = Recovered {
            ticket: wish.ticket,
            partition: wish.partition,
            stage,
            from: at.low,
            committed: at.committed,
            end: at.end,
            bookmark: at.bookmark.clone().unwrap_or(fresh),
            bytes: 0,
            gone: 0,
        };
        if at.committed.is_some() {
            self.restore(consumer, &at, &mut recovered)?;
        } else if self.has_kept(consumer, S::NAME, wish.partition)? {
            error!(
                stage = S::NAME,
                partition = wish.partition,
                records = at.end - at.low,
                "a state was kept, but the group's offsets are gone: they were deleted, have expired, or went with the log. What was open \
                 is forgotten; what was over by now is not told again"
            );
            recovered.stage.begins_anew(now());
        }
        Ok(Ok(recovered))
    }

    /// Restores the newest snapshot that is good; where none is, the log is read from its start.
    fn restore<S: Partitioned>(&self, consumer: &BaseConsumer<Quiet>, at: &Position, recovered: &mut Recovered<S>) -> anyhow::Result<()> {
        let owner = Owner { stage: S::NAME, partition: recovered.partition };
        let began = Instant::now();
        for name in at.bookmark.iter().flat_map(|b| b.snapshots.clone()) {
            let refused = loop {
                match self.snapshot(consumer, owner, name)? {
                    Ok(bytes) => match recovered.stage.restore(&bytes) {
                        Ok(()) => {
                            recovered.from = name.offset;
                            recovered.bytes = bytes.len();
                            recovered.gone = missing(owner, name.offset, at);
                            return Ok(());
                        }
                        Err(why) => break why.to_string(),
                    },
                    Err(Torn::Missing(..)) if began.elapsed() < PATIENCE && !self.stop.load(Ordering::Relaxed) => {
                        std::thread::sleep(RETRY);
                    }
                    Err(why) => break why.to_string(),
                }
            };
            error!(
                stage = S::NAME,
                partition = owner.partition,
                offset = name.offset,
                why = refused,
                "a snapshot is refused; the one before is used"
            );
        }
        error!(stage = S::NAME, partition = owner.partition, from = at.low, "there is no good snapshot; the log is read from its start");
        // The snapshots that cannot be read held what came before.
        let held = at.bookmark.as_ref().is_some_and(|bookmark| !bookmark.snapshots.is_empty());
        recovered.gone = missing(owner, if held { 0 } else { at.low }, at);
        Ok(())
    }

    /// Whether anything was ever kept of a partition: not at the very first start.
    fn has_kept(&self, consumer: &BaseConsumer<Quiet>, stage: &str, partition: u32) -> anyhow::Result<bool> {
        // Another stage's may lie in the same partition.
        let own = format!("{stage}/{partition}/");
        let mut found = false;
        self.read_state(consumer, partition, |key, _| found |= key.starts_with(own.as_bytes()))?;
        Ok(found)
    }

    /// Reads the owner's partition of the state topic to its end, and puts a snapshot together.
    fn snapshot(&self, consumer: &BaseConsumer<Quiet>, owner: Owner, name: Name) -> anyhow::Result<Result<Vec<u8>, Torn>> {
        let mut shelf = Shelf::new(owner, name);
        self.read_state(consumer, owner.partition, |key, payload| shelf.put(key, payload))?;
        Ok(shelf.snapshot())
    }

    /// Reads a partition of the state topic to its end.
    fn read_state(&self, consumer: &BaseConsumer<Quiet>, partition: u32, mut take: impl FnMut(&[u8], Option<&[u8]>)) -> anyhow::Result<()> {
        let topic = Topic::State.name(&self.settings.prefix);
        let partition = i32::try_from(state_partition(partition, self.settings.partitions.samples))?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, partition, Offset::Beginning)?;
        consumer.assign(&list)?;
        let mut heard = Instant::now();
        loop {
            match consumer.poll(RETRY) {
                Some(Ok(record)) => take(record.key().unwrap_or_default(), record.payload()),
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(why)) => return Err(why).context("the state topic cannot be read"),
                None if heard.elapsed() > REQUEST => bail!("the state topic is not answered for"),
                None if self.stop.load(Ordering::Relaxed) => bail!("stopping"),
                None => continue,
            }
            heard = Instant::now();
        }
        Ok(consumer.unassign()?)
    }
}

/// How far the group has committed, and what the log holds. An answer that a transaction may still change is waited for.
fn position(consumer: &BaseConsumer<Quiet>, log: &str, partition: u32) -> anyhow::Result<Position> {
    let number = i32::try_from(partition)?;
    let mut list = TopicPartitionList::new();
    list.add_partition(log, number);
    // Pending transactions are waited out by the broker; one that is left open makes this time out.
    let committed = consumer.committed_offsets(list, REQUEST).context("the committed offset is not told")?;
    let committed = committed.find_partition(log, number).context("the committed offset is not told")?;
    committed.error().context("the committed offset is not told")?;
    let offset = committed.offset().to_raw().filter(|offset| *offset >= 0);
    let bookmark = offset.and_then(|_| Bookmark::parse(committed.metadata()));
    let (low, end) = consumer.fetch_watermarks(log, number, REQUEST).context("the log's ends are not told")?;
    Ok(Position { committed: offset, bookmark, low, end })
}

/// Says it where the log no longer holds what is needed, and how much that is.
fn missing(owner: Owner, from: i64, at: &Position) -> u64 {
    if at.low > from {
        error!(
            stage = owner.stage,
            partition = owner.partition,
            from,
            until = at.low,
            committed = at.committed,
            "records that the state needs are gone: the topic's retention is shorter than this instance was away"
        );
    }
    u64::try_from(at.low - from).unwrap_or(0)
}

fn spread_differently(log: &str, was: u32, is: u32, settings: &Settings) -> anyhow::Error {
    let Settings { prefix, brokers, .. } = settings;
    let broker = brokers.first().map_or("localhost:9092", String::as_str);
    // Signals are all that is known of open incidents: they stay where they can.
    let topic = log.rsplit('.').next().unwrap_or(log);
    anyhow!(
        "topic {log} had {was} partitions when its state was written, now it has {is}: what belongs together is not in one \
         partition any more. Growing an internal topic is not possible. To begin anew with {is}, stop all instances and run: \
         kafka-topics.sh --bootstrap-server {broker} --delete --topic '{prefix}\\.({topic}|state)'; baselines are then learnt anew"
    )
}

//! Transactions: outputs and consumed offsets are committed together or not at all.
//!
//! One is begun, filled and committed in one go, so it is open for milliseconds. Offsets go with the group's metadata:
//! whoever is not a member of the group's present generation any more is fenced. A time-out leaves the state unknown,
//! so the same call is made again; after a fatal error the producer is made anew, which settles what the old one left.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use anyhow::bail;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::stage::Message;

use super::client::{Base, Event, Reports, transactional};

/// One try of a blocking call; between tries the consumer is polled, so that the group keeps us.
const CALL: Duration = Duration::from_millis(500);

/// After so long, a call that answers within [`CALL`] never will.
const LOST: Duration = Duration::from_secs(10);

/// What one transaction holds.
pub(super) struct Transaction<'s> {
    pub(super) messages: Vec<&'s Message>,
    pub(super) offsets: TopicPartitionList,
    pub(super) group: Arc<ConsumerGroupMetadata>,
}

/// How a transaction ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It is committed.
    Committed,
    /// It is not, and never will be.
    Aborted(String),
    /// Nobody answered in time: the committed offsets will tell.
    Unknown(String),
}

/// What to do while a broker lets us wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Go on trying.
    Longer,
    /// Leave it: we are told to stop, or the partition is not ours any more.
    NoLonger,
}

/// A stage's transactional producer, made when it is needed.
pub(super) struct Transactions {
    base: Base,
    id: String,
    prefix: String,
    events: Sender<Event>,
    /// And whether it has begun: only then what another one left is settled.
    producer: Option<(ThreadedProducer<Reports>, bool)>,
}

/// How a call ended that is not done.
enum Failed {
    Abortable(String),
    Fatal(String),
    LeftAlone,
}

impl Transactions {
    /// Nothing is sent before the first transaction.
    pub(super) fn new(base: &Base, prefix: &str, stage: &str, events: Sender<Event>) -> Self {
        let id = format!("{prefix}.{stage}.{}", base.instance);
        Self { base: base.clone(), id, prefix: prefix.to_owned(), events, producer: None }
    }

    /// Commits all of it, or nothing.
    ///
    /// # Errors
    /// What no repetition mends.
    pub(super) fn commit(&mut self, transaction: &Transaction<'_>, wait: &mut dyn FnMut() -> Wait) -> anyhow::Result<Ended> {
        let Some(producer) = self.ready(wait)? else { return Ok(Ended::Aborted("the producer is not ready".into())) };
        match self.fill(&producer, transaction, wait)? {
            Ok(()) => {}
            Err(Failed::Abortable(why)) => return Ok(self.abort(&producer, why, wait)),
            Err(Failed::Fatal(why)) => return Ok(self.begin_anew(why)),
            Err(Failed::LeftAlone) => return Ok(self.abort(&producer, "it was not finished in time".into(), wait)),
        }
        match insist(wait, || producer.commit_transaction(CALL)) {
            Ok(()) => Ok(Ended::Committed),
            Err(Failed::Abortable(why)) => Ok(self.abort(&producer, why, wait)),
            Err(Failed::Fatal(why)) => {
                self.producer = None;
                Ok(Ended::Unknown(why))
            }
            Err(Failed::LeftAlone) => {
                self.producer = None;
                Ok(Ended::Unknown("the commit was not answered in time".into()))
            }
        }
    }

    /// The producer; what another one with its name left open is settled. None where that cannot be done yet.
    pub(super) fn ready(&mut self, wait: &mut dyn FnMut() -> Wait) -> anyhow::Result<Option<ThreadedProducer<Reports>>> {
        let (producer, begun) = match self.producer.take() {
            Some(existing) => existing,
            None => (transactional(&self.base, &self.id, self.events.clone())?, false),
        };
        if begun {
            self.producer = Some((producer.clone(), true));
            return Ok(Some(producer));
        }
        match insist(wait, || producer.init_transactions(CALL)) {
            Ok(()) => {
                self.producer = Some((producer.clone(), true));
                Ok(Some(producer))
            }
            // The same call goes on where it was.
            Err(Failed::LeftAlone) => {
                self.producer = Some((producer, false));
                Ok(None)
            }
            Err(Failed::Abortable(why) | Failed::Fatal(why)) => {
                self.events.send(Event::Error(format!("transactions as {} cannot be begun: {why}", self.id))).ok();
                Ok(None)
            }
        }
    }

    fn fill(
        &self,
        producer: &ThreadedProducer<Reports>,
        transaction: &Transaction<'_>,
        wait: &mut dyn FnMut() -> Wait,
    ) -> anyhow::Result<Result<(), Failed>> {
        if let Err(failed) = insist(wait, || producer.begin_transaction()) {
            return Ok(Err(failed));
        }
        for message in &transaction.messages {
            let topic = message.topic.name(&self.prefix);
            while let Err((why, _)) = producer.send(record(&topic, message)) {
                match why {
                    KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => {
                        std::thread::sleep(BREATH);
                        if wait() == Wait::NoLonger {
                            return Ok(Err(Failed::LeftAlone));
                        }
                    }
                    KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge) => {
                        let bytes = message.payload.len();
                        self.events.send(Event::TooLarge { topic, bytes }).ok();
                        break;
                    }
                    KafkaError::MessageProduction(code) if producer.client().fatal_error().is_some() => {
                        return Ok(Err(Failed::Fatal(format!("{topic}: {code}"))));
                    }
                    KafkaError::MessageProduction(code) => return Ok(Err(Failed::Abortable(format!("{topic}: {code}")))),
                    other => bail!("a record for {topic} cannot be sent: {other}"),
                }
            }
        }
        if let Err(failed) = delivered(producer, wait) {
            return Ok(Err(failed));
        }
        Ok(offsets(producer, transaction, wait))
    }

    fn abort(&mut self, producer: &ThreadedProducer<Reports>, why: String, wait: &mut dyn FnMut() -> Wait) -> Ended {
        match insist(wait, || producer.abort_transaction(CALL)) {
            Ok(()) => Ended::Aborted(why),
            // Whoever begins with our name next, be it ourselves, aborts it.
            Err(Failed::Abortable(_) | Failed::Fatal(_) | Failed::LeftAlone) => self.begin_anew(why),
        }
    }

    fn begin_anew(&mut self, why: String) -> Ended {
        self.producer = None;
        Ended::Aborted(why)
    }
}

/// One breath of waiting for deliveries. The crate's own flush waits in steps of a tenth of a second.
pub(super) const BREATH: Duration = Duration::from_micros(500);

/// So many breaths of waiting for deliveries, then the consumer is polled.
const BREATHS: u32 = 100;

/// Waits until all that was sent is answered for; what failed makes the calls that follow fail.
fn delivered(producer: &ThreadedProducer<Reports>, wait: &mut dyn FnMut() -> Wait) -> Result<(), Failed> {
    loop {
        for _ in 0..BREATHS {
            if producer.in_flight_count() == 0 {
                return Ok(());
            }
            std::thread::sleep(BREATH);
        }
        if wait() == Wait::NoLonger {
            return Err(Failed::LeftAlone);
        }
    }
}

/// Sends the offsets. librdkafka may lose this call: where the group's coordinator was asked for in vain, it waits for a
/// connection to come or go, without a time-out (2.12.1, `rdkafka_coord.c`). So each try is on a thread of its own, which
/// is left behind when it does not come back; a new producer settles what it may have done.
fn offsets(producer: &ThreadedProducer<Reports>, transaction: &Transaction<'_>, wait: &mut dyn FnMut() -> Wait) -> Result<(), Failed> {
    loop {
        let (tell, told) = channel();
        let (producer, offsets, group) = (producer.clone(), transaction.offsets.clone(), transaction.group.clone());
        std::thread::spawn(move || tell.send(producer.send_offsets_to_transaction(&offsets, &group, CALL)));
        let began = Instant::now();
        let answer = loop {
            match told.recv_timeout(CALL) {
                Ok(answer) => break answer,
                Err(_) if began.elapsed() >= LOST => return Err(Failed::Fatal("the offsets were not answered for".into())),
                Err(_) if wait() == Wait::NoLonger => return Err(Failed::LeftAlone),
                Err(_) => {}
            }
        };
        if let Some(settled) = settled(answer) {
            return settled;
        }
        if wait() == Wait::NoLonger {
            return Err(Failed::LeftAlone);
        }
    }
}

/// Makes a call until it is answered: after a time-out only the same call tells how it went.
fn insist(wait: &mut dyn FnMut() -> Wait, mut call: impl FnMut() -> KafkaResult<()>) -> Result<(), Failed> {
    loop {
        if let Some(settled) = settled(call()) {
            return settled;
        }
        if wait() == Wait::NoLonger {
            return Err(Failed::LeftAlone);
        }
    }
}

/// How a call ended; none where it has to be made again.
fn settled(answer: KafkaResult<()>) -> Option<Result<(), Failed>> {
    let failed = match answer {
        Ok(()) => return Some(Ok(())),
        Err(KafkaError::Transaction(why)) if why.is_fatal() => Failed::Fatal(why.to_string()),
        Err(KafkaError::Transaction(why)) if why.txn_requires_abort() => Failed::Abortable(why.to_string()),
        Err(KafkaError::Transaction(why)) if why.is_retriable() => return None,
        Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)) => return None,
        Err(why) => Failed::Fatal(why.to_string()),
    };
    Some(Err(failed))
}

/// A message as librdkafka takes it.
pub(super) fn record<'m>(topic: &'m str, message: &'m Message) -> BaseRecord<'m, str, [u8]> {
    let mut headers = OwnedHeaders::new_with_capacity(message.headers.len());
    for (key, value) in &message.headers {
        headers = headers.insert(Header { key, value: Some(value) });
    }
    let mut record = BaseRecord::to(topic).key(message.key.as_str()).headers(headers);
    if !message.payload.is_empty() {
        record = record.payload(message.payload.as_slice());
    }
    match message.partition {
        Some(partition) => record.partition(i32::try_from(partition).unwrap_or(i32::MAX)),
        None => record,
    }
}

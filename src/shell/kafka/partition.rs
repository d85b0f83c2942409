//! A partition that is ours: its stage, what of it is to be committed, and when a snapshot is due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::rules::{Config, Settings};
use crate::stage::{Message, Outbox, Record};
use crate::wire::state::{Bookmark, Owner, Writing};

use super::Partitioned;
use super::recovery::Recovered;

/// Of a snapshot under way, so much goes with one transaction: a large state must not make a commit wait.
const PORTION_BYTES: usize = 4 << 20;

/// A partition's state and what came of its records since the last commit.
pub(super) struct Partition<S> {
    number: u32,
    pub(super) stage: S,
    /// What comes of records before this offset is committed already: they rebuild the state only.
    committed: i64,
    /// The next record's offset.
    pub(super) position: i64,
    /// Where the log ended when the partition was taken over.
    end: i64,
    reached_end: bool,
    /// Not committed yet.
    out: Outbox,
    /// The offset to commit with it.
    next: Option<i64>,
    bookmark: Bookmark,
    writing: Option<Writing>,
    /// The fingerprint of the configuration that was asked for in the log.
    asked: Option<u64>,
    /// Of the newest snapshot.
    snapshot: Snapshot,
    /// Records that rebuilt the state, until that was told; and since when.
    recovery: Option<(u64, Instant)>,
}

/// The newest snapshot, and how the log has grown since.
struct Snapshot {
    at: Instant,
    bytes: usize,
    fingerprint: u64,
    log_bytes: usize,
}

impl<S: Partitioned> Partition<S> {
    /// Takes over what was recovered. Where nothing was ever committed, a first snapshot is to come with the first
    /// commit: whatever is rebuilt later begins with what was followed then.
    pub(super) fn new(recovered: Recovered<S>) -> Self {
        let Recovered { partition, stage, from, committed, end, bookmark, bytes, .. } = recovered;
        let mut out = Outbox::default();
        stage.announce(&mut out);
        let now = Instant::now();
        let snapshot = Snapshot { at: now, bytes, fingerprint: stage.config().fingerprint(), log_bytes: 0 };
        Self {
            number: partition,
            stage,
            committed: committed.unwrap_or(from),
            position: from,
            end,
            reached_end: false,
            out,
            next: committed.is_none().then_some(from),
            bookmark,
            writing: None,
            asked: None,
            snapshot,
            recovery: Some((0, now)),
        }
    }

    /// Takes in the next record.
    pub(super) fn apply(&mut self, record: &Record<'_>) {
        self.snapshot.log_bytes += record.payload.len();
        self.position = record.offset + 1;
        if record.offset < self.committed {
            if let Some((replayed, _)) = &mut self.recovery {
                *replayed += 1;
            }
            self.stage.apply(record, &mut Outbox::default());
        } else {
            self.stage.apply(record, &mut self.out);
            self.next = Some(self.position);
        }
    }

    /// Bytes that wait to be committed.
    pub(super) fn out_bytes(&self) -> usize {
        self.out.bytes()
    }

    /// The log's end was reached.
    pub(super) fn at_end(&mut self) {
        self.reached_end = true;
        // Nothing was kept of what is before: retention, or a log made anew.
        self.position = self.position.max(self.committed);
    }

    /// Whether the state is what it was at the committed offset, or later.
    pub(super) fn live(&self) -> bool {
        self.position >= self.committed
    }

    /// Whether it has once come to where the log ended when it was taken over.
    pub(super) fn caught_up(&mut self) -> bool {
        self.reached_end |= self.position >= self.end;
        self.reached_end
    }

    /// Once: how many records rebuilt the state, and how long that took.
    pub(super) fn recovered(&mut self) -> Option<(u64, Duration)> {
        self.recovery.take().map(|(replayed, since)| (replayed, since.elapsed()))
    }

    /// To be appended to the log with the next commit.
    pub(super) fn append(&mut self, message: Message) {
        self.out.messages.push(message);
    }

    /// Asks, in the log, for another configuration to be followed, unless that was done.
    pub(super) fn ask_for(&mut self, config: &Arc<Config>) {
        let wanted = config.fingerprint();
        if self.live() && self.stage.config().fingerprint() != wanted && self.asked != Some(wanted) {
            self.asked = Some(wanted);
            self.append(S::follow(self.number, config));
        }
    }

    /// Whether the stage follows this configuration.
    pub(super) fn follows(&self, config: &Config) -> bool {
        self.stage.config().fingerprint() == config.fingerprint()
    }

    /// Begins a snapshot where one is due: there is none, another configuration is followed, or the log since the last
    /// one has outgrown it, within the limits of time. Gives its size.
    pub(super) fn snapshot(&mut self, settings: &Settings) -> Option<usize> {
        if self.writing.is_some() || !self.live() || !self.is_due(settings) {
            return None;
        }
        let owner = Owner { stage: S::NAME, partition: self.number };
        let fingerprint = self.stage.config().fingerprint();
        let bytes = self.stage.snapshot();
        self.snapshot = Snapshot { at: Instant::now(), bytes: bytes.len(), fingerprint, log_bytes: 0 };
        let size = bytes.len();
        let writing = Writing::new(owner, &self.bookmark, settings.partitions.samples, self.position, bytes);
        // What it stands on is committed at the latest with its last portion.
        self.next = self.next.max(Some(self.position));
        self.writing = Some(writing);
        Some(size)
    }

    fn is_due(&self, settings: &Settings) -> bool {
        let Snapshot { at, bytes, fingerprint, log_bytes } = &self.snapshot;
        let age = at.elapsed();
        let outgrown = log_bytes >= bytes && age >= settings.snapshot_every_min;
        let old = *log_bytes > 0 && age >= settings.snapshot_every_max;
        self.bookmark.snapshots.is_empty() || *fingerprint != self.stage.config().fingerprint() || outgrown || old
    }

    /// Whether there is anything to commit.
    pub(super) fn is_pending(&self) -> bool {
        self.next.is_some() || !self.out.messages.is_empty()
    }

    /// Whether there is anything for others to read.
    pub(super) fn has_messages(&self) -> bool {
        self.out.messages.iter().any(|message| message.topic != S::LOG)
    }

    /// What the next transaction has of this partition: messages, the portion of a snapshot, the offset and its metadata.
    pub(super) fn pending(&self) -> (&[Message], Vec<Message>, Option<(i64, String)>) {
        let portion = self.writing.as_ref().map(|writing| writing.portion(PORTION_BYTES)).unwrap_or_default();
        let offset = self.next.map(|next| (next, self.bookmark_next().metadata()));
        (&self.out.messages, portion, offset)
    }

    /// The bookmark that the next commit carries.
    fn bookmark_next(&self) -> Bookmark {
        match self.writing.as_ref().filter(|writing| writing.ends_with(PORTION_BYTES)) {
            Some(writing) => self.bookmark.with(writing.name()),
            None => self.bookmark.clone(),
        }
    }

    /// It is committed; gives what is to be counted, and the size of a snapshot that is whole now.
    pub(super) fn on_committed(&mut self) -> (Outbox, Option<usize>) {
        self.bookmark = self.bookmark_next();
        let mut finished = None;
        if let Some(mut writing) = self.writing.take() {
            if writing.ends_with(PORTION_BYTES) {
                finished = Some(writing.size());
            } else {
                writing.wrote(PORTION_BYTES);
                // The rest goes with the commits that follow, of themselves.
                self.writing = Some(writing);
            }
        }
        if let Some(next) = self.next.take() {
            self.committed = self.committed.max(next);
        }
        // A portion needs an offset to travel with.
        self.next = self.writing.is_some().then_some(self.committed);
        (std::mem::take(&mut self.out), finished)
    }

    /// What the group's committed offset tells of what is pending.
    pub(super) fn fate(&self, committed: Option<i64>) -> Fate {
        match committed {
            None => Fate::NotCommitted,
            Some(offset) if offset == self.committed => Fate::NotCommitted,
            Some(offset) if Some(offset) == self.next => Fate::Committed,
            Some(_) => Fate::Superseded,
        }
    }

    /// Where its log is.
    pub(super) fn log(prefix: &str) -> String {
        S::LOG.name(prefix)
    }
}

/// What a committed offset tells of what is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is committed.
    Committed,
    /// It is not.
    NotCommitted,
    /// Another instance has committed it, or more.
    Superseded,
}

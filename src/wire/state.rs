//! Snapshots in the state topic: chunks with a checksum, and the *bookmark* in a committed offset's metadata that says
//! which of them count.
//!
//! A stage's partition has two slots, written in turn, so that the snapshot before the newest stays whole until the
//! next one is. Chunks are keyed `<stage>/<partition>/<slot>/<number>` and written inside transactions. A snapshot
//! counts from the moment its name is in the bookmark, which is committed with the offset it comes with: where the
//! topic of the log is made anew, its offsets go, and with them the bookmark.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::stage::{Message, Topic};

const VERSION: u8 = 2;

/// Large enough to be few, small enough for every broker's default.
const CHUNK_BYTES: usize = 512 << 10;

/// Whose state it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The stage's name.
    pub stage: &'static str,
    /// The partition of its log.
    pub partition: u32,
}

impl Owner {
    fn key(self, slot: u8, number: u32) -> String {
        format!("{}/{}/{slot}/{number:05}", self.stage, self.partition)
    }

    /// The slot and the number of a chunk's key, where it is this owner's.
    fn place(self, key: &str) -> Option<(u8, u32)> {
        let mut parts = key.split('/');
        let ours = parts.next()? == self.stage && parts.next()?.parse() == Ok(self.partition);
        let place = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        ours.then_some(place)
    }
}

/// A snapshot's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// It holds what came of all records before this offset.
    pub offset: i64,
    /// Which of the two slots it is in.
    pub slot: u8,
    /// In how many chunks.
    pub chunks: u32,
}

/// What is committed beside an offset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark {
    /// How many partitions the log had: keys are spread over so many, and over no other number.
    pub partitions: u32,
    /// The snapshots that count, the newest first; two at most.
    pub snapshots: Vec<Name>,
}

impl Bookmark {
    /// From a committed offset's metadata; none where there is none or it is not ours.
    #[must_use]
    pub fn parse(metadata: &str) -> Option<Self> {
        serde_json::from_str(metadata).ok()
    }

    /// As a committed offset's metadata.
    #[must_use]
    pub fn metadata(&self) -> String {
        serde_json::to_string(self).expect("numbers are JSON")
    }

    /// With a newer snapshot, in whose slot none counts any more but it.
    #[must_use]
    pub fn with(&self, name: Name) -> Self {
        let before = self.snapshots.iter().copied().find(|old| old.slot != name.slot);
        Self { partitions: self.partitions, snapshots: std::iter::once(name).chain(before).collect() }
    }

    /// The slot for the next snapshot: the one that does not hold the newest.
    #[must_use]
    pub fn next_slot(&self) -> u8 {
        self.snapshots.first().map_or(0, |newest| 1 - newest.slot.min(1))
    }

    fn in_slot(&self, slot: u8) -> u32 {
        self.snapshots.iter().find(|name| name.slot == slot).map_or(0, |name| name.chunks)
    }
}

#[derive(Serialize, Deserialize)]
struct Chunk<'a> {
    offset: i64,
    chunks: u32,
    checksum: u32,
    #[serde(borrow)]
    bytes: &'a [u8],
}

/// A snapshot on its way into the topic, a portion at a time.
#[derive(Debug)]
pub struct Writing {
    owner: Owner,
    state_partition: u32,
    name: Name,
    bytes: Vec<u8>,
    /// Chunks of an earlier snapshot in the slot, beyond ours.
    superfluous: u32,
    written: u32,
}

impl Writing {
    /// A snapshot of an owner whose bookmark is this one. `partitions` is the number of the state topic's.
    #[must_use]
    pub fn new(owner: Owner, bookmark: &Bookmark, partitions: u32, offset: i64, bytes: Vec<u8>) -> Self {
        let chunks = u32::try_from(bytes.len().div_ceil(CHUNK_BYTES)).unwrap_or(u32::MAX).max(1);
        let slot = bookmark.next_slot();
        Self {
            owner,
            state_partition: state_partition(owner.partition, partitions),
            name: Name { offset, slot, chunks },
            bytes,
            superfluous: bookmark.in_slot(slot).saturating_sub(chunks),
            written: 0,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> Name {
        self.name
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The next chunks, of about so many bytes. With the last one come the tombstones of what its slot held beyond.
    #[must_use]
    pub fn portion(&self, bytes: usize) -> Vec<Message> {
        let until = self.until(bytes);
        let mut messages: Vec<Message> = (self.written..until).map(|number| self.chunk(number)).collect();
        if until == self.name.chunks {
            messages.extend((until..until + self.superfluous).map(|number| self.message(number, vec![])));
        }
        messages
    }

    /// Whether a portion of so many bytes is the last one.
    #[must_use]
    pub fn ends_with(&self, bytes: usize) -> bool {
        self.until(bytes) == self.name.chunks
    }

    /// The portion is written.
    pub fn wrote(&mut self, bytes: usize) {
        self.written = self.until(bytes);
    }

    fn until(&self, bytes: usize) -> u32 {
        let more = u32::try_from(bytes / CHUNK_BYTES).unwrap_or(u32::MAX).max(1);
        self.name.chunks.min(self.written.saturating_add(more))
    }

    fn chunk(&self, number: u32) -> Message {
        let start = (number as usize * CHUNK_BYTES).min(self.bytes.len());
        let bytes = &self.bytes[start..self.bytes.len().min(start + CHUNK_BYTES)];
        let Name { offset, chunks, .. } = self.name;
        let chunk = Chunk { offset, chunks, checksum: crc32fast::hash(bytes), bytes };
        self.message(number, postcard::to_extend(&chunk, vec![VERSION]).expect("a chunk is plain data"))
    }

    fn message(&self, number: u32, payload: Vec<u8>) -> Message {
        let key = self.owner.key(self.name.slot, number);
        Message { topic: Topic::State, partition: Some(self.state_partition), key, headers: vec![], payload }
    }
}

/// The partition of the state topic that holds the state of a partition of a log.
#[must_use]
pub fn state_partition(partition: u32, partitions: u32) -> u32 {
    partition % partitions.max(1)
}

/// Why a snapshot cannot be put together.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Torn {
    /// A chunk is not there, or is one of another snapshot.
    #[error("chunk {0} of {1} is missing")]
    Missing(u32, u32),
    /// A chunk is not what was written.
    #[error("chunk {0} is damaged: {1}")]
    Damaged(u32, String),
}

/// The chunks of one snapshot, as they were read; the newest of a key counts.
#[derive(Debug)]
pub struct Shelf {
    owner: Owner,
    name: Name,
    chunks: BTreeMap<u32, Vec<u8>>,
}

impl Shelf {
    /// An empty one.
    #[must_use]
    pub fn new(owner: Owner, name: Name) -> Self {
        Self { owner, name, chunks: BTreeMap::new() }
    }

    /// Takes in a record of the state topic; those of other owners and slots are left alone.
    pub fn put(&mut self, key: &[u8], payload: Option<&[u8]>) {
        let place = std::str::from_utf8(key).ok().and_then(|key| self.owner.place(key));
        let Some((_, number)) = place.filter(|(slot, _)| *slot == self.name.slot) else { return };
        match payload {
            Some(payload) => drop(self.chunks.insert(number, payload.to_vec())),
            None => drop(self.chunks.remove(&number)),
        }
    }

    /// The bytes of the snapshot.
    ///
    /// # Errors
    /// It is not whole; with the first chunk at fault.
    pub fn snapshot(&self) -> Result<Vec<u8>, Torn> {
        let mut bytes = vec![];
        for number in 0..self.name.chunks {
            let missing = Torn::Missing(number, self.name.chunks);
            let Some(payload) = self.chunks.get(&number) else { return Err(missing) };
            let chunk = chunk(payload).map_err(|why| Torn::Damaged(number, why))?;
            if (chunk.offset, chunk.chunks) != (self.name.offset, self.name.chunks) {
                return Err(missing);
            }
            bytes.extend_from_slice(chunk.bytes);
        }
        Ok(bytes)
    }
}

fn chunk(payload: &[u8]) -> Result<Chunk<'_>, String> {
    let chunk: Chunk<'_> = match payload.split_first() {
        Some((&VERSION, chunk)) => postcard::from_bytes(chunk).map_err(|why| why.to_string())?,
        Some((version, _)) => return Err(format!("it has version {version}, this program reads version {VERSION}")),
        None => return Err("it is empty".into()),
    };
    if crc32fast::hash(chunk.bytes) == chunk.checksum { Ok(chunk) } else { Err("its checksum does not match".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner = Owner { stage: "detect", partition: 3 };

    /// What the topic holds, by key.
    type Topic = BTreeMap<String, Vec<u8>>;

    fn write(topic: &mut Topic, bookmark: &Bookmark, offset: i64, bytes: &[u8]) -> Bookmark {
        let mut writing = Writing::new(OWNER, bookmark, 4, offset, bytes.to_vec());
        loop {
            let last = writing.ends_with(1 << 20);
            for message in writing.portion(1 << 20) {
                assert_eq!(message.partition, Some(3));
                if message.payload.is_empty() {
                    topic.remove(&message.key);
                } else {
                    topic.insert(message.key, message.payload);
                }
            }
            writing.wrote(1 << 20);
            if last {
                return bookmark.with(writing.name());
            }
        }
    }

    fn read(topic: &Topic, name: Name) -> Result<Vec<u8>, Torn> {
        let mut shelf = Shelf::new(OWNER, name);
        topic.iter().for_each(|(key, payload)| shelf.put(key.as_bytes(), Some(payload)));
        shelf.snapshot()
    }

    #[test]
    fn the_newest_two_can_be_read_and_nothing_else_is_kept() {
        let (mut topic, mut bookmark) = (Topic::new(), Bookmark { partitions: 4, snapshots: vec![] });
        let state = |seed: u8, size: usize| (0..size).map(|i| (i % 251) as u8 ^ seed).collect::<Vec<u8>>();
        for (offset, size) in [(10, 3 << 20), (20, 5 << 20), (30, 100), (40, 0)] {
            bookmark = write(&mut topic, &bookmark, offset, &state(offset as u8, size));
        }
        assert_eq!(Bookmark::parse(&bookmark.metadata()), Some(bookmark.clone()));
        assert_eq!(bookmark.snapshots.iter().map(|name| name.offset).collect::<Vec<_>>(), [40, 30]);
        assert_eq!(read(&topic, bookmark.snapshots[0]), Ok(vec![]));
        assert_eq!(read(&topic, bookmark.snapshots[1]), Ok(state(30, 100)));
        assert_eq!(topic.len(), 2, "old chunks are removed");
    }

    #[test]
    fn what_is_torn_or_damaged_is_refused() {
        let mut topic = Topic::new();
        let name = write(&mut topic, &Bookmark::default(), 10, &[1; 600_000]).snapshots[0];
        let key = "detect/3/0/00001";
        let whole = topic[key].clone();
        let mut flipped = whole.clone();
        *flipped.last_mut().expect("bytes") ^= 1;
        topic.insert(key.into(), flipped);
        assert_eq!(read(&topic, name), Err(Torn::Damaged(1, "its checksum does not match".into())));
        topic.insert(key.into(), vec![9, 9]);
        assert_eq!(read(&topic, name), Err(Torn::Damaged(1, "it has version 9, this program reads version 2".into())));
        topic.remove(key);
        topic.insert("detect/2/0/00001".into(), whole.clone());
        topic.insert("detect/3/1/00001".into(), whole.clone());
        assert_eq!(read(&topic, name), Err(Torn::Missing(1, 2)), "another partition's, and another slot's");
        topic.insert(key.into(), whole);
        assert_eq!(read(&topic, name), Ok(vec![1; 600_000]));
        assert_eq!(read(&topic, Name { offset: 11, ..name }), Err(Torn::Missing(0, 2)), "another snapshot's");
    }
}

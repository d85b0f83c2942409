//! Where series go: what was found out about a series once is remembered by its key.
//!
//! There are two generations. When the young one is full it becomes the old one, and what is seen again moves back into
//! the young; so what has gone is forgotten, and what goes on is not found out again all at once.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use smallvec::SmallVec;

use crate::model::{Entity, Labels, Timestamp};
use crate::wire::SeriesBuf;

/// Series remembered in a generation, and bytes of the labels of those that somebody wants.
const GENERATION_MAX: usize = 1 << 20;
const GENERATION_BYTES_MAX: usize = 256 << 20;

/// A series that nobody wants.
const NOT_WANTED: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(super) struct Memo {
    young: Generation,
    old: Generation,
    /// The last that was looked up, and its place: a sample is looked up when its series is, and when it comes.
    last: Option<(u128, u32)>,
}

#[derive(Debug, Default)]
struct Generation {
    places: HashMap<u128, u32, BuildHasherDefault<Hashed>>,
    wanted: Vec<Known>,
    bytes: usize,
}

/// What is known of a series that somebody wants.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) labels: Labels,
    pub(super) destinations: SmallVec<[Destination; 2]>,
    pub(super) call: Option<Seen>,
}

/// A monitor that reads a series, and the partition of its cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Destination {
    pub(super) monitor: u64,
    pub(super) partition: u32,
    /// The batch that has the series' labels already, and where.
    pub(super) batch: u64,
    pub(super) place: u32,
}

/// A series that tells who calls whom.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) client: Entity,
    pub(super) server: Entity,
    /// The last value: as long as it stays, nobody called.
    pub(super) value: f64,
    /// When that was passed on.
    pub(super) told_at: Timestamp,
}

impl Memo {
    /// What is known of a series; found out where nothing is. None where nobody wants it.
    pub(super) fn known(&mut self, series: &SeriesBuf, find_out: impl FnOnce() -> Option<Known>) -> Option<&mut Known> {
        let key = series.key();
        let place = match self.place(key) {
            Some(place) => place,
            None => self.remember(key, find_out()),
        };
        self.young.wanted.get_mut(place as usize)
    }

    /// Whether anything is known of the series of that key, if only that nobody wants it.
    pub(super) fn has(&mut self, key: u128) -> bool {
        self.place(key).is_some()
    }

    fn place(&mut self, key: u128) -> Option<u32> {
        if let Some((last, place)) = self.last
            && last == key
        {
            return Some(place);
        }
        let place = match self.young.places.get(&key) {
            Some(place) => *place,
            None => {
                let known = match self.old.places.remove(&key)? {
                    NOT_WANTED => None,
                    place => self.old.wanted.get_mut(place as usize).map(std::mem::take),
                };
                self.remember(key, known)
            }
        };
        self.last = Some((key, place));
        Some(place)
    }

    fn remember(&mut self, key: u128, known: Option<Known>) -> u32 {
        if self.young.places.len() >= GENERATION_MAX || self.young.bytes >= GENERATION_BYTES_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        let place = match known {
            Some(known) => {
                self.young.bytes += known.labels.bytes();
                self.young.wanted.push(known);
                u32::try_from(self.young.wanted.len() - 1).unwrap_or(NOT_WANTED)
            }
            None => NOT_WANTED,
        };
        self.young.places.insert(key, place);
        self.last = Some((key, place));
        place
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

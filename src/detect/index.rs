//! Where a monitor's cells and series are. It is made of the state, and not part of it.

use std::collections::{BTreeSet, HashMap};

use crate::model::{Fingerprint, Labels};
use crate::query::{Gone, Place};

use super::monitor::Kept;

#[derive(Debug, Default)]
pub(super) struct Index {
    cells: HashMap<Labels, usize>,
    /// By a series' fingerprint.
    places: HashMap<Fingerprint, Places>,
    free: BTreeSet<usize>,
    /// How many groups and series there are.
    pub(super) groups: usize,
    pub(super) series: usize,
}

/// Where a series is: its cell, and the places in it; more than one where several selectors read it.
#[derive(Debug, Default)]
struct Places {
    places: Vec<(u32, Place)>,
    /// It has gone from one of them, and has to be added again with its next sample.
    torn: bool,
}

impl Index {
    pub(super) fn of(cells: &[Option<Kept>]) -> Self {
        let mut index = Self::default();
        for (place, kept) in cells.iter().enumerate() {
            let Some(kept) = kept else {
                index.free.insert(place);
                continue;
            };
            index.add_cell(&kept.key, place);
            index.groups += kept.groups.len();
            for (fingerprint, series) in kept.cell.series() {
                index.add_series(fingerprint, place, series);
            }
        }
        // What went from one of its places before is found missing there with its next sample.
        index.places.values_mut().for_each(|places| places.torn = true);
        index
    }

    pub(super) fn cell(&self, key: &Labels) -> Option<usize> {
        self.cells.get(key).copied()
    }

    pub(super) fn cells(&self) -> usize {
        self.cells.len()
    }

    /// The lowest place that is free; the one after the last where none is.
    pub(super) fn free(&mut self, end: usize) -> usize {
        self.free.pop_first().unwrap_or(end)
    }

    pub(super) fn add_cell(&mut self, key: &Labels, place: usize) {
        self.cells.insert(key.clone(), place);
    }

    pub(super) fn remove_cell(&mut self, key: &Labels, place: usize) {
        self.cells.remove(key);
        self.free.insert(place);
    }

    pub(super) fn knows(&self, fingerprint: Fingerprint) -> bool {
        self.places.get(&fingerprint).is_some_and(|places| !places.torn)
    }

    pub(super) fn series(&self, fingerprint: Fingerprint) -> &[(u32, Place)] {
        self.places.get(&fingerprint).map_or(&[], |places| &places.places)
    }

    /// Whether a series is in that leaf.
    pub(super) fn is_in(&self, fingerprint: Fingerprint, leaf: usize) -> bool {
        self.series(fingerprint).iter().any(|(_, place)| usize::from(place.leaf) == leaf)
    }

    pub(super) fn add_series(&mut self, fingerprint: Fingerprint, cell: usize, place: Place) {
        self.series += 1;
        let Places { places, .. } = self.places.entry(fingerprint).or_default();
        if places.is_empty() {
            // Most are read by one selector.
            places.reserve_exact(1);
        }
        places.push((u32::try_from(cell).unwrap_or(u32::MAX), place));
    }

    /// It is in every leaf that reads it.
    pub(super) fn mend(&mut self, fingerprint: Fingerprint) {
        self.places.entry(fingerprint).or_default().torn = false;
    }

    pub(super) fn remove_series(&mut self, gone: &Gone, cell: usize) {
        self.series -= 1;
        let cell = u32::try_from(cell).unwrap_or(u32::MAX);
        if let Some(Places { places, torn }) = self.places.get_mut(&gone.fingerprint) {
            *torn = true;
            places.retain(|at| *at != (cell, gone.place));
            if places.is_empty() {
                self.places.remove(&gone.fingerprint);
            }
        }
        let Some(Places { places, .. }) = gone.moved.and_then(|moved| self.places.get_mut(&moved)) else { return };
        // It was the last of its leaf.
        if let Some(at) = places.iter_mut().filter(|at| at.0 == cell && at.1.leaf == gone.place.leaf).max_by_key(|at| at.1.number) {
            at.1 = gone.place;
        }
    }
}

//! Batches that fill up until they are sent: one for each origin and destination partition.

use std::collections::{BTreeMap, HashMap};

use crate::model::{Labels, Origin, Timestamp};
use crate::stage::Message;
use crate::wire::internal::{Batch, BatchSample, samples_messages};
use crate::wire::prometheus_json::Sample;

/// Samples that wait in one batch.
const SAMPLES_MAX: usize = 2000;

#[derive(Debug, Default)]
pub(super) struct Batches(BTreeMap<(Origin, u32), Filling>);

#[derive(Debug, Default)]
struct Filling {
    series: Vec<Labels>,
    /// Where a series is in the batch, by its fingerprint.
    places: HashMap<u64, u32>,
    samples: Vec<BatchSample>,
}

impl Batches {
    /// Adds a sample for a monitor; gives the batch that became full by it, if one did. It tells no progress: what
    /// belongs to the same time may still follow.
    pub(super) fn add(&mut self, origin: &Origin, partition: u32, monitor: u64, sample: &Sample) -> Vec<Message> {
        let filling = self.0.entry((origin.clone(), partition)).or_default();
        let next = u32::try_from(filling.series.len()).unwrap_or(u32::MAX);
        let series = *filling.places.entry(sample.series.fingerprint()).or_insert(next);
        if series == next {
            filling.series.push(sample.series.clone());
        }
        filling.samples.push(BatchSample { monitor, series, at: sample.at, value: sample.value.to_bits() });
        if filling.samples.len() < SAMPLES_MAX {
            return vec![];
        }
        samples_messages(partition, std::mem::take(filling).batch(origin.clone(), Timestamp::MIN))
    }

    /// Sees to it that the next drain has a batch for that partition, if only an empty one.
    pub(super) fn touch(&mut self, origin: &Origin, partition: u32) {
        self.0.entry((origin.clone(), partition)).or_default();
    }

    /// All batches, each with its origin's progress.
    pub(super) fn drain(&mut self, progress: impl Fn(&Origin) -> Timestamp) -> Vec<Message> {
        let filled = std::mem::take(&mut self.0).into_iter();
        let messages = |((origin, partition), filling): ((Origin, u32), Filling)| {
            let progress = progress(&origin);
            samples_messages(partition, filling.batch(origin, progress))
        };
        filled.flat_map(messages).collect()
    }
}

impl Filling {
    fn batch(self, origin: Origin, progress: Timestamp) -> Batch {
        Batch { origin, progress, series: self.series, samples: self.samples }
    }
}

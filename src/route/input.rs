//! One input partition: how far it is, and the batches that fill up for each destination.

use crate::model::{Labels, Origin, Timestamp, Value};
use crate::stage::Message;
use crate::wire::internal::{BatchSample, samples_messages};

use super::memo::Destination;

/// Samples that wait in one batch, and bytes of their labels.
const SAMPLES_MAX: usize = 2000;
const LABELS_BYTES_MAX: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Input {
    pub(super) origin: Origin,
    pub(super) progress: Timestamp,
    pub(super) passed_on: Timestamp,
    /// By the destination's partition.
    batches: Vec<Batch>,
}

#[derive(Debug, Default)]
struct Batch {
    /// No other batch ever had it.
    number: u64,
    series: Vec<Labels>,
    samples: Vec<BatchSample>,
    /// Of the labels.
    bytes: usize,
    /// Sent at the next flush, if only to tell the progress.
    touched: bool,
}

impl Input {
    pub(super) fn new(origin: Origin, partitions: u32) -> Self {
        let batches = (0..partitions).map(|_| Batch::default()).collect();
        Self { origin, progress: Timestamp::MIN, passed_on: Timestamp::MIN, batches }
    }

    /// Adds a sample; gives the batch that became full by it, if one did. It tells no progress: what belongs to the same
    /// time may still follow.
    pub(super) fn add(
        &mut self,
        to: &mut Destination,
        labels: &Labels,
        at: Timestamp,
        value: &Value,
        last_batch: &mut u64,
    ) -> Vec<Message> {
        let Some(batch) = self.batches.get_mut(to.partition as usize) else { return vec![] };
        if batch.samples.is_empty() {
            *last_batch += 1;
            batch.number = *last_batch;
        }
        if to.batch != batch.number {
            to.batch = batch.number;
            to.place = u32::try_from(batch.series.len()).unwrap_or(u32::MAX);
            batch.bytes += labels.bytes();
            batch.series.push(labels.clone());
        }
        batch.samples.push(BatchSample { monitor: to.monitor, series: to.place, at, value: value.clone() });
        let is_full = batch.samples.len() >= SAMPLES_MAX || batch.bytes >= LABELS_BYTES_MAX;
        if is_full { batch.drain(to.partition, &self.origin, Timestamp::MIN) } else { vec![] }
    }

    /// Sees to it that the next flush has a batch for every partition, if only an empty one.
    pub(super) fn touch(&mut self) {
        self.batches.iter_mut().for_each(|batch| batch.touched = true);
    }

    /// All that waits, with the progress.
    pub(super) fn flush(&mut self, messages: &mut Vec<Message>) {
        for (partition, batch) in self.batches.iter_mut().enumerate() {
            if batch.touched || !batch.samples.is_empty() {
                let partition = u32::try_from(partition).unwrap_or(u32::MAX);
                messages.extend(batch.drain(partition, &self.origin, self.progress));
            }
        }
    }
}

impl Batch {
    fn drain(&mut self, partition: u32, origin: &Origin, progress: Timestamp) -> Vec<Message> {
        let messages = samples_messages(partition, origin, progress, &self.series, &self.samples);
        // The memory is used again.
        self.series.clear();
        self.samples.clear();
        self.bytes = 0;
        self.touched = false;
        messages
    }
}

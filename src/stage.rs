//! The contract of a stage: a pure function over a log, state × record → state × outputs.
//!
//! No clock, no randomness, no I/O, no hash order: the same records give the same bytes out, on every machine.
//! What a stage wants done (messages, counters, decisions) it returns in an [`Outbox`]; the shell does it.

mod outbox;
mod progress;
pub mod snapshot;

pub use crate::model::Topic;
pub use outbox::{Count, Limit, Message, Outbox, Outcome};
pub use progress::Progress;

use crate::model::Timestamp;
use crate::rules::Config;

/// One record of a log.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition in it.
    pub partition: u32,
    /// The offset in that.
    pub offset: i64,
    /// When it was appended, by the log's clock.
    pub timestamp: Timestamp,
    /// Names and values beside the payload.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// What it holds.
    pub payload: &'a [u8],
}

/// A stage that owns one partition of its input. Its state is all it knows, what it follows included.
pub trait Stage {
    /// Takes in the next record of the partition.
    fn apply(&mut self, record: &Record<'_>, out: &mut Outbox);

    /// What it follows: since its last record that said so, or since its start.
    fn config(&self) -> &Config;

    /// The whole state as bytes.
    fn snapshot(&self) -> Vec<u8>;

    /// Goes on from a snapshot's state.
    ///
    /// # Errors
    /// The bytes are no snapshot of this stage in this version; the state is then as it was.
    fn restore(&mut self, bytes: &[u8]) -> Result<(), snapshot::Refused>;
}

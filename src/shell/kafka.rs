//! The stages on Kafka: one consumer group and one thread a stage.

mod client;
mod task;
mod topics;
mod worker;

use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

pub(super) use client::client_config;
pub(super) use task::{Stages, Task};
pub(super) use topics::{NotReady, prepare};
pub(super) use worker::{Control, Worker};

/// The one clock of the program; the stages see it only as ticks.
pub(super) fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

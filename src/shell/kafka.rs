//! The stages on Kafka: one consumer group and one thread a stage.

mod answers;
mod client;
mod follower;
mod history;
mod intake;
mod oauth;
mod partition;
mod pulse;
mod recovery;
mod router;
mod send;
mod stages;
mod topics;
mod transaction;
mod worker;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;
use crate::rules::Config;

pub(crate) use answers::Answers;
pub(crate) use client::missing_secrets;
pub(super) use client::{Grumbles, client_config, secret, wrong_properties};
pub(super) use follower::{Follower, Whose, begin_at_end};
pub(crate) use history::incidents;
pub(super) use router::Router;
pub(crate) use send::send;
pub(super) use topics::{NotReady, prepare};
pub(super) use worker::Worker;

use stages::Partitioned;

/// What the daemon tells a worker.
#[derive(Clone, Debug)]
pub(super) enum Control {
    /// Follow this configuration from now on.
    Follow(Arc<Config>),
}

/// The one clock of the program; the stages see it only as ticks.
pub(crate) fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

//! The only code, with `cli`, that touches the world. It decides nothing: it polls, hands over and performs.

pub mod daemon;
pub mod files;
mod http;
mod kafka;
mod metrics;
mod notify;

pub(crate) use kafka::{Answers, incidents, missing_secrets, now, send};

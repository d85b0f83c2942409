//! Richter is an always-on daemon in a monitoring pipeline: metrics, alerts and changes in, graded incident
//! declarations out.
//!
//! # The way of the data
//!
//! 1. [`route`] reads the sources. It decodes each record ([`wire`]), forwards the samples that some monitor wants
//!    to the samples topic, keyed so that all a group needs lands in one partition, and alerts and changes straight
//!    to the signals topic.
//! 2. [`detect`] owns partitions of the samples topic. It evaluates each monitor's query ([`query`]) at each step of
//!    event time, judges the value, and emits signals on transitions only.
//! 3. [`declare`] owns partitions of the signals topic. It puts what belongs together into situations
//!    ([`correlate`]), maps the conditions that are met to levels ([`grade`]), and declares: once, in order, with the
//!    reasons, as CloudEvents. It then follows the fault, with what people say of it, until nothing is left to do.
//! 4. Behind the incidents topic, whose events are a [`contract`], [`notify`] makes of an event what a target outside is
//!    told, and [`report`] of many incidents what they teach.
//!
//! # What it rests on
//!
//! * **A stage is a pure function over a log** ([`stage`]): state × record → state × outputs. No clock, no
//!   randomness, no I/O, no hash order. The same records give the same bytes out. Only [`shell`] and [`cli`] touch
//!   the world; a test enforces it.
//! * **Time is data** ([`stage::Progress`]): logic runs on event time; the wall clock enters as tick records that a
//!   partition's owner appends to it. A feed that lags freezes recovery and escalation instead of faking them.
//! * **What is followed is part of the state** ([`rules::Config`]): a reload is a record in the log that holds the
//!   rules' texts, so a replay follows at each offset what was followed there at first.
//! * **Kafka is the engine** ([`shell`]): outputs and offsets are one transaction, a state is a snapshot in a compacted
//!   topic ([`wire::state`]) and the log since. `docs/promise.md` says what that promises.
//! * **One engine, many uses** ([`engine`]): `demo`, `replay` and the tests put the very stages on a log in memory
//!   that `run` puts on Kafka.
//! * **What SREs write is checked whole** ([`rules`]): every fault of every file at once, with its place.
//!
//! The words are those of [`model`]; each means one thing, in code, configuration and documents alike.

pub mod cli;
pub mod contract;
pub mod correlate;
pub mod declare;
pub mod detect;
pub mod engine;
pub mod grade;
pub mod model;
pub mod notify;
pub mod query;
pub mod report;
pub mod route;
pub mod rules;
pub mod shell;
pub mod stage;
pub mod wire;

//! Richter: metrics, alerts and changes in, graded incident declarations out.

pub mod cli;
pub mod correlate;
pub mod declare;
pub mod detect;
pub mod engine;
pub mod grade;
pub mod model;
pub mod query;
pub mod route;
pub mod rules;
pub mod shell;
pub mod stage;
pub mod wire;

//! Richter: metrics, alerts and changes in, graded incident declarations out.

pub mod detect;
pub mod model;
pub mod query;
pub mod route;
pub mod rules;
pub mod stage;
pub mod wire;

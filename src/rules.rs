//! What SREs write: YAML → a tree that knows its places → raw structures (serde) → checked, compiled [`Rules`].
//!
//! Every fault of every file is found in one go. The rest of the program sees only what passed.

pub mod baseline;
pub mod calendar;
mod catalog;
pub mod check;
mod compiled;
mod config;
mod decode;
pub mod duty;
mod environment;
mod fault;
mod format;
mod handling;
mod judges;
mod ladders;
pub mod mapping;
mod notes;
pub mod notify;
pub mod plans;
pub mod preset;
mod raw;
mod schema;
pub mod settings;
mod slo;
mod suppress;
mod suppressed;
mod teams;
mod template;
mod text;
pub mod topology;
mod yaml;

pub use baseline::{BaselineRule, Constants, Dynamics, LEARNS_FOR, MinChange, Season};
pub use calendar::Calendar;
pub use check::{Files, check};
pub use compiled::{
    Absent, Amount, Combine, CompareRule, ForecastRule, GONE_FOR, Generic, ImpactRules, Input, JudgeRules, Levels, Limits, Matrix, Money,
    Monitor, PartsRules, Rules, Scenario, Sequence, Side, Watch,
};
pub use config::Config;
pub use duty::Duty;
pub use fault::{Fault, Place};
pub use format::Format;
pub use handling::{Handling, OVERDUE_AFTER};
pub use mapping::{Mapping, Unit};
pub use schema::schemas;
pub use settings::{Kind, Partitions, Patterns, Property, Settings, Source, Tuning, settings};
pub use suppress::{Flapping, Inhibit, Maintenance, Of, Suppress, Window};
pub use template::Template;
pub use text::{Text, unlinked};
pub use topology::{CONFIDENCE_LEAST, Dependency, Naming, Node, Topology};

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
mod fault;
mod format;
mod judges;
pub mod mapping;
mod raw;
mod settings;
mod suppress;
mod suppressed;
mod template;
pub mod topology;
mod yaml;

pub use baseline::{BaselineRule, Constants, Dynamics, MinChange, Season};
pub use calendar::Calendar;
pub use check::{Files, check};
pub use compiled::{
    Absent, Amount, Combine, CompareRule, ForecastRule, Generic, Input, JudgeRules, Levels, Limits, Monitor, Rules, Sequence, Watch,
};
pub use config::Config;
pub use fault::{Fault, Place};
pub use format::Format;
pub use mapping::{Mapping, Unit};
pub use settings::{Kind, Partitions, Patterns, Property, Settings, Source, Tuning, settings};
pub use suppress::{Flapping, Inhibit, Maintenance, Of, Suppress, Window};
pub use template::Template;
pub use topology::{Node, Topology};

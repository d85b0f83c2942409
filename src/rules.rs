//! What SREs write: YAML → a tree that knows its places → raw structures (serde) → checked, compiled [`Rules`].
//!
//! Every fault of every file is found in one go. The rest of the program sees only what passed.

mod catalog;
pub mod check;
mod compiled;
mod config;
mod decode;
mod fault;
mod format;
pub mod mapping;
mod raw;
mod settings;
mod template;
mod topology;
mod yaml;

pub use check::{Files, check};
pub use compiled::{BaselineRule, Generic, Input, JudgeRules, Levels, Monitor, Rules, Sequence, Watch};
pub use config::Config;
pub use fault::{Fault, Place};
pub use format::Format;
pub use mapping::{Mapping, Unit};
pub use settings::{Kind, Partitions, Patterns, Property, Settings, Source, Tuning, settings};
pub use template::Template;
pub use topology::Topology;

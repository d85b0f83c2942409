//! The words of the domain as types. Nothing here decides anything; every stage speaks in these.

pub mod breach;
pub mod change;
pub mod command;
pub mod condition;
pub mod definition;
pub mod duration;
pub mod entity;
pub mod fingerprint;
pub mod histogram;
pub mod labels;
pub mod level;
pub mod life;
pub mod number;
pub mod signal;
pub mod text;
pub mod time;
pub mod topic;
pub mod value;

pub use breach::{Breach, Dimension, Good, Hint, Judge, Phase, Reading, Step};
pub use change::{Alert, Change};
pub use command::{Act, Class, Command, Order, Point, Split};
pub use condition::{Comparison, Condition, Measure, Numbers, Test};
pub use definition::{Definition, Ladder, Rung};
pub use entity::Entity;
pub use fingerprint::Fingerprint;
pub use histogram::Histogram;
pub use labels::Labels;
pub use level::Level;
pub use life::{Event, State};
pub use signal::{Call, Origin, Signal};
pub use time::Timestamp;
pub use topic::Topic;
pub use value::Value;

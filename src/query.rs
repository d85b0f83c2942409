//! PromQL as it streams: a plan made once, windows of samples, and the evaluation of one group at one step.
//!
//! The subset of today: an instant selector, `rate` or `increase` over one, and `sum|avg|min|max|count`
//! with `by` or `without` around either. What is outside it is refused where it stands.

mod plan;
mod selector;
mod window;

pub use plan::{Aggregate, Function, Grouping, Query, Refusal};
pub use selector::Selector;
pub use window::{LOOKBACK, Pushed, STALE, Window, is_stale};

//! The stages composed on an in-process log. `demo`, `replay` and the tests run this; `run` puts the very same
//! stages on Kafka.

mod evaluation;
mod pipeline;

pub use evaluation::Evaluation;
pub use pipeline::Pipeline;

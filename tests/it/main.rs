//! One integration binary: what the engine, the program and Kafka do, from the outside.

mod broken;
mod broker;
mod case;
mod contract;
mod formats;
mod golden;
mod grouping;
mod history;
mod judges;
mod kafka;
mod limits;
mod notify;
mod oracle;
mod program;
mod promql;
mod protobuf;
mod random;
mod reload;
mod round_trips;
mod scrapes;
mod security;
mod simulation;
mod state;
mod storm;
mod tidy;
mod world;

//! `richter schema`: JSON Schema of the configuration and of the events.

use std::io::Write;

use anyhow::anyhow;
use schemars::{Schema, schema_for};

use crate::contract::{Acceptance, Data, Rejection};
use crate::rules::schemas;
use crate::wire::commands::Written;

use super::{Failure, Outcome, stdout};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Of what: richter (the settings), monitors, levels, topology, duty, plans, suppress; event (the data of an event about
    /// an incident), acceptance and rejection (that of an answer to a command), command (what people say). Without it, the names
    what: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let events = [
        ("event", schema_for!(Data)),
        ("acceptance", schema_for!(Acceptance)),
        ("rejection", schema_for!(Rejection)),
        ("command", schema_for!(Written)),
    ];
    let all: Vec<(&str, Schema)> = schemas().into_iter().chain(events).collect();
    let mut out = stdout();
    match &arguments.what {
        None => all.iter().try_for_each(|(name, _)| writeln!(out, "{name}"))?,
        Some(wanted) => {
            let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
            let found = all.iter().find(|(name, _)| name == wanted);
            let (_, schema) = found.ok_or_else(|| Failure::CouldNot(anyhow!("no schema of {wanted:?}; there are {}", names.join(", "))))?;
            writeln!(out, "{}", serde_json::to_string_pretty(schema)?)?;
        }
    }
    out.flush()?;
    Ok(())
}

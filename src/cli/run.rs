//! `richter run`: the daemon.

use std::path::PathBuf;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::Subscriber;

use crate::shell::daemon;

use super::{Format, Outcome, config};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The settings file, or the directory that holds it as richter.yaml
    #[arg(long, default_value = "config/richter.yaml")]
    config: PathBuf,
    /// How the log is written, to stderr; RUST_LOG filters it
    #[arg(long, value_enum, default_value_t)]
    log_format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let checked = config(&arguments.config)?;
    log(arguments.log_format);
    Ok(daemon::run(&arguments.config, checked)?)
}

fn log(format: Format) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // A log that cannot be written is no reason to stop: the default would say so on the same stderr, and panic.
    let log = Subscriber::builder().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    match format {
        Format::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        Format::Json => log.json().flatten_event(true).init(),
    }
}

//! `richter run`: the daemon.

use std::path::PathBuf;

use tracing::error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::Subscriber;

use crate::shell::daemon;
use crate::shell::files::load;

use super::{Failure, Format, Outcome, config};

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
    log(arguments.log_format);
    // Who reads JSON finds nothing else in it, least of all why it does not run.
    if arguments.log_format == Format::Json {
        return match load(&arguments.config) {
            Ok(Ok(checked)) => daemon::run(&arguments.config, checked).map_err(|why| refuse(&format!("{why:#}"))),
            Ok(Err(faults)) => {
                faults.iter().for_each(|fault| error!(%fault, "the configuration is refused"));
                Err(Failure::No)
            }
            Err(why) => Err(refuse(&format!("{why:#}"))),
        };
    }
    Ok(daemon::run(&arguments.config, config(&arguments.config)?)?)
}

fn refuse(why: &str) -> Failure {
    error!(error = why, "it cannot run");
    Failure::Reported
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

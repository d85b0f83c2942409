//! The command line: one file a command. Exit codes: 0 fine, 1 the answer is no, 2 could not run, 3 (of `act`)
//! nothing was heard of what came of it.

mod act;
mod backtest;
mod check;
mod decode;
mod demo;
mod document;
mod dossier;
mod eval;
mod events;
mod explain;
mod history;
mod plot;
mod render;
mod replay;
mod report;
mod run;
mod schema;
mod silences;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::model::text::counted;
use crate::rules::{Fault, Settings};
use crate::shell::files::{Loaded, load};

/// From metrics, alerts and changes on Kafka to graded incident declarations.
#[derive(Debug, Parser)]
#[command(name = "richter", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The daemon, on Kafka
    Run(run::Arguments),
    /// Show the whole thing on a recorded fault, without Kafka
    Demo(demo::Arguments),
    /// Validate all configuration: every fault at once, with its place
    Check(check::Arguments),
    /// Run recordings (`kcat -C -J` lines) through the stages; the declarations go to stdout
    Replay(replay::Arguments),
    /// Show what would be read from records: samples, alerts, changes or dependencies; one JSON object each
    Decode(decode::Arguments),
    /// Evaluate a query over recorded samples; one JSON object a result
    Eval(eval::Arguments),
    /// Say something about an incident: acknowledge it, set its level, mark its timeline, review it
    Act(Box<act::Arguments>),
    /// Say why an incident is what it is: its level, its members, its suspects
    Explain(explain::Arguments),
    /// List what people have silenced, and until when
    Silences(silences::Arguments),
    /// Write an incident's dossier for its review: timeline, impact, causes, response, actions
    Dossier(dossier::Arguments),
    /// Say what past incidents teach: where the time goes, what keeps coming back, what is overdue
    Report(report::Arguments),
    /// Print the JSON Schema of the settings, of a kind of rule file, or of events
    Schema(schema::Arguments),
    /// Run series through a monitor's judges: limits and score of each value, and how often it would have paged
    Backtest(backtest::Arguments),
}

/// How output is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For machines
    Json,
}

/// How a document is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Pages {
    #[default]
    Markdown,
    /// One self-contained page
    Html,
}

/// Why a command ended without success.
#[derive(Debug)]
enum Failure {
    /// The answer is no, and was given.
    No,
    /// There was no answer, which was said.
    Unanswered,
    /// It could not run.
    CouldNot(anyhow::Error),
    /// It could not run, and has said why.
    Reported,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::CouldNot(error.into())
    }
}

type Outcome = Result<(), Failure>;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Decode(arguments) => decode::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Act(arguments) => act::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Silences(arguments) => silences::run(&arguments),
        Command::Dossier(arguments) => dossier::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Backtest(arguments) => backtest::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::No) => ExitCode::from(1),
        Err(Failure::Reported) => ExitCode::from(2),
        Err(Failure::Unanswered) => ExitCode::from(3),
        // The reader has gone: there is nobody left to tell.
        Err(Failure::CouldNot(error)) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure::CouldNot(error)) => {
            eprintln!("richter: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |e: &(dyn std::error::Error + 'static)| {
        let json = || e.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        e.downcast_ref::<io::Error>().map(io::Error::kind).or_else(json)
    };
    error.chain().any(|e| kind(e) == Some(io::ErrorKind::BrokenPipe))
}

/// A configuration without fault, or its faults on stderr.
fn config(path: &Path) -> Result<Loaded, Failure> {
    load(path)?.map_err(|faults| {
        eprint!("{}", in_lines(&faults));
        eprintln!("richter: the configuration has {}", counted(faults.len(), "fault"));
        Failure::No
    })
}

fn in_lines(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

/// The topics of the sources, for people.
fn topics(settings: &Settings) -> String {
    settings.sources.iter().map(|source| source.topic.as_str()).collect::<Vec<_>>().join(", ")
}

/// Standard output, buffered.
fn stdout() -> io::BufWriter<Shown<io::StdoutLock<'static>>> {
    io::BufWriter::new(Shown(io::stdout().lock()))
}

/// Shows control characters instead of having the terminal obey them: what is printed holds what others say.
struct Shown<W>(W);

impl<W: Write> Write for Shown<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match bytes.iter().enumerate().find_map(|(place, _)| control(&bytes[place..]).map(|of| (place, of))) {
            // As JSON writes it, which some of it is.
            Some((0, (control, length))) => write!(self.0, "\\u{control:04x}").map(|()| length),
            Some((place, _)) => self.0.write(&bytes[..place]),
            None => self.0.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The control character that a text begins with, be it of the second set, and its bytes.
fn control(text: &[u8]) -> Option<(u8, usize)> {
    match *text {
        [b'\n' | b'\t', ..] => None,
        [control, ..] if control.is_ascii_control() => Some((control, 1)),
        [0xc2, control @ 0x80..=0x9f, ..] => Some((control, 2)),
        _ => None,
    }
}

/// One line.
fn put(out: &mut impl Write, line: &[u8]) -> io::Result<()> {
    out.write_all(line)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_obeys_nothing_that_others_say() {
        let mut out = Shown(vec![]);
        out.write_all("\u{1b}]0;mine\u{7}\tfine\r\n\u{9b}fault 故障".as_bytes()).expect("written");
        assert_eq!(String::from_utf8(out.0).expect("text"), "\\u001b]0;mine\\u0007\tfine\\u000d\n\\u009bfault 故障");
    }
}

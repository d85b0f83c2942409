//! `richter act`: says something about an incident, as a command on the commands topic.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use clap::ValueEnum;
use clap::builder::PossibleValuesParser;

use crate::contract::{Acceptance, Data, Rejection};
use crate::model::command::COMMANDS;
use crate::model::{Class, Command, Point, Timestamp, duration};
use crate::rules::Kind;
use crate::shell::files::Loaded;
use crate::shell::{Answers, now, send};
use crate::stage::Topic;
use crate::wire::commands::Written;

use super::{Failure, Outcome, config, stdout};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What is to be done
    #[arg(value_parser = PossibleValuesParser::new(COMMANDS))]
    command: String,
    /// The incident's id
    incident: Option<String>,
    /// Why, or whatever else there is to say
    #[arg(long, short, default_value = "")]
    comment: String,
    /// Who says so; $USER where it is missing
    #[arg(long, env = "USER")]
    author: String,
    /// The command's id: told twice it is done once; made up where it is missing
    #[arg(long)]
    id: Option<String>,
    /// set_level, declare: such as P2
    #[arg(long)]
    level: Option<String>,
    /// declare: what the user cannot do
    #[arg(long)]
    scenario: Option<String>,
    /// declare, set_cause: what failed; split: what is another matter; as kind=name
    #[arg(long)]
    entity: Option<String>,
    /// declare: whose business
    #[arg(long)]
    business: Option<String>,
    /// declare: the team that owns it; action: who does it
    #[arg(long)]
    owner: Option<String>,
    /// set_impact
    #[arg(long)]
    affected_users: Option<f64>,
    /// set_impact
    #[arg(long)]
    affected_merchants: Option<f64>,
    /// set_impact
    #[arg(long)]
    complaints: Option<f64>,
    /// set_impact: in the currency that the monitor names
    #[arg(long)]
    money: Option<f64>,
    /// mark: the point of the timeline
    #[arg(long, value_enum)]
    point: Option<Point>,
    /// mark: when that was, RFC 3339; now where it is missing
    #[arg(long)]
    time: Option<String>,
    /// set_cause: the root cause in a sentence
    #[arg(long)]
    cause: Option<String>,
    /// set_cause: its class
    #[arg(long, value_enum)]
    class: Option<Class>,
    /// set_cause: the id of the change that triggered it
    #[arg(long)]
    change: Option<String>,
    /// merge: the incident it is part of
    #[arg(long)]
    into: Option<String>,
    /// split: the incident that was merged into it; or --entity, which is another matter
    #[arg(long)]
    merged: Option<String>,
    /// action: what is to be done; action_done: the action's id
    #[arg(long)]
    action: Option<String>,
    /// action: until when, RFC 3339, or in how long, such as 3d
    #[arg(long)]
    due: Option<String>,
    /// action: how it is known to be done
    #[arg(long)]
    verify: Option<String>,
    /// silence: which alerts and breaches, as a selector
    #[arg(long)]
    alerts: Option<String>,
    /// silence: when it ends, RFC 3339, or in how long, such as 2h
    #[arg(long)]
    until: Option<String>,
    /// unsilence: the silence's id
    #[arg(long)]
    silence: Option<String>,
    /// The settings file, or the directory that holds it as richter.yaml: where the commands topic is
    #[arg(long, default_value = "config/richter.yaml")]
    config: PathBuf,
    /// How long an answer is waited for, such as 10s; 0s does not wait
    #[arg(long, default_value = "5s", value_parser = duration::parse)]
    wait: Duration,
    /// Print the command instead of sending it
    #[arg(long)]
    print: bool,
}

impl ValueEnum for Point {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }
    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.as_str()))
    }
}

impl ValueEnum for Class {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }
    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.as_str()))
    }
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let written = written(arguments)?;
    // What cannot be read is refused here and not in the topic.
    let command = written.clone().read(now()).map_err(|reject| anyhow!("{}", reject.detail))?;
    if let Some(option) = unused(&written, &command)? {
        return Err(Failure::CouldNot(anyhow!("{} does not take --{}", written.command, option.replace('_', "-"))));
    }
    let payload = serde_json::to_string(&written)?;
    if arguments.print {
        writeln!(stdout(), "{payload}")?;
        return Ok(());
    }
    let Loaded { settings, config } = config(&arguments.config)?;
    if let Some(level) = &written.level {
        config.rules.levels.named(level).map_err(|why| anyhow!(why))?;
    }
    let source = settings.sources.iter().find(|source| source.kind == Kind::Commands);
    let Some(source) = source else {
        let remedy = "the settings have no source of kind `commands`; add one, such as { topic: richter.commands, kind: commands }";
        return Err(Failure::CouldNot(anyhow!(remedy)));
    };
    let answers = if arguments.wait.is_zero() { None } else { Answers::from_now(&settings)? };
    let (partition, offset) = send(&settings, &source.topic, written.incident.as_deref().unwrap_or_default(), payload.as_bytes())?;
    eprintln!(
        "{} {} is in {} [{partition}] at {offset}; what comes of it is in {}",
        written.command,
        written.id,
        source.topic,
        Topic::Incidents.name(&settings.prefix)
    );
    let Some(answers) = answers else { return Ok(()) };
    match answers.wait(arguments.wait, |event| answer(event, &command)) {
        Some(Ok(done)) => eprintln!("{done}"),
        Some(Err(why)) => {
            eprintln!("refused: {why}");
            return Err(Failure::No);
        }
        None => {
            eprintln!(
                "nothing came of it within {}: it was done before, no instance is running, or the topic is so new that it is not read yet",
                duration::show(arguments.wait)
            );
            return Err(Failure::Unanswered);
        }
    }
    Ok(())
}

/// What an event says of a command: what has come of it, or why it is refused.
fn answer(event: &[u8], command: &Command) -> Option<Result<String, String>> {
    if let Ok(Some(rejection)) = Rejection::of(event) {
        return (rejection.command == command.id).then_some(Err(rejection.reason));
    }
    if let Ok(Some(acceptance)) = Acceptance::of(event) {
        return (acceptance.command == command.id).then_some(Ok(acceptance.outcome));
    }
    let Data { event, incident } = Data::of(event).ok()??;
    let done = || format!("{} {}: {}", event.kind.as_str().replace('_', " "), incident.id, event.reason);
    (event.command.as_ref() == Some(&command.id)).then(|| Ok(done()))
}

/// An option that the command means the same without.
fn unused(written: &Written, command: &Command) -> anyhow::Result<Option<String>> {
    let serde_json::Value::Object(all) = serde_json::to_value(written)? else { return Ok(None) };
    for name in all.keys().filter(|name| *name != "at") {
        let mut without = all.clone();
        without.remove(name);
        let without: Option<Written> = serde_json::from_value(without.into()).ok();
        if without.is_some_and(|written| written.read(command.at).is_ok_and(|read| read == *command)) {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}

fn written(arguments: &Arguments) -> anyhow::Result<Written> {
    let a = arguments;
    let at = now();
    Ok(Written {
        id: a.id.clone().unwrap_or_else(|| format!("{}-{}-{}-{}", a.author, a.command, at.0, std::process::id())),
        author: a.author.clone(),
        at: Some(at.to_string()),
        command: a.command.clone(),
        comment: a.comment.clone(),
        incident: a.incident.clone(),
        alerts: a.alerts.clone(),
        until: a.until.as_deref().map(|until| at_or_in("until", until, at)).transpose()?,
        silence: a.silence.clone(),
        level: a.level.clone(),
        scenario: a.scenario.clone(),
        entity: a.entity.clone(),
        business: a.business.clone(),
        owner: a.owner.clone(),
        affected_users: a.affected_users,
        affected_merchants: a.affected_merchants,
        complaints: a.complaints,
        money: a.money,
        point: a.point,
        time: a.time.clone(),
        cause: a.cause.clone(),
        class: a.class,
        change: a.change.clone(),
        into: a.into.clone(),
        merged: a.merged.clone(),
        action: a.action.clone(),
        due: a.due.as_deref().map(|due| at_or_in("due", due, at)).transpose()?,
        verify: a.verify.clone(),
    })
}

/// A time, or how long it is until then: what the command says is the time.
fn at_or_in(option: &str, text: &str, now: Timestamp) -> anyhow::Result<String> {
    let at = duration::parse(text).map(|long| now + long).or_else(|_| Timestamp::parse(text));
    let why = || format!("--{option} {text:?} is no time; write one like 2026-12-01T12:00:00Z, or in how long, such as 3d");
    at.map(|at| at.to_string()).map_err(|_| anyhow!(why()))
}

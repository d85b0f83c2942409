//! Events from a file, from standard input, or from the incidents topic.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use crate::contract::Data;
use crate::shell::incidents;

use super::{Failure, config};

/// Where events are.
#[derive(Debug, clap::Args)]
pub(super) struct Where {
    /// Events, one JSON object a line, as replay and demo print them; `-` is stdin. Without it, the incidents topic
    #[arg(long)]
    events: Option<PathBuf>,
    /// The settings file, or the directory that holds it as richter.yaml: where the incidents topic is
    #[arg(long, default_value = "config/richter.yaml")]
    config: PathBuf,
}

impl Where {
    /// Gives each event about an incident, in the order of its log. What is none is passed over, and told.
    pub(super) fn read(&self, take: impl FnMut(Data)) -> Result<(), Failure> {
        self.read_as(Data::of, take)
    }

    /// Gives what events are read as, in the order of their log; those of which that is nothing are passed over.
    pub(super) fn read_as<T>(&self, of: impl Fn(&[u8]) -> serde_json::Result<Option<T>>, mut take: impl FnMut(T)) -> Result<(), Failure> {
        let mut taken = |payload: &[u8], place: &str| match of(payload) {
            Ok(Some(read)) => take(read),
            Ok(None) => {}
            Err(why) => eprintln!("{place}: passed over, for it is no event that can be read: {why}"),
        };
        match &self.events {
            Some(path) => lines(path, &mut taken)?,
            None => incidents(&config(&self.config)?.settings, &mut |payload: &[u8]| taken(payload, "the incidents topic"))?,
        }
        Ok(())
    }
}

/// Which incident.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The incident's id; without one, the last incident there is
    incident: Option<String>,
    #[command(flatten)]
    events: Where,
}

impl Which {
    /// Its last event.
    pub(super) fn last(&self) -> Result<Data, Failure> {
        let mut last: Option<Data> = None;
        self.events.read(|data| {
            if self.incident.as_ref().is_none_or(|wanted| *wanted == data.incident.id) {
                last = Some(data);
            }
        })?;
        let which = self.incident.as_ref().map_or_else(|| "no incident".to_owned(), |id| format!("no incident {id}"));
        last.ok_or_else(|| Failure::CouldNot(anyhow!("{which} among the events")))
    }
}

fn lines(path: &Path, take: &mut impl FnMut(&[u8], &str)) -> anyhow::Result<()> {
    let input: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(std::io::stdin()),
        _ => Box::new(File::open(path).with_context(|| format!("cannot read {}", path.display()))?),
    };
    for (number, line) in BufReader::new(input).split(b'\n').enumerate() {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        if !line.trim_ascii().is_empty() {
            take(&line, &format!("{}:{}", path.display(), number + 1));
        }
    }
    Ok(())
}

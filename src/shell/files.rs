//! Configuration from disk: `richter.yaml`, the environment over it, and the rule files it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::notify;
use crate::rules::{self, Config, Fault, Files, Place, Settings, Tuning, settings};

use super::kafka::wrong_properties;

/// Everything without fault.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The daemon's own settings.
    pub settings: Arc<Settings>,
    /// What the stages follow.
    pub config: Arc<Config>,
}

/// Gives the files, as (name, text), that patterns stand for; what cannot be read is a fault.
pub type Reader<'r> = dyn Fn(&[(String, Place)], &mut Vec<Fault>) -> Vec<(String, String)> + 'r;

/// Reads and checks everything. The inner result holds every fault of every file.
///
/// # Errors
/// The settings file cannot be read at all.
pub fn load(path: &Path) -> anyhow::Result<Result<Loaded, Vec<Fault>>> {
    let file = settings_file(path);
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let environment = std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?))).collect();
    let directory = file.parent().unwrap_or(Path::new("")).to_owned();
    let read = |patterns: &[(String, Place)], faults: &mut Vec<Fault>| read_all(&directory, patterns, faults);
    Ok(checked(&file.display().to_string(), &text, &environment, &read))
}

/// Checks a configuration whose files come from anywhere.
///
/// # Errors
/// Every fault of every file.
pub fn checked(file: &str, text: &str, environment: &BTreeMap<String, String>, read: &Reader<'_>) -> Result<Loaded, Vec<Fault>> {
    let (settings, patterns, mut faults) = settings(file, text, environment);
    let files = Files {
        monitors: read(&patterns.rules, &mut faults),
        levels: read(&patterns.levels, &mut faults),
        topology: read(&patterns.topology, &mut faults),
        duty: read(&patterns.duty, &mut faults),
        plans: read(&patterns.plans, &mut faults),
        suppress: read(&patterns.suppress, &mut faults),
    };
    let tuning = settings.as_ref().map_or_else(Tuning::default, |s| s.tuning.clone());
    let (mut config, found) = Config::new(&files, tuning);
    faults.extend(found);
    for message in settings.iter().flat_map(wrong_properties) {
        faults.push(Fault { place: Place { file: file.to_owned(), ..Place::default() }, message });
    }
    config
        .rules
        .notes
        .extend(settings.iter().flat_map(|settings| rules::notify::notes(&settings.notify, &config.rules)).collect::<Vec<_>>());
    for target in settings.iter().flat_map(|settings| &settings.notify) {
        faults.extend(target.faults(&config.rules.levels.sequences));
        faults.extend(notify::faults(target));
    }
    faults.sort();
    match settings {
        Some(settings) if faults.is_empty() => Ok(Loaded { settings: Arc::new(settings), config: Arc::new(config) }),
        Some(_) | None => Err(faults),
    }
}

/// A directory stands for the `richter.yaml` in it.
fn settings_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("richter.yaml") } else { path.to_owned() }
}

fn read_all(directory: &Path, patterns: &[(String, Place)], faults: &mut Vec<Fault>) -> Vec<(String, String)> {
    let mut files = vec![];
    for (pattern, place) in patterns {
        match expand(directory, pattern) {
            Ok(found) => {
                let unreadable = |why: anyhow::Error| Fault { place: place.clone(), message: format!("{why:#}") };
                files.extend(found.into_iter().filter_map(|file| file.map_err(|why| faults.push(unreadable(why))).ok()));
            }
            Err(why) => faults.push(Fault { place: place.clone(), message: format!("{why:#}") }),
        }
    }
    files.sort();
    files.dedup();
    files
}

fn expand(directory: &Path, pattern: &str) -> anyhow::Result<Vec<anyhow::Result<(String, String)>>> {
    // The folder's own name is no pattern.
    let whole = Path::new(&glob::Pattern::escape(&directory.to_string_lossy())).join(pattern);
    // Neither what an editor keeps nor the folders behind a mounted ConfigMap.
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let paths = glob::glob_with(&whole.to_string_lossy(), options).with_context(|| format!("{pattern:?} is not a file pattern"))?;
    let paths: Vec<PathBuf> = paths.collect::<Result<_, _>>().with_context(|| format!("cannot look for {pattern:?}"))?;
    if paths.is_empty() {
        bail!("no file matches {pattern:?}; patterns start from the folder of this file");
    }
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok((path.display().to_string(), text))
    };
    Ok(paths.iter().map(read).collect())
}

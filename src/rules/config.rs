//! What the stages follow, as one value: the rules and the tuning, with the texts they were made from.
//!
//! A stage's state holds the texts, and a change of them is a record in the stage's log: a replay follows at each
//! offset what was followed there at first, whatever the files say by then.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::labels::Fnv;

use super::fault::{Fault, Place};
use super::{Files, Rules, Tuning, check};

/// The texts, compressed, travel in one record; brokers refuse more than a megabyte by default.
const BUNDLE_BYTES_MAX: usize = 900 << 10;

/// The texts' size when they are unpacked, at the most.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// zstd's default: the texts are packed once a reload.
const COMPRESSION: i32 = 3;

/// The rules and the tuning, and what they were made from.
#[derive(Clone, Debug)]
pub struct Config {
    /// Monitors, fault levels and topology.
    pub rules: Rules,
    /// Limits of time and size.
    pub tuning: Tuning,
    bundle: Vec<u8>,
    fingerprint: u64,
}

#[derive(Serialize, Deserialize)]
struct Texts {
    files: Files,
    tuning: Tuning,
}

impl Config {
    /// Checks the files together. The configuration is whole only where the list of faults is empty.
    #[must_use]
    pub fn new(files: &Files, tuning: Tuning) -> (Self, Vec<Fault>) {
        let (rules, mut faults) = check(files);
        let (bundle, fingerprint) = pack(files, &tuning);
        if bundle.len() > BUNDLE_BYTES_MAX {
            let message = format!("the rule files are {} KiB compressed; {} KiB at most", bundle.len() >> 10, BUNDLE_BYTES_MAX >> 10);
            faults.push(Fault { place: Place::default(), message });
        }
        (Self { rules, tuning, bundle, fingerprint }, faults)
    }

    /// The configuration from its bundle.
    ///
    /// # Errors
    /// Why the bytes are none that this program takes.
    pub fn from_bundle(bytes: &[u8]) -> Result<Self, String> {
        let unpacked =
            zstd::bulk::decompress(bytes, TEXT_BYTES_MAX).map_err(|why| format!("the configuration cannot be unpacked: {why}"))?;
        let texts: Texts = postcard::from_bytes(&unpacked).map_err(|why| format!("the configuration cannot be read: {why}"))?;
        let (config, faults) = Self::new(&texts.files, texts.tuning);
        match faults.first() {
            None => Ok(config),
            Some(fault) => Err(format!("this program refuses the configuration: {fault}")),
        }
    }

    /// All it was made from, as bytes.
    #[must_use]
    pub fn bundle(&self) -> &[u8] {
        &self.bundle
    }

    /// A hash of the texts and the tuning: where it is the same, so is what the stages do.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

/// The bundle and the fingerprint, which does not depend on where the files lie.
fn pack(files: &Files, tuning: &Tuning) -> (Vec<u8>, u64) {
    let named = |name: fn(&str) -> String| {
        let rename = |files: &[(String, String)]| files.iter().map(|(path, text)| (name(path), text.clone())).collect();
        let files = Files {
            monitors: rename(&files.monitors),
            levels: rename(&files.levels),
            topology: rename(&files.topology),
            duty: rename(&files.duty),
            plans: rename(&files.plans),
            suppress: rename(&files.suppress),
        };
        postcard::to_stdvec(&Texts { files, tuning: tuning.clone() }).expect("texts are plain data")
    };
    let base = |path: &str| Path::new(path).file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
    let bundle = zstd::bulk::compress(&named(base), COMPRESSION).expect("memory can be written to");
    (bundle, Fnv::of(&[&named(|_| String::new())]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(path: &str) -> Files {
        let monitors = "monitors: [ { name: m, entity: \"service=a\", query: up, judge: { static: { below: 1 } } } ]";
        Files { monitors: vec![(path.into(), monitors.into())], ..Files::default() }
    }

    #[test]
    fn a_bundle_gives_the_configuration_back() {
        let (config, faults) = Config::new(&files("/etc/richter/m.yaml"), Tuning::default());
        assert_eq!(faults, []);
        let again = Config::from_bundle(config.bundle()).expect("it was packed here");
        assert_eq!((again.fingerprint(), again.rules.monitors), (config.fingerprint(), config.rules.monitors));
    }

    #[test]
    fn the_fingerprint_tells_texts_apart_not_places() {
        let fingerprint = |files: &Files, tuning| Config::new(files, tuning).0.fingerprint();
        let here = fingerprint(&files("/etc/richter/m.yaml"), Tuning::default());
        assert_eq!(here, fingerprint(&files("/srv/m.yaml"), Tuning::default()));
        assert_ne!(here, fingerprint(&Files::default(), Tuning::default()));
        assert_ne!(here, fingerprint(&files("m"), Tuning { size_max: 7, ..Tuning::default() }));
    }

    #[test]
    fn damage_is_refused() {
        assert!(Config::from_bundle(b"rubbish").is_err());
    }
}

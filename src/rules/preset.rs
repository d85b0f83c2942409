//! Presets: the mappings that come with the program, each with the marks by which `format: auto` knows its records.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::decode::decode;
use super::fault::Fault;
use super::mapping::Mapping;
use super::settings::Kind;

/// A mapping, and what its records look like.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// By what a record is recognised: paths that are there, with one of these values if there are any.
    pub marks: BTreeMap<String, Vec<String>>,
    /// Where everything is.
    pub mapping: Mapping,
}

/// All there are, for alerts and for changes, by name.
pub const PRESETS: [(Kind, &str, &str); 15] = [
    (Kind::Alerts, "azure", include_str!("presets/azure.yaml")),
    (Kind::Alerts, "cloudwatch_sns", include_str!("presets/cloudwatch_sns.yaml")),
    (Kind::Alerts, "datadog", include_str!("presets/datadog.yaml")),
    (Kind::Alerts, "eventbridge", include_str!("presets/eventbridge.yaml")),
    (Kind::Changes, "flux", include_str!("presets/flux.yaml")),
    (Kind::Alerts, "grafana_kafka_rest", include_str!("presets/grafana_kafka_rest.yaml")),
    (Kind::Alerts, "icinga2", include_str!("presets/icinga2.yaml")),
    (Kind::Alerts, "keep", include_str!("presets/keep.yaml")),
    (Kind::Changes, "launchdarkly", include_str!("presets/launchdarkly.yaml")),
    (Kind::Alerts, "nightingale", include_str!("presets/nightingale.yaml")),
    (Kind::Alerts, "pagerduty", include_str!("presets/pagerduty.yaml")),
    (Kind::Changes, "pagerduty_change", include_str!("presets/pagerduty_change.yaml")),
    (Kind::Alerts, "sentry", include_str!("presets/sentry.yaml")),
    (Kind::Alerts, "skywalking", include_str!("presets/skywalking.yaml")),
    (Kind::Alerts, "zabbix", include_str!("presets/zabbix.yaml")),
];

impl Preset {
    /// That of a kind and name.
    ///
    /// # Errors
    /// What is wrong with it; a test sees to it that nothing is.
    pub fn named(kind: Kind, name: &str) -> Result<Self, Vec<Fault>> {
        let text = PRESETS.iter().find(|(of, known, _)| *of == kind && *known == name).map_or("", |(_, _, text)| text);
        let (preset, faults) = decode(name, text);
        preset.filter(|_| faults.is_empty()).ok_or(faults)
    }

    /// All of a kind.
    pub fn of(kind: Kind) -> impl Iterator<Item = Self> {
        PRESETS.iter().filter(move |(of, ..)| *of == kind).filter_map(move |(_, name, _)| Self::named(kind, name).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_sound() {
        for (kind, name, _) in PRESETS {
            let preset = Preset::named(kind, name).expect(name);
            assert!(!preset.marks.is_empty(), "{name} is recognised by something");
            assert!(preset.marks.keys().map(String::as_str).chain(preset.mapping.paths()).all(|path| path.starts_with('/')), "{name}");
        }
    }
}

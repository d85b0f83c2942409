//! The daemon's own settings: `richter.yaml`, overlaid by `RICHTER__SECTION__KEY`, then decoded strictly.

mod kafka;
mod raw;

use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::model::Topic;

use super::decode::decode_under;
use super::environment;
use super::fault::{At, Fault, Place};
use super::format::Format;
use super::mapping::{Mapping, Unit};
use super::notify::{self, Target};

pub(super) use raw::Raw;
use raw::RawSource;

/// The longest name of a topic, by Kafka's rules.
const TOPIC_BYTES_MAX: usize = 249;

/// The checked settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `host:port` of the brokers.
    pub brokers: Vec<String>,
    /// The prefix of the consumer groups and of Richter's own topics.
    pub prefix: String,
    /// Partitions of the internal topics.
    pub partitions: Partitions,
    /// Replicas of topics that Richter creates.
    pub replication: i32,
    /// This instance's name, the same after a restart; none: made from the host's name and the port served.
    pub instance: Option<String>,
    /// No output of a stage waits longer than this for its transaction.
    pub commit_every: Duration,
    /// No two snapshots of a partition are closer together than this.
    pub snapshot_every_min: Duration,
    /// A partition with a newer log than its snapshot gets a new one after this long.
    pub snapshot_every_max: Duration,
    /// A file with a token for SASL's OAUTHBEARER, a JWT; read again whenever one is needed.
    pub oauth_token_file: Option<String>,
    /// librdkafka properties, applied last.
    pub properties: BTreeMap<String, Property>,
    /// The input topics.
    pub sources: Vec<Source>,
    /// Where `/metrics` and the rest are served.
    pub listen: SocketAddr,
    /// Who is notified of what.
    pub notify: Vec<Target>,
    /// Limits of time and size that the stages work with.
    pub tuning: Tuning,
}

/// Limits of time and size that the stages work with; a reload takes them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Tuning {
    /// How long after its time a sample may still come and count.
    pub lateness: Duration,
    /// An input silent for this long no longer holds time back.
    pub idle_after: Duration,
    /// How far ahead of its record a sample's time may be.
    pub ahead_max: Duration,
    /// What alerts alone keep open is doubted when nothing was heard of it for so long, and forgotten where it is no incident: its
    /// resolution was lost.
    pub forget_alerts_after: Duration,
    /// A call between services that was not seen for this long is forgotten.
    pub forget_calls_after: Duration,
    /// A situation without an incident that was quiet for this long is over, and takes in nothing more.
    pub gap: Duration,
    /// No situation takes in more after this long.
    pub life_max: Duration,
    /// No situation takes in more entities with signs than this.
    pub size_max: usize,
    /// A change this long before the first sign is a suspect.
    pub change_window: Duration,
    /// A relapse within this time reopens the incident.
    pub reopen_within: Duration,
    /// An open incident whose picture changes is updated at most this often.
    pub update_every: Duration,
    /// An incident has recovered once it has been good, and heard of, for this long.
    pub recover_after: Duration,
    /// What was over before Richter first listened is declared as well.
    pub declare_history: bool,
    /// Groups a monitor may have.
    pub groups_max: usize,
    /// Series a monitor may read.
    pub series_max: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Raw::default().tuning()
    }
}

/// Partition counts of the internal topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Partitions {
    /// Of the samples topic: the most instances detection can be spread over.
    pub samples: u32,
}

impl Default for Partitions {
    fn default() -> Self {
        Self { samples: 4 }
    }
}

/// An input topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The topic's name.
    pub topic: String,
    /// What its records are.
    pub kind: Kind,
    /// How they are written.
    pub format: Format,
    /// Where things are, if the format is a mapped one.
    pub mapping: Option<Mapping>,
    /// What a bare number of time counts, where it is not what the format says.
    pub unit: Option<Unit>,
    /// OTLP resource attributes that become labels of every sample.
    pub promote: Vec<String>,
}

/// What the records of a source are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Samples of metrics.
    Metrics,
    /// Alerts.
    Alerts,
    /// Changes.
    Changes,
    /// Operators' commands.
    Commands,
}

/// A crash is noticed after so long, unless the property says otherwise: a restart takes less.
pub const SESSION: Duration = Duration::from_secs(15);

impl Settings {
    /// After how long without a sign of life Kafka takes an instance for dead.
    #[must_use]
    pub fn session(&self) -> Duration {
        match self.properties.get("session.timeout.ms") {
            Some(Property::Inline(millis)) => millis.parse().map_or(SESSION, Duration::from_millis),
            _ => SESSION,
        }
    }
}

/// A librdkafka property's value; a secret is named, not written.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", untagged)]
pub enum Property {
    /// Written here.
    Inline(String),
    /// The content of a file, without the line end.
    File {
        /// The file.
        file: String,
    },
    /// The value of an environment variable.
    Env {
        /// The variable.
        env: String,
    },
}

/// Never shows an inline value: it may be a secret in spite of us.
impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("inline"),
            Self::File { file } => write!(f, "file {file}"),
            Self::Env { env } => write!(f, "env {env}"),
        }
    }
}

impl<'de> Deserialize<'de> for Property {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Property;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, number or boolean, or {file: ...} or {env: ...}")
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Property, E> {
                Ok(Property::Inline(v.to_owned()))
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Property, E> {
                Ok(Property::Inline(v.to_string()))
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Property, E> {
                Ok(Property::Inline(v.to_string()))
            }
            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Property, E> {
                Ok(Property::Inline(v.to_string()))
            }
            fn visit_bool<E: de::Error>(self, v: bool) -> Result<Property, E> {
                Ok(Property::Inline(v.to_string()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Property, A::Error> {
                let one = || de::Error::custom("one of {file: ...} or {env: ...}");
                let (key, value): (String, String) = map.next_entry()?.ok_or_else(one)?;
                if map.next_key::<String>()?.is_some() {
                    return Err(one());
                }
                match key.as_str() {
                    "file" => Ok(Property::File { file: value }),
                    "env" => Ok(Property::Env { env: value }),
                    _ => Err(one()),
                }
            }
        }
        d.deserialize_any(Visitor)
    }
}

/// Where the rule files are, as written, with the place of each pattern.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    /// Monitors.
    pub rules: Vec<(String, Place)>,
    /// Sequences and generic definitions.
    pub levels: Vec<(String, Place)>,
    /// Entities.
    pub topology: Vec<(String, Place)>,
    /// Calendars, teams and roles.
    pub duty: Vec<(String, Place)>,
    /// Recovery plans.
    pub plans: Vec<(String, Place)>,
    /// What makes no fault.
    pub suppress: Vec<(String, Place)>,
}

/// Reads and checks the settings. `variables` are those of the process's environment; only `RICHTER__*` are looked at.
#[must_use]
pub fn settings(file: &str, text: &str, variables: &BTreeMap<String, String>) -> (Option<Settings>, Patterns, Vec<Fault>) {
    let (raw, faults) = decode_under::<Raw>(file, text, |root| environment::lay_over(root, variables));
    let mut faults: Vec<Fault> = faults.into_iter().map(|fault| environment::placed(fault, "", variables)).collect();
    let Some(raw) = raw else { return (None, Patterns::default(), faults) };
    let (settings, patterns, wrong) = checked(file, raw);
    // What has no line may be a default of the file's as well.
    faults.extend(wrong.into_iter().map(|fault| environment::placed(fault, &format!("{file} or "), variables)));
    (settings, patterns, faults)
}

fn checked(file: &str, raw: Raw) -> (Option<Settings>, Patterns, Vec<Fault>) {
    let mut faults = vec![];
    let place = |patterns: &[At<String>]| patterns.iter().map(|p| (p.value.clone(), p.place(file))).collect();
    let patterns = Patterns {
        rules: place(&raw.rule_files),
        levels: place(&raw.level_files),
        topology: place(&raw.topology_files),
        duty: place(&raw.duty_files),
        plans: place(&raw.plan_files),
        suppress: place(&raw.suppress_files),
    };
    kafka::check(file, &raw.kafka, &mut faults);
    faults.extend(raw.out_of_range(file));
    let sources = check_sources(file, &raw.kafka.prefix.value, &raw.sources, &mut faults);
    let listen = raw.http.listen.value.parse();
    let listen = listen.unwrap_or_else(|_| {
        let message = format!("{:?} is not an address; write one like 127.0.0.1:9464", raw.http.listen.value);
        faults.push(raw.http.listen.fault(file, message));
        SocketAddr::from(([127, 0, 0, 1], 9464))
    });
    let tuning = raw.tuning();
    let settings = Settings {
        brokers: raw.kafka.brokers.into_iter().map(|b| b.value).collect(),
        prefix: raw.kafka.prefix.value,
        partitions: raw.kafka.partitions.value,
        replication: raw.kafka.replication_factor.value,
        instance: raw.kafka.instance.map(|name| name.value),
        commit_every: raw.kafka.commit_every.value.0,
        snapshot_every_min: raw.kafka.snapshot_every.value.min.0,
        snapshot_every_max: raw.kafka.snapshot_every.value.max.0,
        oauth_token_file: raw.kafka.oauth_token_file,
        properties: raw.kafka.properties.into_iter().map(|(k, v)| (k, v.value)).collect(),
        sources,
        listen,
        notify: notify::compile(file, raw.notify, &mut faults),
        tuning,
    };
    (Some(settings), patterns, faults)
}

fn check_sources(file: &str, prefix: &str, sources: &[RawSource], faults: &mut Vec<Fault>) -> Vec<Source> {
    let mut checked: Vec<Source> = vec![];
    for source in sources {
        let named = Format::named(source.kind, &source.format.value);
        if named.is_none() {
            let (format, allowed) = (&source.format.value, Format::names(source.kind).join(", "));
            faults.push(source.format.fault(file, format!("{format:?} is no format of that kind; allowed: {allowed}")));
        }
        let (format, preset) = named.unwrap_or_default();
        match (&source.mapping, format) {
            (Some(at), Format::Mapped) if preset.is_none() => check_mapping(file, at, source.kind, faults),
            (Some(at), _) => faults.push(at.fault(file, "a mapping without `format: mapped`; this format needs none")),
            (None, Format::Mapped) if preset.is_none() => faults.push(source.format.fault(file, "`mapped` needs a `mapping`")),
            (None, _) => {}
        }
        if let Some(at) = source.timestamp_unit.as_ref().filter(|_| source.kind != Kind::Metrics) {
            faults.push(at.fault(file, "`timestamp_unit` is for metrics; in a mapping it is called `unit`"));
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !(1..=TOPIC_BYTES_MAX).contains(&source.topic.value.len()) || !source.topic.value.chars().all(legal) {
            let message = format!("{:?} is no topic; use letters, digits, . _ -, {TOPIC_BYTES_MAX} at most", source.topic.value);
            faults.push(source.topic.fault(file, message));
        }
        if let Some(at) = source.timestamp_unit.as_ref().filter(|_| source.kind == Kind::Metrics && !format.has_bare_times()) {
            faults.push(at.fault(file, format!("`timestamp_unit` with {}, which says itself what its times are", source.format.value)));
        }
        let has_resources = source.kind == Kind::Metrics && format.has_resources();
        if !source.promote_resource_attributes.is_empty() && !has_resources {
            let message = format!("`promote_resource_attributes` with {}; OTLP alone has resources", source.format.value);
            faults.push(source.topic.fault(file, message));
        }
        if checked.iter().any(|s| s.topic == source.topic.value) {
            faults.push(source.topic.fault(file, format!("topic {:?} is a source already", source.topic.value)));
        }
        let own = |topic: &Topic| source.topic.value == topic.name(prefix);
        if Topic::ALL.iter().any(own) {
            faults.push(
                source.topic.fault(file, format!("{:?} is Richter's own; a source is a topic that others write", source.topic.value)),
            );
        }
        checked.push(Source {
            topic: source.topic.value.clone(),
            kind: source.kind,
            format,
            mapping: preset.or_else(|| source.mapping.as_ref().map(|at| at.value.clone())),
            unit: source.timestamp_unit.as_ref().map(|at| at.value),
            promote: source.promote_resource_attributes.clone(),
        });
    }
    checked
}

fn check_mapping(file: &str, at: &At<Mapping>, kind: Kind, faults: &mut Vec<Fault>) {
    let mapping = &at.value;
    for path in mapping.paths().filter(|path| !path.starts_with('/')) {
        faults.push(at.fault(file, format!("{path:?} is no path; write a JSON pointer such as /detail/state/value")));
    }
    if mapping.key.is_empty() {
        faults.push(at.fault(file, "a `key` is needed: what names the alert, or the change"));
    }
    if kind == Kind::Alerts && mapping.name.is_empty() {
        faults.push(at.fault(file, "a `name` is needed: it becomes the label `alertname`"));
    }
    if kind == Kind::Changes && (mapping.status.is_some() || !mapping.starts_at.is_empty() || !mapping.ends_at.is_empty()) {
        faults.push(at.fault(file, "a change has a time, `at`, and neither status nor end"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_lies_over_the_file() {
        let environment = [("RICHTER__KAFKA__BROKERS", "a:1,b:2"), ("RICHTER__TIME__LATENESS", "7s"), ("RICHTER_KAFKA", "x")];
        let environment = environment.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        let text = "kafka: {brokers: ['c:3'], prefix: x, properties: {security.protocol: ssl}}";
        let (settings, _, faults) = settings("f", text, &environment);
        assert_eq!(faults, []);
        let settings = settings.expect("checked");
        assert_eq!(settings.properties.keys().collect::<Vec<_>>(), ["security.protocol"]);
        assert_eq!((settings.brokers, settings.prefix), (vec!["a:1".to_owned(), "b:2".into()], "x".into()));
        assert_eq!(settings.tuning.lateness, Duration::from_secs(7));
    }

    #[test]
    fn a_secret_in_the_file_is_refused_and_not_repeated() {
        let (_, _, faults) = settings("f", "kafka: {properties: {sasl.password: hunter2}}", &BTreeMap::new());
        assert_eq!(faults[0].to_string(), "f:1:37: `sasl.password` is a secret; give {file: ...} or {env: ...} instead");
    }
}

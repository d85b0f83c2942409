//! The settings as they are written; names and shapes here are the file format.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::duration;

use super::super::fault::{At, Fault};
use super::super::mapping::{Mapping, Unit};
use super::super::notify::RawTarget;
use super::super::raw::Span;
use super::{Kind, Partitions, Property, Tuning};

/// A sample that may come later than this holds everything up for longer than anybody waits.
const LATENESS_MAX: Duration = Duration::from_secs(86_400);

#[derive(Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::rules) struct Raw {
    /// Where Kafka is, and how Richter's own topics are made.
    pub(super) kafka: Kafka,
    /// Topics that are read.
    pub(super) sources: Vec<RawSource>,
    /// Patterns of files with monitors, relative to this file.
    pub(super) rule_files: Vec<At<String>>,
    /// Of those with levels.
    pub(super) level_files: Vec<At<String>>,
    /// Of those with entities.
    pub(super) topology_files: Vec<At<String>>,
    /// Of those with calendars, teams, roles and emergencies.
    pub(super) duty_files: Vec<At<String>>,
    /// Of those with recovery plans.
    pub(super) plan_files: Vec<At<String>>,
    /// Of those with what makes no fault.
    pub(super) suppress_files: Vec<At<String>>,
    /// The pages for Prometheus and for people.
    pub(super) http: Http,
    /// Who outside is told of what.
    pub(super) notify: Vec<RawTarget>,
    /// Limits of time.
    pub(super) time: Time,
    /// How signals are put together.
    pub(super) situations: Situations,
    /// Limits of size.
    pub(super) limits: Limits,
}

impl Raw {
    /// What would stop the daemon, or have it do nothing.
    pub(super) fn out_of_range(&self, file: &str) -> Vec<Fault> {
        let Time { idle_after, lateness, forget_alerts_after, .. } = &self.time;
        let limits = [
            ("limits.groups_per_monitor", &self.limits.groups_per_monitor, "nothing would be watched"),
            ("limits.series_per_monitor", &self.limits.series_per_monitor, "nothing would be watched"),
            ("situations.size_max", &self.situations.size_max, "nothing would belong together"),
        ];
        let zero = limits.into_iter().filter(|(_, limit, _)| limit.value == 0);
        let mut faults: Vec<Fault> = zero.map(|(name, limit, why)| limit.fault(file, format!("`{name}` is 0: {why}"))).collect();
        let mut wrong = |name: &str, at: &At<Span>, is_wrong: bool, why: &str| {
            if is_wrong {
                faults.push(at.fault(file, format!("`time.{name}` is {}: {why}", duration::show(at.value.0))));
            }
        };
        let under = |at: &At<Span>, least: u64| at.value.0 < Duration::from_secs(least);
        wrong("idle_after", idle_after, under(idle_after, 1), "under a second, sources would be let go between two records");
        wrong("lateness", lateness, lateness.value.0 > LATENESS_MAX, "over a day, nothing would be judged before it has passed");
        let is_doubted = "under 10m, alerts would be doubted before anybody repeats them";
        wrong("forget_alerts_after", forget_alerts_after, under(forget_alerts_after, 600), is_doubted);
        faults
    }

    pub(super) fn tuning(&self) -> Tuning {
        Tuning {
            lateness: self.time.lateness.value.0,
            idle_after: self.time.idle_after.value.0,
            ahead_max: self.time.ahead_max.0,
            forget_alerts_after: self.time.forget_alerts_after.value.0,
            forget_calls_after: self.time.forget_calls_after.0,
            gap: self.situations.gap.0,
            life_max: self.situations.life_max.0,
            size_max: self.situations.size_max.value,
            change_window: self.situations.change_window.0,
            reopen_within: self.situations.reopen_within.0,
            update_every: self.situations.update_every.0,
            recover_after: self.situations.recover_after.0,
            declare_history: self.situations.declare_history,
            groups_max: self.limits.groups_per_monitor.value,
            series_max: self.limits.series_per_monitor.value,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Kafka {
    /// host:port.
    pub(super) brokers: Vec<At<String>>,
    /// Consumer groups and Richter's own topics start with it. Instances with the same one share the work.
    pub(super) prefix: At<String>,
    /// Of the topic of samples, when it is made; for another number later that topic has to be made anew.
    pub(super) partitions: At<Partitions>,
    /// Of its own topics, when they are made.
    pub(super) replication_factor: At<i32>,
    /// This one's name: no two alike, and the same after a restart. Host and port served where it is missing.
    pub(super) instance: Option<At<String>>,
    /// No output waits longer than this for its transaction.
    pub(super) commit_every: At<Span>,
    /// How often the state is written down.
    pub(super) snapshot_every: At<SnapshotEvery>,
    /// For sasl.mechanism OAUTHBEARER: a file with the token, read again when one is needed.
    pub(super) oauth_token_file: Option<String>,
    /// Of librdkafka; secrets by {file: ...} or {env: ...}.
    pub(super) properties: BTreeMap<String, At<Property>>,
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            brokers: vec![At::nowhere("localhost:9092".into())],
            prefix: At::nowhere("richter".into()),
            partitions: At::nowhere(Partitions::default()),
            replication_factor: At::nowhere(1),
            instance: None,
            commit_every: At::nowhere(Span(Duration::from_millis(100))),
            snapshot_every: At::nowhere(SnapshotEvery::default()),
            oauth_token_file: None,
            properties: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SnapshotEvery {
    /// Not more often than this;
    pub(super) min: Span,
    /// not less often.
    pub(super) max: Span,
}

impl Default for SnapshotEvery {
    fn default() -> Self {
        Self { min: Span(Duration::from_secs(30)), max: Span(Duration::from_secs(600)) }
    }
}

#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSource {
    /// Its name.
    pub(super) topic: At<String>,
    /// What its records are.
    pub(super) kind: Kind,
    /// How they are written; `auto` knows JSON by its marks.
    #[serde(default = "auto")]
    pub(super) format: At<String>,
    /// Where things are, for `format: mapped`.
    #[serde(default)]
    pub(super) mapping: Option<At<Mapping>>,
    /// What a bare number of time counts.
    #[serde(default)]
    pub(super) timestamp_unit: Option<At<Unit>>,
    /// Of OTLP: what of the resource becomes labels.
    #[serde(default)]
    pub(super) promote_resource_attributes: Vec<String>,
}

fn auto() -> At<String> {
    At::nowhere("auto".into())
}

#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http {
    /// address:port.
    pub(super) listen: At<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: At::nowhere("127.0.0.1:9464".into()) }
    }
}

#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Time {
    /// How long after its time a sample may still come and count.
    pub(super) lateness: At<Span>,
    /// An input silent for this long no longer holds time back.
    pub(super) idle_after: At<Span>,
    /// A sample further ahead of its record than this is refused: a wrong clock.
    pub(super) ahead_max: Span,
    /// An alert that nobody repeats for so long may be over: longer than Alertmanager's repeat_interval.
    pub(super) forget_alerts_after: At<Span>,
    /// A dependency learnt from traces' metrics and not seen for so long is forgotten.
    pub(super) forget_calls_after: Span,
}

impl Default for Time {
    fn default() -> Self {
        let seconds = |s| Span(Duration::from_secs(s));
        Self {
            lateness: At::nowhere(seconds(5)),
            idle_after: At::nowhere(seconds(60)),
            ahead_max: seconds(600),
            forget_alerts_after: At::nowhere(seconds(86_400)),
            forget_calls_after: seconds(86_400),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Situations {
    /// Without an incident, and quiet for this long, a situation is over.
    pub(super) gap: Span,
    /// A situation takes in nothing that begins this long after its first sign, unless that explains it.
    pub(super) life_max: Span,
    /// Entities with signs in one situation.
    pub(super) size_max: At<usize>,
    /// A change this long before the first sign is a suspect.
    pub(super) change_window: Span,
    /// A relapse within this time reopens the incident.
    pub(super) reopen_within: Span,
    /// An open incident of which more is known is told of at most this often.
    pub(super) update_every: Span,
    /// An incident has recovered once it has been good, and heard of, for this long.
    pub(super) recover_after: Span,
    /// Whether what was over before Richter first listened is declared too.
    pub(super) declare_history: bool,
}

impl Default for Situations {
    fn default() -> Self {
        let minutes = |m: u64| Span(Duration::from_secs(60 * m));
        Self {
            gap: minutes(60),
            life_max: minutes(360),
            size_max: At::nowhere(1000),
            change_window: minutes(60),
            reopen_within: minutes(30),
            update_every: minutes(5),
            recover_after: minutes(5),
            declare_history: false,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    /// Label sets that one monitor may judge in one partition; more are counted and left out.
    pub(super) groups_per_monitor: At<usize>,
    /// Series that it may read in one partition; likewise.
    pub(super) series_per_monitor: At<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { groups_per_monitor: At::nowhere(10_000), series_per_monitor: At::nowhere(100_000) }
    }
}

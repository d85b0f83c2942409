//! The formats that records are written in, by the names that settings have for them.

use super::mapping::Mapping;
use super::preset::{PRESETS, Preset};
use super::settings::Kind;

/// How the records of a source are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// JSON of any of the kind's shapes, recognised by its marks.
    #[default]
    Auto,
    /// Metrics: prometheus-kafka-adapter's JSON.
    PrometheusKafkaAdapter,
    /// Metrics: OpenTelemetry in protobuf.
    OtlpProto,
    /// Metrics: OpenTelemetry in JSON.
    OtlpJson,
    /// Metrics: Prometheus' remote write, 1 or 2, compressed with snappy or not; Mimir's records.
    RemoteWrite,
    /// Metrics: Influx line protocol.
    Influx,
    /// Metrics: Telegraf's JSON.
    TelegrafJson,
    /// Metrics: Nightingale's list of series in JSON.
    NightingaleMetrics,
    /// Metrics: Open-Falcon's JSON.
    OpenFalcon,
    /// Metrics: Vector's JSON.
    VectorJson,
    /// Metrics: VictoriaMetrics' JSON lines.
    VictoriametricsJson,
    /// Metrics: Prometheus' text format and OpenMetrics.
    PrometheusText,
    /// Metrics: StatsD lines.
    Statsd,
    /// Metrics: Metricbeat's documents.
    Metricbeat,
    /// Metrics: Zabbix' item values.
    ZabbixHistory,
    /// Metrics: name, value and timestamp in an object, in Kafka Connect's envelope or not.
    PlainJson,
    /// Alerts: Alertmanager's webhook, version 4, and Grafana's.
    AlertmanagerWebhook,
    /// Alerts: what Prometheus posts to Alertmanager's API, version 2.
    AlertmanagerApi,
    /// Alerts: Alertmanager's event recorder in JSON.
    AlertmanagerEvents,
    /// Alerts: Alertmanager's event recorder in protobuf.
    AlertmanagerEventsProto,
    /// Changes: CDEvents, in a CloudEvent or bare.
    Cdevents,
    /// Changes: GitHub's `deployment_status`.
    GithubDeploymentStatus,
    /// Changes: Kubernetes events, as an exporter writes them.
    KubernetesEvents,
    /// Alerts or changes: as a mapping says.
    Mapped,
}

/// All formats but the mapped ones, with their kinds and names.
const NAMED: [(Kind, &str, Format); 22] = [
    (Kind::Metrics, "influx", Format::Influx),
    (Kind::Metrics, "metricbeat", Format::Metricbeat),
    (Kind::Metrics, "nightingale", Format::NightingaleMetrics),
    (Kind::Metrics, "open_falcon", Format::OpenFalcon),
    (Kind::Metrics, "otlp_json", Format::OtlpJson),
    (Kind::Metrics, "otlp_proto", Format::OtlpProto),
    (Kind::Metrics, "plain_json", Format::PlainJson),
    (Kind::Metrics, "prometheus_kafka_adapter", Format::PrometheusKafkaAdapter),
    (Kind::Metrics, "prometheus_text", Format::PrometheusText),
    (Kind::Metrics, "remote_write", Format::RemoteWrite),
    (Kind::Metrics, "statsd", Format::Statsd),
    (Kind::Metrics, "telegraf_json", Format::TelegrafJson),
    (Kind::Metrics, "vector_json", Format::VectorJson),
    (Kind::Metrics, "victoriametrics_json", Format::VictoriametricsJson),
    (Kind::Metrics, "zabbix", Format::ZabbixHistory),
    (Kind::Alerts, "alertmanager_api", Format::AlertmanagerApi),
    (Kind::Alerts, "alertmanager_events", Format::AlertmanagerEvents),
    (Kind::Alerts, "alertmanager_events_proto", Format::AlertmanagerEventsProto),
    (Kind::Alerts, "alertmanager_webhook", Format::AlertmanagerWebhook),
    (Kind::Changes, "cdevents", Format::Cdevents),
    (Kind::Changes, "github_deployment_status", Format::GithubDeploymentStatus),
    (Kind::Changes, "kubernetes_events", Format::KubernetesEvents),
];

impl Format {
    /// Whether its times may be bare numbers, of a unit that is to be told.
    pub(super) fn has_bare_times(self) -> bool {
        matches!(self, Self::Auto | Self::Influx | Self::TelegrafJson | Self::PlainJson)
    }

    /// Whether its series are of resources, with attributes of their own.
    pub(super) fn has_resources(self) -> bool {
        matches!(self, Self::Auto | Self::OtlpJson | Self::OtlpProto)
    }

    /// The format of that name for a kind, and its mapping where it is a preset.
    #[must_use]
    pub fn named(kind: Kind, name: &str) -> Option<(Self, Option<Mapping>)> {
        match name {
            "auto" => return Some((Self::Auto, None)),
            "mapped" if matches!(kind, Kind::Alerts | Kind::Changes) => return Some((Self::Mapped, None)),
            _ => {}
        }
        if let Some((_, _, format)) = NAMED.iter().find(|(of, known, _)| *of == kind && *known == name) {
            return Some((*format, None));
        }
        Preset::named(kind, name).ok().map(|preset| (Self::Mapped, Some(preset.mapping)))
    }

    /// The names there are for a kind.
    #[must_use]
    pub fn names(kind: Kind) -> Vec<&'static str> {
        let named = NAMED.iter().filter(|(of, ..)| *of == kind).map(|(_, name, _)| *name);
        let presets = PRESETS.iter().filter(|(of, ..)| *of == kind).map(|(_, name, _)| *name);
        let mapped = matches!(kind, Kind::Alerts | Kind::Changes).then_some("mapped");
        let mut names: Vec<&str> = ["auto"].into_iter().chain(named).chain(presets).chain(mapped).collect();
        names[1..].sort_unstable();
        names
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Mapped => "mapped",
            other => NAMED.iter().find(|(.., format)| *format == other).map_or("", |(_, name, _)| name),
        }
    }

    /// Every format of a kind that has a decoder of its own.
    pub fn of(kind: Kind) -> impl Iterator<Item = Self> {
        NAMED.iter().filter(move |(of, ..)| *of == kind).map(|(.., format)| *format)
    }
}

//! Whatever a series is called and whatever its value: what somebody writes in a format is what is read.

use std::fmt::Write as _;

use proptest::prelude::*;
use richter::model::{Alert, Change, Labels, Signal, Timestamp, Value};
use richter::rules::{Format, Kind};
use richter::wire::decoder::Decoder;
use richter::wire::metrics::{self, Context, Scratch, Sink};
use richter::wire::recording::{self, Recorded};
use richter::wire::{Reject, SeriesBuf, shape};
use serde_json::json;

use super::protobuf;

/// When every record was appended.
const APPENDED: Timestamp = Timestamp(1_800_000_000_000);

/// What one record told.
#[derive(Debug, Default, PartialEq)]
struct Decoded {
    samples: Vec<(Labels, Timestamp, Option<u64>)>,
    refused: Vec<Reject>,
}

impl Sink for Decoded {
    fn sample(&mut self, series: &SeriesBuf, at: Timestamp, value: Value) {
        self.samples.push((series.labels(), at, value.float().map(f64::to_bits)));
    }

    fn refuse(&mut self, reject: Reject) {
        self.refused.push(reject);
    }

    fn skip(&mut self, _: &'static str) {}
}

fn told(format: Format, payload: &[u8]) -> Decoded {
    let (mut told, mut scratch) = (Decoded::default(), Scratch::default());
    let context = Context { appended: APPENDED, unit: None, promote: &[], version: None };
    if let Err(reject) = metrics::decode(format, payload, &context, &mut scratch, &mut told) {
        told.refused.push(reject);
    }
    told
}

/// A sample of a series.
#[derive(Clone, Debug)]
struct Given {
    name: String,
    labels: Vec<(String, String)>,
    seconds: i64,
    value: f64,
}

impl Given {
    /// With the metric's name.
    fn all(&self) -> Vec<(&str, &str)> {
        let labels = self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        std::iter::once(("__name__", self.name.as_str())).chain(labels).collect()
    }

    fn millis(&self) -> i64 {
        self.seconds * 1000
    }

    fn expected(&self) -> Decoded {
        let labels = Labels::of(self.all());
        Decoded { samples: vec![(labels, Timestamp(self.millis()), Some(self.value.to_bits()))], refused: vec![] }
    }

    /// The same with other labels beside.
    fn with(mut self, more: &[(&str, &str)]) -> Self {
        for (name, value) in more {
            self.labels.retain(|(known, _)| known != name);
            self.labels.push(((*name).to_owned(), (*value).to_owned()));
        }
        self
    }

    fn object(&self, all: bool) -> serde_json::Value {
        let labels = self.all().into_iter().skip(usize::from(!all));
        labels.map(|(name, value)| (name.to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into()
    }
}

fn given() -> impl Strategy<Value = Given> {
    with_labels_of("\\PC{1,12}")
}

/// With label values that a format without escapes can write.
fn plain() -> impl Strategy<Value = Given> {
    with_labels_of("[a-zA-Z0-9_./-]{1,12}")
}

fn with_labels_of(values: &'static str) -> impl Strategy<Value = Given> {
    let value = prop_oneof![any::<f64>().prop_filter("a real NaN has no spelling of its own", |v| v.is_finite()), Just(0.0), Just(-0.0)];
    let labels = prop::collection::btree_map("[a-df-z][a-z0-9]{0,7}", values, 0..6);
    ("m[a-z0-9]{0,8}", labels, 1_700_000_000i64..1_799_999_000, value).prop_map(|(name, labels, seconds, value)| Given {
        name,
        labels: labels.into_iter().collect(),
        seconds,
        value,
    })
}

/// An alert as any source may tell it.
fn told_alert() -> impl Strategy<Value = Alert> {
    let labels = prop::collection::btree_map("[a-z][a-z0-9_]{0,7}", "\\PC{1,12}", 1..6);
    let times = (1_700_000_000i64..1_790_000_000, prop::option::of(0i64..9_999_999));
    (labels, "[a-z]\\PC{0,18}[a-z]", times).prop_map(|(labels, summary, (starts_at, lasts))| {
        let labels: Labels = labels.into();
        let (starts_at, ends_at) = (Timestamp(starts_at * 1000), lasts.map(|lasts| Timestamp((starts_at + lasts) * 1000)));
        Alert { fingerprint: labels.fingerprint(), labels, summary, starts_at, ends_at, by_key: false, recalled: false }
    })
}

/// What a record tells, its shape found out.
fn signals(kind: Kind, record: &serde_json::Value) -> Vec<Signal> {
    let (decoder, payload) = (Decoder::new(kind, Format::Auto, None), record.to_string());
    let signals = match kind {
        Kind::Changes => decoder.changes(payload.as_bytes(), &[], APPENDED),
        Kind::Alerts | Kind::Metrics | Kind::Commands => decoder.alerts(payload.as_bytes(), APPENDED),
    };
    let signals = signals.and_then(|parts| parts.into_iter().collect());
    signals.unwrap_or_else(|reject| panic!("{reject:?}: {payload}"))
}

/// Escapes each of the signs.
fn escaped(text: &str, signs: &str) -> String {
    text.chars().fold(String::new(), |mut out, sign| {
        if signs.contains(sign) {
            out.push('\\');
        }
        out.push(sign);
        out
    })
}

/// The same format where its marks are to be found out.
fn found(format: Format, payload: &str) {
    assert_eq!(shape(payload.as_bytes()), Some(format), "{payload}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn prometheus_kafka_adapter(given in given()) {
        let payload = json!({
            "labels": given.object(true), "name": given.name, "timestamp": Timestamp(given.millis()).to_string(),
            "value": given.value.to_string(),
        }).to_string();
        found(Format::PrometheusKafkaAdapter, &payload);
        prop_assert_eq!(told(Format::PrometheusKafkaAdapter, payload.as_bytes()), given.expected());
    }

    #[test]
    fn victoriametrics_and_nightingale(given in given()) {
        let line = json!({"metric": given.object(true), "values": [given.value], "timestamps": [given.millis()]}).to_string();
        found(Format::VictoriametricsJson, &line);
        prop_assert_eq!(told(Format::VictoriametricsJson, line.as_bytes()), given.expected());
        let labels: Vec<_> = given.all().into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let list = json!([{"labels": labels, "samples": [{"value": given.value, "timestamp": given.millis()}]}]).to_string();
        found(Format::NightingaleMetrics, &list);
        prop_assert_eq!(told(Format::NightingaleMetrics, list.as_bytes()), given.expected());
    }

    #[test]
    fn remote_write(given in given()) {
        let mut request = vec![];
        protobuf::remote_write(&mut request, &given.all(), given.millis(), given.value);
        prop_assert_eq!(told(Format::RemoteWrite, &request), given.expected());
        let pressed = snap::raw::Encoder::new().compress_vec(&request).expect("compressed");
        prop_assert_eq!(told(Format::RemoteWrite, &pressed), given.expected());
    }

    #[test]
    fn remote_write_2(given in given(), spare in "\\PC{0,9}") {
        // The first symbol is the empty one; no label refers to the second.
        let mut symbols = vec!["", &spare];
        symbols.extend(given.all().into_iter().flat_map(|(name, value)| [name, value]));
        let mut request = vec![];
        symbols.iter().for_each(|symbol| protobuf::field(&mut request, 4, symbol.as_bytes()));
        protobuf::remote_write_2(&mut request, &(2..symbols.len() as u64).collect::<Vec<_>>(), given.millis(), given.value);
        prop_assert_eq!(told(Format::RemoteWrite, &request), given.expected());
        let pressed = snap::raw::Encoder::new().compress_vec(&request).expect("compressed");
        prop_assert_eq!(told(Format::RemoteWrite, &pressed), given.expected());
    }

    #[test]
    fn telegraf_and_vector(given in given()) {
        let metric = json!({"name": given.name, "fields": {"value": given.value}, "tags": given.object(false), "timestamp": given.seconds});
        for payload in [metric.to_string(), json!({"metrics": [metric]}).to_string()] {
            found(Format::TelegrafJson, &payload);
            prop_assert_eq!(told(Format::TelegrafJson, payload.as_bytes()), given.expected());
        }
        let metric = json!({
            "name": given.name, "tags": given.object(false), "timestamp": Timestamp(given.millis()).to_string(), "kind": "absolute",
            "gauge": {"value": given.value},
        });
        for payload in [metric.to_string(), json!({"metric": metric}).to_string()] {
            found(Format::VectorJson, &payload);
            prop_assert_eq!(told(Format::VectorJson, payload.as_bytes()), given.expected());
        }
    }

    #[test]
    fn zabbix_and_plain_json(given in given(), host in "\\PC{1,12}", itemid: u32) {
        let tags: Vec<_> = given.labels.iter().map(|(tag, value)| json!({"tag": tag, "value": value})).collect();
        let payload = json!({
            "host": {"host": host, "name": host}, "groups": [], "item_tags": tags, "itemid": itemid, "name": given.name,
            "clock": given.seconds, "ns": 0, "value": given.value, "type": 0,
        }).to_string();
        found(Format::ZabbixHistory, &payload);
        let expected = given.clone().with(&[("host", &host), ("itemid", &itemid.to_string())]).expected();
        prop_assume!(!given.labels.iter().any(|(name, _)| name == "host" || name == "itemid"));
        prop_assert_eq!(told(Format::ZabbixHistory, payload.as_bytes()), expected);
        let plain = json!({"name": given.name, "value": given.value, "timestamp": given.millis(), "tags": given.object(false)});
        let around = json!({"schema": {"type": "struct"}, "payload": plain});
        for payload in [plain.to_string(), around.to_string()] {
            found(Format::PlainJson, &payload);
            prop_assert_eq!(told(Format::PlainJson, payload.as_bytes()), given.expected());
        }
    }

    #[test]
    fn open_falcon_and_statsd(given in plain(), endpoint in "[a-z0-9.-]{1,12}") {
        let tags: Vec<String> = given.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let payload = json!([{
            "endpoint": endpoint, "metric": given.name, "timestamp": given.seconds, "step": 60, "value": given.value,
            "counterType": "GAUGE", "tags": tags.join(","),
        }]).to_string();
        found(Format::OpenFalcon, &payload);
        prop_assume!(!given.labels.iter().any(|(name, _)| name == "endpoint"));
        prop_assert_eq!(told(Format::OpenFalcon, payload.as_bytes()), given.clone().with(&[("endpoint", &endpoint)]).expected());
        // It has no time of its own.
        let tags: Vec<String> = given.labels.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        let line = format!("{}:{}|g|#{}\n", given.name, given.value, tags.join(","));
        let now = Given { seconds: APPENDED.0 / 1000, ..given };
        prop_assume!(!now.labels.is_empty());
        prop_assert_eq!(told(Format::Statsd, line.as_bytes()), now.expected());
    }

    #[test]
    fn metricbeat(given in given(), at in prop::collection::vec("\\PC{1,9}", 4)) {
        let payload = json!({
            "@timestamp": Timestamp(given.millis()).to_string(), "agent": {"type": "metricbeat"}, "host": {"name": at[0]},
            "event": {"dataset": at[1]}, "service": {"name": at[2], "address": at[3]}, given.name.as_str(): {"x": given.value},
        }).to_string();
        found(Format::Metricbeat, &payload);
        let labels = ["host", "dataset", "service", "address"].into_iter().zip(at).map(|(name, value)| (name.to_owned(), value));
        let expected = Given { name: format!("{}_x", given.name), labels: labels.collect(), ..given };
        prop_assert_eq!(told(Format::Metricbeat, payload.as_bytes()), expected.expected());
    }

    #[test]
    fn alerts_of_alertmanager(told in told_alert()) {
        let labels: serde_json::Map<_, _> = told.labels.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        let zero = "0001-01-01T00:00:00Z".to_owned();
        let ends_at = told.ends_at.map_or(zero, |at| at.to_string());
        let status = if told.ends_at.is_some() { "resolved" } else { "firing" };
        let alert = json!({
            "status": status, "labels": labels, "annotations": {"summary": told.summary}, "startsAt": told.starts_at.to_string(),
            "endsAt": ends_at, "fingerprint": told.fingerprint.to_string(),
        });
        let webhook = json!({"version": "4", "status": status, "alerts": [alert]});
        let mut posted = alert.clone();
        // The API's alerts fire as long as their end lies ahead.
        posted["endsAt"] = json!(told.ends_at.unwrap_or(Timestamp(APPENDED.0 + 60_000)).to_string());
        let pairs: Vec<_> = labels.iter().map(|(name, value)| json!({"key": name, "value": value})).collect();
        let details = json!({
            "fingerprint": told.fingerprint.0.to_string(), "labels": {"labels": pairs}, "startsAt": alert["startsAt"], "endsAt": alert["endsAt"],
            "annotations": {"labels": [{"key": "summary", "value": told.summary}]}, "resolved": told.ends_at.is_some(),
        });
        let data = if told.ends_at.is_some() {
            json!({"alertResolved": {"alert": {"details": details}}})
        } else {
            json!({"alertCreated": {"alert": details}})
        };
        let recorded = json!({"@timestamp": APPENDED.to_string(), "instance": "a", "data": data});
        for payload in [webhook, json!([posted]), recorded] {
            prop_assert_eq!(signals(Kind::Alerts, &payload), vec![Signal::Alert(told.clone())]);
        }
    }

    #[test]
    fn alerts_of_pagerduty_and_changes_of_cdevents(told in told_alert(), id in "[a-z0-9]{1,9}", service in "[a-z0-9-]{1,9}") {
        let event = json!({
            "routing_key": "k", "event_action": "trigger", "dedup_key": told.fingerprint.to_string(),
            "payload": {"summary": told.summary, "source": service, "severity": "critical", "timestamp": told.starts_at.to_string()},
        });
        match signals(Kind::Alerts, &event).as_slice() {
            [Signal::Alert(alert)] => {
                prop_assert_eq!((alert.fingerprint, &alert.summary), (told.fingerprint, &told.summary));
                prop_assert_eq!((alert.starts_at, alert.ends_at, alert.by_key), (told.starts_at, None, true));
            }
            other => prop_assert!(false, "{other:?}"),
        }
        let at = told.starts_at;
        let event = json!({
            "specversion": "1.0", "type": "dev.cdevents.service.deployed.0.2.0", "id": id, "source": "/ci", "time": at.to_string(),
            "data": {"context": {}, "subject": {"id": service, "content": {"environment": {"id": "prod"}, "artifactId": told.summary}}},
        });
        let change = Change {
            id, source: "/ci".into(), kind: "service.deployed".into(), at, labels: Labels::of([("service", service.as_str()), ("environment", "prod")]),
            summary: told.summary,
        };
        prop_assert_eq!(signals(Kind::Changes, &event), vec![Signal::Change(change)]);
    }

    #[test]
    fn otlp(given in given()) {
        let mut gauge = vec![];
        protobuf::otlp_point(&mut gauge, &given.all()[1..], given.millis(), given.value);
        prop_assert_eq!(told(Format::OtlpProto, &protobuf::otlp(&given.name, &gauge)), given.expected());
        let attributes: Vec<_> =
            given.labels.iter().map(|(name, value)| json!({"key": name, "value": {"stringValue": value}})).collect();
        let point = json!({
            "attributes": attributes, "timeUnixNano": (given.millis() * 1_000_000).to_string(), "asDouble": given.value,
        });
        let metric = json!({"name": given.name, "gauge": {"dataPoints": [point]}});
        let payload = json!({"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"metrics": [metric]}]}]}).to_string();
        found(Format::OtlpJson, &payload);
        prop_assert_eq!(told(Format::OtlpJson, payload.as_bytes()), given.expected());
    }

    #[test]
    fn text_and_influx(given in given()) {
        let labels: Vec<String> =
            given.labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value, "\\\""))).collect();
        let text = format!("{}{{{}}} {} {}\n", given.name, labels.join(","), given.value, given.millis());
        prop_assert_eq!(told(Format::PrometheusText, text.as_bytes()), given.expected());
        // A backslash escapes only what needs it, so one before such a sign cannot be written.
        prop_assume!(!given.labels.iter().any(|(_, value)| value.contains('\\')));
        let mut line = given.name.clone();
        given.labels.iter().for_each(|(name, value)| write!(line, ",{name}={}", escaped(value, " ,=")).expect("written"));
        write!(line, " value={} {}", given.value, given.millis() * 1_000_000).expect("written");
        prop_assert_eq!(told(Format::Influx, line.as_bytes()), given.expected());
    }

    #[test]
    fn recordings(payload in prop::collection::vec(any::<u8>(), 0..60), header in any::<Vec<u8>>(), key in "\\PC{0,9}") {
        // kcat writes bytes as they are, and escapes what JSON must have escaped.
        let characters = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
        let line = json!({
            "topic": "t", "partition": 3, "offset": 7, "ts": 1, "key": characters(key.as_bytes()),
            "headers": ["name", characters(&header)], "payload": characters(&payload),
        });
        let line: Vec<u8> = line.to_string().chars().map(|character| character as u8).collect();
        let given = Recorded {
            topic: "t".into(), partition: 3, offset: 7, ts: Timestamp(1), key: Some(key),
            headers: vec![("name".into(), header)], payload: Some(payload),
        };
        prop_assert_eq!(recording::line(&line), Ok(given));
    }
}

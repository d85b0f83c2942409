//! Whatever a series is called and whatever its value: what somebody writes in a format is what is read.

use std::fmt::Write as _;

use proptest::prelude::*;
use richter::model::{Labels, Timestamp, Value};
use richter::rules::Format;
use richter::wire::metrics::{self, Context, Scratch, Sink};
use richter::wire::recording::{self, Recorded};
use richter::wire::{Reject, SeriesBuf, shape};
use serde_json::json;

use super::protobuf;

/// What one record told.
#[derive(Debug, Default, PartialEq)]
struct Told {
    samples: Vec<(Labels, Timestamp, Option<u64>)>,
    refused: Vec<Reject>,
}

impl Sink for Told {
    fn sample(&mut self, series: &SeriesBuf, at: Timestamp, value: Value) {
        self.samples.push((series.labels(), at, value.float().map(f64::to_bits)));
    }

    fn refuse(&mut self, reject: Reject) {
        self.refused.push(reject);
    }

    fn skip(&mut self, _: &'static str) {}
}

fn told(format: Format, payload: &[u8]) -> Told {
    let (mut told, mut scratch) = (Told::default(), Scratch::default());
    let context = Context { appended: Timestamp(1_800_000_000_000), unit: None, promote: &[], version: None };
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

    fn expected(&self) -> Told {
        let labels = Labels::of(self.all());
        Told { samples: vec![(labels, Timestamp(self.millis()), Some(self.value.to_bits()))], refused: vec![] }
    }

    fn object(&self, all: bool) -> serde_json::Value {
        let labels = self.all().into_iter().skip(usize::from(!all));
        labels.map(|(name, value)| (name.to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into()
    }
}

fn given() -> impl Strategy<Value = Given> {
    let value = prop_oneof![any::<f64>().prop_filter("a real NaN has no spelling of its own", |v| v.is_finite()), Just(0.0), Just(-0.0)];
    let labels = prop::collection::btree_map("[a-df-z][a-z0-9]{0,7}", "\\PC{1,12}", 0..6);
    ("m[a-z0-9]{0,8}", labels, 1_700_000_000i64..1_799_999_000, value).prop_map(|(name, labels, seconds, value)| Given {
        name,
        labels: labels.into_iter().collect(),
        seconds,
        value,
    })
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

//! Records of metrics in memory, in each format. Services are of Zipf-distributed sizes; in the second pass one in a
//! hundred records tells of series that were not there before.

#[path = "../../tests/it/protobuf.rs"]
#[allow(dead_code, reason = "the tests write more than is measured here")]
mod protobuf;

use std::fmt::Write as _;

const START: i64 = 1_790_000_000_000;

/// Series in a record of a format that batches.
const BATCH: usize = 200;

/// How records are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    PrometheusKafkaAdapter,
    TelegrafJson,
    Vector,
    Influx,
    Nightingale,
    OtlpJson,
    OtlpProto,
    RemoteWrite,
}

impl Encoding {
    pub(crate) const ALL: [Self; 8] = [
        Self::PrometheusKafkaAdapter,
        Self::TelegrafJson,
        Self::Vector,
        Self::Influx,
        Self::Nightingale,
        Self::OtlpJson,
        Self::OtlpProto,
        Self::RemoteWrite,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PrometheusKafkaAdapter => "prometheus_kafka_adapter",
            Self::TelegrafJson => "telegraf_json",
            Self::Vector => "vector_json",
            Self::Influx => "influx",
            Self::Nightingale => "nightingale",
            Self::OtlpJson => "otlp_json",
            Self::OtlpProto => "otlp_proto",
            Self::RemoteWrite => "remote_write",
        }
    }

    fn batch(self) -> usize {
        match self {
            Self::PrometheusKafkaAdapter | Self::TelegrafJson | Self::Vector | Self::Influx => 1,
            Self::Nightingale | Self::OtlpJson | Self::OtlpProto | Self::RemoteWrite => BATCH,
        }
    }
}

/// All records, in one buffer.
pub(crate) struct Load {
    bytes: Vec<u8>,
    /// Of each record: where it ends, and how many samples it has.
    records: Vec<(usize, u64)>,
    /// The same for the records that take the place of one in a hundred.
    instead: Vec<(usize, usize)>,
    next: usize,
    through: bool,
    second: bool,
    batch: usize,
}

impl Load {
    pub(crate) fn new(encoding: Encoding, size: usize) -> Self {
        let batch = encoding.batch();
        let series = series(size);
        let mut load = Self { bytes: vec![], records: vec![], instead: vec![], next: 0, through: false, second: false, batch };
        for part in series.chunks(batch) {
            encode(encoding, part, &mut load.bytes);
            load.records.push((load.bytes.len(), part.len() as u64));
        }
        for part in series.chunks(batch).step_by(100) {
            let newer: Vec<Series> = part.iter().map(|series| Series { generation: 1, ..*series }).collect();
            let start = load.bytes.len();
            encode(encoding, &newer, &mut load.bytes);
            load.instead.push((start, load.bytes.len()));
        }
        load
    }

    pub(crate) fn records_per_round(&self, samples: usize) -> usize {
        (samples / self.batch).max(1)
    }

    /// A record, its samples, and when it was appended.
    pub(crate) fn next(&mut self) -> (&[u8], u64, i64) {
        let place = self.next;
        let (end, samples) = self.records[place];
        let start = place.checked_sub(1).map_or(0, |before| self.records[before].0);
        self.next = (place + 1) % self.records.len();
        self.through |= self.next == 0;
        let (start, end) = if self.second && place.is_multiple_of(100) { self.instead[place / 100] } else { (start, end) };
        (&self.bytes[start..end], samples, START)
    }

    pub(crate) fn is_through(&self) -> bool {
        self.through
    }

    /// From here on with the series that replace others.
    pub(crate) fn again(&mut self) {
        (self.next, self.through, self.second) = (0, false, true);
    }
}

#[derive(Clone, Copy)]
struct Series {
    number: usize,
    service: usize,
    generation: u8,
}

/// A service's rank: of the first there are the most.
fn zipf(number: usize, services: usize) -> usize {
    let share = (number as f64 * 0.618_033_988_749_895).fract();
    ((services as f64).powf(share) as usize).min(services) - 1
}

impl Series {
    fn labels(&self) -> Vec<(&'static str, String)> {
        vec![
            ("code", ["200", "404", "500"][self.number % 3].to_owned()),
            ("instance", format!("10.{}.{}.{}:8080", self.generation, self.number / 250 % 250, self.number % 250)),
            ("job", "shop".to_owned()),
            ("service", format!("service-{}", self.service)),
            ("slot", format!("{:07}", self.number)),
        ]
    }

    fn value(&self) -> f64 {
        (self.number % 9973) as f64 + 0.5
    }
}

const TIME: &str = "2026-09-21T14:13:20Z";

fn encode(encoding: Encoding, part: &[Series], bytes: &mut Vec<u8>) {
    match encoding {
        Encoding::PrometheusKafkaAdapter => {
            let series = part[0];
            let labels = json_labels(&series, ",\"__name__\":\"http_requests_total\"");
            let text = format!(
                "{{\"labels\":{{{labels}}},\"name\":\"http_requests_total\",\"timestamp\":\"{TIME}\",\"value\":\"{}\"}}",
                series.value()
            );
            bytes.extend(text.as_bytes());
        }
        Encoding::TelegrafJson => {
            let labels = json_labels(&part[0], "");
            let text = format!(
                "{{\"fields\":{{\"requests\":{}}},\"name\":\"http\",\"tags\":{{{labels}}},\"timestamp\":{}}}",
                part[0].value(),
                START / 1000
            );
            bytes.extend(text.as_bytes());
        }
        Encoding::Vector => {
            let labels = json_labels(&part[0], "");
            let text = format!(
                "{{\"name\":\"requests\",\"namespace\":\"http\",\"tags\":{{{labels}}},\"timestamp\":\"{TIME}\",\"kind\":\"absolute\",\"gauge\":{{\"value\":{}}}}}",
                part[0].value()
            );
            bytes.extend(text.as_bytes());
        }
        Encoding::Influx => {
            let mut text = "http".to_owned();
            part[0].labels().iter().for_each(|(name, value)| write!(text, ",{name}={value}").expect("written"));
            write!(text, " requests={} {}", part[0].value(), START * 1_000_000).expect("written");
            bytes.extend(text.as_bytes());
        }
        Encoding::Nightingale => {
            let series = part.iter().map(|series| {
                let labels = series.labels().into_iter().chain([("__name__", "http_requests_total".to_owned())]);
                let labels: Vec<String> = labels.map(|(name, value)| format!("{{\"name\":\"{name}\",\"value\":\"{value}\"}}")).collect();
                format!("{{\"labels\":[{}],\"samples\":[{{\"value\":{},\"timestamp\":{START}}}]}}", labels.join(","), series.value())
            });
            bytes.extend(format!("[{}]", series.collect::<Vec<_>>().join(",")).as_bytes());
        }
        Encoding::OtlpJson => {
            let points = part.iter().map(|series| {
                let labels = series.labels().into_iter();
                let labels: Vec<String> =
                    labels.map(|(name, value)| format!("{{\"key\":\"{name}\",\"value\":{{\"stringValue\":\"{value}\"}}}}")).collect();
                let (labels, value, nanos) = (labels.join(","), series.value(), START * 1_000_000);
                format!("{{\"attributes\":[{labels}],\"timeUnixNano\":\"{nanos}\",\"asDouble\":{value}}}")
            });
            let points = points.collect::<Vec<_>>().join(",");
            let text = format!(
                "{{\"resourceMetrics\":[{{\"resource\":{{\"attributes\":[]}},\"scopeMetrics\":[{{\"scope\":{{}},\"metrics\":[{{\"name\":\"http.requests\",\"gauge\":{{\"dataPoints\":[{points}]}}}}]}}]}}]}}"
            );
            bytes.extend(text.as_bytes());
        }
        Encoding::OtlpProto => {
            let mut gauge = vec![];
            part.iter().for_each(|series| protobuf::otlp_point(&mut gauge, &borrowed(&series.labels()), START, series.value()));
            bytes.extend(protobuf::otlp("http.requests", &gauge));
        }
        Encoding::RemoteWrite => bytes.extend(remote_write(part, START)),
    }
}

fn remote_write(part: &[Series], at: i64) -> Vec<u8> {
    let mut request = vec![];
    for series in part {
        let labels = series.labels();
        let labels = [vec![("__name__", "http_requests_total")], borrowed(&labels)].concat();
        protobuf::remote_write(&mut request, &labels, at, series.value());
    }
    snap::raw::Encoder::new().compress_vec(&request).expect("compressed")
}

/// One sample of each series at a time, in records of remote write, and when they were appended.
pub(crate) fn at(size: usize, offset: i64) -> (Vec<Vec<u8>>, i64) {
    (series(size).chunks(BATCH).map(|part| remote_write(part, START + offset)).collect(), START + offset)
}

fn series(size: usize) -> Vec<Series> {
    let services = (size / 50).max(10);
    (0..size).map(|number| Series { number, service: zipf(number, services), generation: 0 }).collect()
}

fn borrowed<'l>(labels: &'l [(&'static str, String)]) -> Vec<(&'l str, &'l str)> {
    labels.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn json_labels(series: &Series, more: &str) -> String {
    let labels: Vec<String> = series.labels().iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
    labels.join(",") + more
}

//! Prometheus' remote write, versions 1 and 2, compressed with snappy or not, and Mimir's records, which are the same
//! with a table of common symbols. The fields of the versions do not collide, so one reader reads them all.
//! Source: <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>; Mimir: `pkg/storage/ingest/version.go`.

use std::sync::Arc;

use crate::model::histogram::{BUCKETS_MAX, CUSTOM, Reset};
use crate::model::{Histogram, Value, labels::METRIC_NAME, value::STALE, value::is_stale};
use crate::wire::protobuf::{Fields, Wire, fixed64s, parted, varints, zigzags};
use crate::wire::{RECORD_BYTES_MAX, Reject, SeriesBuf, Unit, instant};

use super::{Context, Scratch, Sink};

/// The record version, told by a header, in which references below [`MIMIR_OFFSET`] are to this table.
const MIMIR_V2: u32 = 2;
const MIMIR_OFFSET: usize = 64;
const MIMIR_SYMBOLS: [&str; 36] = [
    "",
    "__name__",
    "__aggregation__",
    "<aggregated>",
    "le",
    "component",
    "cortex_request_duration_seconds_bucket",
    "storage_operation_duration_seconds_bucket",
    "grafana",
    "asserts_env",
    "asserts_request_context",
    "asserts_source",
    "asserts_entity_type",
    "asserts_request_type",
    "name",
    "image",
    "cluster",
    "namespace",
    "pod",
    "job",
    "instance",
    "container",
    "replicaset",
    "interface",
    "status_code",
    "resource",
    "operation",
    "method",
    "kube-system",
    "kube-system/cadvisor",
    "node-exporter",
    "node-exporter/node-exporter",
    "kube-system/kubelet",
    "kube-system/node-local-dns",
    "kube-state-metrics/kube-state-metrics",
    "default/kubernetes",
];

/// Decodes one record. A series that cannot be read is refused alone.
///
/// # Errors
/// It is no such message.
pub fn decode(payload: &[u8], context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let mut inflated = std::mem::take(&mut scratch.inflated);
    let message = match inflate(payload, context, &mut inflated) {
        Ok(true) => inflated.as_slice(),
        Ok(false) => payload,
        Err(reject) => {
            scratch.inflated = inflated;
            return Err(reject);
        }
    };
    let done = request(message, context, scratch, sink);
    scratch.inflated = inflated;
    done
}

/// Whether it was compressed; then it is in `into`. A message that is not compressed does not pass for one that is.
fn inflate(payload: &[u8], context: &Context<'_>, into: &mut Vec<u8>) -> Result<bool, Reject> {
    if context.version.is_some() {
        // Mimir compresses the batch, not the record.
        return Ok(false);
    }
    let Ok(long) = snap::raw::decompress_len(payload) else { return Ok(false) };
    if long > RECORD_BYTES_MAX {
        // A raw message may look like the beginning of a huge one.
        return if Fields::of(payload).read().is_ok() {
            Ok(false)
        } else {
            Err(Reject::new("too_large", format!("{long} bytes once inflated, at most {RECORD_BYTES_MAX} are read")))
        };
    }
    into.resize(long, 0);
    Ok(snap::raw::Decoder::new().decompress(payload, into).is_ok())
}

fn request(message: &[u8], context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let mut with_symbols = false;
    let mut fields = Fields::of(message);
    while let Some((number, wire)) = fields.read()? {
        let read = match number {
            1 => series_v1(wire.bytes(), scratch, sink),
            5 => {
                if !with_symbols {
                    symbols(message, &mut scratch.table)?;
                    with_symbols = true;
                }
                series_v2(wire.bytes(), message, context, scratch, sink)
            }
            // Metadata, and symbols.
            _ => Ok(()),
        };
        if let Err(reject) = read {
            sink.refuse(reject);
        }
    }
    Ok(())
}

/// Where the symbols lie; those that a series refers to may come after it.
fn symbols(message: &[u8], table: &mut Vec<(u32, u32)>) -> Result<(), Reject> {
    table.clear();
    let mut fields = Fields::of(message);
    while let Some((number, wire)) = fields.read()? {
        if number == 4 {
            let end = message.len() - fields.rest().len();
            let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            table.push((place(end - wire.bytes().len()), place(end)));
        }
    }
    Ok(())
}

fn series_v1(message: &[u8], scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    scratch.series.clear();
    if let Some(parted) = parted(message, 1)? {
        scratch.series.lies_as(&["remote_write"], parted.those);
        if sink.knows(&scratch.series) {
            return parted.others.into_iter().try_for_each(|part| samples(part, 2, 4, scratch, sink));
        }
    }
    let mut fields = Fields::of(message);
    while let Some((number, wire)) = fields.read()? {
        if number == 1 {
            let (mut name, mut value) = ("", "");
            let mut label = Fields::of(wire.bytes());
            while let Some((number, wire)) = label.read()? {
                match number {
                    1 => name = wire.text()?,
                    2 => value = wire.text()?,
                    _ => {}
                }
            }
            scratch.series.label(name, value)?;
        }
    }
    named(&scratch.series)?;
    samples(message, 2, 4, scratch, sink)
}

fn named(series: &SeriesBuf) -> Result<(), Reject> {
    if series.get(METRIC_NAME).is_empty() {
        return Err(Reject::new("no_metric_name", "a series without the label `__name__`"));
    }
    Ok(())
}

fn series_v2(message: &[u8], whole: &[u8], context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    scratch.series.clear();
    let table = &scratch.table;
    let symbol = |reference: u64| -> Result<&str, Reject> {
        let missing = || Reject::new("unknown_symbol", format!("a label refers to symbol {reference}, which is not there"));
        let reference = usize::try_from(reference).map_err(|_| missing())?;
        let place = match context.version {
            Some(MIMIR_V2) if reference < MIMIR_OFFSET => return MIMIR_SYMBOLS.get(reference).copied().ok_or_else(missing),
            Some(MIMIR_V2) => reference - MIMIR_OFFSET,
            _ => reference,
        };
        let (start, end) = *table.get(place).ok_or_else(missing)?;
        let bytes = whole.get(start as usize..end as usize).ok_or_else(missing)?;
        std::str::from_utf8(bytes).map_err(|e| Reject::new("not_text", e.to_string()))
    };
    let mut fields = Fields::of(message);
    while let Some((number, wire)) = fields.read()? {
        if number == 1 {
            let (mut name, mut wrong) = (None, Ok(()));
            varints(wire, |reference| {
                if wrong.is_err() {
                    return;
                }
                match (symbol(reference), name.take()) {
                    (Ok(text), None) => name = Some(text),
                    (Ok(text), Some(name)) => wrong = scratch.series.label(name, text),
                    (Err(reject), _) => wrong = Err(reject),
                }
            })?;
            wrong?;
        }
    }
    named(&scratch.series)?;
    samples(message, 2, 3, scratch, sink)
}

/// Samples and histograms of a series, in the fields of these numbers.
fn samples(message: &[u8], floats: u32, histograms: u32, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let mut fields = Fields::of(message);
    while let Some((number, wire)) = fields.read()? {
        let (value, at) = if number == floats {
            float(wire.bytes())?
        } else if number == histograms {
            histogram(wire.bytes())?
        } else {
            continue;
        };
        match instant("timestamp", at, Unit::Milliseconds) {
            Ok(at) => sink.sample(&scratch.series, at, value),
            Err(reject) => sink.refuse(reject),
        }
    }
    Ok(())
}

fn float(message: &[u8]) -> Result<(Value, i64), Reject> {
    let (mut value, mut at) = (0.0, 0);
    let mut fields = Fields::of(message);
    while let Some((number, wire)) = fields.read()? {
        match number {
            1 => value = wire.double(),
            2 => at = wire.signed(),
            _ => {}
        }
    }
    Ok((Value::Float(value), at))
}

/// Buckets as spans and counts.
#[derive(Default)]
struct Side {
    spans: Vec<(i32, u32)>,
    counts: Vec<f64>,
}

impl Side {
    fn span(&mut self, message: &[u8]) -> Result<(), Reject> {
        let (mut offset, mut length) = (0, 0);
        let mut fields = Fields::of(message);
        while let Some((number, wire)) = fields.read()? {
            match number {
                1 => offset = i32::try_from(wire.zigzag()).unwrap_or(i32::MAX),
                2 => length = u32::try_from(wire.number()).unwrap_or(u32::MAX),
                _ => {}
            }
        }
        self.spans.push((offset, length));
        Ok(())
    }

    /// Successive differences.
    fn deltas(&mut self, wire: Wire<'_>) -> Result<(), Reject> {
        let mut count = 0i64;
        zigzags(wire, |delta| {
            count = count.wrapping_add(delta);
            self.counts.push(count as f64);
        })
    }

    fn counts(&mut self, wire: Wire<'_>) -> Result<(), Reject> {
        fixed64s(wire, |bits| self.counts.push(f64::from_bits(bits)))
    }

    fn buckets(self) -> Result<Vec<(i32, f64)>, Reject> {
        let wrong = || Reject::new("bad_histogram", "spans and buckets do not agree");
        let total: u64 = self.spans.iter().map(|(_, length)| u64::from(*length)).sum();
        if total != self.counts.len() as u64 || self.counts.len() > BUCKETS_MAX {
            return Err(wrong());
        }
        let (mut index, mut counts, mut buckets) = (0i32, self.counts.into_iter(), vec![]);
        for (offset, length) in self.spans {
            index = index.checked_add(offset).ok_or_else(wrong)?;
            for count in counts.by_ref().take(length as usize) {
                if count != 0.0 {
                    buckets.push((index, count));
                }
                index = index.checked_add(1).ok_or_else(wrong)?;
            }
        }
        Ok(buckets)
    }
}

fn histogram(message: &[u8]) -> Result<(Value, i64), Reject> {
    let (mut histogram, mut at, mut schema) = (Histogram::default(), 0, 0);
    let (mut positive, mut negative) = (Side::default(), Side::default());
    let mut fields = Fields::of(message);
    while let Some((number, wire)) = fields.read()? {
        match number {
            1 => histogram.count = wire.number() as f64,
            2 => histogram.count = wire.double(),
            3 => histogram.sum = wire.double(),
            4 => schema = wire.zigzag(),
            5 => histogram.zero_threshold = wire.double(),
            6 => histogram.zero_count = wire.number() as f64,
            7 => histogram.zero_count = wire.double(),
            8 => negative.span(wire.bytes())?,
            9 => negative.deltas(wire)?,
            10 => negative.counts(wire)?,
            11 => positive.span(wire.bytes())?,
            12 => positive.deltas(wire)?,
            13 => positive.counts(wire)?,
            14 => {
                histogram.reset =
                    [Reset::Unknown, Reset::Yes, Reset::No, Reset::Gauge].get(wire.number() as usize).copied().unwrap_or_default()
            }
            15 => at = wire.signed(),
            16 => fixed64s(wire, |bits| histogram.bounds.push(f64::from_bits(bits)))?,
            _ => {}
        }
    }
    if is_stale(histogram.sum) {
        return Ok((Value::Float(STALE), at));
    }
    histogram.schema = i8::try_from(schema)
        .ok()
        .filter(|_| Histogram::knows(schema))
        .ok_or_else(|| Reject::new("bad_histogram", format!("schema {schema}; known are -4 to 8 and {CUSTOM}")))?;
    (histogram.positive, histogram.negative) = (positive.buckets()?, negative.buckets()?);
    if !histogram.is_sound() {
        return Err(Reject::new("bad_histogram", "bounds or buckets out of order"));
    }
    Ok((Value::Histogram(Arc::new(histogram)), at))
}

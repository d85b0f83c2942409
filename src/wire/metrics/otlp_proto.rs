//! OpenTelemetry's metrics in protobuf: `ExportMetricsServiceRequest`, a batch a record.
//! Source: `opentelemetry/proto/metrics/v1/metrics.proto`.

use crate::model::Timestamp;
use crate::wire::Reject;
use crate::wire::protobuf::{Fields, Wire, fixed64s, parted, varints};

use super::otlp::{Classic, Exponential, Kind, Metric, Target, Writer, translated};
use super::{Context, Scratch, Sink};

/// Attributes nested in attributes are followed this deep.
const DEPTH_MAX: usize = 8;

/// Decodes one record. A point that cannot be read is refused alone.
///
/// # Errors
/// It is no such message.
pub fn decode(payload: &[u8], context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let mut fields = Fields::of(payload);
    while let Some((number, wire)) = fields.read()? {
        if number == 1 {
            resource_metrics(wire.bytes(), context, scratch, sink)?;
        }
    }
    Ok(())
}

/// The message in the field of that number, the last one counts; empty where there is none.
fn message(of: &[u8], wanted: u32) -> Result<&[u8], Reject> {
    let (mut fields, mut found): (Fields<'_>, &[u8]) = (Fields::of(of), &[]);
    while let Some((number, wire)) = fields.read()? {
        if number == wanted {
            found = wire.bytes();
        }
    }
    Ok(found)
}

/// A key and the value's message.
fn key_value(message: &[u8]) -> Result<(&str, &[u8]), Reject> {
    let (mut fields, mut key, mut value): (Fields<'_>, &str, &[u8]) = (Fields::of(message), "", &[]);
    while let Some((number, wire)) = fields.read()? {
        match number {
            1 => key = wire.text()?,
            2 => value = wire.bytes(),
            _ => {}
        }
    }
    Ok((key, value))
}

/// A value as a text: borrowed where it is one.
fn any_value<'p>(message: &'p [u8], into: &'p mut String) -> Result<&'p str, Reject> {
    let mut fields = Fields::of(message);
    if let Some((1, wire)) = fields.read()? {
        return wire.text();
    }
    into.clear();
    written(message, into, 0)?;
    Ok(into)
}

fn written(message: &[u8], into: &mut String, depth: usize) -> Result<(), Reject> {
    use std::fmt::Write as _;
    if depth > DEPTH_MAX {
        return Err(Reject::new("too_deep", format!("an attribute nested deeper than {DEPTH_MAX}")));
    }
    let mut fields = Fields::of(message);
    while let Some((number, wire)) = fields.read()? {
        // A text can be written to.
        match number {
            1 if depth == 0 => into.push_str(wire.text()?),
            1 => write!(into, "{:?}", wire.text()?).unwrap_or_default(),
            2 => into.push_str(if wire.number() == 0 { "false" } else { "true" }),
            3 => write!(into, "{}", wire.signed()).unwrap_or_default(),
            4 => write!(into, "{}", wire.double()).unwrap_or_default(),
            5 => elements(wire.bytes(), into, ('[', ']'), |element, into| written(element, into, depth + 1))?,
            6 => elements(wire.bytes(), into, ('{', '}'), |element, into| {
                let (key, value) = key_value(element)?;
                write!(into, "{key:?}:").unwrap_or_default();
                written(value, into, depth + 1)
            })?,
            _ => {}
        }
    }
    Ok(())
}

fn elements(
    message: &[u8],
    into: &mut String,
    (open, close): (char, char),
    mut write: impl FnMut(&[u8], &mut String) -> Result<(), Reject>,
) -> Result<(), Reject> {
    into.push(open);
    let (mut fields, mut first) = (Fields::of(message), true);
    while let Some((number, wire)) = fields.read()? {
        if number == 1 {
            if !std::mem::take(&mut first) {
                into.push(',');
            }
            write(wire.bytes(), into)?;
        }
    }
    into.push(close);
    Ok(())
}

fn resource_metrics(resource_metrics: &[u8], context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let resource = message(resource_metrics, 1)?;
    scratch.series.clear();
    let mut target = Target::default();
    attributes(resource, 1, |key, value| {
        match key {
            "service.name" => target.service = message_text(value)?,
            "service.namespace" => target.namespace = message_text(value)?,
            "service.instance.id" => target.instance = message_text(value)?,
            _ => {}
        }
        if context.promote.iter().any(|name| name == key) {
            scratch.series.begin_spelt(key)?;
            scratch.series.part(any_value(value, &mut scratch.text)?);
            scratch.series.end()?;
        }
        Ok(())
    })?;
    let shared = scratch.series.mark();
    let mut last = None;
    let mut scopes = Fields::of(resource_metrics);
    while let Some((number, scope)) = scopes.read()? {
        if number != 2 {
            continue;
        }
        let mut metrics = Fields::of(scope.bytes());
        while let Some((number, wire)) = metrics.read()? {
            if number == 2 {
                scratch.series.back(shared);
                metric(wire.bytes(), target, scratch, sink, &mut last)?;
            }
        }
    }
    let Some(last) = last else { return Ok(()) };
    scratch.series.back(shared);
    let mut more = false;
    attributes(resource, 1, |key, value| {
        if !matches!(key, "service.name" | "service.namespace" | "service.instance.id") {
            more = true;
            scratch.series.begin_spelt(key)?;
            scratch.series.part(any_value(value, &mut scratch.text)?);
            scratch.series.end()?;
        }
        Ok(())
    })?;
    if more {
        writer(scratch, sink).target_info(target, last)?;
    }
    Ok(())
}

fn writer<'w>(scratch: &'w mut Scratch, sink: &'w mut dyn Sink) -> Writer<'w> {
    Writer { series: &mut scratch.series, sink, text: &mut scratch.bound }
}

/// A text, or nothing where the value is none.
fn message_text(value: &[u8]) -> Result<&str, Reject> {
    match Fields::of(value).read()? {
        Some((1, wire)) => wire.text(),
        _ => Ok(""),
    }
}

fn attributes<'p>(of: &'p [u8], wanted: u32, mut take: impl FnMut(&'p str, &'p [u8]) -> Result<(), Reject>) -> Result<(), Reject> {
    let mut fields = Fields::of(of);
    while let Some((number, wire)) = fields.read()? {
        if number == wanted {
            let (key, value) = key_value(wire.bytes())?;
            take(key, value)?;
        }
    }
    Ok(())
}

fn metric(
    metric: &[u8],
    target: Target<'_>,
    scratch: &mut Scratch,
    sink: &mut dyn Sink,
    last: &mut Option<Timestamp>,
) -> Result<(), Reject> {
    let (mut fields, mut name, mut unit, mut data) = (Fields::of(metric), "", "", None);
    while let Some((number, wire)) = fields.read()? {
        match number {
            1 => name = wire.text()?,
            3 => unit = wire.text()?,
            5 | 7 | 9 | 10 | 11 => data = Some((number, wire.bytes())),
            _ => {}
        }
    }
    let Some((kind, data)) = data else {
        sink.refuse(Reject::new("unknown_metric_type", format!("{name}: data of no type that is known")));
        return Ok(());
    };
    let (mut fields, mut temporality, mut monotonic) = (Fields::of(data), 0, false);
    while let Some((number, wire)) = fields.read()? {
        match number {
            2 => temporality = wire.number(),
            3 => monotonic = wire.number() != 0,
            _ => {}
        }
    }
    let named = match kind {
        5 => Kind::Gauge,
        7 if monotonic => Kind::Counter,
        _ => Kind::Other,
    };
    let mut translation = std::mem::take(&mut scratch.name);
    translated(&mut translation, name, unit, named);
    let read = Metric { name: &translation, target, delta: temporality == 1 };
    let done = points(data, kind, read, scratch, sink, last);
    scratch.name = translation;
    done
}

fn points(
    data: &[u8],
    kind: u32,
    metric: Metric<'_>,
    scratch: &mut Scratch,
    sink: &mut dyn Sink,
    last: &mut Option<Timestamp>,
) -> Result<(), Reject> {
    let shared = scratch.series.mark();
    let mut fields = Fields::of(data);
    while let Some((number, wire)) = fields.read()? {
        if number != 1 {
            continue;
        }
        scratch.series.back(shared);
        let labels = match kind {
            9 => 9,
            10 => 1,
            _ => 7,
        };
        let (known, parts) = if matches!(kind, 5 | 7) { knows(wire, metric, scratch, sink)? } else { (false, [&[][..]; 2]) };
        let attributed = if known { Ok(()) } else { labelled(wire.bytes(), labels, scratch) };
        let read = attributed.and_then(|()| match kind {
            9 => histogram(wire, metric, scratch, sink),
            10 => exponential(wire, metric, scratch, sink),
            11 => summary(wire, metric, scratch, sink),
            _ => self::number(parts, metric, known, scratch, sink),
        });
        match read {
            Ok(at) => *last = (*last).max(Some(at)),
            Err(reject) => sink.refuse(reject),
        }
    }
    Ok(())
}

/// Whether a number's series is known by its attributes as they lie, and the parts of the point where the rest is.
fn knows<'p>(point: Wire<'p>, metric: Metric<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(bool, [&'p [u8]; 2]), Reject> {
    let point = point.bytes();
    let Some(parted) = parted(point, 7)? else { return Ok((false, [point, &[]])) };
    scratch.series.lies_as(&metric.parts("otlp_proto"), parted.those);
    Ok((sink.knows(&scratch.series), parted.others))
}

fn labelled(message: &[u8], attribute: u32, scratch: &mut Scratch) -> Result<(), Reject> {
    attributes(message, attribute, |key, value| {
        scratch.series.begin_spelt(key)?;
        scratch.series.part(any_value(value, &mut scratch.text)?);
        scratch.series.end()
    })
}

fn number(parts: [&[u8]; 2], metric: Metric<'_>, known: bool, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<Timestamp, Reject> {
    let (mut at, mut flags, mut value) = (0, 0, None);
    for mut fields in parts.map(Fields::of) {
        while let Some((number, wire)) = fields.read()? {
            match number {
                3 => at = wire.number(),
                4 => value = Some(wire.double()),
                6 => value = Some(wire.signed() as f64),
                8 => flags = wire.number(),
                _ => {}
            }
        }
    }
    writer(scratch, sink).number(metric, at, flags, value, known)
}

fn histogram(point: Wire<'_>, metric: Metric<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<Timestamp, Reject> {
    let (mut at, mut flags, mut count, mut sum) = (0, 0, 0.0, None);
    let (mut counts, mut bounds) = (std::mem::take(&mut scratch.counts), std::mem::take(&mut scratch.bounds));
    counts.clear();
    bounds.clear();
    let mut fields = Fields::of(point.bytes());
    while let Some((number, wire)) = fields.read()? {
        match number {
            3 => at = wire.number(),
            4 => count = wire.number() as f64,
            5 => sum = Some(wire.double()),
            6 => fixed64s(wire, |bucket| counts.push(bucket as f64))?,
            7 => fixed64s(wire, |bits| bounds.push(f64::from_bits(bits)))?,
            10 => flags = wire.number(),
            _ => {}
        }
    }
    let read = writer(scratch, sink).histogram(metric, at, flags, &Classic { counts: &counts, bounds: &bounds, count, sum });
    (scratch.counts, scratch.bounds) = (counts, bounds);
    read
}

fn exponential(point: Wire<'_>, metric: Metric<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<Timestamp, Reject> {
    let (mut at, mut flags, mut read) = (0, 0, Exponential::default());
    let mut fields = Fields::of(point.bytes());
    while let Some((number, wire)) = fields.read()? {
        match number {
            3 => at = wire.number(),
            4 => read.count = wire.number() as f64,
            5 => read.sum = Some(wire.double()),
            6 => read.scale = wire.zigzag(),
            7 => read.zero_count = wire.number() as f64,
            8 => read.positive = buckets(wire.bytes())?,
            9 => read.negative = buckets(wire.bytes())?,
            10 => flags = wire.number(),
            14 => read.zero_threshold = wire.double(),
            _ => {}
        }
    }
    writer(scratch, sink).exponential(metric, at, flags, &read)
}

fn buckets(message: &[u8]) -> Result<(i64, Vec<f64>), Reject> {
    let (mut offset, mut counts) = (0, vec![]);
    let mut fields = Fields::of(message);
    while let Some((number, wire)) = fields.read()? {
        match number {
            1 => offset = wire.zigzag(),
            2 => varints(wire, |count| counts.push(count as f64))?,
            _ => {}
        }
    }
    Ok((offset, counts))
}

fn summary(point: Wire<'_>, metric: Metric<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<Timestamp, Reject> {
    let (mut at, mut flags, mut count, mut sum, mut quantiles) = (0, 0, 0.0, 0.0, vec![]);
    let mut fields = Fields::of(point.bytes());
    while let Some((number, wire)) = fields.read()? {
        match number {
            3 => at = wire.number(),
            4 => count = wire.number() as f64,
            5 => sum = wire.double(),
            6 => {
                let (mut pair, mut quantile, mut value) = (Fields::of(wire.bytes()), 0.0, 0.0);
                while let Some((number, wire)) = pair.read()? {
                    match number {
                        1 => quantile = wire.double(),
                        2 => value = wire.double(),
                        _ => {}
                    }
                }
                quantiles.push((quantile, value));
            }
            8 => flags = wire.number(),
            _ => {}
        }
    }
    writer(scratch, sink).summary(metric, at, flags, (count, sum), &quantiles)
}

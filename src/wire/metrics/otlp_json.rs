//! OpenTelemetry's metrics in JSON, as the Collector writes them: 64-bit integers and what is not finite as texts,
//! enumerations as numbers or names. Parts are read where they lie, after what they refer to.
//! Source: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.

use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::model::Timestamp;
use crate::wire::Reject;

use super::otlp::{Classic, Exponential, Kind, Metric, Target, Writer, translated};
use super::{Context, Number, Scratch, Sink, Text, list, objects};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow)]
    resource_metrics: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceMetrics<'a> {
    #[serde(borrow, default)]
    resource: Attributed<'a>,
    #[serde(borrow)]
    scope_metrics: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Attributed<'a> {
    #[serde(borrow, default)]
    attributes: SmallVec<[Attribute<'a>; 16]>,
}

#[derive(Deserialize)]
struct Attribute<'a> {
    #[serde(borrow)]
    key: Text<'a>,
    #[serde(borrow)]
    value: Option<AnyValue<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyValue<'a> {
    #[serde(borrow)]
    string_value: Option<Text<'a>>,
    #[serde(borrow)]
    bool_value: Option<Text<'a>>,
    #[serde(borrow)]
    int_value: Option<Text<'a>>,
    #[serde(borrow)]
    double_value: Option<Text<'a>>,
    #[serde(borrow)]
    array_value: Option<&'a RawValue>,
    #[serde(borrow)]
    kvlist_value: Option<&'a RawValue>,
}

impl AnyValue<'_> {
    fn text(&self) -> &str {
        let scalars = [&self.string_value, &self.bool_value, &self.int_value, &self.double_value];
        let nested = || self.array_value.or(self.kvlist_value).map_or("", RawValue::get);
        scalars.into_iter().flatten().next().map_or_else(nested, |text| text.0.as_ref())
    }
}

impl<'a> Attribute<'a> {
    fn text(&self) -> &str {
        self.value.as_ref().map_or("", AnyValue::text)
    }
}

#[derive(Deserialize)]
struct ScopeMetrics<'a> {
    #[serde(borrow)]
    metrics: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMetric<'a> {
    #[serde(borrow, default = "nothing")]
    name: Text<'a>,
    #[serde(borrow, default = "nothing")]
    unit: Text<'a>,
    #[serde(borrow)]
    gauge: Option<Data<'a>>,
    #[serde(borrow)]
    sum: Option<Data<'a>>,
    #[serde(borrow)]
    histogram: Option<Data<'a>>,
    #[serde(borrow)]
    exponential_histogram: Option<Data<'a>>,
    #[serde(borrow)]
    summary: Option<Data<'a>>,
}

fn nothing<'a>() -> Text<'a> {
    Text("".into())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(borrow)]
    data_points: Option<&'a RawValue>,
    #[serde(borrow, default = "nothing")]
    aggregation_temporality: Text<'a>,
    #[serde(default)]
    is_monotonic: bool,
}

/// A point of any kind; what its kind does not have is not there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Point<'a> {
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
    #[serde(borrow, default = "nothing")]
    time_unix_nano: Text<'a>,
    #[serde(default)]
    flags: u64,
    as_double: Option<Number>,
    as_int: Option<Number>,
    count: Option<Number>,
    sum: Option<Number>,
    #[serde(default)]
    bucket_counts: SmallVec<[Number; 16]>,
    #[serde(default)]
    explicit_bounds: SmallVec<[Number; 16]>,
    #[serde(default)]
    scale: i64,
    zero_count: Option<Number>,
    zero_threshold: Option<Number>,
    #[serde(default)]
    positive: Buckets,
    #[serde(default)]
    negative: Buckets,
    #[serde(default)]
    quantile_values: SmallVec<[Quantile; 8]>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Buckets {
    #[serde(default)]
    offset: i64,
    #[serde(default)]
    bucket_counts: Vec<Number>,
}

#[derive(Deserialize)]
struct Quantile {
    #[serde(default = "zero")]
    quantile: Number,
    #[serde(default = "zero")]
    value: Number,
}

fn zero() -> Number {
    Number::Of(0.0)
}

impl Number {
    fn or_nan(self) -> f64 {
        match self {
            Self::Of(value) => value,
            Self::Text => f64::NAN,
        }
    }
}

/// Decodes one record. A point that cannot be read is refused alone.
///
/// # Errors
/// It is not of this shape.
pub fn decode(payload: &[u8], context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let mut done = Ok(());
    objects(payload, |request: Request<'_>| {
        let read = list(request.resource_metrics.get().as_bytes(), |resource: ResourceMetrics<'_>| {
            if let Err(reject) = resource_metrics(&resource, context, scratch, sink) {
                sink.refuse(reject);
            }
        });
        done = std::mem::replace(&mut done, Ok(())).and(read);
    })?;
    done
}

fn resource_metrics(raw: &ResourceMetrics<'_>, context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    scratch.series.clear();
    let attributes = &raw.resource.attributes;
    let of = |key: &str| attributes.iter().find(|attribute| attribute.key.0 == key).map_or("", Attribute::text);
    let target = Target { namespace: of("service.namespace"), service: of("service.name"), instance: of("service.instance.id") };
    for attribute in attributes.iter().filter(|a| context.promote.iter().any(|name| *name == a.key.0)) {
        label(scratch, attribute)?;
    }
    let shared = scratch.series.mark();
    let mut last = None;
    let mut wrong = Ok(());
    if let Some(scopes) = raw.scope_metrics {
        list(scopes.get().as_bytes(), |scope: ScopeMetrics<'_>| {
            let Some(metrics) = scope.metrics else { return };
            let read = list(metrics.get().as_bytes(), |raw: RawMetric<'_>| {
                scratch.series.back(shared);
                if let Err(reject) = metric(&raw, target, scratch, sink, &mut last) {
                    sink.refuse(reject);
                }
            });
            wrong = std::mem::replace(&mut wrong, Ok(())).and(read);
        })?;
    }
    wrong?;
    let identifying = ["service.name", "service.namespace", "service.instance.id"];
    let mut more = attributes.iter().filter(|a| !identifying.contains(&a.key.0.as_ref())).peekable();
    let (Some(last), true) = (last, more.peek().is_some()) else { return Ok(()) };
    scratch.series.back(shared);
    more.try_for_each(|attribute| label(scratch, attribute))?;
    writer(scratch, sink).target_info(target, last)
}

fn label(scratch: &mut Scratch, attribute: &Attribute<'_>) -> Result<(), Reject> {
    scratch.series.begin_spelt(&attribute.key.0)?;
    scratch.series.part(attribute.text());
    scratch.series.end()
}

fn writer<'w>(scratch: &'w mut Scratch, sink: &'w mut dyn Sink) -> Writer<'w> {
    Writer { series: &mut scratch.series, sink, text: &mut scratch.bound }
}

/// What a metric's data are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Number,
    Histogram,
    Exponential,
    Summary,
}

fn metric(
    raw: &RawMetric<'_>,
    target: Target<'_>,
    scratch: &mut Scratch,
    sink: &mut dyn Sink,
    last: &mut Option<Timestamp>,
) -> Result<(), Reject> {
    let data = [
        (&raw.gauge, Type::Number),
        (&raw.sum, Type::Number),
        (&raw.histogram, Type::Histogram),
        (&raw.exponential_histogram, Type::Exponential),
        (&raw.summary, Type::Summary),
    ];
    let found = data.into_iter().find_map(|(data, kind)| data.as_ref().map(|data| (data, kind)));
    let Some((data, kind)) = found else {
        return Err(Reject::new("unknown_metric_type", format!("{}: data of no type that is known", raw.name.0)));
    };
    let named = match &raw.sum {
        _ if raw.gauge.is_some() => Kind::Gauge,
        Some(sum) if sum.is_monotonic => Kind::Counter,
        _ => Kind::Other,
    };
    let mut translation = std::mem::take(&mut scratch.name);
    translated(&mut translation, &raw.name.0, &raw.unit.0, named);
    let delta = matches!(data.aggregation_temporality.0.as_ref(), "1" | "AGGREGATION_TEMPORALITY_DELTA");
    let read = Metric { name: &translation, target, delta };
    let shared = scratch.series.mark();
    let points = data.data_points.map_or(Ok(()), |points| {
        list(points.get().as_bytes(), |point: Point<'_>| {
            scratch.series.back(shared);
            match self::point(&point, kind, read, scratch, sink) {
                Ok(at) => *last = (*last).max(Some(at)),
                Err(reject) => sink.refuse(reject),
            }
        })
    });
    scratch.name = translation;
    points
}

fn point(raw: &Point<'_>, kind: Type, metric: Metric<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<Timestamp, Reject> {
    let attributes = raw.attributes.map_or("", RawValue::get);
    let mut known = false;
    if kind == Type::Number {
        scratch.series.lies_as(&metric.parts("otlp_json"), attributes.as_bytes());
        known = sink.knows(&scratch.series);
    }
    if !known && !attributes.is_empty() {
        let attributes: Option<SmallVec<[Attribute<'_>; 16]>> = serde_json::from_str(attributes).map_err(|e| Reject::json(&e))?;
        attributes.iter().flatten().try_for_each(|attribute| label(scratch, attribute))?;
    }
    let time = raw.time_unix_nano.0.as_ref();
    let at = time.parse().map_err(|_| Reject::new("bad_timestamp", format!("timeUnixNano: {time:?} is no whole number")))?;
    let value = |number: Option<Number>| number.map_or(0.0, Number::or_nan);
    match kind {
        Type::Number => {
            let number = raw.as_double.or(raw.as_int).map(Number::or_nan);
            writer(scratch, sink).number(metric, at, raw.flags, number, known)
        }
        Type::Histogram => {
            let (mut counts, mut bounds) = (std::mem::take(&mut scratch.counts), std::mem::take(&mut scratch.bounds));
            counts.clear();
            bounds.clear();
            counts.extend(raw.bucket_counts.iter().map(|count| count.or_nan()));
            bounds.extend(raw.explicit_bounds.iter().map(|bound| bound.or_nan()));
            let point = Classic { counts: &counts, bounds: &bounds, count: value(raw.count), sum: raw.sum.map(Number::or_nan) };
            let read = writer(scratch, sink).histogram(metric, at, raw.flags, &point);
            (scratch.counts, scratch.bounds) = (counts, bounds);
            read
        }
        Type::Exponential => {
            let side = |side: &Buckets| (side.offset, side.bucket_counts.iter().map(|count| count.or_nan()).collect());
            let point = Exponential {
                scale: raw.scale,
                count: value(raw.count),
                sum: raw.sum.map(Number::or_nan),
                zero_count: value(raw.zero_count),
                zero_threshold: value(raw.zero_threshold),
                positive: side(&raw.positive),
                negative: side(&raw.negative),
            };
            writer(scratch, sink).exponential(metric, at, raw.flags, &point)
        }
        Type::Summary => {
            let quantiles: SmallVec<[(f64, f64); 8]> =
                raw.quantile_values.iter().map(|q| (q.quantile.or_nan(), q.value.or_nan())).collect();
            writer(scratch, sink).summary(metric, at, raw.flags, (value(raw.count), value(raw.sum)), &quantiles)
        }
    }
}

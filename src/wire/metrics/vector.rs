//! Metrics as Vector's `json` and `native_json` codecs write them: one object a metric, its kind named by a key.
//! What is `incremental` is what was added since the last one.

use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::model::{Timestamp, Value};
use crate::wire::{Reject, SeriesBuf, time};

use super::{Context, Number, Scratch, Sink, Text, bound, objects};

/// `native_json` puts the metric under a key of its own.
#[derive(Deserialize)]
struct Metric<'a> {
    #[serde(borrow)]
    metric: Option<Box<Metric<'a>>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    tags: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<Text<'a>>,
    /// Of no interest but for its presence: no other format has it with the rest.
    #[serde(borrow)]
    kind: Option<Text<'a>>,
    counter: Option<Single>,
    gauge: Option<Single>,
    #[serde(borrow)]
    set: Option<Set<'a>>,
    distribution: Option<Distribution>,
    aggregated_histogram: Option<Histogram>,
    aggregated_summary: Option<Summary>,
}

#[derive(Deserialize)]
struct Single {
    value: Number,
}

#[derive(Deserialize)]
struct Set<'a> {
    #[serde(borrow)]
    values: Vec<Text<'a>>,
}

#[derive(Deserialize)]
struct Distribution {
    samples: SmallVec<[Rated; 16]>,
}

#[derive(Deserialize)]
struct Rated {
    value: f64,
    rate: f64,
}

#[derive(Deserialize)]
struct Histogram {
    buckets: SmallVec<[Bucket; 16]>,
    count: f64,
    sum: f64,
}

#[derive(Deserialize)]
struct Bucket {
    upper_limit: Number,
    count: f64,
}

#[derive(Deserialize)]
struct Summary {
    quantiles: SmallVec<[Quantile; 8]>,
    count: f64,
    sum: f64,
}

#[derive(Deserialize)]
struct Quantile {
    quantile: f64,
    value: f64,
}

/// A tag has one value, or several, or none.
struct Tags<'a>(SmallVec<[(Text<'a>, Values<'a>); 16]>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Values<'a> {
    One(#[serde(borrow)] Text<'a>),
    Several(#[serde(borrow)] Vec<Option<Text<'a>>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Tags<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        super::entries(d).map(Self)
    }
}

/// Decodes one record.
///
/// # Errors
/// It is not of this shape.
pub fn decode(payload: &[u8], context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let mut wrong = Ok(());
    objects(payload, |raw: Metric<'_>| {
        let metric = raw.metric.as_deref().unwrap_or(&raw);
        if metric.name.is_none() || metric.kind.is_none() {
            wrong = Err(Reject::new("unexpected_shape", "`name` and `kind` are needed"));
        } else if let Err(reject) = samples(metric, context, scratch, sink) {
            sink.refuse(reject);
        }
    })?;
    wrong
}

fn samples(metric: &Metric<'_>, context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let at = metric.timestamp.as_ref().map_or(Ok(context.appended), |text| time("timestamp", &text.0))?;
    let series = &mut scratch.series;
    series.clear();
    if let Some(Single { value: Number::Of(value) }) = metric.counter.as_ref().or(metric.gauge.as_ref()) {
        series.lies_as(
            &["vector_json", or_empty(metric.namespace.as_ref()), or_empty(metric.name.as_ref())],
            metric.tags.map_or("", RawValue::get).as_bytes(),
        );
        if sink.knows(series) {
            sink.sample(series, at, Value::Float(*value));
            return Ok(());
        }
    }
    let tags: Option<Tags<'_>> = metric.tags.map(|tags| serde_json::from_str(tags.get())).transpose().map_err(|e| Reject::json(&e))?;
    for (name, values) in tags.iter().flat_map(|tags| &tags.0) {
        let value = match values {
            Values::One(value) => Some(value),
            Values::Several(values) => values.iter().flatten().last(),
        };
        if let Some(value) = value {
            scratch.series.begin_spelt(name.0.as_ref())?;
            scratch.series.part(&value.0);
            scratch.series.end()?;
        }
    }
    let mut out = Writer { metric, at, series: &mut scratch.series, sink };
    if let Some(Single { value }) = metric.counter.as_ref().or(metric.gauge.as_ref()) {
        let Number::Of(value) = value else { return Err(Reject::new("bad_value", "value: not a number")) };
        return out.sample("", None, *value);
    }
    if let Some(set) = &metric.set {
        return out.sample("", None, set.values.len() as f64);
    }
    if let Some(distribution) = &metric.distribution {
        let weigh = |weight: fn(&Rated) -> f64| distribution.samples.iter().map(weight).sum();
        out.sample("_count", None, weigh(|s| s.rate))?;
        return out.sample("_sum", None, weigh(|s| s.value * s.rate));
    }
    let mut text = std::mem::take(&mut scratch.bound);
    let read = if let Some(histogram) = &metric.aggregated_histogram {
        out.histogram(histogram, &mut text)
    } else if let Some(summary) = &metric.aggregated_summary {
        out.summary(summary, &mut text)
    } else {
        Err(Reject::new("unknown_metric_type", "a value of no type that is known"))
    };
    scratch.bound = text;
    read
}

fn or_empty<'t>(text: Option<&'t Text<'_>>) -> &'t str {
    text.map_or("", |text| text.0.as_ref())
}

struct Writer<'w, 'm> {
    metric: &'w Metric<'m>,
    at: Timestamp,
    series: &'w mut SeriesBuf,
    sink: &'w mut dyn Sink,
}

impl Writer<'_, '_> {
    fn sample(&mut self, suffix: &str, more: Option<(&str, &str)>, value: f64) -> Result<(), Reject> {
        let mark = self.series.mark();
        self.series.begin_name()?;
        if let Some(namespace) = self.metric.namespace.as_ref().filter(|namespace| !namespace.0.is_empty()) {
            self.series.part_spelt(&namespace.0);
            self.series.part("_");
        }
        self.series.part_spelt(or_empty(self.metric.name.as_ref()));
        self.series.part(suffix);
        self.series.end()?;
        if let Some((label, value)) = more {
            self.series.label(label, value)?;
        }
        self.sink.sample(self.series, self.at, Value::Float(value));
        self.series.back(mark);
        Ok(())
    }

    fn histogram(&mut self, histogram: &Histogram, text: &mut String) -> Result<(), Reject> {
        let (mut below, mut ended) = (0.0, false);
        for bucket in &histogram.buckets {
            let Number::Of(upper) = bucket.upper_limit else { return Err(Reject::new("bad_histogram", "upper_limit: not a number")) };
            below += bucket.count;
            ended |= upper == f64::INFINITY;
            self.sample("_bucket", Some(("le", bound(text, upper))), below)?;
        }
        if !ended {
            self.sample("_bucket", Some(("le", "+Inf")), histogram.count)?;
        }
        self.sample("_sum", None, histogram.sum)?;
        self.sample("_count", None, histogram.count)
    }

    fn summary(&mut self, summary: &Summary, text: &mut String) -> Result<(), Reject> {
        for quantile in &summary.quantiles {
            self.sample("", Some(("quantile", bound(text, quantile.quantile))), quantile.value)?;
        }
        self.sample("_sum", None, summary.sum)?;
        self.sample("_count", None, summary.count)
    }
}

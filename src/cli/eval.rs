//! `richter eval`: a query over recorded samples, one JSON object a result.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use serde_json::{Value as Json, json};

use crate::engine::Evaluation;
use crate::model::{Histogram, Labels, Timestamp, Value, duration};
use crate::query::LOOKBACK;
use crate::rules::{Format, Kind, Source};
use crate::wire::csv::time;
use crate::wire::metrics::{self, Context, Scratch, Sink};
use crate::wire::recording::Recorded;
use crate::wire::{Reject, SeriesBuf, shape};

use super::{Failure, Outcome, config, put, replay, stdout};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The query, in PromQL
    expr: String,
    /// Recordings as `kcat -C -J` prints them
    #[arg(required = true)]
    recordings: Vec<PathBuf>,
    /// The first step: RFC 3339, a day, or seconds since the epoch; the first sample's time where it is missing
    #[arg(long, value_parser = time)]
    start: Option<Timestamp>,
    /// The last step; the last sample's time where it is missing
    #[arg(long, value_parser = time)]
    end: Option<Timestamp>,
    /// From step to step
    #[arg(long, default_value = "1m", value_parser = span)]
    step: Duration,
    /// How far an instant selector looks back
    #[arg(long, value_parser = span)]
    lookback: Option<Duration>,
    /// Settings whose sources say how the topics are written; without them, every topic is taken for metrics in JSON
    #[arg(long)]
    config: Option<PathBuf>,
}

fn span(text: &str) -> Result<Duration, String> {
    duration::parse(text).and_then(|span| if span.is_zero() { Err("0s is no time at all".into()) } else { Ok(span) })
}

/// Samples in order of time, with the series they are of.
#[derive(Default)]
struct Samples {
    series: Vec<Labels>,
    places: BTreeMap<Labels, usize>,
    samples: Vec<(Timestamp, usize, Value)>,
    refused: BTreeMap<&'static str, (u64, String)>,
}

impl Sink for Samples {
    fn sample(&mut self, series: &SeriesBuf, at: Timestamp, value: Value) {
        let next = self.series.len();
        let labels = series.labels();
        let place = *self.places.entry(labels.clone()).or_insert(next);
        if place == next {
            self.series.push(labels);
        }
        self.samples.push((at, place, value));
    }

    fn refuse(&mut self, reject: Reject) {
        self.refused.entry(reject.reason).or_insert((0, reject.detail)).0 += 1;
    }

    fn skip(&mut self, _: &'static str) {}
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let sources = match &arguments.config {
        Some(path) => config(path)?.settings.sources.clone(),
        None => vec![],
    };
    let evaluation = Evaluation::new(&arguments.expr, arguments.step, arguments.lookback.unwrap_or(LOOKBACK));
    let mut evaluation = evaluation.map_err(|refusal| {
        eprintln!("{}", arguments.expr);
        eprintln!("{}^ {}", " ".repeat(arguments.expr[..refusal.offset.min(arguments.expr.len())].chars().count()), refusal.message);
        Failure::No
    })?;
    let mut samples = Samples::default();
    let mut scratch = Scratch::default();
    for path in &arguments.recordings {
        for record in replay::read(path)? {
            decode(&record, &sources, &mut scratch, &mut samples);
        }
    }
    for (reason, (number, detail)) in &samples.refused {
        eprintln!("{number} not read, {reason}: {detail}");
    }
    samples.samples.sort_by_key(|(at, ..)| *at);
    let (Some(first), Some(last)) = (samples.samples.first(), samples.samples.last()) else {
        return Err(Failure::CouldNot(anyhow!("there is no sample in the recordings")));
    };
    let (start, end) = (arguments.start.unwrap_or(first.0), arguments.end.unwrap_or(last.0));
    let reads: Vec<bool> = samples.series.iter().map(|series| evaluation.reads(series)).collect();
    let mut waiting = samples.samples.iter().peekable();
    let mut out = stdout();
    let mut at = start;
    while at <= end {
        while let Some((time, place, value)) = waiting.next_if(|(time, ..)| *time <= at) {
            if reads[*place] {
                evaluation.push(&samples.series[*place], *time, value);
            }
        }
        let outputs = evaluation.step(at).map_err(|unmatched| anyhow!("at {at}: {}", unmatched.0))?;
        for output in outputs {
            let line = json!({"timestamp": at.as_seconds(), "labels": output.labels, "value": written(&output.value)});
            put(&mut out, line.to_string().as_bytes())?;
        }
        at = at + arguments.step;
    }
    out.flush()?;
    Ok(())
}

/// A record's samples; topics of other kinds hold none.
fn decode(record: &Recorded, sources: &[Source], scratch: &mut Scratch, samples: &mut Samples) {
    let source = sources.iter().find(|source| source.topic == record.topic);
    if source.is_some_and(|source| source.kind != Kind::Metrics) || (source.is_none() && !sources.is_empty()) {
        return;
    }
    let headers: Vec<(&str, &[u8])> = record.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let format = source.map_or(Format::Auto, |source| source.format);
    let format = if format == Format::Auto { shape(record.bytes()).unwrap_or(format) } else { format };
    let context = Context {
        appended: record.ts,
        unit: source.and_then(|source| source.unit),
        promote: source.map_or(&[], |source| &source.promote),
        version: metrics::version(&headers),
    };
    if let Err(reject) = metrics::decode(format, record.bytes(), &context, scratch, samples) {
        samples.refuse(reject);
    }
}

/// What JSON has no number for is written as Prometheus writes it.
pub(super) fn written(value: &Value) -> Json {
    let number = |value: f64| match value {
        value if value.is_nan() => json!("NaN"),
        f64::INFINITY => json!("+Inf"),
        f64::NEG_INFINITY => json!("-Inf"),
        value => json!(value),
    };
    match value {
        Value::Float(value) => number(*value),
        Value::Histogram(histogram) => {
            let Histogram { count, sum, .. } = histogram.as_ref();
            let buckets = histogram.buckets();
            let buckets: Vec<Json> = buckets.iter().map(|b| json!([number(b.lower), number(b.upper), number(b.count)])).collect();
            json!({"count": number(*count), "sum": number(*sum), "buckets": buckets})
        }
    }
}

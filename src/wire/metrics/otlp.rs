//! OpenTelemetry's metrics as Prometheus' series: names, labels and types as Prometheus' own OTLP endpoint makes them.
//!
//! `service.namespace/service.name` becomes `job`, `service.instance.id` becomes `instance`, and all other resource
//! attributes go to `target_info`, but for those that are promoted to labels. Deltas are passed on as they are: their sum
//! over a range is `sum_over_time`. Exponential histograms become native ones.
//! Source: <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>.

use std::sync::Arc;

use crate::model::histogram::{BUCKETS_MAX, Reset};
use crate::model::{Histogram, Timestamp, Value, value::STALE};
use crate::wire::{Reject, SeriesBuf, Unit, instant};

use super::{Sink, bound};

/// Bounds that a histogram may have, or quantiles a summary: each makes a series.
const BOUNDS_MAX: usize = 1000;

/// The flag of a data point that says: there is no value.
pub(super) const NO_RECORDED_VALUE: u64 = 1;

/// Where nothing is said of the bucket around zero, it is this wide, as in Prometheus.
const ZERO_THRESHOLD: f64 = 1e-128;

/// The finest resolution that native histograms have; finer ones are made coarser.
const SCALE_MAX: i64 = 8;

/// Units that have a word in a metric's name.
const UNITS: [(&str, &str); 26] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
];

const PER_UNITS: [(&str, &str); 7] =
    [("s", "second"), ("m", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month"), ("y", "year")];

/// What kind of metric a name is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    /// A sum that only grows.
    Counter,
    Other,
}

/// A metric's name in Prometheus, written into `into`.
pub(super) fn translated(into: &mut String, name: &str, unit: &str, kind: Kind) {
    into.clear();
    let (main, per) = unit.split_once('/').map_or((unit, ""), |(main, per)| (main, per));
    let mut word = |word: &str| {
        if word.is_empty() {
            return;
        }
        if !into.is_empty() || word.starts_with(|c: char| c.is_ascii_digit()) {
            into.push('_');
        }
        into.push_str(word);
    };
    let words = || name.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').filter(|word| !word.is_empty());
    let total = kind == Kind::Counter;
    let ratio = kind == Kind::Gauge && unit == "1";
    // A word that is to stand at the end stands there only.
    let moved = |word: &str| (total && word == "total") || (ratio && word == "ratio");
    words().filter(|w| !moved(w)).for_each(&mut word);
    let spelt = |table: &'static [(&'static str, &'static str)], unit: &str| -> Option<&'static str> {
        table.iter().find(|(short, _)| *short == unit).map(|(_, long)| *long)
    };
    let mut unit_word = |unit: &str, long: Option<&str>, before: &str| {
        // What stands in braces is a comment.
        if unit.is_empty() || unit.contains(['{', '}']) {
            return;
        }
        let long = long.unwrap_or(unit);
        if !words().any(|w| w == long) && !long.is_empty() {
            word(before);
            long.split(|c: char| !c.is_ascii_alphanumeric()).for_each(&mut word);
        }
    };
    unit_word(main.trim(), spelt(&UNITS, main.trim()), "");
    unit_word(per.trim(), spelt(&PER_UNITS, per.trim()), "per");
    if total {
        word("total");
    }
    if ratio {
        word("ratio");
    }
}

/// What identifies who measured.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Target<'p> {
    pub(super) namespace: &'p str,
    pub(super) service: &'p str,
    pub(super) instance: &'p str,
}

/// A metric that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric<'m> {
    pub(super) name: &'m str,
    pub(super) target: Target<'m>,
    /// Each point tells what was added since the one before.
    pub(super) delta: bool,
}

impl Metric<'_> {
    /// What a point's series has besides its attributes.
    pub(super) fn parts<'s>(&'s self, format: &'s str) -> [&'s str; 5] {
        [format, self.name, self.target.namespace, self.target.service, self.target.instance]
    }
}

/// Writes points as samples; the point's attributes are in the buffer already.
pub(super) struct Writer<'w> {
    pub(super) series: &'w mut SeriesBuf,
    pub(super) sink: &'w mut dyn Sink,
    pub(super) text: &'w mut String,
}

impl Writer<'_> {
    fn target(&mut self, target: Target<'_>) -> Result<(), Reject> {
        if !target.service.is_empty() {
            self.series.begin("job")?;
            if !target.namespace.is_empty() {
                self.series.part(target.namespace);
                self.series.part("/");
            }
            self.series.part(target.service);
            self.series.end()?;
        }
        self.series.label("instance", target.instance)
    }

    fn sample(&mut self, name: &[&str], more: Option<(&str, &str)>, at: Timestamp, value: Value) -> Result<(), Reject> {
        let mark = self.series.mark();
        self.series.name(name)?;
        if let Some((label, value)) = more {
            self.series.label(label, value)?;
        }
        self.sink.sample(self.series, at, value);
        self.series.back(mark);
        Ok(())
    }

    /// Says who there is: the attributes have been written.
    pub(super) fn target_info(&mut self, target: Target<'_>, at: Timestamp) -> Result<(), Reject> {
        if target.service.is_empty() && target.instance.is_empty() {
            return Ok(());
        }
        self.target(target)?;
        self.sample(&["target_info"], None, at, Value::Float(1.0))
    }

    /// A number; none where there is no value. Of a series that the sink knows already, no label need be there.
    pub(super) fn number(&mut self, metric: Metric<'_>, at: u64, flags: u64, value: Option<f64>, known: bool) -> Result<Timestamp, Reject> {
        let at = when(at)?;
        let value = match value {
            _ if flags & NO_RECORDED_VALUE != 0 => STALE,
            Some(value) => value,
            None => return Err(Reject::new("missing_value", format!("{}: a point without a value", metric.name))),
        };
        if known {
            self.sink.sample(self.series, at, Value::Float(value));
        } else {
            self.target(metric.target)?;
            self.sample(&[metric.name], None, at, Value::Float(value))?;
        }
        Ok(at)
    }

    /// A histogram with bounds, as the series of its buckets.
    pub(super) fn histogram(&mut self, metric: Metric<'_>, at: u64, flags: u64, point: &Classic<'_>) -> Result<Timestamp, Reject> {
        let at = when(at)?;
        if !point.counts.is_empty() && point.counts.len() != point.bounds.len() + 1 {
            let detail = format!("{}: {} buckets between {} bounds", metric.name, point.counts.len(), point.bounds.len());
            return Err(Reject::new("bad_histogram", detail));
        }
        if point.bounds.len() > BOUNDS_MAX {
            let detail = format!("{}: {} bounds, at most {BOUNDS_MAX} are read", metric.name, point.bounds.len());
            return Err(Reject::new("bad_histogram", detail));
        }
        if !point.bounds.is_sorted_by(|one, next| one < next) {
            return Err(Reject::new("bad_histogram", format!("{}: its bounds do not increase", metric.name)));
        }
        let stale = flags & NO_RECORDED_VALUE != 0;
        let value = |value: f64| Value::Float(if stale { STALE } else { value });
        self.target(metric.target)?;
        let mut text = std::mem::take(self.text);
        let mut below = 0.0;
        let bounds = point.bounds.iter().copied().chain([f64::INFINITY]);
        for (upper, count) in bounds.zip(point.counts.iter().copied().chain(std::iter::repeat(0.0))) {
            below += count;
            let all = if upper == f64::INFINITY { point.count } else { below };
            self.sample(&[metric.name, "_bucket"], Some(("le", bound(&mut text, upper))), at, value(all))?;
        }
        *self.text = text;
        if let Some(sum) = point.sum {
            self.sample(&[metric.name, "_sum"], None, at, value(sum))?;
        }
        self.sample(&[metric.name, "_count"], None, at, value(point.count))?;
        Ok(at)
    }

    /// Quantiles, a sum and a count.
    pub(super) fn summary(
        &mut self,
        metric: Metric<'_>,
        at: u64,
        flags: u64,
        (count, sum): (f64, f64),
        quantiles: &[(f64, f64)],
    ) -> Result<Timestamp, Reject> {
        let at = when(at)?;
        if quantiles.len() > BOUNDS_MAX {
            let detail = format!("{}: {} quantiles, at most {BOUNDS_MAX} are read", metric.name, quantiles.len());
            return Err(Reject::new("bad_histogram", detail));
        }
        let stale = flags & NO_RECORDED_VALUE != 0;
        let value = |value: f64| Value::Float(if stale { STALE } else { value });
        self.target(metric.target)?;
        let mut text = std::mem::take(self.text);
        for (quantile, of) in quantiles {
            self.sample(&[metric.name], Some(("quantile", bound(&mut text, *quantile))), at, value(*of))?;
        }
        *self.text = text;
        self.sample(&[metric.name, "_sum"], None, at, value(sum))?;
        self.sample(&[metric.name, "_count"], None, at, value(count))?;
        Ok(at)
    }

    /// An exponential histogram, as a native one.
    pub(super) fn exponential(&mut self, metric: Metric<'_>, at: u64, flags: u64, point: &Exponential) -> Result<Timestamp, Reject> {
        let at = when(at)?;
        let value =
            if flags & NO_RECORDED_VALUE != 0 { Value::Float(STALE) } else { Value::Histogram(Arc::new(point.native(metric.delta)?)) };
        self.target(metric.target)?;
        self.sample(&[metric.name], None, at, value)?;
        Ok(at)
    }
}

/// A histogram's counts, one more than there are bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Classic<'p> {
    pub(super) counts: &'p [f64],
    pub(super) bounds: &'p [f64],
    pub(super) count: f64,
    pub(super) sum: Option<f64>,
}

/// An exponential histogram's point.
#[derive(Clone, Debug, Default)]
pub(super) struct Exponential {
    pub(super) scale: i64,
    pub(super) count: f64,
    pub(super) sum: Option<f64>,
    pub(super) zero_count: f64,
    pub(super) zero_threshold: f64,
    pub(super) positive: (i64, Vec<f64>),
    pub(super) negative: (i64, Vec<f64>),
}

impl Exponential {
    fn native(&self, delta: bool) -> Result<Histogram, Reject> {
        let schema = self.scale.min(SCALE_MAX);
        if !Histogram::knows(schema) || schema < -4 {
            return Err(Reject::new("bad_histogram", format!("scale {}; -4 is the coarsest that is read", self.scale)));
        }
        let shift = u32::try_from(self.scale - schema).unwrap_or(u32::MAX);
        let histogram = Histogram {
            schema: i8::try_from(schema).unwrap_or(0),
            zero_threshold: if self.zero_threshold > 0.0 { self.zero_threshold } else { ZERO_THRESHOLD },
            zero_count: self.zero_count,
            count: self.count,
            sum: self.sum.unwrap_or(f64::NAN),
            positive: buckets(&self.positive, shift)?,
            negative: buckets(&self.negative, shift)?,
            bounds: vec![],
            reset: if delta { Reset::Gauge } else { Reset::Unknown },
        };
        if histogram.is_sound() { Ok(histogram) } else { Err(Reject::new("bad_histogram", "buckets out of range")) }
    }
}

/// A bucket's index here counts its upper bound, one more than OpenTelemetry's.
fn buckets((offset, counts): &(i64, Vec<f64>), shift: u32) -> Result<Vec<(i32, f64)>, Reject> {
    if counts.len() > BUCKETS_MAX || shift > 31 {
        return Err(Reject::new("bad_histogram", format!("{} buckets, at most {BUCKETS_MAX} are read", counts.len())));
    }
    let mut merged: Vec<(i32, f64)> = vec![];
    for (number, count) in counts.iter().enumerate().filter(|(_, count)| **count != 0.0) {
        let index = offset.saturating_add(i64::try_from(number).unwrap_or(i64::MAX)) >> shift;
        let index = i32::try_from(index + 1).map_err(|_| Reject::new("bad_histogram", "buckets out of range"))?;
        match merged.last_mut().filter(|last| last.0 == index) {
            Some(last) => last.1 += count,
            None => merged.push((index, *count)),
        }
    }
    Ok(merged)
}

fn when(nanoseconds: u64) -> Result<Timestamp, Reject> {
    instant("time_unix_nano", i64::try_from(nanoseconds).unwrap_or(i64::MAX), Unit::Nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_prometheus_makes() {
        let name = |name: &str, unit: &str, kind| {
            let mut text = String::new();
            translated(&mut text, name, unit, kind);
            text
        };
        assert_eq!(name("http.server.requests", "{request}", Kind::Counter), "http_server_requests_total");
        assert_eq!(name("process.cpu.utilization", "1", Kind::Gauge), "process_cpu_utilization_ratio");
        assert_eq!(name("http.server.request.duration", "s", Kind::Other), "http_server_request_duration_seconds");
        assert_eq!(name("disk.io", "By/s", Kind::Gauge), "disk_io_bytes_per_second");
        assert_eq!(name("jobs_total.done", "", Kind::Counter), "jobs_done_total");
        assert_eq!(name("queue.seconds", "s", Kind::Gauge), "queue_seconds");
    }
}

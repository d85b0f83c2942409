//! StatsD lines, with DogStatsD's tags, packed values and times: `name:value:value|type|@rate|#tag:value|Tseconds`. Counters are
//! what was added since the last one. A sample without a time has that of its record, and a series has one sample at a time, so
//! what a record tells of one series becomes one: counters are added up, of a gauge the last value counts, of timings their mean.
//! Source: <https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/>.

use std::collections::BTreeMap;

use crate::model::{Labels, Timestamp, Value};
use crate::wire::{Reject, SeriesBuf, Unit, instant};

use super::{Context, Scratch, Sink, parse};

/// What was told of a series at one time.
struct Sum {
    series: SeriesBuf,
    kind: Kind,
    /// Of all values.
    sum: f64,
    values: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Counter,
    Gauge,
    Timing,
}

/// What a record tells, by time and series: tags come in any order.
type Sums = BTreeMap<(Timestamp, Labels, Kind), Sum>;

/// Decodes one record. A line that cannot be read is refused alone.
///
/// # Errors
/// It is no text.
pub fn decode(payload: &[u8], context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let text = std::str::from_utf8(payload).map_err(|e| Reject::new("not_text", e.to_string()))?;
    let mut all = Sums::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Err(reject) = take(line, context, &mut scratch.series, &mut all) {
            sink.refuse(reject);
        }
    }
    for ((at, ..), told) in all {
        let value = if told.kind == Kind::Timing { told.sum / told.values } else { told.sum };
        sink.sample(&told.series, at, Value::Float(value));
    }
    Ok(())
}

fn take(line: &str, context: &Context<'_>, series: &mut SeriesBuf, all: &mut Sums) -> Result<(), Reject> {
    let bad = |why: &str| Reject::new("bad_line", format!("{why}: {:?}", line.chars().take(120).collect::<String>()));
    let (name, rest) = line.split_once(':').ok_or_else(|| bad("no value"))?;
    let mut parts = rest.split('|');
    let values = parts.next().unwrap_or_default();
    let kind = match parts.next().unwrap_or_default() {
        "c" => Kind::Counter,
        "g" => Kind::Gauge,
        "ms" | "h" | "d" => Kind::Timing,
        kind => return Err(Reject::new("unknown_metric_type", format!("type {kind:?}"))),
    };
    series.clear();
    series.begin_name()?;
    series.part_spelt(name);
    series.end()?;
    let (mut rate, mut at, mut tagged) = (1.0, context.appended, false);
    for part in parts {
        if let Some(tags) = part.strip_prefix('#') {
            tagged = true;
            for (name, value) in tags.split(',').map(|tag| tag.split_once(':').unwrap_or((tag, "true"))) {
                series.begin_spelt(name)?;
                series.part(value);
                series.end()?;
            }
        } else if let Some(sampled) = part.strip_prefix('@') {
            rate = parse(sampled).filter(|rate| *rate > 0.0 && *rate <= 1.0).ok_or_else(|| bad("the rate is none"))?;
        } else if let Some(seconds) = part.strip_prefix('T') {
            at = instant("T", seconds.parse().map_err(|_| bad("the time is no whole number of seconds"))?, Unit::Seconds)?;
        }
    }
    // DogStatsD, which alone has tags, knows no relative gauges.
    if kind == Kind::Gauge && !tagged && values.starts_with(['+', '-']) {
        return Err(Reject::new("relative_gauge", format!("{values:?} changes a gauge whose value only its sender knows")));
    }
    let values: Vec<f64> = values.split(':').map(parse).collect::<Option<_>>().ok_or_else(|| bad("the value is no number"))?;
    let of = || Sum { series: series.clone(), kind, sum: 0.0, values: 0.0 };
    let told = all.entry((at, series.labels(), kind)).or_insert_with(of);
    for value in values {
        match kind {
            Kind::Counter => told.sum += value / rate,
            Kind::Gauge => told.sum = value,
            Kind::Timing => told.sum += value,
        }
        told.values += 1.0;
    }
    Ok(())
}

//! Samples with everything that goes wrong: gaps, resets, NaN, infinities, staleness, jitter, series that come and go.

use std::sync::Arc;
use std::time::Duration;

use richter::model::{Histogram, Labels, Timestamp, Value, value::STALE, value::is_stale};
use serde_json::{Value as Json, json};

use super::random::Random;

const START: i64 = 1_790_000_000_000;
const MINUTES: i64 = 50;
pub(crate) const STEP: Duration = Duration::from_secs(60);

/// All of it.
pub(crate) struct World {
    pub(crate) series: Vec<(Labels, Vec<(Timestamp, Value)>)>,
}

impl World {
    pub(crate) fn new(random: &mut Random) -> Self {
        let mut world = Self { series: vec![] };
        for job in ["a", "b", "c"] {
            for instance in ["1", "2", "3"] {
                let both = [("job", job), ("instance", instance)];
                for code in ["200", "500"] {
                    world.add("counter", &[both[0], both[1], ("code", code)], random, counter);
                }
                world.add("gauge", &both, random, gauge);
                world.add("small", &[both[0], both[1], ("zone", if instance == "1" { "x" } else { "y" })], random, small);
                world.classic(job, instance, random);
                world.add("native", &both, random, native);
            }
        }
        for instance in ["1", "2", "3"] {
            world.add("info", &[("instance", instance), ("version", if instance == "3" { "v2" } else { "v1" })], random, |_, _, _| {
                Value::Float(1.0)
            });
        }
        world.series.sort_by(|a, b| a.0.cmp(&b.0));
        world
    }

    fn add(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        random: &mut Random,
        mut next: impl FnMut(&mut Random, usize, Option<&Value>) -> Value,
    ) {
        let labels = Labels::of(labels.iter().copied().chain([("__name__", name)]));
        let (every, mut at) =
            (*[15_000, 15_000, 30_000, 60_000].get(random.below(4) as usize).expect("one"), START + random.below(15_000) as i64);
        let (begins, ends) = if random.chance(20) { (random.below(1_200_000) as i64, 1_500_000) } else { (0, MINUTES * 60_000) };
        let mut points: Vec<(Timestamp, Value)> = vec![];
        let mut last: Option<Value> = None;
        while at < START + MINUTES * 60_000 {
            if random.chance(2) {
                at += random.below(8) as i64 * every;
            }
            at += every + if random.chance(30) { random.below(400) as i64 } else { 0 };
            if at - START < begins || at - START > ends {
                continue;
            }
            let value = next(random, points.len(), last.as_ref());
            last = Some(value.clone());
            points.push((Timestamp(at), if random.chance(1) { Value::Float(STALE) } else { value }));
        }
        self.series.push((labels, points));
    }

    /// The buckets of one histogram grow together.
    fn classic(&mut self, job: &str, instance: &str, random: &mut Random) {
        let bounds = ["0.1", "0.5", "1", "5", "+Inf"];
        let mut counts = [0.0; 5];
        let mut series: Vec<Vec<(Timestamp, Value)>> = vec![vec![]; 5];
        let mut at = START + random.below(15_000) as i64;
        while at < START + MINUTES * 60_000 {
            at += 15_000;
            if random.chance(1) {
                counts = [0.0; 5];
            }
            for _ in 0..random.below(8) {
                let place = random.below(5) as usize;
                counts[place..].iter_mut().for_each(|count| *count += 1.0);
            }
            for (points, count) in series.iter_mut().zip(counts) {
                points.push((Timestamp(at), Value::Float(count)));
            }
        }
        for (le, points) in bounds.into_iter().zip(series) {
            self.series.push((Labels::of([("__name__", "classic_bucket"), ("job", job), ("instance", instance), ("le", le)]), points));
        }
    }

    /// The times at which expressions are evaluated.
    pub(crate) fn steps(&self) -> impl Iterator<Item = Timestamp> {
        (2..MINUTES + 8).map(|minute| Timestamp(START + minute * 60_000))
    }

    /// As the reference reads it.
    pub(crate) fn json(&self) -> String {
        let series: Vec<Json> = self
            .series
            .iter()
            .map(|(labels, points)| json!({"labels": labels, "points": points.iter().map(point).collect::<Vec<Json>>()}))
            .collect();
        let (first, last) = (self.steps().next().expect("a step").0, self.steps().last().expect("a step").0);
        json!({"start": first, "end": last, "step": STEP.as_millis() as i64, "series": series}).to_string()
    }
}

fn point((at, value): &(Timestamp, Value)) -> Json {
    match value {
        Value::Float(value) if is_stale(*value) => json!({"t": at.0, "v": "stale"}),
        Value::Float(value) => json!({"t": at.0, "v": text(*value)}),
        Value::Histogram(histogram) => json!({"t": at.0, "h": {
            "Schema": histogram.schema, "ZeroThreshold": histogram.zero_threshold, "ZeroCount": histogram.zero_count,
            "Count": histogram.count, "Sum": histogram.sum,
            "PositiveSpans": spans(&histogram.positive), "PositiveBuckets": counts(&histogram.positive),
            "NegativeSpans": spans(&histogram.negative), "NegativeBuckets": counts(&histogram.negative),
        }}),
    }
}

/// As Go reads it.
fn text(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".into(),
        f64::INFINITY => "+Inf".into(),
        f64::NEG_INFINITY => "-Inf".into(),
        value => format!("{value:e}"),
    }
}

fn spans(buckets: &[(i32, f64)]) -> Vec<Json> {
    let mut next = 0;
    let span = |(index, _): &(i32, f64)| {
        let offset = index - next;
        next = index + 1;
        json!({"Offset": offset, "Length": 1})
    };
    buckets.iter().map(span).collect()
}

fn counts(buckets: &[(i32, f64)]) -> Vec<f64> {
    buckets.iter().map(|(_, count)| *count).collect()
}

fn number(last: Option<&Value>) -> f64 {
    last.and_then(Value::float).unwrap_or(0.0)
}

fn counter(random: &mut Random, _: usize, last: Option<&Value>) -> Value {
    let reset = random.chance(2);
    Value::Float(if reset { random.below(10) as f64 } else { number(last) + (random.share() * 50.0).floor() })
}

fn gauge(random: &mut Random, _: usize, _: Option<&Value>) -> Value {
    Value::Float(match random.below(60) {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => -1e12 * random.share(),
        _ => (random.share() - 0.3) * 100.0,
    })
}

fn small(random: &mut Random, _: usize, last: Option<&Value>) -> Value {
    Value::Float(if random.chance(60) { number(last) } else { random.below(4) as f64 })
}

fn native(random: &mut Random, seen: usize, last: Option<&Value>) -> Value {
    let mut histogram = match last {
        Some(Value::Histogram(last)) if !random.chance(2) => last.as_ref().clone(),
        _ => Histogram { schema: if seen.is_multiple_of(2) { 1 } else { 2 }, zero_threshold: 0.001, ..Histogram::default() },
    };
    for _ in 0..random.below(6) {
        let index = random.below(12) as i32 - 4;
        let count = (1 + random.below(3)) as f64;
        histogram.count += count;
        histogram.sum += count * f64::from(index).exp2();
        if random.chance(5) {
            histogram.zero_count += count;
            continue;
        }
        let side = if random.chance(85) { &mut histogram.positive } else { &mut histogram.negative };
        match side.binary_search_by_key(&index, |(i, _)| *i) {
            Ok(place) => side[place].1 += count,
            Err(place) => side.insert(place, (index, count)),
        }
    }
    Value::Histogram(Arc::new(histogram))
}

//! What we say, what Prometheus says, and whether it is the same.

use std::collections::BTreeMap;

use richter::engine::Evaluation;
use richter::model::{Histogram, Labels, Timestamp, Value};
use richter::query::LOOKBACK;
use serde_json::Value as Json;

use super::world::{STEP, World};

/// The results of an expression, or why there are none.
pub(crate) enum Answer {
    Points(BTreeMap<(Labels, Timestamp), Value>),
    Refused(String),
    Failed(String),
}

/// How two of them compare.
pub(crate) struct Verdict {
    pub(crate) kind: &'static str,
    pub(crate) detail: String,
    pub(crate) points: usize,
    pub(crate) equal: usize,
}

/// A line of the reference.
pub(crate) fn told(line: &str) -> Answer {
    let answer: Json = serde_json::from_str(line).expect("JSON");
    if let Some(error) = answer["error"].as_str() {
        return Answer::Failed(error.to_owned());
    }
    let mut points = BTreeMap::new();
    for series in answer["series"].as_array().expect("a list") {
        let labels: Labels =
            series["labels"].as_object().into_iter().flatten().map(|(n, v)| (n.clone(), v.as_str().expect("text").to_owned())).collect();
        for point in series["points"].as_array().expect("a list") {
            let value = match point["v"].as_str() {
                Some(text) => Value::Float(text.parse().expect("a number")),
                None => Value::Histogram(histogram(&point["h"]).into()),
            };
            points.insert((labels.clone(), Timestamp(point["t"].as_i64().expect("a time"))), value);
        }
    }
    Answer::Points(points)
}

fn histogram(json: &Json) -> Histogram {
    let number = |key: &str| json[key].as_f64().unwrap_or(0.0);
    let side = |spans: &str, buckets: &str| {
        let counts: Vec<f64> = json[buckets].as_array().into_iter().flatten().map(|b| b.as_f64().expect("a count")).collect();
        let (mut index, mut counts, mut side) = (0, counts.into_iter(), vec![]);
        for span in json[spans].as_array().into_iter().flatten() {
            index += span["Offset"].as_i64().expect("an offset") as i32;
            for _ in 0..span["Length"].as_u64().expect("a length") {
                side.push((index, counts.next().expect("a bucket")));
                index += 1;
            }
        }
        side
    };
    let mut histogram = Histogram {
        schema: number("Schema") as i8,
        zero_threshold: number("ZeroThreshold"),
        zero_count: number("ZeroCount"),
        count: number("Count"),
        sum: number("Sum"),
        positive: side("PositiveSpans", "PositiveBuckets"),
        negative: side("NegativeSpans", "NegativeBuckets"),
        ..Histogram::default()
    };
    histogram.compact();
    histogram
}

/// What we say.
pub(crate) fn ours(world: &World, expression: &str) -> Answer {
    let mut evaluation = match Evaluation::new(expression, STEP, LOOKBACK) {
        Ok(evaluation) => evaluation,
        Err(refusal) => return Answer::Refused(refusal.message),
    };
    let read: Vec<&(Labels, Vec<(Timestamp, Value)>)> = world.series.iter().filter(|(labels, _)| evaluation.reads(labels)).collect();
    let mut samples: Vec<(Timestamp, &Labels, &Value)> =
        read.iter().flat_map(|(labels, points)| points.iter().map(move |(at, value)| (*at, labels, value))).collect();
    samples.sort_by_key(|(at, ..)| *at);
    let mut waiting = samples.into_iter().peekable();
    let mut points = BTreeMap::new();
    for step in world.steps() {
        while let Some((at, labels, value)) = waiting.next_if(|(at, ..)| *at <= step) {
            evaluation.push(labels, at, value);
        }
        match evaluation.step(step) {
            Ok(outputs) => points.extend(outputs.into_iter().map(|output| ((output.labels, step), output.value))),
            Err(unmatched) => return Answer::Failed(unmatched.0),
        }
    }
    Answer::Points(points)
}

/// Compares.
pub(crate) fn verdict(ours: &Answer, theirs: &Answer) -> Verdict {
    let of = |kind, detail: String| Verdict { kind, detail, points: 0, equal: 0 };
    match (ours, theirs) {
        (Answer::Failed(_), Answer::Failed(_)) => of("agrees: fails", String::new()),
        (Answer::Refused(why), Answer::Points(_)) => of("refused", why.clone()),
        (Answer::Refused(_), _) => of("agrees: not taken", String::new()),
        // There all of an expression fails where vectors do not match; here what is kept apart fails apart.
        (Answer::Points(_), Answer::Failed(why)) if why.contains("found duplicate series for the match group") => {
            of("explained: fails apart", String::new())
        }
        (Answer::Points(_), Answer::Failed(why)) => of("differs", format!("Prometheus fails: {why}")),
        (Answer::Failed(why), Answer::Points(_)) => of("differs", format!("we fail: {why}")),
        (_, Answer::Refused(_)) => of("differs", "Prometheus refuses".into()),
        (Answer::Points(ours), Answer::Points(theirs)) => points(ours, theirs),
    }
}

fn points(ours: &BTreeMap<(Labels, Timestamp), Value>, theirs: &BTreeMap<(Labels, Timestamp), Value>) -> Verdict {
    let mut wrong = None;
    let (mut count, mut equal) = (0, 0);
    for key in ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key))) {
        count += 1;
        let (a, b) = (ours.get(key), theirs.get(key));
        if a.zip(b).is_some_and(|(a, b)| same(a, b)) {
            equal += 1;
        } else if wrong.is_none() {
            wrong = Some(format!("{} at {}: ours {a:?}, Prometheus {b:?}", key.0, key.1));
        }
    }
    let kind = match (&wrong, count) {
        (Some(_), _) => "differs",
        (None, 0) => "agrees: no result",
        (None, _) => "agrees",
    };
    Verdict { kind, detail: wrong.unwrap_or_default(), points: count, equal }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => close(*a, *b),
        (Value::Histogram(a), Value::Histogram(b)) => {
            let mut a = a.as_ref().clone();
            a.compact();
            let side =
                |a: &[(i32, f64)], b: &[(i32, f64)]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && close(a.1, b.1));
            a.schema == b.schema
                && close(a.zero_threshold, b.zero_threshold)
                && close(a.zero_count, b.zero_count)
                && close(a.count, b.count)
                && close(a.sum, b.sum)
                && side(&a.positive, &b.positive)
                && side(&a.negative, &b.negative)
        }
        _ => false,
    }
}

fn close(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

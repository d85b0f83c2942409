//! Aggregations: the elements of a vector, by groups.
//! Source: `aggregation` and `aggregationK` in `promql/engine.go` of Prometheus 3.

use std::collections::HashMap;

use crate::model::{Fingerprint, Histogram, Labels, Timestamp, Value};

use super::cell::{Output, Unmatched};
use super::eval::Eval;
use super::node::{Aggregate, AggregateOp};
use super::quantile::quantile;
use super::sum::{Mean, Sum};

/// One group's elements so far.
struct Group {
    labels: Labels,
    sampled: Timestamp,
    members: Vec<Output>,
}

impl Eval<'_> {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate, at: Timestamp) -> Result<Vec<Output>, Unmatched> {
        let parameter = aggregate.parameter.as_ref().map(|node| self.number(node, at)).transpose()?.unwrap_or(f64::NAN);
        let mut operand = self.vector(&aggregate.operand, at)?;
        if matches!(aggregate.op, AggregateOp::TopK | AggregateOp::BottomK) {
            // Of equals the first one stays, in the order in which Prometheus has its series.
            operand.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        let groups = self.grouped(aggregate, operand);
        match &aggregate.op {
            AggregateOp::TopK | AggregateOp::BottomK => {
                if parameter.is_nan() {
                    return Err(Unmatched("the number of elements is not a number".into()));
                }
                let smallest = aggregate.op == AggregateOp::BottomK;
                Ok(groups.into_iter().flat_map(|group| first_k(group.members, parameter, smallest)).collect())
            }
            AggregateOp::CountValues(label) => Ok(groups.into_iter().flat_map(|group| counted(group, label)).collect()),
            op => Ok(groups.into_iter().filter_map(|group| folded(op, group, parameter)).collect()),
        }
    }

    fn grouped(&mut self, aggregate: &Aggregate, operand: Vec<Output>) -> Vec<Group> {
        let mut groups: Vec<Group> = vec![];
        let mut places: HashMap<Fingerprint, usize> = HashMap::new();
        for output in operand {
            let labels = self.memo.made(aggregate.site, output.labels.fingerprint(), || aggregate.by.of(&output.labels));
            let place = if groups.len() == 1 && groups[0].labels == labels {
                0
            } else {
                *places.entry(labels.fingerprint()).or_insert(groups.len())
            };
            if place == groups.len() {
                groups.push(Group { labels, sampled: output.sampled, members: vec![] });
            }
            groups[place].sampled = groups[place].sampled.max(output.sampled);
            groups[place].members.push(output);
        }
        groups
    }
}

fn folded(op: &AggregateOp, group: Group, parameter: f64) -> Option<Output> {
    let Group { labels, sampled, members } = group;
    let value = match op {
        AggregateOp::Count => Value::Float(members.len() as f64),
        AggregateOp::Group => Value::Float(1.0),
        AggregateOp::Sum | AggregateOp::Avg if members.iter().any(|o| o.value.float().is_none()) => {
            Value::Histogram(sum_of_histograms(&members, *op == AggregateOp::Avg)?.into())
        }
        _ => Value::Float(of_numbers(op, &members, parameter)?),
    };
    Some(Output { labels, sampled, value, divisor: None })
}

/// Numbers and histograms do not add up, nor do histograms of two kinds.
fn sum_of_histograms(members: &[Output], mean: bool) -> Option<Histogram> {
    let mut sum: Option<Histogram> = None;
    for member in members {
        let Value::Histogram(histogram) = &member.value else { return None };
        sum = Some(match sum {
            None => histogram.as_ref().clone(),
            Some(sum) => sum.plus(histogram).ok()?,
        });
    }
    let mut sum = sum?;
    if mean {
        sum = sum.over(members.len() as f64);
    }
    sum.compact();
    Some(sum)
}

/// Of numbers alone; histograms are left out.
fn of_numbers(op: &AggregateOp, members: &[Output], parameter: f64) -> Option<f64> {
    let mut numbers = members.iter().filter_map(|o| o.value.float());
    let first = numbers.next()?;
    Some(match op {
        AggregateOp::Sum => {
            let mut sum = Sum::of(first);
            numbers.for_each(|value| sum.add(value));
            sum.raw()
        }
        AggregateOp::Avg => {
            let mut mean = Mean::of(first);
            numbers.for_each(|value| mean.add(value));
            mean.mean()
        }
        AggregateOp::Min => numbers.fold(first, |min, value| if min > value || min.is_nan() { value } else { min }),
        AggregateOp::Max => numbers.fold(first, |max, value| if max < value || max.is_nan() { value } else { max }),
        AggregateOp::Quantile => quantile(parameter, [first].into_iter().chain(numbers).collect()),
        AggregateOp::Stdvar => variance(first, numbers),
        AggregateOp::Stddev => variance(first, numbers).sqrt(),
        AggregateOp::Count | AggregateOp::Group | AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::CountValues(_) => return None,
    })
}

/// Welford's method.
fn variance(first: f64, rest: impl Iterator<Item = f64>) -> f64 {
    let mut squares = if first.is_finite() { 0.0 } else { f64::NAN };
    let (mut count, mut mean) = (1.0, first);
    for value in rest {
        count += 1.0;
        let delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
    }
    squares / count
}

fn counted(group: Group, label: &str) -> Vec<Output> {
    let (mut counts, mut places): (Vec<(String, f64)>, HashMap<String, usize>) = (vec![], HashMap::new());
    for value in group.members.iter().filter_map(|o| o.value.float()) {
        let text = text(value);
        let place = *places.entry(text.clone()).or_insert(counts.len());
        match counts.get_mut(place) {
            Some((_, count)) => *count += 1.0,
            None => counts.push((text, 1.0)),
        }
    }
    let output = |(value, count): (String, f64)| Output {
        labels: group.labels.with(label, &value),
        sampled: group.sampled,
        value: Value::Float(count),
        divisor: None,
    };
    counts.into_iter().map(output).collect()
}

/// A number as Go writes it, without an exponent.
fn text(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    value.to_string()
}

/// The k largest, or smallest, kept in a heap whose first is the next to go: which of equals goes is as in Prometheus.
fn first_k(members: Vec<Output>, k: f64, smallest: bool) -> Vec<Output> {
    let most = (k as i64).min(members.len() as i64);
    let Ok(most @ 1..) = usize::try_from(most) else { return vec![] };
    let goes_first = |a: f64, b: f64| a.is_nan() || if smallest { a > b } else { a < b };
    let mut heap: Vec<(f64, Output)> = Vec::with_capacity(most);
    for output in members {
        let Some(value) = output.value.float() else { continue };
        if heap.len() < most {
            heap.push((value, output));
            sift_up(&mut heap, &goes_first);
        } else if goes_first(heap[0].0, value) && !(heap[0].0.is_nan() && value.is_nan()) {
            heap[0] = (value, output);
            sift_down(&mut heap, &goes_first);
        }
    }
    heap.into_iter().map(|(_, output)| output).collect()
}

/// Source: `up` in Go's `container/heap`.
fn sift_up(heap: &mut [(f64, Output)], less: &impl Fn(f64, f64) -> bool) {
    let mut at = heap.len() - 1;
    while at > 0 {
        let parent = (at - 1) / 2;
        if !less(heap[at].0, heap[parent].0) {
            break;
        }
        heap.swap(at, parent);
        at = parent;
    }
}

/// Source: `down` in Go's `container/heap`, from the first.
fn sift_down(heap: &mut [(f64, Output)], less: &impl Fn(f64, f64) -> bool) {
    let mut at = 0;
    loop {
        let (left, right) = (2 * at + 1, 2 * at + 2);
        if left >= heap.len() {
            break;
        }
        let child = if right < heap.len() && less(heap[right].0, heap[left].0) { right } else { left };
        if !less(heap[child].0, heap[at].0) {
            break;
        }
        heap.swap(at, child);
        at = child;
    }
}

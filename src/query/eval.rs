//! The evaluation of a plan over a cell, at one step.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::model::{Fingerprint, Labels, Timestamp, Value};

use super::cell::{Cell, Output, Series, Unmatched};
use super::node::{HistogramFunction, Node, RangeNode, Relabel, Site, Source};
use super::plan::is_name;
use super::quantile::{fraction_of_classic, fraction_of_native, of_classic, of_native, variance_of_native};
use super::range::Range;
use super::{Query, Running, Window};

/// Labels made of labels that are remembered; beyond it all are forgotten.
const MEMO_MAX: usize = 1 << 18;

/// Labels that operators have made of others, so that they are made once. It changes nothing but the time taken.
#[derive(Debug, Default)]
pub struct Memo(HashMap<(Site, Fingerprint), Labels>);

impl Memo {
    pub(super) fn made(&mut self, site: Site, of: Fingerprint, make: impl FnOnce() -> Labels) -> Labels {
        if self.0.len() >= MEMO_MAX {
            self.0.clear();
        }
        self.0.entry((site, of)).or_insert_with(make).clone()
    }
}

pub(super) struct Eval<'e> {
    pub(super) query: &'e Query,
    pub(super) cell: &'e mut Cell,
    pub(super) memo: &'e mut Memo,
    /// Of the share that the query is, where it is one: what there was counted without any of those that are looked for.
    pub(super) none: Vec<Output>,
}

type Vector = Result<Vec<Output>, Unmatched>;

impl Eval<'_> {
    /// A vector at that time. All parts of it are evaluated, also where one is unmatched: what is kept of a range goes on from step to
    /// step.
    pub(super) fn vector(&mut self, node: &Node, at: Timestamp) -> Vector {
        match node {
            Node::Number(_) | Node::Time | Node::Scalar(_) => self.nameless(node, at),
            Node::Vector(operand) => self.nameless(operand, at),
            Node::Select { leaf, offset } => Ok(self.select(*leaf, at - *offset)),
            Node::Range(range) => self.range(range, at),
            Node::Negate(operand, site) => {
                let operand = self.vector(operand, at)?;
                self.mapped(operand, *site, |value| match value {
                    Value::Float(value) => Some(Value::Float(-value)),
                    Value::Histogram(histogram) => Some(Value::Histogram(histogram.times(-1.0).into())),
                })
            }
            Node::Binary(binary) => self.binary(binary, at),
            Node::Aggregate(aggregate) => self.aggregate(aggregate, at),
            Node::Map { function, operand: None, .. } => {
                let value = function.apply(at.as_seconds(), &[]).map(Value::Float);
                Ok(value.into_iter().map(|value| Output { labels: Labels::default(), sampled: at, value, divisor: None }).collect())
            }
            Node::Map { function, operand: Some(operand), parameters, site } => {
                let (operand, parameters) = (self.vector(operand, at), self.numbers(parameters, at));
                let (operand, parameters) = (operand?, parameters?);
                self.mapped(operand, *site, |value| function.apply(value.float()?, &parameters).map(Value::Float))
            }
            Node::Timestamp { operand, site } => {
                let sampled = matches!(operand.as_ref(), Node::Select { .. });
                let mut operand = self.vector(operand, at)?;
                operand.iter_mut().for_each(|o| o.value = Value::Float(if sampled { o.sampled } else { at }.as_seconds()));
                self.mapped(operand, *site, |value| Some(value.clone()))
            }
            Node::Histogram { function, parameters, operand, site } => {
                let (operand, parameters) = (self.vector(operand, at), self.numbers(parameters, at));
                self.histogram(*function, &parameters?, operand?, *site)
            }
            Node::Absent { operand, labels } => {
                let there = !self.vector(operand, at)?.is_empty();
                let one = Output { labels: labels.clone(), sampled: at, value: Value::Float(1.0), divisor: None };
                Ok(if there { vec![] } else { vec![one] })
            }
            Node::Relabel { operand, relabel, site } => {
                let operand = self.vector(operand, at)?;
                self.relabelled(operand, relabel, *site)
            }
        }
    }

    /// A number at that time.
    pub(super) fn number(&mut self, node: &Node, at: Timestamp) -> Result<f64, Unmatched> {
        match node {
            Node::Number(value) => Ok(*value),
            Node::Time => Ok(at.as_seconds()),
            Node::Scalar(operand) => {
                let floats: Vec<f64> = self.vector(operand, at)?.iter().filter_map(|o| o.value.float()).collect();
                Ok(if let [one] = floats.as_slice() { *one } else { f64::NAN })
            }
            Node::Negate(operand, _) => Ok(-self.number(operand, at)?),
            Node::Binary(binary) => {
                let (left, right) = (self.number(&binary.left, at), self.number(&binary.right, at));
                Ok(super::binary::of_numbers(binary.op, left?, right?))
            }
            Node::Vector(_)
            | Node::Select { .. }
            | Node::Range(_)
            | Node::Aggregate(_)
            | Node::Map { .. }
            | Node::Timestamp { .. }
            | Node::Histogram { .. }
            | Node::Absent { .. }
            | Node::Relabel { .. } => Ok(f64::NAN),
        }
    }

    fn numbers(&mut self, nodes: &[Node], at: Timestamp) -> Result<Vec<f64>, Unmatched> {
        let numbers: Vec<Result<f64, Unmatched>> = nodes.iter().map(|node| self.number(node, at)).collect();
        numbers.into_iter().collect()
    }

    fn nameless(&mut self, node: &Node, at: Timestamp) -> Vector {
        let value = Value::Float(self.number(node, at)?);
        Ok(vec![Output { labels: Labels::default(), sampled: at, value, divisor: None }])
    }

    fn select(&mut self, leaf: usize, at: Timestamp) -> Vec<Output> {
        let lookback = self.query.lookback;
        let series = self.cell.leaves[leaf].iter();
        let seen = series.filter_map(|series| Some((&series.labels, series.window.instant(at, lookback)?)));
        seen.map(|(labels, (sampled, value))| Output { labels: labels.clone(), sampled, value, divisor: None }).collect()
    }

    fn range(&mut self, node: &RangeNode, at: Timestamp) -> Vector {
        let parameters = self.numbers(&node.parameters, at);
        let until = at - node.offset;
        let evaluated = match &node.source {
            Source::Leaf(_) => Ok(()),
            Source::Sub { place, inner, step } => self.subquery(node, *place, inner, *step, until),
        };
        let mut taken = std::mem::take(self.series_of(&node.source));
        let numbers = parameters.as_deref().unwrap_or_default();
        let mut outputs = Vec::with_capacity(taken.len());
        for series in &mut taken {
            let Series { window, running, .. } = series;
            let running = node.running.and_then(|place| running.get_mut(place)).map(|running| {
                running.advance(window, until - node.range, until);
                &*running
            });
            let range = Range { window, until, range: node.range, now: at };
            if let Some((sampled, value)) = range.apply(node.function, numbers, running) {
                outputs.push(Output { labels: series.labels.clone(), sampled, value, divisor: None });
            }
        }
        *self.series_of(&node.source) = taken;
        parameters.and(evaluated)?;
        if node.function.keeps_name() {
            return Ok(outputs);
        }
        self.mapped(outputs, node.site, |value| Some(value.clone()))
    }

    fn series_of(&mut self, source: &Source) -> &mut Vec<Series> {
        match source {
            Source::Leaf(leaf) => &mut self.cell.leaves[*leaf],
            Source::Sub { place, .. } => &mut self.cell.subs[*place].series,
        }
    }

    /// Evaluates a subquery at the steps since the last time.
    fn subquery(&mut self, node: &RangeNode, place: usize, inner: &Node, step: Duration, until: Timestamp) -> Result<(), Unmatched> {
        let after = until - node.range;
        let mut at = after.next_multiple(step);
        if let Some(done) = self.cell.subs[place].done {
            at = at.max(done.next_multiple(step));
        }
        let mut index: HashMap<Labels, usize> =
            self.cell.subs[place].series.iter().enumerate().map(|(number, series)| (series.labels.clone(), number)).collect();
        let mut all = Ok(());
        while at <= until {
            self.cell.subs[place].done = Some(at);
            let outputs = self.vector(inner, at).unwrap_or_else(|unmatched| {
                all = Err(unmatched);
                vec![]
            });
            for output in outputs {
                let series = &mut self.cell.subs[place].series;
                let number = *index.entry(output.labels.clone()).or_insert(series.len());
                if number == series.len() {
                    let running = node.running.and_then(|_| Running::of(node.function)).into_iter().collect();
                    series.push(Series {
                        fingerprint: output.labels.fingerprint(),
                        labels: output.labels,
                        window: Window::default(),
                        running,
                    });
                }
                series[number].window.push(at, output.value);
            }
            at = at + step;
        }
        // What leaves a range is looked at once more where a state is kept.
        let kept = if node.running.is_some() { after - self.query.every } else { after };
        self.cell.subs[place].series.retain_mut(|series| {
            series.window.forget(kept);
            !series.window.is_empty()
        });
        all
    }

    /// Another value for each; the metric's name goes with the old one.
    pub(super) fn mapped(&mut self, operand: Vec<Output>, site: Site, value: impl Fn(&Value) -> Option<Value>) -> Vector {
        let mut mapped = Vec::with_capacity(operand.len());
        for output in operand {
            let Some(value) = value(&output.value) else { continue };
            mapped.push(Output { labels: self.unnamed(site, output.labels), value, ..output });
        }
        if self.query.ambiguous {
            all_different(&mapped)?;
        }
        Ok(mapped)
    }

    pub(super) fn unnamed(&mut self, site: Site, labels: Labels) -> Labels {
        if !labels.iter().any(|(name, _)| is_name(name)) {
            return labels;
        }
        self.memo.made(site, labels.fingerprint(), || labels.filtered(|name| !is_name(name)))
    }

    fn relabelled(&mut self, operand: Vec<Output>, relabel: &Relabel, site: Site) -> Vector {
        let mut outputs = Vec::with_capacity(operand.len());
        for output in operand {
            let labels = self.memo.made(site, output.labels.fingerprint(), || relabel.apply(&output.labels));
            outputs.push(Output { labels, ..output });
        }
        all_different(&outputs)?;
        Ok(outputs)
    }

    fn histogram(&mut self, function: HistogramFunction, parameters: &[f64], operand: Vec<Output>, site: Site) -> Vector {
        let parameter = |place: usize| parameters.get(place).copied().unwrap_or(f64::NAN);
        let (natives, floats): (Vec<Output>, Vec<Output>) = operand.into_iter().partition(|o| o.value.float().is_none());
        let native = |value: &Value| {
            let Value::Histogram(histogram) = value else { return None };
            Some(Value::Float(match function {
                HistogramFunction::Quantile => of_native(parameter(0), histogram),
                HistogramFunction::Fraction => fraction_of_native(parameter(0), parameter(1), histogram),
                HistogramFunction::Count => histogram.count,
                HistogramFunction::Sum => histogram.sum,
                HistogramFunction::Avg => histogram.sum / histogram.count,
                HistogramFunction::Stddev => variance_of_native(histogram).sqrt(),
                HistogramFunction::Stdvar => variance_of_native(histogram),
            }))
        };
        let classic = matches!(function, HistogramFunction::Quantile | HistogramFunction::Fraction);
        let classics = self.classics(floats.iter().filter(|_| classic), site);
        // A classic and a native histogram of one name: neither is told.
        let classic_names: BTreeSet<Labels> = classics.iter().map(|classic| classic.labels.clone()).collect();
        let twice: BTreeSet<Labels> = natives.iter().map(|o| o.labels.clone()).filter(|labels| classic_names.contains(labels)).collect();
        let natives = natives.into_iter().filter(|o| !twice.contains(&o.labels)).collect();
        let mut outputs = self.mapped(natives, site + 1, native)?;
        for Classic { labels, sampled, buckets } in classics.into_iter().filter(|classic| !twice.contains(&classic.labels)) {
            let value = match function {
                HistogramFunction::Fraction => fraction_of_classic(parameter(0), parameter(1), buckets),
                _ => of_classic(parameter(0), buckets),
            };
            outputs.push(Output { labels: labels.filtered(|name| !is_name(name)), sampled, value: Value::Float(value), divisor: None });
        }
        Ok(outputs)
    }

    /// Histograms whose buckets are series, put together.
    fn classics<'o>(&mut self, floats: impl Iterator<Item = &'o Output>, site: Site) -> Vec<Classic> {
        let mut classics: Vec<Classic> = vec![];
        let mut places: HashMap<Labels, usize> = HashMap::new();
        for output in floats {
            let (Some(count), Some(bound)) = (output.value.float(), bound(output.labels.get("le"))) else { continue };
            // The name tells histograms apart, and goes when they are made one.
            let labels = self.memo.made(site, output.labels.fingerprint(), || output.labels.filtered(|name| name != "le"));
            let place = *places.entry(labels.clone()).or_insert(classics.len());
            if place == classics.len() {
                classics.push(Classic { labels, sampled: output.sampled, buckets: vec![] });
            }
            classics[place].sampled = classics[place].sampled.max(output.sampled);
            classics[place].buckets.push((bound, count));
        }
        classics
    }
}

/// A histogram whose buckets are series, each an upper bound and a count.
struct Classic {
    labels: Labels,
    sampled: Timestamp,
    buckets: Vec<(f64, f64)>,
}

/// A bucket's upper bound, as Go reads numbers.
fn bound(text: &str) -> Option<f64> {
    let bound: f64 = text.parse().ok()?;
    (!bound.is_nan()).then_some(bound)
}

/// As in Prometheus, a vector has no two elements with the same labels.
pub(super) fn all_different(outputs: &[Output]) -> Result<(), Unmatched> {
    if outputs.len() < 2 {
        return Ok(());
    }
    let mut seen: Vec<(Fingerprint, &Labels)> = outputs.iter().map(|output| (output.labels.fingerprint(), &output.labels)).collect();
    seen.sort_unstable_by_key(|(fingerprint, _)| *fingerprint);
    match seen.windows(2).find(|pair| pair[0].1 == pair[1].1) {
        Some(twice) => Err(Unmatched(format!("a vector has two elements {}", twice[0].1))),
        None => Ok(()),
    }
}

impl Relabel {
    fn apply(&self, labels: &Labels) -> Labels {
        match self {
            Self::Replace { to, with, from, pattern } => match pattern.captures(labels.get(from)) {
                Some(captures) => {
                    let mut value = String::new();
                    captures.expand(with, &mut value);
                    labels.with(to, &value)
                }
                None => labels.clone(),
            },
            Self::Join { to, separator, from } => {
                let values: Vec<&str> = from.iter().map(|name| labels.get(name)).collect();
                labels.with(to, &values.join(separator))
            }
        }
    }
}

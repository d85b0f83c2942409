//! Operators between two operands: arithmetic, comparisons and sets, with Prometheus' matching of vectors.
//! Source: `VectorBinop` and its neighbours in `promql/engine.go` of Prometheus 3.

use std::collections::HashMap;

use crate::model::{Fingerprint, Labels, Timestamp, Value};

use super::cell::{Output, Unmatched};
use super::eval::Eval;
use super::node::{Binary, Cardinality, Operator};
use super::plan::is_name;

/// What two elements come to, and whether a comparison lets it through.
struct Compared {
    value: Value,
    holds: bool,
}

impl Eval<'_> {
    pub(super) fn binary(&mut self, binary: &Binary, at: Timestamp) -> Result<Vec<Output>, Unmatched> {
        if binary.left.is_scalar() {
            let (number, vector) = (self.number(&binary.left, at), self.vector(&binary.right, at));
            return Ok(self.with_number(binary, vector?, number?, true));
        }
        if binary.right.is_scalar() {
            let (vector, number) = (self.vector(&binary.left, at), self.number(&binary.right, at));
            return Ok(self.with_number(binary, vector?, number?, false));
        }
        let (left, right) = (self.vector(&binary.left, at), self.vector(&binary.right, at));
        let (left, right) = (left?, right?);
        if binary.op.is_set() { Ok(self.of_sets(binary, left, right)) } else { self.matched(binary, left, right) }
    }

    fn with_number(&mut self, binary: &Binary, vector: Vec<Output>, number: f64, number_first: bool) -> Vec<Output> {
        let number = Value::Float(number);
        let mut outputs = Vec::with_capacity(vector.len());
        for output in vector {
            let (left, right) = if number_first { (&number, &output.value) } else { (&output.value, &number) };
            let Some(Compared { value, holds }) = of_values(binary.op, left, right) else { continue };
            let (value, unnamed) = if binary.as_bool {
                (Value::Float(if holds { 1.0 } else { 0.0 }), true)
            } else if binary.op.is_comparison() {
                if !holds {
                    continue;
                }
                // It is always the vector's element that is let through.
                (output.value.clone(), false)
            } else {
                (value, true)
            };
            let labels = if unnamed { self.unnamed(binary.site, output.labels) } else { output.labels };
            outputs.push(Output { labels, value, ..output });
        }
        outputs
    }

    /// What must agree for two elements to match.
    fn signature(&mut self, binary: &Binary, labels: &Labels) -> Fingerprint {
        self.memo.made(binary.site, labels.fingerprint(), || binary.on.of(labels)).fingerprint()
    }

    fn of_sets(&mut self, binary: &Binary, left: Vec<Output>, right: Vec<Output>) -> Vec<Output> {
        let mut signed = |vector: Vec<Output>| -> Vec<(Fingerprint, Output)> {
            vector.into_iter().map(|output| (self.signature(binary, &output.labels), output)).collect()
        };
        let (left, right) = (signed(left), signed(right));
        let signatures = |vector: &[(Fingerprint, Output)]| -> HashMap<Fingerprint, ()> {
            vector.iter().map(|(signature, _)| (*signature, ())).collect()
        };
        let kept: Vec<(Fingerprint, Output)> = match binary.op {
            Operator::Or => {
                let there = signatures(&left);
                left.into_iter().chain(right.into_iter().filter(|(signature, _)| !there.contains_key(signature))).collect()
            }
            op => {
                let there = signatures(&right);
                left.into_iter().filter(|(signature, _)| there.contains_key(signature) == (op == Operator::And)).collect()
            }
        };
        kept.into_iter().map(|(_, output)| output).collect()
    }

    fn matched(&mut self, binary: &Binary, left: Vec<Output>, right: Vec<Output>) -> Result<Vec<Output>, Unmatched> {
        let none = self.query.share().and_then(|share| share.none).filter(|_| binary.op == Operator::Div);
        if right.is_empty() || left.is_empty() && none.is_none() {
            return Ok(vec![]);
        }
        let swapped = matches!(binary.cardinality, Cardinality::OneToMany(_));
        let (many, ones) = if swapped { (right, left) } else { (left, right) };
        let mut one_by_signature: HashMap<Fingerprint, Output> = HashMap::with_capacity(ones.len());
        for one in ones {
            let signature = self.signature(binary, &one.labels);
            if let Some(other) = one_by_signature.insert(signature, one) {
                let side = if swapped { "left" } else { "right" };
                let labels = binary.on.of(&other.labels);
                return Err(Unmatched(format!("several series on the {side} side match {labels}; labels must be unique on one side")));
            }
        }
        let mut matched: HashMap<(Fingerprint, Option<Fingerprint>), ()> = HashMap::with_capacity(many.len());
        let mut outputs = Vec::with_capacity(many.len());
        for output in many {
            let signature = self.signature(binary, &output.labels);
            let Some(one) = one_by_signature.get(&signature) else { continue };
            let (first, second) = if swapped { (&one.value, &output.value) } else { (&output.value, &one.value) };
            let Some(Compared { value, holds }) = of_values(binary.op, first, second) else { continue };
            let labels = self.result_labels(binary, &output.labels, &one.labels);
            // One to one, each signature once; many to one, each result once.
            let result = (binary.cardinality != Cardinality::OneToOne).then(|| labels.fingerprint());
            if matched.insert((signature, result), ()).is_some() {
                return Err(Unmatched(format!(
                    "several results are {labels}; say group_left or group_right with labels that tell them apart"
                )));
            }
            let value = if binary.as_bool { Value::Float(if holds { 1.0 } else { 0.0 }) } else { value };
            if holds || binary.as_bool {
                let divisor = if binary.op == Operator::Div { second.float() } else { None };
                outputs.push(Output { labels, sampled: output.sampled.max(one.sampled), value, divisor });
            }
        }
        if let Some(none) = none.filter(|_| binary.cardinality == Cardinality::OneToOne) {
            let mut without: Vec<Output> =
                one_by_signature.into_iter().filter(|(of, _)| !matched.contains_key(&(*of, None))).map(|(_, one)| one).collect();
            without.retain(|one| one.value.float().is_some_and(|all| all > 0.0));
            for one in without {
                let labels = self.result_labels(binary, &one.labels, &one.labels);
                self.none.push(Output { labels, sampled: one.sampled, value: Value::Float(none), divisor: one.value.float() });
            }
        }
        Ok(outputs)
    }

    fn result_labels(&mut self, binary: &Binary, many: &Labels, one: &Labels) -> Labels {
        let both = Fingerprint(many.fingerprint().0 ^ one.fingerprint().0.rotate_left(31));
        self.memo.made(binary.site + 1, both, || {
            let nameless = binary.as_bool || !binary.op.is_comparison();
            let kept = many.filtered(|name| !(nameless && is_name(name)));
            let taken = match &binary.cardinality {
                Cardinality::OneToOne if binary.named => return binary.on.of(&kept),
                Cardinality::OneToOne => return kept.filtered(|name| is_name(name) || binary.on.has(name)),
                Cardinality::ManyToOne(taken) | Cardinality::OneToMany(taken) => taken,
            };
            taken.iter().fold(kept, |labels, name| labels.with(name, one.get(name)))
        })
    }
}

/// Arithmetic and comparisons of numbers; the latter give 0 or 1.
pub(super) fn of_numbers(op: Operator, left: f64, right: f64) -> f64 {
    let truth = |holds: bool| if holds { 1.0 } else { 0.0 };
    match op {
        Operator::Add => left + right,
        Operator::Sub => left - right,
        Operator::Mul => left * right,
        Operator::Div => left / right,
        Operator::Mod => left % right,
        Operator::Pow => libm::pow(left, right),
        Operator::Atan2 => libm::atan2(left, right),
        Operator::Equal => truth(left == right),
        Operator::NotEqual => truth(left != right),
        Operator::Above => truth(left > right),
        Operator::Below => truth(left < right),
        Operator::AtLeast => truth(left >= right),
        Operator::AtMost => truth(left <= right),
        Operator::And | Operator::Or | Operator::Unless => f64::NAN,
    }
}

/// None where the operator is not for such values.
fn of_values(op: Operator, left: &Value, right: &Value) -> Option<Compared> {
    let always = |value: Value| Some(Compared { value, holds: true });
    match (left, right) {
        (Value::Float(a), Value::Float(b)) if op.is_comparison() => {
            Some(Compared { value: left.clone(), holds: of_numbers(op, *a, *b) == 1.0 })
        }
        (Value::Float(a), Value::Float(b)) => always(Value::Float(of_numbers(op, *a, *b))),
        (Value::Histogram(a), Value::Float(b)) => match op {
            Operator::Mul => always(Value::Histogram(a.times(*b).into())),
            Operator::Div => always(Value::Histogram(a.over(*b).into())),
            _ => None,
        },
        (Value::Float(a), Value::Histogram(b)) => match op {
            Operator::Mul => always(Value::Histogram(b.times(*a).into())),
            _ => None,
        },
        (Value::Histogram(a), Value::Histogram(b)) => match op {
            Operator::Add => always(Value::Histogram(a.plus(b).ok()?.into())),
            Operator::Sub => always(Value::Histogram(a.minus(b).ok()?.into())),
            Operator::Equal => Some(Compared { value: left.clone(), holds: a == b }),
            Operator::NotEqual => Some(Compared { value: left.clone(), holds: a != b }),
            _ => None,
        },
    }
}

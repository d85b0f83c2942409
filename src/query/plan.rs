//! PromQL text → a plan: which series, what is read from each, and how a group is put together.

use std::collections::BTreeSet;
use std::time::Duration;

use promql_parser::parser::{Expr, LabelModifier, VectorSelector, parse};

use crate::model::{Labels, Timestamp, labels::METRIC_NAME};

use super::{LOOKBACK, Selector, Window};

/// What is read from each series at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// The last sample within the look-back.
    Instant,
    /// The increase per second over the range.
    Rate(Duration),
    /// The increase over the range.
    Increase(Duration),
}

/// How the series of a group become one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// The sum.
    Sum,
    /// The arithmetic mean.
    Avg,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// How many series have a value.
    Count,
}

/// Which labels make a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Every series is its own group.
    Series,
    /// Those with the same values of these labels.
    By(BTreeSet<String>),
    /// Those with the same values of all labels but these and the metric's name.
    Without(BTreeSet<String>),
}

/// A planned query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Which series it reads.
    pub selector: Selector,
    /// What it reads from each.
    pub function: Function,
    /// How it puts a group together; `None` with [`Grouping::Series`].
    pub aggregate: Option<Aggregate>,
    /// What a group is.
    pub grouping: Grouping,
}

/// Why an expression is not taken, and where in its text (a byte offset).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The construct's byte offset in the expression.
    pub offset: usize,
    /// The reason, and what is allowed.
    pub message: String,
}

const SUPPORTED: &str = "supported: a selector, rate() or increase() over one, and sum, avg, min, max or count by/without around them";

impl Query {
    /// Plans an expression.
    ///
    /// # Errors
    /// It is not PromQL, or uses what is not supported; the refusal says where.
    pub fn plan(text: &str) -> Result<Self, Refusal> {
        let expr = parse(text).map_err(|why| Refusal { offset: 0, message: format!("not PromQL: {why}") })?;
        Planner { text }.outer(&expr)
    }

    /// The group a series belongs to: the labels of the output series it contributes to.
    #[must_use]
    pub fn group(&self, series: &Labels) -> Labels {
        match &self.grouping {
            Grouping::Series if self.function == Function::Instant => series.clone(),
            Grouping::Series => series.filtered(|name| name != METRIC_NAME),
            Grouping::By(names) => series.filtered(|name| names.contains(name)),
            Grouping::Without(names) => series.filtered(|name| name != METRIC_NAME && !names.contains(name)),
        }
    }

    /// Whether an output series can have the label.
    #[must_use]
    pub fn can_have(&self, label: &str) -> bool {
        match &self.grouping {
            Grouping::Series => true,
            Grouping::By(names) => names.contains(label),
            Grouping::Without(names) => !names.contains(label),
        }
    }

    /// How long a sample can matter.
    #[must_use]
    pub fn reach(&self) -> Duration {
        match self.function {
            Function::Instant => LOOKBACK,
            Function::Rate(range) | Function::Increase(range) => range,
        }
    }

    /// The value of a group at a step, with the time of the newest sample in it; none where no series has a value.
    pub fn evaluate<'w>(&self, windows: impl Iterator<Item = &'w Window>, at: Timestamp) -> Option<(Timestamp, f64)> {
        let mut total = Total::default();
        for (sampled, value) in windows.filter_map(|w| self.read(w, at)) {
            total.add(sampled, value);
        }
        let newest = total.newest?;
        let value = match self.aggregate {
            None | Some(Aggregate::Sum) => total.sum + total.lost,
            Some(Aggregate::Avg) => (total.sum + total.lost) / total.count,
            Some(Aggregate::Min) => total.min,
            Some(Aggregate::Max) => total.max,
            Some(Aggregate::Count) => total.count,
        };
        Some((newest, value))
    }

    fn read(&self, window: &Window, at: Timestamp) -> Option<(Timestamp, f64)> {
        match self.function {
            Function::Instant => window.instant(at),
            Function::Increase(range) => window.increase(at, range),
            Function::Rate(range) => window.increase(at, range).map(|(t, v)| (t, v / range.as_secs_f64())),
        }
    }
}

/// All aggregates at once; the sum is Kahan-Neumaier compensated, as Prometheus' is.
struct Total {
    newest: Option<Timestamp>,
    sum: f64,
    lost: f64,
    min: f64,
    max: f64,
    count: f64,
}

impl Default for Total {
    fn default() -> Self {
        Self { newest: None, sum: 0.0, lost: 0.0, min: f64::NAN, max: f64::NAN, count: 0.0 }
    }
}

impl Total {
    fn add(&mut self, sampled: Timestamp, value: f64) {
        self.newest = self.newest.max(Some(sampled));
        let sum = self.sum + value;
        if sum.is_finite() {
            self.lost += if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        }
        self.sum = sum;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.count += 1.0;
    }
}

struct Planner<'t> {
    text: &'t str,
}

impl Planner<'_> {
    fn outer(&self, expr: &Expr) -> Result<Query, Refusal> {
        let Expr::Aggregate(aggregate) = unwrap(expr) else { return self.inner(expr) };
        let name = aggregate.op.to_string();
        let op = match name.as_str() {
            "sum" => Aggregate::Sum,
            "avg" => Aggregate::Avg,
            "min" => Aggregate::Min,
            "max" => Aggregate::Max,
            "count" => Aggregate::Count,
            _ => return Err(self.refuse(&name, format!("the aggregation `{name}` is not supported"))),
        };
        let set = |labels: &promql_parser::label::Labels| labels.labels.iter().cloned().collect();
        let grouping = match &aggregate.modifier {
            None => Grouping::By(BTreeSet::new()),
            Some(LabelModifier::Include(labels)) => Grouping::By(set(labels)),
            Some(LabelModifier::Exclude(labels)) => Grouping::Without(set(labels)),
        };
        Ok(Query { aggregate: Some(op), grouping, ..self.inner(&aggregate.expr)? })
    }

    fn inner(&self, expr: &Expr) -> Result<Query, Refusal> {
        match unwrap(expr) {
            Expr::VectorSelector(selector) => self.query(selector, Function::Instant),
            Expr::Call(call) => {
                let name = call.func.name;
                let (Some(argument), true) = (call.args.first(), matches!(name, "rate" | "increase")) else {
                    return Err(self.refuse(name, format!("the function `{name}` is not supported")));
                };
                match unwrap(&argument) {
                    Expr::MatrixSelector(m) if name == "rate" => self.query(&m.vs, Function::Rate(m.range)),
                    Expr::MatrixSelector(m) => self.query(&m.vs, Function::Increase(m.range)),
                    _ => Err(self.refuse(name, format!("`{name}` over anything but a selector with a range is not supported"))),
                }
            }
            Expr::Aggregate(a) => {
                let name = a.op.to_string();
                Err(self.refuse_last(&name, format!("the aggregation `{name}` inside another is not supported")))
            }
            Expr::Binary(b) => {
                let op = b.op.to_string();
                Err(self.refuse(&op, format!("the operator `{op}` is not supported")))
            }
            Expr::Unary(_) => Err(self.refuse("-", "the unary `-` is not supported".into())),
            Expr::Subquery(_) => Err(self.refuse("[", "subqueries are not supported".into())),
            Expr::MatrixSelector(_) => Err(self.refuse("[", "a bare range gives no value; put rate() or increase() around it".into())),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Err(self.refuse("", "a constant measures nothing".into())),
            Expr::Paren(_) | Expr::Extension(_) => Err(self.refuse("", "not supported".into())),
        }
    }

    fn query(&self, selector: &VectorSelector, function: Function) -> Result<Query, Refusal> {
        if selector.offset.is_some() {
            return Err(self.refuse("offset", "`offset` is not supported".into()));
        }
        if selector.at.is_some() {
            return Err(self.refuse("@", "`@` is not supported: a monitor reads the present".into()));
        }
        let selector = Selector::new(selector.name.as_deref(), &selector.matchers).map_err(|why| self.refuse(" or ", why))?;
        if let Some(why) = selector.contradiction() {
            return Err(Refusal { offset: self.text.find('{').unwrap_or(0), message: format!("matches nothing: {why}") });
        }
        Ok(Query { selector, function, aggregate: None, grouping: Grouping::Series })
    }

    /// The parser keeps no positions, so the construct is looked for in the text.
    fn refuse(&self, construct: &str, message: String) -> Refusal {
        Refusal { offset: self.text.find(construct).unwrap_or(0), message: format!("{message}; {SUPPORTED}") }
    }

    fn refuse_last(&self, construct: &str, message: String) -> Refusal {
        Refusal { offset: self.text.rfind(construct).unwrap_or(0), message: format!("{message}; {SUPPORTED}") }
    }
}

fn unwrap(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(p) => unwrap(&p.expr),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> (usize, String) {
        let r = Query::plan(text).expect_err(text);
        (r.offset, r.message.split(';').next().unwrap_or_default().to_owned())
    }

    #[test]
    fn what_is_not_supported_is_refused_where_it_stands() {
        assert_eq!(refusal("sum(topk(3, up))"), (4, "the aggregation `topk` inside another is not supported".into()));
        assert_eq!(refusal("sum(a) / sum(b)"), (7, "the operator `/` is not supported".into()));
        assert_eq!(refusal("sum by (x) (irate(a[5m]))"), (12, "the function `irate` is not supported".into()));
        assert_eq!(refusal("rate(a[5m] offset 1h)"), (11, "`offset` is not supported".into()));
        assert_eq!(refusal("a{x=\"1\",x=\"2\"}"), (1, "matches nothing: x=\"1\" and x=\"2\" cannot both hold".into()));
        assert!(refusal("sum((").1.starts_with("not PromQL"));
    }

    #[test]
    fn groups_carry_the_labels_prometheus_would_give() {
        let series: Labels =
            [("__name__", "a"), ("job", "x"), ("pod", "1")].map(|(n, v)| (n.to_owned(), v.to_owned())).into_iter().collect();
        let group = |text: &str| Query::plan(text).expect(text).group(&series).to_string();
        assert_eq!(group("a"), r#"{__name__="a", job="x", pod="1"}"#);
        assert_eq!(group("rate(a[5m])"), r#"{job="x", pod="1"}"#);
        assert_eq!(group("sum by (job) (a)"), r#"{job="x"}"#);
        assert_eq!(group("sum without (job) (a)"), r#"{pod="1"}"#);
        assert_eq!(group("sum(a)"), "{}");
    }
}

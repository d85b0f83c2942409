//! PromQL over samples as they stream by, with Prometheus' own semantics.
//!
//! An expression is planned once ([`Query`]): which series it reads, by which operators, and by which labels its inputs
//! can be kept apart. The series that share the values of those labels are a [`Cell`]; a cell holds all that one
//! evaluation needs, and so everything of it goes to one partition. Cells are evaluated at steps in order of time.
//!
//! Where streaming differs from a database: a sample that comes after its step was evaluated is not taken in.

mod aggregate;
mod binary;
mod breakdown;
mod cell;
mod eval;
mod function;
mod node;
mod parser;
mod place;
mod plan;
mod quantile;
mod range;
mod running;
mod scope;
mod selector;
mod share;
mod sum;
mod window;

use std::time::Duration;

use crate::model::Labels;

pub use breakdown::Breakdown;
pub use cell::{Cell, Gone, Output, Place, Series, Unmatched};
pub use eval::Memo;
pub use running::Running;
pub use scope::Scope;
pub use selector::Selector;
pub use share::Share;
pub use window::{Pushed, Window};

/// How far an instant selector looks back for the last sample where nothing else is said: Prometheus' default.
pub const LOOKBACK: Duration = Duration::from_secs(300);

/// A planned expression. Two are equal where text, step and look-back are.
#[derive(Clone, Debug)]
pub struct Query {
    text: String,
    /// The time between two evaluations.
    every: Duration,
    lookback: Duration,
    behind: Behind,
    root: node::Node,
    leaves: Vec<Leaf>,
    /// How many subqueries there are.
    subs: usize,
    key: Scope,
    share: Option<Share>,
    fills: Duration,
    /// Some selector does not say the metric's name: series may become alike when it is dropped.
    ambiguous: bool,
}

/// How far behind the present what a query reads is, for offsets and the steps of subqueries, by the selector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// That of which the newest is read.
    pub least: Duration,
    /// That of which the oldest is read.
    pub most: Duration,
}

/// One of the selectors.
#[derive(Clone, Debug)]
pub struct Leaf {
    selector: Selector,
    /// How far back a sample of it can matter.
    reach: Duration,
    /// The labels of its series that somebody needs.
    keep: Scope,
    /// What is kept of each series for its long ranges.
    running: Vec<Running>,
    /// Nobody asks for more than what a counter has gained until now.
    only_gains: bool,
}

/// Why an expression is not taken, and where in its text (a byte offset).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The construct's byte offset in the expression.
    pub offset: usize,
    /// The reason, and what is allowed.
    pub message: String,
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.every, self.lookback) == (&other.text, other.every, other.lookback)
    }
}

impl Query {
    /// Plans an expression that is evaluated every so often and whose instant selectors look back so far.
    ///
    /// # Errors
    /// It is not PromQL, or uses what is not supported; the refusal says where.
    pub fn plan(text: &str, every: Duration, lookback: Duration) -> Result<Self, Refusal> {
        plan::plan(text, every, lookback)
    }

    /// The same, with its inputs kept apart as those of another one are, which must keep them apart by fewer labels.
    #[must_use]
    pub fn apart_as(self, other: &Self) -> Self {
        Self { key: other.key.clone(), ..self }
    }

    /// The numbers of the leaves that a series belongs to.
    pub fn leaves_of(&self, series: &Labels) -> impl Iterator<Item = usize> {
        self.leaves.iter().enumerate().filter(|(_, leaf)| leaf.selector.matches(series)).map(|(number, _)| number)
    }

    /// Whether a series is read at all.
    #[must_use]
    pub fn reads(&self, series: &Labels) -> bool {
        self.leaves_of(series).next().is_some()
    }

    /// The key of the cell that a series belongs to.
    #[must_use]
    pub fn key(&self, series: &Labels) -> Labels {
        self.key.of(series)
    }

    /// The labels by which inputs are kept apart; where there are none, one partition sees them all.
    #[must_use]
    pub fn key_scope(&self) -> &Scope {
        &self.key
    }

    /// Of what the value is a share, where it is one.
    #[must_use]
    pub fn share(&self) -> Option<Share> {
        self.share
    }

    /// Whether a result can have the label.
    #[must_use]
    pub fn can_have(&self, label: &str) -> bool {
        self.root.outputs().has(label)
    }

    /// The labels that results have, where the query says so by an aggregation.
    #[must_use]
    pub fn aggregated_by(&self) -> Option<Vec<String>> {
        match self.root.outputs() {
            Scope::Only(names) => Some(names.iter().cloned().collect()),
            Scope::Except(_) => None,
        }
    }

    /// Whether a result can go although its inputs are there: what a comparison does not let through is not unknown.
    #[must_use]
    pub fn filters(&self) -> bool {
        self.root.filters()
    }

    /// For so long after its first sample a value is too low, as its range does not hold all that it adds up.
    #[must_use]
    pub fn fills(&self) -> Duration {
        self.fills
    }

    /// How long it takes from the first sample on until it gives what it gives of all samples; one sample a series is enough where
    /// there is no range.
    #[must_use]
    pub fn refills(&self) -> Duration {
        if self.root.has_range() { self.reach() } else { Duration::ZERO }
    }

    /// How far back a sample can matter.
    #[must_use]
    pub fn reach(&self) -> Duration {
        self.leaves.iter().map(|leaf| leaf.reach).max().unwrap_or_default()
    }

    /// Whether there is a result where nothing was ever measured, as of `absent()`.
    #[must_use]
    pub fn speaks_of_nothing(&self) -> bool {
        self.root.speaks_of_nothing()
    }

    /// By how much the newest that it sees may be older than the newest that there is.
    #[must_use]
    pub fn behind(&self) -> Behind {
        self.behind
    }

    /// How far its instant selectors look back.
    #[must_use]
    pub fn lookback(&self) -> Duration {
        self.lookback
    }

    /// The time between two evaluations.
    #[must_use]
    pub fn every(&self) -> Duration {
        self.every
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Result<Query, Refusal> {
        Query::plan(text, Duration::from_secs(60), LOOKBACK)
    }

    fn refusal(text: &str) -> (usize, String) {
        let r = plan(text).expect_err(text);
        (r.offset, r.message)
    }

    #[test]
    fn what_is_not_supported_is_refused_where_it_stands() {
        assert_eq!(refusal("sum(sort(up))"), (4, "`sort` is not supported: an order means nothing to a monitor".into()));
        assert_eq!(refusal("sum(a) / limitk(2, b)"), (9, "the aggregation `limitk` is not supported".into()));
        assert_eq!(refusal("rate(a[5m] offset -1h)"), (11, "a negative `offset` reads the future".into()));
        assert_eq!(refusal("a offset 5m - a @ 0"), (16, "`@` is not supported: a monitor reads the present".into()));
        assert_eq!(refusal("a{x=\"1\",x=\"2\"}"), (1, "matches nothing: x=\"1\" and x=\"2\" cannot both hold".into()));
        assert_eq!(refusal("1 + 2"), (0, "a constant measures nothing".into()));
        assert!(refusal("sum((").1.starts_with("not PromQL"));
    }

    #[test]
    fn inputs_are_kept_apart_by_the_labels_that_all_operators_agree_on() {
        let series = Labels::of([("__name__", "a"), ("job", "x"), ("pod", "1"), ("le", "5")]);
        let key = |text: &str| plan(text).expect(text).key(&series).to_string();
        assert_eq!(key("a"), r#"{job="x", le="5", pod="1"}"#);
        assert_eq!(key("rate(a[5m])"), r#"{job="x", le="5", pod="1"}"#);
        assert_eq!(key("sum by (job) (a)"), r#"{job="x"}"#);
        assert_eq!(key("sum without (job) (a)"), r#"{le="5", pod="1"}"#);
        assert_eq!(key("sum(a)"), "{}");
        assert_eq!(key("sum by (job, pod) (a) / on (job) group_left sum by (job) (b)"), r#"{job="x"}"#);
        assert_eq!(key("histogram_quantile(0.9, sum by (job, le) (rate(a[5m])))"), r#"{job="x"}"#);
        assert_eq!(key("sum by (pod) (label_replace(a, \"pod\", \"$1\", \"job\", \"(.*)\"))"), "{}");
        assert_eq!(key("a / scalar(sum(b))"), "{}");
        assert_eq!(key("a > bool 1"), r#"{job="x", le="5", pod="1"}"#);
        assert_eq!(key("a or vector(0)"), "{}");
    }
}

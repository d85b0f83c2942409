//! PromQL text → a plan: which series are read, by which operators, and by which labels they can be kept apart.

use std::time::Duration;

use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, MatrixSelector, Offset, SubqueryExpr, VectorMatchCardinality, VectorSelector,
};

use crate::model::{Labels, labels::METRIC_NAME};

use super::function::Math;
use super::node::{Aggregate, AggregateOp, Binary, Cardinality, HistogramFunction, Node, Operator, RangeNode, Relabel, Site, Source};
use super::parser::parse;
use super::place::Places;
use super::range::RangeFunction;
use super::running::Running;
use super::scope::Scope;
use super::share::Share;
use super::{Behind, Leaf, Query, Refusal, Selector};

/// Steps that a subquery's range may have: as many as Prometheus gives points of a range.
const STEPS_MAX: u128 = 11_000;

/// A range that is this many steps long, or longer, keeps a state from step to step instead of being read anew.
const LONG: u32 = 16;

/// Nested constructs of an expression.
const DEPTH_MAX: usize = 60;

/// Plans an expression that is evaluated every so often.
pub(super) fn plan(text: &str, every: Duration, lookback: Duration) -> Result<Query, Refusal> {
    let expr = parse(text).map_err(|why| Refusal { message: format!("not PromQL: {}", why.message), ..why })?;
    let planner = Planner {
        places: Places::of(text),
        leaves: vec![],
        subs: 0,
        sites: 0,
        every,
        slack: Duration::ZERO,
        path: Duration::ZERO,
        behind: None,
        lookback,
        depth: 0,
    };
    planner.whole(text, &expr)
}

struct Planner<'t> {
    places: Places<'t>,
    leaves: Vec<Leaf>,
    subs: usize,
    sites: Site,
    /// The step of what is being planned: the monitor's, or the subquery's around it.
    every: Duration,
    /// How much further back than its own reach it is evaluated.
    slack: Duration,
    /// Offsets and steps of the subqueries around what is being planned.
    path: Duration,
    /// The least and the most that it comes to on the way to a selector.
    behind: Option<Behind>,
    lookback: Duration,
    depth: usize,
}

impl Planner<'_> {
    fn whole(mut self, text: &str, expr: &Expr) -> Result<Query, Refusal> {
        let mut root = self.node(expr)?;
        if self.leaves.is_empty() {
            return Err(Refusal { offset: 0, message: "a constant measures nothing".into() });
        }
        if root.is_scalar() {
            root = Node::Vector(Box::new(root));
        }
        let mut keeps = vec![Scope::none(); self.leaves.len()];
        needs(&root, Scope::all(), &mut keeps);
        for (leaf, keep) in self.leaves.iter_mut().zip(keeps) {
            // Where the name is not told, series may differ by it alone: then that has to be noticed.
            leaf.keep = if leaf.selector.metric().is_some() { keep } else { Scope::all() };
        }
        let share = Share::of(&root, &self.leaves);
        Ok(Query {
            text: text.to_owned(),
            every: self.every,
            lookback: self.lookback,
            behind: self.behind.unwrap_or_default(),
            ambiguous: self.leaves.iter().any(|leaf| leaf.selector.metric().is_none()),
            key: root.key(),
            // Of two counts one may be there a scrape before the other.
            fills: share.filter(|share| share.none.is_some()).map_or_else(|| root.fills(), |share| share.range.min(self.every * 2)),
            share,
            root,
            leaves: self.leaves,
            subs: self.subs,
        })
    }

    fn node(&mut self, expr: &Expr) -> Result<Node, Refusal> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Refusal { offset: 0, message: format!("more than {DEPTH_MAX} constructs inside one another") });
        }
        let node = match expr {
            Expr::Paren(paren) => self.node(&paren.expr),
            Expr::NumberLiteral(number) => Ok(Node::Number(number.val)),
            Expr::StringLiteral(_) => Err(self.refuse("\"", "a text is no value")),
            Expr::Unary(unary) => {
                self.places.pass("-");
                let operand = Box::new(self.node(&unary.expr)?);
                Ok(Node::Negate(operand, self.site()))
            }
            Expr::VectorSelector(selector) => {
                let (leaf, offset) = self.selector(selector)?;
                self.leaves[leaf].only_gains = false;
                self.reach(leaf, offset + self.lookback);
                Ok(Node::Select { leaf, offset })
            }
            Expr::MatrixSelector(_) | Expr::Subquery(_) => {
                Err(self.refuse("[", "a bare range gives no value; put a function such as rate() or max_over_time() around it"))
            }
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::Binary(binary) => self.binary(binary),
            Expr::Call(call) => self.call(call),
            Expr::Extension(_) => Err(self.refuse("", "not supported")),
        };
        self.depth -= 1;
        node
    }

    /// Passes the construct, and says what is wrong with it.
    fn refuse(&mut self, construct: &str, message: impl Into<String>) -> Refusal {
        Refusal { offset: self.places.pass(construct), message: message.into() }
    }

    /// A new one; the next number is its own too, for operators that make two kinds of labels.
    fn site(&mut self) -> Site {
        self.sites += 2;
        self.sites
    }

    /// A leaf is read as far back as the furthest of its readers does.
    fn reach(&mut self, leaf: usize, reach: Duration) {
        let reach = reach + self.slack;
        self.leaves[leaf].reach = self.leaves[leaf].reach.max(reach);
    }

    fn selector(&mut self, raw: &VectorSelector) -> Result<(usize, Duration), Refusal> {
        let start = self.places.pass(raw.name.as_deref().unwrap_or("{"));
        let selector = Selector::new(raw.name.as_deref(), &raw.matchers).map_err(|message| self.refuse("or", message))?;
        if let Some(why) = selector.contradiction() {
            let offset = if raw.name.is_some() { self.places.pass("{") } else { start };
            return Err(Refusal { offset, message: format!("matches nothing: {why}") });
        }
        if raw.at.is_some() {
            return Err(self.refuse("@", "`@` is not supported: a monitor reads the present"));
        }
        let offset = self.offset(raw.offset.as_ref())?;
        let behind = self.path.saturating_add(offset);
        let known = self.behind.get_or_insert(Behind { least: behind, most: behind });
        *known = Behind { least: known.least.min(behind), most: known.most.max(behind) };
        let leaf = self.leaves.iter().position(|leaf| leaf.selector == selector).unwrap_or_else(|| {
            self.leaves.push(Leaf { selector, reach: Duration::ZERO, keep: Scope::none(), running: vec![], only_gains: true });
            self.leaves.len() - 1
        });
        Ok((leaf, offset))
    }

    fn offset(&mut self, offset: Option<&Offset>) -> Result<Duration, Refusal> {
        match offset {
            None => Ok(Duration::ZERO),
            Some(Offset::Pos(offset)) => {
                self.places.pass("offset");
                Ok(*offset)
            }
            Some(Offset::Neg(_)) => Err(self.refuse("offset", "a negative `offset` reads the future")),
        }
    }

    fn aggregate(&mut self, raw: &AggregateExpr) -> Result<Node, Refusal> {
        let name = raw.op.to_string();
        let mut op = match name.as_str() {
            "sum" => AggregateOp::Sum,
            "avg" => AggregateOp::Avg,
            "min" => AggregateOp::Min,
            "max" => AggregateOp::Max,
            "count" => AggregateOp::Count,
            "group" => AggregateOp::Group,
            "stddev" => AggregateOp::Stddev,
            "stdvar" => AggregateOp::Stdvar,
            "quantile" => AggregateOp::Quantile,
            "topk" => AggregateOp::TopK,
            "bottomk" => AggregateOp::BottomK,
            "count_values" => AggregateOp::CountValues(String::new()),
            _ => return Err(self.refuse(&name, format!("the aggregation `{name}` is not supported"))),
        };
        self.places.pass(&name);
        let parameter = match (&mut op, raw.param.as_deref().map(unwrap)) {
            (AggregateOp::CountValues(label), Some(Expr::StringLiteral(text))) => {
                label.clone_from(&text.val);
                None
            }
            (_, Some(parameter)) => Some(self.number(parameter)?),
            (_, None) => None,
        };
        let by = match &raw.modifier {
            None => Scope::none(),
            Some(LabelModifier::Include(labels)) => Scope::only(&labels.labels),
            Some(LabelModifier::Exclude(labels)) => Scope::except(&labels.labels),
        };
        let operand = self.vector(&raw.expr)?;
        Ok(Node::Aggregate(Box::new(Aggregate { op, parameter, by, operand, site: self.site() })))
    }

    fn vector(&mut self, expr: &Expr) -> Result<Node, Refusal> {
        let node = self.node(expr)?;
        if node.is_scalar() { Err(self.refuse("", "a vector is expected here, not a number; write vector(..)")) } else { Ok(node) }
    }

    fn number(&mut self, expr: &Expr) -> Result<Node, Refusal> {
        let node = self.node(expr)?;
        if node.is_scalar() { Ok(node) } else { Err(self.refuse("", "a number is expected here, not a vector; write scalar(..)")) }
    }

    fn binary(&mut self, raw: &BinaryExpr) -> Result<Node, Refusal> {
        let left = self.node(&raw.lhs)?;
        let sign = raw.op.to_string();
        let Some(op) = Operator::named(&sign) else {
            return Err(self.refuse(&sign, format!("the operator `{sign}` is not supported")));
        };
        self.places.pass(&sign);
        let modifier = raw.modifier.as_ref();
        if modifier.is_some_and(|m| m.fill_values.lhs.is_some() || m.fill_values.rhs.is_some()) {
            return Err(self.refuse("fill", "`fill` is not supported; write `or`"));
        }
        let (on, named) = match modifier.and_then(|m| m.matching.as_ref()) {
            None => (Scope::unnamed(), false),
            Some(LabelModifier::Include(labels)) => (Scope::only(&labels.labels), true),
            Some(LabelModifier::Exclude(labels)) => (Scope::except(&labels.labels), false),
        };
        let cardinality = match modifier.map(|m| &m.card) {
            Some(VectorMatchCardinality::ManyToOne(labels)) => Cardinality::ManyToOne(labels.labels.clone()),
            Some(VectorMatchCardinality::OneToMany(labels)) => Cardinality::OneToMany(labels.labels.clone()),
            Some(VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany) | None => Cardinality::OneToOne,
        };
        let right = self.node(&raw.rhs)?;
        let as_bool = modifier.is_some_and(|m| m.return_bool);
        if left.is_scalar() && right.is_scalar() && op.is_comparison() && !as_bool {
            return Err(self.refuse("", format!("`{sign}` between two numbers needs `bool`")));
        }
        Ok(Node::Binary(Box::new(Binary { op, as_bool, left, right, on, named, cardinality, site: self.site() })))
    }

    fn call(&mut self, call: &Call) -> Result<Node, Refusal> {
        let name = call.func.name;
        let offset = self.places.pass(name);
        let arguments: Vec<&Expr> = call.args.args.iter().map(|argument| unwrap(argument)).collect();
        if let Some(function) = RangeFunction::named(name) {
            return self.range_call(function, &arguments, offset);
        }
        if let Some(function) = Math::named(name) {
            let operand = arguments.first().map(|a| self.vector(a)).transpose()?.map(Box::new);
            let parameters = self.numbers(arguments.get(1..).unwrap_or_default())?;
            return Ok(Node::Map { function, operand, parameters, site: self.site() });
        }
        if let Some(function) = HistogramFunction::named(name) {
            let Some((operand, parameters)) = arguments.split_last() else { return Err(missing(offset)) };
            let parameters = self.numbers(parameters)?;
            let operand = Box::new(self.vector(operand)?);
            return Ok(Node::Histogram { function, parameters, operand, site: self.site() });
        }
        match (name, arguments.as_slice()) {
            ("time", []) => Ok(Node::Time),
            ("pi", []) => Ok(Node::Number(std::f64::consts::PI)),
            ("scalar", [operand]) => Ok(Node::Scalar(Box::new(self.vector(operand)?))),
            ("vector", [operand]) => Ok(Node::Vector(Box::new(self.number(operand)?))),
            ("timestamp", [operand]) => {
                let operand = Box::new(self.vector(operand)?);
                Ok(Node::Timestamp { operand, site: self.site() })
            }
            ("absent", [operand]) => {
                let operand = self.vector(operand)?;
                let labels = self.absent_labels(matches!(operand, Node::Select { .. }).then_some(&operand));
                Ok(Node::Absent { operand: Box::new(operand), labels })
            }
            ("absent_over_time", [operand]) => {
                let operand = self.range_call(RangeFunction::Present, &[operand], offset)?;
                let labels = self.absent_labels(Some(&operand));
                Ok(Node::Absent { operand: Box::new(operand), labels })
            }
            ("label_replace", [operand, rest @ ..]) => self.label_replace(operand, rest, offset),
            ("label_join", [operand, rest @ ..]) => self.label_join(operand, rest, offset),
            ("sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc", _) => {
                Err(Refusal { offset, message: format!("`{name}` is not supported: an order means nothing to a monitor") })
            }
            _ => Err(Refusal { offset, message: format!("the function `{name}` is not supported") }),
        }
    }

    fn numbers(&mut self, arguments: &[&Expr]) -> Result<Vec<Node>, Refusal> {
        arguments.iter().map(|argument| self.number(argument)).collect()
    }

    /// The range may be any of the arguments; the others are numbers.
    fn range_call(&mut self, function: RangeFunction, arguments: &[&Expr], offset: usize) -> Result<Node, Refusal> {
        let (mut ranged, mut parameters) = (None, vec![]);
        for argument in arguments {
            match argument {
                Expr::MatrixSelector(selector) => ranged = Some(self.range(function, selector)?),
                Expr::Subquery(subquery) => ranged = Some(self.subquery(function, subquery)?),
                other => parameters.push(self.number(other)?),
            }
        }
        let Some(node) = ranged else { return Err(missing(offset)) };
        if function == RangeFunction::DoubleExponentialSmoothing
            && parameters.iter().any(|p| matches!(p, Node::Number(n) if *n <= 0.0 || *n >= 1.0))
        {
            return Err(Refusal { offset, message: "both factors are between 0 and 1".into() });
        }
        Ok(Node::Range(Box::new(RangeNode { parameters, ..node })))
    }

    fn range(&mut self, function: RangeFunction, raw: &MatrixSelector) -> Result<RangeNode, Refusal> {
        let (leaf, offset) = self.selector(&raw.vs)?;
        let range = raw.range;
        // With an offset even a short range reads what is old.
        self.leaves[leaf].only_gains &= function.is_of_gains() && offset.is_zero();
        let running = self.long(range).then(|| Running::of(function)).flatten();
        // What leaves a range is looked at once more.
        let reach = offset + range + if running.is_some() { self.every } else { Duration::ZERO };
        self.reach(leaf, reach);
        let running = running.map(|running| {
            self.leaves[leaf].running.push(running);
            self.leaves[leaf].running.len() - 1
        });
        Ok(RangeNode { function, source: Source::Leaf(leaf), range, offset, parameters: vec![], running, site: self.site() })
    }

    fn long(&self, range: Duration) -> bool {
        range >= self.every * LONG
    }

    fn subquery(&mut self, function: RangeFunction, raw: &SubqueryExpr) -> Result<RangeNode, Refusal> {
        let step = raw.step.unwrap_or(self.every);
        let steps = raw.range.as_millis() / step.as_millis().max(1);
        if step.is_zero() || steps > STEPS_MAX {
            return Err(self.refuse("[", format!("a subquery of {steps} steps; at most {STEPS_MAX}")));
        }
        let offset = match &raw.offset {
            Some(Offset::Pos(offset)) => *offset,
            Some(Offset::Neg(_)) | None => Duration::ZERO,
        };
        let running = (raw.range >= self.every * LONG && Running::of(function).is_some()).then_some(0);
        let (every, slack, path) = (self.every, self.slack, self.path);
        // The newest of its steps is as old as one.
        self.path = path.saturating_add(offset).saturating_add(step);
        // At an evaluation, the steps since the one before are made up for.
        (self.every, self.slack) = (step, slack + every + offset);
        let inner = self.vector(&raw.expr)?;
        (self.every, self.slack, self.path) = (every, slack, path);
        if raw.at.is_some() {
            return Err(self.refuse("@", "`@` is not supported: a monitor reads the present"));
        }
        self.offset(raw.offset.as_ref())?;
        let place = self.subs;
        self.subs += 1;
        let source = Source::Sub { place, inner, step };
        Ok(RangeNode { function, source, range: raw.range, offset, parameters: vec![], running, site: self.site() })
    }

    /// The labels that a selector demands by `=`, once.
    fn absent_labels(&self, node: Option<&Node>) -> Labels {
        let leaf = match node {
            Some(Node::Select { leaf, .. }) => *leaf,
            Some(Node::Range(range)) => match range.source {
                Source::Leaf(leaf) => leaf,
                Source::Sub { .. } => return Labels::default(),
            },
            _ => return Labels::default(),
        };
        self.leaves[leaf].selector.demanded()
    }

    fn label_replace(&mut self, operand: &Expr, rest: &[&Expr], offset: usize) -> Result<Node, Refusal> {
        let operand = Box::new(self.vector(operand)?);
        let [to, with, from, pattern] = texts(rest, offset)?.try_into().map_err(|_| missing(offset))?;
        let pattern = regex::Regex::new(&format!("^(?s:{pattern})$"))
            .map_err(|_| Refusal { offset, message: format!("{pattern:?} is not a regular expression") })?;
        Ok(Node::Relabel { operand, relabel: Relabel::Replace { to, with, from, pattern }, site: self.site() })
    }

    fn label_join(&mut self, operand: &Expr, rest: &[&Expr], offset: usize) -> Result<Node, Refusal> {
        let operand = Box::new(self.vector(operand)?);
        let mut texts = texts(rest, offset)?.into_iter();
        let (Some(to), Some(separator)) = (texts.next(), texts.next()) else { return Err(missing(offset)) };
        Ok(Node::Relabel { operand, relabel: Relabel::Join { to, separator, from: texts.collect() }, site: self.site() })
    }
}

fn missing(offset: usize) -> Refusal {
    Refusal { offset, message: "an argument is missing".into() }
}

fn texts(arguments: &[&Expr], offset: usize) -> Result<Vec<String>, Refusal> {
    let text = |argument: &&Expr| match argument {
        Expr::StringLiteral(text) => Ok(text.val.clone()),
        _ => Err(Refusal { offset, message: "a text is expected here".into() }),
    };
    arguments.iter().map(text).collect()
}

fn unwrap(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(paren) => unwrap(&paren.expr),
        other => other,
    }
}

/// Which labels of each leaf's series somebody needs. Only what aggregates a leaf's own values needs fewer than all.
fn needs(node: &Node, needed: Scope, keeps: &mut [Scope]) {
    let unnamed = |needed: Scope| needed.and(&Scope::unnamed());
    let mut keep = |leaf: usize, needed: Scope| keeps[leaf] = std::mem::replace(&mut keeps[leaf], Scope::none()).or(&needed);
    match node {
        Node::Select { leaf, .. } => keep(*leaf, needed),
        Node::Range(range) => {
            let of_range = if range.function.keeps_name() { needed } else { unnamed(needed) };
            match &range.source {
                Source::Leaf(leaf) => keep(*leaf, of_range),
                Source::Sub { inner, .. } => needs(inner, Scope::all(), keeps),
            }
            range.parameters.iter().for_each(|parameter| needs(parameter, Scope::all(), keeps));
        }
        Node::Map { operand: Some(operand), parameters, .. } => {
            needs(operand, unnamed(needed), keeps);
            parameters.iter().for_each(|parameter| needs(parameter, Scope::all(), keeps));
        }
        Node::Aggregate(aggregate) => {
            let of_operand = match aggregate.op {
                AggregateOp::TopK | AggregateOp::BottomK => Scope::all(),
                _ => aggregate.by.clone(),
            };
            needs(&aggregate.operand, of_operand, keeps);
            aggregate.parameter.iter().for_each(|parameter| needs(parameter, Scope::all(), keeps));
        }
        other => other.operands().into_iter().for_each(|operand| needs(operand, Scope::all(), keeps)),
    }
}

/// The metric's name among labels.
pub(super) fn is_name(label: &str) -> bool {
    label == METRIC_NAME
}

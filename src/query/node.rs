//! The operators a planned expression is made of.

use std::time::Duration;

use crate::model::Labels;

use super::function::Math;
use super::range::RangeFunction;
use super::scope::Scope;

/// Where an operator remembers labels it has made of others.
pub(super) type Site = u32;

/// An operator. One that gives a number says so in [`Node::is_scalar`]; all others give a vector.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Number(f64),
    Time,
    Scalar(Box<Node>),
    /// The sign changed; of a vector, at that site.
    Negate(Box<Node>, Site),
    Binary(Box<Binary>),
    Vector(Box<Node>),
    Select {
        leaf: usize,
        offset: Duration,
    },
    Range(Box<RangeNode>),
    Aggregate(Box<Aggregate>),
    /// Without an operand, of the time of the evaluation.
    Map {
        function: Math,
        operand: Option<Box<Node>>,
        parameters: Vec<Node>,
        site: Site,
    },
    Timestamp {
        operand: Box<Node>,
        site: Site,
    },
    Histogram {
        function: HistogramFunction,
        parameters: Vec<Node>,
        operand: Box<Node>,
        site: Site,
    },
    Absent {
        operand: Box<Node>,
        labels: Labels,
    },
    Relabel {
        operand: Box<Node>,
        relabel: Relabel,
        site: Site,
    },
}

/// A function over a range of a selector or of a subquery.
#[derive(Clone, Debug)]
pub(super) struct RangeNode {
    pub(super) function: RangeFunction,
    pub(super) source: Source,
    pub(super) range: Duration,
    pub(super) offset: Duration,
    pub(super) parameters: Vec<Node>,
    /// Its place among the states that are kept of each series.
    pub(super) running: Option<usize>,
    pub(super) site: Site,
}

/// What a range is of.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// The leaf of that number.
    Leaf(usize),
    /// The subquery of that number, evaluated at multiples of its step.
    Sub { place: usize, inner: Node, step: Duration },
}

#[derive(Clone, Debug)]
pub(super) struct Aggregate {
    pub(super) op: AggregateOp,
    pub(super) parameter: Option<Node>,
    pub(super) by: Scope,
    pub(super) operand: Node,
    pub(super) site: Site,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Quantile,
    TopK,
    BottomK,
    /// Into the label of that name.
    CountValues(String),
}

#[derive(Clone, Debug)]
pub(super) struct Binary {
    pub(super) op: Operator,
    /// A comparison gives 0 or 1 instead of letting through.
    pub(super) as_bool: bool,
    pub(super) left: Node,
    pub(super) right: Node,
    /// The labels that must agree.
    pub(super) on: Scope,
    /// Whether they were named by `on`.
    pub(super) named: bool,
    pub(super) cardinality: Cardinality,
    pub(super) site: Site,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cardinality {
    OneToOne,
    /// With labels taken over from the right.
    ManyToOne(Vec<String>),
    /// With labels taken over from the left.
    OneToMany(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Above,
    Below,
    AtLeast,
    AtMost,
    And,
    Or,
    Unless,
}

impl Operator {
    pub(super) fn named(sign: &str) -> Option<Self> {
        Some(match sign.to_ascii_lowercase().as_str() {
            "+" => Self::Add,
            "-" => Self::Sub,
            "*" => Self::Mul,
            "/" => Self::Div,
            "%" => Self::Mod,
            "^" => Self::Pow,
            "atan2" => Self::Atan2,
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            ">" => Self::Above,
            "<" => Self::Below,
            ">=" => Self::AtLeast,
            "<=" => Self::AtMost,
            "and" => Self::And,
            "or" => Self::Or,
            "unless" => Self::Unless,
            _ => return None,
        })
    }

    pub(super) fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    pub(super) fn is_comparison(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual | Self::Above | Self::Below | Self::AtLeast | Self::AtMost)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HistogramFunction {
    Quantile,
    Fraction,
    Count,
    Sum,
    Avg,
    Stddev,
    Stdvar,
}

impl HistogramFunction {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "histogram_quantile" => Self::Quantile,
            "histogram_fraction" => Self::Fraction,
            "histogram_count" => Self::Count,
            "histogram_sum" => Self::Sum,
            "histogram_avg" => Self::Avg,
            "histogram_stddev" => Self::Stddev,
            "histogram_stdvar" => Self::Stdvar,
            _ => return None,
        })
    }
}

/// How `label_replace` and `label_join` make a label.
#[derive(Clone, Debug)]
pub(super) enum Relabel {
    Replace { to: String, with: String, from: String, pattern: regex::Regex },
    Join { to: String, separator: String, from: Vec<String> },
}

impl Relabel {
    pub(super) fn to(&self) -> &str {
        match self {
            Self::Replace { to, .. } | Self::Join { to, .. } => to,
        }
    }
}

impl Node {
    pub(super) fn is_scalar(&self) -> bool {
        match self {
            Self::Number(_) | Self::Time | Self::Scalar(_) => true,
            Self::Negate(operand, _) => operand.is_scalar(),
            Self::Binary(binary) => binary.left.is_scalar() && binary.right.is_scalar(),
            Self::Vector(_)
            | Self::Select { .. }
            | Self::Range(_)
            | Self::Aggregate(_)
            | Self::Map { .. }
            | Self::Timestamp { .. }
            | Self::Histogram { .. }
            | Self::Absent { .. }
            | Self::Relabel { .. } => false,
        }
    }

    /// What it is computed from.
    pub(super) fn operands(&self) -> Vec<&Self> {
        match self {
            Self::Number(_) | Self::Time | Self::Select { .. } => vec![],
            Self::Scalar(operand) | Self::Negate(operand, _) | Self::Vector(operand) => vec![operand],
            Self::Timestamp { operand, .. } | Self::Absent { operand, .. } | Self::Relabel { operand, .. } => vec![operand],
            Self::Binary(binary) => vec![&binary.left, &binary.right],
            Self::Range(node) => {
                let inner = match &node.source {
                    Source::Leaf(_) => None,
                    Source::Sub { inner, .. } => Some(inner),
                };
                inner.into_iter().chain(&node.parameters).collect()
            }
            Self::Aggregate(aggregate) => [&aggregate.operand].into_iter().chain(&aggregate.parameter).collect(),
            Self::Map { operand, parameters, .. } => operand.iter().map(AsRef::as_ref).chain(parameters).collect(),
            Self::Histogram { parameters, operand, .. } => [operand.as_ref()].into_iter().chain(parameters).collect(),
        }
    }

    /// The labels by which its inputs can be kept apart: whatever it gives for one set of their values depends only on
    /// the series with that set. None of them: it has to see everything in one place.
    pub(super) fn key(&self) -> Scope {
        let operands = || self.operands().into_iter().map(Self::key).fold(Scope::all(), |all, key| all.and(&key));
        match self {
            Self::Number(_) | Self::Time => Scope::all(),
            Self::Select { .. } => Scope::unnamed(),
            Self::Range(node) if matches!(node.source, Source::Leaf(_)) => operands().and(&Scope::unnamed()),
            // One number for all, or one vector where nothing may be there.
            Self::Scalar(_) | Self::Vector(_) | Self::Absent { .. } | Self::Map { operand: None, .. } => Scope::none(),
            Self::Aggregate(aggregate) => {
                let key = operands().and(&aggregate.by);
                match &aggregate.op {
                    AggregateOp::CountValues(label) => key.and(&Scope::except(std::slice::from_ref(label))),
                    _ => key,
                }
            }
            Self::Binary(binary) if binary.left.is_scalar() || binary.right.is_scalar() => operands(),
            Self::Binary(binary) => operands().and(&binary.on),
            Self::Relabel { relabel, .. } => operands().and(&Scope::except(&[relabel.to().to_owned()])),
            Self::Histogram { .. } => operands().and(&Scope::except(&["le".to_owned()])),
            Self::Range(_) | Self::Negate(..) | Self::Map { .. } | Self::Timestamp { .. } => operands(),
        }
    }

    /// The labels that its results may have.
    pub(super) fn outputs(&self) -> Scope {
        match self {
            Self::Number(_) | Self::Time | Self::Scalar(_) | Self::Vector(_) | Self::Map { operand: None, .. } => Scope::none(),
            Self::Select { .. } => Scope::all(),
            Self::Range(node) => {
                let inner = match &node.source {
                    Source::Leaf(_) => Scope::all(),
                    Source::Sub { inner, .. } => inner.outputs(),
                };
                if node.function.keeps_name() { inner } else { inner.and(&Scope::unnamed()) }
            }
            Self::Aggregate(aggregate) => {
                let inner = aggregate.operand.outputs();
                match &aggregate.op {
                    AggregateOp::TopK | AggregateOp::BottomK => inner,
                    AggregateOp::CountValues(label) => inner.and(&aggregate.by).or(&Scope::only(std::slice::from_ref(label))),
                    _ => inner.and(&aggregate.by),
                }
            }
            Self::Binary(binary) => binary.outputs(),
            Self::Negate(operand, _) | Self::Timestamp { operand, .. } => operand.outputs().and(&Scope::unnamed()),
            Self::Map { operand: Some(operand), .. } => operand.outputs().and(&Scope::unnamed()),
            Self::Histogram { operand, .. } => operand.outputs().and(&Scope::except(&["le".to_owned()])),
            Self::Absent { labels, .. } => Scope::Only(labels.iter().map(|(name, _)| name.to_owned()).collect()),
            Self::Relabel { operand, relabel, .. } => operand.outputs().or(&Scope::only(&[relabel.to().to_owned()])),
        }
    }

    /// Whether a result can go although its inputs are there.
    pub(super) fn filters(&self) -> bool {
        let itself = match self {
            Self::Binary(binary) => {
                let lets_through = binary.op.is_comparison() && !binary.as_bool && !self.is_scalar();
                lets_through || matches!(binary.op, Operator::And | Operator::Unless)
            }
            Self::Aggregate(aggregate) => {
                matches!(aggregate.op, AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::CountValues(_))
            }
            Self::Absent { .. } => true,
            _ => false,
        };
        itself || self.operands().into_iter().any(Self::filters)
    }

    /// How long it takes until a range holds all that it adds up, where that shows in the result.
    pub(super) fn fills(&self) -> Duration {
        match self {
            Self::Range(node) if node.function.adds_up() => node.range,
            // What both parts lack they lack in proportion.
            Self::Binary(binary) if binary.op == Operator::Div && binary.left.fills() == binary.right.fills() => Duration::ZERO,
            _ => self.operands().into_iter().map(Self::fills).max().unwrap_or_default(),
        }
    }

    /// Whether it asks for more than the newest sample; what both parts of a quotient lack they lack in proportion.
    pub(super) fn has_range(&self) -> bool {
        match self {
            Self::Range(_) => true,
            Self::Binary(binary) if binary.op == Operator::Div && binary.left.has_range() => !binary.right.has_range(),
            _ => self.operands().into_iter().any(Self::has_range),
        }
    }

    /// Whether there is a result where nothing is measured.
    pub(super) fn speaks_of_nothing(&self) -> bool {
        match self {
            Self::Number(_) | Self::Time | Self::Scalar(_) | Self::Vector(_) | Self::Absent { .. } => true,
            Self::Map { operand, .. } => operand.as_ref().is_none_or(|operand| operand.speaks_of_nothing()),
            Self::Binary(binary) => match binary.op {
                Operator::Or => binary.left.speaks_of_nothing() || binary.right.speaks_of_nothing(),
                Operator::Unless => binary.left.speaks_of_nothing(),
                _ => binary.left.speaks_of_nothing() && binary.right.speaks_of_nothing(),
            },
            Self::Aggregate(aggregate) => aggregate.operand.speaks_of_nothing(),
            Self::Negate(operand, _) | Self::Timestamp { operand, .. } | Self::Relabel { operand, .. } => operand.speaks_of_nothing(),
            Self::Range(node) => match &node.source {
                Source::Leaf(_) => false,
                Source::Sub { inner, .. } => inner.speaks_of_nothing(),
            },
            Self::Select { .. } | Self::Histogram { .. } => false,
        }
    }
}

impl Binary {
    fn outputs(&self) -> Scope {
        let (left, right) = (self.left.outputs(), self.right.outputs());
        if self.left.is_scalar() {
            return right;
        }
        if self.right.is_scalar() {
            return left;
        }
        match (&self.cardinality, self.op) {
            (_, Operator::Or) => left.or(&right),
            (_, Operator::And | Operator::Unless) => left,
            (Cardinality::OneToOne, _) => {
                if self.named {
                    left.and(&self.on)
                } else {
                    left.and(&self.on.clone().or(&Scope::only(&["__name__".to_owned()])))
                }
            }
            (Cardinality::ManyToOne(taken), _) => left.or(&Scope::only(taken)),
            (Cardinality::OneToMany(taken), _) => right.or(&Scope::only(taken)),
        }
    }
}

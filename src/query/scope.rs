//! Sets of label names, one of which is "all but these".

use std::collections::BTreeSet;

use crate::model::{Labels, labels::METRIC_NAME};

/// Label names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// These.
    Only(BTreeSet<String>),
    /// All others.
    Except(BTreeSet<String>),
}

impl Scope {
    /// All names.
    pub(super) fn all() -> Self {
        Self::Except(BTreeSet::new())
    }

    /// All names but the metric's own.
    pub(super) fn unnamed() -> Self {
        Self::Except(BTreeSet::from([METRIC_NAME.to_owned()]))
    }

    /// No name.
    pub(super) fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    pub(super) fn only(names: &[String]) -> Self {
        Self::Only(names.iter().cloned().collect())
    }

    /// All names but these and the metric's own.
    pub(super) fn except(names: &[String]) -> Self {
        Self::Except(names.iter().cloned().chain([METRIC_NAME.to_owned()]).collect())
    }

    /// Names in both.
    #[must_use]
    pub(super) fn and(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Only(a), b) => Self::Only(a.into_iter().filter(|name| b.has(name)).collect()),
            (Self::Except(a), Self::Only(b)) => Self::Only(b.iter().filter(|name| !a.contains(*name)).cloned().collect()),
            (Self::Except(a), Self::Except(b)) => Self::Except(a.union(b).cloned().collect()),
        }
    }

    /// Names in either.
    #[must_use]
    pub(super) fn or(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Only(a), Self::Only(b)) => Self::Only(a.union(b).cloned().collect()),
            (Self::Except(a), b) => Self::Except(a.into_iter().filter(|name| !b.has(name)).collect()),
            (Self::Only(a), Self::Except(b)) => Self::Except(b.iter().filter(|name| !a.contains(*name)).cloned().collect()),
        }
    }

    /// Whether it has the name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::Only(names) => names.contains(name),
            Self::Except(names) => !names.contains(name),
        }
    }

    /// Whether it has no name at all.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self, Self::Only(names) if names.is_empty())
    }

    /// The labels that it names.
    #[must_use]
    pub fn of(&self, labels: &Labels) -> Labels {
        labels.filtered(|name| self.has(name))
    }
}

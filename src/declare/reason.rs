//! Why an event is told.

use crate::contract::Part;
use crate::correlate::Membership;
use crate::model::Entity;

use super::evidence::part;

/// In words, with the parts of its score where it has one.
#[derive(Clone, Debug, Default)]
pub(super) struct Reason {
    pub(super) words: String,
    pub(super) evidence: Vec<Part>,
}

impl Reason {
    /// For what connects an entity with something else.
    pub(super) fn connects(entity: &Entity, why: &Membership, words: String) -> Self {
        Self { words, evidence: why.parts(entity).iter().map(part).collect() }
    }

    /// Other words for the same.
    pub(super) fn told(&self, words: impl FnOnce(&str) -> String) -> Self {
        Self { words: words(&self.words), evidence: self.evidence.clone() }
    }
}

impl From<String> for Reason {
    fn from(words: String) -> Self {
        Self { words, evidence: vec![] }
    }
}

impl From<&str> for Reason {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

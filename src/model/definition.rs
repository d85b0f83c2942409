//! A fault definition: what a breach or alert means, and when it is which level.
//!
//! It travels with the signals, so that what is open keeps the definition it began under, whatever is reloaded or
//! restarted meanwhile.

use serde::{Deserialize, Serialize};

use super::{Condition, Level};

/// What makes a fault of a breach or alert.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// What the user cannot do, in a sentence; empty where only a generic definition speaks.
    pub scenario: String,
    /// Whose business; empty where nobody said.
    pub business: String,
    /// Who owns it; empty where nobody said.
    pub owner: String,
    /// The scenario's own ladders, one a sequence.
    pub own: Vec<Ladder>,
    /// The generic ladders, which are floor and fallback.
    pub generic: Vec<Ladder>,
}

/// When a breach is which level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ladder {
    /// Most severe first.
    pub rungs: Vec<Rung>,
}

/// One level and the condition that meets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// The level met.
    pub level: Level,
    /// By this.
    pub condition: Condition,
    /// What else has to be said of it, such as which asset the data is of; empty where the condition says it all.
    pub because: String,
}

impl Rung {
    /// What meets it, in words.
    #[must_use]
    pub fn by(&self) -> String {
        let plain = self.condition.tests.is_empty() && self.condition.hold.is_zero();
        match (self.because.is_empty(), plain) {
            (true, _) => self.condition.to_string(),
            (false, true) => self.because.clone(),
            (false, false) => format!("{}, {}", self.because, self.condition),
        }
    }
}

impl Definition {
    /// Whether another has the same names.
    #[must_use]
    pub fn is_called_as(&self, other: &Self) -> bool {
        (&self.scenario, &self.business, &self.owner) == (&other.scenario, &other.business, &other.owner)
    }

    /// With the names of another, and its own ladders.
    #[must_use]
    pub fn called_as(&self, other: &Self) -> Self {
        Self {
            scenario: other.scenario.clone(),
            business: other.business.clone(),
            owner: other.owner.clone(),
            own: self.own.clone(),
            generic: self.generic.clone(),
        }
    }

    /// All its ladders, the business ones first.
    pub fn ladders(&self) -> impl Iterator<Item = &Ladder> {
        self.own.iter().chain(&self.generic)
    }

    /// The conditions of all ladders, each once.
    #[must_use]
    pub fn conditions(&self) -> Vec<&Condition> {
        let mut conditions: Vec<&Condition> = vec![];
        for rung in self.ladders().flat_map(|ladder| &ladder.rungs) {
            if !conditions.contains(&&rung.condition) {
                conditions.push(&rung.condition);
            }
        }
        conditions
    }
}

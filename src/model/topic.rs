//! Richter's own topics.

/// Richter's own topics, by what they carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Batches of samples, from route to detect.
    Samples,
    /// Signals, from route and detect to correlate.
    Signals,
    /// Declarations: the output.
    Incidents,
    /// What could not be decoded, and why.
    DeadLetter,
    /// Snapshots of the stages' states.
    State,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Samples, Self::Signals, Self::Incidents, Self::DeadLetter, Self::State];

    /// Its name: `richter.samples`, where the prefix is `richter`.
    #[must_use]
    pub fn name(self, prefix: &str) -> String {
        format!("{prefix}.{}", self.suffix())
    }

    /// The part of its name after the prefix.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Signals => "signals",
            Self::Incidents => "incidents",
            Self::DeadLetter => "dead-letter",
            Self::State => "state",
        }
    }
}

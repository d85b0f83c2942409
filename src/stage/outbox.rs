//! What a stage wants done: messages to send, things to count, decisions to trace.

use std::collections::BTreeMap;

use crate::model::Topic;

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where to.
    pub topic: Topic,
    /// Into which partition; none: as the key says.
    pub partition: Option<u32>,
    /// The record's key.
    pub key: String,
    /// The record's headers.
    pub headers: Vec<(&'static str, String)>,
    /// The record's payload; an empty one is a null record, which in a compacted topic removes its key.
    pub payload: Vec<u8>,
}

/// What became of an input; each is counted as exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It went on, or into the state.
    Applied,
    /// No monitor wants it.
    NotWanted,
    /// It was known already.
    Duplicate,
    /// Its time had passed.
    Late,
    /// It could not be read, and is in the dead-letter topic with its reason.
    DeadLettered,
    /// A named limit was reached.
    Limited,
}

impl Outcome {
    /// As a metric's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::NotWanted => "not_wanted",
            Self::Duplicate => "duplicate",
            Self::Late => "late",
            Self::DeadLettered => "dead_lettered",
            Self::Limited => "limited",
        }
    }
}

/// What there are only so many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Series of a monitor.
    Series,
    /// Groups of a monitor.
    Groups,
    /// Samples of a series in one range.
    Samples,
    /// Heartbeats of a monitor.
    Heartbeats,
    /// Incidents: a fault is not declared.
    Incidents,
}

impl Limit {
    /// As a metric's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Series => "series",
            Self::Groups => "groups",
            Self::Samples => "samples",
            Self::Heartbeats => "heartbeats",
            Self::Incidents => "incidents",
        }
    }
}

/// Something to count. Labels are bounded: sources and reasons are closed sets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Count {
    /// Records of a source topic.
    Records(String, Outcome),
    /// Samples in detection.
    Samples(Outcome),
    /// Signals in correlation.
    Signals(Outcome),
    /// Records that went to the dead-letter topic, by the source's topic and the reason.
    DeadLetters(String, &'static str),
    /// Parts of records that were not read, by the source's topic and the reason.
    Refused(String, &'static str),
    /// Values that are none by nature, by the source's topic and the reason.
    Skipped(String, &'static str),
    /// Alerts of which nothing was told when it should have been, by the source's topic.
    Gaps(String),
    /// Samples that a monitor wants.
    Matched,
    /// What a limit of a monitor refused, by the monitor.
    Limited(String, Limit),
    /// Evaluations of a monitor whose vectors did not match as its query demands.
    Unmatched(String),
    /// Evaluations of a group at a step.
    Evaluations,
    /// Alerts that no monitor and no generic definition is for, by name: they are evidence only.
    Ungraded(String),
    /// What makes no fault, by the kind of reason.
    Suppressed(&'static str),
    /// Declarations by type.
    Declarations(&'static str),
}

/// What came of applying records.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    /// To append, in order.
    pub messages: Vec<Message>,
    /// To count.
    pub counts: BTreeMap<Count, u64>,
    /// The decision log: one JSON object each, in order; no more than the declarations and refusals, unless it is `traced`.
    pub trace: Vec<serde_json::Value>,
    /// Somebody reads all of the decision log, which costs much: suspects are ranked only to be told there.
    pub traced: bool,
}

impl Outbox {
    /// Bytes of what is to be appended.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.messages.iter().map(|message| message.payload.len()).sum()
    }

    /// Adds to the decision log, where somebody reads it.
    pub fn decide(&mut self, line: impl FnOnce() -> serde_json::Value) {
        if self.traced {
            self.trace.push(line());
        }
    }

    /// Counts one.
    pub fn count(&mut self, count: Count) {
        self.add(count, 1);
    }

    /// Counts several.
    pub fn add(&mut self, count: Count, number: u64) {
        *self.counts.entry(count).or_default() += number;
    }

    /// Takes in another one's content after its own.
    pub fn extend(&mut self, other: Self) {
        self.messages.extend(other.messages);
        self.trace.extend(other.trace);
        for (count, number) in other.counts {
            self.add(count, number);
        }
    }
}

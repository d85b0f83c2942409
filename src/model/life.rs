//! The life of a fault: its states, its events, and which event is legal in which state.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where an incident is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// What users feel is bad, but no definition is met yet.
    Suspected,
    /// It is on.
    Declared,
    /// All that counts has ended; whether it stays so is watched.
    Recovering,
    /// It is over; a relapse may reopen it, and it waits for its review.
    Recovered,
    /// Its review is done; improvement actions may be left.
    Reviewed,
    /// It was none.
    Cancelled,
    /// It is part of another one.
    Merged,
    /// Nothing is left to do.
    Closed,
}

/// What an event says of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It may become a fault.
    Suspected,
    /// A fault definition is met for the first time, or a person says so.
    Declared,
    /// The level has risen.
    Escalated,
    /// A person has set a level that is less severe.
    Downgraded,
    /// Somebody has taken it on.
    Acknowledged,
    /// Something of it is known that was not before.
    Updated,
    /// It is time to tell how things stand.
    FollowUpDue,
    /// Its data has stopped: nothing tells whether it lasts.
    Stale,
    /// All that counts has ended.
    Recovering,
    /// It has stayed good for long enough.
    Recovered,
    /// It has not recovered after all.
    RecoveryRevoked,
    /// It relapsed.
    Reopened,
    /// It was no fault.
    Cancelled,
    /// It is part of another one.
    Merged,
    /// Others are on duty from now on.
    HandedOver,
    /// Its review is due soon, or now.
    ReviewDue,
    /// Its review should be done by now.
    ReviewOverdue,
    /// Its review is done.
    Reviewed,
    /// Nothing is left to do.
    Closed,
}

impl State {
    /// All of those that are kept.
    pub const KEPT: [Self; 7] =
        [Self::Suspected, Self::Declared, Self::Recovering, Self::Recovered, Self::Reviewed, Self::Cancelled, Self::Merged];

    /// As written in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suspected => "suspected",
            Self::Declared => "declared",
            Self::Recovering => "recovering",
            Self::Recovered => "recovered",
            Self::Reviewed => "reviewed",
            Self::Cancelled => "cancelled",
            Self::Merged => "merged",
            Self::Closed => "closed",
        }
    }

    /// Whether nothing more is to be done about it at once: it has recovered, was no fault, or is part of another one.
    #[must_use]
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Suspected | Self::Declared | Self::Recovering)
    }

    /// Whether users may still feel it, and people are at it.
    #[must_use]
    pub fn is_on(self) -> bool {
        matches!(self, Self::Declared | Self::Recovering)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Suspected,
        Self::Declared,
        Self::Escalated,
        Self::Downgraded,
        Self::Acknowledged,
        Self::Updated,
        Self::FollowUpDue,
        Self::Stale,
        Self::Recovering,
        Self::Recovered,
        Self::RecoveryRevoked,
        Self::Reopened,
        Self::Cancelled,
        Self::Merged,
        Self::HandedOver,
        Self::ReviewDue,
        Self::ReviewOverdue,
        Self::Reviewed,
        Self::Closed,
    ];

    /// As written in the event's type.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suspected => "suspected",
            Self::Declared => "declared",
            Self::Escalated => "escalated",
            Self::Downgraded => "downgraded",
            Self::Acknowledged => "acknowledged",
            Self::Updated => "updated",
            Self::FollowUpDue => "follow_up_due",
            Self::Stale => "stale",
            Self::Recovering => "recovering",
            Self::Recovered => "recovered",
            Self::RecoveryRevoked => "recovery_revoked",
            Self::Reopened => "reopened",
            Self::Cancelled => "cancelled",
            Self::Merged => "merged",
            Self::HandedOver => "handed_over",
            Self::ReviewDue => "review_due",
            Self::ReviewOverdue => "review_overdue",
            Self::Reviewed => "reviewed",
            Self::Closed => "closed",
        }
    }

    /// The state after it, of an incident that was in `state`, or that begins with it; none where it is not legal there.
    #[must_use]
    pub fn after(self, state: Option<State>) -> Option<State> {
        use State::{Cancelled, Closed, Declared, Merged, Recovered, Recovering, Reviewed, Suspected};
        Some(match (self, state) {
            (Self::Suspected, None | Some(Merged)) => Suspected,
            (Self::Declared, None | Some(Suspected)) => Declared,
            (Self::Escalated | Self::Downgraded | Self::Updated, Some(state)) if state.is_on() || state == Recovered => state,
            (Self::Updated, Some(Suspected | Reviewed)) => state?,
            (Self::Acknowledged | Self::FollowUpDue | Self::Stale | Self::HandedOver, Some(state)) if state.is_on() => state,
            (Self::Recovering, Some(Declared)) => Recovering,
            (Self::Recovered, Some(Declared | Recovering)) => Recovered,
            (Self::RecoveryRevoked, Some(Recovering | Recovered)) => Declared,
            (Self::Reopened, Some(Recovered | Reviewed | Merged | Cancelled)) => Declared,
            (Self::Cancelled, Some(Suspected | Declared | Recovering | Recovered)) => Cancelled,
            (Self::Merged, Some(Suspected | Declared | Recovering)) => Merged,
            (Self::ReviewDue | Self::ReviewOverdue, Some(Recovered)) => Recovered,
            (Self::Reviewed, Some(Recovered)) => Reviewed,
            (Self::Closed, Some(Suspected | Recovered | Reviewed | Cancelled | Merged)) => Closed,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_are_written() {
        for event in Event::ALL {
            assert_eq!(serde_json::to_string(&event).ok(), Some(format!("{:?}", event.as_str())));
        }
    }

    #[test]
    fn nothing_follows_the_end() {
        assert!(Event::ALL.iter().all(|event| event.after(Some(State::Closed)).is_none()));
    }
}

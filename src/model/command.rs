//! What an operator says.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// A command, as it was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Unique: the same command told twice acts once.
    pub id: String,
    /// Who says so.
    pub author: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub order: Order,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Alerts and breaches that match make no fault until then; the command's id names the silence.
    Silence {
        /// A selector, as a monitor's `alerts`.
        alerts: String,
        /// When it ends by itself.
        until: Timestamp,
        /// Why.
        comment: String,
    },
    /// The silence with that id ends now.
    Unsilence {
        /// The silence's id.
        silence: String,
    },
}

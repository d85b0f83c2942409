//! What a signal is about: a service, host, database or business scenario.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// An entity's name, `kind=name`, e.g. `service=checkout`. A copy costs nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Entity(Arc<str>);

impl Entity {
    /// Reads `kind=name`.
    ///
    /// # Errors
    /// There is no `=`, or nothing on one side of it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Ok(Self(text.into())),
            _ => Err(format!("{text:?} is not an entity; write kind=name, e.g. service=checkout")),
        }
    }

    /// Puts an entity together.
    #[must_use]
    pub fn new(kind: &str, name: &str) -> Self {
        Self(format!("{kind}={name}").into())
    }

    /// The whole name, `kind=name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the `=`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.split_once('=').map_or("", |(kind, _)| kind)
    }

    /// The part after the `=`, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('=').map_or(&self.0, |(_, name)| name)
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

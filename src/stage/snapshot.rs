//! A stage's state as bytes: a version, then the state in postcard's compact form.

use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

/// The version of all states' layout. A snapshot of another version is refused, never guessed at.
const VERSION: u8 = 1;

/// Why bytes are not taken for a state.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Refused {
    /// Written by another version.
    #[error("the snapshot has version {0}, this program reads version {VERSION}")]
    Version(u8),
    /// Not a state, or not a whole one.
    #[error("the snapshot cannot be read: {0}")]
    Unreadable(String),
}

/// The state as bytes.
#[must_use]
pub fn write(state: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(state, vec![VERSION]).expect("states are plain data of known length")
}

/// The state from bytes.
///
/// # Errors
/// See [`Refused`].
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    match bytes.split_first() {
        Some((&VERSION, state)) => postcard::from_bytes(state).map_err(|e| Refused::Unreadable(e.to_string())),
        Some((version, _)) => Err(Refused::Version(*version)),
        None => Err(Refused::Unreadable("it is empty".into())),
    }
}

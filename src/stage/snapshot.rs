//! A stage's state as bytes: a version, then what the stage follows and its state in postcard's compact form.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::rules::Config;

/// The version of all states' layout. A snapshot of another version is refused, never guessed at.
const VERSION: u8 = 28;

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

#[derive(Serialize, Deserialize)]
struct Followed<B, S> {
    bundle: B,
    state: S,
}

/// The state as bytes.
#[must_use]
pub fn write(config: &Config, state: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(&Followed { bundle: config.bundle(), state }, vec![VERSION]).expect("states are plain data of known length")
}

/// What was followed, and the state, from bytes.
///
/// # Errors
/// See [`Refused`].
pub fn read<S: DeserializeOwned>(bytes: &[u8]) -> Result<(Config, S), Refused> {
    match bytes.split_first() {
        Some((&VERSION, state)) => {
            let Followed { bundle, state } =
                postcard::from_bytes::<Followed<Vec<u8>, S>>(state).map_err(|e| Refused::Unreadable(e.to_string()))?;
            Ok((Config::from_bundle(&bundle).map_err(Refused::Unreadable)?, state))
        }
        Some((version, _)) => Err(Refused::Version(*version)),
        None => Err(Refused::Unreadable("it is empty".into())),
    }
}

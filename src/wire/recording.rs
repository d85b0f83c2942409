//! Recordings: what `kcat -C -J` prints, one JSON object a record.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// One recorded record.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Recorded {
    /// The topic it was read from; it selects the source.
    pub topic: String,
    /// The partition.
    #[serde(default)]
    pub partition: u32,
    /// The offset.
    #[serde(default)]
    pub offset: i64,
    /// When it was appended, in ms.
    pub ts: Timestamp,
    /// The key.
    #[serde(default)]
    pub key: Option<String>,
    /// The payload; none for a tombstone.
    pub payload: Option<String>,
}

/// Reads a line.
///
/// # Errors
/// What is wrong with it.
pub fn line(text: &str) -> Result<Recorded, String> {
    serde_json::from_str(text).map_err(|e| format!("not a record as `kcat -C -J` prints it: {e}"))
}

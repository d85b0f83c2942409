//! Recordings: what `kcat -C -J` prints, one JSON object a record.
//!
//! kcat writes a payload's bytes as they are, escaping only what JSON must have escaped, so a line need not be UTF-8: it
//! is read byte by byte where it is none, and a payload of any bytes comes back as it was. `payload_base64` may stand in its
//! place.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use crate::model::Timestamp;

/// One recorded record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// The topic it was read from; it selects the source.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The offset.
    pub offset: i64,
    /// When it was appended, in ms.
    pub ts: Timestamp,
    /// The key.
    pub key: Option<String>,
    /// Names and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The payload; none for a tombstone.
    pub payload: Option<Vec<u8>>,
}

#[derive(Deserialize)]
struct Raw {
    topic: String,
    #[serde(default)]
    partition: u32,
    #[serde(default)]
    offset: i64,
    ts: Timestamp,
    key: Option<String>,
    headers: Option<Headers>,
    payload: Option<String>,
    payload_base64: Option<String>,
}

/// kcat writes names and values in turn; an object is as good.
#[derive(Deserialize)]
#[serde(untagged)]
enum Headers {
    Turns(Vec<Option<String>>),
    Object(std::collections::BTreeMap<String, Option<String>>),
}

/// The end of the year 9999, in milliseconds.
const TIME_MAX: i64 = 253_402_300_799_999;

/// Reads a line.
///
/// # Errors
/// What is wrong with it.
pub fn line(bytes: &[u8]) -> Result<Recorded, String> {
    // So that no byte is lost to UTF-8 where the line is none; where it is, a character is its own bytes.
    let text = std::str::from_utf8(bytes).map_or_else(|_| Cow::Owned(characters(bytes)), Cow::Borrowed);
    let bytes_of = if matches!(text, Cow::Borrowed(_)) { |text: &str| text.as_bytes().to_vec() } else { bytes_of };
    let raw: Raw = serde_json::from_str(&text).map_err(|e| format!("not a record as `kcat -C -J` prints it: {e}"))?;
    let ages = -TIME_MAX..=TIME_MAX;
    if !ages.contains(&raw.ts.0) {
        return Err(format!("ts: {} is no time in milliseconds", raw.ts.0));
    }
    let decoded = raw.payload_base64.map(|text| BASE64_STANDARD.decode(text).map_err(|e| format!("payload_base64: {e}")));
    let payload = decoded.transpose()?.or_else(|| raw.payload.map(|text| bytes_of(&text)));
    let word = |text: &str| String::from_utf8_lossy(&bytes_of(text)).into_owned();
    let pair = |name: &str, value: Option<&String>| (word(name), value.map(|value| bytes_of(value)).unwrap_or_default());
    let headers = match &raw.headers {
        None => vec![],
        Some(Headers::Turns(turns)) => {
            turns.chunks_exact(2).map(|turn| pair(turn[0].as_deref().unwrap_or_default(), turn[1].as_ref())).collect()
        }
        Some(Headers::Object(object)) => object.iter().map(|(name, value)| pair(name, value.as_ref())).collect(),
    };
    Ok(Recorded {
        topic: word(&raw.topic),
        partition: raw.partition,
        offset: raw.offset,
        ts: raw.ts,
        key: raw.key.as_deref().map(word),
        headers,
        payload,
    })
}

/// The bytes that the characters stand for; a character that stands for none was written as an escape.
fn bytes_of(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(c) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

impl Recorded {
    /// The payload's bytes; none for a tombstone.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.payload.as_deref().unwrap_or_default()
    }
}

/// One character for each byte.
fn characters(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back() {
        let mut written = br#"{"topic":"t","ts":5,"headers":["Version","\u0000\u0000\u0000\u0002"],"payload":""#.to_vec();
        written.extend([0xff, b'a', 0xc3, 0xa4]);
        written.extend(br#"\n\u4e2d"}"#);
        let record = line(&written).expect("reads");
        let expected: Vec<u8> = [&[0xff, b'a', 0xc3, 0xa4, b'\n'], "中".as_bytes()].concat();
        assert_eq!(record.payload, Some(expected));
        assert_eq!(record.headers, [("Version".to_owned(), vec![0, 0, 0, 2])]);
        // As others write it again.
        let escaped = line(br#"{"topic":"t","ts":5,"payload":"f\u00fcr \u4e2d"}"#).expect("reads");
        assert_eq!(escaped.payload.as_deref(), Some("für 中".as_bytes()));
    }
}

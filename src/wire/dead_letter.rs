//! The dead letter: what could not be decoded, where it was, and why, so that it can be mended and sent again.

use serde::Serialize;

use crate::model::text::cut;
use crate::stage::{Count, Message, Outbox, Record, Topic};

use super::Reject;

/// Bytes of the payload that are kept in the letter; the whole record is still where the letter says.
const PAYLOAD_BYTES_MAX: usize = 64 << 10;

/// Bytes of the reason in words: it may show what could not be read.
const DETAIL_BYTES_MAX: usize = 4096;

#[derive(Serialize)]
struct Letter<'a> {
    topic: &'a str,
    partition: u32,
    offset: i64,
    timestamp: String,
    reason: &'a str,
    detail: String,
    /// The rest of the record was read.
    part: bool,
    payload_bytes: usize,
    payload: String,
}

/// The message for the dead-letter topic, about a record of which nothing was read.
#[must_use]
pub fn letter(record: &Record<'_>, reject: &Reject) -> Message {
    message(record, reject, false)
}

/// Makes a dead letter of a record, and counts it.
pub fn bury(record: &Record<'_>, reject: &Reject, out: &mut Outbox) {
    out.messages.push(letter(record, reject));
    out.count(Count::DeadLetters(record.topic.to_owned(), reject.reason));
}

/// The message about a part of a record of which the rest was read.
#[must_use]
pub fn part_letter(record: &Record<'_>, reject: &Reject) -> Message {
    message(record, reject, true)
}

fn message(record: &Record<'_>, reject: &Reject, part: bool) -> Message {
    let kept = &record.payload[..record.payload.len().min(PAYLOAD_BYTES_MAX)];
    let letter = Letter {
        topic: record.topic,
        partition: record.partition,
        offset: record.offset,
        timestamp: record.timestamp.to_string(),
        reason: reject.reason,
        detail: cut(&reject.detail, DETAIL_BYTES_MAX),
        part,
        payload_bytes: record.payload.len(),
        payload: String::from_utf8_lossy(kept).into_owned(),
    };
    Message {
        topic: Topic::DeadLetter,
        partition: None,
        key: record.topic.to_owned(),
        headers: vec![("reason", reject.reason.to_owned())],
        payload: serde_json::to_vec(&letter).expect("a letter is plain data"),
    }
}

//! The same events in protobuf.

use crate::model::{Alert, Fingerprint, Labels, Signal, Timestamp};
use crate::wire::protobuf::Fields;
use crate::wire::{Reject, Unit, instant};

use super::alertmanager::summary;

/// Decodes one event; none for one that tells of no alert.
///
/// # Errors
/// The bytes are no such message, or a time cannot be read.
pub fn decode(payload: &[u8]) -> Result<Vec<Signal>, Reject> {
    let mut event = Fields::of(payload);
    let mut signals = vec![];
    while let Some((number, wire)) = event.read()? {
        if number != 3 {
            continue;
        }
        let mut data = Fields::of(wire.bytes());
        while let Some((number, wire)) = data.read()? {
            let mut told = Fields::of(wire.bytes());
            while let Some((field, wire)) = told.read()? {
                if field != 1 {
                    continue;
                }
                // Created ones are whole; of the others the details are inside.
                let (alert, recalled) = match number {
                    3 => (wire.bytes(), false),
                    4 => (details(wire.bytes())?, false),
                    5 | 6 => (details(wire.bytes())?, true),
                    _ => continue,
                };
                signals.extend(self::alert(alert, recalled)?);
            }
        }
    }
    Ok(signals)
}

fn details(grouped: &[u8]) -> Result<&[u8], Reject> {
    let (mut fields, mut details): (Fields<'_>, &[u8]) = (Fields::of(grouped), &[]);
    while let Some((number, wire)) = fields.read()? {
        if number == 2 {
            details = wire.bytes();
        }
    }
    Ok(details)
}

fn alert(message: &[u8], recalled: bool) -> Result<Option<Signal>, Reject> {
    if message.is_empty() {
        return Ok(None);
    }
    let (mut fingerprint, mut labels, mut annotations) = (None, vec![], vec![]);
    let (mut starts_at, mut ends_at, mut resolved) = (None, None, false);
    let mut fields = Fields::of(message);
    while let Some((number, wire)) = fields.read()? {
        match number {
            1 => fingerprint = Some(wire.number()),
            3 => labels = pairs(wire.bytes())?,
            4 => annotations = pairs(wire.bytes())?,
            5 => starts_at = Some(when("starts_at", wire.bytes())?),
            6 => ends_at = Some(when("ends_at", wire.bytes())?),
            7 => resolved = wire.number() != 0,
            _ => {}
        }
    }
    let labels: Labels = labels.into_iter().collect();
    let starts_at = starts_at.ok_or_else(|| Reject::new("bad_timestamp", "starts_at: missing"))?;
    let ends_at = ends_at.filter(|_| resolved);
    if resolved && ends_at.is_none() {
        return Err(Reject::new("bad_timestamp", "ends_at: missing"));
    }
    Ok(Some(Signal::Alert(Alert {
        fingerprint: fingerprint.map_or_else(|| labels.fingerprint(), Fingerprint),
        labels,
        summary: summary(&annotations.into_iter().collect()),
        starts_at,
        ends_at,
        by_key: false,
        recalled,
    })))
}

fn pairs(set: &[u8]) -> Result<Vec<(String, String)>, Reject> {
    let (mut fields, mut pairs) = (Fields::of(set), vec![]);
    while let Some((number, wire)) = fields.read()? {
        if number != 1 {
            continue;
        }
        let (mut pair, mut name, mut value) = (Fields::of(wire.bytes()), "", "");
        while let Some((number, wire)) = pair.read()? {
            match number {
                1 => name = wire.text()?,
                2 => value = wire.text()?,
                _ => {}
            }
        }
        pairs.push((name.to_owned(), value.to_owned()));
    }
    Ok(pairs)
}

fn when(field: &str, timestamp: &[u8]) -> Result<Timestamp, Reject> {
    let (mut fields, mut seconds, mut nanos) = (Fields::of(timestamp), 0, 0);
    while let Some((number, wire)) = fields.read()? {
        match number {
            1 => seconds = wire.signed(),
            2 => nanos = wire.signed(),
            _ => {}
        }
    }
    let whole = instant(field, seconds, Unit::Seconds)?;
    Ok(Timestamp(whole.0 + nanos.clamp(0, 999_999_999) / 1_000_000))
}

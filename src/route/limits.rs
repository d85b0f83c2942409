//! What a signal may be: one that is too large is refused, as is what is said of times ahead; texts for people are cut.

use std::collections::BTreeMap;

use crate::model::text::cut;
use crate::model::{Alert, Labels, Signal, Timestamp};
use crate::wire::Reject;
use crate::wire::series::{LABELS_MAX, NAME_BYTES_MAX, SERIES_BYTES_MAX, VALUE_BYTES_MAX};

/// Of what an alert or a change says in words so many bytes are kept; the record itself has all of it.
const TEXT_BYTES_MAX: usize = 4096;

/// Parts of a record that are not taken, by reason: how many, and the first.
#[derive(Debug, Default)]
pub(super) struct Refused(pub(super) BTreeMap<&'static str, (u64, Reject)>);

impl Refused {
    pub(super) fn add(&mut self, reject: Reject) {
        self.0.entry(reject.reason).or_insert((0, reject)).0 += 1;
    }
}

/// A signal of a record that was appended then, whose times may not be after `latest`. Texts for people are cut, and what an alert
/// tells is true whatever its clock says: it began or ended by the time of its record.
pub(super) fn admitted(mut signal: Signal, appended: Timestamp, latest: Timestamp) -> Result<Signal, Reject> {
    match &mut signal {
        Signal::Alert(alert) => {
            refuse_large(&alert.labels)?;
            alert.summary = cut(&alert.summary, TEXT_BYTES_MAX);
            if alert.starts_at > latest {
                return Ok(began_ahead(alert, appended));
            }
            if alert.ends_at.is_some_and(|ended| ended > latest) {
                alert.ends_at = Some(appended.max(alert.starts_at));
            }
        }
        Signal::Resolved { at, .. } if *at > latest => *at = appended,
        Signal::Change(change) => {
            refuse_ahead(change.at, appended, latest)?;
            let names = [("id", &change.id), ("source", &change.source), ("kind", &change.kind)];
            if let Some((name, text)) = names.iter().find(|(_, text)| text.len() > VALUE_BYTES_MAX) {
                let detail = format!("a change's {name} of {} bytes; {VALUE_BYTES_MAX} at most", text.len());
                return Err(Reject { reason: "too_large", detail });
            }
            refuse_large(&change.labels)?;
            change.summary = cut(&change.summary, TEXT_BYTES_MAX);
        }
        Signal::Command(command) => refuse_ahead(command.at, appended, latest)?,
        Signal::Breach(_) | Signal::Resolved { .. } | Signal::Hint(_) | Signal::Good(_) => {}
    }
    Ok(signal)
}

/// The start is no better than none: the alert is known by its fingerprint alone.
fn began_ahead(alert: &Alert, appended: Timestamp) -> Signal {
    match alert.ends_at {
        Some(_) => Signal::Resolved { fingerprint: alert.fingerprint, at: appended },
        None => Signal::Alert(Alert { starts_at: appended, by_key: true, ..alert.clone() }),
    }
}

/// It comes from a clock that is wrong.
fn refuse_ahead(at: Timestamp, appended: Timestamp, latest: Timestamp) -> Result<(), Reject> {
    let detail = || format!("{at} is ahead of its record, appended at {appended}");
    if at > latest { Err(Reject { reason: "timestamp_ahead", detail: detail() }) } else { Ok(()) }
}

/// The same limits as a series has.
fn refuse_large(labels: &Labels) -> Result<(), Reject> {
    let refuse = |reason, detail| Err(Reject { reason, detail });
    let (number, bytes) = labels.iter().fold((0, 0), |(number, bytes), (name, value)| (number + 1, bytes + name.len() + value.len()));
    if number > LABELS_MAX {
        return refuse("too_many_labels", format!("{number} labels; {LABELS_MAX} at most"));
    }
    if let Some((name, _)) = labels.iter().find(|(name, _)| name.len() > NAME_BYTES_MAX) {
        return refuse("bad_label_name", format!("a label's name of {} bytes; 1 to {NAME_BYTES_MAX}", name.len()));
    }
    if let Some((name, value)) = labels.iter().find(|(_, value)| value.len() > VALUE_BYTES_MAX) {
        return refuse("label_too_long", format!("{name}: a label of {} bytes; {VALUE_BYTES_MAX} at most", value.len()));
    }
    if bytes > SERIES_BYTES_MAX {
        return refuse("labels_too_long", format!("labels of {bytes} bytes together; {SERIES_BYTES_MAX} at most"));
    }
    Ok(())
}

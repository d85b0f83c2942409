//! What a signal may be: one that is too large, or ahead of its record, is refused, and texts for people are cut.

use std::collections::BTreeMap;

use crate::model::text::cut;
use crate::model::{Labels, Signal, Timestamp};
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

/// Why a signal is not taken, of a record that was appended then and whose signals may not begin after `latest`.
pub(super) fn refusal(signal: &Signal, appended: Timestamp, latest: Timestamp) -> Option<Reject> {
    if let Some(at) = signal.began().filter(|at| *at > latest) {
        // It comes from a clock that is wrong.
        let detail = format!("{at} is ahead of its record, appended at {appended}");
        return Some(Reject { reason: "timestamp_ahead", detail });
    }
    match signal {
        Signal::Alert(alert) => too_large(&alert.labels),
        Signal::Change(change) => {
            let names = [("id", &change.id), ("source", &change.source), ("kind", &change.kind)];
            let long = names.iter().find(|(_, text)| text.len() > VALUE_BYTES_MAX).map(|(name, text)| Reject {
                reason: "too_large",
                detail: format!("a change's {name} of {} bytes; {VALUE_BYTES_MAX} at most", text.len()),
            });
            long.or_else(|| too_large(&change.labels))
        }
        Signal::Breach(_) | Signal::Resolved { .. } | Signal::Command(_) | Signal::Hint(_) => None,
    }
}

/// Cuts what is for people only, and brings back to its record what is over after it: that it has ended is true all the same.
pub(super) fn trim(signal: &mut Signal, appended: Timestamp, latest: Timestamp) {
    match signal {
        Signal::Alert(alert) => {
            alert.summary = cut(&alert.summary, TEXT_BYTES_MAX);
            if alert.ends_at.is_some_and(|ended| ended > latest) {
                alert.ends_at = Some(appended.max(alert.starts_at));
            }
        }
        Signal::Change(change) => change.summary = cut(&change.summary, TEXT_BYTES_MAX),
        Signal::Breach(_) | Signal::Resolved { .. } | Signal::Command(_) | Signal::Hint(_) => {}
    }
}

/// The same limits as a series has.
fn too_large(labels: &Labels) -> Option<Reject> {
    let refuse = |reason, detail| Some(Reject { reason, detail });
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
    None
}

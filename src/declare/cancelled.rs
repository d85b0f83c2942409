//! What was cancelled makes no fault as long as it goes on. What gets worse than it was by then was not what was cancelled.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::correlate::{Member, SituationId};
use crate::grade::{Grade, Standing};
use crate::model::{Fingerprint, Level, Measure, Numbers, Reading, Timestamp};
use crate::stage::Outbox;

use super::Declare;
use super::grading::Graded;
use super::incident::Incident;

/// Alerts and groups whose state is remembered.
const KNOWN_MAX: usize = 1000;

/// How bad it was when it was cancelled.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Cancelled {
    /// Each of what counts.
    known: BTreeMap<Fingerprint, Known>,
    /// The levels, by the sequence's place: those it had, and those it has met since then though it got no worse.
    levels: BTreeMap<u8, Level>,
}

/// The worst so far, of what detection tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Known {
    reading: Reading,
    numbers: Numbers,
}

impl Cancelled {
    fn of<'m>(members: impl Iterator<Item = &'m Member>, levels: impl Iterator<Item = Level>) -> Self {
        let known = members.take(KNOWN_MAX).map(|member| (member.fingerprint(), known(member))).collect();
        Self { known, levels: levels.map(|level| (level.place, level)).collect() }
    }

    fn knows(&self, member: &Member) -> bool {
        self.known.contains_key(&member.fingerprint()) || self.known.len() >= KNOWN_MAX
    }

    fn is_worse(&self, member: &Member) -> bool {
        let Some(then) = self.known.get(&member.fingerprint()) else { return !self.knows(member) };
        let now = known(member);
        let more = |(measure, number): (&Measure, &f64)| then.numbers.get(measure).is_none_or(|then| number > then);
        now.reading.is_worse_than(&then.reading) || now.numbers.iter().any(more)
    }

    /// Whether it meets a worse level, and not just for it lasts.
    fn rises(&self, grade: &Grade, is_new: bool) -> bool {
        let rises = |level: &Level| self.levels.get(&level.place).is_none_or(|then| level.rank < then.rank);
        grade.0.values().filter_map(Standing::effective).any(|met| (is_new || !met.lasts) && rises(&met.level))
    }

    fn meets(&mut self, grade: &Grade) {
        for met in grade.0.values().filter_map(Standing::effective) {
            let level = self.levels.entry(met.level.place).or_insert_with(|| met.level.clone());
            *level = (*level).clone().min(met.level.clone());
        }
    }
}

fn known(member: &Member) -> Known {
    let judged = member.judged.as_deref();
    let mut numbers = judged.map(|judged| judged.numbers.clone()).unwrap_or_default();
    numbers.retain(|measure, _| !measure.grows());
    Known { reading: judged.map(|judged| judged.worst).unwrap_or_default(), numbers }
}

impl Declare {
    /// How bad it is now that it is cancelled.
    pub(super) fn remembers_cancelled(&mut self, id: SituationId) {
        let levels = self.state.incidents.get(&id).into_iter().flat_map(Incident::held).map(|held| held.level.clone());
        let cancelled = Cancelled::of(self.counting(id), levels);
        if let Some(incident) = self.state.incidents.get_mut(&id) {
            incident.cancelled = cancelled;
        }
    }

    /// What was cancelled goes on: where it is worse than it was, and worse than what was declared, it is a fault after all.
    pub(super) fn goes_on_cancelled(&mut self, id: SituationId, graded: &Graded, at: Timestamp, out: &mut Outbox) {
        let Some((incident, (_, member))) = self.state.incidents.get_mut(&id).zip(self.state.situations.member(graded.key)) else {
            return;
        };
        if !incident.cancelled.is_worse(member) {
            incident.cancelled.meets(&graded.grade);
        } else if incident.cancelled.rises(&graded.grade, !incident.cancelled.knows(member)) {
            self.reopens(id, "it is worse than what was cancelled", at, Some(graded.clone()), out);
        }
    }
}

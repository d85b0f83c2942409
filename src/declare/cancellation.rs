//! What was cancelled makes no fault as long as it goes on. What meets a worse level than it could have met by lasting was not what
//! was cancelled.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::correlate::{Member, SituationId};
use crate::grade::{Grade, Standing};
use crate::model::{Level, Numbers, Rung, Timestamp};
use crate::stage::Outbox;

use super::Declare;
use super::grading::Graded;
use super::incident::Incident;

/// The levels of what was cancelled, by their sequence: those that it had, and those that it meets if it only lasts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Cancellation(BTreeMap<String, Level>);

impl Cancellation {
    fn adds(&mut self, level: &Level) {
        let known = self.0.entry(level.sequence.clone()).or_insert_with(|| level.clone());
        if level.rank < known.rank {
            *known = level.clone();
        }
    }

    fn is_exceeded_by(&self, grade: &Grade) -> bool {
        let exceeds = |level: &Level| self.0.get(&level.sequence).is_none_or(|known| level.rank < known.rank);
        grade.0.values().filter_map(Standing::effective).any(|met| exceeds(&met.level))
    }
}

/// The levels that a member meets if it lasts as bad as it was at the worst.
fn by_lasting(member: &Member) -> impl Iterator<Item = &Level> {
    let judged = member.judged.as_deref();
    let reading = judged.map(|judged| judged.worst).unwrap_or_default();
    let none = Numbers::new();
    let holds = move |rung: &&Rung| {
        let numbers = judged.map_or(&none, |judged| &judged.numbers);
        rung.condition.tests.iter().all(|test| test.measure.grows() || test.holds(&reading, numbers))
    };
    let ladders = member.definition.iter().flat_map(|definition| definition.ladders());
    ladders.flat_map(|ladder| &ladder.rungs).filter(holds).map(|rung| &rung.level)
}

impl Declare {
    /// How bad it is now that it is cancelled.
    pub(super) fn remembers_cancelled(&mut self, id: SituationId) {
        let mut cancelled = Cancellation::default();
        let held = self.state.incidents.get(&id).into_iter().flat_map(Incident::held).map(|held| &held.level);
        held.chain(self.counting(id).flat_map(by_lasting)).for_each(|level| cancelled.adds(level));
        if let Some(incident) = self.state.incidents.get_mut(&id) {
            incident.cancelled = cancelled;
        }
    }

    /// What was cancelled goes on: where it is worse, it is a fault after all.
    pub(super) fn goes_on_cancelled(&mut self, id: SituationId, graded: &Graded, at: Timestamp, out: &mut Outbox) {
        if self.state.incidents.get(&id).is_some_and(|incident| incident.cancelled.is_exceeded_by(&graded.grade)) {
            self.reopens(id, "it is worse than what was cancelled", at, Some(graded.clone()), out);
        }
    }
}

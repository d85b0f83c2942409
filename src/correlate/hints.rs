//! Hints: what monitors have too much of where it makes no breach, kept for as long as it can explain one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Entity, Hint, Timestamp};

/// Hints that are kept, one of calls counting twice; beyond it the oldest goes.
const HINTS_MAX: usize = 20_000;

/// Hints are kept for this long.
const KEPT: Duration = Duration::from_secs(3600);

/// Recent hints.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Hints {
    /// As they came, by each entity that they are of.
    order: VecDeque<(Timestamp, Entity)>,
    /// The same by entity, likewise.
    of: BTreeMap<Entity, VecDeque<Arc<Hint>>>,
}

impl Hints {
    pub(super) fn push(&mut self, hint: Hint) {
        if hint.is_taken_back() {
            return self.take_back(&hint);
        }
        let hint = Arc::new(hint);
        for entity in std::iter::once(&hint.entity).chain(&hint.calls) {
            self.order.push_back((hint.at, entity.clone()));
            self.of.entry(entity.clone()).or_default().push_back(hint.clone());
        }
        while self.order.len() > HINTS_MAX {
            self.pop();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// What there is of an entity, and of calls to it, of some time.
    pub(super) fn of(&self, entity: &Entity, from: Timestamp, until: Timestamp) -> impl Iterator<Item = &Hint> {
        self.of.get(entity).into_iter().flatten().map(Arc::as_ref).filter(move |hint| from <= hint.at && hint.at <= until)
    }

    /// A monitor takes its last hint back.
    fn take_back(&mut self, over: &Hint) {
        let is_same = |hint: &Hint| hint.monitor == over.monitor && hint.entity == over.entity && hint.calls == over.calls;
        for entity in std::iter::once(&over.entity).chain(&over.calls) {
            let Some(hints) = self.of.get_mut(entity) else { continue };
            let Some(hint) = hints.iter().rposition(|hint| is_same(hint)).and_then(|place| hints.remove(place)) else { continue };
            if hints.is_empty() {
                self.of.remove(entity);
            }
            if let Some(place) = self.order.iter().rposition(|(at, of)| *at == hint.at && of == entity) {
                self.order.remove(place);
            }
        }
    }

    pub(super) fn forget(&mut self, now: Timestamp) {
        while self.order.front().is_some_and(|(at, _)| now.since(*at) > KEPT) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        let Some((_, entity)) = self.order.pop_front() else { return };
        let Some(hints) = self.of.get_mut(&entity) else { return };
        hints.pop_front();
        if hints.is_empty() {
            self.of.remove(&entity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_when_there_are_too_many_and_when_they_are_old() {
        let mut hints = Hints::default();
        let hint = |second: i64| Hint {
            monitor: "latency".into(),
            entity: Entity::new("service", &format!("s{}", second % 3)),
            calls: None,
            at: Timestamp(second * 1000),
            excess: 1.0,
        };
        let known = |hints: &Hints| (0..3).map(|i| hints.of(&hint(i).entity, Timestamp::MIN, Timestamp(i64::MAX)).count()).sum::<usize>();
        hints.push(hint(3));
        hints.push(Hint { excess: 0.0, ..hint(6) });
        assert!(hints.is_empty() && hints.of.is_empty(), "it is taken back");
        (0..HINTS_MAX as i64 + 5).for_each(|second| hints.push(hint(second)));
        assert_eq!(known(&hints), HINTS_MAX);
        assert_eq!(hints.of(&hint(0).entity, Timestamp(0), Timestamp(6_000)).map(|hint| hint.at).collect::<Vec<_>>(), [Timestamp(6_000)]);
        hints.forget(Timestamp(HINTS_MAX as i64 * 1000));
        assert_eq!(known(&hints), 3605);
        hints.forget(Timestamp(i64::MAX));
        assert!(hints.is_empty() && hints.of.is_empty());
    }
}

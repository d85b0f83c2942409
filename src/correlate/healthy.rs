//! What monitors find good, by entity: what is measured and good is likely not at the root of what the same monitors find bad.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Entity, Good, Timestamp};
use crate::rules::Rules;
use crate::stage::Outcome;

use super::Situations;

/// Pairs of an entity and a monitor that are remembered; further ones are not.
const GOODS_MAX: usize = 100_000;

/// It is told once an hour while it is so, and believed for so long.
const KEPT: Duration = Duration::from_secs(2 * 3600 + 600);

/// What is believed no more is looked for so often.
const SWEPT: Duration = Duration::from_secs(600);

/// What was found good of late.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Healthy {
    of: BTreeMap<Entity, BTreeMap<String, Timestamp>>,
    number: usize,
    swept: Timestamp,
}

impl Healthy {
    pub(super) fn push(&mut self, told: Good) -> Outcome {
        let Good { monitor, entity, at, good } = told;
        let known = self.of.get(&entity).is_some_and(|of| of.contains_key(&monitor));
        if good && !known && self.number >= GOODS_MAX {
            // It explains less, and nothing is missed.
            return Outcome::NotWanted;
        }
        if good {
            self.number += usize::from(!known);
            self.of.entry(entity).or_default().insert(monitor, at);
        } else if let Some(of) = self.of.get_mut(&entity) {
            self.number -= usize::from(of.remove(&monitor).is_some());
        }
        Outcome::Applied
    }

    /// Whether a monitor has found an entity good of late, as of a time.
    pub(super) fn is_good(&self, entity: &Entity, monitor: &str, at: Timestamp) -> bool {
        self.of.get(entity).and_then(|of| of.get(monitor)).is_some_and(|told| at.since(*told) <= KEPT)
    }

    pub(super) fn forget(&mut self, now: Timestamp) {
        if now.since(self.swept) < SWEPT {
            return;
        }
        self.swept = now;
        for of in self.of.values_mut() {
            of.retain(|_, told| now.since(*told) <= KEPT);
        }
        self.of.retain(|_, of| !of.is_empty());
        self.number = self.of.values().map(BTreeMap::len).sum();
    }
}

impl Situations {
    /// A monitor finds something good, or no more.
    pub fn good(&mut self, good: &Good, rules: &Rules) -> Outcome {
        self.goods.push(Good { entity: rules.topology.resolve(good.entity.clone()), ..good.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_good_hours_ago_is_not_known_and_there_is_a_limit() {
        let mut goods = Healthy::default();
        let good = |number: usize, at: i64| Good {
            monitor: "latency".into(),
            entity: Entity::new("service", &format!("s{number}")),
            at: Timestamp(1_760_000_000_000 + at * 1000),
            good: true,
        };
        let outcomes = (0..GOODS_MAX + 5).map(|number| goods.push(good(number, 0)));
        assert_eq!(outcomes.filter(|outcome| *outcome == Outcome::NotWanted).count(), 5);
        goods.push(good(1, 3600));
        goods.push(Good { good: false, ..good(2, 3600) });
        let is_good = |goods: &Healthy, number: usize, at: i64| goods.is_good(&good(number, 0).entity, "latency", good(0, at).at);
        assert!(!is_good(&goods, 2, 3600), "it is good no more");
        assert!(is_good(&goods, 0, 7200) && !is_good(&goods, 0, 9000) && is_good(&goods, 1, 9000));
        assert!(!is_good(&goods, GOODS_MAX + 1, 0) && !goods.is_good(&good(0, 0).entity, "errors", good(0, 0).at));
        goods.forget(good(0, 9000).at);
        assert_eq!((goods.number, goods.of.len()), (1, 1));
    }
}

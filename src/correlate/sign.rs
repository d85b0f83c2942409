//! Signs of trouble, and what most likely made each.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::labels::Fnv;
use crate::model::{Entity, Timestamp};
use crate::rules::Node;

use super::odds::Odds;
use super::situation::{MemberKey, SituationId};
use super::storm::Counted;

/// Entities to which calls of one sign are bad.
const CALLS_MAX: usize = 16;

/// Where a sign is; of one that is gone, nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SignId {
    pub(super) serial: u32,
    pub(super) slot: Slot,
}

impl Default for SignId {
    fn default() -> Self {
        Self { serial: 0, slot: Slot(NonZeroU32::MAX) }
    }
}

/// A place among the signs; the first one stays empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Slot(NonZeroU32);

impl Slot {
    /// None is the first.
    pub(super) fn of(place: usize) -> Self {
        Self(u32::try_from(place).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX))
    }

    #[inline]
    pub(super) fn place(self) -> usize {
        self.0.get() as usize
    }
}

/// A burst of alerts or breaches about one entity; or one that is only inferred, as the common cause of others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sign {
    pub(super) id: SignId,
    pub(super) entity: Entity,
    #[serde(skip)]
    pub(super) node: Node,
    /// The topology does not know the entity.
    #[serde(skip)]
    pub(super) unknown: bool,
    /// The sign of the same entity that began before.
    #[serde(skip)]
    pub(super) before: Option<Slot>,
    pub(super) first: Timestamp,
    /// How exactly that is known, in seconds.
    pub(super) blur: f32,
    /// What the first that it is told by is called, hashed; of what is only inferred nothing.
    pub(super) name: Name,
    /// Alerts and breaches in it; none where it is only inferred.
    pub(super) told: u32,
    /// What few have.
    pub(super) rare: Option<Box<Rare>>,
    /// The member that opened it, once it is there.
    pub(super) opener: Option<MemberKey>,
    /// Those that last.
    pub(super) firing: u32,
    /// When the last one ended of those that do not.
    pub(super) ended: Option<Timestamp>,
    /// How many seconds before that the first one did.
    pub(super) ends_span: u32,
    pub(super) situation: SituationId,
    pub(super) cause: Option<Cause>,
    pub(super) effects: Vec<SignId>,
}

/// What few signs have.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Rare {
    /// What is only counted, by name.
    pub(super) counted: Vec<Counted>,
    /// The entities to which its calls have too much of something.
    pub(super) calls: Vec<Entity>,
}

/// Where and when something began, and to how many seconds that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Onset {
    pub(super) node: Node,
    pub(super) at: Timestamp,
    pub(super) blur: f64,
    pub(super) name: Name,
}

/// What alerts are called, hashed: none where there is no alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Name(u32);

impl Name {
    pub(super) fn of(name: &str) -> Self {
        Self(Fnv::of(&[name.as_bytes()]) as u32)
    }

    /// Whether both are of that name.
    pub(super) fn is(self, other: Self) -> bool {
        self == other && self != Self::default()
    }
}

impl Sign {
    #[inline]
    pub(super) fn onset(&self) -> Onset {
        Onset { node: self.node, at: self.first, blur: self.blur(), name: self.name }
    }

    /// No known way leads from it to a cause.
    #[inline]
    pub(super) fn is_unexplained(&self) -> bool {
        self.cause.as_ref().is_none_or(|cause| cause.link == Link::Meanwhile)
    }

    /// How exactly its beginning is known, in seconds.
    #[inline]
    pub(super) fn blur(&self) -> f64 {
        f64::from(self.blur)
    }

    /// One more belongs to it; whether that lasts.
    pub(super) fn gains(&mut self, fires: bool) {
        self.firing += u32::from(fires);
    }

    /// One less does.
    pub(super) fn loses(&mut self, fires: bool) {
        debug_assert!(self.firing >= u32::from(fires), "what lasts of {} was counted", self.entity);
        self.firing = self.firing.saturating_sub(u32::from(fires));
    }

    /// One of those that lasted has ended then.
    pub(super) fn ends(&mut self, at: Timestamp) {
        let ended = self.ended.unwrap_or(at);
        let first = (ended - Duration::from_secs(self.ends_span.into())).min(at);
        let ended = ended.max(at);
        (self.ended, self.ends_span) = (Some(ended), u32::try_from(ended.since(first).as_secs()).unwrap_or(u32::MAX));
    }

    pub(super) fn counted(&self) -> &[Counted] {
        self.rare.as_ref().map_or(&[], |rare| &rare.counted)
    }

    #[inline]
    pub(super) fn calls(&self) -> &[Entity] {
        self.rare.as_ref().map_or(&[], |rare| &rare.calls)
    }

    /// Its calls to an entity have too much of something.
    pub(super) fn call(&mut self, to: &Entity) {
        if self.calls().len() < CALLS_MAX && !self.calls().contains(to) {
            self.rare.get_or_insert_default().calls.push(to.clone());
        }
    }
}

/// What most likely made a sign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cause {
    pub(super) sign: SignId,
    pub(super) link: Link,
    pub(super) odds: Odds,
    /// The sign that connects it with the next likeliest situation, and all that speaks for that one, in a second.
    pub(super) next: Option<(SignId, f32)>,
}

/// How a cause reaches its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Link<E = Entity> {
    /// The effect depends on it.
    Direct,
    /// The effect depends on something of which nothing is told, and that on it.
    Through(E),
    /// Nothing is known to connect the two, but that both showed at one time.
    Meanwhile,
}

impl<E> Link<E> {
    pub(super) fn map<T>(self, of: impl FnOnce(E) -> T) -> Link<T> {
        match self {
            Self::Direct => Link::Direct,
            Self::Through(silent) => Link::Through(of(silent)),
            Self::Meanwhile => Link::Meanwhile,
        }
    }
}

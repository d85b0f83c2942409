//! How often alerts come by themselves: what an explanation has to beat. Learnt from what stayed unexplained, with a
//! memory of hours, so that where there is much noise more is asked of a connection.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

use super::sign::Name;

/// What is believed before anything is seen counts as much as so many alerts, at the least: the first alerts of a small system are
/// not its noise.
const BELIEVED_ALERTS: f64 = 4.0;

/// Before anything is known: alerts without a meaning, for each entity and second; two a day.
pub(super) const LONE: f64 = 2e-5;

/// Before anything is known: faults, for each entity and second; one in four days.
const FAULTS: f64 = 3e-6;

/// What is believed before anything is seen counts as much as so many seconds of watching.
const BELIEVED: f64 = 3600.0;

/// How long what was seen is remembered, in seconds.
const MEMORY: f64 = 21_600.0;

/// The probability that a fault shows on an entity in a single alert.
pub(super) const ONLY_ONE: f64 = 0.33;

/// How often a fingerprint is believed to fire again within [`REFIRES_IN`], before it is seen to.
const REFIRES: f64 = 0.065;

/// In seconds.
const REFIRES_IN: f64 = 900.0;

/// For how many seconds it is remembered that a fingerprint fired.
const REFIRES_MEMORY: f64 = 2700.0;

/// Names of alerts whose signs are counted; of more nothing is known.
const NAMES_MAX: usize = 4096;

/// What starts by itself, in all entities together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Rates {
    began: Option<Timestamp>,
    at: Timestamp,
    lone: f64,
    faults: f64,
    /// How often each name began a sign, as far as that is remembered, as of then.
    names: BTreeMap<Name, (Timestamp, f64)>,
    /// For how many seconds they were watched, as far as that is remembered.
    #[serde(skip)]
    watched: f64,
}

/// What a sign is that nothing explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One alert, and nothing followed.
    Lone,
    /// More than that.
    Fault,
}

impl Rates {
    /// Time goes on.
    pub(super) fn advance(&mut self, now: Timestamp) {
        self.began.get_or_insert(now);
        let kept = libm::exp(-now.since(self.at).as_secs_f64() / MEMORY);
        self.lone *= kept;
        self.faults *= kept;
        self.at = self.at.max(now);
        self.watch();
    }

    /// Works out for how long they were watched, once a moment and where they were restored.
    pub(super) fn watch(&mut self) {
        self.watched = self.began.map_or(0.0, |began| remembered(self.at.since(began).as_secs_f64(), MEMORY));
    }

    /// One more, or one less, of a kind.
    pub(super) fn count(&mut self, kind: Kind, number: f64) {
        let counted = match kind {
            Kind::Lone => &mut self.lone,
            Kind::Fault => &mut self.faults,
        };
        *counted = (*counted + number).max(0.0);
    }

    /// A sign of that name begins.
    pub(super) fn named(&mut self, name: Name, at: Timestamp) {
        if !name.is(name) {
            return;
        }
        if self.names.len() >= NAMES_MAX && !self.names.contains_key(&name) {
            self.names.retain(|_, (last, _)| at.since(*last).as_secs_f64() < MEMORY);
        }
        if self.names.len() < NAMES_MAX || self.names.contains_key(&name) {
            let count = self.began_of(name, at) + 1.0;
            self.names.insert(name, (at, count));
        }
    }

    fn began_of(&self, name: Name, at: Timestamp) -> f64 {
        let (last, count) = self.names.get(&name).copied().unwrap_or_default();
        count * libm::exp(-at.since(last).as_secs_f64() / MEMORY)
    }

    /// How many signs of that name begin within so many seconds, anywhere; but for those of now.
    pub(super) fn usual(&self, name: Name, within: f64, now: f64) -> f64 {
        (self.began_of(name, self.at) - now).max(0.0) / (self.watched + BELIEVED) * within
    }

    /// How often one entity shows a sign of that kind by itself, in a second.
    pub(super) fn alone(&self, kind: Kind, entities: usize) -> f64 {
        let entities = (entities as f64).max(1.0);
        let each = |seen: f64, usual: f64| {
            let believed = BELIEVED.max(BELIEVED_ALERTS / (usual * entities));
            (seen / entities + usual * believed) / (self.watched + believed)
        };
        let faults = each(self.faults, FAULTS);
        match kind {
            Kind::Lone => each(self.lone, LONE) + ONLY_ONE * faults,
            Kind::Fault => faults,
        }
    }
}

/// How much of so many seconds is remembered where it fades with a memory of that.
pub(super) fn remembered(seconds: f64, memory: f64) -> f64 {
    memory * (1.0 - libm::exp(-seconds / memory))
}

/// How often one fingerprint fires: a flapper makes itself weak.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Flaps {
    first: Timestamp,
    last: Timestamp,
    again: f32,
}

impl Flaps {
    pub(super) fn new(at: Timestamp) -> Self {
        Self { first: at, last: at, again: 0.0 }
    }

    /// Of what began at these times, the earliest first.
    pub(super) fn of(starts: &[Timestamp]) -> Self {
        let mut flaps = Self::new(starts.first().copied().unwrap_or_default());
        starts.iter().skip(1).for_each(|at| _ = flaps.fires(*at));
        flaps
    }

    /// When it fired last.
    pub(super) fn last(&self) -> Timestamp {
        self.last
    }

    /// It fires again; gives how often it was to be expected to, in a second.
    pub(super) fn fires(&mut self, at: Timestamp) -> f64 {
        let kept = f64::from(self.again) * libm::exp(-at.since(self.last).as_secs_f64() / REFIRES_MEMORY);
        let watched = at.since(self.first).min(Duration::from_secs_f64(REFIRES_MEMORY)).as_secs_f64();
        self.again = (kept + 1.0) as f32;
        self.last = self.last.max(at);
        (kept + REFIRES) / (watched + REFIRES_IN)
    }
}

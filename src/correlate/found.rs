//! The situations that a sign may belong to, and all that speaks for each.

use smallvec::SmallVec;

use super::forest::{Cause, Forest, Link, Onset, SignId, View};
use super::situation::SituationId;

/// What speaks for each situation as the one that a sign belongs to.
pub(super) struct Found<'f> {
    forest: &'f Forest,
    pub(super) me: Option<SignId>,
    pub(super) view: View<'f>,
    pub(super) onset: Onset,
    situations: SmallVec<[Candidate; 4]>,
}

struct Candidate {
    situation: SituationId,
    rate: f64,
    best: f64,
    sign: SignId,
    link: Link,
}

impl<'f> Found<'f> {
    /// Of a sign at a time; `me` where it is there already.
    pub(super) fn new(forest: &'f Forest, me: Option<SignId>, view: View<'f>, onset: Onset) -> Self {
        Self { forest, me, view, onset, situations: SmallVec::new() }
    }

    /// A sign that may be the cause, and how often such a one brings another, in a second.
    pub(super) fn add(&mut self, id: SignId, link: Link, rate: f64) {
        let Self { forest, me, view, onset: Onset { at, .. }, .. } = *self;
        let sign = &forest[id];
        match me.map(|me| &forest[me]) {
            // An effect is no cause.
            Some(own) if own.situation == sign.situation && forest.is_below(id, own.id) => return,
            Some(own) if own.situation == sign.situation => {}
            // Two that were declared stay two.
            Some(own) if view.holds(own.situation) && view.holds(sign.situation) => return,
            _ if !view.takes(sign.situation, at) => return,
            _ => {}
        }
        match self.situations.iter_mut().find(|candidate| candidate.situation == sign.situation) {
            Some(candidate) => {
                candidate.rate += rate;
                if rate > candidate.best {
                    (candidate.best, candidate.sign, candidate.link) = (rate, id, link);
                }
            }
            None => self.situations.push(Candidate { situation: sign.situation, rate, best: rate, sign: id, link }),
        }
    }

    /// The likeliest sign of the likeliest situation.
    pub(super) fn best(&self) -> Option<Cause> {
        let likeliest = self.situations.iter().max_by(|a, b| a.rate.total_cmp(&b.rate).then_with(|| b.situation.cmp(&a.situation)))?;
        Some(Cause { sign: likeliest.sign, link: likeliest.link.clone(), rate: likeliest.rate })
    }
}

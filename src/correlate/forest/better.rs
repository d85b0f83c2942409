//! Better causes of what was declared: that keeps its signs, and may be explained by what came later.

use crate::correlate::sign::{Cause, SignId};
use crate::correlate::situation::SituationId;

use super::{ASKED, Forest, View};

/// What was declared is related to what explains one of its signs so many times as well: three nats.
const MUCH_BETTER: f64 = 20.0;

/// It takes in what explains all that makes it a fault so many times as well: one nat.
const BETTER: f64 = 2.7;

impl Forest {
    /// What was declared keeps its signs, whatever would explain one of them much better; that is told as a relation. But what is no
    /// incident yet and explains all that makes it a fault comes to it, in place of what explained that so far.
    pub(super) fn seek_better(&mut self, id: SignId, view: View<'_>) {
        let sign = &self[id];
        let Some(known) = sign.cause.as_ref().map(|cause| f64::from(cause.odds.rate)) else { return };
        let (background, changed) = self.background(id, view);
        let (best, refused) = self.found(sign.onset(), Some(id), known, view).likeliest();
        let is_better = |cause: &Cause, by: f64| {
            let rate = f64::from(cause.odds.rate);
            self[cause.sign].situation != sign.situation && rate > known * by && rate > background * ASKED
        };
        let stands = |cause: Cause| Cause { odds: cause.odds.against(background, changed), ..cause };
        let comes = |cause: &Cause| is_better(cause, BETTER) && self.comes(self[cause.sign].situation, id, view);
        if let Some(cause) = best.as_ref().filter(|cause| comes(cause)).cloned() {
            return self.replace(id, stands(cause));
        }
        let better = refused.into_iter().chain(best).find(|cause| is_better(cause, MUCH_BETTER));
        if let Some(other) = better.map(stands) {
            self.relate(id, &other);
        }
    }

    /// Whether a situation that is no incident may come to one that nobody has acknowledged, as all that makes that one a fault hangs
    /// on this sign of it.
    fn comes(&self, other: SituationId, id: SignId, view: View<'_>) -> bool {
        let own = self[id].situation;
        let mut members = view.open.get(&own).into_iter().flat_map(|situation| &situation.members);
        !view.holds(other) && view.takes_in(own) && members.all(|member| !member.counts() || self.is_below(member.sign, id))
    }

    /// Another cause of a sign comes to its situation with all that hangs together with it, and what explained it so far goes.
    fn replace(&mut self, id: SignId, cause: Cause) {
        let (own, other, by) = (self[id].situation, self[cause.sign].situation, cause.sign);
        let below = self.below(id);
        let rest: Vec<SignId> = self.signs_in(own).iter().copied().filter(|sign| !below.contains(sign)).collect();
        let (before, root) = (self[id].cause.as_ref().map(|cause| cause.sign), self.root(id));
        before.into_iter().for_each(|before| self.changes(before, |sign| sign.effects.retain(|effect| *effect != id)));
        let entity = self[by].entity.clone();
        self.changes(by, |sign| sign.effects.push(id));
        self[id].cause = Some(cause);
        self.rejoined.push(id);
        self.merge(other, own, id, entity);
        if !rest.is_empty() {
            let into = self.new_situation();
            self.moves_to(rest, own, into, Some(root), None);
        }
    }
}

//! Better causes of what was declared: that keeps its signs, and may be explained by what came later.

use crate::correlate::membership::{How, Membership};
use crate::correlate::odds::Odds;
use crate::correlate::sign::{Cause, SignId};
use crate::correlate::situation::SituationId;

use super::{ASKED, Forest, View};

/// What was declared is related to what explains one of its signs so many times as well: three nats.
const MUCH_BETTER: f64 = 20.0;

/// It takes in what explains all that makes it a fault so many times as well: one nat.
const BETTER: f64 = 2.7;

impl Forest {
    /// What was declared keeps its signs, whatever would explain one of them much better; that is told as a relation. But what makes no
    /// fault by itself, and explains all of it better, comes to it in place of what explained that so far.
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
            let by = Odds::certain(f64::from(cause.odds.rate), known);
            return self.replace(id, stands(cause), by);
        }
        let better = refused.into_iter().chain(best).find(|cause| is_better(cause, MUCH_BETTER));
        if let Some(other) = better.map(stands) {
            self.relate(id, &other);
        }
    }

    /// Whether a situation may come to an incident that nobody has acknowledged: it makes no fault by itself, and all of the incident
    /// hangs on this sign, but for what that hangs on.
    fn comes(&self, other: SituationId, id: SignId, view: View<'_>) -> bool {
        let own = self[id].situation;
        let members = |of: SituationId| view.open.get(&of).into_iter().flat_map(|situation| &situation.members);
        // What is being placed is no member yet.
        let makes_none = || !view.counts && members(other).all(|member| member.definition.is_none());
        let all_hangs = || self.below(id).len() + self.above(id).count() == self.signs_in(own).len();
        let mut makes = members(own).filter(|member| member.definition.is_some()).peekable();
        let is_free = !view.holds(other) && view.takes_in(own) && makes_none();
        is_free && makes.peek().is_some() && makes.all(|member| self.is_below(member.sign, id)) && all_hangs()
    }

    /// What a sign hangs on: its cause, the cause of that, and so on.
    fn above(&self, id: SignId) -> impl Iterator<Item = SignId> {
        std::iter::successors(Some(id), |id| Some(self[*id].cause.as_ref()?.sign)).skip(1)
    }

    /// Another cause of a sign comes to its situation with all that hangs together with it, and what explained it so far goes. `better`
    /// holds the one against the other.
    fn replace(&mut self, id: SignId, cause: Cause, better: Odds) {
        let (own, other, by) = (self[id].situation, self[cause.sign].situation, cause.sign);
        let (above, entity) = (self.above(id).collect::<Vec<_>>(), self[by].entity.clone());
        let instead = Membership { how: How::Outdone(entity.clone()), odds: better, ..Membership::default() };
        self.changes(above[0], |sign| sign.effects.retain(|effect| *effect != id));
        self.changes(by, |sign| sign.effects.push(id));
        self[id].cause = Some(cause);
        self.rejoined.push(id);
        self.merge(other, own, id, entity);
        let (into, root) = (self.new_situation(), above[above.len() - 1]);
        let is_told = above.iter().any(|sign| self[*sign].told > 0);
        self.moves_to(above, own, into, Some(root), Some(instead));
        if !is_told {
            self.forget_alone(root);
        }
    }
}

//! The situations that a sign may belong to, and all that speaks for each.

use std::cmp::Ordering;

use smallvec::SmallVec;

use crate::correlate::odds::Odds;
use crate::correlate::sign::{Cause, Link, Onset, Sign, SignId};
use crate::correlate::situation::SituationId;
use crate::rules::Node;

use super::ends::Ends;
use super::{Forest, View};

/// What speaks for each situation as the one that a sign belongs to.
pub(super) struct Candidates<'f> {
    forest: &'f Forest,
    pub(super) me: Option<&'f Sign>,
    pub(super) view: View<'f>,
    pub(super) onset: Onset,
    /// How many signs would have to be taken in, and whether they stay where they are.
    signs: usize,
    held: bool,
    situations: SmallVec<[Candidate; 4]>,
}

struct Candidate {
    situation: SituationId,
    rate: f64,
    best: f64,
    confidence: f64,
    ends: Option<Ends>,
    sign: SignId,
    link: Link<Node>,
}

impl<'f> Candidates<'f> {
    /// Of a sign at a time; `me` where it is there already.
    pub(super) fn new(forest: &'f Forest, me: Option<SignId>, view: View<'f>, onset: Onset) -> Self {
        let me = me.map(|me| &forest[me]);
        let (signs, held) = me.map_or((1, false), |me| (forest.signs_in(me.situation).len(), view.holds(me.situation)));
        Self { forest, me, view, onset, signs, held, situations: SmallVec::new() }
    }

    /// What its end says, if that is the cause.
    #[inline]
    pub(super) fn ends(&self, cause: &Sign) -> Option<Ends> {
        self.forest.ended(self.me?, cause)
    }

    /// A sign that may be the cause, how often such a one brings another, in a second, how likely the way is, and what the ends say.
    pub(super) fn add(&mut self, id: SignId, link: Link<Node>, rate: f64, confidence: f64, ends: Option<Ends>) {
        let rate = rate * confidence * ends.map_or(1.0, |ends| f64::from(ends.factor));
        let sign = &self.forest[id];
        // An effect is no cause.
        if self.me.is_some_and(|own| own.situation == sign.situation && self.forest.is_below(id, own.id)) {
            return;
        }
        match self.situations.iter_mut().find(|candidate| candidate.situation == sign.situation) {
            Some(candidate) => {
                candidate.rate += rate;
                if rate > candidate.best {
                    *candidate = Candidate { best: rate, confidence, ends, sign: id, link, ..*candidate };
                }
            }
            None => self.situations.push(Candidate { situation: sign.situation, rate, best: rate, confidence, ends, sign: id, link }),
        }
    }

    /// Whether the sign, with all that hangs on it, can become part of a situation.
    pub(super) fn joins(&self, situation: SituationId) -> bool {
        if self.me.is_some_and(|own| own.situation == situation) {
            return true;
        }
        // Two that were declared stay two.
        let two = self.held && self.view.holds(situation);
        !two && self.forest.takes(situation, self.signs, self.onset.at, self.view)
    }

    /// Whether a situation that can be joined is so likely, or likelier.
    pub(super) fn reaches(&self, rate: f64) -> bool {
        self.situations.iter().any(|candidate| candidate.rate >= rate && self.joins(candidate.situation))
    }

    /// The likeliest sign of the likeliest situation that can be joined; and of a likelier one, if there is one that cannot.
    pub(super) fn likeliest(&self) -> (Option<Cause>, Option<Cause>) {
        let (best, refused) = self.best();
        (best.map(|best| self.cause(best)), refused.map(|refused| self.cause(refused)))
    }

    /// The rate of the likeliest situation that can be joined.
    pub(super) fn rate(&self) -> f64 {
        self.best().0.map_or(0.0, |best| best.rate)
    }

    /// Few have to be asked whether they can be joined.
    fn best(&self) -> (Option<&Candidate>, Option<&Candidate>) {
        let (mut refused, mut last): (_, Option<&Candidate>) = (None, None);
        loop {
            let Some(best) = self.most(|candidate| last.is_none_or(|last| candidate.order(last).is_lt())) else { return (None, refused) };
            if self.joins(best.situation) {
                return (Some(best), refused);
            }
            refused = refused.or(Some(best));
            last = Some(best);
        }
    }

    fn most(&self, of: impl Fn(&Candidate) -> bool) -> Option<&Candidate> {
        self.situations.iter().filter(|candidate| of(candidate)).max_by(|a, b| a.order(b))
    }

    fn cause(&self, candidate: &Candidate) -> Cause {
        let next = self.most(|other| other.situation != candidate.situation).map(|next| (next.sign, next.rate as f32));
        let link = candidate.link.map(|silent| self.view.topology.name(silent).clone());
        let Candidate { sign, best, confidence, ends, rate, .. } = *candidate;
        let odds = Odds { best: best as f32, confidence: confidence as f32, ends, rate: rate as f32, ..Odds::default() };
        Cause { sign, link, odds, next }
    }
}

impl Candidate {
    fn order(&self, other: &Self) -> Ordering {
        self.rate.total_cmp(&other.rate).then_with(|| other.situation.cmp(&self.situation))
    }
}

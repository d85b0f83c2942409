//! What came of a signal.

use crate::model::Entity;
use crate::stage::Outcome;

use super::Membership;
use super::relation::Relation;
use super::situation::{Member, MemberKey, SituationId};
use super::storm::Tally;
use super::suppress::Suppressed;

/// What a signal did.
#[derive(Debug)]
pub struct Effect {
    /// How it is counted.
    pub outcome: Outcome,
    /// The member that it is about.
    pub member: Option<MemberKey>,
    /// Whether the member is new.
    pub joined: bool,
    /// The episode before, of whose end nobody told.
    pub ended: Option<MemberKey>,
    /// It only confirms that what has ended stays so, or tells of its data: nothing is graded anew.
    pub stays: bool,
    /// Members that are known to stay good by now.
    pub settled: Vec<MemberKey>,
    /// What is only counted in its situation, which has too many members to keep them all.
    pub tallied: Option<(SituationId, Box<Member>)>,
}

/// What became of situations.
#[derive(Clone, Debug)]
pub enum News {
    /// All of one is in another now, for this entity's failure explains both.
    Merged {
        /// The one that is no more.
        gone: SituationId,
        /// The other.
        kept: SituationId,
        /// What explains both.
        cause: Entity,
        /// What connects with the rest of one of them.
        entity: Entity,
        /// Why that is where it is now.
        why: Membership,
    },
    /// Two would be one, if one could still become part of the other.
    Related {
        /// One of them.
        situation: SituationId,
        /// Which other one, and why.
        relation: Relation,
    },
    /// Part of a situation is in another now: something explains it better than what connected it.
    Split {
        /// The one that it was in.
        from: SituationId,
        /// The other.
        into: SituationId,
        /// What connects with the rest of its part.
        entity: Entity,
        /// Why that is where it is now; where it is alone, what connects it best with where it was, which is not likely enough.
        why: Membership,
        /// Nothing explains it.
        alone: bool,
    },
    /// A situation has so many members that further ones are only counted; the entity and the alert of which there are
    /// most, and how many.
    Storm {
        /// The situation.
        situation: SituationId,
        /// What there is most of.
        worst: Option<Tally>,
    },
    /// Nothing has lasted for a while of what was only counted.
    Calm {
        /// The situation.
        situation: SituationId,
        /// What most of that was.
        worst: Option<Tally>,
    },
    /// A member makes no fault, although it could.
    Suppressed {
        /// The member's key.
        member: MemberKey,
        /// Why.
        suppressed: Suppressed,
    },
    /// What was a member of another situation is only counted in this one, which has too many to keep it.
    Counted {
        /// The situation.
        situation: SituationId,
        /// What it was.
        member: Box<Member>,
    },
    /// A member has a likelier cause now, perhaps in another situation.
    Moved {
        /// The member's key.
        member: MemberKey,
    },
}

impl Effect {
    pub(super) fn nothing(outcome: Outcome) -> Self {
        Self { outcome, member: None, joined: false, stays: false, settled: vec![], tallied: None, ended: None }
    }

    pub(super) fn updated(key: MemberKey) -> Self {
        Self { member: Some(key), ..Self::nothing(Outcome::Applied) }
    }
}

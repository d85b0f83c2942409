//! Breaches that have ended: whether they stay so, which only data can tell.

use std::sync::Arc;

use crate::model::{Breach, Fingerprint, Phase};
use crate::rules::Rules;

use super::{Effect, EndedBy, Judged, MemberKey, Situations};

impl Situations {
    /// Takes in how a breach goes on that is a member.
    pub(super) fn goes_on(&mut self, fingerprint: Fingerprint, key: MemberKey, breach: &Breach, rules: &Rules) -> Effect {
        let ended = breach.phase == Phase::Ended;
        let (mut stays, mut means_more) = (false, false);
        self.update(key, |member| {
            means_more = member.definition.is_none() && breach.definition.is_some();
            if means_more {
                member.definition = breach.definition.clone().map(Arc::new);
            }
            stays = ended && member.ends_at == Some(breach.at) && !member.is_said_over();
            member.stale = false;
            (member.told_at, member.heard_at) = (breach.known_at, breach.known_at);
            let before = member.judged.take().unwrap_or_default();
            let mut judged = Judged { excused: before.excused, ..Judged::from(breach) };
            if judged.dimensions.is_empty() {
                // What carried it stays known once it is over.
                judged.dimensions = before.dimensions;
            }
            judged.excuse(member.definition.as_deref());
            member.judged = Some(Box::new(judged));
            member.ends_at = ended.then_some(breach.at);
            member.settled_at = breach.settled_at.filter(|_| ended);
            member.ended_by = if breach.new_normal { EndedBy::NewNormal } else { EndedBy::Told };
        });
        if means_more {
            self.suppress(key, rules);
        }
        Effect { stays, settled: self.settle_group(fingerprint, key, breach), ..Effect::updated(key) }
    }

    /// Where a group is known to stay good, all of its breaches that have ended do, wherever they are; gives those.
    fn settle_group(&mut self, fingerprint: Fingerprint, key: MemberKey, breach: &Breach) -> Vec<MemberKey> {
        if breach.phase != Phase::Ended {
            return vec![];
        }
        // Of what means nothing it is not told that it stays good, nor so of what it meant before.
        let at = breach.settled_at.or(breach.definition.is_none().then_some(breach.known_at));
        let Some(at) = at else {
            let unsettled = self.unsettled.entry(fingerprint).or_default();
            if !unsettled.contains(&key) {
                unsettled.push(key);
            }
            return vec![];
        };
        let settled = self.unsettled.remove(&fingerprint).unwrap_or_default();
        for key in &settled {
            self.update(*key, |member| (member.settled_at, member.stale) = (member.settled_at.or(Some(at)), false));
        }
        settled
    }

    /// The data of a group tells of something new: what was said of its earlier breaches' data is past.
    pub(super) fn hear_again(&mut self, fingerprint: Fingerprint) {
        for key in self.unsettled.get(&fingerprint).cloned().unwrap_or_default() {
            self.update(key, |member| member.stale = false);
        }
    }

    /// A member is gone.
    pub(super) fn forget_unsettled(&mut self, fingerprint: Fingerprint, key: MemberKey) {
        if let Some(unsettled) = self.unsettled.get_mut(&fingerprint) {
            unsettled.retain(|known| *known != key);
            if unsettled.is_empty() {
                self.unsettled.remove(&fingerprint);
            }
        }
    }
}

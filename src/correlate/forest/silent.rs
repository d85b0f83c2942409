//! Causes of which nothing is told: one dependency that explains several signs which else came by themselves.

use std::time::Duration;

use smallvec::SmallVec;

use crate::correlate::kernel::{self, SILENT_LEAD, SPREADS, TOLD, seconds};
use crate::correlate::membership::{How, Membership};
use crate::correlate::odds::Odds;
use crate::correlate::rates::{Kind, ONLY_ONE};
use crate::correlate::relation::Relation;
use crate::correlate::sign::{Cause, Link, Name, Onset, Sign, SignId};
use crate::correlate::situation::SituationId;
use crate::model::{Entity, Timestamp};
use crate::rules::Node;

use super::meanwhile::AROUND_MAX;
use super::search::CALLERS_MAX;
use super::{Forest, Moved, SILENT, View};

/// Signs so many seconds apart may have one silent cause.
const TOGETHER: f64 = 180.0;

/// By how many nats a silent cause must be the better explanation.
const SILENT_ASKED: f64 = 1.4;

/// How much it counts against a silent cause that another caller shows nothing.
const SILENT_CALLER: f64 = 0.4;

impl Forest {
    /// Looks for one dependency, of which nothing is told, that explains this sign and others that came by themselves. What was
    /// declared gives nothing away: one such situation, which nobody has acknowledged yet, takes in what was not, and others are
    /// only related.
    pub(super) fn silent_cause(&mut self, id: SignId, view: View<'_>) {
        let (node, at) = (self[id].node, self[id].first);
        let candidates =
            view.topology.depends_on(node).iter().filter(|silent| self.signs_near(**silent, at, kernel::NEAR_THROUGH).next().is_none());
        let explained = candidates.filter_map(|silent| {
            let (nats, effects) = self.explained_by(*silent, id, view)?;
            Some((nats, *silent, effects))
        });
        let Some((_, silent, effects)) = explained.max_by(|a, b| a.0.total_cmp(&b.0)) else { return };
        let first = effects[0];
        let onset = self[first].first - SILENT_LEAD;
        let since = effects.iter().map(|effect| self[*effect].first).max().unwrap_or(onset);
        let situation = |effect: &SignId| self[*effect].situation;
        let taking = effects.iter().map(situation).find(|situation| view.takes_in(*situation));
        let free = effects.iter().filter(|effect| !view.holds(situation(effect))).count();
        let (held, own): (Vec<SignId>, Vec<SignId>) =
            effects.into_iter().partition(|effect| view.holds(situation(effect)) && Some(situation(effect)) != taking);
        let mut with = first;
        if own.len() > 1 && free > 0 {
            with = own[0];
            self.infer(silent, &own, taking, view);
        }
        let with = self[with].situation;
        for effect in held {
            let why = self.shares(effect, silent, onset, view);
            let Sign { situation, entity, .. } = &self[effect];
            let (situation, entity) = (*situation, entity.clone());
            self.moves.push(Moved::Related { situation, relation: Relation { with, entity, why, of_root: true, since } });
        }
    }

    /// Infers that an entity has failed, as the common cause of these, the earliest first; in that situation, or that of the first.
    fn infer(&mut self, silent: Node, effects: &[SignId], within: Option<SituationId>, view: View<'_>) {
        let first = effects[0];
        let (onset, situation) = (self[first].first - SILENT_LEAD, within.unwrap_or(self[first].situation));
        let odds = self.shares(first, silent, onset, view).odds;
        let sign = self.grow(Onset { node: silent, at: onset, blur: 0.0, name: Name::default() }, 0, situation, view.topology);
        let cause = Cause { sign, link: Link::Direct, odds, next: None };
        self.attach(first, Some(cause), None, view);
        self.reconsider(sign, view);
        for effect in &effects[1..] {
            self.reconsider(*effect, view);
        }
    }

    /// Why a sign would be the doing of an entity of which nothing is told, had that failed then.
    fn shares(&self, id: SignId, silent: Node, onset: Timestamp, view: View<'_>) -> Membership {
        let sign = &self[id];
        let confidence = view.topology.confidence(sign.node, silent);
        let delay = seconds(sign.first, onset);
        let rate = kernel::direct(delay, false, sign.blur()) * confidence;
        let changed = view.changed(&sign.entity, sign.first);
        let background = self.rates.alone(self.kind(id), view.entities) * changed;
        let how = How::SilentCause(view.topology.name(silent).clone());
        let odds = Odds { confidence: confidence as f32, changed: changed as f32, ..Odds::certain(rate, background) };
        Membership { how, delay, odds, next: None }
    }

    /// By how many nats a silent entity's failure explains signs of its callers better than chance, and which ones,
    /// earliest first.
    fn explained_by(&self, silent: Node, id: SignId, view: View<'_>) -> Option<(f64, SmallVec<[SignId; 16]>)> {
        let (at, entities) = (self[id].first, view.entities);
        let callers = view.topology.callers(silent);
        // Of a hub's callers only those are looked at that failed about then.
        let is_hub = callers.len() > CALLERS_MAX;
        let mut effects: SmallVec<[SignId; 16]> = if is_hub {
            let near = self.near(at, Duration::from_secs_f64(TOGETHER), AROUND_MAX);
            near.filter(|other| view.topology.depends_on(self[*other].node).contains(&silent)).collect()
        } else {
            callers.iter().flat_map(|caller| self.signs_near(*caller, at, TOGETHER)).collect()
        };
        let failed = effects.len();
        effects.retain(|other| {
            let sign = &self[*other];
            sign.is_unexplained() && sign.told > 0 && !view.is_over(sign.situation) && self.takes(sign.situation, 1, at, view)
        });
        if effects.len() < 2 {
            return None;
        }
        let against = |confidence: f64| libm::log(1.0 - SPREADS * TOLD * confidence);
        let quiet: f64 = if is_hub {
            callers.len().saturating_sub(failed) as f64 * against(1.0)
        } else {
            let quiet = callers.iter().filter(|caller| self.signs_near(**caller, at, TOGETHER).next().is_none());
            quiet.map(|caller| against(view.topology.confidence(*caller, silent))).sum()
        };
        effects.sort_by_key(|other| (self[*other].first, *other));
        let onset = self[effects[0]].first - SILENT_LEAD;
        // Calls to it that are bad are told of it.
        let name = view.topology.name(silent);
        let silence = if effects.iter().any(|effect| self[*effect].calls().contains(name)) { 1.0 } else { SILENT };
        let prior = libm::log(self.rates.alone(Kind::Fault, entities) * silence * view.changed(name, onset));
        let mut nats = prior + SILENT_CALLER * quiet;
        effects.retain(|other| {
            let (kind, delay) = (self.kind(*other), seconds(self[*other].first, onset));
            let shows = if kind == Kind::Lone { ONLY_ONE } else { 1.0 };
            let changed = view.changed(&self[*other].entity, self[*other].first);
            let by_itself = self.rates.alone(kind, entities) * changed * self.on_its_call(*other, name, view);
            let shows = shows * view.topology.confidence(self[*other].node, silent);
            let ends = self.ended(&self[*other], &self[id]).map_or(1.0, |ends| f64::from(ends.factor));
            let gain = libm::log(kernel::direct(delay, false, self[*other].blur()) * ends * shows / by_itself);
            let used = gain > 0.0 || *other == id;
            nats += if used { gain } else { 0.0 };
            used
        });
        (effects.len() >= 2 && nats > SILENT_ASKED).then_some((nats, effects))
    }

    /// Where calls from a sign's entity to one other are bad: how likely that is if it is not that one's doing, and any of its
    /// calls might be, against how likely it is if it is, and all calls to it must be.
    fn on_its_call(&self, id: SignId, to: &Entity, view: View<'_>) -> f64 {
        let sign = &self[id];
        let bad = sign.calls().len() as f64;
        let all = view.topology.depends_on(sign.node).iter().map(|on| view.topology.confidence(sign.node, *on)).sum::<f64>();
        if sign.calls().contains(to) { SPREADS * bad / all.max(bad) } else { 1.0 }
    }
}

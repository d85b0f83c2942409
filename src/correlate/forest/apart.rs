//! Situations that a person takes apart.

use crate::correlate::sign::SignId;
use crate::correlate::situation::SituationId;
use crate::rules::Node;

use super::Forest;

impl Forest {
    /// Takes the signs of an entity out of a situation, whatever connects them with the rest; gives the situation that they are
    /// in now, or none where nothing would move.
    pub(in crate::correlate) fn take_apart(&mut self, from: SituationId, node: Node) -> Option<SituationId> {
        let signs: Vec<SignId> = self.signs_in(from).iter().copied().filter(|id| self[*id].node == node).collect();
        if signs.is_empty() {
            return None;
        }
        for id in self.signs_in(from).to_vec() {
            let Some(cause) = self[id].cause.as_ref().map(|cause| cause.sign) else { continue };
            if signs.contains(&cause) == signs.contains(&id) {
                continue;
            }
            self.changes(cause, |sign| sign.effects.retain(|effect| *effect != id));
            self[id].cause = None;
            self.recount(id);
            self.rejoined.push(id);
        }
        let into = self.new_situation();
        self.moves_to(signs, from, into, None, None);
        Some(into)
    }
}

//! Why something is in its situation.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::Entity;

use super::Part;
use super::forest::Ends;
use super::odds::Odds;
use super::rates::LONE;

/// Seconds.
const DAY: f64 = 86_400.0;

/// How something joined its situation, and how much likelier that is than that it came by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Membership {
    /// How.
    pub how: How,
    /// How many seconds later it began than what it is connected with.
    pub delay: f64,
    /// How likely that is.
    pub odds: Odds,
    /// The entity that connects it with the next likeliest situation, and how likely that is, as `odds.rate`.
    pub next: Option<Box<(Entity, f32)>>,
}

impl Membership {
    pub(super) fn relapse() -> Self {
        Self { how: How::Relapse, ..Self::default() }
    }

    /// With what is about the same entity.
    pub(super) fn again(how: How, delay: f64, rate: f64, background: f64) -> Self {
        Self { how, delay, odds: Odds::certain(rate, background), next: None }
    }

    /// Where the ends are known: their factor is in the rates already.
    pub(super) fn ends(mut self, ends: Option<Ends>) -> Self {
        self.odds.ends = ends;
        self
    }

    /// The parts of [`Odds::nats`], which is their sum, of what is about that entity.
    #[must_use]
    pub fn parts(&self, of: &Entity) -> Vec<Part> {
        let Odds { best, confidence, ends, rate, background, changed } = self.odds;
        let [best, confidence, rate, background, changed] = [best, confidence, rate, background, changed].map(f64::from);
        if background <= 0.0 {
            return vec![];
        }
        if let How::Outdone(by) = &self.how {
            let (subject, times) = (by.to_string(), rate / background);
            let what = format!("{self}: {times:.1} times as likely");
            return vec![Part { kind: "better", subject, value: Some(times), nats: libm::log(times), reference: None, what }];
        }
        let (to, path) = match &self.how {
            How::DependsOn(on) | How::SilentCause(on) => (on, Some(format!("{of} -> {on}"))),
            How::Through(on, silent) => (on, Some(format!("{of} -> {silent} -> {on}"))),
            How::Meanwhile(root) => (root, None),
            How::First | How::Again | How::SameEntity | How::Relapse | How::Outdone(_) => (of, None),
        };
        let part = |kind, subject: &Entity, value, nats, what| Part {
            kind,
            subject: subject.to_string(),
            value: Some(value),
            nats,
            reference: None,
            what,
        };
        let factor = ends.map_or(1.0, |ends| f64::from(ends.factor));
        let (link, others) = (libm::log(best / confidence / factor / LONE), libm::log(rate / best));
        let usually = background / changed;
        let link = part("link", to, self.delay, link, format!("{self}, {:.0} s after it", self.delay));
        let reference = path.map(|path| format!("topology: {path}"));
        let mut parts = vec![Part { reference: reference.clone(), ..link }];
        if confidence < 1.0 {
            let what = format!("that it depends on it so is {:.0} % likely", confidence * 100.0);
            let doubt = part("confidence", to, confidence, libm::log(confidence), what);
            parts.push(Part { reference, ..doubt });
        }
        if let Some(ends) = ends {
            parts.push(part("end", to, f64::from(ends.later), libm::log(factor), ends.to_string()));
        }
        if rate > best {
            let more = rate / best - 1.0;
            parts.push(part("others", to, more, others, format!("what else connects it, {more:.2} times as likely")));
        }
        let daily = usually * DAY;
        let noise = format!(
            "that it came by itself weighs as much as {daily:.1} such signs of an entity a day, {:.1} before anything is known",
            LONE * DAY
        );
        parts.push(part("noise", of, daily, libm::log(LONE / usually), noise));
        if changed != 1.0 {
            let change = format!("for a change of {of} it fails by itself {changed:.1} times as likely");
            parts.push(part("change", of, changed, -libm::log(changed), change));
        }
        parts
    }

    /// The next likeliest connection, and its nats.
    #[must_use]
    pub fn alternative(&self) -> Option<(&Entity, f64)> {
        let (entity, rate) = self.next.as_deref().filter(|_| self.odds.background > 0.0)?;
        Some((entity, Odds { rate: *rate, ..self.odds }.nats()))
    }
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.how {
            How::First => f.write_str("nothing else here explains it"),
            How::Again => f.write_str("fires again"),
            How::SameEntity => f.write_str("same entity"),
            How::DependsOn(on) => write!(f, "depends on {on}"),
            How::Through(on, silent) => write!(f, "depends on {on} through {silent}"),
            How::Meanwhile(of) => write!(f, "while the trouble of {of} spread"),
            How::SilentCause(of) => write!(f, "shares {of}, of which nothing was told then"),
            How::Relapse => f.write_str("relapse"),
            How::Outdone(by) => write!(f, "{by} explains better what it would explain"),
        }
    }
}

/// How something joined its situation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// It opened it.
    #[default]
    First,
    /// It fires again.
    Again,
    /// It is about an entity that is in it.
    SameEntity,
    /// Its entity depends on this one.
    DependsOn(Entity),
    /// Its entity depends on this one, through the second, of which nothing was told.
    Through(Entity, Entity),
    /// It fell into the time in which this one's trouble spread; the topology knows no path.
    Meanwhile(Entity),
    /// It shares a dependency of which nothing was told.
    SilentCause(Entity),
    /// It is the same trouble again, soon after the recovery.
    Relapse,
    /// It would explain what is there, and this one does so better.
    Outdone(Entity),
}

//! Why something is in its situation.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::Entity;

use super::Part;
use super::ends::Ends;
use super::rates::LONE;

/// Seconds.
const DAY: f64 = 86_400.0;

/// How something joined its situation, and how much likelier that is than that it came by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Joined {
    /// How.
    pub how: How,
    /// Of that connection alone, in a second.
    pub best: f64,
    /// How likely the dependencies are by which it is connected.
    pub confidence: f64,
    /// What its end says of that connection; nothing while both last.
    pub ends: Option<Ends>,
    /// How many seconds later it began than what it is connected with.
    pub delay: f64,
    /// Of all that connects it with its situation, in a second.
    pub rate: f64,
    /// Of the same without one, in a second; that this be beaten three times is asked.
    pub background: f64,
    /// How many times as often as usual that is, for what was changed of it shortly before.
    pub changed: f64,
    /// The entity that connects it with the next likeliest situation, and how likely that is, as `rate`.
    pub next: Option<Box<(Entity, f64)>>,
}

impl Joined {
    pub(super) fn relapse() -> Self {
        Self { how: How::Relapse, ..Self::default() }
    }

    /// With what is about the same entity.
    pub(super) fn again(how: How, delay: f64, rate: f64, background: f64) -> Self {
        Self { how, best: rate, confidence: 1.0, ends: None, delay, rate, background, changed: 1.0, next: None }
    }

    /// Where the ends are known: their factor is in the rates already.
    pub(super) fn ends(self, ends: Option<Ends>) -> Self {
        Self { ends, ..self }
    }

    /// By how many nats the connection is likelier than its absence.
    #[must_use]
    pub fn nats(&self) -> f64 {
        if self.background > 0.0 { libm::log(self.rate / self.background) } else { 0.0 }
    }

    /// The parts of [`Self::nats`], which is their sum, of what is about that entity.
    #[must_use]
    pub fn parts(&self, of: &Entity) -> Vec<Part> {
        if self.background <= 0.0 {
            return vec![];
        }
        let (to, path) = match &self.how {
            How::DependsOn(on) | How::SilentCause(on) => (on, Some(format!("{of} -> {on}"))),
            How::Through(on, silent) => (on, Some(format!("{of} -> {silent} -> {on}"))),
            How::Meanwhile(root) => (root, None),
            How::First | How::Again | How::SameEntity | How::Relapse => (of, None),
        };
        let part = |kind, subject: &Entity, value, nats, what| Part {
            kind,
            subject: subject.to_string(),
            value: Some(value),
            nats,
            reference: None,
            what,
        };
        let factor = self.ends.map_or(1.0, |ends| f64::from(ends.factor));
        let (link, others) = (libm::log(self.best / self.confidence / factor / LONE), libm::log(self.rate / self.best));
        let usually = self.background / self.changed;
        let link = part("link", to, self.delay, link, format!("{self}, {:.0} s after it", self.delay));
        let reference = path.map(|path| format!("topology: {path}"));
        let mut parts = vec![Part { reference: reference.clone(), ..link }];
        if self.confidence < 1.0 {
            let what = format!("that it depends on it so is {:.0} % likely", self.confidence * 100.0);
            let doubt = part("confidence", to, self.confidence, libm::log(self.confidence), what);
            parts.push(Part { reference, ..doubt });
        }
        if let Some(ends) = self.ends {
            parts.push(part("end", to, f64::from(ends.later), libm::log(factor), ends.to_string()));
        }
        if self.rate > self.best {
            let more = self.rate / self.best - 1.0;
            parts.push(part("others", to, more, others, format!("what else connects it, {more:.2} times as likely")));
        }
        let daily = usually * DAY;
        let noise = format!("such a sign comes by itself {daily:.1} times a day, and {:.1} times where nothing is known", LONE * DAY);
        parts.push(part("noise", of, daily, libm::log(LONE / usually), noise));
        if self.changed != 1.0 {
            let change = format!("for a change of {of} it fails by itself {:.1} times as likely", self.changed);
            parts.push(part("change", of, self.changed, -libm::log(self.changed), change));
        }
        parts
    }

    /// The next likeliest connection, and its nats.
    #[must_use]
    pub fn alternative(&self) -> Option<(&Entity, f64)> {
        let (entity, rate) = self.next.as_deref().filter(|_| self.background > 0.0)?;
        Some((entity, libm::log(rate / self.background)))
    }
}

impl fmt::Display for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.how {
            How::First => f.write_str("first sign"),
            How::Again => f.write_str("fires again"),
            How::SameEntity => f.write_str("same entity"),
            How::DependsOn(on) => write!(f, "depends on {on}"),
            How::Through(on, silent) => write!(f, "depends on {on} through {silent}"),
            How::Meanwhile(of) => write!(f, "while the trouble of {of} spread"),
            How::SilentCause(of) => write!(f, "shares {of}, of which nothing is told"),
            How::Relapse => f.write_str("relapse"),
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
}

//! A situation and its members.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{
    Breach, Definition, Dimension, Entity, Fingerprint, Judge, Labels, Numbers, Origin, Reading, Step, Timestamp, labels::Fnv,
};
use crate::rules::{Rules, Tuning};

use super::member::{NAMELESS, breach_fingerprint, person_fingerprint, title};
use super::members::Members;
use super::membership::Membership;
use super::sign::SignId;
use super::suppress::{Suppressed, Suppressor};

/// Episodes of the same trouble after which a further one relapses no more: it is a fault of its own, so that what flaps for months
/// grows no situation for as long.
const EPISODES_MAX: usize = 200;

/// A situation's number within its domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SituationId(pub u64);

impl fmt::Display for SituationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S{}", self.0)
    }
}

/// A set of signals believed to have one cause.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Situation {
    /// Its number.
    pub id: SituationId,
    /// In the order they joined.
    pub members: Members,
    /// The first sign of it.
    first: Timestamp,
    /// When it was last heard of, or something of it ended.
    heard: Timestamp,
    /// Members that last.
    lasting: Lasting,
    /// How its incident stands.
    pub(super) hold: Hold,
    /// A person took it apart: it gives nothing away and becomes part of nothing else that is so.
    pub(super) taken_apart: bool,
    /// Its incident was on again after a recovery.
    pub(super) relapsed: bool,
}

/// How the incident stands that a situation is part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hold {
    /// It is part of none.
    #[default]
    Free,
    /// It was declared, and is on.
    On {
        /// Somebody has acknowledged it: it gives nothing away any more.
        acknowledged: bool,
    },
    /// It has recovered, or is none: it takes in only a relapse.
    Over {
        /// When it did.
        since: Timestamp,
        /// It is none: only what was cancelled itself is it again, and not what is called so elsewhere.
        cancelled: bool,
    },
}

/// How many members last.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Lasting {
    all: u32,
    /// Those that count.
    counting: u32,
    /// Those that are suppressed, and have to act when they are no more.
    waiting: u32,
}

impl Lasting {
    fn of(member: &Member) -> Self {
        let lasts = member.ends_at.is_none();
        let one = |is: bool| u32::from(lasts && is);
        Self { all: one(true), counting: one(member.counts()), waiting: one(member.suppressed.is_some()) }
    }

    fn add(&mut self, other: Self) {
        self.all += other.all;
        self.counting += other.counting;
        self.waiting += other.waiting;
    }

    fn subtract(&mut self, other: Self) {
        self.all -= other.all;
        self.counting -= other.counting;
        self.waiting -= other.waiting;
    }
}

/// The identity of a member: of one episode of what fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberKey(pub u64);

impl MemberKey {
    /// Of the one that is named by these parts.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        Self(Fnv::of(parts))
    }
}

/// A breach or an alert episode in a situation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Its identity.
    pub key: MemberKey,
    /// What it is about.
    pub entity: Entity,
    /// What it is.
    pub source: Source,
    /// The definition it is graded by, as it was when it began; none for what is evidence only.
    pub definition: Option<Arc<Definition>>,
    /// Where it was told.
    pub origin: Arc<Origin>,
    /// Its onset.
    pub starts_at: Timestamp,
    /// Its end; none while it lasts.
    pub ends_at: Option<Timestamp>,
    /// What its end rests on, once there is one.
    pub ended_by: EndedBy,
    /// By when it had stayed good for long enough, data being there; of a breach that has ended.
    pub settled_at: Option<Timestamp>,
    /// Its data has stopped: nothing tells whether it lasts.
    pub stale: bool,
    /// The event time that the last statement about it, or the clock, has brought it to.
    pub told_at: Timestamp,
    /// When it was last heard of, repeats included.
    pub heard_at: Timestamp,
    /// What detection says of it; nothing of an external alert.
    pub judged: Option<Box<Judged>>,
    /// Why it is here.
    pub why: Membership,
    /// Why it makes no fault for now, although it could.
    pub suppressed: Option<Box<Suppressed>>,
    /// The burst of alerts it belongs to.
    pub(super) sign: SignId,
}

/// What the end of a member rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndedBy {
    /// What told that it began has told so.
    #[default]
    Told,
    /// What was bad is the normal from now on.
    NewNormal,
    /// A person says so, and nothing else does.
    Person,
    /// The next episode of the same alert has begun, and nothing else tells so.
    Next,
    /// Its monitor is gone.
    Unwatched,
}

/// What detection says of a breach.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The last reading.
    pub reading: Reading,
    /// The worst reading so far.
    pub worst: Reading,
    /// When the first sample of its group was seen.
    pub began: Timestamp,
    /// What the entity calls, where it is of calls between the two.
    pub calls: Option<Entity>,
    /// The conditions that are met.
    pub met: Vec<String>,
    /// Those that were met while it made no fault, and have not held since.
    pub excused: Vec<String>,
    /// The conditions that hold, and for how long.
    pub holding: Vec<(String, Duration)>,
    /// Conditions that need what people say: for how long the rest of them has held.
    pub rest_held: Vec<(String, Duration)>,
    /// What it costs so far.
    pub numbers: Numbers,
    /// Which combinations of labels carry it.
    pub dimensions: Vec<Dimension>,
    /// How it went, once it has ended.
    pub curve: Vec<Step>,
}

impl Judged {
    /// What it has met so far was while it made no fault: of that, what holds counts.
    pub(super) fn excuse_all(&mut self, definition: Option<&Definition>) {
        self.excused.clone_from(&self.met);
        self.excuse(definition);
    }

    /// What is excused is so until it holds once more.
    pub(super) fn excuse(&mut self, definition: Option<&Definition>) {
        let conditions = definition.filter(|_| !self.excused.is_empty()).map(Definition::conditions).unwrap_or_default();
        let long_enough = |words: &String| {
            let hold = conditions.iter().find(|condition| condition.to_string() == **words).map(|condition| condition.hold);
            self.holding.iter().any(|(holding, held)| holding == words && hold.is_some_and(|hold| *held >= hold))
        };
        self.excused.retain(|words| !long_enough(words));
        self.met.retain(|condition| !self.excused.contains(condition));
    }
}

impl From<&Breach> for Judged {
    fn from(breach: &Breach) -> Self {
        Self {
            reading: breach.reading,
            worst: breach.worst,
            began: breach.began,
            calls: breach.calls.clone(),
            met: breach.met.clone(),
            excused: vec![],
            holding: breach.holding.clone(),
            rest_held: breach.rest_held.clone(),
            numbers: breach.numbers.clone(),
            dimensions: breach.dimensions.clone(),
            curve: breach.curve.clone(),
        }
    }
}

/// What a member is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Source {
    /// A monitor's breach.
    Breach {
        /// The monitor.
        monitor: String,
        /// The group.
        group: Labels,
        /// The judge that spoke first.
        judge: Judge,
    },
    /// An external alert.
    Alert {
        /// Its fingerprint.
        fingerprint: Fingerprint,
        /// Its labels.
        labels: Labels,
        /// In words; empty where nothing is told but its name.
        summary: Box<str>,
        /// The monitor that reads it, where one does.
        monitor: Option<String>,
    },
    /// A person says so.
    Person {
        /// Who.
        author: Box<str>,
        /// The command's id.
        command: Box<str>,
        /// What was said with it.
        comment: Box<str>,
    },
}

impl Source {
    /// What it is called: the monitor's or the alert's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Breach { monitor, .. } => monitor,
            Self::Alert { labels, .. } => labels.get("alertname"),
            Self::Person { author, .. } => author,
        }
    }

    /// The monitor behind it, where there is one.
    #[must_use]
    pub fn monitor(&self) -> Option<&str> {
        match self {
            Self::Breach { monitor, .. } => Some(monitor),
            Self::Alert { monitor, .. } => monitor.as_deref(),
            Self::Person { .. } => None,
        }
    }

    /// The alert's own labels, or those of the monitor's group; a person gives none.
    #[must_use]
    pub fn labels(&self) -> Option<&Labels> {
        match self {
            Self::Breach { group: labels, .. } | Self::Alert { labels, .. } => Some(labels),
            Self::Person { .. } => None,
        }
    }
}

impl Member {
    /// One that began and was told of then, and lasts; evidence only, and of no sign yet.
    #[inline]
    pub(super) fn new(key: MemberKey, entity: Entity, source: Source, origin: Arc<Origin>, starts_at: Timestamp) -> Self {
        Self {
            key,
            entity,
            source,
            definition: None,
            origin,
            starts_at,
            ends_at: None,
            ended_by: EndedBy::Told,
            settled_at: None,
            stale: false,
            told_at: starts_at,
            heard_at: starts_at,
            judged: None,
            why: Membership::default(),
            suppressed: None,
            sign: SignId::default(),
        }
    }

    /// Whether it can make a fault now: a business monitor's breach, or an alert that a definition grades.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.definition.is_some() && self.suppressed.is_none()
    }

    /// Whether a person says that it has ended, and nothing else does.
    #[must_use]
    pub fn is_said_over(&self) -> bool {
        self.ends_at.is_some() && self.ended_by == EndedBy::Person
    }

    /// Whether that kind of reason is why it makes no fault.
    #[must_use]
    pub fn is_suppressed_by(&self, suppressor: Suppressor) -> bool {
        self.suppressed.as_ref().is_some_and(|suppressed| suppressed.by == suppressor)
    }

    /// Whether it is of an alert that names no entity: what else is called so need not be the same.
    #[must_use]
    pub fn is_nameless(&self) -> bool {
        self.entity.kind() == NAMELESS
    }

    /// In a line: the scenario that it is graded by, or the first of what the alert says, or its name.
    #[must_use]
    pub fn summary(&self) -> &str {
        match (&self.definition, &self.source) {
            (Some(definition), _) => &definition.scenario,
            (None, Source::Alert { labels, summary, .. }) => title(summary).unwrap_or_else(|| labels.get("alertname")),
            (None, Source::Breach { .. } | Source::Person { .. }) => "",
        }
    }

    /// Whether both tell of the same trouble of an entity: by their name, or by what users cannot do.
    #[must_use]
    pub fn is_called_as(&self, other: &Self) -> bool {
        self.source.name() == other.source.name() || self.summary() == other.summary()
    }

    /// Whose business it is; empty where nobody says so.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.definition.as_ref().map_or("", |definition| &definition.owner)
    }

    /// What the alert says of itself; empty where nobody does.
    #[must_use]
    pub fn words(&self) -> &str {
        match &self.source {
            Source::Alert { summary, .. } => summary,
            Source::Person { comment, .. } => comment,
            Source::Breach { .. } => "",
        }
    }

    /// What it is an episode of, hashed.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        match &self.source {
            Source::Alert { fingerprint, .. } => *fingerprint,
            Source::Breach { monitor, group, .. } => breach_fingerprint(monitor, group),
            Source::Person { .. } => person_fingerprint(&self.entity),
        }
    }

    /// What it is of, hashed: its entity and its name.
    pub(super) fn relapse_key(&self) -> u64 {
        Fnv::of(&[self.entity.as_str().as_bytes(), self.source.name().as_bytes()])
    }

    /// When it ended, where somebody who can know has told it.
    pub(super) fn known_end(&self) -> Option<Timestamp> {
        self.ends_at.filter(|_| self.ended_by == EndedBy::Told)
    }

    /// Its end, or else when it was last heard of.
    fn heard(&self) -> Timestamp {
        self.ends_at.unwrap_or(self.heard_at)
    }
}

impl Situation {
    pub(super) fn new(id: SituationId) -> Self {
        Self {
            id,
            members: Members::default(),
            first: Timestamp(i64::MAX),
            heard: Timestamp::MIN,
            lasting: Lasting::default(),
            hold: Hold::Free,
            taken_apart: false,
            relapsed: false,
        }
    }

    /// Whether an incident was declared on it.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.hold != Hold::Free
    }

    /// When its incident recovered; it then takes in only a relapse.
    #[must_use]
    pub fn recovered_at(&self) -> Option<Timestamp> {
        if let Hold::Over { since, .. } = self.hold { Some(since) } else { None }
    }

    /// Whether a person has said that it is no fault.
    pub(super) fn is_cancelled(&self) -> bool {
        matches!(self.hold, Hold::Over { cancelled: true, .. })
    }

    /// The first sign of it.
    #[must_use]
    pub fn started_at(&self) -> Option<Timestamp> {
        Some(self.first).filter(|_| !self.members.is_empty())
    }

    /// Whether any member that counts still lasts.
    #[must_use]
    pub fn lasts(&self) -> bool {
        self.lasting.counting > 0
    }

    /// What is suppressed, and has to act when it is no more.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Member> {
        let members = (self.lasting.waiting > 0).then_some(&self.members);
        members.into_iter().flatten().filter(|member| member.suppressed.is_some() && member.ends_at.is_none())
    }

    /// Takes a member in; gives its place.
    pub(super) fn push(&mut self, member: Box<Member>) -> usize {
        self.first = self.first.min(member.starts_at);
        self.heard = self.heard.max(member.heard());
        self.lasting.add(Lasting::of(&member));
        self.members.push(member)
    }

    /// The members of the signs that leave, taken out.
    #[expect(clippy::vec_box, reason = "as they are kept")]
    pub(super) fn take(&mut self, leaves: impl Fn(SignId) -> bool) -> Vec<Box<Member>> {
        let gone = self.members.take(leaves);
        self.has_lost(&gone);
        gone
    }

    /// The members at these places, taken out.
    #[expect(clippy::vec_box, reason = "as they are kept")]
    pub(super) fn take_at(&mut self, places: &[usize]) -> Vec<Box<Member>> {
        let gone: Vec<Box<Member>> = places.iter().filter_map(|place| self.members.remove(*place)).collect();
        self.has_lost(&gone);
        gone
    }

    fn has_lost(&mut self, gone: &[Box<Member>]) {
        gone.iter().for_each(|member| self.lasting.subtract(Lasting::of(member)));
        if gone.iter().any(|member| member.starts_at == self.first) {
            self.first = self.members.iter().map(|member| member.starts_at).min().unwrap_or(Timestamp(i64::MAX));
        }
    }

    /// Brings the member at that place up to date.
    pub(super) fn update(&mut self, place: usize, update: impl FnOnce(&mut Member)) {
        let Some(member) = self.members.get_mut(place) else { return };
        self.lasting.subtract(Lasting::of(member));
        update(member);
        self.lasting.add(Lasting::of(member));
        self.heard = self.heard.max(member.heard());
    }

    /// Whether what began then can still become part of it: it is neither over nor too old.
    pub(super) fn takes(&self, at: Timestamp, tuning: &Tuning) -> bool {
        self.recovered_at().is_none() && at.since(self.first) <= tuning.life_max
    }

    /// Whether part of it may become part of another one, or one of its own.
    pub(super) fn gives(&self) -> bool {
        matches!(self.hold, Hold::Free | Hold::On { acknowledged: false }) && !self.taken_apart
    }

    /// Whether a person has taken something out of it, or it out of another one.
    #[must_use]
    pub fn is_taken_apart(&self) -> bool {
        self.taken_apart
    }

    /// Whether nothing more is to be expected of it by then.
    pub(super) fn is_over(&self, clock: Timestamp, rules: &Rules, tuning: &Tuning) -> bool {
        // What is suppressed and lasts has to act when it is suppressed no more.
        let waits = |m: &Member| {
            let until = m.suppressed.as_ref().and_then(|suppressed| suppressed.until).unwrap_or(Timestamp::MIN);
            matches!(m.source, Source::Breach { .. }) || clock <= until.max(m.heard_at + tuning.forget_alerts_after)
        };
        if self.waiting().any(waits) {
            return false;
        }
        if let Some(recovered) = self.recovered_at() {
            // What is back may have to last for long before it is a fault again.
            if self.lasting.counting > 0 && self.members.iter().any(|m| m.counts() && m.ends_at.is_none() && waits(m)) {
                return false;
            }
            // What begins within the time to reopen may be told as much later as it is held back.
            return clock > recovered + (tuning.reopen_within + rules.hold_max() + tuning.gap);
        }
        let quiet = |long: Duration| clock > self.heard + long;
        !self.is_declared() && (quiet(tuning.forget_alerts_after) || (quiet(tuning.gap) && self.lasting.all == 0))
    }

    /// Whether the member is the same trouble again, soon after the incident's recovery.
    pub(super) fn relapses(&self, member: &Member, tuning: &Tuning) -> bool {
        let Hold::Over { since, cancelled } = self.hold else { return false };
        let soon = member.counts() && member.starts_at.since(since) <= tuning.reopen_within;
        let is_it = |same: &Member| !cancelled || same.fingerprint() == member.fingerprint();
        soon && self.same_as(member).any(is_it) && !self.has_enough_of(member)
    }

    /// Whether another member that counts is the same trouble.
    pub(super) fn has_same(&self, member: &Member) -> bool {
        self.same_as(member).next().is_some()
    }

    /// Whether the same trouble has shown so often that a further episode of it relapses no more.
    #[must_use]
    pub fn has_enough_of(&self, member: &Member) -> bool {
        self.same_as(member).nth(EPISODES_MAX - 1).is_some()
    }

    fn same_as(&self, member: &Member) -> impl Iterator<Item = &Member> {
        let same = |m: &&Member| m.counts() && m.key != member.key && m.entity == member.entity && m.source.name() == member.source.name();
        self.members.iter().filter(same)
    }
}

//! Suppression: what makes no fault although it is bad, and why. Only that it makes one is suppressed: it is evaluated,
//! grouped and resolved like anything else, and once nothing suppresses it any more, it acts at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Command, Entity, Labels, Origin, Timestamp, labels::Fnv};
use crate::query::Selector;
use crate::rules::{Flapping, Inhibit, Node, Of, Rules};

use super::situation::{Hold, Member, MemberKey, Situation, Source};
use super::{News, Part, SignId, Situations};

/// Silences at once; a further one is refused.
const SILENCES_MAX: usize = 1000;

/// Bytes that their regular expressions may take together, once compiled.
const SILENCES_BYTES_MAX: usize = 64 << 20;

/// What fired for three quarters of so many times its `settle`, up to now, does not flap: it is a fault with pauses.
const LATELY: u32 = 2;

/// Why something makes no fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppressed {
    /// What kind of reason.
    pub by: Suppressor,
    /// The reason, in words.
    pub why: String,
    /// Where it can be looked up: `silence: ID`, `maintenance: NAME`, `member: NAME of ENTITY`, `setting: NAME`.
    pub reference: String,
    /// When it ends by itself, where that is known.
    pub until: Option<Timestamp>,
    /// The member that inhibits it, by its key.
    pub(super) source: Option<MemberKey>,
}

/// What kind of reason there is to make no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Suppressor {
    /// An operator said so.
    Silence,
    /// Planned work.
    Maintenance,
    /// Something else explains it.
    Inhibition,
    /// It comes and goes.
    Flapping,
    /// It was before anybody listened.
    History,
}

impl Suppressed {
    /// It as a part of what speaks of a member: of the score that this belongs to its situation it takes nothing away.
    #[must_use]
    pub fn part(&self, of: &Entity) -> Part {
        let (reference, what) = (Some(self.reference.clone()), self.why.clone());
        Part { kind: self.by.as_str(), subject: of.to_string(), reference, what, ..Part::default() }
    }

    /// When it ends; never by itself where that is not known.
    fn ends(&self) -> Timestamp {
        self.until.unwrap_or(Timestamp(i64::MAX))
    }
}

impl Suppressor {
    /// As a metric's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Maintenance => "maintenance",
            Self::Inhibition => "inhibition",
            Self::Flapping => "flapping",
            Self::History => "history",
        }
    }
}

/// What makes no fault because a person said so.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Silence {
    /// Who.
    pub author: String,
    /// Why; empty where nothing was said.
    pub comment: String,
    /// Which alerts and breaches, as a selector.
    pub alerts: String,
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// What happened before somebody first listened.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct History {
    until: Timestamp,
    /// Those that have told all that they had of before.
    through: BTreeSet<Origin>,
}

/// What suppresses, and what is suppressed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Suppression {
    silences: BTreeMap<String, Silence>,
    /// What fires and inhibits: by rule and place, see [`place`].
    sources: BTreeSet<(usize, u64, MemberKey)>,
    /// The same by what fires.
    inhibits: BTreeMap<MemberKey, Vec<(usize, u64)>>,
    /// What is suppressed, by when that ends.
    muted: BTreeSet<(Timestamp, MemberKey)>,
    /// What is inhibited, by what does so.
    inhibited: BTreeSet<(MemberKey, MemberKey)>,
    /// What is to be asked anew: what inhibited it has ended, or it has fired again.
    freed: BTreeSet<MemberKey>,
    /// Whether all that is suppressed has to be asked anew: silences, rules or history have changed.
    ask_all: bool,
    history: Option<History>,
    #[serde(skip)]
    selectors: HashMap<String, (Selector, usize)>,
}

/// The labels that selectors see: an alert's own, or a group's with the monitor as the alert's name.
fn labels(member: &Member) -> Labels {
    match &member.source {
        Source::Alert { labels, .. } => labels.clone(),
        Source::Breach { monitor, group, .. } => group.with("alertname", monitor),
        Source::Person { .. } => Labels::default(),
    }
}

/// What a member is about, and what else it names: a host that it runs on, or whom it calls.
fn names(member: &Member, labels: &Labels, rules: &Rules) -> impl Iterator<Item = Entity> {
    std::iter::once(member.entity.clone()).chain(others(member, labels, rules))
}

fn others(member: &Member, labels: &Labels, rules: &Rules) -> impl Iterator<Item = Entity> {
    let calls = member.judged.iter().filter_map(|judged| judged.calls.clone()).map(|entity| rules.topology.resolve(entity));
    rules.topology.entities(labels).chain(calls).filter(|other| *other != member.entity)
}

impl Suppression {
    fn mute(&mut self, key: MemberKey, suppressed: &Suppressed) {
        self.muted.insert((suppressed.ends(), key));
        self.inhibited.extend(suppressed.source.map(|source| (source, key)));
    }

    fn unmute(&mut self, key: MemberKey, suppressed: &Suppressed) {
        self.muted.remove(&(suppressed.ends(), key));
        self.freed.remove(&key);
        if let Some(source) = suppressed.source {
            self.inhibited.remove(&(source, key));
        }
    }

    /// What that member inhibits is to be asked anew.
    pub(super) fn frees(&mut self, key: MemberKey) {
        let inhibited = self.inhibited.range((key, MemberKey(0))..=(key, MemberKey(u64::MAX)));
        self.freed.extend(inhibited.map(|(_, inhibited)| *inhibited));
    }

    fn silenced(&self, labels: &Labels, now: Timestamp) -> Option<Suppressed> {
        let silences = self.silences.iter().filter(|(_, silence)| silence.from <= now && now < silence.until);
        let (id, silence) = silences.into_iter().find(|(_, s)| self.selectors.get(&s.alerts).is_some_and(|(of, _)| of.matches(labels)))?;
        let comment = if silence.comment.is_empty() { String::new() } else { format!(": {}", silence.comment) };
        let why = format!("silence {id} by {}{comment}", silence.author);
        Some(Suppressed { by: Suppressor::Silence, why, reference: format!("silence: {id}"), until: Some(silence.until), source: None })
    }

    fn parse(&mut self) {
        let Self { silences, selectors, .. } = self;
        let texts: BTreeSet<&str> = silences.values().map(|silence| silence.alerts.as_str()).collect();
        selectors.retain(|text, _| texts.contains(text.as_str()));
        for text in texts {
            if !selectors.contains_key(text)
                && let Ok(selector) = Selector::parse_told(text)
            {
                selectors.insert(text.to_owned(), selector);
            }
        }
    }
}

impl Situations {
    /// What matches makes no fault until then; the command's id names the silence. Others are over by the clock that all inputs have
    /// told, as the command's own may be fast.
    ///
    /// # Errors
    /// There are too many, or it is over already.
    pub fn silence(
        &mut self,
        command: &Command,
        alerts: &str,
        until: Timestamp,
        clock: Timestamp,
        rules: &Rules,
    ) -> Result<Silence, String> {
        if until <= command.at {
            return Err(format!("it ends at {until}, which has passed"));
        }
        let own = &mut self.suppression;
        own.silences.retain(|_, silence| silence.until > clock);
        if own.silences.len() >= SILENCES_MAX {
            return Err(format!("there are {SILENCES_MAX} silences already"));
        }
        let (author, comment, from) = (command.author.clone(), command.comment.clone(), command.at);
        let silence = Silence { author, comment, alerts: alerts.to_owned(), from, until };
        own.silences.insert(command.id.clone(), silence.clone());
        own.parse();
        if own.selectors.values().map(|(_, bytes)| bytes).sum::<usize>() > SILENCES_BYTES_MAX {
            own.silences.remove(&command.id);
            own.parse();
            return Err(format!("the regular expressions of all silences would take more than {} MiB", SILENCES_BYTES_MAX >> 20));
        }
        self.silence_open(&command.id, command.at, rules);
        Ok(silence)
    }

    /// Whether the silence of that name is of such a member.
    #[must_use]
    pub fn is_under(&self, silence: &str, member: &Member) -> bool {
        let silence = self.suppression.silences.get(silence);
        silence.and_then(|silence| self.suppression.selectors.get(&silence.alerts)).is_some_and(|(of, _)| of.matches(&labels(member)))
    }

    /// A silence ends now; gives it.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn unsilence(&mut self, silence: &str) -> Result<Silence, String> {
        let own = &mut self.suppression;
        let ended = own.silences.remove(silence).ok_or_else(|| format!("there is no silence {silence:?}"))?;
        own.parse();
        own.ask_all = true;
        Ok(ended)
    }

    /// What is open but has made no fault yet makes none while it is silenced.
    fn silence_open(&mut self, silence: &str, now: Timestamp, rules: &Rules) {
        let open = self.open.values().filter(|situation| !situation.is_declared()).flat_map(|situation| &situation.members);
        let counts = open.filter(|member| member.counts() && member.ends_at.is_none());
        let silenced = counts.filter(|member| self.is_under(silence, member));
        for key in silenced.map(|member| member.key).collect::<Vec<MemberKey>>() {
            let Some((_, member)) = self.member(key) else { continue };
            if let Some(suppressed) = self.suppressed(member, now, rules) {
                self.mute(key, suppressed);
            }
        }
    }

    /// What is of before that time only teaches, until its origin has told all that it had of before; what lasts acts then.
    pub fn history(&mut self, until: Timestamp) {
        self.suppression.history = Some(History { until, through: BTreeSet::new() });
    }

    /// Until when there is history, as long as there is.
    #[must_use]
    pub fn history_until(&self) -> Option<Timestamp> {
        self.suppression.history.as_ref().map(|history| history.until)
    }

    /// These have told all that they had of before; none where all have.
    pub fn history_told(&mut self, through: Option<BTreeSet<Origin>>) {
        let own = &mut self.suppression;
        match (through, &mut own.history) {
            (None, history) => *history = None,
            (Some(through), Some(history)) if history.through != through => history.through = through,
            _ => return,
        }
        own.ask_all = true;
    }

    /// Suppresses a member, whether it was before or not; another reason is news.
    fn mute(&mut self, key: MemberKey, suppressed: Suppressed) {
        let before = self.member(key).and_then(|(_, member)| member.suppressed.clone());
        if let Some(before) = &before {
            self.suppression.unmute(key, before);
        }
        self.suppression.mute(key, &suppressed);
        if before.is_none_or(|before| (before.by, &before.reference) != (suppressed.by, &suppressed.reference)) {
            self.news.push(News::Suppressed { member: key, suppressed: suppressed.clone() });
        }
        self.update(key, |member| member.suppressed = Some(Box::new(suppressed)));
    }

    /// Suppresses what has just come, where there is a reason; and takes note where it is a reason itself.
    pub(super) fn suppress(&mut self, key: MemberKey, rules: &Rules) {
        let Some((_, member)) = self.member(key).filter(|(_, member)| member.ends_at.is_none()) else { return };
        let now = member.heard_at;
        let suppressed = member.definition.is_some().then(|| self.suppressed(member, now, rules)).flatten();
        self.inhibits(key, rules);
        if let Some(suppressed) = suppressed {
            self.mute(key, suppressed);
        }
    }

    pub(super) fn is_inhibiting(&self, key: MemberKey) -> bool {
        self.suppression.inhibits.contains_key(&key)
    }

    /// Whether there is a reason by now that a member makes no fault; takes note of it.
    pub fn suppress_now(&mut self, key: MemberKey, now: Timestamp, rules: &Rules) -> bool {
        let Some((_, member)) = self.member(key) else { return false };
        match self.suppressed(member, now, rules) {
            Some(suppressed) => {
                self.mute(key, suppressed);
                true
            }
            None => false,
        }
    }

    /// What fires inhibits by other rules from now on, and all that is suppressed has to be asked anew.
    pub(super) fn inhibits_anew(&mut self) {
        self.suppression.sources.clear();
        self.suppression.inhibits.clear();
        self.suppression.ask_all = true;
    }

    /// Takes note of what a member that fires inhibits.
    pub(super) fn inhibits(&mut self, key: MemberKey, rules: &Rules) {
        let Some((_, member)) = self.member(key) else { return };
        let inhibits = inhibits(member, rules);
        if !inhibits.is_empty() {
            self.suppression.sources.extend(inhibits.iter().map(|(number, equal)| (*number, *equal, key)));
            self.suppression.inhibits.insert(key, inhibits);
        }
    }

    /// Only what lasts waits to be suppressed no more.
    pub(super) fn waits(&mut self, key: MemberKey, lasts: bool) {
        let Some(suppressed) = self.member(key).and_then(|(_, member)| member.suppressed.clone()) else { return };
        if lasts {
            self.suppression.mute(key, &suppressed);
            // What suppressed it may have ended meanwhile.
            self.suppression.freed.insert(key);
        } else {
            self.suppression.unmute(key, &suppressed);
        }
    }

    /// What is let go of waits for nothing.
    pub(super) fn suppressed_no_more(&mut self, member: &Member) {
        if let Some(suppressed) = &member.suppressed {
            self.suppression.unmute(member.key, suppressed);
        }
    }

    /// What ends inhibits no more.
    pub(super) fn inhibits_no_more(&mut self, key: MemberKey) {
        let own = &mut self.suppression;
        for (number, place) in own.inhibits.remove(&key).unwrap_or_default() {
            own.sources.remove(&(number, place, key));
        }
        own.frees(key);
    }

    /// What is suppressed no more and still lasts, and why it was: it acts from now on.
    pub fn released(&mut self, now: Timestamp, rules: &Rules) -> Vec<(MemberKey, String)> {
        let own = &mut self.suppression;
        let due = |(until, _): &&(Timestamp, MemberKey)| own.ask_all || *until <= now;
        let mut asked: BTreeSet<MemberKey> = own.muted.iter().take_while(due).map(|(_, key)| *key).collect();
        asked.append(&mut own.freed);
        if asked.is_empty() {
            return vec![];
        }
        own.silences.retain(|_, silence| silence.until > now);
        own.parse();
        own.ask_all = false;
        let mut released = vec![];
        for key in asked {
            let Some((_, member)) = self.member(key).filter(|(_, member)| member.ends_at.is_none()) else { continue };
            let Some(before) = member.suppressed.clone() else { continue };
            if let Some(other) = self.suppressed(member, now, rules) {
                self.mute(key, other);
            } else {
                self.suppression.unmute(key, &before);
                self.update(key, |member| {
                    member.suppressed = None;
                    let definition = member.definition.as_deref();
                    member.judged.iter_mut().for_each(|judged| judged.excuse_all(definition));
                });
                released.push((key, before.why));
            }
        }
        released
    }

    /// Why a member makes no fault now, if there is a reason.
    fn suppressed(&self, member: &Member, now: Timestamp, rules: &Rules) -> Option<Suppressed> {
        if matches!(member.source, Source::Person { .. }) {
            return None;
        }
        let history = self.suppression.history.as_ref();
        if history.is_some_and(|history| now < history.until && !history.through.contains(&*member.origin)) {
            let why = "it was so before Richter first listened".to_owned();
            return Some(Suppressed {
                by: Suppressor::History,
                why,
                reference: "setting: situations.declare_history".to_owned(),
                until: None,
                source: None,
            });
        }
        let labels = labels(member);
        // What is declared is not touched, but for what is planned, and for telling each time that it comes and goes.
        let touches = |_: &Suppressed| !self.is_declared(member);
        let silenced = self.suppression.silenced(&labels, now).filter(touches);
        silenced
            .or_else(|| self.maintained(member, now, rules))
            .or_else(|| self.inhibited(member, &labels, rules).filter(touches))
            .or_else(|| self.flaps(member, now, rules).filter(|_| !self.reopens(member)))
    }

    /// The work that is planned on what a member is of, now. Whoever declares a fault meanwhile does not mean that.
    #[must_use]
    pub fn maintained(&self, member: &Member, now: Timestamp, rules: &Rules) -> Option<Suppressed> {
        if matches!(member.source, Source::Person { .. }) {
            return None;
        }
        let labels = &labels(member);
        let (maintenance, until) = rules.suppress.maintenance.iter().find_map(|maintenance| {
            let until = maintenance.window.until(now)?;
            let on = match &maintenance.of {
                Of::Entity(entity) => self.works_explain(entity, member, labels, rules),
                Of::Alerts(selector) => selector.matches(labels),
            };
            on.then_some((maintenance, until))
        })?;
        let why = format!("maintenance: {}", maintenance.name);
        Some(Suppressed { by: Suppressor::Maintenance, reference: why.clone(), why, until: Some(until), source: None })
    }

    /// Whether work on an entity explains a member: it names it, or depends on it, unless what most likely brought it is elsewhere and
    /// makes a fault by itself, while nothing is told of what is worked on.
    fn works_explain(&self, entity: &Entity, member: &Member, labels: &Labels, rules: &Rules) -> bool {
        let depends = |other: &Entity| rules.topology.depends(other, entity);
        let is_told_of = || rules.topology.node(entity).is_some_and(|node| self.fires_at(node));
        let is_elsewhere = || self.grave_cause(member).is_some_and(|cause| cause != entity && !depends(cause)) && !is_told_of();
        names(member, labels, rules).any(|own| own == *entity) || (names(member, labels, rules).any(|own| depends(&own)) && !is_elsewhere())
    }

    /// Where what brought a member began, if that is another entity, and a fault by itself.
    fn grave_cause(&self, member: &Member) -> Option<&Entity> {
        let root = self.forest.get(self.forest.root(self.forest.get(member.sign)?.id))?;
        let grave = |other: &Member| other.entity == root.entity && other.definition.is_some();
        let is_grave = || self.get(root.situation).is_some_and(|situation| situation.members.iter().any(grave));
        (root.entity != member.entity && is_grave()).then_some(&root.entity)
    }

    fn fires_at(&self, node: Node) -> bool {
        self.forest.signs_of(node).filter_map(|id| self.forest.get(id)).any(|sign| sign.firing > 0)
    }

    /// A sign has another cause: what hangs on it may be explained by works no more, or by works only now.
    pub(super) fn explained_anew(&mut self, sign: SignId) {
        let Some(situation) = self.forest.get(sign).and_then(|sign| self.open.get(&sign.situation)) else { return };
        let mut waiting = situation.waiting().filter(|member| member.is_suppressed_by(Suppressor::Maintenance)).peekable();
        if waiting.peek().is_some() {
            let below: BTreeSet<SignId> = self.forest.below(sign).into_iter().collect();
            self.suppression.freed.extend(waiting.filter(|member| below.contains(&member.sign)).map(|member| member.key));
        }
    }

    /// Whether a member is the same trouble as what counts in an incident that is on.
    fn is_declared(&self, member: &Member) -> bool {
        let situation = self.place(member.key).and_then(|(situation, _)| self.get(situation));
        situation.is_some_and(|situation| matches!(situation.hold, Hold::On { .. }) && situation.has_same(member))
    }

    fn inhibited(&self, member: &Member, labels: &Labels, rules: &Rules) -> Option<Suppressed> {
        let explains = rules.suppress.inhibit.iter().enumerate().filter(|(_, rule)| rule.target.matches(labels));
        explains.into_iter().find_map(|(number, rule)| {
            let places = if rule.along_topology { explaining(member, labels, rules) } else { vec![member.entity.clone()] };
            places.iter().map(|entity| place(rule, labels, entity)).find_map(|place| {
                let sources = self.suppression.sources.range((number, place, MemberKey(0))..=(number, place, MemberKey(u64::MAX)));
                sources.into_iter().filter(|(.., key)| *key != member.key).find_map(|(.., key)| {
                    // What a person says is no fault explains none.
                    let (_, source) = self.member(*key).filter(|(situation, _)| !situation.is_cancelled())?;
                    // Of those that would explain each other one is told of.
                    let explained = source.is_suppressed_by(Suppressor::Inhibition);
                    let of = format!("{} of {}", source.source.name(), source.entity);
                    (!explained || inhibits(member, rules).is_empty()).then(|| Suppressed {
                        by: Suppressor::Inhibition,
                        why: format!("{of} explains it"),
                        reference: format!("member: {of}"),
                        until: None,
                        source: Some(*key),
                    })
                })
            })
        })
    }

    /// Whether it says of an incident that has recovered that this was too early.
    fn reopens(&self, member: &Member) -> bool {
        let situation = self.member(member.key).map(|(situation, _)| situation);
        situation.is_some_and(|situation| situation.recovered_at().is_some() && situation.has_same(member))
    }

    fn flaps(&self, member: &Member, now: Timestamp, rules: &Rules) -> Option<Suppressed> {
        let (times, rule) = self.comes_and_goes(member, rules)?;
        let settles = member.starts_at + rule.settle;
        (now < settles && !self.mostly_fires(member, now, rule)).then(|| Suppressed {
            by: Suppressor::Flapping,
            why: format!("it fired {times} times within {}", crate::model::duration::show(rule.within)),
            reference: "setting: flapping".to_owned(),
            until: Some(settles),
            source: None,
        })
    }

    /// Whether what comes and goes hardly goes: it fired for most of the last while, though never for long enough to settle.
    fn mostly_fires(&self, member: &Member, now: Timestamp, rule: Flapping) -> bool {
        let (lately, fingerprint) = (rule.settle.saturating_mul(LATELY), member.fingerprint());
        let since = now - lately;
        let all = self.place(member.key).and_then(|(id, _)| self.get(id)).into_iter().flat_map(|situation| &situation.members);
        let episodes = all.filter(|other| other.fingerprint() == fingerprint && other.ends_at.is_none_or(|ended| ended > since));
        let fired: Duration =
            episodes.map(|other| other.ends_at.map_or(now, |ended| ended.min(now)).since(other.starts_at.max(since))).sum();
        fired.saturating_mul(4) >= lately.saturating_mul(3)
    }

    /// How often an alert or a monitor's group fired of late, where that is so often that it flaps.
    fn comes_and_goes(&self, member: &Member, rules: &Rules) -> Option<(usize, Flapping)> {
        let rule = rules.suppress.flapping.filter(|_| !matches!(member.source, Source::Person { .. }))?;
        let starts = &self.fired.get(&member.fingerprint())?.starts;
        let by_then = starts.iter().filter(|start| **start <= member.starts_at && member.starts_at.since(**start) <= rule.within);
        let times = by_then.count();
        (times >= rule.times as usize).then_some((times, rule))
    }

    /// What counts of a situation, and comes and goes.
    pub fn flapping<'s>(&'s self, situation: &'s Situation, rules: &'s Rules) -> impl Iterator<Item = &'s Member> {
        let is_told_of = |m: &&Member| m.counts() || m.is_suppressed_by(Suppressor::Flapping) && situation.has_same(m);
        situation.members.iter().filter(|member| self.comes_and_goes(member, rules).is_some()).filter(is_told_of)
    }

    /// By when all that flaps of a situation will have stayed away for long enough to be gone; none while it is there. Where its
    /// incident has recovered too early before, that is longer.
    #[must_use]
    pub fn calm_at(&self, situation: &Situation, rules: &Rules) -> Option<Timestamp> {
        let settle = rules
            .suppress
            .flapping
            .map_or(Duration::ZERO, |rule| if situation.relapsed { rule.within.max(rule.settle) } else { rule.settle });
        self.flapping(situation, rules).try_fold(Timestamp::MIN, |latest, member| Some(latest.max(member.ends_at? + settle)))
    }

    pub(super) fn rebind_silences(&mut self) {
        self.suppression.parse();
    }
}

/// What a member inhibits while it fires: by which rules, and where.
pub(super) fn inhibits(member: &Member, rules: &Rules) -> Vec<(usize, u64)> {
    let labels = labels(member);
    let sources = rules.suppress.inhibit.iter().enumerate().filter(|(_, rule)| rule.source.matches(&labels));
    sources.map(|(number, rule)| (number, place(rule, &labels, &member.entity))).collect()
}

/// Where a rule's source and target meet: what must be equal, and the source's entity where the topology counts.
fn place(rule: &Inhibit, labels: &Labels, entity: &Entity) -> u64 {
    let equal = rule.equal(labels);
    if rule.along_topology { Fnv::of(&[&equal.to_be_bytes(), entity.as_str().as_bytes()]) } else { equal }
}

/// Whose failure would explain a member along the topology.
fn explaining(member: &Member, labels: &Labels, rules: &Rules) -> Vec<Entity> {
    let needs = names(member, labels, rules).flat_map(|own| rules.topology.needs(&own));
    others(member, labels, rules).chain(needs).collect()
}

//! Who is notified of what: targets outside, and which events go to which.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Event, Level};

use super::Rules;
use super::compiled::Sequence;
use super::fault::{At, Fault, Place};
use super::raw::Span;
use super::settings::Property;
use super::text::Text;

/// What a target's texts may be made of.
const VARIABLES: [&str; 2] = ["event", "incident"];

/// Events that are told where a route does not say: what people act on.
const TOLD: [Event; 15] = [
    Event::Declared,
    Event::Escalated,
    Event::Downgraded,
    Event::Updated,
    Event::Acknowledged,
    Event::FollowUpDue,
    Event::Stale,
    Event::Recovered,
    Event::RecoveryRevoked,
    Event::Reopened,
    Event::Cancelled,
    Event::Merged,
    Event::HandedOver,
    Event::ReviewDue,
    Event::ReviewOverdue,
];

/// Somebody outside who is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Unique.
    pub name: String,
    /// Where it is written.
    pub place: Place,
    /// How it is spoken to.
    pub kind: Messenger,
    /// Where it is.
    pub url: Property,
    /// What it is signed with, or the key it is known by there.
    pub secret: Option<Property>,
    /// How long it may take to answer.
    pub timeout: Duration,
    /// Messages it takes in a minute.
    pub rate: u32,
    /// An event that it did not take for so long is a dead letter.
    pub give_up_after: Duration,
    /// Which events it is told of: those of any of these.
    pub routes: Vec<Route>,
    /// The message in a line, where it is not the usual one.
    pub title: Option<Text>,
    /// The message, where it is not the usual one.
    pub text: Option<Text>,
}

/// How a target is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Messenger {
    /// Alertmanager's webhook, version 4, with the incident beside it.
    Webhook,
    /// PagerDuty's Events API, version 2.
    Pagerduty,
    /// Slack's incoming webhooks.
    Slack,
    /// Feishu's and Lark's custom bots.
    Feishu,
    /// DingTalk's custom robots.
    Dingtalk,
    /// WeCom's group robots.
    Wecom,
}

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// Of incidents with a level in one of these sequences, be it not the leading one; of all where it is missing.
    pub sequences: Option<Vec<String>>,
    /// Of these ranks.
    pub levels: Option<Vec<u8>>,
    /// Of these businesses.
    pub business: Option<Vec<String>>,
    /// That one of these teams owns, be it of what counts in it beside what leads.
    pub owner: Option<Vec<String>>,
    /// Of these types; where it is missing, of all that people act on.
    pub events: Option<Vec<Event>>,
}

/// What an incident is told of by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Routed<'i> {
    /// The levels that it has, or had.
    pub levels: &'i [(&'i str, u8)],
    /// Whose it is, or was.
    pub businesses: &'i [&'i str],
    /// The teams that own what counts in it, or did.
    pub owners: &'i [&'i str],
}

impl Target {
    /// What is wrong with its routes, these sequences being all there are: an event that never comes is told to nobody.
    pub fn faults(&self, sequences: &[Sequence]) -> impl Iterator<Item = Fault> {
        let most = |route: &Route| {
            let of = sequences.iter().filter(|s| route.sequences.as_ref().is_none_or(|wanted| wanted.contains(&s.name)));
            of.map(|sequence| sequence.levels).max()
        };
        let names = || sequences.iter().map(|sequence| sequence.name.as_str()).collect::<Vec<_>>().join(", ");
        self.routes
            .iter()
            .flat_map(move |route| {
                let unknown = route.sequences.iter().flatten().filter(|name| sequences.iter().all(|s| s.name != **name));
                let unknown = unknown.map(|name| format!("a route of it has the unknown sequence {name:?}; there are {}", names()));
                let beyond = route.levels.iter().flatten().filter_map(|rank| {
                    let most = most(route).filter(|most| !(1..=*most).contains(rank))?;
                    Some(format!("a route of it has level {rank}; there are 1 to {most}"))
                });
                let nothing = [
                    ("sequences", route.sequences.as_ref().map(Vec::len)),
                    ("levels", route.levels.as_ref().map(Vec::len)),
                    ("events", route.events.as_ref().map(Vec::len)),
                    ("business", route.business.as_ref().map(Vec::len)),
                    ("owner", route.owner.as_ref().map(Vec::len)),
                ];
                let nothing = nothing.into_iter().filter(|(_, length)| *length == Some(0));
                let nothing = nothing.map(|(what, _)| format!("a route of it takes nothing: its `{what}` are none"));
                let graded = route.sequences.is_some() || route.levels.is_some();
                let ungraded = route.events.iter().flatten().find(|event| graded && **event == Event::Suspected).map(|_| {
                    "a route of it takes `suspected` by sequence or level, but what is only suspected has none: give it a route of its own"
                        .to_owned()
                });
                unknown.chain(ungraded).chain(beyond).chain(nothing).collect::<Vec<_>>()
            })
            .map(|message| Fault { place: self.place.clone(), message })
    }
}

/// What is no fault of the targets, but may leave somebody untold: businesses and teams that nothing is of, and levels of which no
/// declaration is told. Without any target people read the topic.
#[must_use]
pub fn notes(targets: &[Target], rules: &Rules) -> Vec<Fault> {
    let mut notes = vec![];
    let mut note = |target: &Target, message: String| notes.push(Fault { place: target.place.clone(), message });
    for target in targets {
        for name in named(target, |route| &route.business).filter(|name| !has_business(rules, name)) {
            note(target, format!("a route of it is for {name:?}, and no monitor is of that business"));
        }
        for name in named(target, |route| &route.owner).filter(|name| !rules.duty.teams.is_empty() && rules.duty.team(name).is_none()) {
            note(target, format!("a route of it is for the owner {name:?}, and no duty file has such a team"));
        }
    }
    let untold = untold(targets, rules);
    if let Some(target) = targets.first().filter(|_| !untold.is_empty()) {
        note(target, format!("no target is told of declarations of {}", untold.join(", ")));
    }
    notes
}

/// What the routes of a target name, each once.
fn named(target: &Target, names: impl Fn(&Route) -> &Option<Vec<String>>) -> impl Iterator<Item = &str> {
    let all: BTreeSet<&str> = target.routes.iter().flat_map(|route| names(route).iter().flatten()).map(String::as_str).collect();
    all.into_iter()
}

/// Whether something may be of a business; what labels say may be any.
fn has_business(rules: &Rules, name: &str) -> bool {
    let mut own = rules.monitors.iter().filter_map(|monitor| monitor.definition.as_ref()).map(|definition| &definition.business);
    let mut by_labels = rules.levels.generic.iter().filter_map(|generic| generic.business.as_ref());
    own.any(|business| business == name)
        || rules.levels.scenarios.iter().any(|scenario| scenario.business == name)
        || by_labels.any(|business| business.labels().next().is_some() || business.to_string() == name)
}

/// The levels that something can be of, and of which no target takes the declaration.
fn untold(targets: &[Target], rules: &Rules) -> Vec<String> {
    let own = rules.monitors.iter().filter_map(|monitor| monitor.definition.as_ref()).flat_map(|definition| definition.ladders());
    let ladders = own.chain(rules.levels.generic.iter().map(|generic| &generic.ladder));
    let levels: BTreeSet<&Level> = ladders.flat_map(|ladder| &ladder.rungs).map(|rung| &rung.level).collect();
    let told = |level: &Level| {
        let of = Routed { levels: &[(&level.sequence, level.rank)], ..Routed::default() };
        let all = |route: &Route| Route { business: None, owner: None, ..route.clone() };
        targets.iter().flat_map(|target| &target.routes).any(|route| all(route).takes(Event::Declared, of))
    };
    levels.into_iter().filter(|level| !told(level)).map(ToString::to_string).collect()
}

impl Route {
    /// Whether it takes an event of that type, of such an incident: who was told of its declaration is told of its end as well.
    #[must_use]
    pub fn takes(&self, event: Event, of: Routed<'_>) -> bool {
        let Routed { levels, businesses, owners } = of;
        let told = self.events.as_ref().map_or(TOLD.contains(&event), |events| events.contains(&event));
        let of = |(sequence, rank): &(&str, u8)| {
            self.sequences.as_ref().is_none_or(|all| all.iter().any(|one| one == sequence))
                && self.levels.as_ref().is_none_or(|all| all.contains(rank))
        };
        let any = self.sequences.is_none() && self.levels.is_none();
        let among = |wanted: &Option<Vec<String>>, known: &[&str]| {
            wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|one| known.contains(&one.as_str())))
        };
        told && (any || levels.iter().any(of)) && among(&self.business, businesses) && among(&self.owner, owners)
    }
}

impl Messenger {
    /// Messages it takes in a minute, by what is published of each.
    fn usual_rate(self) -> u32 {
        match self {
            Self::Dingtalk | Self::Wecom => 20,
            Self::Feishu | Self::Slack => 60,
            Self::Pagerduty => 120,
            Self::Webhook => 600,
        }
    }
}

impl fmt::Display for Messenger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Webhook => "webhook",
            Self::Pagerduty => "pagerduty",
            Self::Slack => "slack",
            Self::Feishu => "feishu",
            Self::Dingtalk => "dingtalk",
            Self::Wecom => "wecom",
        })
    }
}

/// A target as it is written.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTarget {
    /// Unique; its consumer group is named after it.
    name: At<String>,
    /// How it is spoken to.
    kind: Messenger,
    /// Where it is; of a chat robot a secret, by {file: ...} or {env: ...}. PagerDuty's own where it is missing.
    #[serde(default)]
    url: Option<At<Property>>,
    /// The routing key of PagerDuty, or what is signed with: webhook, feishu, dingtalk.
    #[serde(default)]
    secret: Option<At<Property>>,
    /// How long it may take to answer, 1m at most; 10s where it is missing.
    #[serde(default = "ten_seconds")]
    timeout: At<Span>,
    /// Messages it takes in a minute, where that is not what is usual for its kind.
    #[serde(default)]
    rate_per_minute: Option<At<u32>>,
    /// An event that it did not take for so long is a dead letter, 23h at most; 12h where it is missing.
    #[serde(default = "half_a_day")]
    give_up_after: At<Span>,
    /// Which events it is told of: those of any of these. All that people act on where it is missing.
    #[serde(default)]
    routes: Vec<Route>,
    /// The message in a line, a template of `event` and `incident`.
    #[serde(default)]
    title: Option<At<String>>,
    /// The message, likewise.
    #[serde(default)]
    text: Option<At<String>>,
}

fn ten_seconds() -> At<Span> {
    At::nowhere(Span(Duration::from_secs(10)))
}

fn half_a_day() -> At<Span> {
    At::nowhere(Span(Duration::from_secs(43_200)))
}

/// An answer is waited for no longer than this: so long stopping may take.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// A reader of Kafka that takes longer than a day for one record is taken for dead.
const GIVE_UP_MAX: Duration = Duration::from_secs(23 * 3600);

/// A receiver on this very host, as in a trial.
fn is_local(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|local| host.starts_with(local))
}

/// Raw targets → targets, with the faults.
pub(super) fn compile(file: &str, raw: Vec<RawTarget>, faults: &mut Vec<Fault>) -> Vec<Target> {
    let mut targets: Vec<Target> = vec![];
    for target in raw {
        let legal = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        if target.name.value.is_empty() || !target.name.value.chars().all(legal) {
            faults.push(target.name.fault(file, format!("{:?} cannot name a target; use letters, digits, _ -", target.name.value)));
        }
        if targets.iter().any(|known| known.name == target.name.value) {
            faults.push(target.name.fault(file, format!("a target {:?} exists already; names are unique", target.name.value)));
        }
        let by_address = matches!(target.kind, Messenger::Slack | Messenger::Feishu | Messenger::Dingtalk | Messenger::Wecom);
        if let Some(url) = target.url.as_ref().filter(|url| by_address && matches!(&url.value, Property::Inline(url) if !is_local(url))) {
            faults.push(url.fault(file, "who knows this `url` can write there, so it is a secret; give {file: ...} or {env: ...} instead"));
        }
        if let Some(secret) = target.secret.as_ref().filter(|secret| matches!(secret.value, Property::Inline(_))) {
            faults.push(secret.fault(file, "`secret` is a secret; give {file: ...} or {env: ...} instead"));
        }
        if let (Some(secret), Messenger::Slack | Messenger::Wecom) = (&target.secret, target.kind) {
            faults.push(
                secret.fault(file, format!("`secret` with {}, which signs nothing: who knows its `url` can write there", target.kind)),
            );
        }
        if let Some(rate) = target.rate_per_minute.as_ref().filter(|rate| rate.value == 0) {
            faults.push(rate.fault(file, "no message a minute would be none at all"));
        }
        if target.timeout.value.0.is_zero() || target.timeout.value.0 > TIMEOUT_MAX {
            faults.push(target.timeout.fault(file, "whoever is told has to answer in some time, 1m at most"));
        }
        let is_http = |url: &str| url.starts_with("http://") || url.starts_with("https://");
        if let Some(url) = target.url.as_ref().filter(|url| matches!(&url.value, Property::Inline(url) if !is_http(url))) {
            faults.push(url.fault(file, "an address begins with http:// or https://"));
        }
        let usual = (target.kind == Messenger::Pagerduty).then(|| Property::Inline("https://events.pagerduty.com/v2/enqueue".into()));
        if target.give_up_after.value.0 > GIVE_UP_MAX {
            faults.push(target.give_up_after.fault(file, "no event is tried for longer than 23h"));
        }
        let url = target.url.map(|url| url.value).or(usual);
        if target.kind == Messenger::Pagerduty && target.secret.is_none() {
            faults.push(target.name.fault(file, "pagerduty needs its routing key as `secret`"));
        }
        let Some(url) = url else {
            faults.push(target.name.fault(file, "where is it? add `url`"));
            continue;
        };
        let mut text = |text: Option<At<String>>| {
            let text = text?;
            Text::parse(&text.value, &VARIABLES).map_err(|why| faults.push(text.fault(file, why))).ok()
        };
        targets.push(Target {
            title: text(target.title),
            text: text(target.text),
            place: target.name.place(file),
            name: target.name.value,
            kind: target.kind,
            url,
            secret: target.secret.map(|secret| secret.value),
            timeout: target.timeout.value.0,
            rate: target.rate_per_minute.map_or_else(|| target.kind.usual_rate(), |rate| rate.value),
            give_up_after: target.give_up_after.value.0,
            routes: if target.routes.is_empty() { vec![Route::default()] } else { target.routes },
        });
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_takes_what_people_act_on_unless_it_says() {
        let severe = Route { levels: Some(vec![1, 2]), ..Route::default() };
        let [shop, bank, ann] = [["shop"], ["bank"], ["ann's"]];
        let of = |levels| Routed { levels, businesses: &shop, owners: &ann };
        assert!(severe.takes(Event::Declared, of(&[("P", 2)])));
        assert!(!severe.takes(Event::Declared, of(&[("P", 3)])));
        assert!(!severe.takes(Event::Suspected, of(&[])) && !Route::default().takes(Event::Recovering, of(&[("P", 1)])));
        let early = Route { events: Some(vec![Event::Suspected]), business: Some(vec!["shop".into()]), ..Route::default() };
        assert!(early.takes(Event::Suspected, of(&[])) && !early.takes(Event::Suspected, Routed { businesses: &bank, ..of(&[]) }));
        let own = Route { owner: Some(vec!["ann's".into()]), ..Route::default() };
        assert!(own.takes(Event::Declared, of(&[("P", 3)])) && !own.takes(Event::Declared, Routed { owners: &bank, ..of(&[("P", 3)]) }));
    }
}

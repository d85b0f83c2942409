//! Notify: an event → the request that tells a target of it. Pure: who sends it, and how often it tries, is the shell's.

mod chat;
mod pagerduty;
mod rate;
mod webhook;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use serde::Serialize;

use crate::declare::contract::{Body, Change, Data, Evidence, Happening, Member};
use crate::model::change::RUNBOOK;
use crate::model::text::{clock, hours};
use crate::model::{Event, Timestamp};
use crate::rules::notify::{Messenger, Target};

pub use rate::Rate;

/// Entities that are named of what else fails.
const OTHERS_MAX: usize = 6;

/// A request to be posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where to.
    pub url: String,
    /// Beside `Content-Type: application/json`.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: String,
}

/// What a target's answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has it.
    Taken,
    /// It takes nothing now; it may be tried again.
    Later(String),
    /// It failed on this one, and may take others.
    Failed(String),
    /// It will never take it.
    Never(String),
}

/// A target with its secrets read.
#[derive(Clone, Debug)]
pub struct Addressed<'t> {
    /// The target.
    pub target: &'t Target,
    /// Where it is.
    pub url: &'t str,
    /// What it is signed with.
    pub secret: Option<&'t str>,
}

/// What a person reads.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Words {
    title: String,
    /// In lines.
    text: String,
}

/// What templates see.
#[derive(Serialize)]
struct Given<'g> {
    event: &'g Happening,
    incident: &'g Body,
}

/// Whether a target is told of an event.
#[must_use]
pub fn is_told(target: &Target, data: &Data) -> bool {
    let incident = &data.incident;
    let now = incident.levels.iter().map(|level| (level.sequence.as_str(), level.rank));
    let before = incident.levels_held.iter().map(|held| (held.sequence.as_str(), held.rank));
    let levels: Vec<(&str, u8)> = now.chain(before).collect();
    // What was told before the others were has one.
    let evidence = &incident.evidence;
    let businesses = if evidence.businesses.is_empty() { std::slice::from_ref(&evidence.business) } else { &evidence.businesses };
    target.routes.iter().any(|route| route.takes(data.event.kind, &levels, businesses))
}

/// The request that tells a target of an event, signed as of now.
#[must_use]
pub fn request(to: &Addressed<'_>, data: &Data, now: Timestamp) -> Request {
    let words = words(to.target, data);
    match to.target.kind {
        Messenger::Webhook => webhook::request(to, data, &words),
        Messenger::Pagerduty => pagerduty::request(to, data, &words),
        Messenger::Slack => chat::slack(to, data, &words),
        Messenger::Feishu => chat::feishu(to, data, &words, now),
        Messenger::Dingtalk => chat::dingtalk(to, &words, now),
        Messenger::Wecom => chat::wecom(to, &words),
    }
}

/// What an answer means. The chat robots answer 200 also where they refuse, and say so in the body.
#[must_use]
pub fn answer(kind: Messenger, status: u16, body: &str) -> Answer {
    let told = || format!("{status}: {}", body.chars().take(200).collect::<String>());
    match status {
        200..=299 => match chat::refusal(kind, body) {
            None => Answer::Taken,
            Some(chat::Refusal::NotNow) => Answer::Later(told()),
            Some(chat::Refusal::Wrong) => Answer::Never(told()),
        },
        // DingTalk sends elsewhere who has said too much in a minute.
        300..=399 if kind == Messenger::Dingtalk => Answer::Later(told()),
        500 => Answer::Failed(told()),
        408 | 425 | 429 | 501..=599 => Answer::Later(told()),
        _ => Answer::Never(told()),
    }
}

/// In the target's own words; what cannot be filled in is told as usual, and why it could not.
fn words(target: &Target, data: &Data) -> Words {
    let given = Given { event: &data.event, incident: &data.incident };
    let mut wrong = vec![];
    let mut own =
        |text: &Option<crate::rules::Text>| text.as_ref()?.fill(&given).map_err(|why| wrong.push(format!("\nits own text: {why}"))).ok();
    let (title, text) = (own(&target.title), own(&target.text));
    let (title, text) = (title.unwrap_or_else(|| usual_title(data)), text.unwrap_or_else(|| usual_text(data)));
    Words { title, text: text + &wrong.concat() }
}

fn usual_title(data: &Data) -> String {
    match data.event.kind {
        Event::Declared => data.incident.title.clone(),
        kind => format!("{}: {}", kind.as_str().replace('_', " "), data.incident.title),
    }
}

/// Why, what is known of it, who is suspected, what was changed, who is on duty, what can be done, where to meet.
fn usual_text(data: &Data) -> String {
    let (incident, evidence) = (&data.incident, &data.incident.evidence);
    let mut lines = vec![data.event.reason.clone()];
    let mut line = |what: &str, text: String| {
        if !text.is_empty() {
            lines.push(format!("{what}: {text}"));
        }
    };
    let leads = evidence.members.iter().filter(|member| member.entity == evidence.entity);
    // The title says the first line already.
    let says = |member: &Member| {
        let (first, rest) = member.summary.split_once('\n').unwrap_or((&member.summary, ""));
        if first == evidence.scenario { rest.to_owned() } else { member.summary.trim().to_owned() }
    };
    line("it says", leads.map(says).find(|says| !says.is_empty()).unwrap_or_default());
    let lasts = if incident.state.is_on() { "for" } else { "it lasted" };
    line("since", format!("{} UTC, {lasts} {}", clock(&incident.started_at), hours(incident.lasted_seconds)));
    line("business", evidence.business.clone());
    line("also failing", others(evidence));
    line("impact", incident.impact.in_words());
    // That what failed alone may be its own cause says nothing.
    let others = evidence.suspects.first().is_some_and(|first| first.entity != evidence.entity || evidence.suspects.len() > 1);
    let suspects = evidence.suspects.iter().filter(|_| others).take(2);
    let suspects = suspects.map(|s| format!("{} ({:.0}%)", s.entity, s.probability * 100.0));
    line("suspected", if evidence.undetermined { String::new() } else { suspects.collect::<Vec<_>>().join(", ") });
    let latest = |changes: &[Change]| changes.iter().rev().take(2).map(|c| c.id.clone()).collect::<Vec<_>>().join(", ");
    line("changed", latest(&evidence.changes));
    line("changed since", latest(&evidence.changes_since));
    line("related to", incident.related.iter().map(|related| related.incident.clone()).collect::<Vec<_>>().join(", "));
    let next = incident.level.as_ref().and_then(|level| level.next.as_ref()).filter(|next| !next.distance.is_empty());
    line("next", next.map_or_else(String::new, |next| format!("{} {}", next.level, next.distance)));
    if let Some(emergency) = &incident.emergency {
        let people = emergency.people.iter().map(|p| match p.contact.as_str() {
            "" => p.name.clone(),
            contact => format!("{} ({contact})", p.name),
        });
        let people = people.collect::<Vec<_>>().join(", ");
        line("on duty", if people.is_empty() { "NOBODY".to_owned() } else { people });
        let taken = incident.acknowledged.as_ref().map_or_else(|| "nobody yet".to_owned(), |by| by.by.clone());
        line("taken on by", taken);
        line("meet", [&emergency.channel, &emergency.conference].into_iter().flatten().cloned().collect::<Vec<_>>().join(" "));
    }
    line(
        "plans",
        incident
            .plans
            .iter()
            .take(3)
            .map(|plan| format!("{} {}", plan.name, plan.link).trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("; "),
    );
    if let Some(review) = &incident.review {
        line("review", format!("due {} by {}", review.due_at, review.owner));
    }
    line("incident", format!("{} event {}", incident.id, incident.sequence));
    lines.join("\n")
}

/// Where the leading alert says that its runbook is.
fn runbook(evidence: &Evidence) -> Option<&str> {
    let leads = evidence.members.iter().filter(|member| member.entity == evidence.entity);
    let mut urls = leads.flat_map(|member| member.summary.lines()).filter_map(|line| line.strip_prefix(RUNBOOK));
    // One that was cut leads nowhere.
    urls.find(|url| url.starts_with("http") && !url.ends_with('…'))
}

/// What else fails by now.
fn others(evidence: &Evidence) -> String {
    let fails = |member: &&Member| member.ended_at.is_none() && member.suppressed.is_none() && member.entity != evidence.entity;
    let mut failing: Vec<&str> = evidence.members.iter().filter(fails).map(|member| member.entity.as_str()).collect();
    failing.sort_unstable();
    failing.dedup();
    let more = failing.len().saturating_sub(OTHERS_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    failing.truncate(OTHERS_MAX);
    failing.join(", ") + &more
}

/// The key by which a receiver knows an event that it has got already.
fn idempotency(data: &Data) -> (&'static str, String) {
    ("Idempotency-Key", format!("{}.{}", data.incident.id, data.incident.sequence))
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again_and_what_is_wrong_is_not() {
        let is = |status: u16, body: &str| answer(Messenger::Wecom, status, body);
        assert_eq!(is(200, r#"{"errcode":0}"#), Answer::Taken);
        assert!(matches!(is(200, r#"{"errcode":45009}"#), Answer::Later(_)) && matches!(is(200, r#"{"errcode":93000}"#), Answer::Never(_)));
        assert!(matches!(is(200, "<html>a proxy's</html>"), Answer::Later(_)), "who does not say that it is taken has not taken it");
        assert!(matches!(is(200, r#"{"errcode":-1}"#), Answer::Later(_)), "it is busy");
        assert!(matches!(answer(Messenger::Dingtalk, 302, ""), Answer::Later(_)) && matches!(is(302, ""), Answer::Never(_)));
        assert!(
            matches!(is(503, ""), Answer::Later(_)) && matches!(is(429, ""), Answer::Later(_)) && matches!(is(404, ""), Answer::Never(_))
        );
    }

    #[test]
    fn signatures_are_those_of_rfc_4231() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let case_2 = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex(case_2), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}

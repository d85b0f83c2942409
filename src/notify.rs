//! Notify: an event → the request that tells a target of it. Pure: who sends it, and how often it tries, is the shell's.

mod chat;
mod names;
mod pagerduty;
mod rate;
mod webhook;
mod words;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::contract::{Data, HistoryEntry};
use crate::model::{Event, Timestamp};
use crate::rules::notify::{Messenger, Routed, Target};

pub use names::faults;
pub use rate::Rate;

use words::Words;

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

/// Whether a target is told of an event.
#[must_use]
pub fn is_told(target: &Target, data: &Data) -> bool {
    let incident = &data.incident;
    let now = incident.levels.iter().map(|level| (level.sequence.as_str(), level.rank));
    let before = incident.levels_held.iter().map(|held| (held.sequence.as_str(), held.rank));
    let levels: Vec<(&str, u8)> = now.chain(before).collect();
    let evidence = &incident.evidence;
    // What is another one's by now is told to whom it was told of before when it is over, and not while it goes on.
    let over = incident.state.is_over();
    let (businesses, owners): (&[String], &[String]) =
        if over { (&incident.businesses_held, &incident.owners_held) } else { (&evidence.businesses, &evidence.owners) };
    let (businesses, owners) = (of_all(&evidence.business, businesses), of_all(&evidence.owner, owners));
    // Nobody has to be told that what he was not told of is revoked, or what becomes of what was never declared.
    let seems_over = |told: &&HistoryEntry| matches!(told.event, Event::Recovering | Event::Recovered);
    let before = incident.history.iter().rev().find(seems_over).map(|told| told.event);
    let untold = levels.is_empty() || data.event.kind == Event::RecoveryRevoked && before == Some(Event::Recovering);
    let mut routes = target.routes.iter().filter(|route| !untold || route.events.is_some());
    routes.any(|route| route.takes(data.event.kind, Routed { levels: &levels, businesses: &businesses, owners: &owners }))
}

/// The first one's name, and those of the others; events of before these were told have the first one's alone.
fn of_all<'n>(first: &'n str, others: &'n [String]) -> Vec<&'n str> {
    std::iter::once(first).chain(others.iter().map(String::as_str)).collect()
}

/// The request that tells a target of an event, signed as of now.
#[must_use]
pub fn request(to: &Addressed<'_>, data: &Data, now: Timestamp) -> Request {
    let words = Words::of(to.target, data);
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

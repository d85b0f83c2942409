//! Chat robots: Slack, Feishu and Lark, DingTalk, WeCom. Sources: <https://api.slack.com/messaging/webhooks>,
//! <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>,
//! <https://open.dingtalk.com/document/robots/custom-robot-access>, <https://developer.work.weixin.qq.com/document/path/91770>.

use serde_json::{Value, json};

use crate::contract::Data;
use crate::model::Timestamp;
use crate::rules::notify::Messenger;

use crate::model::text::cut;

use super::words::Words;
use super::{Addressed, Request, base64, hmac_sha256, idempotency};

/// What the parts of a message may hold there: characters of Slack's, bytes of the others'.
const SLACK_HEADER_MAX: usize = 150;
const SLACK_SECTION_MAX: usize = 3000;
const WECOM_MAX: usize = 4096;

/// And what a whole request may, of Feishu and DingTalk.
const REQUEST_BYTES_MAX: usize = 20_000;

/// Why a robot does not take a message that it has answered with 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It has got too many, is busy, or the answer is not its own.
    NotNow,
    /// It is wrong.
    Wrong,
}

/// The refusal in an answer's body, if it is one.
pub(super) fn refusal(kind: Messenger, body: &str) -> Option<Refusal> {
    let (field, not_now): (&str, &[i64]) = match kind {
        Messenger::Webhook | Messenger::Pagerduty | Messenger::Slack => return None,
        Messenger::Feishu => ("code", &[9499, 11_232]),
        Messenger::Dingtalk => ("errcode", &[-1, 130_101, 410_100]),
        Messenger::Wecom => ("errcode", &[-1, 45_009]),
    };
    match serde_json::from_str::<Value>(body).ok().and_then(|body| body[field].as_i64()) {
        Some(0) => None,
        Some(code) if !not_now.contains(&code) => Some(Refusal::Wrong),
        Some(_) | None => Some(Refusal::NotNow),
    }
}

pub(super) fn slack(to: &Addressed<'_>, data: &Data, words: &Words) -> Request {
    // Their three characters with a meaning.
    let plain = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let body = json!({
        "text": plain(&words.title),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": characters(&words.title, SLACK_HEADER_MAX)}},
            {"type": "section", "text": {"type": "mrkdwn", "text": characters(&plain(&words.text), SLACK_SECTION_MAX)}},
        ],
    });
    Request { url: to.url.to_owned(), headers: vec![idempotency(data)], body: body.to_string() }
}

pub(super) fn feishu(to: &Addressed<'_>, data: &Data, words: &Words, now: Timestamp) -> Request {
    let rank = data.incident.level.as_ref().map_or(4, |level| level.rank);
    let colour = match rank {
        _ if data.incident.state.is_over() => "green",
        0..=1 => "red",
        2 => "orange",
        3 => "yellow",
        _ => "blue",
    };
    let body = fitting(words, |title, text| {
        let mut body = json!({
            "msg_type": "interactive",
            "card": {
                "config": {"wide_screen_mode": true},
                "header": {"template": colour, "title": {"tag": "plain_text", "content": title}},
                "elements": [{"tag": "div", "text": {"tag": "lark_md", "content": text.replace('<', "&#60;").replace('>', "&#62;")}}],
            },
        });
        if let Some(secret) = to.secret {
            let seconds = now.0 / 1000;
            let key = format!("{seconds}\n{secret}");
            body["timestamp"] = json!(seconds.to_string());
            body["sign"] = json!(base64(&hmac_sha256(key.as_bytes(), b"")));
        }
        body
    });
    Request { url: to.url.to_owned(), headers: vec![idempotency(data)], body }
}

/// The request with as much of the words as it may hold, when all is escaped.
fn fitting(words: &Words, body: impl Fn(&str, &str) -> Value) -> String {
    let title = cut(&words.title, REQUEST_BYTES_MAX / 8);
    let mut most = REQUEST_BYTES_MAX;
    loop {
        let body = body(&title, &cut(&words.text, most)).to_string();
        if body.len() <= REQUEST_BYTES_MAX || most < 64 {
            return body;
        }
        most = most * 3 / 4;
    }
}

/// What would be markup there, a mention above all, is only a sign.
fn unmarked(text: &str) -> String {
    text.replace('<', "＜").replace('>', "＞")
}

/// So many characters of a text.
fn characters(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

pub(super) fn dingtalk(to: &Addressed<'_>, words: &Words, now: Timestamp) -> Request {
    let body = fitting(words, |title, text| {
        let text = unmarked(text).lines().map(|line| format!("> {line}\n>\n")).collect::<String>();
        json!({
            "msgtype": "markdown",
            "markdown": {"title": title, "text": format!("#### {}\n{text}", unmarked(title))},
            "at": {"atMobiles": [], "isAtAll": false},
        })
    });
    let url = match to.secret {
        None => to.url.to_owned(),
        Some(secret) => {
            let message = format!("{}\n{secret}", now.0);
            let sign = base64(&hmac_sha256(secret.as_bytes(), message.as_bytes()));
            let sign = sign.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
            let joined = if to.url.contains('?') { '&' } else { '?' };
            format!("{}{joined}timestamp={}&sign={sign}", to.url, now.0)
        }
    };
    Request { url, headers: vec![], body }
}

pub(super) fn wecom(to: &Addressed<'_>, words: &Words) -> Request {
    let text = unmarked(&words.text).lines().map(|line| format!("> {line}\n")).collect::<String>();
    let content = cut(&format!("## {}\n{text}", unmarked(&words.title)), WECOM_MAX);
    let body = json!({"msgtype": "markdown", "markdown": {"content": content}});
    Request { url: to.url.to_owned(), headers: vec![], body: body.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_fits_when_all_is_escaped() {
        let words = Words { title: "故障\"".repeat(10_000), text: "\"\n故".repeat(10_000) };
        let body = fitting(&words, |title, text| json!({"title": title, "text": text}));
        assert!(body.len() <= REQUEST_BYTES_MAX && body.len() > REQUEST_BYTES_MAX / 2, "{}", body.len());
        assert_eq!(characters("故障故障", 3), "故障…");
        assert_eq!(unmarked("<at id=all></at>"), "＜at id=all＞＜/at＞");
    }
}

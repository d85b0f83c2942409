//! Chat robots: Slack, Feishu and Lark, DingTalk, WeCom. Sources: <https://api.slack.com/messaging/webhooks>,
//! <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>,
//! <https://open.dingtalk.com/document/robots/custom-robot-access>, <https://developer.work.weixin.qq.com/document/path/91770>.

use serde_json::{Value, json};

use crate::declare::contract::Data;
use crate::model::Timestamp;
use crate::rules::notify::Messenger;

use crate::model::text::cut;

use super::{Addressed, Request, Words, base64, hmac_sha256, idempotency};

/// What the parts of a message may hold there, in bytes.
const SLACK_HEADER_MAX: usize = 150;
const SLACK_SECTION_MAX: usize = 3000;
const FEISHU_MAX: usize = 20_000;
const DINGTALK_MAX: usize = 18_000;
const WECOM_MAX: usize = 4096;

/// Why a robot does not take a message that it has answered with 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It has got too many.
    TooMany,
    /// It is wrong.
    Wrong,
}

/// The refusal in an answer's body, if it is one.
pub(super) fn refusal(kind: Messenger, body: &str) -> Option<Refusal> {
    let (field, too_many): (&str, &[i64]) = match kind {
        Messenger::Webhook | Messenger::Pagerduty | Messenger::Slack => return None,
        Messenger::Feishu => ("code", &[9499, 11_232]),
        Messenger::Dingtalk => ("errcode", &[130_101, 410_100]),
        Messenger::Wecom => ("errcode", &[45_009]),
    };
    let code = serde_json::from_str::<Value>(body).ok()?[field].as_i64().filter(|code| *code != 0)?;
    Some(if too_many.contains(&code) { Refusal::TooMany } else { Refusal::Wrong })
}

pub(super) fn slack(to: &Addressed<'_>, data: &Data, words: &Words) -> Request {
    // Their three characters with a meaning.
    let plain = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let body = json!({
        "text": plain(&words.title),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": cut(&words.title, SLACK_HEADER_MAX)}},
            {"type": "section", "text": {"type": "mrkdwn", "text": cut(&plain(&words.text), SLACK_SECTION_MAX)}},
        ],
    });
    Request { url: to.url.to_owned(), headers: vec![idempotency(data)], body: body.to_string() }
}

pub(super) fn feishu(to: &Addressed<'_>, data: &Data, words: &Words, now: Timestamp) -> Request {
    let rank = data.incident.level.as_ref().map_or(4, |level| level.rank);
    let colour = match rank {
        _ if !data.incident.state.is_on() => "green",
        0..=1 => "red",
        2 => "orange",
        3 => "yellow",
        _ => "blue",
    };
    let mut body = json!({
        "msg_type": "interactive",
        "card": {
            "config": {"wide_screen_mode": true},
            "header": {"template": colour, "title": {"tag": "plain_text", "content": words.title}},
            "elements": [{"tag": "div", "text": {"tag": "lark_md", "content": cut(&words.text, FEISHU_MAX)}}],
        },
    });
    if let Some(secret) = to.secret {
        let seconds = now.0 / 1000;
        let key = format!("{seconds}\n{secret}");
        body["timestamp"] = json!(seconds.to_string());
        body["sign"] = json!(base64(&hmac_sha256(key.as_bytes(), b"")));
    }
    Request { url: to.url.to_owned(), headers: vec![idempotency(data)], body: body.to_string() }
}

pub(super) fn dingtalk(to: &Addressed<'_>, words: &Words, now: Timestamp) -> Request {
    let text = words.text.lines().map(|line| format!("> {line}\n>\n")).collect::<String>();
    let text = cut(&format!("#### {}\n{text}", words.title), DINGTALK_MAX);
    let body = json!({
        "msgtype": "markdown",
        "markdown": {"title": words.title, "text": text},
        "at": {"atMobiles": [], "isAtAll": false},
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
    Request { url, headers: vec![], body: body.to_string() }
}

pub(super) fn wecom(to: &Addressed<'_>, words: &Words) -> Request {
    let text = words.text.lines().map(|line| format!("> {line}\n")).collect::<String>();
    let content = cut(&format!("## {}\n{text}", words.title), WECOM_MAX);
    let body = json!({"msgtype": "markdown", "markdown": {"content": content}});
    Request { url: to.url.to_owned(), headers: vec![], body: body.to_string() }
}

//! A case: configuration, records at times, and the declarations they give, in one text that people can read.
//!
//! ```text
//! # what it shows
//! == monitors
//! (YAML)            == levels, == topology, == duty, == plans, == suppress and == settings as well; none is needed but monitors
//! == records 2026-11-22T15:00:00Z every 1m
//! metric orders{service="checkout"} 100x10 50x5 _x3      value x steps; _ is no sample; 7+60x3 is 7 67 127
//! alert 15:05 firing CheckoutErrors service=checkout      resolved needs the start: resolved@15:05
//! change 15:03 checkout v2
//! raw 15:04 metrics {not json
//! say 15:10 ann acknowledge incident=@1 comment="on it"   a command; @1 is the first incident there was
//! say +2d09:00 bob note incident=@1 comment="two days later"
//! == declarations
//! 15:12:00 #1 declared P3 by drop >= 20% for 2m; suspects checkout
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use richter::engine::Pipeline;
use richter::model::{Origin, Timestamp, duration};
use richter::rules::{Config, Files, Settings, settings};
use richter::stage::{Message, Outbox, Record, Topic};
use richter::wire::recording::Recorded;
use serde_json::{Value, json};

pub(crate) struct Case {
    pub(crate) settings: Arc<Settings>,
    pub(crate) config: Arc<Config>,
    pub(crate) records: Vec<Recorded>,
    pub(crate) sections: Vec<(String, String)>,
}

const SETTINGS: &str = "
sources:
  - { topic: metrics, kind: metrics }
  - { topic: alerts, kind: alerts }
  - { topic: changes, kind: changes }
  - { topic: commands, kind: commands }
";

impl Case {
    pub(crate) fn parse(name: &str, text: &str) -> Self {
        let sections = sections(text);
        let of = |wanted: &str| sections.iter().find(|(head, _)| head.split(' ').next() == Some(wanted));
        let file = |wanted: &str| of(wanted).map(|(_, body)| (format!("{name}/{wanted}.yaml"), body.clone())).into_iter().collect();
        let own = of("settings").map_or("", |(_, body)| body.as_str());
        let (settings, _, faults) = settings(name, &format!("{SETTINGS}{own}"), &BTreeMap::new());
        assert_eq!(faults, [], "{name}");
        let files = Files {
            monitors: file("monitors"),
            levels: file("levels"),
            topology: file("topology"),
            duty: file("duty"),
            plans: file("plans"),
            suppress: file("suppress"),
        };
        let settings = settings.expect(name);
        let (config, faults) = Config::new(&files, settings.tuning.clone());
        assert_eq!(faults, [], "{name}");
        let (head, body) = of("records").unwrap_or_else(|| panic!("{name}: no records"));
        let words: Vec<&str> = head.split(' ').collect();
        let start = Timestamp::parse(words[1]).expect(head);
        let every = duration::parse(words[3]).expect(head);
        let records = records(start, every.as_millis() as i64, body);
        Self { settings: Arc::new(settings), config: Arc::new(config), records, sections }
    }

    /// The text of a file of the configuration, as it was written.
    pub(crate) fn section(&self, wanted: &str) -> &str {
        self.sections.iter().find(|(head, _)| head == wanted).map_or("", |(_, body)| body)
    }

    pub(crate) fn pipeline(&self) -> Pipeline {
        let origins = ["alerts", "changes", "commands", "metrics"].map(|topic| Origin { topic: topic.into(), partition: 0 });
        Pipeline::new(&self.config, &self.settings, origins).0.traced()
    }

    /// All that comes out.
    pub(crate) fn run(&self) -> Outbox {
        let mut pipeline = self.pipeline();
        let mut out = Outbox::default();
        for recorded in &self.records {
            let named = named(recorded, &out.messages);
            out.extend(push(&mut pipeline, named.as_ref().unwrap_or(recorded)));
        }
        out
    }
}

/// A command with the incidents' ids for `@1` and so on, in the order they began; none for what names none.
fn named(recorded: &Recorded, messages: &[Message]) -> Option<Recorded> {
    let mut text = String::from_utf8_lossy(recorded.bytes()).into_owned();
    if recorded.topic != "commands" || !text.contains("\"@") {
        return None;
    }
    let mut ids: Vec<&str> = vec![];
    for message in messages.iter().filter(|m| m.topic == Topic::Incidents && !m.key.starts_with("command.")) {
        if !ids.contains(&message.key.as_str()) {
            ids.push(&message.key);
        }
    }
    for (place, id) in ids.iter().enumerate() {
        text = text.replace(&format!("\"@{}\"", place + 1), &format!("\"{id}\""));
    }
    Some(Recorded { payload: Some(text.into_bytes()), ..recorded.clone() })
}

pub(crate) fn push(pipeline: &mut Pipeline, recorded: &Recorded) -> Outbox {
    pipeline.push(&record(recorded))
}

pub(crate) fn record(recorded: &Recorded) -> Record<'_> {
    Record {
        topic: &recorded.topic,
        partition: recorded.partition,
        offset: recorded.offset,
        timestamp: recorded.ts,
        headers: &[],
        payload: recorded.bytes(),
    }
}

/// The events among messages.
pub(crate) fn events(messages: &[Message]) -> Vec<Value> {
    let incidents = messages.iter().filter(|m| m.topic == Topic::Incidents);
    incidents.map(|m| serde_json::from_slice(&m.payload).expect("an event is JSON")).collect()
}

/// An event in a line, with the days since the first record where it is a later one.
pub(crate) fn line_since(start: Timestamp, event: &Value) -> String {
    let at = Timestamp::parse(event["time"].as_str().unwrap_or_default()).expect("a time");
    let days = at.0.div_euclid(86_400_000) - start.0.div_euclid(86_400_000);
    if days > 0 { format!("+{days}d {}", line(event)) } else { line(event) }
}

/// An event in a line.
pub(crate) fn line(event: &Value) -> String {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let names = |pointer: &str, key: &str| {
        let list = event.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
        let name = |v: &Value| v[key].as_str().unwrap_or_default().trim_start_matches("service=").to_owned();
        list.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    let mut line = format!("{} ", &text("/time")[11..19]);
    if text("/type") == "io.richter.command.rejected.v1" {
        write!(line, "rejected {} of {}: {}", text("/data/order"), text("/data/author"), text("/data/reason")).expect("written");
        return line;
    }
    if text("/type") == "io.richter.command.accepted.v1" {
        write!(line, "accepted {} of {}: {}", text("/data/order"), text("/data/author"), text("/data/outcome")).expect("written");
        return line;
    }
    write!(line, "#{} ", event["data"]["incident"]["sequence"]).expect("written");
    let levels = names("/data/incident/levels", "effective").replace(", ", " ");
    let levels = if levels.is_empty() { levels } else { format!("{levels} ") };
    let more = text("/data/incident/title").split_once(" more)").and_then(|(before, _)| before.rsplit_once(" and "));
    let more = more.map_or_else(String::new, |(_, number)| format!(" and {number} more"));
    write!(line, "{} {levels}{}{more}: ", text("/data/event/type"), text("/subject").trim_start_matches("service=")).expect("written");
    if text("/data/event/author") != "richter" {
        write!(line, "({}) ", text("/data/event/author")).expect("written");
    }
    write!(line, "{}", text("/data/event/reason")).expect("written");
    if text("/data/event/type") == "declared" {
        write!(line, "; suspects {}", names("/data/incident/suspects", "entity")).expect("written");
        let dimensions = event.pointer("/data/incident/measure/dimensions").and_then(Value::as_array);
        let dimensions: Vec<String> =
            dimensions.into_iter().flatten().map(|one| format!("{} {}", one["labels"], one["coverage"])).collect();
        if !dimensions.is_empty() {
            write!(line, "; carried by {}", dimensions.join(", ")).expect("written");
        }
        let changes = names("/data/incident/changes", "id");
        if !changes.is_empty() {
            write!(line, "; changes {changes}").expect("written");
        }
        let plans = names("/data/incident/plans", "name");
        if !plans.is_empty() {
            write!(line, "; plans {plans}").expect("written");
        }
    }
    line + &standing(event)
}

/// How an incident stands: who is on duty where that may be new, whether anything tells of it, and what it was once it is over.
fn standing(event: &Value) -> String {
    let incident = &event["data"]["incident"];
    let kind = event["data"]["event"]["type"].as_str().unwrap_or_default();
    let mut line = String::new();
    let people: Vec<&str> =
        incident["emergency"]["people"].as_array().into_iter().flatten().filter_map(|person| person["name"].as_str()).collect();
    if matches!(kind, "declared" | "escalated") && !people.is_empty() {
        write!(line, "; on duty {}", people.join(", ")).expect("written");
    }
    if incident["stale"] == true && kind != "stale" {
        line += "; stale";
    }
    if incident["state"] == "recovered" && kind == "updated" {
        write!(line, "; lasted {} s", incident["lasted_seconds"]).expect("written");
        if let Some(money) = incident["impact"]["numbers"]["money"].as_f64() {
            write!(line, ", cost {money}").expect("written");
        }
    }
    line
}

pub(crate) fn sections(text: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = vec![];
    for row in text.lines() {
        match row.strip_prefix("== ") {
            Some(head) => sections.push((head.to_owned(), String::new())),
            None => {
                if let Some((_, body)) = sections.last_mut() {
                    body.push_str(row);
                    body.push('\n');
                }
            }
        }
    }
    sections
}

fn records(start: Timestamp, every_ms: i64, body: &str) -> Vec<Recorded> {
    let mut records = vec![];
    for row in body.lines().map(str::trim).filter(|row| !row.is_empty() && !row.starts_with('#')) {
        let (kind, rest) = row.split_once(' ').expect(row);
        match kind {
            "metric" => metric(start, every_ms, rest, &mut records),
            "alert" => records.push(alert(start, rest)),
            "change" => records.push(change(start, rest)),
            "say" => records.push(say(start, rest)),
            "raw" => {
                let words: Vec<&str> = rest.splitn(3, ' ').collect();
                records.push(recorded(words[1], clock(start, words[0]), words[2].to_owned()));
            }
            other => panic!("{other:?} in {row:?}"),
        }
    }
    records.sort_by_key(|r| r.ts);
    let mut next: BTreeMap<String, i64> = BTreeMap::new();
    for record in &mut records {
        let offset = next.entry(record.topic.clone()).or_default();
        record.offset = *offset;
        *offset += 1;
    }
    records
}

fn metric(start: Timestamp, every_ms: i64, rest: &str, records: &mut Vec<Recorded>) {
    let (series, values) = rest.split_once("} ").expect(rest);
    let (name, labels) = series.split_once('{').expect(rest);
    let mut step = 0;
    for run in values.split_whitespace() {
        let (value, times) = run.split_once('x').unwrap_or((run, "1"));
        let (first, more) = value.split_once('+').unwrap_or((value, "0"));
        for place in 0..times.parse::<i64>().expect(run) {
            let at = Timestamp(start.0 + step * every_ms);
            match (first.parse::<f64>(), more.parse::<f64>()) {
                (Ok(first), Ok(more)) if value.contains('+') => {
                    records.push(sample(name, labels, at, &(first + more * place as f64).to_string()));
                }
                _ if value != "_" => records.push(sample(name, labels, at, value)),
                _ => {}
            }
            step += 1;
        }
    }
}

pub(crate) fn sample(name: &str, labels: &str, at: Timestamp, value: &str) -> Recorded {
    let pairs = labels.split(',').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').expect(labels);
        (name.trim().to_owned(), json!(value.trim_matches('"')))
    });
    let labels: serde_json::Map<String, Value> = pairs.chain([("__name__".to_owned(), json!(name))]).collect();
    let payload = json!({"labels": labels, "name": name, "timestamp": at.to_string(), "value": value});
    recorded("metrics", at, payload.to_string())
}

/// The end of what fires, as Alertmanager writes it.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// `15:05 firing Name label=value ...`, `15:10 firing@15:05 Name label=value ...` or `15:20 resolved@15:05 Name label=value ...`
fn alert(start: Timestamp, rest: &str) -> Recorded {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (at, status, name) = (clock(start, words[0]), words[1], words[2]);
    let mut labels: BTreeMap<&str, &str> = words[3..].iter().map(|pair| pair.split_once('=').expect(rest)).collect();
    labels.insert("alertname", name);
    let (status, starts, ends) = match status.split_once('@') {
        Some(("firing", began)) => ("firing", clock(start, began), NEVER.to_owned()),
        Some((status, began)) => (status, clock(start, began), at.to_string()),
        None => (status, at, NEVER.to_owned()),
    };
    let alert = json!({"status": status, "labels": labels, "startsAt": starts.to_string(), "endsAt": ends});
    recorded("alerts", at, json!({"version": "4", "alerts": [alert]}).to_string())
}

/// `15:03 checkout v2`
fn change(start: Timestamp, rest: &str) -> Recorded {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (at, service, version) = (clock(start, words[0]), words[1], words[2]);
    let event = json!({
        "specversion": "1.0", "id": format!("{service}-{version}"), "source": "/ci", "type": "dev.cdevents.service.deployed.0.3.0",
        "time": at.to_string(),
        "data": {"subject": {"id": service, "content": {"environment": {"id": "prod"}, "artifactId": version}}},
    });
    recorded("changes", at, event.to_string())
}

/// `15:05 ann acknowledge incident=@1 comment="on it"`
fn say(start: Timestamp, rest: &str) -> Recorded {
    let mut words = rest.splitn(4, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (at, author, command, mut pairs) = (clock(start, word()), word(), word(), word());
    let id = format!("{command}-{}", &at.to_string()[11..19]);
    let mut object = json!({"id": id, "author": author, "at": at.to_string(), "command": command});
    while let Some((name, value)) = pairs.split_once('=') {
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').expect(rest),
            None => value.split_once(' ').unwrap_or((value, "")),
        };
        object[name] = value.parse::<f64>().map_or_else(|_| json!(value), |number| json!(number));
        pairs = after.trim_start();
    }
    recorded("commands", at, object.to_string())
}

/// `15:05` or `15:05:30` on the day of the start, `+2d09:00` two days later.
fn clock(start: Timestamp, text: &str) -> Timestamp {
    if let Some((days, time)) = text.strip_prefix('+').and_then(|rest| rest.split_once('d')) {
        return Timestamp(clock(start, time).0 + days.parse::<i64>().expect(text) * 86_400_000);
    }
    let seconds = if text.len() == 5 { ":00" } else { "" };
    Timestamp::parse(&format!("{}T{text}{seconds}Z", &start.to_string()[..10])).expect(text)
}

fn recorded(topic: &str, ts: Timestamp, payload: String) -> Recorded {
    Recorded { topic: topic.into(), ts, payload: Some(payload.into_bytes()), ..Recorded::default() }
}

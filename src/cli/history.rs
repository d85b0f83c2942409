//! A simulated history: weeks of faults, and of people who handle them, through the very stages, so that a report has
//! something to tell. The same seed gives the same history.

use std::collections::BTreeMap;

use anyhow::anyhow;
use serde_json::{Value, json};

use crate::contract::Data;
use crate::engine::Pipeline;
use crate::model::{Event, Origin, Timestamp};
use crate::rules::{Fault, Place};
use crate::shell::files::{Loaded, checked};
use crate::stage::{Message, Record, Topic};

const SETTINGS: &str = "
sources: [ { topic: alerts, kind: alerts }, { topic: changes, kind: changes }, { topic: commands, kind: commands } ]
rule_files: [ rules.yaml ]
level_files: [ levels.yaml ]
time: { idle_after: 30m }
situations: { gap: 20m, reopen_within: 20m }
";

/// Monday, 2026-08-03.
const START: Timestamp = Timestamp(1_785_715_200_000);

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// On average between two faults.
const BETWEEN: i64 = 10 * HOUR;

/// One kind of fault: who notices it, on what, how long its stages usually take in minutes, and why it is.
struct Kind {
    alert: &'static str,
    services: &'static [&'static str],
    weight: u64,
    detect: u64,
    acknowledge: u64,
    locate: u64,
    last: u64,
    causes: &'static [(&'static str, &'static str)],
    /// How many of a hundred are none,
    false_alarms: u64,
    /// and how many no alert tells of, but people: level and scenario.
    by_people: Option<(u64, &'static str, &'static str)>,
}

const KINDS: [Kind; 6] = [
    Kind {
        alert: "PaymentsFail",
        services: &["payments", "wallet"],
        weight: 22,
        detect: 4,
        acknowledge: 5,
        locate: 18,
        last: 40,
        causes: &[
            ("change", "a deploy broke the retries"),
            ("dependency", "the bank's gateway was away"),
            ("capacity", "the pool ran out"),
        ],
        false_alarms: 3,
        by_people: None,
    },
    Kind {
        alert: "LedgerLate",
        services: &["ledger"],
        weight: 8,
        detect: 35,
        acknowledge: 12,
        locate: 30,
        last: 150,
        causes: &[("code", "the batch did not stop at a bad row"), ("process", "nobody renewed the certificate")],
        false_alarms: 0,
        by_people: Some((30, "D3", "Merchants get no statements")),
    },
    Kind {
        alert: "SearchEmpty",
        services: &["search"],
        weight: 14,
        detect: 6,
        acknowledge: 6,
        locate: 75,
        last: 110,
        causes: &[("change", "the index was built without a field"), ("code", "a query ran into a loop"), ("hardware", "a disk was full")],
        false_alarms: 4,
        by_people: None,
    },
    Kind {
        alert: "SearchSlow",
        services: &["search", "suggest"],
        weight: 26,
        detect: 3,
        acknowledge: 14,
        locate: 60,
        last: 4,
        causes: &[("capacity", "too few nodes for the evening")],
        false_alarms: 35,
        by_people: None,
    },
    Kind {
        alert: "ParcelsStuck",
        services: &["delivery"],
        weight: 16,
        detect: 20,
        acknowledge: 38,
        locate: 25,
        last: 95,
        causes: &[
            ("dependency", "the carrier's interface refused us"),
            ("change", "a new label format"),
            ("process", "the holiday was not in the plan"),
        ],
        false_alarms: 2,
        by_people: Some((35, "P3", "Parcels are not handed over")),
    },
    Kind {
        alert: "LoginsFail",
        services: &["login"],
        weight: 14,
        detect: 2,
        acknowledge: 4,
        locate: 14,
        last: 35,
        causes: &[("change", "a flag was turned on for everybody"), ("disaster_recovery", "the second site did not take over")],
        false_alarms: 2,
        by_people: None,
    },
];

/// The events of so many faults.
pub(super) fn events(faults: usize, seed: u64) -> anyhow::Result<Vec<Message>> {
    let loaded = loaded()?;
    let origins = ["alerts", "changes", "commands"].map(|topic| Origin { topic: topic.into(), partition: 0 });
    let (pipeline, _) = Pipeline::new(&loaded.config, &loaded.settings, origins);
    let mut history =
        History { random: Random(seed), queue: BTreeMap::new(), numbers: 0, faults: BTreeMap::new(), pipeline, events: vec![] };
    let mut at = START.0;
    for _ in 0..faults {
        at += history.random.around(BETWEEN as u64) as i64;
        history.fault(at);
    }
    // What is due after the last of them is told too.
    history.put("alerts", at + 30 * 24 * HOUR, json!({"version": "4", "alerts": []}));
    while let Some((when, topic, payload)) = history.queue.pop_first().map(|((at, _), (topic, payload))| (at, topic, payload)) {
        history.record(topic, when, &payload);
    }
    Ok(history.events)
}

fn loaded() -> anyhow::Result<Loaded> {
    let files =
        [("rules.yaml", include_str!("../../demo/history/rules.yaml")), ("levels.yaml", include_str!("../../demo/history/levels.yaml"))];
    let read = |patterns: &[(String, Place)], _: &mut Vec<Fault>| {
        let named = files.iter().filter(|(name, _)| patterns.iter().any(|(pattern, _)| pattern == name));
        named.map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    };
    checked("history", SETTINGS, &BTreeMap::new(), &read).map_err(|faults| anyhow!("the history's own configuration: {faults:?}"))
}

struct History {
    random: Random,
    /// What is to come, by time and number.
    queue: BTreeMap<(i64, u64), (&'static str, String)>,
    numbers: u64,
    /// What is to be done about a fault once it is declared: by its service and start.
    faults: BTreeMap<(String, i64), Planned>,
    pipeline: Pipeline,
    events: Vec<Message>,
}

/// How a fault goes.
struct Planned {
    kind: usize,
    change: Option<String>,
    detect: i64,
    acknowledge: i64,
    locate: i64,
    ends: i64,
    is_none: bool,
    by_people: bool,
}

impl History {
    fn put(&mut self, topic: &'static str, at: i64, payload: Value) {
        self.numbers += 1;
        self.queue.insert((at, self.numbers), (topic, payload.to_string()));
    }

    /// A fault begins then: its alert, perhaps a change before it, and its end.
    fn fault(&mut self, at: i64) {
        let all: u64 = KINDS.iter().map(|kind| kind.weight).sum();
        let mut pick = self.random.below(all);
        let kind = KINDS.iter().position(|kind| {
            let hit = pick < kind.weight;
            pick = pick.saturating_sub(kind.weight);
            hit
        });
        let number = kind.unwrap_or(0);
        let kind = &KINDS[number];
        let service = kind.services[self.random.below(kind.services.len() as u64) as usize];
        let mut minutes = |usual: u64| self.random.around(usual * 60) as i64 * 1000;
        let (detect, acknowledge, locate, last) =
            (minutes(kind.detect), minutes(kind.acknowledge), minutes(kind.locate), minutes(kind.last));
        let changed = kind.causes.iter().any(|(class, _)| *class == "change") && self.random.below(100) < 55;
        let change = changed.then(|| format!("deploy-{service}-{}", self.numbers));
        if let Some(id) = &change {
            let content = json!({"environment": {"id": "prod"}, "artifactId": format!("pkg:oci/{service}@{}", self.numbers)});
            let event = json!({
                "specversion": "1.0", "id": id, "source": "/ci/shop", "type": "dev.cdevents.service.deployed.0.3.0",
                "time": Timestamp(at - detect - 8 * MINUTE).to_string(),
                "data": {"subject": {"id": service, "content": content}},
            });
            self.put("changes", at - detect - 8 * MINUTE, event);
        }
        let alert = |status: &str, ends: String| {
            let labels = json!({"alertname": kind.alert, "service": service});
            json!({"version": "4", "alerts": [{"status": status, "labels": labels, "startsAt": Timestamp(at).to_string(), "endsAt": ends}]})
        };
        let ends = at + last.max(2 * MINUTE);
        let by_people = kind.by_people.filter(|(share, ..)| self.random.below(100) < *share);
        match by_people {
            Some((_, level, scenario)) => self.declared(at, service, level, scenario, kind.alert),
            None => {
                self.put("alerts", at, alert("firing", "0001-01-01T00:00:00Z".into()));
                self.put("alerts", ends, alert("resolved", Timestamp(ends).to_string()));
            }
        }
        let by_people = by_people.is_some();
        let is_none = !by_people && self.random.below(100) < kind.false_alarms;
        self.faults.insert(
            (format!("service={service}"), at),
            Planned { kind: number, change, detect, acknowledge, locate, ends, is_none, by_people },
        );
    }

    /// No alert tells of it: somebody calls, and a person declares it.
    fn declared(&mut self, at: i64, service: &str, level: &str, scenario: &str, alert: &str) {
        let business = if alert == "LedgerLate" { "payments" } else { "delivery" };
        let declare = json!({
            "id": format!("call-{}", self.numbers), "author": "olga", "at": Timestamp(at).to_string(), "command": "declare", "level": level,
            "scenario": scenario, "entity": format!("service={service}"), "business": business, "owner": format!("team-{business}"),
            "comment": "people call",
        });
        self.put("commands", at, declare);
    }

    fn record(&mut self, topic: &str, at: i64, payload: &str) {
        let record = Record { topic, partition: 0, offset: 0, timestamp: Timestamp(at), headers: &[], payload: payload.as_bytes() };
        let out = self.pipeline.push(&record);
        for message in out.messages.into_iter().filter(|message| message.topic == Topic::Incidents) {
            if let Ok(Some(data)) = Data::of(&message.payload)
                && data.event.kind == Event::Declared
            {
                self.handle(&data, at);
            }
            self.events.push(message);
        }
    }

    /// People handle what was declared.
    fn handle(&mut self, data: &Data, now: i64) {
        let incident = &data.incident;
        let began = Timestamp::parse(&incident.started_at).map_or(now, |at| at.0);
        let Some(planned) = self.faults.remove(&(incident.evidence.entity.clone(), began)) else { return };
        let kind = &KINDS[planned.kind];
        let say = |history: &mut Self, at: i64, author: &str, command: &str, details: Value| {
            let mut object = json!({"id": format!("{}-{}", incident.id, history.numbers), "author": author, "command": command, "incident": incident.id});
            if let (Some(object), Value::Object(details)) = (object.as_object_mut(), details) {
                object.extend(details);
            }
            history.put("commands", at.max(now + 1000), object);
        };
        if planned.is_none {
            return say(self, now + planned.acknowledge, "ann", "cancel", json!({"comment": "users felt nothing"}));
        }
        if planned.by_people {
            say(self, planned.ends.max(now + 5 * MINUTE), "olga", "recover", json!({"comment": "nobody calls any more"}));
        }
        let author = ["ann", "bob", "cy", "dan", "eve"][self.random.below(5) as usize];
        say(self, now + 1000, "richter-bot", "mark", json!({"point": "occurred", "time": Timestamp(began - planned.detect).to_string()}));
        // What is over soon is often taken on by nobody.
        if planned.ends - now > 10 * MINUTE || self.random.below(100) < 20 {
            say(self, now + planned.acknowledge, author, "acknowledge", Value::Null);
            say(self, now + planned.locate.max(planned.acknowledge), author, "mark", json!({"point": "located"}));
        }
        if self.random.below(100) < 12 {
            return;
        }
        let (class, cause) = match &planned.change {
            Some(_) => *kind.causes.iter().find(|(class, _)| *class == "change").unwrap_or(&kind.causes[0]),
            None => kind.causes[self.random.below(kind.causes.len() as u64) as usize],
        };
        let reviewed = planned.ends + HOUR + self.random.around(20 * 3600) as i64 * 1000;
        let mut details = json!({"class": class, "cause": cause, "entity": incident.evidence.entity});
        if let Some(change) = &planned.change {
            details["change"] = json!(change);
        }
        say(self, reviewed, author, "set_cause", details);
        if self.random.below(100) < 60 {
            let due = Timestamp(reviewed + 14 * 24 * HOUR).to_string();
            let action = format!("so that it does not come again: {cause}");
            say(self, reviewed + MINUTE, author, "action", json!({"action": action, "owner": author, "due": due, "verify": "a drill"}));
            let action = format!("{}-{}", incident.id, self.numbers - 1);
            let done = reviewed + self.random.around(9 * 24 * 3600) as i64 * 1000;
            if self.random.below(100) < 75 {
                say(self, done, author, "action_done", json!({"action": action}));
            }
        }
        say(self, reviewed + 2 * MINUTE, author, "review_done", Value::Null);
    }
}

/// Sebastiano Vigna's SplitMix64: enough for a simulation, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Between a third and three times as much, small numbers more often.
    fn around(&mut self, usual: u64) -> u64 {
        let share = self.below(1000) as f64 / 1000.0;
        (usual as f64 * libm::pow(9.0, share) / 3.0) as u64
    }
}

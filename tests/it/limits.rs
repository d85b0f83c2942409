//! What is told is never too large to be told, however much there is of it.

use std::fmt::Write as _;

use richter::model::Timestamp;
use richter::stage::{Count, Limit, Topic};
use serde_json::json;

use super::case::{Case, events};

/// What a Kafka client sends in one record, unless it is told otherwise.
const RECORD_BYTES_MAX: usize = 1_000_000;

const MONITORS: &str = "== monitors
monitors:
  - { name: pages, scenario: Something pages, entity: \"service={{ service }}\", alerts: '{severity=\"page\"}', fault: { sequence: P, ladder: [ { level: 2 } ] } }
== records 2026-11-22T15:00:00Z every 1m
";

#[test]
fn an_event_of_very_long_texts_is_told_and_in_order() {
    let mut text = MONITORS.to_owned();
    for i in 0..60 {
        let alert = json!({
            "status": "firing", "startsAt": format!("2026-11-22T15:00:{:02}Z", i / 2), "endsAt": "0001-01-01T00:00:00Z",
            "labels": {"alertname": format!("Down{i}"), "service": "x".repeat(8000), "severity": "page"},
            "annotations": {"summary": "long ".repeat(100_000)},
        });
        writeln!(text, "raw 15:01 alerts {}", json!({"version": "4", "alerts": [alert]})).expect("a text");
    }
    for i in 0..30 {
        let (minute, second) = (2 + i / 60, i % 60);
        writeln!(text, "say 15:{minute:02}:{second:02} ann note incident=@1 comment={i}-{}", "y".repeat(4000)).expect("a text");
    }
    let out = Case::parse("long", &text).run();
    let largest = out.messages.iter().map(|message| message.payload.len()).max();
    assert!(largest.is_some_and(|largest| largest < RECORD_BYTES_MAX), "{largest:?}");
    let events = events(&out.messages);
    let sequence: Vec<u64> = events.iter().filter_map(|event| event["data"]["incident"]["sequence"].as_u64()).collect();
    assert_eq!(sequence, (1..=events.len() as u64).collect::<Vec<_>>());
    let last = &events.last().expect("there are some")["data"]["incident"];
    assert_eq!(last["notes"].as_array().map(Vec::len), Some(30));
    assert!(last["title"].as_str().is_some_and(|title| title.starts_with("P2 Something pages")), "{}", last["title"]);
}

#[test]
fn a_long_story_keeps_what_happened_and_leaves_out_how_things_stood() {
    let mut text = MONITORS.to_owned() + "metric noise{service=\"clock\"} 1x1600\nalert 15:05 firing Down service=x severity=page\n";
    text += "say 15:10 ann acknowledge incident=@1\n";
    let text = text.replace("== records", "== levels\nhandling: [ { levels: [ 2 ], follow_up: 10m } ]\n== records");
    let events = events(&Case::parse("long", &text).run().messages);
    let last = &events.last().expect("there are some")["data"]["incident"];
    let history = last["history"].as_array().expect("a list");
    let kinds: Vec<&str> = history.iter().filter_map(|told| told["event"].as_str()).collect();
    assert_eq!((&kinds[..2], history.len()), (&["declared", "acknowledged"][..], 100));
    assert_eq!(last["history_left_out"].as_u64(), last["sequence"].as_u64().map(|all| all - 100));
    assert_eq!(last["levels_held"], json!([{"sequence": "P", "rank": 2}]));
}

#[test]
fn an_alert_or_a_change_that_is_too_large_is_a_dead_letter_and_the_rest_is_taken() {
    let alert = |name: &str, more: &[(String, String)]| {
        let mut labels = json!({"alertname": name, "service": name, "severity": "page"});
        more.iter().for_each(|(name, value)| labels[name] = json!(value));
        json!({"status": "firing", "startsAt": "2026-11-22T15:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "labels": labels, "annotations": {}})
    };
    let many: Vec<_> = (0..200).map(|i| (format!("l{i}"), "x".to_owned())).collect();
    let long: Vec<_> = (0..20).map(|i| (format!("l{i}"), "x".repeat(8000))).collect();
    let alerts = [
        alert("many", &many),
        alert("long", &long),
        alert("value", &[("l".into(), "x".repeat(10_000))]),
        alert("name", &[("l".repeat(2000), "x".into())]),
        alert("good", &[]),
    ];
    let change = json!({
        "specversion": "1.0", "id": "x".repeat(10_000), "source": "/ci", "type": "dev.cdevents.service.deployed.0.3.0",
        "time": "2026-11-22T15:00:00Z", "data": {"subject": {"id": "good", "content": {"artifactId": "v2"}}},
    });
    let text = format!("{MONITORS}raw 15:01 alerts {}\nraw 15:01 changes {change}\n", json!({"version": "4", "alerts": alerts}));
    let out = Case::parse("too-large", &text).run();
    let letters = out.messages.iter().filter(|message| message.topic == Topic::DeadLetter);
    let letters: Vec<serde_json::Value> = letters.map(|letter| serde_json::from_slice(&letter.payload).expect("a letter")).collect();
    let reasons: Vec<&str> = letters.iter().filter_map(|letter| letter["reason"].as_str()).collect();
    assert_eq!(reasons, ["bad_label_name", "label_too_long", "labels_too_long", "too_many_labels", "too_large"]);
    let declared: Vec<String> = events(&out.messages).iter().map(|event| event["subject"].to_string()).collect();
    assert_eq!(declared, ["\"service=good\""]);
}

/// A record may be small and come to much: what it may cost has a limit, and what follows is read.
#[test]
fn a_small_record_that_comes_to_much_is_refused() {
    let bounds = |count: usize| (0..count).map(|bound| bound as f64).collect::<Vec<_>>();
    let point = |service: &str, bounds: &[f64]| {
        let attributes: Vec<_> =
            (0..7).map(|n| json!({"key": format!("a{n}"), "value": {"stringValue": format!("{service}{}", "x".repeat(8000))}})).collect();
        json!({"attributes": attributes, "timeUnixNano": "1795359600000000000", "count": "1", "sum": 1.0, "explicitBounds": bounds,
               "bucketCounts": vec!["0"; bounds.len() + 1]})
    };
    let record = |points: Vec<serde_json::Value>| {
        json!({"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"metrics": [
            {"name": "latency", "histogram": {"aggregationTemporality": 2, "dataPoints": points}}]}]}]})
    };
    let many = (0..4).map(|n| point(&n.to_string(), &bounds(900))).collect();
    let text = format!(
        "== monitors\nmonitors: [ {{ name: slow, entity: service=x, query: max(latency_bucket), every: 1m, judge: {{ static: {{ above: 5 }} }} }} ]\n\
         == records 2026-11-22T15:00:00Z every 1m\nraw 15:01 metrics {}\nraw 15:01 metrics {}\nraw 15:02 alerts {}\nraw 15:02 alerts {}\n",
        record(vec![point("wide", &bounds(1001))]),
        record(many),
        json!({"version": "4", "alerts": vec![0; 20_001]}),
        "1 ".repeat(20_001),
    );
    let out = Case::parse("spread", &text).run();
    let letters = out.messages.iter().filter(|message| message.topic == Topic::DeadLetter);
    let letters: Vec<serde_json::Value> = letters.map(|letter| serde_json::from_slice(&letter.payload).expect("a letter")).collect();
    let reasons: Vec<_> = letters.iter().map(|letter| (letter["reason"].as_str().unwrap_or_default(), letter["part"] == true)).collect();
    assert_eq!(reasons, [("bad_histogram", false), ("too_large", true), ("too_large", false), ("too_large", false)]);
}

#[test]
fn there_are_not_more_incidents_than_the_limit() {
    let mut text = MONITORS.to_owned();
    for part in 0..3 {
        let alert = |i: usize| {
            json!({
                "status": "firing", "startsAt": "2026-11-22T15:01:00Z", "endsAt": "0001-01-01T00:00:00Z",
                "labels": {"alertname": "Down", "service": format!("s{i}"), "severity": "page"}, "annotations": {},
            })
        };
        let alerts: Vec<_> = (part * 4000..(part + 1) * 4000).map(alert).collect();
        writeln!(text, "raw 15:0{} alerts {}", part + 1, json!({"version": "4", "alerts": alerts})).expect("a text");
    }
    text.push_str("say 15:05 ann declare level=P1 scenario=\"Nobody can pay\" entity=service=pay\n");
    let out = Case::parse("many", &text).run();
    let events = events(&out.messages);
    let declared =
        |level: &str| events.iter().filter(|event| event["data"]["event"]["type"] == "declared" && event["level"] == level).count();
    let refused = out.counts.get(&Count::Limited("pages".into(), Limit::Incidents));
    assert_eq!(declared("P1"), 1, "people still can");
    let declared = declared("P2");
    assert!(declared == 10_000 && refused.is_some_and(|refused| *refused >= 1000), "{declared}, {refused:?}");
}

/// A producer without a clock would date an incident to 1970.
#[test]
fn a_record_of_1970_is_a_dead_letter() {
    let alert = json!({
        "status": "firing", "startsAt": "2026-11-22T15:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
        "labels": {"alertname": "Down", "service": "web", "severity": "page"}, "annotations": {},
    });
    let text = format!("{MONITORS}raw 15:01 alerts {}\n", json!({"version": "4", "alerts": [alert]}));
    let mut case = Case::parse("clockless", &text);
    assert_eq!(events(&case.run().messages).len(), 1);
    case.records.iter_mut().for_each(|record| record.ts = Timestamp(1000));
    let out = case.run();
    let letters: Vec<_> = out.messages.iter().filter(|message| message.topic == Topic::DeadLetter).collect();
    assert!(events(&out.messages).is_empty() && letters.len() == 1, "{letters:?}");
    assert_eq!(letters[0].headers, [("reason", "bad_timestamp".to_owned())]);
}

#[test]
fn what_makes_it_a_fault_is_told_among_very_many_members() {
    let mut text = MONITORS.to_owned();
    (0..60).for_each(|i| writeln!(text, "alert 15:01 firing Minor{i} service=web").expect("a text"));
    text += "alert 15:02 firing Down service=web severity=page\n";
    let events = events(&Case::parse("members", &text).run().messages);
    let incident = &events[0]["data"]["incident"];
    assert_eq!(incident["members_total"], 61);
    let names: Vec<&str> = incident["members"].as_array().into_iter().flatten().filter_map(|member| member["name"].as_str()).collect();
    assert_eq!((names.len(), names[0], names[49]), (50, "Minor0", "Down"));
}

/// What came before a record was cut off has been taken: only the rest of it is refused.
#[test]
fn a_record_that_is_cut_off_is_refused_in_part() {
    let sample = r#"{"labels":{"service":"web"},"name":"up","timestamp":"2026-11-22T15:01:00Z","value":1}"#;
    let text = format!("{MONITORS}raw 15:01 metrics {sample}{{\"labels\"\nraw 15:02 metrics {{\"labels\"\n");
    let out = Case::parse("cut-off", &text).run();
    let letters = out.messages.iter().filter(|message| message.topic == Topic::DeadLetter);
    let letters: Vec<serde_json::Value> = letters.map(|letter| serde_json::from_slice(&letter.payload).expect("a letter")).collect();
    let parts: Vec<_> = letters.iter().map(|letter| (letter["reason"].as_str().unwrap_or_default(), letter["part"] == true)).collect();
    assert_eq!(parts, [("not_json", true), ("not_json", false)]);

    let alert = json!({"status": "firing", "labels": {"service": "web", "severity": "page"}, "startsAt": "2026-11-22T15:01:00Z"});
    let command =
        json!({"id": "1", "author": "ann", "command": "declare", "level": "P1", "scenario": "Nobody can pay", "entity": "service=pay"});
    let alerts = json!({"version": "4", "alerts": [alert]});
    let text = format!("{MONITORS}raw 15:01 alerts {alerts}{{\"alerts\"\nraw 15:02 commands {command}{{\"id\"\n");
    let out = Case::parse("cut-off", &text).run();
    assert_eq!(events(&out.messages).len(), 2);
    assert_eq!(out.messages.iter().filter(|message| message.topic == Topic::DeadLetter).count(), 2);

    let text = format!("{MONITORS}raw 15:01 alerts truetrue{alerts}\n");
    assert!(events(&Case::parse("behind", &text).run().messages).is_empty(), "nothing behind what cannot be read is taken");
}

#[test]
fn what_flaps_for_days_is_another_incident_in_the_end() {
    let mut text = MONITORS.replace("every 1m", "every 10m");
    for i in 0..250 {
        let (days, hour, minute) = (i / 96, i % 96 / 4, i % 4 * 15);
        let at = |minute: u32| format!("2026-11-{:02}T{hour:02}:{minute:02}:00Z", 23 + days);
        for ended in [None, Some(minute + 2)] {
            let alert = json!({
                "status": if ended.is_some() { "resolved" } else { "firing" }, "startsAt": at(minute),
                "endsAt": ended.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), at),
                "labels": {"alertname": "Down", "service": "x", "severity": "page"}, "annotations": {},
            });
            let told = ended.unwrap_or(minute);
            writeln!(text, "raw +{}d{hour:02}:{told:02} alerts {}", days + 1, json!({"version": "4", "alerts": [alert]})).expect("a text");
        }
    }
    let events = events(&Case::parse("flapping", &text).run().messages);
    let of = |kind: &str| events.iter().filter(|event| event["type"] == format!("io.richter.incident.{kind}.v1")).count();
    assert_eq!((of("declared"), of("reopened")), (2, 248));
    let related = |event: &serde_json::Value| event["data"]["incident"]["related"][0]["why"] == "both are about service=x";
    assert!(related(events.last().expect("there are some")));
}

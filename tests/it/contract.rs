//! The contract: what is told is as the schemas say, and so is what is written.

use std::fs;
use std::path::Path;

use richter::contract::Data;
use richter::model::Timestamp;
use richter::report::Log;
use richter::rules::{Files, check, schemas};
use serde_json::{Value, json};

use super::case::{Case, events};
use super::program::richter;

fn schema(what: &str) -> jsonschema::Validator {
    let printed = richter(&["schema", what]);
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    jsonschema::validator_for(&serde_json::from_str(&printed.stdout).expect("JSON")).expect("a schema")
}

#[test]
fn every_event_of_every_case_is_as_the_schema_says() {
    let (event, acceptance, rejection) = (schema("event"), schema("acceptance"), schema("rejection"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let (mut told, mut accepted, mut rejected) = (0, 0, 0);
    for path in fs::read_dir(folder).expect("the cases").map(|e| e.expect("a case").path()) {
        let case = Case::parse("case", &fs::read_to_string(&path).expect("readable"));
        for data in events(&case.run().messages).iter().map(|event| &event["data"]) {
            let (schema, count) = match () {
                () if data["incident"].is_object() => (&event, &mut told),
                () if data["outcome"].is_string() => (&acceptance, &mut accepted),
                () => (&rejection, &mut rejected),
            };
            let faults: Vec<String> = schema.iter_errors(data).map(|fault| format!("{}: {fault}", fault.instance_path)).collect();
            assert!(faults.is_empty(), "{}: {faults:#?}", path.display());
            *count += 1;
        }
    }
    assert!(told > 100 && accepted > 5 && rejected > 5, "{told} events, {accepted} acceptances, {rejected} rejections");
    assert!(!event.is_valid(&json!({"event": {}, "incident": {}})), "a schema that takes anything is none");
}

/// The first event of a kind about orders that are these, minute by minute.
fn told_of(rows: &str, kind: &str) -> Value {
    let monitor = "{ name: orders, scenario: No orders, entity: \"service={{ service }}\", query: sum by (service) (orders), every: 1m, \
                   judge: { static: { below: 80 } }, fault: { sequence: P, ladder: [ { level: 2, value: \"< 30\" }, { level: 3 } ] } }";
    let rows = format!("metric orders{{service=\"shop\"}} {rows}\nmetric noise{{service=\"clock\"}} 1x30\n");
    let text = format!("== monitors\nmonitors: [ {monitor} ]\n== records 2026-11-22T15:00:00Z every 1m\n{rows}");
    let told = events(&Case::parse("orders", &text).run().messages);
    told.into_iter().find(|event| event["data"]["event"]["type"] == kind).expect("such an event")["data"]["incident"].clone()
}

/// Of a trouble that came back, what is told of now is how it is now; the worst is that of all its episodes.
#[test]
fn a_relapse_is_told_of_as_it_is() {
    let incident = told_of("100x5 20x5 100x10 50x5", "reopened");
    assert_eq!(incident["title"], "P2 No orders (shop): 50, below 80");
    assert_eq!((&incident["measure"]["last"]["value"], &incident["measure"]["worst"]["value"]), (&json!(50.0), &json!(20.0)));
}

#[test]
fn a_number_that_is_not_told_any_more_is_the_last_one_known() {
    assert_eq!(told_of("100x5 20x5 _x20", "stale")["title"], "P2 No orders (shop): last known 20, below 80");
}

#[test]
fn an_event_that_cannot_be_read_is_not_taken_for_one_about_no_incident() {
    let of = |kind: &str, data: Value| Data::of(json!({"type": kind, "data": data}).to_string().as_bytes()).map(|data| data.is_some());
    assert!(of("io.richter.incident.declared.v1", json!({"event": {}})).is_err());
    assert!(Data::of(b"{").is_err());
    assert_eq!(of("io.richter.command.rejected.v1", json!({"reason": "no"})).ok(), Some(false));
}

const DOWN: &str = "== monitors\nmonitors:\n  - { name: down, scenario: Down, entity: \"service={{ service }}\", alerts: Down, \
                    fault: { sequence: P, ladder: [ { level: 2 } ] } }\n== topology\nentities:\n  - { name: service=db }\n  \
                    - { name: service=login, depends_on: [ service=db ] }\n== records 2026-11-22T15:00:00Z every 1m\n\
                    metric noise{service=\"clock\"} 1x1600\n";

/// The last event of an incident's kind in a story.
fn last_of(rows: &str, kind: &str) -> Value {
    let told = events(&Case::parse("down", &format!("{DOWN}{rows}")).run().messages);
    told.into_iter().rfind(|event| event["data"]["event"]["type"] == kind).expect("such an event")["data"]["incident"].clone()
}

#[test]
fn what_was_no_fault_has_not_recovered() {
    let rows = "alert 15:05 firing Down service=login\nalert 15:08 resolved@15:05 Down service=login\nsay 15:20 ann cancel incident=@1\n";
    let recovered = last_of(rows, "recovered");
    assert_eq!(recovered["recovered_at"], "2026-11-22T15:08:00.000Z");
    for kind in ["cancelled", "closed"] {
        let told = last_of(rows, kind);
        let over = [&told["recovered_at"], &told["review"], &told["timeline"]["recovered"]];
        assert_eq!(over, [&Value::Null; 3], "{kind}");
    }
}

/// What goes on is made part of a fault of hours ago, of whose beginning nothing is kept but when that was.
#[test]
fn a_fault_does_not_begin_after_it_was_declared() {
    let rows = "alert 10:05 firing Down service=db\nalert 10:09 resolved@10:05 Down service=db\nalert 12:10 firing Down service=login\n\
                say 12:20 ann merge incident=@2 into=@1\nalert 12:30 resolved@12:10 Down service=login\n";
    let text = format!("{}{rows}", DOWN.replace("15:00:00Z", "10:00:00Z"));
    let told = events(&Case::parse("merged", &text).run().messages);
    let whole = told.iter().rfind(|event| event["data"]["event"]["type"] == "recovered").expect("it recovers")["data"]["incident"].clone();
    assert_eq!((&whole["started_at"], &whole["durations"]["recover"]), (&json!("2026-11-22T10:05:00.000Z"), &json!(8700)));
}

/// What else failed has ended after the recovery, when nothing was told: the note of the next day knows it.
#[test]
fn what_else_failed_does_not_fail_for_ever() {
    let rows = "alert 15:05 firing Slow service=db\nalert 15:05:10 firing Down service=login\nalert 15:30 resolved@15:05:10 Down service=login\n\
                alert 15:50 resolved@15:05 Slow service=db\nsay +1d10:00 ann note incident=@1 comment=later\n";
    let recovered = last_of(rows, "recovered");
    assert_eq!((&recovered["others"], &recovered["others_last"]), (&json!(["service=db"]), &json!(true)));
    let later = last_of(rows, "updated");
    assert_eq!((&later["others"], &later["others_last"]), (&json!(["service=db"]), &json!(false)));
}

/// JSON is YAML: what the schema takes the check takes, and what one refuses the other does.
#[test]
fn what_sres_write_is_as_the_schema_says() {
    let good = json!({"monitors": [{
        "name": "orders", "scenario": "Customers cannot order", "importance": "sub-core", "entity": "service={{ service }}",
        "query": "sum by (service) (orders)", "every": "1m",
        "judge": {"baseline": {"season": "day", "direction": "down"}, "for": "2m"},
        "impact": {"per": "1m", "money": {"per_lost_unit": 2.5, "currency": "EUR"}},
        "fault": [{"sequence": "P", "ladder": [{"level": 2, "drop": "30%", "for": "5m"}, {"level": 3, "money": 100.0}]}],
    }]});
    let both = |file: &Value| {
        let (_, schema) = schemas().into_iter().find(|(name, _)| *name == "monitors").expect("there is one");
        let valid = jsonschema::validator_for(schema.as_value()).expect("a schema").is_valid(file);
        let (_, faults) = check(&Files { monitors: vec![("m".into(), file.to_string())], ..Files::default() });
        (valid, faults.is_empty())
    };
    assert_eq!(both(&good), (true, true));
    for (pointer, value) in [
        ("/monitors/0/every", json!([])),
        ("/monitors/0/every", json!("soon")),
        ("/monitors/0/every", json!("")),
        ("/monitors/0/fault/0/ladder/0/drop", json!("30")),
        ("/monitors/0/judge/for", json!(true)),
        ("/monitors/0/fault/0/ladder/0/level", json!("two")),
    ] {
        let mut wrong = good.clone();
        *wrong.pointer_mut(pointer).expect("it is there") = value;
        assert_eq!(both(&wrong), (false, false), "{pointer}");
    }
    let mut unknown = good.clone();
    unknown["monitors"][0]["colour"] = json!("red");
    assert_eq!(both(&unknown), (false, false));
}

#[test]
fn what_was_said_of_a_part_is_said_of_the_whole() {
    let events = events(&super::kafka::case("story_merge_keeps_what_was_said").run().messages);
    let whole = events.iter().rfind(|event| event["type"] == "io.richter.incident.recovered.v1").expect("it recovers");
    let whole = &whole["data"]["incident"];
    let said = ["/cause/cause", "/actions/0/owner", "/acknowledged/by", "/timeline/responded/by"].map(|path| whole.pointer(path).cloned());
    let expected = ["the certificate expired", "bob", "ann", "ann"].map(|text| Some(Value::from(text)));
    assert_eq!((said, whole["impact"]["numbers"]["complaints"].as_f64()), (expected, Some(5000.0)));
}

#[test]
fn what_is_to_be_done_is_reported_however_long_ago_its_fault_was() {
    let mut log = Log::default();
    for message in super::kafka::case("story_merge_keeps_what_was_said").run().messages {
        Data::of(&message.payload).ok().flatten().into_iter().for_each(|data| log.read(data));
    }
    let at = |text: &str| Timestamp::parse(text).expect("a time");
    let december = log.report(at("2026-12-05T00:00:00Z"), at("2026-12-10T00:00:00Z"));
    assert_eq!((december.incidents, december.merged), (0, 0));
    assert_eq!((december.overdue_actions.len(), december.overdue_reviews.len()), (1, 1));
    let november = log.report(at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z"));
    assert_eq!((november.incidents, november.merged), (1, 1));
}

/// What the events of that type tell of their incidents.
fn told(case: &str, kind: &str) -> Vec<Value> {
    let events = events(&super::kafka::case(case).run().messages);
    let kind = format!("io.richter.incident.{kind}.v1");
    events.iter().filter(|event| event["type"] == kind.as_str()).map(|event| event["data"]["incident"].clone()).collect()
}

#[test]
fn what_customers_found_first_was_found_by_a_person() {
    let found = told("story_found_by_customers", "recovered");
    let found: Vec<_> = found.iter().map(|incident| (&incident["discovery"]["by"], &incident["discovery"]["name"])).collect();
    assert_eq!(found, [(&json!("person"), &json!("olga")), (&json!("person"), &json!("ann"))]);
}

#[test]
fn the_worst_is_told_also_where_any_value_is_beyond_all_scores() {
    let worst = told("story_worst_above_zero", "recovered").pop().expect("it recovers");
    assert_eq!(worst["measure"]["worst"]["value"], json!(8000.0));
    assert!(worst["title"].as_str().is_some_and(|title| title.contains("at worst 8000, above ")), "{}", worst["title"]);
}

#[test]
fn what_is_over_is_over_since_a_person_says_so() {
    let review = told("story_review_of_a_worse_level", "review_overdue").pop().expect("it is late");
    assert_eq!((&review["recovered_at"], &review["lasted_seconds"]), (&json!("2026-10-20T14:20:00.000Z"), &json!(1200)));
    assert_eq!(review["durations"]["recover"], json!(1200));
}

#[test]
fn what_was_changed_since_is_told_and_suspected_of_nothing() {
    let text = "== monitors\nmonitors:\n- { name: down, scenario: The shop is down, entity: \"service={{ service }}\", alerts: Down, \
                fault: { sequence: P, ladder: [ { level: 1, for: 20m }, { level: 2 } ] } }\n== records 2026-11-22T15:00:00Z every 1m\n\
                metric noise{service=\"clock\"} 1x60\nalert 15:05 firing Down service=shop\nchange 15:15 shop v8\nchange 15:16 mail v2\n";
    let events = events(&super::case::Case::parse("since", text).run().messages);
    let worse = events.iter().find(|event| event["type"] == "io.richter.incident.escalated.v1").expect("it gets worse");
    let incident = &worse["data"]["incident"];
    let since = incident["changes_since"].as_array().expect("a list");
    let since: Vec<_> = since.iter().map(|change| (&change["id"], &change["after_first_sign_seconds"])).collect();
    assert_eq!(since, [(&json!("shop-v8"), &json!(600))]);
    assert_eq!((&incident["changes"], &incident["suspects"][0]["change"]), (&json!([]), &Value::Null));
}

#[test]
fn the_words_of_an_alert_stay_when_a_monitor_of_the_same_leads() {
    let worse = told("story_words_of_what_leads", "escalated").pop().expect("it gets worse");
    assert_eq!(worse["says"], "psp returns 502\nrunbook: https://wiki/pay");
}

/// Ten minutes were well between the two parts of it.
#[test]
fn a_relapse_lasts_for_as_long_as_it_was_bad() {
    let text = "== monitors
monitors: [ { name: down, scenario: Down, entity: \"service={{ service }}\", alerts: '{alertname=\"Down\"}', fault: { sequence: P, ladder: [ { level: 2 } ] } } ]
== records 2026-11-22T15:00:00Z every 1m
metric clock{} 1x60
alert 15:05 firing Down service=web
alert 15:10 resolved@15:05 Down service=web
alert 15:20 firing Down service=web
alert 15:30 resolved@15:20 Down service=web
";
    let events = events(&Case::parse("relapse", text).run().messages);
    let told = |event: &serde_json::Value| (event["data"]["event"]["type"].clone(), event["data"]["incident"]["lasted_seconds"].clone());
    assert!(events.iter().map(told).any(|told| told == (json!("reopened"), json!(300))), "{events:?}");
    assert_eq!(events.last().map(told), Some((json!("recovered"), json!(900))));
}

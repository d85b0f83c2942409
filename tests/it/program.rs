//! The program from the outside: what it prints, and how it ends.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use serde_json::Value;

use richter::model::Timestamp;

use super::broker::scratch;

pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn richter(arguments: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_richter")).args(arguments).stdin(Stdio::null()).output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

fn shipped(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_shipped_configuration_is_fine() {
    let checked = richter(&["check", "--config", &shipped("config/richter.yaml")]);
    assert_eq!((checked.code, checked.stdout.as_str()), (Some(0), ""), "{}", checked.stderr);
    assert_eq!(checked.stderr, "fine: 4 monitors, 4 sources\n");
}

/// What the shipped settings say is default is the default.
#[test]
fn the_shipped_settings_are_the_defaults() {
    let text = std::fs::read_to_string(shipped("config/richter.yaml")).expect("readable");
    let (written, _, faults) = richter::rules::settings("f", &text, &Default::default());
    assert_eq!(faults, []);
    let sources = text.lines().skip_while(|l| !l.starts_with("sources:")).take(5).collect::<Vec<_>>().join("\n");
    let (default, _, _) = richter::rules::settings("f", &sources, &Default::default());
    assert_eq!(written, default);
}

#[test]
fn the_demo_tells_a_whole_fault_as_cloudevents() {
    let demo = richter(&["demo", "--format", "json"]);
    assert_eq!(demo.code, Some(0), "{}", demo.stderr);
    let events: Vec<Value> = demo.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut kinds = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for event in &events {
        assert_eq!(event["specversion"], "1.0");
        for attribute in ["id", "source", "type", "subject", "time", "datacontenttype", "partitionkey", "sequence"] {
            assert!(event[attribute].as_str().is_some_and(|text| !text.is_empty()), "{attribute} of {event}");
        }
        assert!(event.as_object().expect("an object").keys().all(|key| key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())));
        assert!(ids.insert(event["id"].to_string()), "an id came twice");
        kinds.insert(event["data"]["event"]["type"].as_str().expect("a type").to_owned());
    }
    for kind in ["suspected", "declared", "escalated", "acknowledged", "follow_up_due", "handed_over", "recovered", "reviewed"] {
        assert!(kinds.contains(kind), "{kind} is missing in {kinds:?}");
    }
    let declared: Vec<&Value> = events.iter().filter(|event| event["data"]["event"]["type"] == "declared").collect();
    let suspects: Vec<&Value> = declared.iter().map(|event| &event["data"]["incident"]["suspects"][0]["entity"]).collect();
    assert_eq!(suspects, ["service=checkout", "service=payments-db"], "a decline over night, and a fault with a cause");
    let text = richter(&["demo"]);
    assert!(text.stdout.contains("══ DECLARED ══") && text.stdout.contains("changed by deploy-payments-db-4.2.0"), "{}", text.stdout);
}

/// Whether all that one tells is in the other: the named fields of an object, and each of a list somewhere in the other.
fn tells_all(abridged: &Value, whole: &Value) -> Result<(), String> {
    match (abridged, whole) {
        (Value::Object(some), Value::Object(all)) => {
            some.iter().try_for_each(|(name, value)| tells_all(value, all.get(name).ok_or_else(|| format!("no {name}"))?))
        }
        (Value::Array(some), Value::Array(all)) => some.iter().try_for_each(|one| match all.as_slice() {
            [only] => tells_all(one, only),
            all => all.iter().any(|other| tells_all(one, other).is_ok()).then_some(()).ok_or_else(|| format!("{one} in none")),
        }),
        (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => Ok(()),
        (one, other) if one == other => Ok(()),
        (one, other) => Err(format!("{one} is {other}")),
    }
}

#[test]
fn the_readme_shows_an_event_of_the_demo() {
    let readme = std::fs::read_to_string(shipped("README.md")).expect("readable");
    let (_, shown) = readme.split_once("```json\n").expect("an example");
    let shown: Value = serde_json::from_str(shown.split("```").next().unwrap_or_default()).expect("JSON");
    let demo = richter(&["demo", "--format", "json"]);
    let mut events = demo.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let event = events.find(|event| event["id"] == shown["id"]).expect("the event of that id");
    assert_eq!(tells_all(&shown, &event), Ok(()));
}

/// Events of the demo, or of a history, in a file.
fn written(folder: &str, arguments: &[&str]) -> String {
    let told = richter(arguments);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    let file = scratch(folder).join("events.jsonl");
    std::fs::write(&file, told.stdout).expect("written");
    file.to_string_lossy().into_owned()
}

#[test]
fn a_dossier_has_all_that_a_review_needs() {
    let events = written("dossier", &["demo", "--format", "json"]);
    let markdown = richter(&["dossier", "--events", &events]);
    let parts = [
        "| responded | 2013-12-16 16:48 | ann |",
        "- time to locate: 57 min",
        "affected_users 41000",
        "made a pool of 20 connections instead of 200 (class: change; said by dan)",
        "| deploy-payments-db-4.2.0 | service=payments-db |",
        "| alert on the pool before it is exhausted | dan | 2013-12-31 11:00 |",
        "| 2013-12-16 18:00 | handed over | P1 | richter | on duty: ann, dan, olga → sue, dan, olga |",
    ];
    assert!(parts.iter().all(|part| markdown.stdout.contains(part)), "{}", markdown.stdout);
    let html = richter(&["dossier", "--events", &events, "--format", "html"]).stdout;
    assert!(html.starts_with("<!doctype html>") && html.contains("<svg") && html.contains("&gt;= 80%"), "{html}");
    let missing = richter(&["dossier", "20200101-nothing", "--events", &events]);
    assert!(missing.code == Some(2) && missing.stderr.contains("no incident 20200101-nothing among the events"), "{}", missing.stderr);
}

#[test]
fn a_report_finds_the_weak_points_that_were_put_into_a_history() {
    let events = written("report", &["demo", "--history", "200", "--seed", "3"]);
    let report = richter(&["report", "--events", &events, "--format", "json"]);
    let report: Value = serde_json::from_str(&report.stdout).expect("JSON");
    let weak = |business: &str| report["weaknesses"].as_array().expect("a list").iter().find(|weak| weak["business"] == business).cloned();
    assert_eq!(weak("delivery").expect("weak")["stage"], "acknowledge", "nobody there watches");
    assert_eq!(weak("search").expect("weak")["stage"], "locate", "it is hard to see through");
    assert_eq!(report["noisy"][0]["name"], "SearchSlow", "a third of it is none");
    let (incidents, weeks) = (report["incidents"].as_u64().expect("a number"), report["weeks"].as_object().expect("weeks"));
    assert_eq!(weeks.values().filter_map(|week| week["incidents"].as_u64()).sum::<u64>(), incidents);
    assert_eq!(report["by_level"].as_object().expect("levels").values().filter_map(Value::as_u64).sum::<u64>(), incidents);
    let severe = weeks.values().filter_map(|week| week["severe"].as_u64()).sum::<u64>();
    assert_eq!(report["severe"].as_array().map(Vec::len), usize::try_from(severe).ok());
    let kept = |what: &str| (report[what]["done"].as_u64().unwrap_or(0), report[what]["in_time"].as_u64().unwrap_or(0));
    let ((reviews, reviews_in_time), (actions, actions_in_time)) = (kept("reviews"), kept("actions"));
    assert!(reviews > reviews_in_time && reviews_in_time > 0 && actions >= actions_in_time && actions > 0, "{reviews} {actions}");
    assert!(report["by_monitoring"].as_f64() < Some(1.0), "people noticed some of it");
    assert!(report["overdue_reviews"].as_array().is_some_and(|late| !late.is_empty()));
    let none = richter(&["report", "--events", &events, "--from", "2030-01-01", "--to", "2030-02-01", "--format", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&none.stdout).expect("JSON")["incidents"], 0);
    let again = richter(&["demo", "--history", "200", "--seed", "3"]);
    assert_eq!(again.stdout, std::fs::read_to_string(&events).expect("readable"), "one seed, one history");
}

#[test]
fn a_command_is_checked_before_it_is_sent() {
    let printed = richter(&["act", "set_level", "20261126-abcdefgh", "--level", "P2", "--author", "ann", "--id", "c1", "--print"]);
    let command: Value = serde_json::from_str(&printed.stdout).expect("JSON");
    let told = ["id", "author", "command", "incident", "level"].map(|key| command[key].as_str().unwrap_or_default());
    assert_eq!(told, ["c1", "ann", "set_level", "20261126-abcdefgh", "P2"]);
    let wrong = richter(&["act", "set_level", "20261126-abcdefgh", "--author", "ann", "--print"]);
    assert!(wrong.code == Some(2) && wrong.stderr.contains("set_level without `level`"), "{}", wrong.stderr);
    let silence =
        |until: &str, alerts: &str| richter(&["act", "silence", "--alerts", alerts, "--until", until, "--author", "ann", "--print"]);
    let command: Value = serde_json::from_str(&silence("2h", "{service=\"web\"}").stdout).expect("JSON");
    let time = |key: &str| Timestamp::parse(command[key].as_str().unwrap_or_default()).expect("a time").0;
    assert_eq!(time("until") - time("at"), 7_200_000, "{command}");
    let wrong = silence("2h", "service=\"web\"");
    assert!(wrong.code == Some(2) && wrong.stderr.contains("write one like {alertname="), "{}", wrong.stderr);
    let unknown = richter(&["act", "dance", "--author", "ann", "--print"]);
    assert!(unknown.code == Some(2) && unknown.stderr.contains("acknowledge"), "{}", unknown.stderr);
}

#[test]
fn what_should_be_looked_at_in_definitions_is_noted() {
    let folder = scratch("notes");
    let monitors = r#"
monitors:
  - name: orders
    scenario: Customers cannot order
    entity: service=shop
    query: sum(orders)
    judge: { compare: { with: 1d, drop: 10% } }
    impact: { per: 1m }
    fault: { sequence: P, ladder: [ { level: 1, affected_users: 1000 }, { level: 2, lost: 500, for: 10m }, { level: 3, drop: 20% } ] }
    importance: non-core
  - { name: rows, entity: table=orders, query: rows, every: 1d, judge: { baseline: { season: week } } }
"#;
    let levels = r#"
generic: [ { sequence: P, ladder: [ { level: 1, complaints: 9 }, { level: 2, drop: 50% }, { level: 4, for: 1h } ] } ]
scenarios: [ { name: Nobody can log in, fault: { sequence: P, ladder: [ { level: 1 } ] } } ]
"#;
    let settings = "sources: [ { topic: m, kind: metrics } ]\nrule_files: [ m.yaml ]\nlevel_files: [ l.yaml ]\n";
    for (file, text) in [("m.yaml", monitors), ("l.yaml", levels), ("richter.yaml", settings)] {
        std::fs::write(folder.join(file), text).expect("written");
    }
    let checked = richter(&["check", "--config", &folder.to_string_lossy()]);
    let notes = [
        "m.yaml:3:11: at drop >= 50% its own definition says P3, the generic one P2: that one will be effective",
        "m.yaml:3:11: at breach for 1h its own definition says no level, the generic one P4: that one will be effective",
        "m.yaml:3:11: its `importance` changes nothing: it lowers the `business` template only, and this has levels of its own",
        "l.yaml:2:37: P1 at `complaints >= 9`: no monitor measures `complaints`, only people can say it",
        "m.yaml:3:11: P1 at `affected_users >= 1000`: `affected_users` is measured by nobody here, only people can say it",
        "m.yaml:9:73: `lost` grows as the fault lasts; `for 10m` counts the same time twice",
        "m.yaml:11:13: a baseline gives no verdict before 181 evaluations: at `every: 1d` that is after 181d",
        "l.yaml:3:22: \"Nobody can log in\" can be a fault of level 1 or 2, and no monitor measures it",
    ];
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(notes.iter().all(|note| checked.stderr.contains(note)), "{}", checked.stderr);
}

#[test]
fn replay_is_deterministic_and_writes_its_decisions() {
    let folder = scratch("replay");
    let trace = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let run = |name: &str| {
        let arguments = ["replay", "--config", &shipped("config"), "--trace", &trace(name), &shipped("demo/staged.jsonl")];
        let ended = richter(&arguments);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        (ended.stdout, std::fs::read_to_string(trace(name)).expect("a trace"))
    };
    let (first, second) = (run("a"), run("b"));
    assert_eq!(first, second);
    let lines: Vec<Value> = first.1.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let members = lines.iter().filter(|line| line["kind"] == "member");
    assert_eq!(members.count(), 4, "each alert episode is placed once: {}", first.1);
    assert!(lines.iter().any(|line| line["kind"] == "cause" && line["ranking"][0]["entity"] == "service=payments-db"));
}

#[test]
fn what_was_over_before_somebody_listened_is_replayed_as_history() {
    let config = shipped("config");
    let declared = |since: &[&str]| {
        let folder = scratch("replay-since");
        let recording = folder.join("r.jsonl");
        let alert = |at: i64, status: &str| {
            let alert = serde_json::json!({
                "status": status, "startsAt": "2026-11-20T10:00:00Z", "endsAt": "2026-11-20T10:30:00Z",
                "labels": { "alertname": "CheckoutDown", "service": "checkout" },
            });
            let payload = serde_json::json!({ "version": "4", "alerts": [alert] }).to_string();
            serde_json::json!({ "topic": "alerts", "ts": at, "payload": payload }).to_string() + "\n"
        };
        let start = 1_795_168_800_000;
        let records = alert(start, "firing") + &alert(start + 1_800_000, "resolved") + &alert(start + 90_000_000, "resolved");
        std::fs::write(&recording, records).expect("written");
        let ended = richter(&[&["replay", "--config", &config], since, &[&recording.to_string_lossy()]].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout.contains("io.richter.incident.declared.v1")
    };
    assert!(declared(&[]));
    assert!(declared(&["--since", "2026-11-20"]));
    assert!(declared(&["--since", "2026-11-20T10:20:00Z"]), "it lasts by then");
    assert!(!declared(&["--since", "2026-11-21"]));
}

#[test]
fn what_cannot_run_says_so_and_ends_with_two() {
    let missing = richter(&["check", "--config", "no/such/file.yaml"]);
    assert_eq!(missing.code, Some(2));
    assert!(missing.stderr.contains("cannot read no/such/file.yaml"), "{}", missing.stderr);
    let folder = scratch("bad-recording");
    let recording = folder.join("r.jsonl");
    std::fs::write(&recording, "{\"topic\":\"alerts\",\"ts\":1}\nnot a record\n").expect("written");
    let bad = richter(&["replay", "--config", &shipped("config"), &recording.to_string_lossy()]);
    assert_eq!(bad.code, Some(2));
    assert!(bad.stderr.contains("r.jsonl:"), "{}", bad.stderr);
    assert_eq!(richter(&["no-such-command"]).code, Some(2));
}

#[test]
fn a_query_is_evaluated_on_a_recording() {
    let samples = shipped("tests/samples/metrics/victoriametrics_jsonline.jsonl");
    let folder = scratch("eval");
    let recording = folder.join("r.jsonl");
    let lines = std::fs::read_to_string(samples).expect("a sample");
    let records =
        lines.lines().map(|line| serde_json::json!({"topic": "metrics", "ts": 1_795_359_600_000_i64, "payload": line}).to_string() + "\n");
    std::fs::write(&recording, records.collect::<String>()).expect("written");
    let file = recording.to_string_lossy();
    let span = ["--start", "2026-11-22T15:00:00Z", "--end", "2026-11-22T15:01:00Z", "--step", "1m"];
    let evaluated = richter(&[&["eval", "sum by (job) (increase(http_requests_total[1m]))", &file][..], &span].concat());
    let expected = "{\"labels\":{\"job\":\"checkout\"},\"timestamp\":1795359600.0,\"value\":16.5}\n";
    assert_eq!((evaluated.stdout.as_str(), evaluated.code), (expected, Some(0)), "{}", evaluated.stderr);
    let refused = richter(&[&["eval", "sort(up)", &file][..], &span].concat());
    assert_eq!((refused.stdout.as_str(), refused.code), ("", Some(1)), "{}", refused.stderr);
    assert!(refused.stderr.contains("sort(up)\n^ `sort` is not supported"), "{}", refused.stderr);
}

#[test]
fn a_query_that_needs_one_place_is_told_of() {
    let folder = scratch("one-place");
    let monitor = "monitors: [ { name: all, entity: service=all, query: 'sum(up)', judge: { static: { below: 1 } } } ]\n";
    std::fs::write(folder.join("m.yaml"), monitor).expect("written");
    let settings = "sources: [ { topic: m, kind: metrics } ]\nrule_files: [ m.yaml ]\n";
    std::fs::write(folder.join("richter.yaml"), settings).expect("written");
    let checked = richter(&["check", "--config", &folder.to_string_lossy()]);
    let expected = "fine: 1 monitor, 1 source\nnote: all: its query needs all series in one place";
    assert!(checked.code == Some(0) && checked.stderr.starts_with(expected), "{}", checked.stderr);
}

#[test]
fn what_can_never_be_declared_is_noted() {
    let folder = scratch("never");
    let monitors = "monitors:\n\
        \x20 - { name: nowhere, scenario: Checkout dwn, entity: a=b, query: sum by (x) (up), judge: { static: { below: 1 } } }\n\
        \x20 - { name: other, scenario: Checkout, entity: a=b, query: sum by (x) (up), judge: { static: { above: 5 } },\n\
        \x20     fault: { sequence: P, ladder: [ { level: 1, value: \"< 2\" }, { level: 2, value: \"> 7\" } ] } }\n\
        \x20 - { name: alert, entity: a=b, alerts: Down }\n\
        \x20 - { name: alike, scenario: checkout  DOWN!, entity: a=b, alerts: Out, fault: { sequence: P, ladder: [ { level: 3 } ] } }\n\
        \x20 - { name: worse, scenario: Checkout down, entity: a=b, query: sum by (x) (up), judge: { static: { above: 5 } },\n\
        \x20     fault: { sequence: P, ladder: [ { level: 3, value: \"< 9\" }, { level: 4 } ] } }\n\
        \x20 - { name: whole, scenario: Checkout down, entity: a=b, query: sum by (x) (up), judge: { static: { above: 5 } }, global: true,\n\
        \x20     fault: { sequence: P, ladder: [ { level: 3 } ] } }\n";
    let duty = "teams: [ { name: ops, shifts: [ { name: day, people: [ ann ], from: \"08:00\", to: \"20:00\" } ] } ]\n\
        emergency: [ { gather: [ ops ] } ]\n";
    let files = [
        ("m.yaml", monitors),
        ("d.yaml", duty),
        ("l.yaml", "scenarios: [ { name: Checkout down, fault: { sequence: P, ladder: [ { level: 3 } ] } } ]\n"),
        ("s.yaml", "maintenance: [ { name: n, entity: \"a=*\", weekly: { days: [ mon ], from: 01:00, to: 02:00 } } ]\n"),
        (
            "richter.yaml",
            "sources: [ { topic: m, kind: metrics } ]\nrule_files: [ m.yaml ]\nlevel_files: [ l.yaml ]\nsuppress_files: [ s.yaml ]\n\
             duty_files: [ d.yaml ]\nnotify: [ { name: t, kind: webhook, url: \"https://x/\",\n\
             \x20 routes: [ { sequences: [ P ], levels: [ 1, 2, 3 ], business: [ shopp ] }, { sequences: [ D, R, S ] } ] } ]\n",
        ),
    ];
    files.iter().for_each(|(name, text)| std::fs::write(folder.join(name), text).expect("written"));
    let checked = richter(&["check", "--config", &folder.to_string_lossy()]);
    let told = [
        "m.yaml:2:13: nothing of it is ever declared: there is no level that it can meet; give it a `fault`; the level files have no \
         scenario \"Checkout dwn\", they have Checkout down",
        "m.yaml:3:13: P1 at `value < 2` is never met: that is no breach, as its judges look the other way",
        "m.yaml:6:13: the level files have no scenario \"checkout  DOWN!\"; is \"Checkout down\" meant?",
        "m.yaml:7:13: P3 at `value < 9` is met no more once it is worse, as its judges look the other way",
        "changes nothing: with `global` it is always P1",
        "d.yaml:2:14: nobody whom it gathers is on duty for 3d12h of a week, first on Mon 2026-01-05 00:00 UTC",
        "richter.yaml:6:19: a route of it is for \"shopp\", and no monitor is of that business",
        "richter.yaml:6:19: no target is told of declarations of P4",
        "s.yaml:1:35: a=* is the name of one entity",
        "note: there is no source of alerts",
    ];
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
    assert!(told.iter().all(|note| checked.stderr.contains(note)) && !checked.stderr.contains("P2 at"), "{}", checked.stderr);
}

#[test]
fn a_series_is_tried_on_a_monitors_judges() {
    let folder = scratch("backtest");
    let (series, plot) = (shipped("demo/nab/machine_temperature_system_failure.csv"), folder.join("plot.svg"));
    let arguments = ["backtest", &series, "--plot", &plot.to_string_lossy(), "--start", "2013-12-15 12:00:00"];
    let ended = richter(&arguments);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let points: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(points.iter().all(|point| point["expected"].is_number() && point["score"].is_number()), "all is learnt by then");
    let open: Vec<&Value> = points.iter().filter(|point| point["breach"] == "baseline").collect();
    assert!(open.iter().any(|point| point["value"].as_f64() < point["lower"].as_f64()), "the decline is found");
    assert!(ended.stderr.contains(" a month") && ended.stderr.contains("one evaluation in 1000 allowed to be false"), "{}", ended.stderr);
    let drawn = std::fs::read_to_string(plot).expect("drawn");
    assert!(drawn.starts_with("<svg") && drawn.contains("polyline"), "{}", &drawn[..200]);
    let monitor = [
        "backtest",
        &series,
        "--monitor",
        &shipped("config/monitors/shop.yaml"),
        "--name",
        "database-cpu",
        "--duty",
        &shipped("config/duty.yaml"),
    ];
    let ended = richter(&monitor);
    assert!(ended.stdout.lines().any(|line| line.contains("\"breach\":\"static\"")), "{}", ended.stderr);
    let (of_x, levels) = (folder.join("x.yaml"), folder.join("levels.yaml"));
    let text = "monitors: [ { name: m, scenario: S, entity: a=b, query: m, judge: { static: { below: 20 } }, fault: { sequence: X, ladder: [ { level: 1 } ] } } ]";
    std::fs::write(&of_x, text).expect("written");
    std::fs::write(&levels, "sequences: [ { name: P }, { name: X } ]").expect("written");
    let (of_x, levels) = (of_x.to_string_lossy(), levels.to_string_lossy());
    assert_eq!(richter(&["backtest", &series, "--monitor", &of_x]).code, Some(1), "there is no such sequence");
    let ended = richter(&["backtest", &series, "--monitor", &of_x, "--levels", &levels]);
    assert!(ended.stdout.lines().any(|line| line.contains("\"breach\":\"static\"")), "{}", ended.stderr);
    let daily = folder.join("daily.csv");
    std::fs::write(&daily, (0..400).map(|day| format!("{},{}\n", 86_400 * day, day % 7)).collect::<String>()).expect("written");
    assert_eq!(richter(&["backtest", &daily.to_string_lossy()]).code, Some(0), "a day of one value has no season");
    let wrong = richter(&["backtest", &shipped("demo/README.md")]);
    assert!(wrong.code == Some(2) && wrong.stderr.contains("line 1"), "{}", wrong.stderr);
}

#[test]
fn silences_are_listed_until_they_end_or_are_ended() {
    let folder = scratch("silences");
    std::fs::write(folder.join("richter.yaml"), "sources: [ { topic: commands, kind: commands } ]\n").expect("written");
    let commands = [
        (
            0,
            r#"{"id":"s1","author":"ann","command":"silence","alerts":"{service=\"search\"}","until":"2026-11-22T18:00:00Z","comment":"reindexing"}"#,
        ),
        (1, r#"{"id":"s2","author":"bob","command":"silence","alerts":"DiskFull","until":"2026-11-22T16:00:00Z"}"#),
        (2, r#"{"id":"s3","author":"bob","command":"silence","alerts":"Down","until":"2026-11-22T20:00:00Z"}"#),
        (3, r#"{"id":"u3","author":"ann","command":"unsilence","silence":"s3"}"#),
    ];
    let start = Timestamp::parse("2026-11-22T15:00:00Z").expect("a time").0;
    let record = |(minute, payload): (i64, &str)| {
        let ts = start + 60_000 * minute;
        serde_json::json!({"topic": "commands", "partition": 0, "offset": minute, "ts": ts, "key": null, "payload": payload}).to_string()
    };
    std::fs::write(folder.join("commands.jsonl"), commands.map(record).join("\n")).expect("written");
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let replayed = richter(&["replay", "--config", &path(""), &path("commands.jsonl")]);
    std::fs::write(folder.join("events.jsonl"), &replayed.stdout).expect("written");
    let listed = |at: &str| richter(&["silences", "--events", &path("events.jsonl"), "--at", at]).stdout;
    let first = "s1  until 2026-11-22 18:00 UTC  {service=\"search\"}  by ann: reindexing\n";
    let second = "s2  until 2026-11-22 16:00 UTC  DiskFull  by bob\n";
    assert_eq!(listed("2026-11-22T15:04:00Z"), format!("{second}{first}"), "the third was ended a minute after it began");
    assert_eq!(listed("2026-11-22T17:00:00Z"), first);
    assert_eq!(listed("2026-11-22T18:00:00Z"), "");
}

//! The program from the outside: what it prints, and how it ends.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use serde_json::Value;

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
    assert_eq!(checked.stderr, "fine: 3 monitors, 3 sources\n");
}

/// What the shipped settings say is default is the default.
#[test]
fn the_shipped_settings_are_the_defaults() {
    let text = std::fs::read_to_string(shipped("config/richter.yaml")).expect("readable");
    let (written, _, faults) = richter::rules::settings("f", &text, &Default::default());
    assert_eq!(faults, []);
    let sources = text.lines().skip_while(|l| !l.starts_with("sources:")).take(4).collect::<Vec<_>>().join("\n");
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
    for kind in ["declared", "escalated", "recovered"] {
        assert!(kinds.contains(kind), "{kind} is missing in {kinds:?}");
    }
    let declared: Vec<&Value> = events.iter().filter(|event| event["data"]["event"]["type"] == "declared").collect();
    let suspects: Vec<&Value> = declared.iter().map(|event| &event["data"]["incident"]["suspects"][0]["entity"]).collect();
    assert_eq!(suspects, ["service=checkout", "service=payments-db"], "a decline over night, and a fault with a cause");
    let text = richter(&["demo"]);
    assert!(text.stdout.contains("══ DECLARED ══") && text.stdout.contains("changed by deploy-payments-db-4.2.0"), "{}", text.stdout);
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
    let daily = folder.join("daily.csv");
    std::fs::write(&daily, (0..400).map(|day| format!("{},{}\n", 86_400 * day, day % 7)).collect::<String>()).expect("written");
    assert_eq!(richter(&["backtest", &daily.to_string_lossy()]).code, Some(0), "a day of one value has no season");
    let wrong = richter(&["backtest", &shipped("demo/README.md")]);
    assert!(wrong.code == Some(2) && wrong.stderr.contains("line 1"), "{}", wrong.stderr);
}

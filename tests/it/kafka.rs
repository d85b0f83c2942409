//! The daemon on a real Apache Kafka.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use richter::wire::recording::Recorded;
use serde_json::Value;

use super::broker::{self, Broker};
use super::case::{Case, events, line};
use super::program::richter;
use super::world::World;

pub(crate) fn case(name: &str) -> Case {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/{name}.txt"));
    Case::parse(name, &fs::read_to_string(path).expect("a case"))
}

/// The events offline, each in a line, by incident.
pub(crate) fn offline(case: &Case) -> Vec<String> {
    in_order(&events(&case.run().messages))
}

pub(crate) fn in_order(events: &[Value]) -> Vec<String> {
    let mut lines: Vec<(String, String)> =
        events.iter().map(|e| (format!("{} {:>4}", e["partitionkey"], e["data"]["incident"]["sequence"]), line(e))).collect();
    lines.sort();
    lines.into_iter().map(|(id, line)| format!("{id} {line}")).collect()
}

#[test]
fn a_recording_gives_on_kafka_what_replay_gives_offline() {
    for name in ["escalates_and_recovers", "names_suspects_and_changes", "relapse_reopens", "generic_definition_is_the_floor"] {
        let case = case(name);
        let world = World::new(name, &case, broker::shared());
        world.make_sources(1);
        let daemon = world.start();
        world.ready();
        world.produce_in_order(&case.records);
        let expected = offline(&case);
        let told = world.read("incidents", expected.len());
        for (headers, event) in &told {
            assert_eq!(headers["content-type"], "application/cloudevents+json; charset=UTF-8");
            assert_eq!(headers["ce_id"], event["id"].as_str().expect("an id"));
        }
        let told: Vec<Value> = told.into_iter().map(|(_, event)| event).collect();
        assert_eq!(in_order(&told), expected, "{name}");
        let incident = told[0]["data"]["incident"]["id"].as_str().expect("an id");
        let explained = richter(&["explain", incident, "--config", &world.folder.to_string_lossy()]);
        assert!(explained.code == Some(0) && explained.stdout.contains(incident), "{name}: {}", explained.stderr);
        assert_eq!(daemon.stops(), Some(0), "{}", world.log());
    }
}

#[test]
fn a_bad_record_is_in_the_dead_letter_topic_and_harms_no_other() {
    let case = case("bad_records_harm_nobody");
    let world = World::new("bad", &case, broker::shared());
    world.make_sources(1);
    let _daemon = world.start();
    world.ready();
    // A tombstone tells nothing.
    let alert = case.records.iter().find(|record| record.topic == "alerts").expect("there is one");
    world.produce(&[Recorded { payload: None, ..alert.clone() }]);
    world.produce(&case.records);
    let expected = offline(&case);
    let told: Vec<Value> = world.read("incidents", expected.len()).into_iter().map(|(_, event)| event).collect();
    assert_eq!(in_order(&told), expected);
    let letters: BTreeSet<(String, i64, String)> = world
        .read("dead-letter", 4)
        .into_iter()
        .map(|(_, letter)| {
            let text = |key: &str| letter[key].as_str().unwrap_or_default().to_owned();
            (text("topic").rsplit('.').next().unwrap_or_default().to_owned(), letter["offset"].as_i64().unwrap_or(-1), text("reason"))
        })
        .collect();
    let expected =
        [("alerts", 1, "unknown_shape"), ("changes", 0, "unexpected_shape"), ("metrics", 4, "not_json"), ("metrics", 8, "timestamp_ahead")];
    assert_eq!(letters, expected.map(|(topic, offset, reason)| (topic.to_owned(), offset, reason.to_owned())).into());
    world.until("the count of dead letters", || {
        let name = format!("richter_dead_letters_total{{reason=\"timestamp_ahead\",topic=\"{}\"}}", world.topic("metrics"));
        world.metric(&name) == Some(1.0)
    });
    world.until("the groups of the monitor", || world.metric("richter_monitor_groups{monitor=\"orders\"}") == Some(1.0));
}

#[test]
fn a_person_takes_an_incident_on_from_the_command_line() {
    let case = case("escalates_and_recovers");
    let world = World::new("act", &case, broker::shared());
    world.make_sources(1);
    let daemon = world.start();
    world.ready();
    world.produce(&case.records[..case.records.len() / 2]);
    let told = world.read("incidents", 2);
    let incident = told[0].1["data"]["incident"]["id"].as_str().expect("an id").to_owned();
    let folder = world.folder.to_string_lossy().into_owned();
    let act = |arguments: &[&str]| richter(&[&["act"], arguments, &["--author", "ann", "--config", &folder]].concat());
    let acknowledged = act(&["acknowledge", &incident, "--comment", "looking", "--id", "a1"]);
    assert_eq!(acknowledged.code, Some(0), "{}", acknowledged.stderr);
    assert_eq!(act(&["acknowledge", &incident, "--id", "a1", "--wait", "0s"]).code, Some(0), "told twice");
    assert!(acknowledged.stderr.contains(&format!("acknowledged {incident}: acknowledged: looking")), "{}", acknowledged.stderr);
    let refused = act(&["revoke_recovery", &incident, "--id", "r1"]);
    assert_eq!((refused.code, refused.stderr.contains("refused: ")), (Some(1), true), "{}", refused.stderr);
    let told: Vec<Value> = world.read("incidents", 4).into_iter().map(|(_, event)| event).collect();
    let what = |event: &Value| (event["type"].as_str().unwrap_or_default().to_owned(), event["data"]["event"]["author"].clone());
    assert_eq!(what(&told[2]), ("io.richter.incident.acknowledged.v1".into(), "ann".into()));
    assert_eq!(told[3]["type"], "io.richter.command.rejected.v1");
    assert_eq!(daemon.stops(), Some(0), "{}", world.log());
}

/// The README lets it be the first record on that topic.
#[test]
fn the_first_command_makes_its_topic_or_is_told_how() {
    let case = case("escalates_and_recovers");
    let act = |world: &World| {
        let folder = world.folder.to_string_lossy().into_owned();
        richter(&["act", "acknowledge", "20261122-00000000", "--author", "ann", "--config", &folder])
    };
    let refused = act(&World::new("act-strict", &case, broker::shared()));
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("kafka-topics.sh --bootstrap-server") && refused.stderr.contains("--create"), "{}", refused.stderr);
    let mut broker = Broker::with("creates", &[], "auto.create.topics.enable=true\n", &[]);
    broker.start();
    let taken = act(&World::new("act-creates", &case, &broker.address));
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
}

#[test]
fn killed_in_the_middle_it_goes_on_and_says_nothing_else() {
    let case = case("escalates_and_recovers");
    let world = World::new("killed", &case, broker::shared());
    world.make_sources(1);
    let (first, second) = case.records.split_at(case.records.len() / 2);
    let daemon = world.start();
    world.ready();
    world.produce(first);
    world.read("incidents", 2);
    drop(daemon);
    let daemon = world.start();
    world.produce(second);
    let expected = offline(&case);
    let mut told: Vec<Value> = vec![];
    for (_, event) in world.read("incidents", expected.len()) {
        match told.iter().find(|other| other["id"] == event["id"]) {
            Some(other) => assert_eq!(*other, event, "one id, one content"),
            None => told.push(event),
        }
    }
    assert_eq!(in_order(&told), expected);
    assert_eq!(daemon.stops(), Some(0));
}

#[test]
fn a_broker_that_is_away_is_waited_for() {
    let case = case("escalates_and_recovers");
    let mut broker = Broker::prepared("away");
    let world = World::new("away", &case, &broker.address.clone());
    let _daemon = world.start();
    world.until("health", || world.http("GET", "/-/healthy").is_some_and(|(code, _)| code == 200));
    let waits = |(code, why): (u16, String)| code == 503 && why.starts_with("not ready, waiting for kafka: ");
    world.until("the reason", || world.http("GET", "/-/ready").is_some_and(waits));
    let long = format!("/metrics HTTP/1.1\r\nX-Long: {}\r\nX-Rest:", "x".repeat(20_000));
    assert_eq!(world.http("GET", &long).map(|(code, _)| code), Some(431));
    broker.start();
    world.make_sources(1);
    world.ready();
    let (first, second) = case.records.split_at(case.records.len() / 2);
    world.produce(first);
    world.read("incidents", 2);
    broker.kill();
    // By then nobody knows whose the partitions are.
    world.until("no readiness", || world.http("GET", "/-/ready").is_some_and(|(code, _)| code == 503));
    assert!(world.metrics("richter_ready").iter().any(|line| line.ends_with(" 0")));
    broker.start();
    world.ready();
    world.produce(second);
    let expected = offline(&case);
    let told: Vec<Value> = world.read("incidents", expected.len()).into_iter().map(|(_, event)| event).collect();
    assert_eq!(in_order(&told), expected);
}

#[test]
fn a_reload_is_taken_or_refused_and_never_touches_what_is_open() {
    let case = case("escalates_and_recovers");
    let world = World::new("reload", &case, broker::shared());
    world.make_sources(1);
    let daemon = world.start();
    world.ready();
    let (first, second) = case.records.split_at(case.records.len() / 2);
    world.produce(first);
    world.read("incidents", 2);

    let monitors = fs::read_to_string(world.folder.join("monitors.yaml")).expect("readable");
    fs::write(world.folder.join("monitors.yaml"), monitors.replace("level: 3", "level: 33")).expect("written");
    let (code, why) = world.http("POST", "/-/reload").expect("answered");
    assert_eq!(code, 400);
    assert!(why.contains("monitors.yaml:14:20: level 33 of sequence P; it has 1 to 4"), "{why}");
    assert_eq!(world.metric("richter_config_last_reload_successful"), Some(0.0));

    fs::write(world.folder.join("monitors.yaml"), "monitors: []\n").expect("written");
    let (code, why) = world.http("POST", "/-/reload").expect("answered");
    assert!(code == 400 && why.contains("there is no monitor left of 1"), "{code} {why}");

    let of_a_page = "/-/reload HTTP/1.1\r\nOrigin: http://elsewhere.example\r\nX-Rest:";
    assert_eq!(world.http("POST", of_a_page).map(|(code, _)| code), Some(403));

    // Other definitions: what is open keeps those it was declared under.
    fs::write(world.folder.join("monitors.yaml"), monitors.replace("\"< 20\"", "\"< 1\"")).expect("written");
    daemon.signal("-HUP");
    world.until("the reload", || world.metric("richter_config_last_reload_successful") == Some(1.0));
    world.produce(second);
    let expected = offline(&case);
    let told: Vec<Value> = world.read("incidents", expected.len()).into_iter().map(|(_, event)| event).collect();
    assert_eq!(in_order(&told), expected);
    assert_eq!(daemon.stops(), Some(0));
}

#[test]
fn a_topic_with_other_partitions_is_refused_with_the_remedy() {
    let case = case("escalates_and_recovers");
    let world = World::new("partitions", &case, broker::shared());
    world.make_sources(1);
    let daemon = world.start();
    world.ready();
    assert_eq!(daemon.stops(), Some(0));
    let settings = fs::read_to_string(world.folder.join("richter.yaml")).expect("readable");
    fs::write(world.folder.join("richter.yaml"), settings.replace("samples: 2", "samples: 3")).expect("written");
    let mut daemon = world.start();
    assert_eq!(daemon.0.wait().expect("it ends").code(), Some(2));
    let expected = format!(
        "topic {}.samples has 2 partitions, and should have 3: if it was made with 2, set kafka.partitions.samples to 2",
        world.name
    );
    assert!(world.log().contains(&expected), "{}", world.log());
}

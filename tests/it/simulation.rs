//! Seeded simulation: generated faults, alerts and changes, delivered late and out of order. What must always hold is
//! stated over the output log. `RICHTER_SEED=n` runs one seed, `RICHTER_SEEDS=n` that many.

use std::collections::BTreeMap;
use std::fs;

use richter::contract::{Data, Levels, Met};
use richter::declare::Declare;
use richter::detect::Detect;
use richter::model::{Event, Origin, State, Timestamp};
use richter::route::Route;
use richter::stage::{Count, Message, Outbox, Outcome, Record, Stage, Topic};
use richter::wire::recording::Recorded;
use serde_json::Value;

use super::case::{Case, events, record};
use super::golden::cases;
use super::random::Random;
use super::storm::Storm;

const HEAD: &str = r#"
== monitors
monitors:
  - name: orders
    scenario: Customers cannot place orders
    entity: "service={{ service }}"
    query: sum by (service) (orders)
    every: 1m
    judge: { static: { below: 80 }, baseline: { season: none }, absent: 10m, for: 2m, keep_firing_for: 2m }
    fault:
      sequence: P
      ladder:
        - { level: 1, value: "< 20", for: 3m }
        - { level: 2, drop: 40%, for: 2m }
        - { level: 3, for: 5m }
  - name: errors
    entity: "service={{ service }}"
    query: sum by (service) (rate(errors_total[5m]))
    every: 30s
    judge: { static: { above: 1 }, for: 1m }
  - name: down
    scenario: A service does not answer
    entity: "service={{ service }}"
    alerts: '{alertname="Down"}'
    fault: { sequence: S, ladder: [ { level: 2, for: 10m }, { level: 4, for: 3m } ] }
== levels
generic:
  - { sequence: P, ladder: [ { level: 2, for: 20m } ] }
  - { sequence: R, alerts: '{severity="page"}', ladder: [ { level: 4, for: 5m } ] }
== topology
entities:
  - { name: service=s0, depends_on: [ service=s1, service=s2 ] }
  - { name: service=s1, depends_on: [ service=s3 ] }
  - { name: service=s2, depends_on: [ service=s3, service=s4 ] }
  - { name: service=s3 }
  - { name: service=s4 }
  - { name: service=s5 }
"#;

/// The types of event that come up.
const EXPECTED: [&str; 9] =
    ["suspected", "declared", "escalated", "updated", "follow_up_due", "recovering", "recovered", "reopened", "closed"];

fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse().ok());
    match number("RICHTER_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("RICHTER_SEEDS").unwrap_or(25)).collect(),
    }
}

/// Two hours of six services, with a few faults each at random, alerts around them, deploys, and rubbish.
fn generate(seed: u64) -> Case {
    generate_with(seed, "")
}

/// The same with other settings.
fn generate_with(seed: u64, settings: &str) -> Case {
    let mut random = Random(seed);
    let mut body = String::new();
    for service in 0..6 {
        let (mut orders, mut errors, mut total) = (String::new(), String::new(), 0);
        let mut left = 0;
        let mut depth = 100;
        for _ in 0..120 {
            if left == 0 {
                left = 3 + random.below(25);
                depth = if random.chance(30) { 5 + random.below(80) } else { 100 };
            }
            left -= 1;
            let value = depth + random.below(5);
            total = if random.chance(1) { 0 } else { total + if depth < 100 { 200 } else { random.below(20) } };
            let shown = |value: u64, gap: bool| if gap { "_x1 ".to_owned() } else { format!("{value}x1 ") };
            orders += &shown(value, random.chance(3));
            errors += &shown(total, random.chance(3));
        }
        body += &format!("metric orders{{service=\"s{service}\"}} {orders}\nmetric errors_total{{service=\"s{service}\"}} {errors}\n");
    }
    for number in 0..30 {
        let (start, length) = (random.below(100), 1 + random.below(19));
        let clock = |minute: u64| format!("{:02}:{:02}", 15 + minute / 60, minute % 60);
        let name = ["Down", "Slow", "Full"][random.below(3) as usize];
        let severity = if random.chance(20) { "page" } else { "warning" };
        let labels = format!("service=s{} severity={severity} n={number}", random.below(6));
        body += &format!("alert {} firing {name} {labels}\n", clock(start));
        body += &format!("alert {} resolved@{} {name} {labels}\n", clock(start + length), clock(start));
        if random.chance(30) {
            body += &format!("change {} s{} v{number}\n", clock(start), random.below(6));
        }
        if random.chance(20) {
            body += &format!("raw {} {} rubbish{number}\n", clock(start), ["metrics", "alerts", "changes"][random.below(3) as usize]);
        }
    }
    for number in 0..25 {
        body += &say(&mut random, number);
    }
    let mut case = Case::parse("simulation", &format!("{HEAD}== settings\n{settings}\n== records 2026-11-22T15:00:00Z every 1m\n{body}"));
    disturb(&mut random, &mut case.records);
    case
}

/// Somebody says something about one of the first incidents, legal or not.
fn say(random: &mut Random, number: u64) -> String {
    let acts = [
        "acknowledge",
        "note comment=hm",
        "mark point=located",
        "set_impact affected_users=5000",
        "set_cause cause=unknown class=other",
        "action action=think owner=ann due=2026-12-01T00:00:00Z",
        "review_done",
        "recover",
        "revoke_recovery",
        "cancel",
        "merge into=@1",
        "split merged=@2",
        "split entity=service=s1",
        "split entity=service=s3",
        "set_level level=P4",
        "set_level level=P1",
    ];
    let act = acts[random.below(acts.len() as u64) as usize];
    let (command, details) = act.split_once(' ').unwrap_or((act, ""));
    let minute = random.below(118);
    let at = format!("{:02}:{:02}:{:02}", 15 + minute / 60, minute % 60, number);
    format!("say {at} ann {command} incident=@{} {details}\n", 1 + random.below(4))
}

/// Records come late by up to two minutes, in any order within a second, and some come twice.
fn disturb(random: &mut Random, records: &mut Vec<Recorded>) {
    random.shuffle(records);
    let mut twice = vec![];
    for record in records.iter_mut() {
        if random.chance(5) {
            record.ts = Timestamp(record.ts.0 + random.below(120_000) as i64);
        }
        if random.chance(3) {
            twice.push(record.clone());
        }
    }
    records.extend(twice);
    records.sort_by_key(|r| r.ts);
}

/// An incident as its last event left it.
struct Last {
    sequence: u64,
    state: State,
    /// By sequence of levels.
    ranks: BTreeMap<String, u64>,
    at: String,
}

/// What must hold for every log of events.
fn invariants(events: &[Value]) -> Result<(), String> {
    let mut last: BTreeMap<String, Last> = BTreeMap::new();
    for event in events.iter().filter(|event| event["data"]["incident"].is_object()) {
        let data: Data = serde_json::from_value(event["data"].clone()).map_err(|why| format!("{}: {why}", event["id"]))?;
        let (incident, kind, at) = (data.incident, data.event.kind, data.event.at);
        let what = format!("{}.{} {}", incident.id, incident.sequence, kind.as_str());
        if event["id"] != format!("{}.{}", incident.id, incident.sequence) {
            return Err(format!("{what}: its id is {}", event["id"]));
        }
        let before = last.remove(&incident.id);
        if kind.after(before.as_ref().map(|last| last.state)) != Some(incident.state) {
            return Err(format!("{what}: not legal after {:?}", before.map(|last| last.state)));
        }
        if u64::from(incident.sequence) != before.as_ref().map_or(0, |last| last.sequence) + 1 {
            return Err(format!("{what}: a gap"));
        }
        if before.as_ref().is_some_and(|last| at < last.at) {
            return Err(format!("{what}: told at {at}, after what is later"));
        }
        let ranks: BTreeMap<String, u64> = incident.levels.iter().map(|l| (l.sequence.clone(), u64::from(l.rank))).collect();
        levels(&what, kind, &incident.levels, &ranks, before.map(|last| last.ranks).unwrap_or_default())?;
        last.insert(incident.id, Last { sequence: incident.sequence.into(), state: incident.state, ranks, at });
    }
    Ok(())
}

/// Levels never fall by themselves, rise only where it is said, and are never less severe than the generic definition.
fn levels(what: &str, kind: Event, levels: &[Levels], ranks: &BTreeMap<String, u64>, before: BTreeMap<String, u64>) -> Result<(), String> {
    let suspected = levels.is_empty();
    if suspected && !matches!(kind, Event::Suspected | Event::Merged | Event::Closed | Event::Updated | Event::Cancelled) {
        return Err(format!("{what}: no level"));
    }
    for level in levels.iter().filter(|level| level.set_by.is_none()) {
        let rank = |met: &Option<Met>| met.as_ref().and_then(|met| met.level[1..].parse::<u8>().ok());
        if [rank(&level.business), rank(&level.generic)].into_iter().flatten().min() != Some(level.rank) {
            return Err(format!("{what}: the effective level is not the more severe of both"));
        }
    }
    // Only a person lowers one, and only then.
    if kind == Event::Downgraded {
        return Ok(());
    }
    let fallen = before.iter().any(|(sequence, rank)| ranks.get(sequence).is_none_or(|now| now > rank));
    let risen = ranks.iter().any(|(sequence, rank)| before.get(sequence).is_none_or(|was| rank < was));
    let may_rise = matches!(kind, Event::Declared | Event::Escalated | Event::Reopened | Event::RecoveryRevoked);
    if fallen || (risen && !may_rise) || (kind == Event::Escalated && !risen) {
        return Err(format!("{what}: {ranks:?} after {before:?}"));
    }
    Ok(())
}

#[test]
fn what_must_always_hold_holds_in_any_order_of_records() {
    let mut told: BTreeMap<String, u64> = BTreeMap::new();
    for seed in seeds() {
        println!("seed {seed}");
        let case = generate(seed);
        let (out, again) = (case.run(), generate(seed).run());
        assert_eq!(out.messages, again.messages, "seed {seed}: the same seed gives the same bytes");
        let events = events(&out.messages);
        invariants(&events).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        accounted(seed, &case, &out);
        for event in &events {
            *told.entry(event["data"]["event"]["type"].to_string()).or_default() += 1;
        }
    }
    println!("{told:?}");
    assert!(
        std::env::var_os("RICHTER_SEED").is_some() || EXPECTED.iter().all(|kind| told.contains_key(&format!("{kind:?}"))),
        "every type of event that needs no person must come up: {told:?}"
    );
}

/// Every record of a source is counted as exactly one thing, and every dead letter names its record.
fn accounted(seed: u64, case: &Case, out: &Outbox) {
    let records: u64 = out.counts.iter().filter(|(c, _)| matches!(c, Count::Records(..))).map(|(_, n)| n).sum();
    assert_eq!(records, case.records.len() as u64, "seed {seed}");
    let dead: u64 = out.counts.iter().filter(|(c, _)| matches!(c, Count::Records(_, Outcome::DeadLettered))).map(|(_, n)| n).sum();
    assert_eq!(dead, out.messages.iter().filter(|m| m.topic == Topic::DeadLetter).count() as u64, "seed {seed}");
    let samples: u64 = out.counts.iter().filter(|(c, _)| matches!(c, Count::Samples(_))).map(|(_, n)| n).sum();
    assert_eq!(Some(&samples), out.counts.get(&Count::Matched), "seed {seed}: each matched sample ends as one thing");
}

/// The internal topics' logs that a case's records make.
struct Logs {
    samples: Vec<Vec<Vec<u8>>>,
    signals: Vec<Vec<u8>>,
}

fn logs(case: &Case) -> Logs {
    let partitions = case.settings.partitions.samples;
    let mut route = Route::new(case.config.clone(), case.settings.clone());
    let mut detect: Vec<Detect> = (0..partitions).map(|p| Detect::new(case.config.clone(), p, case.settings.partitions)).collect();
    let mut logs = Logs { samples: vec![vec![]; partitions as usize], signals: vec![] };
    for recorded in &case.records {
        let mut out = Outbox::default();
        route.apply(&record(recorded), &mut out);
        route.flush(&mut out);
        for message in out.messages {
            match message.topic {
                Topic::Samples => {
                    let place = message.partition.expect("a partition") as usize;
                    let mut next = Outbox::default();
                    apply(&mut detect[place], &message.payload, &mut next);
                    logs.samples[place].push(message.payload);
                    logs.signals.extend(next.messages.into_iter().map(|m| m.payload));
                }
                Topic::Signals => logs.signals.push(message.payload),
                Topic::Incidents | Topic::DeadLetter | Topic::State => {}
            }
        }
    }
    logs
}

fn apply(stage: &mut impl Stage, payload: &[u8], out: &mut Outbox) {
    stage.apply(&Record { topic: "log", partition: 0, offset: 0, timestamp: Timestamp(0), headers: &[], payload }, out);
}

/// Runs a log through a stage that is stopped, snapshot and restored at random points.
fn interrupted<S: Stage>(random: &mut Random, log: &[Vec<u8>], fresh: impl Fn() -> S) -> (Vec<Message>, Vec<u8>) {
    let (mut stage, mut out) = (fresh(), Outbox::default());
    for payload in log {
        if random.chance(2) {
            let snapshot = stage.snapshot();
            stage = fresh();
            stage.restore(&snapshot).expect("its own snapshot");
            assert_eq!(stage.snapshot(), snapshot, "a restored state is the same state");
        }
        apply(&mut stage, payload, &mut out);
    }
    (out.messages, stage.snapshot())
}

#[test]
fn a_stage_restored_anywhere_goes_on_to_the_same_bytes() {
    for seed in seeds() {
        println!("seed {seed}");
        for settings in ["", "limits: { series_per_monitor: 2 }", "limits: { groups_per_monitor: 2 }"] {
            let case = generate_with(seed, settings);
            let logs = logs(&case);
            for (partition, log) in logs.samples.iter().enumerate() {
                let fresh = || Detect::new(case.config.clone(), partition as u32, case.settings.partitions);
                same(seed, log, fresh);
            }
            same(seed, &logs.signals, || Declare::from_the_start(case.config.clone()));
        }
    }
}

/// Of all that the golden cases make, too: an incident that waits for its review holds things that no other does.
#[test]
fn every_state_that_a_case_comes_to_can_be_restored() {
    for path in cases() {
        let name = path.display().to_string();
        let case = Case::parse(&name, &fs::read_to_string(&path).expect("readable"));
        let mut stage = Declare::from_the_start(case.config.clone());
        let all = logs(&case).signals;
        for (place, payload) in all.iter().enumerate() {
            apply(&mut stage, payload, &mut Outbox::default());
            if place % 32 == 31 || place + 1 == all.len() {
                let (snapshot, mut restored) = (stage.snapshot(), Declare::from_the_start(case.config.clone()));
                restored.restore(&snapshot).unwrap_or_else(|why| panic!("{name} after {place} records: {why}"));
                assert_eq!(restored.snapshot(), snapshot, "{name}");
            }
        }
    }
}

/// Nothing is forgotten on the way: what was not closed is open, in the state that was told last.
#[test]
fn every_incident_is_closed_or_stays_visibly_open() {
    for seed in seeds() {
        println!("seed {seed}");
        let case = generate(seed);
        let (mut stage, mut out) = (Declare::from_the_start(case.config.clone()), Outbox::default());
        logs(&case).signals.iter().for_each(|payload| apply(&mut stage, payload, &mut out));
        let mut last: BTreeMap<String, State> = BTreeMap::new();
        for event in events(&out.messages).into_iter().filter(|event| event["data"]["incident"].is_object()) {
            let data: Data = serde_json::from_value(event["data"].clone()).expect("an event");
            last.insert(data.incident.id, data.incident.state);
        }
        let mut told: BTreeMap<&str, usize> = State::KEPT.into_iter().map(|state| (state.as_str(), 0)).collect();
        last.values().filter(|state| **state != State::Closed).for_each(|state| *told.entry(state.as_str()).or_default() += 1);
        assert_eq!(stage.open().states, told, "seed {seed}");
    }
}

#[test]
fn a_storm_goes_on_to_the_same_bytes_wherever_it_is_interrupted() {
    let mut storm = Storm::new(5);
    storm.strangers();
    let (config, settings) = storm.configured();
    let case = Case { settings, config, records: storm.records(60_000, 1), sections: vec![] };
    same(5, &logs(&case).signals, || Declare::from_the_start(case.config.clone()));
}

fn same<S: Stage>(seed: u64, log: &[Vec<u8>], fresh: impl Fn() -> S) {
    let (mut stage, mut out) = (fresh(), Outbox::default());
    log.iter().for_each(|payload| apply(&mut stage, payload, &mut out));
    let (messages, state) = interrupted(&mut Random(seed), log, fresh);
    assert!(messages == out.messages, "seed {seed}: other messages");
    assert!(state == stage.snapshot(), "seed {seed}: another state");
}

#[test]
fn a_snapshot_that_is_none_is_refused_and_harms_nothing() {
    let case = generate(1);
    let mut stage = Declare::from_the_start(case.config.clone());
    let before = stage.snapshot();
    let refusal = |stage: &mut Declare, bytes: &[u8]| stage.restore(bytes).expect_err("refused").to_string();
    assert_eq!(refusal(&mut stage, &[14, 1, 2]), "the snapshot has version 14, this program reads version 28");
    assert!(refusal(&mut stage, &[]).contains("empty"));
    assert!(refusal(&mut stage, &before[..before.len() / 2]).starts_with("the snapshot cannot be read"));
    assert_eq!(stage.snapshot(), before);
}

#[test]
fn origins_are_waited_for_until_they_speak() {
    let case = generate(3);
    let mut out = Outbox::default();
    let mut route = Route::new(case.config.clone(), case.settings.clone());
    route.assign(Origin { topic: "metrics".into(), partition: 7 }, &mut out);
    assert_eq!(out.messages.len(), case.settings.partitions.samples as usize, "every partition behind hears of it");
}

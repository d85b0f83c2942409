//! Notifying on a real Kafka: a receiver that hangs up, is slow, answers 429, 500 and 400, and is away while Richter is
//! restarted. And what each kind of target is told, as golden text.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use richter::contract::Data;
use richter::model::Timestamp;
use richter::notify::{Addressed, is_told, request};
use richter::rules::notify::{Route, Target};
use richter::rules::settings;
use serde_json::{Value, json};

use super::broker::{self, free_port};
use super::case::{Case, events};
use super::world::World;

/// What a receiver got, and how it answered.
#[derive(Default)]
struct Got {
    /// Keys of what was answered with 200, in order.
    taken: Vec<String>,
    tries: usize,
    signed: bool,
}

/// A receiver that fails at first in every way there is.
struct Receiver {
    got: Arc<Mutex<Got>>,
    /// The incident that it fails on; none where it is empty.
    failing: Arc<Mutex<String>>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Receiver {
    /// `refused` is the key of an event that it will never take.
    fn start(port: u16, refused: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("it listens");
        listener.set_nonblocking(true).expect("set");
        let (got, stop) = (Arc::<Mutex<Got>>::default(), Arc::new(AtomicBool::new(false)));
        let failing = Arc::<Mutex<String>>::default();
        let (of, until, refused, fails) = (got.clone(), stop.clone(), refused.to_owned(), failing.clone());
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => serve(stream, &of, &refused, &fails.lock().expect("whole").clone()).unwrap_or(()),
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        Self { got, failing, stop, thread: Some(thread) }
    }

    fn taken(&self) -> Vec<String> {
        self.got.lock().expect("whole").taken.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

fn serve(mut stream: TcpStream, got: &Mutex<Got>, refused: &str, failing: &str) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut headers, mut line) = (BTreeMap::new(), String::new());
    while reader.read_line(&mut line)? > 2 {
        if let Some((name, value)) = line.trim().split_once(": ") {
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        line.clear();
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let key = headers.get("idempotency-key").cloned().unwrap_or_default();
    let mut got = got.lock().expect("whole");
    got.tries += 1;
    got.signed |= headers.get("x-richter-signature").is_some_and(|signature| signature.starts_with("sha256="));
    let answer = match got.tries {
        1 => return Ok(()),
        2 => {
            // Longer than the target may take.
            drop(got);
            std::thread::sleep(Duration::from_millis(1500));
            return Ok(());
        }
        3 => "429 Too Many Requests\r\nRetry-After: 1",
        4 => "500 Internal Server Error",
        _ if key == refused => "400 Bad Request",
        _ if !failing.is_empty() && key.starts_with(failing) => "500 Internal Server Error",
        _ => {
            got.taken.push(key);
            "200 OK"
        }
    };
    write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

const CASE: &str = r#"
== monitors
monitors:
  - { name: down, scenario: A service does not answer, business: shop, entity: "service={{ service }}", alerts: ServiceDown, fault: { sequence: P, ladder: [ { level: 3 } ] } }
== levels
handling: [ { levels: [ 3 ], follow_up: 24h, acknowledge_within: 24h, review_within: 9 } ]
"#;

fn case(port: u16, secret: &Path) -> Case {
    let records = (0..6).fold(String::new(), |all, n| {
        let (from, to) = (5 + 3 * n, 20 + 4 * n);
        all + &format!(
            "alert 15:{from:02} firing ServiceDown service=s{n}\nalert 15:{to:02} resolved@15:{from:02} ServiceDown service=s{n}\n"
        )
    });
    let target = format!(
        "notify: [ {{ name: hook, kind: webhook, url: \"http://127.0.0.1:{port}/\", timeout: 1s, secret: {{ file: \"{}\" }} }} ]",
        secret.display()
    );
    let text = format!(
        "{CASE}== settings\nsituations: {{ recover_after: 0s }}\ntime: {{ idle_after: 6s }}\n{target}\n== records 2026-11-22T15:00:00Z every 1m\n{records}raw 16:30 alerts {{\"version\":\"4\",\"alerts\":[]}}\n"
    );
    Case::parse("notify", &text)
}

#[test]
fn every_event_is_delivered_in_order_or_is_a_dead_letter() {
    let port = free_port();
    let folder = broker::scratch("notify-secret");
    fs::write(folder.join("secret"), "hush\n").expect("written");
    let case = case(port, &folder.join("secret"));
    let told: Vec<Data> =
        events(&case.run().messages).into_iter().filter_map(|event| serde_json::from_value(event["data"].clone()).ok()).collect();
    let wanted = told.iter().filter(|data| is_told(&case.settings.notify[0], data));
    let keys: Vec<String> = wanted.map(|data| format!("{}.{}", data.incident.id, data.incident.sequence)).collect();
    assert_eq!(keys.len(), 12, "each is declared and recovers: {keys:?}");
    let refused = keys[3].clone();

    let world = World::new("notify", &case, broker::shared());
    world.make_sources(1);
    let receiver = Receiver::start(port, &refused);
    let daemon = world.start();
    world.ready();
    let (first, second) = case.records.split_at(case.records.len() / 2);
    world.produce(first);
    world.until("the first notifications", || receiver.taken().len() >= 3);
    let mut taken = receiver.taken();
    assert!(receiver.got.lock().expect("whole").signed);
    drop(receiver);
    // Nobody is there while it is stopped and started again.
    world.produce(second);
    world.until("a try that fails", || world.log().contains("a notification is tried again"));
    assert_eq!(daemon.stops(), Some(0), "{}", world.log());
    let _daemon = world.start();
    world.ready();
    let receiver = Receiver::start(port, &refused);
    let all = |taken: &[String]| keys.iter().filter(|key| **key != refused).all(|key| taken.contains(key));
    world.until("all notifications", || all(&[taken.clone(), receiver.taken()].concat()));
    taken.extend(receiver.taken());

    assert!(!taken.contains(&refused));
    let letters = world.read("dead-letter", 1);
    let detail = letters[0].1["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.contains(&format!("the target hook: it does not take {refused}: 400")), "{detail}");
    let mut last: BTreeMap<&str, u32> = BTreeMap::new();
    for (incident, sequence) in taken.iter().filter_map(|key| key.split_once('.')) {
        let sequence: u32 = sequence.parse().expect("a number");
        let before = last.insert(incident, sequence).unwrap_or(0);
        assert!(sequence >= before, "{incident}: {sequence} after {before}");
    }
}

/// A target that fails on the events of one incident, and takes all others.
#[test]
fn what_a_target_fails_on_holds_back_nothing_else() {
    let port = free_port();
    let folder = broker::scratch("notify-fails-secret");
    fs::write(folder.join("secret"), "hush\n").expect("written");
    let case = case(port, &folder.join("secret"));
    let world = World::new("notify-fails", &case, broker::shared());
    world.make_sources(1);
    let receiver = Receiver::start(port, "none");
    let failing = receiver.failing.clone();
    receiver.got.lock().expect("whole").tries = 4;
    let _daemon = world.start();
    world.ready();
    world.produce(&case.records[..1]);
    let first = world.read("incidents", 1)[0].1["data"]["incident"]["id"].as_str().expect("an id").to_owned();
    let declared = format!("{first}.1");
    world.until("the first notification", || receiver.taken().contains(&declared));
    failing.lock().expect("whole").clone_from(&first);
    world.produce(&case.records[1..]);
    let taken = || receiver.taken().iter().filter(|key| !key.starts_with(&first)).count();
    world.until("all of the others", || taken() == 10);
    assert!(!receiver.taken().iter().any(|key| key.starts_with(&first) && *key != declared), "{:?}", receiver.taken());
    failing.lock().expect("whole").clear();
    world.until("the rest of the first", || receiver.taken().len() == 12);
}

#[test]
fn a_target_has_words_of_its_own_and_is_told_to_the_end() {
    let text = r##"notify: [ { name: t, kind: slack, url: { env: U }, routes: [ { levels: [ 2 ], business: [ shop ] } ],
        title: "{{ incident.id }}: {{ event.type | upper }}", text: "{{ incident.scenario }} {% if incident.level %}{{ incident.level.effective }}{% endif %}" } ]"##;
    let (settings, _, faults) = settings("f", text, &BTreeMap::new());
    assert_eq!(faults, []);
    let target = &settings.expect("checked").notify[0];
    let case = super::kafka::case("story_emergency_and_recovery");
    let told = events(&case.run().messages).into_iter().filter_map(|event| serde_json::from_value::<Data>(event["data"].clone()).ok());
    let told: Vec<Data> = told.filter(|data| is_told(target, data)).collect();
    let kinds: Vec<&str> = told.iter().map(|data| data.event.kind.as_str()).collect();
    // It rose from P3 to P1: it was never of level 2.
    assert_eq!(kinds, Vec::<&str>::new());
    let case = super::kafka::case("story_operator_override");
    let told = events(&case.run().messages).into_iter().filter_map(|event| serde_json::from_value::<Data>(event["data"].clone()).ok());
    let all = Target { routes: vec![Route { levels: Some(vec![2]), ..Route::default() }], ..target.clone() };
    let told: Vec<Data> = told.filter(|data| is_told(&all, data)).collect();
    let kinds: Vec<&str> = told.iter().map(|data| data.event.kind.as_str()).collect();
    assert_eq!((kinds[0], kinds[1], kinds[kinds.len() - 1]), ("escalated", "downgraded", "recovered"), "{kinds:?}");
    let mut last = told[told.len() - 1].clone();
    last.incident.history.clear();
    assert!(is_told(&all, &last), "however long its story is");
    let to = Addressed { target: &all, url: "https://example.com", secret: None };
    let body: Value = serde_json::from_str(&request(&to, &told[0], Timestamp(0)).body).expect("JSON");
    assert_eq!(body["text"], format!("{}: ESCALATED", told[0].incident.id));
    assert_eq!(body["blocks"][1]["text"]["text"], "Customers cannot place orders P2");
}

/// An alert that no monitor reads is its team's, by a label: the team is gathered, and its own target is told.
#[test]
fn a_team_is_told_of_its_alerts() {
    let case = r#"
== monitors
monitors: []
== levels
generic: [ { sequence: P, alerts: '{severity="page"}', owner: "{{ team }}", business: "{{ shop }}", ladder: [ { level: 3 } ] } ]
== duty
teams: [ { name: payments, shifts: [ { name: all, people: [ ann ] } ] }, { name: search, shifts: [ { name: all, people: [ bob ] } ] } ]
emergency: [ { gather: [ owner ] } ]
== records 2026-11-22T15:00:00Z every 1m
alert 15:01 firing CardsRefused severity=page service=pay team=payments shop=eu
"#;
    let out = Case::parse("team", case).run();
    let data: Data = serde_json::from_value(events(&out.messages)[0]["data"].clone()).expect("an event");
    let (evidence, people) = (&data.incident.evidence, &data.incident.emergency.as_ref().expect("a handling").people);
    assert_eq!((evidence.owner.as_str(), evidence.business.as_str(), people[0].name.as_str()), ("payments", "eu", "ann"));
    let text = "notify: [ { name: p, kind: pagerduty, secret: { env: S }, routes: [ { owner: [ payments ] } ] },\n\
        \x20 { name: s, kind: pagerduty, secret: { env: S }, routes: [ { owner: [ search ] } ] } ]";
    let (settings, _, faults) = settings("f", text, &BTreeMap::new());
    assert_eq!(faults, []);
    let told: Vec<bool> = settings.expect("checked").notify.iter().map(|target| is_told(target, &data)).collect();
    assert_eq!(told, [true, false]);
}

/// What each kind of target is told of the first declaration and of the recovery.
#[test]
fn each_kind_of_target_is_told_in_its_own_words() {
    let case = super::kafka::case("story_emergency_and_recovery");
    let told: Vec<Value> = events(&case.run().messages);
    let mut out = String::new();
    for kind in ["webhook", "pagerduty", "slack", "feishu", "dingtalk", "wecom"] {
        let secret = if matches!(kind, "slack" | "wecom") { "" } else { ", secret: { env: S }" };
        let text = format!("notify: [ {{ name: t, kind: {kind}, url: {{ env: U }}{secret} }} ]");
        let (settings, _, faults) = settings("f", &text, &BTreeMap::new());
        assert_eq!(faults, []);
        let target = &settings.expect("checked").notify[0];
        let to = Addressed { target, url: "https://example.com/hook?key=1", secret: Some("hush") };
        for event in told.iter().filter(|e| ["declared", "recovered"].contains(&e["data"]["event"]["type"].as_str().unwrap_or_default())) {
            let data: Data = serde_json::from_value(event["data"].clone()).expect("an event");
            let request = request(&to, &data, Timestamp(1_795_359_632_000));
            let mut body: Value = serde_json::from_str(&request.body).expect("JSON");
            // The whole incident is the event's, which others test.
            for whole in ["incident", "event"] {
                body.as_object_mut().map(|body| body.remove(whole));
            }
            let headers: Vec<String> = request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            let body = serde_json::to_string_pretty(&body).expect("JSON");
            out += &format!("== {kind} {}\n{}\n{}\n{body}\n", data.event.kind.as_str(), request.url, headers.join("\n"));
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/notifications.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &out).expect("written");
    }
    let expected = fs::read_to_string(&path).expect("readable");
    let other = out.lines().zip(expected.lines()).find(|(now, before)| now != before);
    assert!(out == expected, "the first line that differs, now and before: {other:?}");
}

#[test]
fn a_page_says_where_the_runbook_is_and_what_else_fails() {
    let alert = |name: &str, service: &str, minute: u32, annotations: &str| {
        let labels = format!(r#""labels":{{"alertname":"{name}","service":"{service}","severity":"page"}}"#);
        let alert = format!(r#"{{"status":"firing",{labels},"annotations":{{{annotations}}},"startsAt":"2026-11-22T15:0{minute}:00Z"}}"#);
        format!("raw 15:0{minute} alerts {{\"version\":\"4\",\"alerts\":[{alert}]}}\n")
    };
    let says = r#""summary":"The disk is full.","description":"/data has 2% left.","runbook_url":"https://runbooks.example/full""#;
    let (levels, topology) = (
        "generic: [ { sequence: P, alerts: '{severity=\"page\"}', ladder: [ { level: 2 } ] } ]",
        "entities: [ { name: service=web, depends_on: [ service=db ] }, { name: service=db } ]",
    );
    let records =
        alert("DiskFull", "db", 1, says) + &alert("ServiceDown", "web", 2, "") + "raw 15:09 alerts {\"version\":\"4\",\"alerts\":[]}\n";
    let text = format!("== levels\n{levels}\n== topology\n{topology}\n== records 2026-11-22T15:00:00Z every 1m\n{records}");
    let told = events(&Case::parse("a page", &text).run().messages);
    let of = |kind: &str| told.iter().find(|event| event["data"]["event"]["type"] == kind).expect(kind)["data"].clone();
    let (settings, ..) = settings("f", "notify: [ { name: t, kind: pagerduty, secret: { env: S } } ]", &BTreeMap::new());
    let target = &settings.expect("checked").notify[0];
    let page = |data: Value| {
        let data: Data = serde_json::from_value(data).expect("an event");
        assert!(is_told(target, &data));
        let request = request(&Addressed { target, url: "https://x", secret: Some("hush") }, &data, Timestamp(0));
        serde_json::from_str::<Value>(&request.body).expect("JSON")
    };
    let (first, later) = (page(of("declared")), page(of("updated")));
    assert_eq!(first["payload"]["summary"], "P2 The disk is full. (db): DiskFull");
    assert_eq!(first["links"][0]["href"], "https://runbooks.example/full");
    let text = first["payload"]["custom_details"]["text"].as_str().expect("a text");
    assert!(text.contains("it says: runbook: https://runbooks.example/full\n· /data has 2% left."), "{text}");
    let text = later["payload"]["custom_details"]["text"].as_str().expect("a text");
    assert!(text.starts_with("now also ServiceDown of service=web") && text.contains("also failing: service=web"), "{text}");
}

/// What people said is told to whoever is told next; nobody else knows when a fault began that a person has found.
#[test]
fn what_people_said_is_told_to_whoever_is_woken_next() {
    let told = events(&super::kafka::case("story_what_people_read").run().messages);
    let (settings, ..) = settings("f", "notify: [ { name: t, kind: pagerduty, secret: { env: S } } ]", &BTreeMap::new());
    let target = &settings.expect("checked").notify[0];
    let text = |kind: &str, level: &str| {
        let is = |event: &&Value| event["data"]["event"]["type"] == kind && event["level"] == level;
        let event = told.iter().find(is).expect(kind)["data"].clone();
        let data: Data = serde_json::from_value(event).expect("an event");
        let request = request(&Addressed { target, url: "https://x", secret: Some("hush") }, &data, Timestamp(0));
        let body: Value = serde_json::from_str(&request.body).expect("JSON");
        (body["payload"]["custom_details"]["text"].as_str().expect("a text").to_owned(), data)
    };
    let (first, _) = text("escalated", "P2");
    assert!(first.contains("since: 2026-11-22 15:05 UTC, for 5 min; what leads began 2026-11-22 15:10 UTC\n"), "{first}");
    let (worse, _) = text("escalated", "P1");
    assert!(worse.contains("\ncause: the payment provider is down (ann)\n") && !worse.contains("suspected"), "{worse}");
    assert!(worse.contains("\nnoted: do not restart pay (ann, 2026-11-22 15:14 UTC)\n"), "{worse}");
    // Who says something is named, though the name may be a part of a word of it.
    let mut noted = told.iter().find(|event| event["data"]["event"]["author"] == "ann").expect("ann's")["data"].clone();
    (noted["event"]["type"], noted["event"]["reason"]) = (json!("updated"), json!("note: it cannot be"));
    let noted: Data = serde_json::from_value(noted).expect("an event");
    let request = request(&Addressed { target, url: "https://x", secret: Some("hush") }, &noted, Timestamp(0));
    assert!(request.body.contains("note: it cannot be (ann)"), "{}", request.body);
    let by_hand = told.iter().find(|event| event["data"]["event"]["author"] == "eve").expect("eve's")["data"]["incident"].clone();
    assert_eq!((&by_hand["says"], &by_hand["durations"]["detect"]), (&json!("support has 14 tickets"), &Value::Null));
}

/// A recovery is revoked towards whom it was told: that it seems to recover is told to nobody who does not ask.
#[test]
fn only_a_recovery_that_was_told_is_revoked() {
    let (settings, ..) = settings("f", "notify: [ { name: t, kind: pagerduty, secret: { env: S } } ]", &BTreeMap::new());
    let target = &settings.expect("checked").notify[0];
    let told = |case: &str| {
        let events = events(&super::kafka::case(case).run().messages);
        let revoked = events.into_iter().find(|event| event["data"]["event"]["type"] == "recovery_revoked").expect("one is revoked");
        is_told(target, &serde_json::from_value(revoked["data"].clone()).expect("an event"))
    };
    assert!(!told("a_flapping_alert_keeps_its_incident_open") && told("story_recovery_revoked_by_hand"));
}

/// Nobody is told of what becomes of what was only suspected; and a team that was told of a fault is told of its end, though the
/// part that was its business is a fault of its own by then.
#[test]
fn whoever_was_told_is_told_of_the_end_and_nobody_else() {
    let target = |route: &str| {
        let text = format!("notify: [ {{ name: t, kind: pagerduty, secret: {{ env: S }}, routes: [ {{ {route} }} ] }} ]");
        settings("f", &text, &BTreeMap::new()).0.expect("checked").notify.remove(0)
    };
    let told_of = |target: &Target, case: &Case| -> Vec<(String, String)> {
        let told = events(&case.run().messages).into_iter().filter(|event| event["data"]["incident"].is_object());
        let told = told.map(|event| serde_json::from_value::<Data>(event["data"].clone()).expect("an event"));
        let told = told.filter(|data| is_told(target, data));
        told.map(|data| (data.incident.id, data.event.kind.as_str().to_owned())).collect()
    };
    let suspected = "== monitors\nmonitors: [ { name: down, scenario: Down, entity: service=a, alerts: Down, \
                     fault: { sequence: P, ladder: [ { level: 2, for: 10m } ] } } ]\n== records 2026-11-22T15:00:00Z every 1m\n\
                     metric noise{service=\"clock\"} 1x240\nalert 15:05 firing Down service=a\n\
                     say 15:06 ann note incident=@1 comment=hello\nalert 15:08 resolved@15:05 Down service=a\n";
    assert_eq!(told_of(&target(""), &Case::parse("suspected", suspected)), []);
    let all = told_of(&target("business: [ delivery ]"), &super::kafka::case("story_merge_undone"));
    let last: BTreeMap<&String, &String> = all.iter().map(|(id, event)| (id, event)).collect();
    assert!(last.len() == 2 && last.values().all(|event| *event == "recovered"), "{all:?}");
}

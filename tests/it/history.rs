//! What Kafka still has from before somebody listened: it teaches, and only what lasts makes a fault.

use std::time::SystemTime;

use richter::declare::Declare;
use richter::model::{Alert, Labels, Origin, Signal, Timestamp};
use richter::stage::{Message, Outbox, Record, Stage as _};
use richter::wire::internal::{signals_messages, signals_tick};
use richter::wire::recording::Recorded;
use serde_json::json;

use super::broker;
use super::case::{Case, events, line};
use super::world::World;

/// One fault is over at 09:20; another one lasts from 11:50 on.
fn case(settings: &str) -> Case {
    let text = format!(
        "== settings\n{settings}\n\
         == monitors\nmonitors:\n  - {{ name: down, scenario: The service is down, entity: \"service={{{{ service }}}}\", alerts: ServiceDown, \
         fault: {{ sequence: P, ladder: [ {{ level: 2 }} ] }} }}\n\
         == records 2026-11-22T09:00:00Z every 1m\n\
         alert 09:05 firing ServiceDown service=mail\n\
         alert 09:20 resolved@09:05 ServiceDown service=mail\n\
         alert 11:50 firing ServiceDown service=pay\n"
    );
    Case::parse("history", &text)
}

fn at(clock: &str) -> Timestamp {
    Timestamp::parse(&format!("2026-11-22T{clock}:00Z")).expect("a time")
}

/// A stage that first listens at noon, and what it declares.
struct Listener {
    stage: Declare,
    out: Outbox,
}

impl Listener {
    fn new(settings: &str) -> Self {
        let mut listener = Self { stage: Declare::new(case(settings).config), out: Outbox::default() };
        listener.hears(&signals_tick(at("12:00")));
        for topic in ["alerts", "slow"] {
            listener.told(topic, Timestamp::MIN, vec![]);
        }
        listener
    }

    fn hears(&mut self, message: &Message) {
        let timestamp = at("12:00");
        let record = Record { topic: "signals", partition: 0, offset: 0, timestamp, headers: &[], payload: &message.payload };
        self.stage.apply(&record, &mut self.out);
    }

    fn told(&mut self, topic: &str, progress: Timestamp, signals: Vec<Signal>) {
        let origin = Origin { topic: topic.into(), partition: 0 };
        signals_messages(&origin, progress, signals).iter().for_each(|message| self.hears(message));
    }

    /// The service is down from then on, or was until then.
    fn down(&mut self, topic: &str, service: &str, from: &str, until: Option<&str>) {
        let labels = Labels::of([("alertname", "ServiceDown"), ("service", service)]);
        let (starts_at, ends_at) = (at(from), until.map(at));
        let fingerprint = labels.fingerprint();
        let alert = Alert { fingerprint, labels, summary: String::new(), starts_at, ends_at, by_key: false, recalled: false };
        self.told(topic, ends_at.unwrap_or(starts_at), vec![Signal::Alert(alert)]);
    }

    fn declared(&self) -> Vec<String> {
        events(&self.out.messages).iter().map(line).filter(|line| line.contains(" declared ")).collect()
    }
}

#[test]
fn of_what_was_before_only_what_lasts_is_declared() {
    let mut listener = Listener::new("");
    listener.told("slow", at("07:00"), vec![]);
    listener.down("alerts", "mail", "09:05", None);
    listener.down("alerts", "mail", "09:05", Some("09:20"));
    listener.down("alerts", "pay", "11:50", None);
    assert_eq!(listener.declared(), [] as [&str; 0]);
    listener.told("alerts", at("12:01"), vec![]);
    let declared = listener.declared();
    assert!(declared.len() == 1 && declared[0].contains(" pay: "), "however far others are: {declared:#?}");
    listener.down("alerts", "new", "12:02", None);
    assert_eq!(listener.declared().len(), 2, "what is new is none of it");
}

#[test]
fn who_was_not_waited_for_tells_of_history_all_the_same() {
    let mut listener = Listener::new("");
    listener.told("alerts", at("12:00"), vec![]);
    listener.hears(&signals_tick(at("12:01")));
    listener.told("alerts", at("12:01"), vec![]);
    listener.down("slow", "db", "08:00", None);
    listener.down("slow", "db", "08:00", Some("08:30"));
    listener.down("slow", "search", "11:40", None);
    assert_eq!(listener.declared(), [] as [&str; 0], "time has gone on without it");
    listener.told("slow", at("12:03"), vec![]);
    let declared = listener.declared();
    assert!(declared.len() == 1 && declared[0].contains(" search: "), "{declared:#?}");
}

#[test]
fn all_of_it_is_declared_where_somebody_says_so() {
    let mut listener = Listener::new("situations: { declare_history: true }");
    listener.down("alerts", "mail", "09:05", None);
    listener.down("alerts", "mail", "09:05", Some("09:20"));
    let declared = listener.declared();
    assert!(declared.len() == 1 && declared[0].starts_with("09:05:00 "), "{declared:#?}");
}

#[test]
fn on_kafka_what_lasts_is_declared_once_all_was_read_and_what_is_new_at_once() {
    let case = case("time: { idle_after: 2s }");
    let world = World::new("history", &case, broker::shared());
    world.make_sources(1);
    world.produce(&case.records);
    let daemon = world.start_with(&[("RICHTER__SITUATIONS__DECLARE_HISTORY", "false")]);
    let told = line(&world.read("incidents", 1)[0].1);
    assert!(told.contains(" declared P2 pay: "), "{told}");
    world.until("the count of both", || world.metric("richter_suppressed_total{by=\"history\"}") == Some(2.0));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("later than 1970");
    let now = Timestamp(i64::try_from(now.as_millis()).expect("a time"));
    let labels = json!({"alertname": "ServiceDown", "service": "new"});
    let alert = json!({"status": "firing", "labels": labels, "startsAt": now.to_string(), "endsAt": "0001-01-01T00:00:00Z"});
    let payload = json!({"version": "4", "alerts": [alert]}).to_string().into_bytes();
    world.produce(&[Recorded { ts: now, payload: Some(payload), ..case.records[0].clone() }]);
    let told: Vec<String> = world.read("incidents", 3).iter().map(|(_, event)| line(event)).collect();
    assert!(told.iter().any(|told| told.contains(" declared P2 new: ")), "{told:#?}");
    assert_eq!(daemon.stops(), Some(0), "{}", world.log());
}

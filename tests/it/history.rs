//! What Kafka still has from before somebody listened: it teaches, and only what lasts makes a fault.

use richter::model::Timestamp;
use richter::wire::recording::Recorded;

use super::broker;
use super::case::{Case, events, line, push};
use super::world::World;

/// One fault is over at 09:20; the other one lasts from 11:50 on.
fn case(settings: &str) -> Case {
    let text = format!(
        "== settings\n{settings}\n\
         == monitors\nmonitors:\n  - {{ name: down, scenario: The service is down, entity: \"service={{{{ service }}}}\", alerts: ServiceDown, \
         fault: {{ sequence: P, ladder: [ {{ level: 2 }} ] }} }}\n\
         == records 2026-11-22T09:00:00Z every 1m\n\
         alert 09:05 firing ServiceDown service=mail\n\
         alert 09:20 resolved@09:05 ServiceDown service=mail\n\
         alert 11:50 firing ServiceDown service=pay\n\
         raw 11:55 alerts {{\"version\":\"4\",\"alerts\":[]}}\n\
         raw 12:01 alerts {{\"version\":\"4\",\"alerts\":[]}}\n\
         raw 12:06 alerts {{\"version\":\"4\",\"alerts\":[]}}\n"
    );
    Case::parse("history", &text)
}

/// As the log has it where somebody first listens at noon: the time is told before the history comes. Sources that are
/// silent hold time back for five minutes.
fn declared(case: &Case) -> Vec<String> {
    let mut pipeline = case.pipeline();
    let noon = Timestamp::parse("2026-11-22T12:00:00Z").expect("a time");
    let first = Recorded { ts: noon, topic: "unknown".into(), ..case.records[0].clone() };
    let mut out = push(&mut pipeline, &first);
    case.records.iter().for_each(|recorded| out.extend(push(&mut pipeline, recorded)));
    events(&out.messages).iter().map(line).filter(|line| line.contains("declared")).collect()
}

#[test]
fn of_what_was_before_only_what_lasts_is_declared() {
    let [told] = declared(&case("time: { idle_after: 5m }")).try_into().expect("one fault lasts");
    assert!(told.starts_with("12:06:00 ") && told.contains(" pay: "), "{told}");
    let all = declared(&case("situations: { declare_history: true }"));
    assert!(all.len() == 2 && all[0].starts_with("09:05:00 ") && all[1].starts_with("11:50:00 "), "{all:#?}");
}

#[test]
fn what_lasts_is_declared_once_all_that_kafka_has_was_read() {
    let case = case("time: { idle_after: 2s }");
    let world = World::new("history", &case, broker::shared());
    world.make_sources(1);
    world.produce(&case.records);
    let daemon = world.start_with(&[("RICHTER__SITUATIONS__DECLARE_HISTORY", "false")]);
    let told = line(&world.read("incidents", 1)[0].1);
    assert!(told.contains(" declared P2 pay: "), "{told}");
    world.until("the count of both", || world.metric("richter_suppressed_total{by=\"history\"}") == Some(2.0));
    assert_eq!(daemon.stops(), Some(0), "{}", world.log());
}

//! Reloads in the middle of a fault: nothing open is closed, repeated or graded anew, and only whoever is on duty now is told.

use std::sync::Arc;

use richter::rules::{Config, Files, Tuning};
use richter::stage::Outbox;

use super::case::{Case, events, line, push};

const MONITORS: &str = r#"
monitors:
  - name: orders
    scenario: Customers cannot place orders
    entity: "service={{ service }}"
    query: sum by (service) (orders)
    every: 1m
    judge: { static: { below: 80 }, for: 2m }
    fault: { sequence: P, ladder: [ { level: 1, value: "< 30", for: 2m }, { level: 3 } ] }
"#;

fn config(monitors: &str) -> Arc<Config> {
    let files = Files { monitors: vec![("monitors.yaml".into(), monitors.into())], ..Files::default() };
    let (config, faults) = Config::new(&files, Tuning::default());
    assert_eq!(faults, []);
    Arc::new(config)
}

/// What is told when other monitors are loaded after so many records.
fn told(after: usize, reloaded: &str) -> Vec<String> {
    const ORDERS: &str = "metric orders{service=\"checkout\"} 100x5 50x5 20x6 100x6\n";
    told_of(MONITORS, ORDERS, after, reloaded)
}

fn told_of(monitors: &str, rows: &str, after: usize, reloaded: &str) -> Vec<String> {
    let text = format!("== monitors\n{monitors}\n== records 2026-11-22T15:00:00Z every 1m\n{rows}");
    let case = Case::parse("reload", &text);
    let (mut pipeline, mut out) = (case.pipeline(), Outbox::default());
    for (number, recorded) in case.records.iter().enumerate() {
        if number == after {
            assert_eq!(pipeline.follow(&config(reloaded)).messages, [], "a reload tells nothing");
        }
        out.extend(push(&mut pipeline, recorded));
    }
    events(&out.messages).iter().map(line).collect()
}

const PLAIN: [&str; 3] = [
    "15:07:00 #1 declared P3 checkout: P3: any breach; suspects checkout",
    "15:12:00 #2 escalated P1 checkout: P3 → P1: value < 30 for 2m",
    "15:16:00 #3 recovering P1 checkout: all that counts has ended",
];

#[test]
fn the_same_rules_again_change_nothing() {
    for after in 0..22 {
        assert_eq!(told(after, MONITORS), PLAIN, "after {after} records");
    }
}

#[test]
fn what_is_open_keeps_the_ladder_it_began_under() {
    let milder = MONITORS.replace("\"< 30\"", "\"< 1\"");
    assert_eq!(told(10, &milder), PLAIN);
}

#[test]
fn levels_are_of_their_sequence_wherever_that_stands() {
    let stock = MONITORS.replace("orders", "stock").replace("sequence: P", "sequence: D");
    let monitors = format!("{MONITORS}{}", stock.trim_start().trim_start_matches("monitors:\n"));
    let ordered = |names: [&str; 2]| {
        let sequences = names.map(|name| format!("{{ name: {name}, levels: 4 }}")).join(", ");
        let levels = vec![("levels.yaml".into(), format!("sequences: [ {sequences} ]"))];
        let files = Files { monitors: vec![("monitors.yaml".into(), monitors.clone())], levels, ..Files::default() };
        let (config, faults) = Config::new(&files, Tuning::default());
        assert_eq!(faults, []);
        Arc::new(config)
    };
    let rows = "metric orders{service=\"checkout\"} 100x5 50x15 100x9\nmetric stock{service=\"checkout\"} 100x11 20x9 100x9\n";
    let text = format!("== monitors\n{monitors}\n== records 2026-11-22T15:00:00Z every 1m\n{rows}");
    let case = Case::parse("reordered", &text);
    let told = |reloaded: [&str; 2]| {
        let (mut pipeline, mut out) = (case.pipeline(), Outbox::default());
        pipeline.follow(&ordered(["P", "D"]));
        for (number, recorded) in case.records.iter().enumerate() {
            if number == 20 {
                pipeline.follow(&ordered(reloaded));
            }
            out.extend(push(&mut pipeline, recorded));
        }
        events(&out.messages).iter().map(line).collect::<Vec<_>>()
    };
    let plain = told(["P", "D"]);
    assert!(plain.iter().any(|line| line.contains("D1: value < 30 for 2m")), "{plain:#?}");
    assert_eq!(told(["D", "P"]), plain);
}

#[test]
fn whoever_is_on_duty_by_the_new_rules_is_handed_over_to() {
    let monitors = MONITORS.replace("entity:", "owner: shop\n    entity:");
    let staffed = |name: &str| {
        let teams =
            format!("teams: [ {{ name: shop, shifts: [ {{ name: all, people: [ {name} ] }} ] }} ]\nemergency: [ {{ gather: [ owner ] }} ]");
        let (monitors, duty) = (vec![("monitors.yaml".into(), monitors.clone())], vec![("duty.yaml".into(), teams)]);
        let (config, faults) = Config::new(&Files { monitors, duty, ..Files::default() }, Tuning::default());
        assert_eq!(faults, []);
        Arc::new(config)
    };
    let rows = "metric orders{service=\"checkout\"} 100x5 50x15 100x9\n";
    let text = format!("== monitors\n{MONITORS}\n== records 2026-11-22T15:00:00Z every 1m\n{rows}");
    let case = Case::parse("staffed", &text);
    let told = |reloaded: &str| {
        let (mut pipeline, mut out) = (case.pipeline(), Outbox::default());
        pipeline.follow(&staffed("ann"));
        for (number, recorded) in case.records.iter().enumerate() {
            if number == 12 {
                out.extend(pipeline.follow(&staffed(reloaded)));
            }
            out.extend(push(&mut pipeline, recorded));
        }
        events(&out.messages).iter().map(line).collect::<Vec<_>>()
    };
    let handed_over = |told: &str| told.contains("handed_over");
    assert!(!told("ann").iter().any(|told| handed_over(told)));
    let told = told("zoe");
    assert_eq!(
        told.iter().filter(|told| handed_over(told)).collect::<Vec<_>>(),
        ["15:10:55 #2 handed_over P3 checkout: on duty: ann → zoe"]
    );
}

#[test]
fn what_is_pending_begins_anew_under_the_new_ladder() {
    let other = MONITORS.replace("level: 3 }", "level: 2 }").replace("for: 2m }, {", "for: 3m }, {");
    let told = told(7, &other);
    assert_eq!(told[0], "15:08:00 #1 declared P2 checkout: P2: any breach; suspects checkout");
    assert_eq!(told[1], "15:13:00 #2 escalated P1 checkout: P2 → P1: value < 30 for 3m");
}

#[test]
fn an_open_breach_outlives_a_changed_query() {
    let changed = MONITORS.replace("sum by (service)", "min by (service)");
    let told = told(12, &changed);
    assert_eq!((told.len(), told[0].as_str(), told[2].as_str()), (3, PLAIN[0], PLAIN[2]), "{told:#?}");
}

#[test]
fn an_open_breach_stays_as_it_is_while_the_range_of_a_changed_query_fills() {
    let monitors = |selector: &str| {
        format!(
            "monitors:\n- {{ name: failed, scenario: Payments fail, entity: \"service={{{{ service }}}}\", every: 1m, \
             query: 'sum by (service) (increase({selector}[20m]))', judge: {{ static: {{ above: 60 }}, for: 2m }}, \
             fault: {{ sequence: P, ladder: [ {{ level: 1, value: \"< 90\", for: 2m }}, {{ level: 3 }} ] }} }}"
        )
    };
    let told = |selector: &str| told_of(&monitors("failed"), "metric failed{service=\"pay\"} 0x1 0+0x30 0+6x50\n", 70, &monitors(selector));
    let plain = told("failed");
    assert!(plain.iter().any(|told| told.contains("declared")) && !plain.iter().any(|told| told.contains("recover")), "{plain:#?}");
    assert_eq!(told("failed{service!=\"test\"}"), plain);
}

#[test]
fn what_has_just_ended_is_watched_while_the_range_of_a_changed_query_fills() {
    let monitors = |selector: &str| {
        format!(
            "monitors:\n- {{ name: failed, scenario: Payments fail, entity: \"service={{{{ service }}}}\", every: 1m, \
             query: 'sum by (service) (increase({selector}[20m]))', judge: {{ static: {{ above: 60 }} }}, \
             fault: {{ sequence: P, ladder: [ {{ level: 3 }} ] }} }}"
        )
    };
    let rows = "metric failed{service=\"pay\"} 0x1 0+0x30 0+6x15 84+0x20 84+90x10\n";
    let told = told_of(&monitors("failed"), rows, 57, &monitors("failed{service!=\"test\"}"));
    assert!(told.iter().any(|told| told.contains("reopened") && told < &"16:12".to_owned()), "{told:#?}");
}

#[test]
fn what_is_open_of_a_removed_monitor_recovers_after_an_hour() {
    let told = |rows: &str| told_of(MONITORS, rows, 12, "monitors: []");
    assert_eq!(told("metric orders{service=\"checkout\"} 100x5 50x5 20x60\n"), PLAIN[..1], "it may come back");
    let gone = |at: usize| told_of(MONITORS, "metric orders{service=\"checkout\"} 100x5 50x5 20x6 100x80\n", at, "monitors: []");
    assert!(gone(17).last().is_some_and(|told| told.contains("recovered")), "what has ended and is not known to stay so recovers, too");
    let ended = told("metric orders{service=\"checkout\"} 100x5 50x5 20x80\n");
    let recovering =
        "16:11:55 #2 recovering P3 checkout: all that counts has ended; orders is no monitor any more, so nothing tells whether it lasts";
    assert_eq!(ended[..2], [PLAIN[0], recovering]);
    assert!(ended[2].starts_with("16:16:55 #3 recovered"), "{ended:#?}");
}

/// Another instance, which does not know the monitor yet, has the partition for a while.
#[test]
fn a_monitor_that_is_gone_for_a_while_keeps_what_it_knew() {
    let text = format!(
        "== monitors\n{MONITORS}\n== records 2026-11-22T15:00:00Z every 1m\nmetric orders{{service=\"checkout\"}} 100x5 50x5 20x6 100x6\n"
    );
    let case = Case::parse("parked", &text);
    let (mut pipeline, mut out) = (case.pipeline(), Outbox::default());
    for (number, recorded) in case.records.iter().enumerate() {
        match number {
            9 => drop(pipeline.follow(&config("monitors: []"))),
            12 => drop(pipeline.follow(&config(MONITORS))),
            _ => {}
        }
        out.extend(push(&mut pipeline, recorded));
    }
    let told: Vec<String> = events(&out.messages).iter().map(line).collect();
    let rest =
        ["15:14:00 #2 escalated P1 checkout: P3 → P1: value < 30 for 2m", "15:16:00 #3 recovering P1 checkout: all that counts has ended"];
    assert_eq!(told, [&PLAIN[..1], &rest].concat());
}

#[test]
fn a_monitor_that_is_added_takes_up_what_fires_already() {
    let rows = "metric noise{service=\"clock\"} 1x30\nalert 15:05 firing Down service=shop\n";
    let added = "monitors:\n- { name: down, scenario: The shop is down, entity: \"service={{ service }}\", alerts: Down, \
                 fault: { sequence: P, ladder: [ { level: 1, for: 15m }, { level: 2 } ] } }";
    let told = told_of("monitors: []", rows, 12, added);
    let expected =
        ["15:09:55 #1 declared P2 shop: P2: any breach; suspects shop", "15:20:00 #2 escalated P1 shop: P2 → P1: breach for 15m"];
    assert_eq!(told[..2], expected, "{told:?}");
}

#[test]
fn heartbeats_are_listened_for_as_the_new_rules_say() {
    let monitors = |absent: &str| {
        format!(
            "monitors:\n- {{ name: alive, scenario: Nobody hears of faults, entity: service=alerting, alerts: Watchdog, \
             judge: {{ absent: {absent} }}, fault: {{ sequence: P, ladder: [ {{ level: 1 }} ] }} }}"
        )
    };
    let rows = "metric other{service=\"clock\"} 1x30\nalert 15:00 firing Watchdog service=alerting\n\
                alert 15:28 firing@15:00 Watchdog service=alerting\n";
    let told = |after: usize, reloaded: &str| {
        let told = told_of(&monitors("20m"), rows, after, reloaded);
        told.into_iter().filter(|line| !line.contains("nobody has acknowledged it")).collect::<Vec<_>>()
    };
    let silent = |at: &str| format!("{at} #1 declared P1 alerting: P1: any breach; suspects alerting");
    let heard = |number: u8| format!("15:28:00 #{number} recovering P1 alerting: all that counts has ended");
    assert_eq!(told(5, &monitors("20m")), [silent("15:20:00"), heard(2)]);
    assert_eq!(told(5, &monitors("10m")), [silent("15:10:00"), heard(3)]);
    assert_eq!(told(25, &monitors("1h")), [silent("15:20:00"), heard(2)], "told is told");
    assert_eq!(told(25, "monitors: []"), [silent("15:20:00")], "as the breach of a monitor that is removed");
    assert_eq!(told(5, "monitors: []"), Vec::<String>::new());
}

#[test]
fn a_heartbeat_that_nobody_listens_for_any_more_recovers_after_an_hour() {
    let monitors = |name: &str| {
        format!(
            "monitors:\n- {{ name: {name}, scenario: Nobody hears of faults, entity: service=alerting, alerts: Watchdog, \
             judge: {{ absent: 20m }}, fault: {{ sequence: P, ladder: [ {{ level: 1 }} ] }} }}"
        )
    };
    let told = |rows: &str, reloaded: &str| {
        let rows = format!("metric other{{service=\"clock\"}} 1x100\nalert 15:00 firing Watchdog service=alerting\n{rows}");
        let told = told_of(&monitors("alive"), &rows, 25, reloaded);
        told.into_iter().filter(|line| !line.contains("follow_up_due")).collect::<Vec<_>>()
    };
    let silent = "15:20:00 #1 declared P1 alerting: P1: any breach; suspects alerting";
    let removed = told("", "monitors: []");
    assert!(removed[1].contains(" recovering ") && removed[1].contains("alive is no monitor any more"), "{removed:#?}");
    assert_eq!((removed[0].as_str(), &removed[1][..5]), (silent, "16:23"), "{removed:#?}");
    let renamed = told("alert 16:02 firing@15:00 Watchdog service=alerting\n", &monitors("heartbeat"));
    assert_eq!(renamed[0], silent);
    assert!(renamed[1].starts_with("16:02:00") && renamed[1].contains("recovering P1"), "{renamed:#?}");
    assert_eq!(told("", &monitors("heartbeat")), [silent], "silent by the new name, too");
}

/// The monitor was only about evidence, and becomes one of a business in the middle of a breach.
#[test]
fn what_is_on_already_is_a_fault_once_its_monitor_is_about_one() {
    let technical = MONITORS.lines().filter(|line| !line.contains("scenario") && !line.contains("fault")).collect::<Vec<_>>().join("\n");
    let rows = "metric orders{service=\"checkout\"} 100x5 50x5 20x6 100x6\n";
    assert_eq!(
        told_of(&technical, rows, 9, MONITORS),
        [
            "15:08:00 #1 declared P3 checkout: P3: any breach; suspects checkout",
            "15:12:00 #2 escalated P1 checkout: P3 → P1: value < 30 for 2m",
            "15:16:00 #3 recovering P1 checkout: all that counts has ended",
        ]
    );
}

/// The monitor is only about evidence from now on; what was a fault before it ends and comes again.
#[test]
fn a_fault_recovers_though_its_monitor_is_about_none_any_more() {
    let technical = MONITORS.lines().filter(|line| !line.contains("scenario") && !line.contains("fault")).collect::<Vec<_>>().join("\n");
    let rows = "metric orders{service=\"checkout\"} 100x5 50x5 100x3 50x5 100x20\n";
    let told = told_of(MONITORS, rows, 9, &technical);
    assert!(told.last().is_some_and(|told| told.contains(" recovered ")), "{told:#?}");
}

#[test]
fn names_are_those_of_the_new_rules() {
    let named = |names: &str| MONITORS.replace("entity:", &format!("{names}\n    entity:"));
    let (before, after) = (named("owner: shop\n    business: web"), named("owner: sales\n    business: store"));
    let renamed = after.replace("cannot place", "place no");
    let text = format!(
        "== monitors\n{before}\n== records 2026-11-22T15:00:00Z every 1m\nmetric orders{{service=\"checkout\"}} 100x5 50x5 20x6 100x6\n"
    );
    let case = Case::parse("renamed", &text);
    let (mut pipeline, mut out) = (case.pipeline(), Outbox::default());
    for (number, recorded) in case.records.iter().enumerate() {
        if number == 9 {
            out.extend(pipeline.follow(&config(&renamed)));
        }
        out.extend(push(&mut pipeline, recorded));
    }
    let told = events(&out.messages);
    let of = |event: &serde_json::Value| {
        let incident = &event["data"]["incident"];
        [&incident["owner"], &incident["business"], &incident["scenario"]].map(|name| name.as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(of(&told[0]), ["shop", "web", "Customers cannot place orders"]);
    assert_eq!(of(&told[1]), ["sales", "store", "Customers place no orders"]);
}

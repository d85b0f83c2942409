//! Grouping on storms of known truth; `cargo bench --bench correlate` prints the scores.

use richter::stage::Count;
use serde_json::json;

use super::case::{Case, events, line};
use super::judges::normal;
use super::random::Random;
use super::storm::Storm;

const SEEDS: std::ops::Range<u64> = 1..4;

/// How late alerts may be, in milliseconds.
const LATE: u64 = 60_000;

#[test]
fn faults_are_kept_apart_and_their_roots_are_found() {
    for seed in SEEDS {
        let score = Storm::new(seed).score(5_000, seed);
        eprintln!("seed {seed}: B3 {:.3} ARI {:.3} root@1 {:.2} root@3 {:.2}", score.b3, score.ari, score.root_first, score.root_third);
        assert!(score.b3 > 0.8 && score.ari > 0.6, "seed {seed}");
        assert!(score.largest <= 2 * score.largest_true, "seed {seed}: one group glues faults together");
        assert!(score.root_first > 0.6 && score.root_third > 0.8, "seed {seed}");
    }
}

#[test]
fn without_a_topology_there_are_few_groups_that_are_not_glued_together() {
    for seed in SEEDS {
        let score = Storm::new(seed).blind().score(5_000, seed);
        eprintln!("seed {seed}: B3 {:.3} ARI {:.3} root@3 {:.2}", score.b3, score.ari, score.root_third);
        assert!(score.b3 > 0.6 && score.ari > 0.4, "seed {seed}");
        assert!(score.largest <= 2 * score.largest_true, "seed {seed}: one group glues faults together");
    }
}

/// Two hundred pages in a few seconds of what nobody knows anything of, where a situation has room for fifty.
#[test]
fn a_crowd_of_strangers_fills_one_situation_after_another() {
    let mut rows = String::new();
    for service in 0..200 {
        rows.push_str(&format!("alert 15:05:{:02} firing Down service=s{service}\n", service / 50));
    }
    let text = format!(
        "== monitors\nmonitors:\n  - {{ name: down, scenario: Down, entity: \"service={{{{ service }}}}\", alerts: Down, \
         fault: {{ sequence: P, ladder: [ {{ level: 2 }} ] }} }}\n== settings\nsituations: {{ size_max: 50 }}\n\
         == records 2026-11-22T15:00:00Z every 1m\n{rows}"
    );
    let out = Case::parse("crowd", &text).run();
    let declared = events(&out.messages).iter().map(line).filter(|line| line.contains("declared")).count();
    assert!((4..=8).contains(&declared), "{declared}");
}

/// Over all, within two points of a hundred; a fault on the edge between two groups may fall to either side.
#[test]
fn the_order_of_arrival_matters_little() {
    let spread = |seed: u64| {
        let storm = Storm::new(seed);
        let scores: Vec<f64> = [1, 2, 3].into_iter().map(|shuffle| storm.score(LATE, shuffle).b3).collect();
        eprintln!("seed {seed}: {scores:.3?}");
        scores.iter().copied().fold(0.0, f64::max) - scores.iter().copied().fold(1.0, f64::min)
    };
    let mean = SEEDS.map(spread).sum::<f64>() / SEEDS.count() as f64;
    assert!(mean <= 0.02, "{mean}");
}

#[test]
fn the_same_order_gives_the_same_groups() {
    let storm = Storm::new(9);
    assert_eq!(storm.score(LATE, 4).members, storm.score(LATE, 4).members);
}

/// A database takes twenty services down, each with a hundred alerts: one incident, of which not everything is kept, but
/// everything counted, and over when all is over.
#[test]
fn a_storm_is_counted_and_ends() {
    let mut rows = String::from("metric noise{service=\"clock\"} 1x240\n");
    for service in 0..20 {
        for instance in 0..100 {
            let labels = format!("Down service=s{service} instance=i{instance}");
            let second = (service * 3 + instance) % 60;
            rows.push_str(&format!("alert 15:05:{second:02} firing {labels}\n"));
            rows.push_str(&format!("alert 15:30:{second:02} resolved@15:05:{second:02} {labels}\n"));
        }
    }
    let services: String = (0..20).map(|s| format!("  - {{ name: service=s{s}, depends_on: [ service=db ] }}\n")).collect();
    let text = format!(
        "== monitors\nmonitors:\n  - {{ name: web, scenario: Nobody can buy, entity: service=s0, alerts: Shop, \
         fault: {{ sequence: P, ladder: [ {{ level: 1 }} ] }} }}\n== topology\nentities:\n  - {{ name: service=db }}\n{services}\
         == records 2026-11-22T15:00:00Z every 1m\n{rows}alert 15:05:02 firing DbDown service=db\n\
         alert 15:05:05 firing Shop service=s0\nalert 15:31:00 resolved@15:05:05 Shop service=s0\n\
         alert 15:31:30 resolved@15:05:02 DbDown service=db\n"
    );
    let case = Case::parse("storm", &text);
    let out = case.run();
    let told: Vec<String> = events(&out.messages).iter().map(line).collect();
    let storm = "alerts by now, further ones are only counted";
    assert!(told[0].contains("declared P1") && told.iter().any(|line| line.contains(storm)), "{told:#?}");
    assert!(told.last().is_some_and(|line| line.contains("recovered P1")), "{told:#?}");
    let last = &events(&out.messages).pop().expect("an event")["data"]["incident"];
    let counted: u64 = last["counted"].as_array().into_iter().flatten().filter_map(|counted| counted["told"].as_u64()).sum();
    assert_eq!(last["members_total"], 2002);
    assert!(counted >= 1000 && last["counted"][0]["firing"] == 0, "{}", last["counted"]);
    let kinds = |kind: &str| out.trace.iter().filter(|line| line["kind"] == kind).count();
    assert_eq!((kinds("storm"), kinds("calm")), (1, 1));
}

/// Billing fails whenever the database does, five times over, although nobody wrote down that it depends on it; the sixth
/// time that is known, as surely as six of seven, by Laplace's rule. Mail fails as well, but as often by itself.
#[test]
fn what_often_fails_together_is_learnt() {
    let mut rows = String::from("metric noise{service=\"clock\"} 1x1400\n");
    for hour in (0..18).step_by(3) {
        let mut alert = |minute: usize, second: usize, labels: &str| {
            rows.push_str(&format!("alert {hour:02}:{minute:02}:{second:02} firing {labels}\n"));
            rows.push_str(&format!("alert {hour:02}:{:02}:00 resolved@{hour:02}:{minute:02}:{second:02} {labels}\n", minute + 10));
        };
        alert(5, 0, "Down service=db");
        for service in ["web", "pay", "cart", "login", "search"] {
            alert(5, 8, &format!("Slow service={service}"));
        }
        for alertname in ["Failing", "Slow"] {
            alert(5, 10, &format!("{alertname} service=billing"));
        }
        alert(40, 0, "Slow service=mail");
    }
    rows.push_str("alert 15:06:00 firing Shop service=web\nalert 15:20:00 resolved@15:06:00 Shop service=web\n");
    let services: String =
        ["web", "pay", "cart", "login", "search"].map(|s| format!("  - {{ name: service={s}, depends_on: [ service=db ] }}\n")).concat();
    let text = format!(
        "== monitors\nmonitors:\n  - {{ name: web, scenario: Nobody can buy, entity: service=web, alerts: Shop, \
         fault: {{ sequence: P, ladder: [ {{ level: 1 }} ] }} }}\n== topology\nentities:\n  - {{ name: service=db }}\n{services}  \
         - {{ name: service=billing }}\n  - {{ name: service=mail }}\n== records 2026-11-22T00:00:00Z every 1m\n{rows}"
    );
    let out = Case::parse("together", &text).run();
    let joined = |line: &&serde_json::Value| line["kind"] == "member" && line["entity"] == "service=billing" && line["name"] == "Failing";
    let why: Vec<&str> = out.trace.iter().filter(joined).filter_map(|line| line["why"].as_str()).collect();
    assert!(why.contains(&"while the trouble of service=db spread"), "{why:?}");
    assert_eq!(why.last(), Some(&"depends on service=db"), "{why:?}");
    let last = out.trace.iter().rfind(joined).expect("billing is told of");
    let parts = last["evidence"].as_array().expect("parts");
    let doubt = parts.iter().find(|part| part["kind"] == "confidence").unwrap_or_else(|| panic!("{last}"));
    assert_eq!(doubt["reference"], "topology: service=billing -> service=db");
    assert_eq!(doubt["value"].as_f64().map(|value| value as f32), Some(6.0 / 7.0));
}

/// The database was slow three minutes before, too long for a single alert to be its doing, and nobody was paged; that it was is
/// said.
#[test]
fn what_failed_before_is_not_said_to_be_silent() {
    let text = "== monitors\nmonitors:\n  - { name: down, scenario: Down, entity: \"service={{ service }}\", alerts: Down, \
         fault: { sequence: P, ladder: [ { level: 2 } ] } }\n== topology\nentities:\n  - { name: service=api, depends_on: [ service=db ] }\n  \
         - { name: service=db }\n== records 2026-11-22T15:00:00Z every 1m\nmetric noise{service=\"clock\"} 1x20\n\
         alert 15:02 firing Slow service=db\nalert 15:05 firing Down service=api\nraw 15:15 alerts {\"version\":\"4\",\"alerts\":[]}\n";
    let out = Case::parse("before", text).run();
    let suspects = out.trace.iter().filter(|line| line["kind"] == "cause").filter_map(|line| line["ranking"].as_array()).flatten();
    let parts = suspects.filter(|suspect| suspect["entity"] == "service=db").filter_map(|suspect| suspect["evidence"].as_array()).flatten();
    let silent: Vec<&str> = parts.filter(|part| part["kind"] == "silent").filter_map(|part| part["what"].as_str()).collect();
    let said = "nothing is told of it that began now; it failed 180 s before, which is taken for another matter";
    assert!(!silent.is_empty() && silent.iter().all(|what| *what == said), "{silent:?}");
}

/// Four hundred alerts in one second, twenty of each of twenty services: of each service one is kept, of all two hundred, and the rest
/// is counted.
#[test]
fn what_comes_all_at_once_is_counted_but_every_entity_is_kept() {
    let mut rows = String::from("metric noise{service=\"clock\"} 1x240\n");
    for instance in 0..20 {
        for service in 0..20 {
            rows.push_str(&format!("alert 15:05:02 firing Down service=s{service} instance=i{instance}\n"));
        }
    }
    rows.push_str("alert 15:05:02 firing Down service=late\nalert 15:05:02 firing Shop service=s0\n");
    let services: String = (0..20).map(|s| format!("  - {{ name: service=s{s}, depends_on: [ service=db ] }}\n")).collect();
    let text = format!(
        "== monitors\nmonitors:\n  - {{ name: web, scenario: Nobody can buy, entity: service=s0, alerts: Shop, \
         fault: {{ sequence: P, ladder: [ {{ level: 1 }} ] }} }}\n== topology\nentities:\n  - {{ name: service=db }}\n\
         \x20 - {{ name: service=late, depends_on: [ service=db ] }}\n{services}== records 2026-11-22T15:00:00Z every 1m\n\
         alert 15:05:00 firing DbDown service=db\n{rows}"
    );
    let out = Case::parse("burst", &text).run();
    let last = &events(&out.messages).pop().expect("an event")["data"]["incident"];
    assert_eq!(last["members_total"], 403);
    let counted: u64 = last["counted"].as_array().into_iter().flatten().filter_map(|counted| counted["told"].as_u64()).sum();
    assert!((150..=210).contains(&counted), "{counted}");
    assert!(last["counted"].as_array().expect("a list").iter().all(|counted| counted["entity"] != "service=late"), "its only one is kept");
}

#[test]
fn a_member_tells_with_what_else_it_was_nearly_connected() {
    let text = include_str!("../cases/two_faults_stay_two.txt");
    let out = Case::parse("two", text).run();
    let events = events(&out.messages);
    let mut members = events.iter().flat_map(|event| event["data"]["incident"]["members"].as_array().into_iter().flatten());
    let web = members.rfind(|member| member["entity"] == "service=web").expect("the caller of both");
    let (joined, other) = (web["joined"].as_str().expect("a text"), &web["alternative"]);
    assert!(joined.contains("service=a") && other["entity"] == "service=db-b", "{web}");
    assert!(other["nats"].as_f64() <= web["joined_nats"].as_f64(), "{web}");
}

#[test]
fn what_calls_have_too_much_of_is_laid_to_whom_most_of_them_share() {
    let text = include_str!("../cases/a_bad_network_is_seen_on_the_calls.txt");
    let first = |text: &str| {
        let out = Case::parse("network", text).run();
        events(&out.messages).pop().expect("an event")["data"]["incident"]["suspects"][0].clone()
    };
    let cart = first(text);
    assert_eq!(cart["entity"], "service=cart");
    assert_eq!(cart["metrics"][0]["name"], "network", "{cart}");
    let edge = cart["evidence"].as_array().into_iter().flatten().find(|part| part["kind"] == "edge").expect("the calls");
    assert_eq!((edge["value"].as_f64(), edge["reference"].as_str()), (Some(0.667), Some("monitor: network")), "{edge}");
    // Without it there is nothing to be seen of the cart.
    let blind: String = text.lines().filter(|line| !line.starts_with("metric calls")).map(|line| format!("{line}\n")).collect();
    assert_ne!(first(&blind)["entity"], "service=cart");
}

/// The database has been odd since half past two, though an alert tells of trouble five minutes later only.
#[test]
fn a_change_after_the_first_oddity_is_cleared() {
    let text = include_str!("../cases/what_is_odd_explains_an_alert.txt");
    let suspected = |change: &str| {
        let text = text.replace("alert 14:35", &format!("change {change} db v2\nalert 14:35"));
        let out = Case::parse("changed", &text).run();
        let incident = events(&out.messages).pop().expect("an event")["data"]["incident"].clone();
        assert_eq!(incident["suspects"][0]["entity"], "service=db");
        (!incident["suspects"][0]["change"].is_null(), incident["no_change"].as_f64().expect("a number"))
    };
    let ((before, unlikely), (after, likely)) = (suspected("14:25"), suspected("14:33"));
    assert!(before && !after && unlikely < likely, "{unlikely} {likely}");
}

/// The sum of the parts of a score, in nats.
fn sum(of: &serde_json::Value) -> f64 {
    of["evidence"].as_array().into_iter().flatten().filter_map(|part| part["nats"].as_f64()).sum()
}

/// A score is the sum of its parts, as far as they are rounded: of memberships as of suspects.
#[test]
fn what_is_told_of_a_score_adds_up_to_it() {
    let (mut told, mut related) = (0, 0);
    for path in super::golden::cases() {
        let out = Case::parse("parts", &std::fs::read_to_string(&path).expect("readable")).run();
        for event in events(&out.messages) {
            let incident = &event["data"]["incident"];
            for member in incident["members"].as_array().into_iter().flatten() {
                assert!((sum(member) - member["joined_nats"].as_f64().expect("a number")).abs() < 0.002, "{member}");
                told += member["evidence"].as_array().map_or(0, Vec::len);
            }
            for told in incident["history"].as_array().into_iter().flatten().filter(|told| told["evidence"] != json!([])) {
                let reason = told["reason"].as_str().expect("words");
                assert!(!reason.contains("nats"), "the parts tell them: {told}");
                related += 1;
            }
            let suspects = incident["suspects"].as_array().into_iter().flatten().collect::<Vec<_>>();
            for suspect in suspects.iter().filter(|suspect| suspect["metrics"] != json!([])) {
                let metrics = suspect["metrics"].as_array().into_iter().flatten().filter_map(|metric| metric["probability"].as_f64());
                assert!((metrics.sum::<f64>() - suspect["probability"].as_f64().expect("a number")).abs() < 0.003, "{suspect}");
            }
            let changed: f64 = suspects.iter().filter_map(|suspect| suspect["change_probability"].as_f64()).sum();
            assert!(changed <= 1.003 - incident["no_change"].as_f64().unwrap_or(0.0), "{incident}");
            for two in suspects.windows(2) {
                assert!(sum(two[0]) >= sum(two[1]) - 0.01, "{} {}", two[0], two[1]);
            }
        }
    }
    assert!(told > 100 && related > 0, "{told} {related}");
}

/// That a table was there before the fault clears the function that calls it; that it was not does not clear the table, for a count
/// of errors often begins with the first one.
#[test]
fn what_is_new_may_be_the_doing_of_who_uses_it() {
    let text = include_str!("../cases/what_is_new_may_be_the_doing_of_its_user.txt");
    let suspected = |text: &str| {
        let out = Case::parse("new", text).run();
        let incident = events(&out.messages).pop().expect("an event")["data"]["incident"].clone();
        let suspects = incident["suspects"].as_array().expect("suspects");
        assert_eq!(suspects[0]["entity"], "service=table", "{incident}");
        let function = suspects.iter().find(|suspect| suspect["entity"] == "service=function").expect("the function");
        function["probability"].as_f64().expect("a number")
    };
    let (new, old) = (suspected(text), suspected(&text.replace("{service=\"table\"} _x100", "{service=\"table\"} 0x100")));
    assert!(new > 5.0 * old, "{new} {old}");
}

/// Both are slow and both have errors: the errors arise at the database, and of these those of the new version; what is slow is
/// the shop alone, but that is not told first.
#[test]
fn a_suspect_tells_where_it_shows_and_what_carries_it() {
    let text = "== monitors\nmonitors:\n  \
        - { name: errors, entity: \"service={{ service }}\", query: sum by (service) (errors), every: 1m, judge: { static: { above: 20 } }, \
        dimensions: [ version ] }\n  \
        - { name: slow, entity: \"service={{ service }}\", query: sum by (service) (slow), every: 1m, judge: { static: { above: 20 } } }\n  \
        - { name: shop, scenario: Nobody can buy, entity: service=shop, alerts: ShopDown, fault: { sequence: P, ladder: [ { level: 1 } ] } }\n\
        == topology\nentities:\n  - { name: service=shop, depends_on: [ service=db ] }\n  - { name: service=db }\n\
        == records 2026-11-22T15:00:00Z every 1m\n\
        metric errors{service=\"db\",version=\"1\"} 10x60\nmetric errors{service=\"db\",version=\"2\"} 5x40 300x20\n\
        metric errors{service=\"shop\",version=\"7\"} 5x40 200x20\n\
        metric slow{service=\"db\"} 5x40 30x20\nmetric slow{service=\"shop\"} 5x40 500x20\n\
        alert 15:42 firing ShopDown service=shop\n";
    let out = Case::parse("metrics", text).run();
    let incident = events(&out.messages).pop().expect("an event")["data"]["incident"].clone();
    let (first, second) = (&incident["suspects"][0], &incident["suspects"][1]);
    let names = |suspect: &serde_json::Value| {
        let metrics = suspect["metrics"].as_array().into_iter().flatten();
        metrics.map(|metric| metric["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((first["entity"].as_str(), names(first)), (Some("service=db"), vec!["errors".into(), "slow".into()]), "{first}");
    assert_eq!(names(second)[0], "slow", "{second}");
    let carrier = &first["metrics"][0]["dimensions"][0];
    assert_eq!(carrier["labels"], json!({"version": "2"}), "{carrier}");
}

/// Search fails while the database that it depends on does: with a change of search a minute before, more likely for that.
#[test]
fn what_was_just_changed_is_more_likely_to_fail_by_itself() {
    let together = |change: &str| {
        let others: String = (0..40).map(|s| format!("  - {{ name: service=s{s} }}\n")).collect();
        let text = format!(
            "== monitors\nmonitors:\n  - {{ name: web, scenario: Nobody can buy, entity: service=db, alerts: Shop, \
             fault: {{ sequence: P, ladder: [ {{ level: 1 }} ] }} }}\n== topology\nentities:\n  - {{ name: service=db }}\n  \
             - {{ name: service=search, depends_on: [ service=db ] }}\n{others}== records 2026-11-22T15:00:00Z every 1m\n\
             metric noise{{service=\"clock\"}} 1x60\nalert 15:05:00 firing Shop service=db\n{change}\
             alert 15:09:30 firing Slow service=search\nalert 15:09:32 firing Failing service=search\n"
        );
        let out = Case::parse("changed", &text).run();
        let last = &events(&out.messages).pop().expect("an event")["data"]["incident"];
        let mut members = last["members"].as_array().into_iter().flatten();
        let search = members.find(|member| member["entity"] == "service=search");
        if let Some(member) = search {
            assert!((sum(member) - member["joined_nats"].as_f64().expect("a number")).abs() < 0.002, "{member}");
        }
        search.is_some()
    };
    assert!(together(""));
    assert!(!together("change 15:08:30 search v8\n"));
    // One long before makes it less likely, if anything: that is a part of the score as well.
    assert!(together("change 15:08:00 s1 v1\nchange 15:08:10 s2 v1\nchange 14:20:00 search v8\n"));
}

/// More services depend on a database than are looked at one by one. Of it nothing is told.
#[test]
fn a_silent_hub_makes_one_fault_however_many_depend_on_it() {
    let services: String = (0..400).map(|s| format!("  - {{ name: service=s{s}, depends_on: [ service=db ] }}\n")).collect();
    let rows: String = (0..40).map(|s| format!("alert 15:05:{:02} firing Down service=s{}\n", s / 2 + 10, s * 7)).collect();
    let text = format!(
        "== monitors\nmonitors:\n  - {{ name: down, scenario: It is down, entity: \"service={{{{ service }}}}\", alerts: Down, \
         fault: {{ sequence: P, ladder: [ {{ level: 2, for: 2m }} ] }} }}\n== topology\nentities:\n  - {{ name: service=db }}\n{services}\
         == records 2026-11-22T15:00:00Z every 1m\nmetric noise{{service=\"clock\"}} 1x20\n{rows}"
    );
    let events = events(&Case::parse("hub", &text).run().messages);
    let declared: Vec<_> = events.iter().filter(|event| event["data"]["event"]["type"] == "declared").collect();
    assert_eq!(declared.len(), 1);
    assert_eq!(declared[0]["data"]["incident"]["suspects"][0]["entity"], "service=db");
}

/// Billing fails, then the database and all that depends on it. Nobody has said that the database depends on billing, so that is
/// not the first suspect, but it comes before what the database explains, and that is told why.
#[test]
fn what_others_explain_is_suspected_less_than_what_nothing_does() {
    let mut rows = String::from("metric noise{service=\"clock\"} 1x60\nalert 15:04:50 firing Slow service=billing\n");
    rows.push_str("alert 15:04:52 firing Failing service=billing\nalert 15:05:10 firing Down service=db\n");
    let services = ["web", "pay", "cart", "login", "search"];
    services.iter().for_each(|service| rows.push_str(&format!("alert 15:05:18 firing Slow service={service}\n")));
    rows.push_str("alert 15:06:40 firing Shop service=web\n");
    let callers: String = services.map(|s| format!("  - {{ name: service={s}, depends_on: [ service=db ] }}\n")).concat();
    let others: String = (0..40).map(|s| format!("  - {{ name: service=s{s} }}\n")).collect();
    let text = format!(
        "== monitors\nmonitors:\n  - {{ name: web, scenario: Nobody can buy, entity: service=web, alerts: Shop, \
         fault: {{ sequence: P, ladder: [ {{ level: 1 }} ] }} }}\n== topology\nentities:\n  - {{ name: service=db }}\n{callers}  \
         - {{ name: service=billing }}\n{others}== records 2026-11-22T15:00:00Z every 1m\n{rows}"
    );
    let out = Case::parse("unknown", &text).run();
    let suspects = &events(&out.messages).pop().expect("an event")["data"]["incident"]["suspects"];
    assert_eq!(suspects[0]["entity"], "service=db", "{suspects}");
    assert_eq!(suspects[1]["entity"], "service=billing", "{suspects}");
    let effect = |suspect: &serde_json::Value| {
        let part = suspect["evidence"].as_array().into_iter().flatten().find(|part| part["kind"] == "effect");
        part.and_then(|part| part["value"].as_f64()).expect("what others say of it")
    };
    assert!(effect(&suspects[2]) > 10.0 * effect(&suspects[1]), "{suspects}");
}

/// A silence ends while works go on: that is another reason, which is told and counted as well.
#[test]
fn each_reason_why_something_is_suppressed_is_counted() {
    let text = "== monitors\nmonitors:\n  - { name: down, scenario: Down, entity: service=a, alerts: Down, fault: { sequence: P, ladder: [ { level: 2 } ] } }\n\
                == suppress\nmaintenance: [ { name: works, entity: service=a, from: 2026-11-22T15:00:00Z, to: 2026-11-22T15:40:00Z } ]\n\
                == records 2026-11-22T15:00:00Z every 1m\nmetric noise{service=\"clock\"} 1x60\n\
                raw 15:01 commands {\"id\":\"s1\",\"author\":\"ann\",\"command\":\"silence\",\"alerts\":\"Down\",\"until\":\"2026-11-22T15:15:00Z\"}\n\
                alert 15:02 firing Down service=a\nalert 15:20 firing@15:02 Down service=a\n";
    let out = Case::parse("suppressed", text).run();
    let suppressed: Vec<_> = out.counts.iter().filter(|(count, _)| matches!(count, Count::Suppressed(_))).collect();
    assert_eq!(suppressed, [(&Count::Suppressed("maintenance"), &1), (&Count::Suppressed("silence"), &1)]);
    let told = |line: &&serde_json::Value| ["suppressed", "released"].contains(&line["kind"].as_str().unwrap_or_default());
    let kinds: Vec<&str> = out.trace.iter().filter(told).filter_map(|line| line["kind"].as_str()).collect();
    assert_eq!(kinds, ["suppressed", "suppressed", "released"]);
}

/// The cart is measured by the monitor that has too much of latency elsewhere, and is good: so it is less likely the root than what
/// is not measured.
#[test]
fn what_is_measured_and_good_is_suspected_less() {
    let text = "== monitors\nmonitors:\n  - { name: down, scenario: Down, entity: service=web, alerts: Down, fault: { sequence: P, ladder: [ { level: 2 } ] } }\n  \
                - { name: latency, entity: \"service={{ service }}\", query: max by (service) (latency), every: 1m, judge: { static: { above: 1 } } }\n\
                == topology\nentities:\n  - { name: service=web, depends_on: [ service=shop ] }\n  \
                - { name: service=shop, depends_on: [ service=cart, service=db ] }\n  - { name: service=cart }\n  - { name: service=db }\n\
                == records 2026-11-22T15:00:00Z every 1m\nmetric latency{service=\"web\"} 0.1x30 3x10\n\
                metric latency{service=\"shop\"} 0.1x30 3x10\nmetric latency{service=\"cart\"} 0.1x40\nalert 15:33 firing Down service=web\n";
    let suspects = |text: &str| {
        let declared = events(&Case::parse("measured", text).run().messages).remove(0);
        declared["data"]["incident"]["suspects"].as_array().cloned().unwrap_or_default()
    };
    let of = |suspects: &[serde_json::Value], entity: &str| {
        let suspect = suspects.iter().find(|suspect| suspect["entity"] == entity).cloned().expect("a suspect");
        let healthy = suspect["evidence"].as_array().into_iter().flatten().find(|part| part["kind"] == "healthy").cloned();
        (suspect["probability"].as_f64().expect("a number"), healthy.map(|part| part["reference"].clone()))
    };
    let measured = suspects(text);
    let ((cart, good), (db, none)) = (of(&measured, "service=cart"), of(&measured, "service=db"));
    assert_eq!((good, none), (Some(json!("monitor: latency")), None));
    assert!(2.0 * cart < db, "{cart}, {db}");
    let blind: String = text.lines().filter(|line| !line.contains("{service=\"cart\"}")).map(|line| format!("{line}\n")).collect();
    assert_eq!(of(&suspects(&blind), "service=cart"), of(&suspects(&blind), "service=db"));
}

/// The latency of six services is pure noise while one of them fails by a deploy: now and then an evaluation is odd by chance.
#[test]
fn what_is_odd_for_one_evaluation_is_neither_the_root_nor_does_it_clear_a_change() {
    const MONITORS: &str = r#"
monitors:
  - { name: errors, scenario: Customers get errors, entity: "service={{ service }}", query: sum by (service) (errors), every: 1m, judge: { static: { above: 0.05 }, for: 2m }, fault: { sequence: P, ladder: [ { level: 2 } ] } }
  - { name: latency, entity: "service={{ service }}", query: avg by (service) (seconds), every: 1m, judge: { baseline: { season: none, direction: up } } }
"#;
    const SERVICES: [&str; 6] = ["checkout", "cart", "pay", "orders", "accounts", "stock"];
    for seed in 1..=6 {
        let mut random = Random(seed);
        let mut rows = String::from("metric errors{service=\"checkout\"} 0.002x900 0.98x60\nchange +1d05:58 checkout v7\n");
        for service in SERVICES {
            let seconds = (0..960).map(|_| format!("{:.5}", 0.1 * (0.08 * normal(&mut random)).exp()));
            rows += &format!("metric seconds{{service=\"{service}\"}} {}\n", seconds.collect::<Vec<_>>().join(" "));
            rows += &if service == "checkout" { String::new() } else { format!("metric errors{{service=\"{service}\"}} 0.002x960\n") };
        }
        let on = SERVICES[1..].iter().map(|service| format!("service={service}")).collect::<Vec<_>>().join(", ");
        let listed: String = SERVICES[1..].iter().map(|service| format!("  - {{ name: service={service} }}\n")).collect();
        let topology = format!("entities:\n{listed}  - {{ name: service=checkout, depends_on: [ {on} ] }}\n");
        let text = format!("== monitors{MONITORS}== topology\n{topology}== records 2026-11-22T15:00:00Z every 1m\n{rows}");
        let told = events(&Case::parse("noise", &text).run().messages);
        let first = &told.last().expect("declared")["data"]["incident"]["suspects"][0];
        assert_eq!((&first["entity"], &first["change"]), (&"service=checkout".into(), &"checkout-v7".into()), "seed {seed}: {first}");
    }
}

/// The storm is one of evidence at first; what makes it a fault comes a minute later.
#[test]
fn a_storm_is_told_of_once_it_is_an_incident_and_when_it_is_over() {
    let mut text = "== monitors\nmonitors:\n  - { name: down, scenario: The app is down, entity: service=app, alerts: Down, \
                    fault: { sequence: P, ladder: [ { level: 2 } ] } }\n\
                    == records 2026-11-22T15:00:00Z every 1m\nmetric noise{service=\"clock\"} 1x30\n"
        .to_owned();
    for pod in 0..260 {
        text += &format!("alert 15:05:00 firing PodDown service=app pod=p{pod}\n");
    }
    text += "alert 15:06:00 firing Down service=app\n";
    for pod in 0..260 {
        text += &format!("alert 15:20:00 resolved@15:05:00 PodDown service=app pod=p{pod}\n");
    }
    let told: Vec<String> = events(&Case::parse("storm", &text).run().messages).iter().map(line).collect();
    assert_eq!(told[0], "15:06:00 #1 declared P2 app: P2: any breach; suspects app");
    let storm =
        "15:06:00 #2 updated P2 app: a storm: more than 201 alerts by now, further ones are only counted; most of service=app: 261 firing";
    assert_eq!(told[1], storm);
    let over = told.iter().filter(|told| told.contains("the storm is over")).collect::<Vec<_>>();
    assert_eq!(over.len(), 1, "{told:#?}");
    assert!(over[0].starts_with("15:22"), "{over:?}");
    assert!(over[0].ends_with("all that was only counted has ended; most was PodDown of service=app: 60 told"), "{over:?}");
}

/// What an incident gives away for something that explains it better says how much better, as the sum of its parts.
#[test]
fn what_is_given_away_says_how_much_better_something_else_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/what_explains_an_incident_better_comes_to_it.txt");
    let told = events(&Case::parse("better", &std::fs::read_to_string(path).expect("readable")).run().messages);
    let history = told.last().expect("an event")["data"]["incident"]["history"].as_array().expect("a list");
    let given = history.iter().find(|told| told["reason"].as_str().is_some_and(|reason| reason.contains("explains better")));
    let evidence = &given.expect("told")["evidence"];
    assert_eq!((evidence[0]["kind"].as_str(), evidence[0]["subject"].as_str()), (Some("better"), Some("service=b-gw")), "{evidence}");
    let (nats, times) = (evidence[0]["nats"].as_f64().expect("nats"), evidence[0]["value"].as_f64().expect("a number"));
    assert!(nats > 1.0 && (times.ln() - nats).abs() < 1e-3, "{evidence}");
}

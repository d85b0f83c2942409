//! Which node is at the root: PetShop's 26 injected faults at low traffic, each as a recording of what its nodes served, after
//! two days of normal data, through `richter replay` with the shipped defaults.
//!
//! `make rootcause`, or `cargo bench --bench rootcause`. The recordings stay in `target/rootcause`, one folder a fault. Data:
//! ../shared/data/petshop or RICHTER_DATA (Hardt et al. 2023, CC-BY-4.0, https://github.com/amazon-science/petshop-root-cause-analysis).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

const SETTINGS: &str = include_str!("rootcause/richter.yaml");
const MONITORS: &str = include_str!("rootcause/monitors.yaml");

/// Between two rows, in seconds.
const EVERY: i64 = 300;

/// What the authors' own traversal of anomalies has on low and high traffic together, as they publish it.
const PUBLISHED: &str = "traversal, as published, low and high traffic | .654 | .827 |";

/// Rows of nodes: how many requests, how long they took on average in seconds, and how many of them in a hundred succeeded.
struct Table {
    times: Vec<i64>,
    nodes: BTreeMap<String, Vec<Row>>,
}

#[derive(Clone, Copy, Default)]
struct Row {
    requests: f64,
    latency: f64,
    failures: f64,
}

struct Issue {
    name: String,
    kind: String,
    table: Table,
    target: String,
    told_at: i64,
    root: String,
}

fn main() {
    let folder = PathBuf::from(std::env::var("RICHTER_DATA").unwrap_or_else(|_| "../shared/data".into())).join("petshop/low_traffic");
    if !folder.join("graph.csv").exists() {
        eprintln!("skipped: no {}; RICHTER_DATA names a folder with petshop/", folder.join("graph.csv").display());
        return;
    }
    let usual = Table::read(&folder.join("noissue/metrics.csv"));
    let topology = topology(&folder.join("graph.csv"));
    let issues = issues(&folder);
    let (mut ours, mut peer) = (Score::default(), Score::default());
    println!("| fault | of | root | declared | suspects |\n|---|---|---|---|---|");
    for issue in &issues {
        let suspects = suspects(issue, &usual, &topology);
        let place = suspects.as_ref().and_then(|suspects| suspects.iter().position(|suspect| *suspect == issue.root));
        ours.add(&issue.kind, place);
        peer.add(&issue.kind, largest_z(issue, &usual).iter().position(|node| *node == issue.root));
        let shown = suspects.as_ref().map_or_else(String::new, |suspects| suspects.join(", "));
        println!("| {} | {} | {} | {} | {shown} |", issue.name, issue.kind, issue.root, if suspects.is_some() { "yes" } else { "no" });
    }
    println!("\n| {} faults | AC@1 | AC@3 | Avg@5 |\n|---|---|---|---|", issues.len());
    for (name, score) in [("richter", &ours), ("largest z-score", &peer)] {
        for kind in score.places.keys() {
            println!("| {name}, {kind} {}", score.row(Some(kind)));
        }
        println!("| {name} {}", score.row(None));
    }
    println!("| {PUBLISHED} |");
}

/// At which place the root was, by the kind of fault.
#[derive(Default)]
struct Score {
    places: BTreeMap<String, Vec<Option<usize>>>,
}

impl Score {
    fn add(&mut self, kind: &str, place: Option<usize>) {
        self.places.entry(kind.to_owned()).or_default().push(place);
    }

    fn row(&self, kind: Option<&String>) -> String {
        let places = || self.places.iter().filter(|(of, _)| kind.is_none_or(|kind| kind == *of)).flat_map(|(_, places)| places);
        let within =
            |most: usize| places().filter(|place| place.is_some_and(|place| place < most)).count() as f64 / places().count() as f64;
        let average = (1..=5).map(within).sum::<f64>() / 5.0;
        format!("| {:.3} | {:.3} | {average:.3} |", within(1), within(3))
    }
}

impl Table {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("readable");
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        let [names, metrics, statistics, _, rows @ ..] = rows.as_slice() else { panic!("{}: four head lines", path.display()) };
        let mut nodes: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        let column = |name: &str, metric: &str, statistic: &str| {
            (1..names.len()).find(|at| (names[*at], metrics[*at], statistics[*at]) == (name, metric, statistic))
        };
        for name in names.iter().skip(1).filter(|name| !name.is_empty()) {
            let columns = [("requests", "Sum"), ("latency", "Average"), ("availability", "Average")].map(|(m, s)| column(name, m, s));
            let [Some(requests), Some(latency), Some(available)] = columns else { continue };
            let number = |row: &[&str], at: usize| row[at].parse::<f64>().ok();
            let read = |row: &Vec<&str>| {
                let requests = number(row, requests).unwrap_or(0.0);
                let failed = 1.0 - number(row, available).unwrap_or(100.0) / 100.0;
                Row { requests, latency: number(row, latency).unwrap_or(0.0), failures: (requests * failed).round() }
            };
            nodes.insert((*name).to_owned(), rows.iter().map(read).collect());
        }
        let times = rows.iter().map(|row| row[0].parse::<f64>().expect("a time") as i64);
        Self { times: times.collect(), nodes }
    }
}

fn issues(folder: &Path) -> Vec<Issue> {
    let mut issues = vec![];
    for part in ["train", "test"] {
        for number in 0.. {
            let at = folder.join(part).join(format!("issue_{number}"));
            let Ok(text) = fs::read_to_string(at.join("target.json")) else { break };
            let told: Value = serde_json::from_str(&text).expect("JSON");
            let word = |pointer: &str| told.pointer(pointer).and_then(Value::as_str).expect("a word").to_owned();
            issues.push(Issue {
                name: format!("{part}-{number}"),
                kind: word("/target/metric"),
                table: Table::read(&at.join("metrics.csv")),
                target: word("/target/node"),
                told_at: told.pointer("/target/timestamp").and_then(Value::as_i64).expect("a time"),
                root: word("/root_cause/node"),
            });
        }
    }
    issues
}

/// Each node with what it calls.
fn topology(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("readable");
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let mut topology = "entity_from: [ \"node={{ node }}\" ]\nentities:\n".to_owned();
    for row in &rows[1..] {
        let calls = (1..row.len()).filter(|at| row[*at].parse::<f64>().is_ok_and(|calls| calls > 0.0));
        let calls: Vec<String> = calls.map(|at| json!(format!("node={}", rows[0][at])).to_string()).collect();
        writeln!(topology, "  - {{ name: {}, depends_on: [ {} ] }}", json!(format!("node={}", row[0])), calls.join(", ")).expect("text");
    }
    topology
}

/// The suspects that the incident's last event names; none where no incident was declared.
fn suspects(issue: &Issue, usual: &Table, topology: &str) -> Option<Vec<String>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../rootcause").join(&issue.name);
    fs::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("writable");
    write("richter.yaml", SETTINGS);
    write("monitors.yaml", MONITORS);
    write("topology.yaml", topology);
    write("metrics.jsonl", &recording(issue, usual));
    let run =
        Command::new(env!("CARGO_BIN_EXE_richter")).arg("replay").arg("--config").arg(&folder).arg(folder.join("metrics.jsonl")).output();
    let run = run.expect("it runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    fs::write(folder.join("incidents.jsonl"), &run.stdout).expect("writable");
    let onset = issue.table.times[0];
    let told = String::from_utf8(run.stdout).expect("text");
    let events = told.lines().map(|line| serde_json::from_str::<Value>(line).expect("an event"));
    let mut events = events.filter(|event| event.pointer("/data/incident/declared_at").is_some_and(|at| after(at, onset)));
    let last = events.rfind(|event| event["subject"] == format!("node={}", issue.target))?;
    let suspects = last.pointer("/data/incident/suspects")?.as_array()?;
    Some(suspects.iter().filter_map(|suspect| Some(suspect["entity"].as_str()?.trim_start_matches("node=").to_owned())).collect())
}

fn after(at: &Value, onset: i64) -> bool {
    let at = at.as_str().and_then(|at| richter::model::Timestamp::parse(at).ok());
    at.is_some_and(|at| at >= richter::model::Timestamp(onset * 1000))
}

/// The usual two days, moved to end where the fault's rows begin, and these: counters, as they are scraped.
fn recording(issue: &Issue, usual: &Table) -> String {
    let begin = issue.table.times[0] - EVERY * usual.times.len() as i64;
    let times = (0..usual.times.len() as i64).map(|row| begin + row * EVERY).chain(issue.table.times.iter().copied());
    let mut counters: BTreeMap<&String, Row> = BTreeMap::new();
    let mut recording = String::new();
    for (offset, at) in times.enumerate() {
        let (table, row) = match offset.checked_sub(usual.times.len()) {
            Some(row) => (&issue.table, row),
            None => (usual, offset),
        };
        let mut scraped = String::new();
        for (node, rows) in &table.nodes {
            let (counted, new) = (counters.entry(node).or_default(), rows[row]);
            counted.requests += new.requests;
            counted.latency += new.requests * new.latency;
            counted.failures += new.failures;
            let numbers = [("requests", counted.requests), ("latency_seconds", counted.latency), ("failures", counted.failures)];
            for (name, number) in numbers {
                writeln!(scraped, "{name}_total{{node={}}} {number} {}", json!(node), at * 1000).expect("text");
            }
        }
        let record = json!({"topic": "metrics", "partition": 0, "offset": offset, "ts": at * 1000, "payload": scraped});
        writeln!(recording, "{record}").expect("text");
        if at <= issue.told_at && issue.told_at < at + EVERY {
            writeln!(recording, "{}", target(issue)).expect("text");
        }
    }
    recording
}

/// The alert that the data set tells of.
fn target(issue: &Issue) -> Value {
    let at = richter::model::Timestamp(issue.told_at * 1000).to_string();
    let labels = json!({"alertname": "Target", "node": issue.target});
    let alert = json!({"status": "firing", "labels": labels, "startsAt": at, "endsAt": "0001-01-01T00:00:00Z"});
    let payload = json!({"version": "4", "alerts": [alert]}).to_string();
    json!({"topic": "alerts", "partition": 0, "offset": 0, "ts": issue.told_at * 1000, "payload": payload})
}

/// The nodes by how far out of the usual the target's metric is at them, in robust standard deviations, at any row.
fn largest_z(issue: &Issue, usual: &Table) -> Vec<String> {
    let value = |row: &Row| match issue.kind.as_str() {
        "latency" => (row.requests > 0.0).then_some(row.latency),
        _ => (row.requests > 0.0).then(|| row.failures / row.requests),
    };
    let score = |node: &String, rows: &[Row]| {
        let mut known: Vec<f64> = usual.nodes.get(node)?.iter().filter_map(value).collect();
        known.sort_by(f64::total_cmp);
        let at = |part: usize| known.get(known.len() * part / 4).copied();
        let scale = ((at(3)? - at(1)?) / 1.349).max(f64::MIN_POSITIVE);
        rows.iter().filter_map(value).map(|value| (value - at(2).unwrap_or(0.0)) / scale).reduce(f64::max)
    };
    let mut scores: Vec<(f64, &String)> = issue.table.nodes.iter().filter_map(|(node, rows)| Some((score(node, rows)?, node))).collect();
    scores.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scores.into_iter().map(|(_, node)| node.clone()).collect()
}

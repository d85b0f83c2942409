//! Storms of another physics than those the constants were chosen on: queues fill up behind what is slow, breakers open and
//! stop the spread, disks fill slowly, hosts take all their services down, changes are decoys, and one source is silent for
//! ten minutes before it tells everything at once. The truth is known, so grouping and suspects are scored.

use std::collections::BTreeMap;
use std::sync::Arc;

use richter::engine::Pipeline;
use richter::model::{Labels, Origin, Timestamp};
use richter::rules::{Config, Files, Settings, Tuning, settings};
use richter::stage::Record;
use richter::wire::recording::Recorded;
use serde_json::{Value, json};

use super::random::Random;

const START: i64 = 1_760_000_000_000;
const SERVICES: usize = 300;
const HOSTS: usize = 60;
const TIERS: usize = 4;
const MINUTE: i64 = 60_000;
const HOURS: i64 = 4;

/// Grouping and suspects against the truth, as shares; sizes in episodes.
#[derive(Debug, Default)]
pub(crate) struct Score {
    pub(crate) b3: f64,
    pub(crate) ari: f64,
    pub(crate) root_first: f64,
    pub(crate) root_third: f64,
    pub(crate) largest: usize,
    pub(crate) largest_true: usize,
    pub(crate) members: Vec<(String, String)>,
}

/// An alert's episode, and the fault it is of.
struct Episode {
    labels: BTreeMap<&'static str, String>,
    from: i64,
    to: i64,
    fault: usize,
}

/// What happens, and what of it is told.
pub(crate) struct Storm {
    random: Random,
    depends_on: Vec<Vec<usize>>,
    callers: Vec<Vec<usize>>,
    host: Vec<usize>,
    episodes: Vec<Episode>,
    changes: Vec<(i64, String)>,
    roots: BTreeMap<usize, String>,
    /// Nobody tells who depends on whom.
    blind: bool,
}

impl Storm {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random(seed * 1_000 + 17);
        let tier = |service: usize| service * TIERS / SERVICES;
        let (mut depends_on, mut callers): (Vec<Vec<usize>>, Vec<Vec<usize>>) = (vec![vec![]; SERVICES], vec![vec![]; SERVICES]);
        for (service, depends_on) in depends_on.iter_mut().enumerate() {
            let below: Vec<usize> = (0..SERVICES).filter(|other| tier(*other) > tier(service)).collect();
            for _ in 0..1 + random.below(3) {
                if below.is_empty() {
                    break;
                }
                let on = below[random.below(below.len() as u64) as usize];
                if !depends_on.contains(&on) {
                    depends_on.push(on);
                    callers[on].push(service);
                }
            }
        }
        let host = (0..SERVICES).map(|_| random.below(HOSTS as u64) as usize).collect();
        let mut storm = Self { random, depends_on, callers, host, episodes: vec![], changes: vec![], roots: BTreeMap::new(), blind: false };
        storm.happens();
        storm
    }

    fn happens(&mut self) {
        for fault in 0..(HOURS * 5) as usize {
            let at = self.random.below((HOURS * 60 * MINUTE) as u64) as i64;
            let lasts = 10 * MINUTE + self.random.below(20 * MINUTE as u64) as i64;
            let service = self.random.below(SERVICES as u64) as usize;
            match fault % 3 {
                0 => self.queue(fault, service, at, at + lasts),
                1 => self.slow_burn(fault, service, at, at + lasts),
                _ => self.host_down(fault, service, at, at + lasts),
            }
        }
        for number in 0..HOURS as usize * 20 {
            let (at, service) = (self.random.below((HOURS * 60 * MINUTE) as u64) as i64, self.random.below(SERVICES as u64) as usize);
            self.tell("Oddity", ("service", service), at, at + 3 * MINUTE, 1000 + number);
            let (at, service) = (self.random.below((HOURS * 60 * MINUTE) as u64) as i64, self.random.below(SERVICES as u64) as usize);
            self.changes.push((at, format!("svc-{service}")));
        }
    }

    /// What is slow fills its callers' queues, the sooner the busier they are, unless their breakers open.
    fn queue(&mut self, fault: usize, root: usize, from: i64, to: i64) {
        self.roots.insert(fault, format!("service=svc-{root}"));
        self.root_cause(root, from);
        self.tell("Saturated", ("service", root), from + 20_000, to, fault);
        let mut reached = vec![(root, from)];
        let mut next = 0;
        while let Some((service, since)) = reached.get(next).copied() {
            next += 1;
            for caller in self.callers[service].clone() {
                if reached.iter().any(|(other, _)| *other == caller) || self.random.chance(15) {
                    continue;
                }
                let fills = since + 15_000 + self.random.below(60_000) as i64;
                if self.random.chance(35) {
                    self.tell("BreakerOpen", ("service", caller), fills + 5_000, to, fault);
                } else if reached.len() < 60 {
                    self.tell("QueueFull", ("service", caller), fills + 10_000, to, fault);
                    self.tell("Slow", ("service", caller), fills + 25_000, to, fault);
                    reached.push((caller, fills));
                }
            }
        }
        if let Some((decoy, since)) = reached.last().copied().filter(|_| self.random.chance(50)) {
            self.changes.push((since - 60_000, format!("svc-{decoy}")));
        }
    }

    /// It gets worse for minutes before anybody else notices.
    fn slow_burn(&mut self, fault: usize, root: usize, from: i64, to: i64) {
        self.roots.insert(fault, format!("service=svc-{root}"));
        self.root_cause(root, from);
        self.tell("DiskFilling", ("service", root), from, to, fault);
        self.tell("Slow", ("service", root), from + 2 * MINUTE, to, fault);
        for caller in self.callers[root].clone() {
            let after = 2 * MINUTE + self.random.below(2 * MINUTE as u64) as i64;
            self.tell("Slow", ("service", caller), from + after, to, fault);
        }
    }

    /// All that runs there goes, and some of what calls it.
    fn host_down(&mut self, fault: usize, service: usize, from: i64, to: i64) {
        let host = self.host[service];
        self.roots.insert(fault, format!("host=host-{host}"));
        if self.random.chance(70) {
            self.tell("HostDown", ("host", host), from + 30_000, to, fault);
        }
        for service in (0..SERVICES).filter(|service| self.host[*service] == host).collect::<Vec<_>>() {
            let shows = from + 5_000 + self.random.below(35_000) as i64;
            self.tell("Down", ("service", service), shows, to, fault);
            for caller in self.callers[service].clone() {
                if self.random.chance(50) {
                    let fails = shows + 10_000 + self.random.below(20_000) as i64;
                    self.tell("Errors", ("service", caller), fails, to, fault);
                }
            }
        }
    }

    fn root_cause(&mut self, root: usize, from: i64) {
        if self.random.chance(50) {
            let before = 20_000 + self.random.below(9 * MINUTE as u64) as i64;
            self.changes.push((from - before, format!("svc-{root}")));
        }
    }

    /// Alerts of what the topology does not know, each of its own.
    pub(crate) fn strangers(&mut self) {
        for number in 0..200 {
            let at = number as i64 * MINUTE;
            self.tell(&format!("Stranger{number}"), ("pod", number), at, at + 3 * MINUTE, 5000 + number);
        }
    }

    fn tell(&mut self, name: &str, (kind, number): (&'static str, usize), from: i64, to: i64, fault: usize) {
        let entity = if kind == "host" { format!("host-{number}") } else { format!("svc-{number}") };
        let labels = BTreeMap::from([("alertname", name.to_owned()), (kind, entity)]);
        // What has recovered is told to be over within a minute and a half, one sooner than another.
        let to = to + self.episodes.len() as i64 * 7_919 % (3 * MINUTE / 2);
        if !self.episodes.iter().any(|e| e.labels == labels && e.from <= to && from <= e.to) && from < to {
            self.episodes.push(Episode { labels, from, to, fault });
        }
    }

    /// The same, of which nobody tells who depends on whom.
    pub(crate) fn blind(self) -> Self {
        Self { blind: true, ..self }
    }

    fn topology(&self) -> String {
        let service = |(number, on): (usize, &Vec<usize>)| {
            let on: String = on.iter().map(|on| format!("service=svc-{on}, ")).collect();
            format!("  - {{ name: service=svc-{number}, depends_on: [ {on}host=host-{} ] }}\n", self.host[number])
        };
        let services: String = self.depends_on.iter().enumerate().map(service).collect();
        let hosts: String = (0..HOSTS).map(|host| format!("  - {{ name: host=host-{host} }}\n")).collect();
        let entity_from = "entity_from: [ \"service={{ service }}\", \"host={{ host }}\" ]\n";
        if self.blind { entity_from.into() } else { format!("{entity_from}entities:\n{services}{hosts}") }
    }

    /// The records in the order of their arrival: every alert up to `late` milliseconds late.
    pub(crate) fn records(&self, late: u64, shuffle: u64) -> Vec<Recorded> {
        let mut random = Random(shuffle);
        let mut records = vec![];
        for (number, episode) in self.episodes.iter().enumerate() {
            for (at, ended) in [(episode.from, false), (episode.to, true)] {
                let mut arrives = at + random.below(late) as i64;
                // A third of the sources is silent for ten minutes, then tells all at once.
                if number % 3 == 0 && (100 * MINUTE..110 * MINUTE).contains(&arrives) {
                    arrives = 110 * MINUTE + random.below(2_000) as i64;
                }
                let ends = if ended { time(episode.to) } else { "0001-01-01T00:00:00Z".into() };
                let status = if ended { "resolved" } else { "firing" };
                let alert = json!({"status": status, "labels": episode.labels, "startsAt": time(episode.from), "endsAt": ends});
                records.push(recorded("alerts", arrives, &json!({"version": "4", "alerts": [alert]})));
            }
        }
        for (number, (at, service)) in self.changes.iter().enumerate() {
            let event = json!({
                "specversion": "1.0", "id": format!("change-{number}"), "source": "/ci", "type": "dev.cdevents.service.deployed.0.3.0",
                "time": time(*at), "data": {"subject": {"id": service, "content": {"environment": {"id": "prod"}, "artifactId": "v"}}},
            });
            records.push(recorded("changes", *at + 500, &event));
        }
        records.sort_by_key(|record| record.ts);
        records.iter_mut().enumerate().for_each(|(offset, record)| record.offset = offset as i64);
        records
    }

    /// What it is run with.
    pub(crate) fn configured(&self) -> (Arc<Config>, Arc<Settings>) {
        let topology = vec![("topology.yaml".to_owned(), self.topology())];
        let (config, faults) = Config::new(&Files { topology, ..Files::default() }, Tuning::default());
        assert_eq!(faults, []);
        let text = "sources: [ { topic: alerts, kind: alerts }, { topic: changes, kind: changes } ]";
        (config.into(), settings("storm", text, &BTreeMap::new()).0.expect("settings").into())
    }

    /// Runs it through the stages, and scores what was traced.
    pub(crate) fn score(&self, late: u64, shuffle: u64) -> Score {
        let (config, settings) = self.configured();
        let origins = ["alerts", "changes"].map(|topic| Origin { topic: topic.into(), partition: 0 });
        let mut pipeline = Pipeline::new(&config, &settings, origins).0.traced();
        let mut trace = vec![];
        for recorded in self.records(late, shuffle) {
            let record = Record {
                topic: &recorded.topic,
                partition: 0,
                offset: recorded.offset,
                timestamp: recorded.ts,
                headers: &[],
                payload: recorded.bytes(),
            };
            trace.extend(pipeline.push(&record).trace);
        }
        self.against(&trace)
    }

    fn against(&self, trace: &[Value]) -> Score {
        let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let (mut member, mut into, mut causes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for line in trace {
            match line["kind"].as_str() {
                Some("member") => drop(member.insert((text(line, "fingerprint"), text(line, "starts_at")), text(line, "situation"))),
                Some("merge") => drop(into.insert(text(line, "from"), text(line, "into"))),
                Some("cause") => {
                    let entities = line["ranking"].as_array().into_iter().flatten().map(|suspect| text(suspect, "entity"));
                    causes.insert(text(line, "situation"), entities.collect::<Vec<_>>());
                }
                _ => {}
            }
        }
        let settled = |mut id: String| {
            while let Some(next) = into.get(&id) {
                id.clone_from(next);
            }
            id
        };
        let mut pairs = vec![];
        for (number, episode) in self.episodes.iter().enumerate() {
            let labels = Labels::of(episode.labels.iter().map(|(name, value)| (*name, value.as_str())));
            let key = (labels.fingerprint().to_string(), time(episode.from));
            pairs.push((episode.fault, member.get(&key).map_or_else(|| format!("alone-{number}"), |id| settled(id.clone()))));
        }
        let mut score = compare(&pairs);
        let mut faults = 0.0;
        for (fault, root) in &self.roots {
            let mut held: BTreeMap<&str, usize> = BTreeMap::new();
            pairs.iter().filter(|(of, _)| of == fault).for_each(|(_, group)| *held.entry(group).or_default() += 1);
            if held.values().sum::<usize>() < 3 {
                continue;
            }
            faults += 1.0;
            let group = held.iter().max_by_key(|(_, held)| **held).map_or("", |(group, _)| *group);
            let rank = causes.get(group).and_then(|ranking| ranking.iter().position(|entity| entity == root));
            score.root_first += f64::from(u8::from(rank.is_some_and(|rank| rank < 1)));
            score.root_third += f64::from(u8::from(rank.is_some_and(|rank| rank < 3)));
        }
        score.root_first /= faults;
        score.root_third /= faults;
        score.members = pairs.into_iter().map(|(fault, group)| (fault.to_string(), group)).collect();
        score
    }
}

/// B-cubed F1 and the adjusted Rand index of (true, found) groups.
fn compare(pairs: &[(usize, String)]) -> Score {
    let (mut cells, mut rows, mut columns) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (fault, group) in pairs {
        *cells.entry((fault, group)).or_insert(0usize) += 1;
        *rows.entry(fault).or_insert(0usize) += 1;
        *columns.entry(group).or_insert(0usize) += 1;
    }
    let all = pairs.len() as f64;
    let share =
        |of: &dyn Fn(&(&usize, &String)) -> usize| cells.iter().map(|(cell, n)| (n * n) as f64 / of(cell) as f64).sum::<f64>() / all;
    let (precision, recall) = (share(&|cell| columns[cell.1]), share(&|cell| rows[cell.0]));
    let two = |n: &usize| (n * n.saturating_sub(1)) as f64 / 2.0;
    let (both, a, b): (f64, f64, f64) = (cells.values().map(two).sum(), rows.values().map(two).sum(), columns.values().map(two).sum());
    let chance = a * b / two(&pairs.len());
    Score {
        b3: 2.0 * precision * recall / (precision + recall),
        ari: (both - chance) / ((a + b) / 2.0 - chance),
        largest: columns.values().max().copied().unwrap_or(0),
        largest_true: rows.values().max().copied().unwrap_or(0),
        ..Score::default()
    }
}

fn time(at: i64) -> String {
    Timestamp(START + at).to_string()
}

fn recorded(topic: &str, at: i64, payload: &Value) -> Recorded {
    Recorded { topic: topic.into(), ts: Timestamp(START + at), payload: Some(payload.to_string().into_bytes()), ..Recorded::default() }
}

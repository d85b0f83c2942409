//! Correlation from memory, on one core: alerts per second, time per alert and bytes per active alert. The clock is told once
//! in a thousand alerts, which counts for the alerts per second; `clock ms` is the longest that it took.
//!
//! `cargo bench --bench correlate -- [ACTIVE...]`. The topology has 10,000 entities and 100,000 dependencies, some of them
//! hubs. Faults start at random and spread to what depends on them; of the alerts told, six in ten are repeats, and the
//! others fire, or resolve by faults as they began, some of them noise, some flapping. The storm is 100,000 alerts in 30 seconds from ten roots.

#[path = "../tests/it/random.rs"]
#[allow(dead_code, reason = "the tests draw more than is drawn here")]
mod random;

#[path = "../tests/it/storm.rs"]
#[allow(dead_code, reason = "the tests look at more")]
mod storm;

use std::alloc::System;
use std::time::{Duration, Instant};

use richter::correlate::Situations;
use richter::model::{Alert, Entity, Labels, Origin, Timestamp};
use richter::rules::{Dependency, Files, Rules, Tuning, check};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use random::Random;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ENTITIES: usize = 10_000;
const EDGES: usize = 100_000;

/// How long an alert lasts, in seconds, on average.
const LASTS: i64 = 600;

/// Alerts that are measured.
const MEASURED: usize = 300_000;

fn main() {
    let actives: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let actives = if actives.is_empty() { vec![1_000, 10_000, 100_000] } else { actives };
    println!(
        "{:<10} {:>9} {:>11} {:>8} {:>8} {:>8} {:>8} {:>13}",
        "", "active", "alerts/s", "p50 µs", "p99 µs", "p99.9 µs", "clock ms", "bytes/active"
    );
    for active in actives {
        steady(active);
    }
    in_a_storm();
    grouping();
}

/// How well storms of another physics than the one that the constants were chosen on are grouped, with and without their topology.
fn grouping() {
    const SEEDS: u64 = 10;
    println!("\n{:<10} {:>6} {:>6} {:>8} {:>8} {:>9} {:>9}", "grouping", "B3", "ARI", "root@1", "root@3", "largest", "in truth");
    let score = |seed: u64| storm::Storm::new(seed).score(5_000, seed);
    means((1..=SEEDS).map(|seed| (seed, score(seed))));
    let blind = |seed: u64| storm::Storm::new(seed).blind().score(5_000, seed);
    println!("without a topology");
    means((1..=SEEDS).map(|seed| (seed, blind(seed))));
}

fn means(scores: impl Iterator<Item = (u64, storm::Score)>) {
    let (mut all, mut b3, mut ari, mut first, mut third) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (seed, score) in scores {
        let (name, largest, truly) = (format!("seed {seed}"), score.largest, score.largest_true);
        println!(
            "{name:<10} {:>6.3} {:>6.3} {:>8.2} {:>8.2} {largest:>9} {truly:>9}",
            score.b3, score.ari, score.root_first, score.root_third
        );
        (b3, ari, first, third) = (b3 + score.b3, ari + score.ari, first + score.root_first, third + score.root_third);
        all += 1.0;
    }
    println!("{:<10} {:>6.3} {:>6.3} {:>8.2} {:>8.2}", "mean", b3 / all, ari / all, first / all, third / all);
}

struct World {
    rules: Rules,
    tuning: Tuning,
    situations: Situations,
    origin: Origin,
    random: Random,
    callers: Vec<Vec<u32>>,
    now: i64,
    /// What is kept of all that was told, in bytes; the load's own alerts are not.
    kept: isize,
    /// How long the clock took, each time it was told.
    clock: Vec<Duration>,
}

impl World {
    fn new() -> Self {
        let (mut rules, faults) = check(&Files::default());
        assert_eq!(faults, []);
        let mut random = Random(7);
        let mut callers = vec![vec![]; ENTITIES];
        for _ in 0..EDGES {
            // Few are depended on by many.
            let on = (random.share().powi(3) * ENTITIES as f64) as usize;
            let from = random.below(ENTITIES as u64) as usize;
            rules.topology.add(&Dependency::certain(entity(from), entity(on)));
            callers[on].push(from as u32);
        }
        let origin = Origin { topic: "alerts".into(), partition: 0 };
        Self {
            rules,
            tuning: Tuning::default(),
            situations: Situations::default(),
            origin,
            random,
            callers,
            now: 1_760_000_000_000,
            kept: 0,
            clock: vec![],
        }
    }

    /// What a fault reaches, and how many milliseconds after it.
    fn fault(&mut self, size: usize) -> Vec<(u32, i64)> {
        let mut reached = vec![(self.random.below(ENTITIES as u64) as u32, 0)];
        let mut next = 0;
        while let Some((at, after)) = reached.get(next).copied().filter(|_| reached.len() < size) {
            next += 1;
            for caller in self.callers[at as usize].clone() {
                if reached.len() < size && self.random.share() < 0.5 {
                    reached.push((caller, after + 5_000 + self.random.below(40_000) as i64));
                }
            }
        }
        reached
    }

    fn alert(&mut self, node: u32, rule: u64, starts_at: i64) -> Alert {
        let labels = Labels::of([("alertname", format!("Rule{rule}").as_str()), ("service", &format!("svc-{node}"))]);
        Alert {
            fingerprint: labels.fingerprint(),
            labels,
            summary: String::new(),
            starts_at: Timestamp(starts_at),
            ends_at: None,
            by_key: false,
            recalled: false,
        }
    }

    fn tell(&mut self, alert: &Alert) -> Duration {
        let region = Region::new(ALLOCATOR);
        // With labels of its own, for they are kept.
        let took = self.takes(Alert { labels: Labels::of(alert.labels.iter()), ..alert.clone() });
        let change = region.change();
        self.kept += change.bytes_allocated as isize - change.bytes_deallocated as isize;
        took
    }

    fn takes(&mut self, alert: Alert) -> Duration {
        let Self { situations, rules, tuning, origin, .. } = self;
        let began = Instant::now();
        situations.alert(&alert, origin, alert.ends_at.unwrap_or(Timestamp(self.now)), rules, tuning);
        situations.news();
        let took = began.elapsed();
        if self.random.below(1000) == 0 {
            let began = Instant::now();
            self.situations.close(Timestamp(self.now), &self.rules, &self.tuning);
            self.clock.push(began.elapsed());
        }
        took
    }

    fn bytes_of_each(&self, alerts: usize) -> isize {
        self.kept / alerts as isize
    }
}

fn entity(number: usize) -> Entity {
    Entity::new("service", &format!("svc-{number}"))
}

fn steady(active: usize) {
    let mut world = World::new();
    // By fault, for they end as they began.
    let mut firing: Vec<Vec<Alert>> = vec![];
    let (mut coming, mut ending): (Vec<Alert>, Vec<Alert>) = (vec![], vec![]);
    let mut lasting = 0;
    let mut took: Vec<Duration> = vec![];
    let (mut bytes, mut began) = (0, Instant::now());
    // A change for each two milliseconds over the number of active ones, as they last so long.
    let step = (LASTS * 1000 / (2 * active as i64)).max(1);
    let mut told = 0;
    while told < MEASURED {
        if lasting >= active && bytes == 0 {
            bytes = world.bytes_of_each(lasting);
            (took, told, began) = (vec![], 0, Instant::now());
            world.clock.clear();
        }
        if coming.is_empty() {
            let faults = if world.random.below(10) == 0 { 1 } else { 20 };
            for (node, after) in world.fault(faults) {
                let rule = world.random.below(4);
                let at = world.now + after;
                let alert = world.alert(node, rule, at);
                coming.push(alert);
            }
            let at = world.random.below(coming.len() as u64) as usize;
            coming.rotate_left(at);
            firing.push(vec![]);
        }
        if ending.is_empty() && lasting >= active {
            let at = world.random.below(firing.len() as u64 - 1) as usize;
            ending = firing.remove(at);
        }
        let draw = world.random.below(10);
        let alert = if draw < 6 && lasting > 0 {
            let at = world.random.below(firing.len() as u64) as usize;
            let of = &firing[at];
            let Some(alert) = of.get(world.random.below(of.len().max(1) as u64) as usize) else { continue };
            alert.clone()
        } else if draw < 8
            && let Some(mut gone) = ending.pop()
        {
            world.now += step;
            lasting -= 1;
            gone.ends_at = Some(Timestamp(world.now.max(gone.starts_at.0)));
            gone
        } else {
            world.now += step;
            let (Some(new), Some(of)) = (coming.pop(), firing.last_mut()) else { continue };
            lasting += 1;
            of.push(new.clone());
            new
        };
        took.push(world.tell(&alert));
        told += 1;
    }
    line("steady", active, &mut took, &world.clock, began.elapsed(), bytes);
}

fn in_a_storm() {
    const STORM: usize = 100_000;
    let mut world = World::new();
    let mut alerts: Vec<Alert> = vec![];
    while alerts.len() < STORM {
        for (node, after) in world.fault(STORM / 100) {
            for rule in 0..10 {
                let at = world.now + after % 30_000 + world.random.below(1000) as i64;
                let alert = world.alert(node, rule + 10 * (alerts.len() as u64 % 7), at);
                alerts.push(alert);
            }
        }
    }
    alerts.truncate(STORM);
    alerts.sort_by_key(|alert| alert.starts_at);
    let began = Instant::now();
    let mut took = vec![];
    for alert in &alerts {
        world.now = alert.starts_at.0;
        took.push(world.tell(alert));
    }
    let long = began.elapsed();
    line("storm", STORM, &mut took, &world.clock, long, world.bytes_of_each(STORM));
    let sizes: Vec<usize> = world.situations.iter().map(|situation| situation.members.len()).collect();
    println!("storm: {} situations, the largest of {} members", sizes.len(), sizes.iter().max().unwrap_or(&0));
}

fn line(name: &str, active: usize, took: &mut [Duration], clock: &[Duration], long: Duration, bytes: isize) {
    let spent: Duration = took.iter().chain(clock).sum();
    let clock = clock.iter().max().map_or(0.0, |most| most.as_secs_f64() * 1e3);
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    let rate = took.len() as f64 / spent.as_secs_f64();
    println!(
        "{name:<10} {active:>9} {rate:>11.0} {:>8.2} {:>8.2} {:>8.2} {clock:>8.2} {bytes:>13}   ({:.1} s with the load's own making)",
        at(0.5),
        at(0.99),
        at(0.999),
        long.as_secs_f64()
    );
}

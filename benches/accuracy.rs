//! How well detection tells faults from noise: on public series with labels, which no detector reads, and on series whose
//! truth is known. One configuration, the shipped default, and its one threshold for all of them.
//!
//! `make accuracy`, or `cargo bench --bench accuracy -- [nab] [kpi] [draws] [robust] [truth]`. The peers stand beside it in
//! the same run: for them the best threshold is picked on the labels.

#[path = "accuracy/kpi.rs"]
mod kpi;
#[path = "accuracy/nab.rs"]
mod nab;
#[path = "accuracy/peers.rs"]
mod peers;
#[path = "../tests/it/random.rs"]
#[allow(dead_code, reason = "the tests draw more than is drawn here")]
mod random;
#[path = "accuracy/series.rs"]
mod series;
#[path = "accuracy/truth.rs"]
mod truth;

use std::time::Duration;

use richter::detect::Trial;
use richter::model::Timestamp;
use richter::rules::{Constants, Dynamics, Files, JudgeRules, check};

use peers::PEERS;
use random::Random;
use series::Labelled;

const WEEK: Duration = Duration::from_secs(7 * 86_400);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == name);
    if let Some(folder) = series::folder() {
        let (nab, kpi) = (series::nab(&folder), series::kpi(&folder));
        if wanted("nab") {
            nab_table(&nab);
        }
        if wanted("kpi") && !kpi.is_empty() {
            kpi_table(&kpi);
        }
        if wanted("draws") {
            draws(&nab, &kpi);
        }
        if wanted("robust") {
            robust(&nab, &kpi);
        }
    }
    if wanted("truth") {
        truth_table();
    }
}

/// The judges of a monitor with this `judge`.
fn judges(judge: &str, every: Duration) -> JudgeRules {
    let text = format!("monitors: [ {{ name: m, entity: \"a=b\", query: m, every: {}ms, judge: {judge} }} ]", every.as_millis());
    let (rules, faults) = check(&Files { monitors: vec![("bench.yaml".into(), text)], ..Files::default() });
    assert_eq!(faults, []);
    let (_, watch) = rules.watches().next().expect("a monitor");
    watch.judge.clone()
}

/// The first value of each breach, by the shipped default.
fn alarms(labelled: &Labelled, change: &dyn Fn(&mut JudgeRules)) -> Vec<bool> {
    let mut rules = judges("{ baseline: {} }", labelled.every());
    change(&mut rules);
    let mut trial = Trial::new(rules, labelled.every());
    labelled.series.points.iter().map(|(at, value)| trial.see(*at, *value).is_some_and(|tried| tried.opened)).collect()
}

fn as_shipped(_: &mut JudgeRules) {}

fn with_constants(constants: Constants, every: Duration) -> impl Fn(&mut JudgeRules) {
    move |rules| {
        let baseline = rules.baseline.as_mut().expect("a baseline");
        baseline.dynamics = Dynamics::new(constants, every);
    }
}

fn nab_score(all: &[Labelled], alarms: &[Vec<bool>]) -> nab::Score {
    nab::score(all.iter().zip(alarms.iter().map(Vec::as_slice)))
}

/// From the second half on, as in the competition, or from the start.
fn kpi_score(all: &[Labelled], alarms: &[Vec<bool>], second_half: bool) -> kpi::Score {
    let mut score = kpi::Score::default();
    for (labelled, alarms) in all.iter().zip(alarms) {
        score.add(labelled, alarms, if second_half { labelled.len() / 2 } else { 0 });
    }
    score
}

/// Of the thresholds, the one whose alarms are worth most.
fn best(all: &[Labelled], peer: peers::Peer, worth: impl Fn(&[Vec<bool>]) -> f64) -> Vec<Vec<bool>> {
    let scores: Vec<Vec<f64>> = all.iter().map(peer).collect();
    let mut sorted: Vec<f64> = scores.iter().flatten().copied().filter(|score| score.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    // Alarms of one value in 30 down to one in 300,000.
    let thresholds = (0..24).map(|step| sorted[sorted.len() - 1 - (sorted.len() as f64 / (30.0 * 1.5f64.powi(step))) as usize]);
    let alarms = thresholds.map(|threshold| scores.iter().map(|scores| peers::alarms(scores, threshold)).collect::<Vec<_>>());
    alarms.max_by(|a, b| worth(a).total_cmp(&worth(b))).expect("a threshold")
}

fn nab_table(all: &[Labelled]) {
    println!("\nNAB, the public half: {} series; standard, low-FP, low-FN; windows hit; false alarms", all.len());
    let line = |name: &str, score: nab::Score| {
        let [standard, low_fp, low_fn] = score.profiles;
        let nab::Score { hits, windows, false_alarms, .. } = score;
        println!("{name:<32} {standard:>6.1} {low_fp:>6.1} {low_fn:>6.1}   {hits:>2}/{windows} {false_alarms:>5}");
    };
    let alarms: Vec<Vec<bool>> = all.iter().map(|labelled| alarms(labelled, &as_shipped)).collect();
    line("Richter, shipped threshold", nab_score(all, &alarms));
    for (name, peer) in PEERS {
        let alarms = best(all, peer, |alarms| nab_score(all, alarms).profiles[0]);
        line(&format!("{name}, best threshold"), nab_score(all, &alarms));
    }
    let silent: Vec<Vec<bool>> = all.iter().map(|labelled| vec![false; labelled.len()]).collect();
    line("(never)", nab_score(all, &silent));
    let perfect =
        |labelled: &Labelled| (0..labelled.len()).map(|place| labelled.anomalies.iter().any(|(first, _)| place == *first)).collect();
    let perfect: Vec<Vec<bool>> = all.iter().map(perfect).collect();
    line("(perfect)", nab_score(all, &perfect));
}

fn kpi_table(all: &[Labelled]) {
    println!("\nKPI, the public part: {} series, their second halves (and whole)", all.len());
    println!(
        "{:<36} {:>15} {:>15} {:>9} {:>7} {:>15} {:>10}",
        "", "delay-7 F1", "event F1", "precision", "recall", "false a day", "delay 50/90"
    );
    let line = |name: &str, alarms: &[Vec<bool>]| {
        let (half, whole) = (kpi_score(all, alarms, true), kpi_score(all, alarms, false));
        println!(
            "{name:<36} {:>7.3} ({:.3}) {:>7.3} ({:.3}) {:>9.2} {:>7.2} {:>8.2} ({:.2}) {:>6}/{}",
            half.delay_7(),
            whole.delay_7(),
            half.event_f1(),
            whole.event_f1(),
            half.precision(),
            half.recall(),
            half.false_a_day(),
            whole.false_a_day(),
            half.delay(0.5),
            half.delay(0.9)
        );
    };
    let shipped: Vec<Vec<bool>> = all.iter().map(|labelled| alarms(labelled, &as_shipped)).collect();
    line("Richter, shipped threshold", &shipped);
    for (name, peer) in PEERS {
        line(&format!("{name}, best threshold"), &best(all, peer, |alarms| kpi_score(all, alarms, true).delay_7()));
    }
    println!("\nfound at a budget, by sensitivity (one evaluation in so many may be false)");
    println!("{:>12} {:>12} {:>7} {:>11} {:>9}", "one in", "false a day", "recall", "delay-7 F1", "event F1");
    for surprise in [3.0f32, 3.3, 3.6, 4.0, 4.3, 4.6, 5.0, 5.5, 6.0] {
        let change = move |rules: &mut JudgeRules| rules.baseline.as_mut().expect("a baseline").surprise = surprise;
        let alarms: Vec<Vec<bool>> = all.iter().map(|labelled| alarms(labelled, &change)).collect();
        let score = kpi_score(all, &alarms, true);
        let one_in = 10f64.powf(f64::from(surprise));
        println!(
            "{one_in:>12.0} {:>12.3} {:>7.2} {:>11.3} {:>9.3}",
            score.false_a_day(),
            score.recall(),
            score.delay_7(),
            score.event_f1()
        );
    }
}

/// Every constant is off by up to 30 %, each by a share of its own.
fn perturbed(random: &mut Random) -> Constants {
    let mut off = |value: f32| value * (0.7 + 0.6 * random.share() as f32);
    let Constants { quantile, .. } = Constants::SHIPPED;
    let c = Constants::SHIPPED;
    Constants {
        fast: off(c.fast),
        medium: off(c.medium),
        error: off(c.error),
        scale: off(c.scale),
        clip: off(c.clip),
        raw_share: off(c.raw_share),
        part_gain: off(c.part_gain),
        profile_gain: off(c.profile_gain),
        // What is off is how much lies beyond.
        quantile: 1.0 - off(1.0 - quantile),
        tail: off(c.tail),
        excess_clip: off(c.excess_clip),
        cluster: off(c.cluster),
        short: off(c.short),
        long: off(c.long),
        steady_clip: off(c.steady_clip),
        recent: off(c.recent),
        past: off(c.past),
        past_share: off(c.past_share),
        told: off(c.told),
        told_share: off(c.told_share),
        shift: off(c.shift),
        short_least: off(c.short_least),
        long_least: off(c.long_least),
    }
}

fn draws(nab: &[Labelled], kpi: &[Labelled]) {
    const DRAWS: usize = 20;
    let mut random = Random(1);
    println!("\nall constants off by up to 30 %, {DRAWS} draws: mean ± standard deviation, and the least");
    let mut columns: Vec<(&str, Vec<f64>)> =
        ["NAB standard", "NAB low-FP", "NAB low-FN", "KPI delay-7 F1", "KPI event F1", "KPI false a day"].map(|name| (name, vec![])).into();
    for _ in 0..DRAWS {
        let constants = perturbed(&mut random);
        let drawn = |labelled: &Labelled| alarms(labelled, &with_constants(constants, labelled.every()));
        let scored = nab_score(nab, &nab.iter().map(drawn).collect::<Vec<_>>());
        let half = kpi_score(kpi, &kpi.iter().map(drawn).collect::<Vec<_>>(), true);
        let [standard, low_fp, low_fn] = scored.profiles;
        for ((_, column), value) in columns.iter_mut().zip([standard, low_fp, low_fn, half.delay_7(), half.event_f1(), half.false_a_day()])
        {
            column.push(value);
        }
    }
    for (name, values) in columns {
        let mean = values.iter().sum::<f64>() / DRAWS as f64;
        let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (DRAWS - 1) as f64).sqrt();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        println!("{name:<18} {mean:>7.3} ± {deviation:.3}   {least:>7.3}");
    }
}

fn robust(nab: &[Labelled], kpi: &[Labelled]) {
    println!("\nvalues dropped: NAB; KPI delay-7 F1, event F1 (second halves)");
    for percent in [0, 10, 30] {
        let mut random = Random(7);
        let mut thinned = |all: &[Labelled]| all.iter().map(|labelled| labelled.without(|| random.chance(percent))).collect::<Vec<_>>();
        let (nab, kpi) = (thinned(nab), thinned(kpi));
        let shipped = |labelled: &Labelled| alarms(labelled, &as_shipped);
        let [standard, low_fp, low_fn] = nab_score(&nab, &nab.iter().map(shipped).collect::<Vec<_>>()).profiles;
        let half = kpi_score(&kpi, &kpi.iter().map(shipped).collect::<Vec<_>>(), true);
        println!("{percent:>3} %  {standard:>6.1} {low_fp:>6.1} {low_fn:>6.1}   {:.3} {:.3}", half.delay_7(), half.event_f1());
    }
    type Map = (&'static str, fn(Timestamp, f64) -> (Timestamp, f64));
    let maps: [Map; 4] = [
        ("values × 1,024", |at, value| (at, value * 1024.0)),
        ("values × 3.7e-9", |at, value| (at, value * 3.7e-9)),
        ("values + 1e5", |at, value| (at, value + 1e5)),
        ("five weeks later", |at, value| (at + 5 * WEEK, value)),
    ];
    println!("\nthe same breaches, of all breaches in either");
    for (name, map) in maps {
        let (mut same, mut all) = (0usize, 0usize);
        for labelled in nab.iter().chain(kpi) {
            let (plain, other) = (alarms(labelled, &as_shipped), alarms(&labelled.mapped(map), &as_shipped));
            same += plain.iter().zip(&other).filter(|(a, b)| **a && **b).count();
            all += plain.iter().zip(&other).filter(|(a, b)| **a || **b).count();
        }
        println!("{name:<18} {same} of {all}");
    }
}

fn truth_table() {
    const NUMBER: usize = 40;
    let rules = judges("{ baseline: {}, flatline: 1h, absent: auto }", Duration::from_secs(300));
    println!("\ngenerated series of three weeks at five minutes, {NUMBER} of a kind, seed 3; baseline, flatline and absence judge");
    println!("{:<12} {:>6} {:>12} {:>22}", "kind", "found", "delay 50/90", "false a series-month");
    let mut random = Random(3);
    for kind in truth::KINDS {
        let tally = truth::tally(kind, &rules, NUMBER, &mut random);
        let delay = |share: f64| tally.delays.get((share * tally.delays.len() as f64) as usize).map_or("-".to_owned(), ToString::to_string);
        let found = if kind.is_calm() { "-".to_owned() } else { format!("{}/{}", tally.found, tally.series) };
        let monthly = tally.false_alarms as f64 / tally.days * 30.0;
        println!("{:<12} {found:>6} {:>12} {monthly:>22.2}", format!("{kind:?}"), format!("{}/{}", delay(0.5), delay(0.9)));
    }
}

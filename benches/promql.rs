//! Our PromQL beside Prometheus' own engine: the same samples, the same expressions, every result compared.
//!
//! `make promql`, or `cargo bench --bench promql -- [EXPRESSIONS] [SEED]`. The reference is built by Go from the module
//! in `benches/promql/`; `RICHTER_REFERENCE` names a binary built already. Ends with 1 where anything disagrees.
//! `--write FILE` keeps the reference's shorter answers, for the test that needs no Go.

#[path = "promql/compare.rs"]
mod compare;
#[path = "promql/grammar.rs"]
mod grammar;
#[path = "../tests/it/random.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod random;
#[path = "promql/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use compare::{ours, told, verdict};
use random::Random;
use world::World;

const EXPRESSIONS: usize = 3000;

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let count = numbers.first().map_or(EXPRESSIONS, |n| *n as usize);
    let seed = numbers.get(1).copied().unwrap_or(1);
    println!("seed {seed}");
    let mut random = Random(seed);
    let world = World::new(&mut random);
    let mut expressions: Vec<String> = vec![];
    while expressions.len() < count {
        let expression = grammar::expression(&mut random);
        if !expressions.contains(&expression) {
            expressions.push(expression);
        }
    }
    let Some(answers) = reference(&world, &expressions) else { return ExitCode::from(2) };
    if let Some(file) = std::env::args().skip_while(|argument| argument != "--write").nth(1) {
        keep(&file, seed, &expressions, &answers);
    }
    let mut verdicts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut shown = 0;
    let (mut points, mut equal) = (0, 0);
    for (expression, answer) in expressions.iter().zip(&answers) {
        let verdict = verdict(&ours(&world, expression), &told(answer));
        *verdicts.entry(verdict.kind).or_default() += 1;
        points += verdict.points;
        equal += verdict.equal;
        if matches!(verdict.kind, "differs" | "refused") && shown < 40 {
            shown += 1;
            println!("{}: {expression}\n    {}", verdict.kind, verdict.detail);
        }
    }
    println!("\n{count} expressions over {} series, {} steps", world.series.len(), world.steps().count());
    for (verdict, number) in &verdicts {
        println!("  {verdict:<24} {number:>6}  {:5.1} %", 100.0 * *number as f64 / count as f64);
    }
    println!("  {equal} of {points} points of equal value (1e-9 relative)");
    let wrong: usize = ["differs", "refused"].iter().filter_map(|kind| verdicts.get(kind)).sum();
    ExitCode::from(u8::from(wrong > 0))
}

/// The seed, and a line for each expression whose answer is neither empty nor long.
fn keep(file: &str, seed: u64, expressions: &[String], answers: &[String]) {
    let short = expressions.iter().zip(answers).filter(|(_, answer)| (200..2500).contains(&answer.len())).take(130);
    let lines = short.map(|(expression, answer)| format!("{expression}\n{answer}\n"));
    std::fs::write(file, format!("{seed}\n") + &lines.collect::<String>()).expect("written");
}

/// What Prometheus says of each expression.
fn reference(world: &World, expressions: &[String]) -> Option<Vec<String>> {
    let binary = match std::env::var_os("RICHTER_REFERENCE") {
        Some(path) => PathBuf::from(path),
        None => built()?,
    };
    let mut process = Command::new(binary).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the reference starts");
    let mut input = process.stdin.take().expect("piped");
    let output = BufReader::new(process.stdout.take().expect("piped"));
    let mut questions = world.json() + "\n";
    for expression in expressions {
        questions += &serde_json::json!({"expr": expression}).to_string();
        questions.push('\n');
    }
    let writing = std::thread::spawn(move || input.write_all(questions.as_bytes()).expect("written"));
    let told = output.lines().map(|line| line.expect("read")).collect();
    writing.join().expect("written");
    process.wait().expect("it ends");
    Some(told)
}

/// Builds the reference with Go, which fetches Prometheus' module.
fn built() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/promql");
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("promql-reference");
    let status = Command::new("go").current_dir(source).args(["build", "-o"]).arg(&binary).arg(".").status();
    match status {
        Ok(status) if status.success() => Some(binary),
        Ok(_) => {
            eprintln!("the reference could not be built");
            None
        }
        Err(why) => {
            eprintln!("skipped: Go is needed to build Prometheus' engine ({why})");
            None
        }
    }
}

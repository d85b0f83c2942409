//! Grouping on storms of known truth; `cargo bench --bench correlate` prints the scores.

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

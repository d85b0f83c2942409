//! Our PromQL gives what Prometheus' own engine gave: expressions and answers that `make promql` compares, some of them
//! kept here. `cargo bench --bench promql -- 3000 1 --write tests/promql.txt` writes them.

#[path = "../../benches/promql/compare.rs"]
mod compare;
#[path = "../../benches/promql/world.rs"]
#[allow(dead_code, reason = "the reference is not asked here")]
mod world;

use super::random::{self, Random};
use compare::{ours, told, verdict};
use world::World;

#[test]
fn answers_are_those_of_prometheus() {
    let file = include_str!("../promql.txt");
    let mut lines = file.lines();
    let seed = lines.next().and_then(|line| line.parse().ok()).expect("a seed");
    let world = World::new(&mut Random(seed));
    let (mut wrong, mut points) = (vec![], 0);
    while let (Some(expression), Some(answer)) = (lines.next(), lines.next()) {
        let verdict = verdict(&ours(&world, expression), &told(answer));
        points += verdict.equal;
        if verdict.equal != verdict.points || matches!(verdict.kind, "differs" | "refused") {
            wrong.push(format!("{expression}: {} {}", verdict.kind, verdict.detail));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(points > 1000, "{points} values were compared");
}

//! Which part of a sum or of a ratio carries a breach: by further labels, against what the parts usually are.
//!
//! Each combination of labels is held against the rest: Kulldorff's scan statistic for Poisson counts ("A spatial scan
//! statistic", Communications in Statistics 26, 1997), the likelihood ratio of one rate inside and another outside over one
//! rate everywhere; a combination of more labels must be worth them. The best one is taken out, and what is left is
//! scanned again, as long as there is much left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Dimension, Labels};

/// Parts that are remembered of one group; of more at a step, the largest are.
const PARTS_MAX: usize = 1000;

/// What parts usually are is an average over about so long, in which older values weigh less.
const USUAL: Duration = Duration::from_secs(3600);

/// Combinations that are told of.
const TOLD: usize = 5;

/// Further carriers are looked for while so much of the deviation is left.
const LEFT: f64 = 0.3;

/// A combination that carries less than this is none.
const LEAST: f64 = 0.1;

/// A part that has gone, and is less than this of all, is forgotten.
const NOTHING: f64 = 1e-5;

/// So many are taken to have been counted: what a label more must be worth is told against that, and how well the rate of a part is
/// known that has hardly counted anything.
const COUNTED: f64 = 1000.0;

/// What each part is at a step: what is summed up, and of a quotient also the divisor.
pub(super) type Parts = BTreeMap<Labels, (f64, f64)>;

/// What the parts of a group usually are.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Usual {
    parts: Parts,
    weight: f64,
    /// At the last step.
    now: Parts,
}

/// What is expected of a part, and what there is; of a quotient, of how many.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    is: f64,
    expected: f64,
    whole: f64,
}

impl Cell {
    fn and(self, other: Self) -> Self {
        Self { is: self.is + other.is, expected: self.expected + other.expected, whole: self.whole + other.whole }
    }

    /// What would be expected if the excess of all were nobody's in particular: of a quotient, the same share more of each part,
    /// whatever its own rate was, which may have been next to nothing.
    fn evenly(self, all: Self) -> Self {
        let share = if all.whole > 0.0 { (all.is - all.expected) / all.whole } else { 0.0 };
        Self { expected: (self.expected + self.whole * share).max(0.0), ..self }
    }
}

impl Usual {
    /// Takes in the parts of a step that stands for so long; they teach where nothing is wrong.
    pub(super) fn see(&mut self, now: &Parts, every: Duration, teaches: bool) {
        self.now.clear();
        let beyond = |labels: &Labels, known: usize| known >= PARTS_MAX && !self.parts.contains_key(labels);
        // One that is no number would make none of all.
        let now = || now.iter().filter(|(_, (part, whole))| part.is_finite() && whole.is_finite());
        let mut known: Vec<_> = now().filter(|(labels, _)| !beyond(labels, self.parts.len())).collect();
        if known.len() > PARTS_MAX {
            let size = |(part, whole): &(f64, f64)| part.abs().max(whole.abs());
            known.sort_by(|(a, of_a), (b, of_b)| size(of_b).total_cmp(&size(of_a)).then_with(|| a.cmp(b)));
        }
        self.now.extend(known.into_iter().take(PARTS_MAX).map(|(labels, of)| (labels.clone(), *of)));
        if !teaches {
            return;
        }
        let new = 1.0 - libm::exp(-every.as_secs_f64() / USUAL.as_secs_f64());
        for (part, whole) in self.parts.values_mut() {
            (*part, *whole) = (*part * (1.0 - new), *whole * (1.0 - new));
        }
        self.weight += new * (1.0 - self.weight);
        for (labels, (part, whole)) in &self.now {
            if self.parts.len() < PARTS_MAX || self.parts.contains_key(labels) {
                let known = self.parts.entry(labels.clone()).or_default();
                (known.0, known.1) = (known.0 + new * part, known.1 + new * whole);
            }
        }
        // What has gone for so long that it is next to nothing of all is forgotten.
        let little = |sum: fn(&(f64, f64)) -> f64| NOTHING * self.parts.values().map(|of| sum(of).abs()).sum::<f64>();
        let (part, whole) = (little(|of| of.0), little(|of| of.1));
        self.parts.retain(|labels, of| self.now.contains_key(labels) || of.0.abs() > part || of.1.abs() > whole);
    }

    /// The combinations of labels that carry the deviation, the first one most of it. Of a sum it is told how many times what
    /// there is was expected, where that is known.
    pub(super) fn carriers(&self, quotient: bool, expected: Option<f64>) -> Vec<Dimension> {
        let mut cells = self.cells(quotient);
        let all = total(cells.values());
        // What a sum is by this time of day, its parts are together.
        let by = expected.filter(|_| !quotient).map_or(1.0, |times| times * all.is / all.expected);
        if by.is_finite() && by > 0.0 {
            cells.values_mut().for_each(|cell| cell.expected *= by);
        }
        let all = total(cells.values());
        let up = all.is > all.expected;
        let mut left = cells.clone();
        let mut told = vec![];
        while told.len() < TOLD {
            let rest = total(left.values());
            if (rest.is - rest.expected).abs() < LEFT * (all.is - all.expected).abs() || (rest.is > rest.expected) != up {
                break;
            }
            let Some((element, cell)) = best(&left, up) else { break };
            let coverage = (cell.is - cell.expected) / (all.is - all.expected);
            if !coverage.is_finite() || coverage < LEAST {
                break;
            }
            left.retain(|labels, _| !holds(labels, &element));
            let deviates = |cell: Cell| (cell.is - cell.expected) / cell.expected.max(f64::MIN_POSITIVE);
            let lift = (deviates(cell) / deviates(all)).min(1e6);
            told.push(Dimension { labels: element, coverage, lift, is: cell.is, expected: cell.expected });
        }
        told.sort_by(|a, b| b.coverage.total_cmp(&a.coverage));
        told
    }

    /// Of a quotient as many of each part's whole as are usual for it; else what the part usually is.
    fn cells(&self, quotient: bool) -> BTreeMap<&Labels, Cell> {
        let usual = |labels: &Labels| self.parts.get(labels).map_or((0.0, 0.0), |(part, whole)| (part / self.weight, whole / self.weight));
        let all = self.parts.values().fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        let rate = if all.1 > 0.0 { all.0 / all.1 } else { 0.0 };
        let prior = all.1 / self.weight.max(f64::MIN_POSITIVE) / COUNTED;
        let known: BTreeSet<&Labels> = self.parts.keys().chain(self.now.keys()).collect();
        let cell = |labels: &Labels| {
            let (is, whole) = self.now.get(labels).copied().unwrap_or_default();
            let (part, of) = usual(labels);
            let expected = match quotient {
                true => whole * (part + prior * rate) / (of + prior).max(f64::MIN_POSITIVE),
                false => part,
            };
            Cell { is: is.max(0.0), expected: expected.max(0.0), whole: if quotient { whole.max(0.0) } else { 0.0 } }
        };
        known.into_iter().filter(|_| self.weight > 0.0).map(|labels| (labels, cell(labels))).collect()
    }
}

fn total<'c>(cells: impl Iterator<Item = &'c Cell>) -> Cell {
    cells.fold(Cell::default(), |sum, cell| sum.and(*cell))
}

fn holds(labels: &Labels, element: &Labels) -> bool {
    element.iter().all(|(name, value)| labels.get(name) == value)
}

/// The combination that differs most from the rest, in the same direction as all do.
fn best(cells: &BTreeMap<&Labels, Cell>, up: bool) -> Option<(Labels, Cell)> {
    let mut elements: BTreeMap<Labels, Cell> = BTreeMap::new();
    for (labels, cell) in cells {
        let names: Vec<(&str, &str)> = labels.iter().collect();
        for chosen in 1_u32..1 << names.len() {
            let of = names.iter().enumerate().filter(|(place, _)| chosen & (1 << place) != 0).map(|(_, pair)| *pair);
            let sum = elements.entry(Labels::of(of)).or_default();
            *sum = sum.and(*cell);
        }
    }
    let all = total(cells.values());
    let scale = COUNTED / (all.is + all.expected).max(f64::MIN_POSITIVE);
    let label = libm::log(elements.len() as f64 + 1.0);
    let even = all.evenly(all);
    // Where all deviate alike, be it by the same factor or by the same share more, that is nobody's.
    let odds = |cell: Cell| ratio(cell, all, up).min(ratio(cell.evenly(all), even, up));
    let worth = |(element, cell): &(Labels, Cell)| scale * odds(*cell) - element.iter().count() as f64 * label;
    elements.into_iter().max_by(|a, b| worth(a).total_cmp(&worth(b)).then_with(|| b.0.cmp(&a.0))).filter(|best| worth(best) > 0.0)
}

/// The logarithm of the likelihood ratio of two rates, inside and outside, over one.
fn ratio(inside: Cell, all: Cell, up: bool) -> f64 {
    let little = 1e-6 * (all.is + all.expected);
    let outside = Cell { is: all.is - inside.is, expected: all.expected - inside.expected, whole: 0.0 };
    let rate = |cell: Cell| (cell.is + little) / (cell.expected + little);
    if (rate(inside) > rate(outside)) != up {
        return 0.0;
    }
    let part = |cell: Cell| cell.is.max(0.0) * libm::log(rate(cell));
    (part(inside) + part(outside) - part(all)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn parts(of: &[(&str, &str, f64, f64)]) -> Parts {
        of.iter()
            .map(|(region, channel, part, whole)| (Labels::of([("region", *region), ("channel", *channel)]), (*part, *whole)))
            .collect()
    }

    fn carriers(usual: &Parts, now: &Parts, quotient: bool) -> Vec<(String, i64)> {
        let mut all = Usual::default();
        (0..60).for_each(|_| all.see(usual, MINUTE, true));
        all.see(now, MINUTE, false);
        all.carriers(quotient, None).iter().map(|told| (told.labels.to_string(), (told.coverage * 100.0).round() as i64)).collect()
    }

    #[test]
    fn the_combination_that_lost_most_is_told() {
        let usual = parts(&[("eu", "web", 50.0, 0.0), ("eu", "app", 50.0, 0.0), ("us", "web", 50.0, 0.0), ("us", "app", 50.0, 0.0)]);
        let now = parts(&[("eu", "web", 5.0, 0.0), ("eu", "app", 4.0, 0.0), ("us", "web", 50.0, 0.0), ("us", "app", 51.0, 0.0)]);
        assert_eq!(carriers(&usual, &now, false), [(r#"{region="eu"}"#.to_owned(), 101)], "one label says it");
        let now = parts(&[("eu", "web", 2.0, 0.0), ("eu", "app", 49.0, 0.0), ("us", "web", 50.0, 0.0), ("us", "app", 51.0, 0.0)]);
        assert_eq!(carriers(&usual, &now, false), [(r#"{channel="web", region="eu"}"#.to_owned(), 100)], "it takes both");
        let gone = parts(&[("eu", "web", 50.0, 0.0), ("eu", "app", 50.0, 0.0), ("us", "web", 50.0, 0.0)]);
        assert_eq!(carriers(&usual, &gone, false), [(r#"{channel="app", region="us"}"#.to_owned(), 100)], "what has gone is missed");
    }

    #[test]
    fn of_a_ratio_it_is_the_rate_that_counts_and_not_the_traffic() {
        let usual = parts(&[("eu", "web", 5.0, 500.0), ("eu", "app", 1.0, 100.0), ("us", "web", 5.0, 500.0), ("us", "app", 1.0, 100.0)]);
        let now = parts(&[("eu", "web", 11.0, 1000.0), ("eu", "app", 40.0, 100.0), ("us", "web", 5.0, 500.0), ("us", "app", 41.0, 100.0)]);
        assert_eq!(carriers(&usual, &now, true), [(r#"{channel="app"}"#.to_owned(), 99)]);
    }

    #[test]
    fn in_a_morning_rise_it_is_who_does_not_rise() {
        let usual = parts(&[("eu", "web", 50.0, 0.0), ("us", "web", 30.0, 0.0), ("us", "app", 20.0, 0.0)]);
        let now = parts(&[("eu", "web", 60.0, 0.0), ("us", "web", 60.0, 0.0), ("us", "app", 40.0, 0.0)]);
        let mut all = Usual::default();
        (0..60).for_each(|_| all.see(&usual, MINUTE, true));
        all.see(&now, MINUTE, false);
        let told: Vec<Dimension> = all.carriers(false, Some(200.0 / 160.0));
        assert_eq!(told.iter().map(|of| of.labels.to_string()).collect::<Vec<_>>(), [r#"{region="eu"}"#], "there should be 200 by now");
        assert!((told[0].expected - 100.0).abs() < 0.1 && (told[0].coverage - 1.0).abs() < 0.01, "{told:?}");
    }

    #[test]
    fn of_too_many_parts_the_largest_are_looked_at() {
        let many = |lost: f64| -> Parts {
            let size = |number: usize| if number == 2 * PARTS_MAX { 5000.0 - lost } else { 1.0 };
            (0..=2 * PARTS_MAX).map(|number| (Labels::of([("shop", format!("{number:05}").as_str())]), (size(number), 0.0))).collect()
        };
        let told = carriers(&many(0.0), &many(4000.0), false);
        assert_eq!(told, [(r#"{shop="02000"}"#.to_owned(), 100)]);
    }

    #[test]
    fn two_causes_are_both_told() {
        let usual = parts(&[
            ("eu", "web", 50.0, 0.0),
            ("eu", "app", 50.0, 0.0),
            ("us", "web", 50.0, 0.0),
            ("us", "app", 50.0, 0.0),
            ("jp", "tv", 99.0, 0.0),
        ]);
        let now = parts(&[
            ("eu", "web", 2.0, 0.0),
            ("eu", "app", 49.0, 0.0),
            ("us", "web", 50.0, 0.0),
            ("us", "app", 50.0, 0.0),
            ("jp", "tv", 60.0, 0.0),
        ]);
        let told: Vec<String> = carriers(&usual, &now, false).into_iter().map(|(labels, _)| labels).collect();
        assert_eq!(told, [r#"{channel="web", region="eu"}"#, r#"{channel="tv"}"#]);
    }

    #[test]
    fn what_has_just_gone_is_missed_in_any_unit_and_new_parts_are_limited() {
        let usual = parts(&[("eu", "web", 5e-6, 0.0), ("us", "app", 5e-6, 0.0)]);
        let gone = parts(&[("eu", "web", 5e-6, 0.0)]);
        let mut all = Usual::default();
        (0..60).for_each(|_| all.see(&usual, MINUTE, true));
        (0..3).for_each(|_| all.see(&gone, MINUTE, true));
        assert_eq!(all.carriers(false, None).first().map(|told| told.labels.to_string()), Some(r#"{channel="app"}"#.into()));
        let many: Vec<String> = (0..3 * PARTS_MAX).map(|number| format!("r{number}")).collect();
        all.see(&many.iter().map(|region| (Labels::of([("region", region.as_str())]), (1.0, 0.0))).collect(), MINUTE, true);
        assert!(all.parts.len() <= PARTS_MAX && all.now.len() <= PARTS_MAX);
    }

    #[test]
    fn all_alike_is_nobodys() {
        let usual = parts(&[("eu", "web", 50.0, 0.0), ("us", "app", 50.0, 0.0)]);
        let now = parts(&[("eu", "web", 25.0, 0.0), ("us", "app", 25.0, 0.0)]);
        assert_eq!(carriers(&usual, &now, false), []);
        // A third fails everywhere, of which next to nothing did before, and in one part nothing at all.
        let usual = parts(&[("eu", "web", 0.0, 500.0), ("us", "web", 0.2, 400.0), ("us", "app", 0.01, 300.0)]);
        let now = parts(&[("eu", "web", 150.0, 500.0), ("us", "web", 121.0, 400.0), ("us", "app", 90.0, 300.0)]);
        assert_eq!(carriers(&usual, &now, true), []);
        // Everybody is three times as slow, or fails three times as often, as before.
        let usual = parts(&[("eu", "web", 50.0, 500.0), ("us", "web", 80.0, 400.0), ("us", "app", 3.0, 300.0)]);
        let now = parts(&[("eu", "web", 150.0, 500.0), ("us", "web", 240.0, 400.0), ("us", "app", 9.0, 300.0)]);
        assert_eq!(carriers(&usual, &now, true), []);
        let usual = parts(&[("eu", "web", 0.0, 500.0), ("us", "web", 0.2, 400.0), ("us", "app", 0.01, 300.0)]);
        let now = parts(&[("eu", "web", 150.0, 500.0), ("us", "web", 0.2, 400.0), ("us", "app", 0.0, 300.0)]);
        assert_eq!(carriers(&usual, &now, true), [(r#"{region="eu"}"#.to_owned(), 100)]);
    }
}

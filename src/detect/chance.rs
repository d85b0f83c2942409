//! Whether a share may be off by chance: the test for what was counted.
//!
//! Three failures of four requests are no sign of anything that ten thousand of them would be. A deviation of a share has
//! to be as surprising for its counts as it is for its series: by the binomial distribution, or, where the "share" is of
//! something else than its divisor and so may be above the whole, by Poisson's.

use statrs::distribution::{Binomial, DiscreteCDF, Poisson};

/// More than this is not counted one by one.
const COUNT_MAX: f64 = 1e12;

/// How many things a value is a share of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counted {
    /// How many there were.
    pub of: f64,
    /// The value of all of them.
    pub whole: f64,
    /// The share of them that the evaluation before did not see.
    pub fresh: f64,
}

impl Counted {
    /// How surprising a value is that should be the expected one: −log₁₀ of the probability of one as far off or
    /// further, on that side. `seen` evaluations like this one are known: what never happened in them may be as rare as
    /// once in all they counted.
    pub(super) fn surprise(self, expected: f64, value: f64, seen: f64) -> f64 {
        let of = self.of.round().clamp(0.0, COUNT_MAX);
        let rarest = 1.0 / (2.0 + (of * self.fresh * seen).max(0.0));
        let share = (expected / self.whole).max(rarest);
        let counted = (value / self.whole * of).round().clamp(0.0, COUNT_MAX) as u64;
        let up = value > expected;
        let probability = if share > 1.0 || counted as f64 > of {
            Poisson::new(share * of).map_or(1.0, |poisson| tail(&poisson, counted, up))
        } else {
            Binomial::new(share.min(1.0 - rarest), of as u64).map_or(1.0, |binomial| tail(&binomial, counted, up))
        };
        -libm::log10(probability.max(f64::MIN_POSITIVE))
    }

    /// As many as an average over so many evaluations holds.
    pub(super) fn over(self, evaluations: f64) -> Self {
        Self { of: self.of * (evaluations * self.fresh).max(1.0), ..self }
    }
}

/// The probability of so many or more, or of so many or fewer.
fn tail(distribution: &impl DiscreteCDF<u64, f64>, counted: u64, up: bool) -> f64 {
    match (up, counted) {
        (true, 0) => 1.0,
        (true, _) => distribution.sf(counted - 1),
        (false, _) => distribution.cdf(counted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surprise(failed: f64, of: f64) -> f64 {
        Counted { of, whole: 1.0, fresh: 1.0 }.surprise(0.1, failed / of, 1000.0)
    }

    /// By the sums of the distribution's terms: 3·0.1²·0.9 + 0.1³ = 0.028.
    #[test]
    fn the_same_share_says_more_of_more() {
        assert!((surprise(2.0, 3.0) - -libm::log10(0.028)).abs() < 1e-9);
        assert!(surprise(20.0, 30.0) > 10.0);
    }

    #[test]
    fn what_never_failed_may_fail_once() {
        let never = |failed: f64| Counted { of: 3.0, whole: 100.0, fresh: 1.0 }.surprise(0.0, failed / 3.0 * 100.0, 1000.0);
        assert!((2.0..4.0).contains(&never(1.0)), "{}", never(1.0));
        assert!(never(2.0) > 4.0);
    }

    #[test]
    fn what_is_no_share_is_counted_by_poissons_distribution() {
        let per_user = |requests: f64| Counted { of: 4.0, whole: 1.0, fresh: 1.0 }.surprise(5.0, requests / 4.0, 1000.0);
        assert!(per_user(22.0) < 1.0 && per_user(60.0) > 8.0);
    }
}

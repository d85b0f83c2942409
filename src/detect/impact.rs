//! What a breach costs: the integral of what is missing against the expected value, as a number, as a share of a usual
//! day, and in money; and what a monitor's further queries count.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Measure, Numbers, Reading};
use crate::rules::{ImpactRules, Side};

const DAY_SECONDS: f64 = 86_400.0;

/// What a usual day has, in what the query counts a second: an average over about a day, in which older values weigh less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Daily {
    sum: f64,
    weight: f64,
}

/// What a step's cost is reckoned by.
#[derive(Clone, Copy)]
pub(super) struct Impact<'i> {
    pub(super) rules: &'i ImpactRules,
    /// What the further queries give at this step.
    pub(super) counted: &'i [(Measure, f64)],
    /// How much a usual day has, where that is known.
    pub(super) daily: Option<f64>,
    /// Where it is bad.
    pub(super) side: Side,
}

impl Daily {
    /// A good value that stood for so long.
    pub(super) fn see(&mut self, value: f64, passed: Duration) {
        let new = 1.0 - libm::exp(-passed.as_secs_f64() / DAY_SECONDS);
        self.sum += new * (value - self.sum);
        self.weight += new * (1.0 - self.weight);
    }

    /// How much a usual day has; the query counts by `per`.
    pub(super) fn a_day(self, per: Duration) -> Option<f64> {
        let days = DAY_SECONDS / per.as_secs_f64();
        (self.weight > 0.0).then(|| self.sum / self.weight * days).filter(|a_day| *a_day > 0.0)
    }
}

impl Impact<'_> {
    /// Adds what a bad step costs that stands for so long. What is counted keeps its highest number.
    pub(super) fn add(self, reading: &Reading, stands_for: Duration, numbers: &mut Numbers) {
        // Where both is bad, what is too much is no loss.
        let side = if self.side == Side::Both { Side::Below } else { self.side };
        if let Some(missing) = reading.expected.map(|expected| side.by(reading.value - expected)).filter(|missing| missing.is_finite()) {
            let lost = numbers.entry(Measure::Lost).or_default();
            *lost += missing * stands_for.as_secs_f64() / self.rules.per.as_secs_f64();
            let lost = *lost;
            if let Some(a_day) = self.daily {
                numbers.insert(Measure::LostShare, lost / a_day);
            }
            if let Some(money) = &self.rules.money {
                numbers.insert(Measure::Money, lost * money.per_lost_unit);
            }
        }
        for (measure, number) in self.counted.iter().filter(|(_, number)| number.is_finite()) {
            let highest = numbers.entry(*measure).or_insert(*number);
            *highest = highest.max(*number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Money;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_missing_adds_up_and_what_is_counted_keeps_its_highest() {
        let rules = ImpactRules { per: MINUTE, money: Some(Money { per_lost_unit: 2.5, currency: "EUR".into() }), queries: vec![] };
        let mut daily = Daily::default();
        daily.see(100.0, MINUTE);
        let daily = daily.a_day(MINUTE);
        let reading = Reading { value: 60.0, expected: Some(100.0), ..Reading::default() };
        let mut numbers = Numbers::new();
        for users in [10.0, 30.0, 20.0] {
            let counted = [(Measure::AffectedUsers, users)];
            Impact { rules: &rules, counted: &counted, daily, side: Side::Below }.add(&reading, MINUTE, &mut numbers);
        }
        let surplus = Reading { value: 150.0, expected: Some(100.0), ..Reading::default() };
        Impact { rules: &rules, counted: &[], daily, side: Side::Below }.add(&surplus, MINUTE, &mut numbers);
        let number = |measure| numbers.get(&measure).map(|number: &f64| (number * 1e6).round() / 1e6);
        assert_eq!(number(Measure::Lost), Some(120.0), "more than expected is no loss where less is bad");
        assert_eq!(number(Measure::Money), Some(300.0));
        assert_eq!(number(Measure::AffectedUsers), Some(30.0));
        assert_eq!(number(Measure::LostShare), Some((120.0_f64 / 144_000.0 * 1e6).round() / 1e6));
    }
}

//! A breach: a group's evaluations outside their limits for long enough.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Definition, Entity, Labels, Measure, Numbers, Timestamp};

/// One judged evaluation: the numbers a person needs to see why it counts as bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The query's value, in the monitor's unit; NaN where data is missing.
    pub value: f64,
    /// What was expected, in the monitor's unit, where a baseline knows.
    pub expected: Option<f64>,
    /// The lower limit, where there is one.
    pub lower: Option<f64>,
    /// The upper limit, where there is one.
    pub upper: Option<f64>,
    /// How far outside, 1 being the limit itself; comparable between monitors.
    pub score: f64,
    /// Of how much the value is an average or a share: the divisor, where the query is a quotient.
    pub weight: Option<f64>,
}

/// What a monitor has too much of somewhere, though not enough for a breach: evidence where there is a fault, and never one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hint {
    /// The monitor's name.
    pub monitor: String,
    /// What it is about.
    pub entity: Entity,
    /// What that calls, where it is of calls between the two.
    pub calls: Option<Entity>,
    /// At which step.
    pub at: Timestamp,
    /// How much, as [`Reading::excess`]; 0 takes the last one back.
    pub excess: f64,
}

impl Hint {
    /// Whether it takes the last one of its monitor and entity back: what was odd was so for one evaluation.
    #[must_use]
    pub fn is_taken_back(&self) -> bool {
        self.excess == 0.0
    }
}

/// What a monitor finds good somewhere, told now and then, and that it does no more: where there is a fault, it is likely not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Good {
    /// The monitor's name.
    pub monitor: String,
    /// What it is about; of calls who serves them.
    pub entity: Entity,
    /// At which step.
    pub at: Timestamp,
    /// False once it is bad, odd, or without a value.
    pub good: bool,
}

/// What is beyond any number is too much by so much.
const EXCESS_MAX: f64 = 1e100;

impl Reading {
    /// What is too much, or missing, against what was expected or else against the limit: of a quotient in the unit of what is
    /// divided, such as failed requests; elsewhere in the monitor's. None where there is nothing to hold it against.
    #[must_use]
    pub fn excess(&self) -> Option<f64> {
        let passed = self.upper.filter(|upper| self.value > *upper).or(self.lower.filter(|lower| self.value < *lower));
        let excess = (self.value - self.expected.or(passed)?).abs() * self.weight.unwrap_or(1.0);
        (!excess.is_nan()).then_some(excess.min(EXCESS_MAX))
    }

    /// Whether it is further outside than another one of the same monitor: by its value, for a score may tell of what was before;
    /// by that where the values are within their limits, or there is none.
    #[must_use]
    pub fn is_worse_than(&self, other: &Self) -> bool {
        let beyond = |reading: &Self| match (reading.upper, reading.lower) {
            (Some(upper), _) if reading.value > upper => reading.value - upper,
            (_, Some(lower)) if reading.value < lower => lower - reading.value,
            _ => 0.0,
        };
        let (is, was) = (beyond(self), beyond(other));
        let unseen = self.value.is_nan() || other.value.is_nan();
        if unseen || is == was { self.score > other.score } else { is > was }
    }

    /// Takes a measure of its own; none where it needs an expected value that is not known or is zero.
    #[must_use]
    pub fn measure(&self, measure: Measure) -> Option<f64> {
        let change = || {
            let expected = self.expected.filter(|e| *e != 0.0)?;
            Some((self.value - expected) / expected.abs())
        };
        let taken = match measure {
            Measure::Value => Some(self.value),
            Measure::Rise => change(),
            Measure::Drop => change().map(|x| -x),
            Measure::Lost
            | Measure::LostShare
            | Measure::Money
            | Measure::AffectedUsers
            | Measure::AffectedMerchants
            | Measure::Complaints
            | Measure::Mentions
            | Measure::NegativeShare
            | Measure::Reach => None,
        };
        taken.filter(|x| !x.is_nan())
    }
}

/// Which judge spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Judge {
    /// A fixed threshold.
    Static,
    /// The rolling baseline.
    Baseline,
    /// The rate of change.
    Change,
    /// The same time of an earlier day.
    Compare,
    /// The trend.
    Forecast,
    /// The very same value for too long.
    Flatline,
    /// Missing data.
    Absent,
}

impl Judge {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Baseline => "baseline",
            Self::Change => "change",
            Self::Compare => "compare",
            Self::Forecast => "forecast",
            Self::Flatline => "flatline",
            Self::Absent => "absent",
        }
    }
}

/// Where in its life a breach is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It has held for the monitor's `for`.
    Opened,
    /// Other conditions of its ladder hold than before, or its data is back.
    Changed,
    /// Its data has stopped: nothing tells whether it lasts, or stays over.
    Stale,
    /// It is over; told once more when it has stayed so for long enough.
    Ended,
}

/// What detection says about one breach at one of its transitions; each statement stands on its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Breach {
    /// The monitor's name.
    pub monitor: String,
    /// The group's labels: the labels of the query's output series.
    pub group: Labels,
    /// What it is about.
    pub entity: Entity,
    /// What that calls, where it is of calls between the two.
    pub calls: Option<Entity>,
    /// Where in its life it is.
    pub phase: Phase,
    /// When the first sample of its group was seen.
    pub began: Timestamp,
    /// When the first bad sample was taken. With monitor and group it names the breach.
    pub onset: Timestamp,
    /// The evaluation this statement is about; for an end, the first good one.
    pub at: Timestamp,
    /// The evaluation by which that is known.
    pub known_at: Timestamp,
    /// For an end: by when it had stayed good for long enough, data being there; none as long as it has not.
    pub settled_at: Option<Timestamp>,
    /// The judge that spoke.
    pub judge: Judge,
    /// For an end: the value is not back, but has lasted for so long that it is the normal one from now on.
    pub new_normal: bool,
    /// The reading at `at`; for an end the good one.
    pub reading: Reading,
    /// The worst reading so far, by score.
    pub worst: Reading,
    /// What it means and when it is which level, as it was when it began; none for a technical monitor.
    pub definition: Option<Definition>,
    /// The conditions that were met, in the words of [`Condition`](super::Condition)'s display.
    pub met: Vec<String>,
    /// The conditions that hold, and for how long by then.
    pub holding: Vec<(String, Duration)>,
    /// Conditions that need what people say: for how long by then the rest of them has held.
    pub rest_held: Vec<(String, Duration)>,
    /// What it costs so far.
    pub numbers: Numbers,
    /// Which combinations of labels carry it, where that is asked for; the first one most of it.
    pub dimensions: Vec<Dimension>,
    /// How it went since its onset, thinned out where it is long.
    pub curve: Vec<Step>,
}

/// A combination of labels that carries a breach of a sum or of a ratio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dimension {
    /// The combination.
    pub labels: Labels,
    /// Its share of the whole deviation; above 1 where others make up for it.
    pub coverage: f64,
    /// How many times as much it deviates, as a share of what is expected, as the whole does.
    pub lift: f64,
    /// What there is of it, in the unit of what is summed up.
    pub is: f64,
    /// What was expected of it, in the same unit.
    pub expected: f64,
}

/// A step of a breach, to be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// What was read.
    pub reading: Reading,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_value_is_the_one_furthest_outside_and_not_the_one_after_it_that_averages_still_remember() {
        let reading = |value: f64, score: f64| Reading { value, score, lower: Some(80.0), ..Reading::default() };
        let (outage, after) = (reading(10.0, 5.0), reading(85.0, 9.0));
        assert!(outage.is_worse_than(&after) && !after.is_worse_than(&outage));
        assert!(reading(90.0, 2.0).is_worse_than(&after) ^ after.is_worse_than(&reading(90.0, 2.0)), "both are inside: the score says");
        assert!(reading(f64::NAN, 6.0).is_worse_than(&outage), "it has been absent for long");
    }
}

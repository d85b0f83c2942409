//! A group's judges, and their common verdict on one evaluation.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Judge, Reading, Timestamp};
use crate::rules::{Combine, JudgeRules, Limits};

use super::baseline::{Band, Baseline, State};
use super::chance::Counted;
use super::hold::Hold;
use super::past::Past;
use super::still::Still;
use super::trend::Trend;

/// Scores above this, and those that are infinite, are taken for this.
pub(super) const SCORE_MAX: f64 = 1e6;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// No judge can say: there is no data, and the value is none, or a judge still learns.
    Unknown { value: f64 },
    /// Within all limits.
    Good { reading: Reading },
    /// Outside; the judge is the one with the highest score.
    Bad { judge: Judge, reading: Reading, sampled: Timestamp },
    /// What was outside has lasted for so long that it is the normal level from now on.
    NewNormal { reading: Reading },
}

/// What the judges of a group remember.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Judges {
    baseline: Option<Box<Baseline>>,
    /// A fixed limit was passed, and the value is not back at where it clears.
    beyond: bool,
    change: Option<Box<Past>>,
    compare: Option<Box<Past>>,
    still: Option<Still>,
    trend: Option<Trend>,
    /// How surprising the last value was to the baseline alone; asked for before the next one only.
    #[serde(skip)]
    surprise: f64,
}

/// What one judge says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opinion {
    pub(super) judge: Judge,
    /// 1 at the limit; none while the judge cannot say.
    pub(super) score: Option<f64>,
    pub(super) expected: Option<f64>,
    pub(super) lower: Option<f64>,
    pub(super) upper: Option<f64>,
}

impl Opinion {
    pub(super) fn unknown(judge: Judge) -> Self {
        Self { judge, score: None, expected: None, lower: None, upper: None }
    }

    fn is_bad(&self) -> bool {
        self.score.is_some_and(|score| score >= 1.0)
    }
}

/// An evaluation that has a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) step: Timestamp,
    pub(super) every: Duration,
    pub(super) sampled: Timestamp,
    pub(super) value: f64,
    /// It may be too low, for what it adds up has only just begun.
    pub(super) filling: bool,
    /// What it is a share of, where that was counted.
    pub(super) counted: Option<Counted>,
    /// What it was divided by.
    pub(super) divisor: Option<f64>,
}

impl Judges {
    /// Forgets what was made for other steps or other rules.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The baseline, once there was a value.
    pub(super) fn baseline(&self) -> Option<&Baseline> {
        self.baseline.as_deref()
    }

    /// How surprising the last value was to the baseline, 1 at the limit; 0 where it cannot say.
    pub(super) fn surprise(&self) -> f64 {
        self.surprise
    }

    /// Judges a value, there being a breach, or what was one lately.
    pub(super) fn judge(&mut self, rules: &JudgeRules, measured: Measured, hold: &Hold) -> Verdict {
        match self.verdict(rules, measured, hold.judge()) {
            // Whatever else can be said of it: there is data again.
            Verdict::Unknown { value } if hold.is_of_absence() => Verdict::Good { reading: Reading { value, ..Reading::default() } },
            verdict => verdict,
        }
    }

    /// `open` is the judge of the breach that is open.
    fn verdict(&mut self, rules: &JudgeRules, measured: Measured, open: Option<Judge>) -> Verdict {
        let Measured { step, every, sampled, value, counted, .. } = measured;
        let few = rules.min_traffic.zip(counted).is_some_and(|(least, counted)| counted.of < least);
        if value.is_nan() || few {
            return Verdict::Unknown { value };
        }
        let whole = !measured.filling;
        let band = rules.baseline.as_ref().filter(|_| whole).and_then(|rule| {
            let baseline = self.baseline.get_or_insert_with(|| Box::new(Baseline::new(rule, every)));
            baseline.see(rule, every, step, value, counted)
        });
        self.surprise = band.filter(|band| band.state != State::Learning).map_or(0.0, |band| band.score);
        let opinions = [
            rules.limits.as_ref().map(|limits| fixed(limits, &mut self.beyond, &measured)),
            rules.baseline.as_ref().map(|_| learnt(band)),
            rules
                .change
                .as_ref()
                .filter(|_| whole)
                .map(|rule| self.change.get_or_insert_default().see(rule, Judge::Change, measured, open)),
            rules
                .compare
                .as_ref()
                .filter(|_| whole)
                .map(|rule| self.compare.get_or_insert_default().see(rule, Judge::Compare, measured, open)),
            rules.forecast.as_ref().filter(|_| whole).map(|rule| self.trend.get_or_insert_default().see(rule, measured)),
            rules.flatline.map(|after| self.still.get_or_insert_default().see(after, measured)),
        ];
        let opinions = || opinions.iter().flatten();
        let reading = reading(&measured, opinions());
        let settled = match open {
            Some(Judge::Baseline) => band.is_some_and(|band| band.state == State::NewNormal),
            Some(Judge::Change) => self.change.as_ref().is_some_and(|change| change.settled),
            _ => false,
        };
        if settled && !opinions().any(Opinion::is_bad) {
            return Verdict::NewNormal { reading };
        }
        let known = opinions().filter(|opinion| opinion.score.is_some()).count();
        let agreed = match rules.combine {
            Combine::Any => opinions().any(Opinion::is_bad),
            Combine::All => known > 0 && opinions().all(Opinion::is_bad),
        };
        if agreed {
            let worst =
                opinions().filter(|opinion| opinion.is_bad()).max_by(|a, b| a.score.unwrap_or(0.0).total_cmp(&b.score.unwrap_or(0.0)));
            return worst.map_or(Verdict::Unknown { value }, |worst| Verdict::Bad { judge: worst.judge, reading, sampled });
        }
        // Learning is no opinion on the value.
        let silent = known == 0 && opinions().next().is_some();
        // Nor does a judge end its own breach that cannot say now, or disagree with those that can.
        let undecided = opinions().any(|opinion| opinion.score.is_none() && open == Some(opinion.judge));
        let good = opinions().any(|opinion| opinion.score.is_some() && !opinion.is_bad());
        let waits = rules.combine == Combine::All && !good && opinions().next().is_some();
        if silent || undecided || waits { Verdict::Unknown { value } } else { Verdict::Good { reading } }
    }
}

/// The numbers a person needs: the tightest limits, and the expected value of whoever has one.
fn reading<'o>(measured: &Measured, opinions: impl Iterator<Item = &'o Opinion> + Clone) -> Reading {
    let each = || opinions.clone();
    Reading {
        value: measured.value,
        weight: measured.divisor,
        expected: each().find_map(|opinion| opinion.expected),
        lower: each().filter_map(|opinion| opinion.lower).reduce(f64::max),
        upper: each().filter_map(|opinion| opinion.upper).reduce(f64::min),
        score: each().filter_map(|opinion| opinion.score).fold(0.0, f64::max),
    }
}

/// How far outside the fixed limits, 1 at the limit; once outside, the value has to come back to where it clears.
fn fixed(limits: &Limits, beyond: &mut bool, measured: &Measured) -> Opinion {
    let value = measured.value;
    let here = |limit: f64| if *beyond { limits.until.unwrap_or(limit) } else { limit };
    let (above, below) = (limits.above.map(here), limits.below.map(here));
    let by = |by: f64, limit: f64| (by > 0.0).then(|| (1.0 + by / limit.abs().max(f64::MIN_POSITIVE)).min(SCORE_MAX));
    let high = above.and_then(|limit| by(value - limit, limit));
    let low = below.filter(|_| !measured.filling).and_then(|limit| by(limit - value, limit));
    let score = high.or(low);
    *beyond = score.is_some();
    let known = high.is_some() || below.is_none() || !measured.filling;
    Opinion { judge: Judge::Static, score: known.then_some(score.unwrap_or(0.0)), expected: None, lower: limits.below, upper: limits.above }
}

fn learnt(band: Option<Band>) -> Opinion {
    let Some(band) = band else { return Opinion::unknown(Judge::Baseline) };
    let (score, expected) = match band.state {
        State::Learning => return Opinion::unknown(Judge::Baseline),
        State::Inside | State::NewNormal => (band.score.min(0.99), band.expected),
        State::Outside => (band.score, band.expected),
    };
    Opinion { judge: Judge::Baseline, score: Some(score), expected: Some(expected), lower: band.lower, upper: band.upper }
}

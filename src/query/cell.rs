//! A cell: the series that one evaluation of a query needs together, with what is kept of them.

use serde::{Deserialize, Serialize};

use crate::model::{Fingerprint, Labels, Timestamp, Value};

use super::eval::{Eval, Memo};
use super::{Pushed, Query, Running, Window};

/// All that is kept for the inputs with one set of values of the query's key labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Of each leaf, in the order they came.
    pub(super) leaves: Vec<Vec<Series>>,
    pub(super) subs: Vec<Sub>,
}

/// One series of a leaf, or of a subquery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub(super) fingerprint: Fingerprint,
    /// Those that somebody needs.
    pub(super) labels: Labels,
    pub(super) window: Window,
    pub(super) running: Vec<Running>,
}

/// A subquery's results, as a leaf of the function around it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sub {
    /// The last step evaluated.
    pub(super) done: Option<Timestamp>,
    pub(super) series: Vec<Series>,
}

/// Where a series is in its cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the leaf.
    pub leaf: u16,
    /// The number in it.
    pub number: u32,
}

/// A result of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The group.
    pub labels: Labels,
    /// The time of the newest sample in it.
    pub sampled: Timestamp,
    /// What it came to.
    pub value: Value,
    /// What was divided by last, where a vector was.
    pub divisor: Option<f64>,
}

/// Why an evaluation has no result: vectors that do not match as the operators demand. As in Prometheus, all of the
/// expression fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmatched(pub String);

impl Cell {
    /// With no series yet.
    #[must_use]
    pub fn new(query: &Query) -> Self {
        Self { leaves: vec![vec![]; query.leaves.len()], subs: vec![Sub::default(); query.subs] }
    }

    /// Adds a series to a leaf that reads it, and gives its place.
    pub fn add(&mut self, query: &Query, leaf: usize, labels: &Labels) -> Place {
        let (plan, series) = (&query.leaves[leaf], &mut self.leaves[leaf]);
        if series.is_empty() {
            // Most cells have one.
            series.reserve_exact(1);
        }
        series.push(Series {
            fingerprint: labels.fingerprint(),
            labels: plan.keep.of(labels),
            window: Window::default(),
            running: plan.running.clone(),
        });
        Place { leaf: u16::try_from(leaf).unwrap_or(u16::MAX), number: u32::try_from(series.len() - 1).unwrap_or(u32::MAX) }
    }

    /// Adds a sample; none where more than `samples_max`, of histograms by their weight, would be kept of the series, and the oldest
    /// have gone. Of what a counter gains in a long time no sample has to go for that which only lies between two others.
    pub fn push(&mut self, query: &Query, place: Place, at: Timestamp, value: Value, samples_max: usize) -> Option<Pushed> {
        let series = self.leaves.get_mut(usize::from(place.leaf))?.get_mut(place.number as usize)?;
        let samples_max = samples_max / value.weight();
        let pushed = series.window.push(at, value);
        if series.window.len() <= samples_max {
            return Some(pushed);
        }
        let mut room = samples_max;
        let only_gains = query.leaves.get(usize::from(place.leaf)).is_some_and(|leaf| leaf.only_gains);
        if only_gains && !series.running.is_empty() {
            series.window.thin();
            series.running.iter_mut().for_each(|running| running.gains_anew(&series.window));
            if series.window.len() <= samples_max - samples_max / 4 {
                return Some(pushed);
            }
            // It is not looked for again with the next sample.
            room -= room / 8;
        }
        // The present matters more.
        while let Some(first) = series.window.first().filter(|_| series.window.len() > room) {
            series.running.iter_mut().for_each(|running| running.leave(&series.window, first));
            series.window.forget(first);
        }
        None
    }

    /// Evaluates at a step, which is later than the one before.
    ///
    /// # Errors
    /// See [`Unmatched`].
    pub fn evaluate(&mut self, query: &Query, memo: &mut Memo, step: Timestamp) -> Result<Vec<Output>, Unmatched> {
        Ok(self.measure(query, memo, step)?.0)
    }

    /// The same; and beside it, where the query is a share of what one metric counts, as of failed requests, its value of all of which
    /// none is such, where PromQL has nothing to say.
    ///
    /// # Errors
    /// See [`Unmatched`].
    pub fn measure(&mut self, query: &Query, memo: &mut Memo, step: Timestamp) -> Result<(Vec<Output>, Vec<Output>), Unmatched> {
        let mut eval = Eval { query, cell: self, memo, none: vec![] };
        let results = eval.vector(&query.root, step)?;
        let none = eval.none;
        if query.ambiguous {
            super::eval::all_different(&results)?;
        }
        Ok((results, none))
    }

    /// Forgets what no later step needs; gives the series that went, and those that moved to their places.
    pub fn forget(&mut self, query: &Query, step: Timestamp) -> Vec<Gone> {
        let mut all = vec![];
        for (leaf, (series, plan)) in self.leaves.iter_mut().zip(&query.leaves).enumerate() {
            let until = (step + query.every) - plan.reach;
            let mut number = 0;
            while number < series.len() {
                series[number].window.forget(until);
                if !series[number].window.is_empty() {
                    number += 1;
                    continue;
                }
                let gone = series.swap_remove(number);
                let place = Place { leaf: u16::try_from(leaf).unwrap_or(u16::MAX), number: u32::try_from(number).unwrap_or(u32::MAX) };
                let moved = series.get(number).map(|moved| moved.fingerprint);
                all.push(Gone { fingerprint: gone.fingerprint, place, moved });
            }
        }
        all
    }

    /// The series of all leaves with their places.
    pub fn series(&self) -> impl Iterator<Item = (Fingerprint, Place)> {
        self.leaves.iter().enumerate().flat_map(|(leaf, series)| {
            series.iter().enumerate().map(move |(number, series)| {
                let place = Place { leaf: u16::try_from(leaf).unwrap_or(u16::MAX), number: u32::try_from(number).unwrap_or(u32::MAX) };
                (series.fingerprint, place)
            })
        })
    }

    /// The oldest sample's time.
    #[must_use]
    pub fn first_sample(&self) -> Option<Timestamp> {
        self.leaves.iter().flatten().filter_map(|series| series.window.first()).min()
    }

    /// Whether any series has a value at the step, looked at as an instant selector would.
    #[must_use]
    pub fn is_alive(&self, query: &Query, step: Timestamp) -> bool {
        self.leaves.iter().flatten().any(|series| series.window.instant(step, query.lookback).is_some())
    }
}

/// A series that went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// Where it was.
    pub place: Place,
    /// The fingerprint of the one that is there now.
    pub moved: Option<Fingerprint>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A counter that begins anew once in so many seconds, seen through a query once in ten.
    fn values(text: &str, anew: i64, samples_max: usize, kept: std::ops::Range<i64>) -> Vec<Option<Value>> {
        let query = Query::plan(text, Duration::from_secs(10), Duration::from_secs(300)).expect("a query");
        let (mut cell, mut memo, labels) = (Cell::new(&query), Memo::default(), Labels::of([("__name__", "c")]));
        let place = cell.add(&query, 0, &labels);
        let mut values = vec![];
        for second in kept {
            let value = f64::from((second % anew) as i32) + if second % 11 == 0 && anew < 100 { 5.0 } else { 0.0 };
            let _ = cell.push(&query, place, Timestamp(second * 1000), Value::Float(value), samples_max);
            if second % 10 == 0 {
                let outputs = cell.evaluate(&query, &mut memo, Timestamp(second * 1000)).expect("it matches");
                values.push(outputs.into_iter().next().map(|output| output.value));
                cell.forget(&query, Timestamp(second * 1000));
            }
        }
        values
    }

    #[test]
    fn a_series_of_too_many_samples_is_what_its_newest_samples_are() {
        for function in ["changes", "sum_over_time", "avg_over_time", "min_over_time", "max_over_time"] {
            let text = format!("{function}(c[200s])");
            let limited = values(&text, 37, 50, 0..401);
            let newest = values(&text, 37, usize::MAX, 351..401);
            assert_eq!(limited.last(), newest.last(), "{function}");
        }
    }

    #[test]
    fn what_a_counter_gains_in_a_long_time_is_known_though_not_each_sample_is() {
        let number = |value: Option<&Option<Value>>| value.and_then(|value| value.as_ref()?.float()).expect("a number");
        for function in ["rate", "increase", "resets"] {
            let text = format!("{function}(c[2000s])");
            let (few, all) = (values(&text, 700, 100, 0..6001), values(&text, 700, usize::MAX, 0..6001));
            let (few, all) = (number(few.last()), number(all.last()));
            assert!((few - all).abs() <= 0.02 * all, "{function}: {few} of few samples, {all} of all");
        }
    }

    #[test]
    fn where_others_read_the_same_samples_the_newest_stay() {
        let text = "count_over_time(c[80s]) and increase(c[2000s]) > 0";
        assert_eq!(values(text, 700, 100, 0..6001).last(), values(text, 700, usize::MAX, 0..6001).last());
    }

    #[test]
    fn of_a_counter_that_always_begins_anew_the_newest_samples_count() {
        let resets = values("resets(c[200s])", 2, 80, 0..401).last().and_then(|value| value.as_ref()?.float());
        assert!(resets.is_some_and(|resets| (30.0..=40.0).contains(&resets)), "{resets:?}: one in two samples begins anew");
    }
}

//! A query alone, over samples in order of time: what `eval` does, and what is compared with Prometheus.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::model::{Labels, Timestamp, Value};
use crate::query::{Cell, Memo, Output, Place, Query, Refusal, Unmatched};

/// A query's cells.
#[derive(Debug)]
pub struct Evaluation {
    query: Query,
    cells: BTreeMap<Labels, Cell>,
    /// Of each series, by leaf.
    places: HashMap<Labels, BTreeMap<usize, Place>>,
    memo: Memo,
}

impl Evaluation {
    /// Of an expression that is evaluated every so often.
    ///
    /// # Errors
    /// The expression is not taken.
    pub fn new(text: &str, every: Duration, lookback: Duration) -> Result<Self, Refusal> {
        let query = Query::plan(text, every, lookback)?;
        let mut cells = BTreeMap::new();
        if query.speaks_of_nothing() {
            cells.insert(Labels::default(), Cell::new(&query));
        }
        Ok(Self { query, cells, places: HashMap::new(), memo: Memo::default() })
    }

    /// Whether the query reads a series.
    #[must_use]
    pub fn reads(&self, series: &Labels) -> bool {
        self.query.reads(series)
    }

    /// Takes in a sample; none may be older than the last step.
    pub fn push(&mut self, series: &Labels, at: Timestamp, value: &Value) {
        let Self { query, cells, places, .. } = self;
        let key = query.key(series);
        let cell = cells.entry(key).or_insert_with_key(|_| Cell::new(query));
        let places = places.entry(series.clone()).or_default();
        for leaf in query.leaves_of(series) {
            let place = *places.entry(leaf).or_insert_with(|| cell.add(query, leaf, series));
            cell.push(query, place, at, value.clone(), usize::MAX);
        }
    }

    /// The results at a step, which is later than the one before, in order of their labels.
    ///
    /// # Errors
    /// The vectors do not match as the operators demand.
    pub fn step(&mut self, at: Timestamp) -> Result<Vec<Output>, Unmatched> {
        let mut outputs = vec![];
        for cell in self.cells.values_mut() {
            outputs.extend(cell.evaluate(&self.query, &mut self.memo, at)?);
        }
        for cell in self.cells.values_mut() {
            for gone in cell.forget(&self.query, at) {
                // Rare here, so all is looked through.
                for (series, places) in &mut self.places {
                    let leaf = usize::from(gone.place.leaf);
                    if series.fingerprint() == gone.fingerprint {
                        places.remove(&leaf);
                    } else if Some(series.fingerprint()) == gone.moved {
                        places.insert(leaf, gone.place);
                    }
                }
            }
        }
        outputs.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(outputs)
    }
}

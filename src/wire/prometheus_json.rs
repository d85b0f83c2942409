//! Metrics as prometheus-kafka-adapter writes them: one JSON object a sample, the value as text, whole seconds.
//!
//! The adapter writes Prometheus' staleness marker as `"NaN"`, so that is read as the series' end: a real NaN is
//! rare, and a series that never ends would be worse.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::{Labels, Timestamp, labels::METRIC_NAME};
use crate::query::STALE;

use super::{Reject, json, time};

/// One sample of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The series, its metric's name among the labels.
    pub series: Labels,
    /// When.
    pub at: Timestamp,
    /// The value, or the staleness marker.
    pub value: f64,
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    labels: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    #[serde(borrow)]
    value: Cow<'a, str>,
}

/// Decodes one record.
///
/// # Errors
/// It is not of this shape, or its time or value cannot be read.
pub fn decode(payload: &[u8]) -> Result<Sample, Reject> {
    let raw: Raw<'_> = json(payload)?;
    let at = time("timestamp", &raw.timestamp)?;
    let value = match raw.value.as_ref() {
        "NaN" => STALE,
        text => text.parse().map_err(|_| Reject::new("bad_value", format!("value: {text:?} is not a number")))?,
    };
    let name = raw.name.map(|n| (METRIC_NAME.to_owned(), n.into_owned()));
    let labels = raw.labels.into_iter().map(|(n, v)| (n.into_owned(), v.into_owned()));
    let series: Labels = name.into_iter().chain(labels).collect();
    if series.get(METRIC_NAME).is_empty() {
        return Err(Reject::new("no_metric_name", "neither `name` nor the label `__name__`"));
    }
    Ok(Sample { series, at, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::is_stale;

    #[test]
    fn values_are_text_and_nan_ends_the_series() {
        let record = br#"{"labels":{"__name__":"up","job":"checkout"},"name":"up","timestamp":"2026-11-22T15:00:00Z","value":"NaN"}"#;
        let sample = decode(record).expect("decodes");
        assert_eq!((sample.series.to_string().as_str(), sample.at), (r#"{__name__="up", job="checkout"}"#, Timestamp(1_795_359_600_000)));
        assert!(is_stale(sample.value));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let reason = |record: &str| decode(record.as_bytes()).expect_err(record).reason;
        assert_eq!(reason("{"), "not_json");
        assert_eq!(reason("{}"), "unexpected_shape");
        assert_eq!(reason(r#"{"labels":{},"name":"a","timestamp":"2026-11-22T15:00:00Z","value":"12x"}"#), "bad_value");
        assert_eq!(reason(r#"{"labels":{},"name":"a","timestamp":"1970-01-21T18:42:39Z","value":"1"}"#), "bad_timestamp");
        assert_eq!(reason(r#"{"labels":{},"timestamp":"2026-11-22T15:00:00Z","value":"1"}"#), "no_metric_name");
    }
}

//! Label sets, sorted by name, and Prometheus' fingerprint over them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// A set of labels, sorted by name, each name once. A missing label reads as the empty text, as in Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Labels(Vec<(String, String)>);

impl Labels {
    /// The value of a label; empty where it is missing.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0.binary_search_by(|(n, _)| n.as_str().cmp(name)).map_or("", |i| &self.0[i].1)
    }

    /// The labels in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// Only the labels whose name `keep` accepts.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(n, _)| keep(n)).cloned().collect())
    }

    /// True where there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Prometheus' label fingerprint: 64-bit FNV-1a over the sorted pairs, each part ended by `0xFF`.
    /// Source: `model/signature.go` of prometheus/common.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Fnv::default();
        for (name, value) in self.iter() {
            hash.part(name.as_bytes());
            hash.part(value.as_bytes());
        }
        hash.0
    }
}

impl FromIterator<(String, String)> for Labels {
    /// Sorts; of two labels with one name the later wins, and an empty value is no label.
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Self {
        let map: BTreeMap<String, String> = pairs.into_iter().collect();
        map.into()
    }
}

impl From<BTreeMap<String, String>> for Labels {
    fn from(map: BTreeMap<String, String>) -> Self {
        Self(map.into_iter().filter(|(_, v)| !v.is_empty()).collect())
    }
}

impl From<Labels> for BTreeMap<String, String> {
    fn from(labels: Labels) -> Self {
        labels.0.into_iter().collect()
    }
}

/// As PromQL writes it: `{service="checkout"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

/// 64-bit FNV-1a: the one hash whose values leave the process, so it must never change.
#[derive(Clone, Copy, Debug)]
pub struct Fnv(pub u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// Adds one part and its end mark `0xFF`, which no UTF-8 text contains.
    pub fn part(&mut self, bytes: &[u8]) -> &mut Self {
        for byte in bytes.iter().chain(&[0xff]) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self
    }

    /// The hash of several parts.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> u64 {
        let mut hash = Self::default();
        for part in parts {
            hash.part(part);
        }
        hash.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_is_the_one_alertmanager_sends() {
        let labels: Labels = [
            ("alertname", "CheckoutErrorRateHigh"),
            ("cluster", "eu1"),
            ("namespace", "shop"),
            ("service", "checkout"),
            ("severity", "critical"),
        ]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .into_iter()
        .collect();
        assert_eq!(format!("{:016x}", labels.fingerprint()), "a2cbf957a626321b");
    }
}

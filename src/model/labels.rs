//! Label sets, sorted by name, and Prometheus' fingerprint over them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::Fingerprint;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// A set of labels, sorted by name, each name once. A missing label reads as the empty text, as in Prometheus. Shared:
/// a copy costs nothing.
#[derive(Clone, Default)]
pub struct Labels(Option<Arc<Packed>>);

/// All texts in one, and where each ends: names and values in turn.
struct Packed {
    fingerprint: Fingerprint,
    text: Box<str>,
    ends: Box<[u32]>,
}

impl Labels {
    /// From pairs in the order of their names, each name once, no value empty.
    fn packed<'t>(pairs: impl Iterator<Item = (&'t str, &'t str)>) -> Self {
        let (mut text, mut ends, mut hash) = (String::new(), vec![], Fnv::default());
        for part in pairs.flat_map(|(name, value)| [name, value]) {
            text.push_str(part);
            ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
            hash.part(part.as_bytes());
        }
        if ends.is_empty() {
            return Self::default();
        }
        Self(Some(Arc::new(Packed { fingerprint: Fingerprint(hash.0), text: text.into(), ends: ends.into() })))
    }

    /// The bytes of all names and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |packed| packed.text.len())
    }

    /// From pairs in any order; of two with one name the later wins, and an empty value is no label.
    #[must_use]
    pub fn of<'t>(pairs: impl IntoIterator<Item = (&'t str, &'t str)>) -> Self {
        let mut pairs: Vec<(&str, &str)> = pairs.into_iter().collect();
        if !pairs.is_sorted_by(|a, b| a.0 < b.0) {
            pairs.sort_by(|a, b| a.0.cmp(b.0));
            // Stable: the last of several with one name is the later one.
            let mut kept: Vec<(&str, &str)> = Vec::with_capacity(pairs.len());
            for pair in pairs {
                match kept.last_mut().filter(|last| last.0 == pair.0) {
                    Some(last) => *last = pair,
                    None => kept.push(pair),
                }
            }
            pairs = kept;
        }
        Self::packed(pairs.into_iter().filter(|(_, value)| !value.is_empty()))
    }

    /// The value of a label; empty where it is missing.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value)
    }

    /// The labels in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let (text, ends): (&str, &[u32]) = self.0.as_ref().map_or(("", &[]), |packed| (&packed.text, &packed.ends));
        (0..ends.len() / 2).map(move |i| {
            let at = |place: usize| ends[place] as usize;
            let start = if i == 0 { 0 } else { at(2 * i - 1) };
            (&text[start..at(2 * i)], &text[at(2 * i)..at(2 * i + 1)])
        })
    }

    /// Only the labels whose name `keep` accepts.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        if self.iter().all(|(name, _)| keep(name)) { self.clone() } else { Self::packed(self.iter().filter(|(name, _)| keep(name))) }
    }

    /// With this value of a label in place of any other; without the label where the value is empty.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        Self::of(self.iter().chain([(name, value)]))
    }

    /// True where there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |packed| packed.ends.len() / 2)
    }

    /// Prometheus' label fingerprint: 64-bit FNV-1a over the sorted pairs, each part ended by `0xFF`.
    /// Source: `model/signature.go` of prometheus/common.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.as_ref().map_or(Fingerprint(Fnv::default().0), |packed| packed.fingerprint)
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || (a.fingerprint == b.fingerprint && a.text == b.text && a.ends == b.ends),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

impl Eq for Labels {}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.fingerprint().0);
    }
}

impl FromIterator<(String, String)> for Labels {
    /// Sorts; of two labels with one name the later wins, and an empty value is no label.
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Self {
        let pairs: Vec<(String, String)> = pairs.into_iter().collect();
        Self::of(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

impl From<BTreeMap<String, String>> for Labels {
    fn from(map: BTreeMap<String, String>) -> Self {
        map.into_iter().collect()
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Text<'t>(#[serde(borrow)] Cow<'t, str>);
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Labels;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("labels")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut pairs: Vec<(Text<'de>, Text<'de>)> = vec![];
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Labels::of(pairs.iter().map(|(name, value)| (name.0.as_ref(), value.0.as_ref()))))
            }
        }
        d.deserialize_map(Pairs)
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

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
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
        let labels = Labels::of([
            ("severity", "critical"),
            ("alertname", "CheckoutErrorRateHigh"),
            ("cluster", "eu1"),
            ("namespace", "shop"),
            ("service", "checkout"),
        ]);
        assert_eq!(labels.fingerprint().to_string(), "a2cbf957a626321b");
    }

    #[test]
    fn the_later_of_two_wins_and_empty_is_none() {
        let labels = Labels::of([("b", "1"), ("a", "2"), ("b", "3"), ("c", "")]);
        assert_eq!(labels.to_string(), r#"{a="2", b="3"}"#);
        assert_eq!(labels.with("a", "").with("d", "4").to_string(), r#"{b="3", d="4"}"#);
        assert_eq!((labels.get("b"), labels.get("x"), labels.len()), ("3", "", 2));
    }
}

//! The labels of a series as a decoder finds them, in one buffer that is used again: name, `0xFF`, value, `0xFF`, and so
//! on, in the order they come. No text in UTF-8 holds that byte.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128, xxh3_128_with_seed};

use crate::model::{Labels, labels::METRIC_NAME};

use super::Reject;

/// Labels a series may have.
pub const LABELS_MAX: usize = 128;

/// Bytes that a label's name may have.
pub const NAME_BYTES_MAX: usize = 1024;

/// Bytes that a label's value may have.
pub const VALUE_BYTES_MAX: usize = 8192;

/// Bytes that all labels of a series may have together: what is told of one has to fit into a record.
pub const SERIES_BYTES_MAX: usize = 64 << 10;

const END: u8 = 0xff;

/// A series' labels while they are gathered.
#[derive(Clone, Debug, Default)]
pub struct SeriesBuf {
    bytes: Vec<u8>,
    labels: usize,
    /// Where the label that is being written begins.
    begun: usize,
    /// See [`SeriesBuf::lies_as`].
    key: Option<u128>,
}

/// A state of the buffer to come back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(usize, usize);

impl SeriesBuf {
    /// With no label.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.labels = 0;
        self.key = None;
    }

    /// Says that all labels that are not here yet follow from these parts, the first of which names the format, and from
    /// bytes of the record. Who knows the series by that need not have them read.
    pub fn lies_as(&mut self, parts: &[&str], raw: &[u8]) {
        let seed = parts.iter().fold(xxh3_64(&self.bytes), |seed, part| xxh3_64_with_seed(part.as_bytes(), seed));
        self.key = Some(xxh3_128_with_seed(raw, seed));
    }

    /// What it may be known by: a hash of how it lies in the record, or of the labels. With 128 bits, two series of one
    /// key are not to be expected.
    #[must_use]
    pub fn key(&self) -> u128 {
        self.key.unwrap_or_else(|| xxh3_128(&self.bytes))
    }

    /// What is there now.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.bytes.len(), self.labels)
    }

    /// Drops what came since.
    pub fn back(&mut self, mark: Mark) {
        self.bytes.truncate(mark.0);
        self.labels = mark.1;
        self.key = None;
    }

    /// Adds a label; of several with one name the last counts, and an empty value is none.
    ///
    /// # Errors
    /// There are too many, or it is too long.
    pub fn label(&mut self, name: &str, value: &str) -> Result<(), Reject> {
        self.begin(name)?;
        self.part(value);
        self.end()
    }

    /// Adds the metric's name, which is made of parts.
    ///
    /// # Errors
    /// It is empty or too long.
    pub fn name(&mut self, parts: &[&str]) -> Result<(), Reject> {
        self.begin_name()?;
        parts.iter().for_each(|part| self.part(part));
        self.end()
    }

    /// Begins the metric's name, which comes in parts.
    ///
    /// # Errors
    /// There are too many labels.
    pub fn begin_name(&mut self) -> Result<(), Reject> {
        self.begin(METRIC_NAME)
    }

    /// Begins a label whose value comes in parts.
    ///
    /// # Errors
    /// There are too many, or its name is too long or empty.
    pub fn begin(&mut self, name: &str) -> Result<(), Reject> {
        if self.labels >= LABELS_MAX {
            return Err(Reject::new("too_many_labels", format!("more than {LABELS_MAX} labels")));
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(Reject::new("bad_label_name", format!("a label's name of {} bytes; 1 to {NAME_BYTES_MAX}", name.len())));
        }
        self.labels += 1;
        self.begun = self.bytes.len();
        self.part(name);
        self.bytes.push(END);
        Ok(())
    }

    /// Begins a label whose name is spelt as Prometheus spells names: what is neither a letter, a digit nor `_` is `_`.
    ///
    /// # Errors
    /// There are too many, or its name is too long or empty.
    pub fn begin_spelt(&mut self, name: &str) -> Result<(), Reject> {
        self.begin(name)?;
        self.bytes.truncate(self.begun);
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            // Prometheus' translation puts this before a digit.
            self.part("key_");
        }
        self.part_spelt(name);
        self.bytes.push(END);
        Ok(())
    }

    /// Adds to the value of the label that was begun.
    pub fn part(&mut self, part: &str) {
        self.bytes.extend_from_slice(part.as_bytes());
    }

    /// Adds to the value, spelt as Prometheus spells names.
    pub fn part_spelt(&mut self, part: &str) {
        let spelt = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c as u8 } else { b'_' };
        self.bytes.extend(part.chars().map(spelt));
    }

    /// Ends the label that was begun.
    ///
    /// # Errors
    /// Its value is too long, or all labels are together; or it is the metric's name, and empty.
    pub fn end(&mut self) -> Result<(), Reject> {
        if self.bytes.ends_with(&[END]) && self.bytes[self.begun..self.bytes.len() - 1] == *METRIC_NAME.as_bytes() {
            return Err(Reject::new("no_metric_name", "a sample without a name"));
        }
        let long = self.bytes.len() - self.begun;
        if long > NAME_BYTES_MAX + VALUE_BYTES_MAX {
            return Err(Reject::new(
                "label_too_long",
                format!("a label of {long} bytes with its name; {} at most", NAME_BYTES_MAX + VALUE_BYTES_MAX),
            ));
        }
        if self.bytes.len() > SERIES_BYTES_MAX {
            let detail = format!("labels of {} bytes together; {SERIES_BYTES_MAX} at most", self.bytes.len());
            return Err(Reject::new("labels_too_long", detail));
        }
        self.bytes.push(END);
        Ok(())
    }

    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Names and values, as they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut parts = self.bytes.split(|byte| *byte == END).map(|part| std::str::from_utf8(part).unwrap_or_default());
        std::iter::from_fn(move || {
            let (name, value) = (parts.next()?, parts.next()?);
            Some((name, value))
        })
    }

    /// The value of a label; empty where it is missing.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.iter().filter(|(n, _)| *n == name).last().map_or("", |(_, value)| value)
    }

    /// As a set.
    #[must_use]
    pub fn labels(&self) -> Labels {
        Labels::of(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelt_as_prometheus_spells_them() {
        let mut series = SeriesBuf::default();
        for name in ["http.route", "9lives", "größe", "ok_1"] {
            series.begin_spelt(name).expect(name);
            series.part("x.y");
            series.end().expect(name);
        }
        let names: Vec<&str> = series.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["http_route", "key_9lives", "gr__e", "ok_1"]);
        assert!(series.iter().all(|(_, value)| value == "x.y"));
    }

    #[test]
    fn limits_are_named() {
        let mut series = SeriesBuf::default();
        assert_eq!(series.label("", "x").map_err(|r| r.reason), Err("bad_label_name"));
        assert_eq!(series.label("x", &"y".repeat(10_000)).map_err(|r| r.reason), Err("label_too_long"));
        series.clear();
        let mut long = (0..20).map(|i| series.label(&i.to_string(), &"y".repeat(8000)));
        assert_eq!(long.find_map(Result::err).map(|r| r.reason), Some("labels_too_long"));
        series.clear();
        let unnamed = series.begin_name().and_then(|()| series.end());
        assert_eq!(unnamed.map_err(|r| r.reason), Err("no_metric_name"));
        series.clear();
        let mut added = (0..200).map(|i| series.label(&i.to_string(), "x"));
        assert_eq!(added.find_map(Result::err).map(|r| r.reason), Some("too_many_labels"));
    }
}

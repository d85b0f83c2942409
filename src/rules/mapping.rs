//! Mappings: where in somebody else's JSON an alert or a change is. A path is a JSON pointer (RFC 6901), such as
//! `/detail/state/value`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where everything is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mapping {
    /// A text in which the JSON is that everything else refers to.
    pub text_at: Option<String>,
    /// A list of which each element is one alert or change; without it, the whole record is one, or each element of a
    /// record that is a list.
    pub each: Option<String>,
    /// What names the episode, or the change: the first that is there.
    pub key: Vec<OneOrMore>,
    /// Whether an alert fires; without it, it does.
    pub status: Option<Status>,
    /// The alert's name, the first that is there.
    pub name: Vec<String>,
    /// When the event was.
    pub at: Vec<String>,
    /// When the episode began, where the source tells it with every event.
    pub starts_at: Vec<String>,
    /// When it ended.
    pub ends_at: Vec<String>,
    /// What a bare number of time counts.
    pub unit: Option<Unit>,
    /// For people.
    pub summary: Vec<String>,
    /// What kind of change, after the name of the mapping.
    pub kind: Vec<String>,
    /// Labels, each from the first path that is there.
    pub labels: BTreeMap<String, Label>,
    /// Objects whose fields are labels.
    pub label_objects: Vec<String>,
    /// Lists of objects with a name and a value.
    pub label_lists: Vec<LabelList>,
    /// Texts, or lists of texts, with names and values in them.
    pub label_texts: Vec<LabelText>,
}

/// One path, or several whose values make one together.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(untagged)]
pub enum OneOrMore {
    /// One.
    One(String),
    /// Several.
    More(Vec<String>),
}

/// Whether an alert fires, by a value.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Where it is.
    pub path: String,
    /// It fires.
    pub firing: Vec<String>,
    /// It has resolved.
    pub resolved: Vec<String>,
    /// It says nothing of either.
    #[serde(default)]
    pub ignored: Vec<String>,
}

/// Where a label's value is.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(untagged, deny_unknown_fields, expecting = "a path such as \"/labels/host\", or { paths: [...], words: {...} }")]
pub enum Label {
    /// As it is.
    Path(String),
    /// The first that is there, put into other words.
    Mapped {
        /// Where.
        paths: Vec<String>,
        /// Other words for it; what is not among them stays.
        #[serde(default)]
        words: BTreeMap<String, String>,
    },
}

/// A list of objects, each a label.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LabelList {
    /// Where the list is.
    pub path: String,
    /// The key of the name.
    pub name: String,
    /// The key of the value.
    pub value: String,
}

/// Texts such as `a=1,b=2`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LabelText {
    /// Where the text, or the list of texts, is.
    pub path: String,
    /// Between a name and its value.
    pub separator: String,
    /// Between two labels of one text.
    #[serde(default)]
    pub between: Option<String>,
}

/// What a bare number of time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
pub enum Unit {
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Microseconds.
    #[serde(rename = "us")]
    Microseconds,
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanoseconds,
}

impl Mapping {
    /// Every path in it, so that each can be checked.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let keys = self.key.iter().flat_map(|key| match key {
            OneOrMore::One(path) => std::slice::from_ref(path),
            OneOrMore::More(paths) => paths.as_slice(),
        });
        let labels = self.labels.values().flat_map(|label| match label {
            Label::Path(path) => std::slice::from_ref(path),
            Label::Mapped { paths, .. } => paths.as_slice(),
        });
        let lists = [&self.name, &self.at, &self.starts_at, &self.ends_at, &self.summary, &self.kind, &self.label_objects];
        let single = self.text_at.iter().chain(&self.each).chain(self.status.as_ref().map(|s| &s.path));
        let nested = self.label_lists.iter().map(|l| &l.path).chain(self.label_texts.iter().map(|l| &l.path));
        keys.chain(labels).chain(lists.into_iter().flatten()).chain(single).chain(nested).map(String::as_str)
    }
}

//! The tree → serde types, finding every fault instead of the first.
//!
//! Serde stops at its first error. So the tree is read, the node at fault is left out, and the tree is read
//! again, until it reads through: each round finds one fault more. A node whose required part was left out
//! falls out with it, without a fault of its own.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer};

use super::fault::{AT, Fault, Place};
use super::yaml::{Node, Value, parse, plain};

/// Faults reported of one file; more help nobody.
const FAULTS_MAX: usize = 100;

/// Reads a file's text into `T`, leaving out what is at fault; none where nothing is left.
pub(super) fn decode<T: DeserializeOwned>(file: &str, text: &str) -> (Option<T>, Vec<Fault>) {
    decode_under(file, text, |_| vec![])
}

/// The same, where something lies over what the file says.
pub(super) fn decode_under<T: DeserializeOwned>(
    file: &str,
    text: &str,
    lay_over: impl FnOnce(&mut Node) -> Vec<Fault>,
) -> (Option<T>, Vec<Fault>) {
    let (root, mut faults) = parse(file, text);
    let Some(mut root) = root else { return (None, faults) };
    faults.extend(lay_over(&mut root));
    let mut left_out = BTreeSet::new();
    while faults.len() < FAULTS_MAX {
        match T::deserialize(Tree { node: &root, left_out: &left_out }) {
            Ok(value) => return (Some(value), faults),
            Err(error) => {
                let Some(at) = error.at else { break };
                if !error.follows {
                    let place = Place { file: file.to_owned(), line: at.line, column: at.column };
                    faults.push(Fault { place, message: error.message });
                }
                if at.id == root.id || !left_out.insert(at.id) {
                    break;
                }
            }
        }
    }
    (None, faults)
}

/// Where a node is, without borrowing it.
#[derive(Clone, Copy, Debug)]
struct Spot {
    id: usize,
    line: usize,
    column: usize,
}

#[derive(Debug)]
struct Error {
    message: String,
    at: Option<Spot>,
    /// Only a consequence of a fault already reported.
    follows: bool,
}

impl Error {
    fn at(mut self, node: &Node) -> Self {
        self.at.get_or_insert(Spot { id: node.id, line: node.line, column: node.column });
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), at: None, follows: false }
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let expected = in_words(&expected.to_string());
        let quote = if expected == "a string" && found == de::Unexpected::Map { "; quote a text that begins with {" } else { "" };
        Self::custom(format!("expected {expected}, found {}{quote}", found_in_words(found)))
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let meant = meant(field, expected.iter().copied());
        Self::custom(format!("unknown key `{field}`{meant}; allowed: {}", expected.join(", ")))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let meant = meant(variant, expected.iter().copied());
        Self::custom(format!("`{variant}` is not allowed here{meant}; allowed: {}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format!("missing key `{field}`"))
    }
}

/// How alike two names are, from 0 to 1, of which one may be meant for the other.
const ALIKE: f64 = 0.7;

/// ` (is `query` meant?)`, where one of these is written almost so.
pub(super) fn meant<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let alike = known.map(|known| (strsim::normalized_damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase()), known));
    let nearest = alike.filter(|(alike, _)| *alike >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.map_or_else(String::new, |(_, known)| format!(" (is `{known}` meant?)"))
}

/// Rust's type names mean nothing to who writes YAML.
fn in_words(expected: &str) -> String {
    match expected {
        "f64" | "f32" => "a number".into(),
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" | "i32" => "a whole number".into(),
        "a sequence" => "a list".into(),
        other if other.starts_with("struct ") => "a mapping".into(),
        other => other.into(),
    }
}

fn found_in_words(found: de::Unexpected<'_>) -> String {
    match found {
        de::Unexpected::Str(text) => format!("the text {text:?}"),
        de::Unexpected::Unsigned(n) => format!("the number {n}"),
        de::Unexpected::Signed(n) => format!("the number {n}"),
        de::Unexpected::Float(n) => format!("the number {n}"),
        de::Unexpected::Bool(b) => format!("`{b}`"),
        de::Unexpected::Unit => "nothing".into(),
        de::Unexpected::Seq => "a list".into(),
        de::Unexpected::Map => "a mapping".into(),
        other => other.to_string(),
    }
}

#[derive(Clone, Copy)]
struct Tree<'t> {
    node: &'t Node,
    left_out: &'t BTreeSet<usize>,
}

impl<'t> Tree<'t> {
    fn child(self, node: &'t Node) -> Self {
        Self { node, ..self }
    }

    /// A missing key that was written, but left out for its own fault, is no second fault.
    fn judge_missing(self, mut error: Error) -> Error {
        let Value::Map(pairs) = &self.node.value else { return error };
        let written = |(key, value): &(Node, Node)| {
            let Value::Text(name) = &key.value else { return false };
            error.message == format!("missing key `{name}`") && (self.left_out.contains(&key.id) || self.left_out.contains(&value.id))
        };
        error.follows |= error.at.is_none() && pairs.iter().any(written);
        error
    }
}

impl<'de> Deserializer<'de> for Tree<'_> {
    type Error = Error;

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let typed = match &self.node.value {
            Value::Given(text) => &plain(text),
            written => written,
        };
        let result = match typed {
            Value::Null => visitor.visit_unit(),
            Value::Bool(b) => visitor.visit_bool(*b),
            Value::Integer(i) => match u64::try_from(*i) {
                Ok(natural) => visitor.visit_u64(natural),
                Err(_) => visitor.visit_i64(*i),
            },
            Value::Float(x) => visitor.visit_f64(*x),
            Value::Text(text) | Value::Given(text) => visitor.visit_str(text),
            Value::List(items) => visitor.visit_seq(List { tree: self, items: items.iter() }),
            Value::Map(pairs) => visitor.visit_map(Map { tree: self, pairs: pairs.iter(), value: None }),
        };
        result.map_err(|e| self.judge_missing(e).at(self.node))
    }

    fn deserialize_option<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Null => {
                Err(<Error as de::Error>::custom("there is no value; leave the key out, or quote a text that begins with #").at(self.node))
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: de::Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        if name == AT { visitor.visit_seq(Placed { tree: self, step: 0 }) } else { visitor.visit_newtype_struct(self) }
    }

    fn deserialize_enum<V: de::Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        let result = match &self.node.value {
            Value::Text(text) | Value::Given(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            _ => return self.deserialize_any(visitor),
        };
        result.map_err(|e: Error| e.at(self.node))
    }

    fn deserialize_str<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Given(text) => visitor.visit_str(text).map_err(|e: Error| e.at(self.node)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct List<'t> {
    tree: Tree<'t>,
    items: std::slice::Iter<'t, Node>,
}

impl<'de> de::SeqAccess<'de> for List<'_> {
    type Error = Error;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let tree = self.tree;
        let Some(node) = self.items.find(|n| !tree.left_out.contains(&n.id)) else { return Ok(None) };
        seed.deserialize(tree.child(node)).map(Some).map_err(|e| e.at(node))
    }
}

struct Map<'t> {
    tree: Tree<'t>,
    pairs: std::slice::Iter<'t, (Node, Node)>,
    value: Option<&'t Node>,
}

impl<'de> de::MapAccess<'de> for Map<'_> {
    type Error = Error;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let tree = self.tree;
        let kept = |pair: &&(Node, Node)| !tree.left_out.contains(&pair.0.id) && !tree.left_out.contains(&pair.1.id);
        let Some((key, value)) = self.pairs.find(kept) else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(tree.child(key)).map(Some).map_err(|e| e.at(key))
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some(node) = self.value.take() else { return Err(de::Error::custom("a value before its key")) };
        seed.deserialize(self.tree.child(node)).map_err(|e| e.at(node))
    }
}

/// Line, column and value, for [`At`](super::fault::At).
struct Placed<'t> {
    tree: Tree<'t>,
    step: u8,
}

impl<'de> de::SeqAccess<'de> for Placed<'_> {
    type Error = Error;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.step += 1;
        match self.step {
            1 => seed.deserialize(self.tree.node.line.into_deserializer()).map(Some),
            2 => seed.deserialize(self.tree.node.column.into_deserializer()).map(Some),
            3 => seed.deserialize(self.tree).map(Some),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::fault::At;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rule {
        name: At<String>,
        #[serde(default)]
        limit: f64,
    }

    fn faults(text: &str) -> Vec<String> {
        decode::<Vec<Rule>>("f", text).1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_fault_is_found_at_its_place() {
        let text = "- name: [1]\n  limit: high\n  colour: red\n- limit: 2\n- name: a\n  name: b\n";
        assert_eq!(
            faults(text),
            [
                "f:6:3: duplicate key `name`, first on line 5; keep one",
                "f:1:9: expected a string, found a list",
                "f:2:10: expected a number, found the text \"high\"",
                "f:3:3: unknown key `colour`; allowed: name, limit",
                "f:4:3: missing key `name`",
            ]
        );
    }

    #[test]
    fn what_is_sound_is_kept_with_its_place() {
        let (rules, faults) = decode::<Vec<Rule>>("f", "- name: a\n- {name: b, limit: x}\n");
        let rules = rules.expect("decodes");
        assert_eq!(faults.len(), 1);
        assert_eq!((rules[1].name.value.as_str(), rules[1].name.line, rules[1].name.column), ("b", 2, 10));
        assert!(rules[0].limit.abs() < f64::EPSILON);
    }
}

//! YAML text → a tree in which every node knows its line and column. Duplicate keys are faults;
//! aliases are followed within a bound, merge keys and several documents are refused.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::fault::{Fault, Place};

/// Nodes a file may expand to, so that a few nested aliases cannot fill the memory.
const NODES_MAX: usize = 200_000;

/// A node of the tree.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Unique within the tree, so that a node can be left out of a second reading.
    pub(super) id: usize,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    /// From the environment: a text, or what a plain scalar is, as it is needed.
    Given(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// One that no file has.
    pub(super) fn given(value: Value) -> Self {
        Self { id: 0, line: 0, column: 0, value }
    }

    /// What a mapping has by that key, made where it is not there.
    pub(super) fn entry(&mut self, name: &str) -> &mut Self {
        if !matches!(self.value, Value::Map(_)) {
            self.value = Value::Map(vec![]);
        }
        let Value::Map(pairs) = &mut self.value else { unreachable!("it was made one") };
        let is = |(key, _): &(Self, Self)| matches!(&key.value, Value::Text(text) if text == name);
        let place = pairs.iter().position(is).unwrap_or_else(|| {
            pairs.push((Self::given(Value::Text(name.to_owned())), Self::given(Value::Null)));
            pairs.len() - 1
        });
        &mut pairs[place].1
    }

    /// Gives each node of the tree an id of its own.
    pub(super) fn renumber(&mut self, ids: &mut usize) {
        *ids += 1;
        self.id = *ids;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.renumber(ids)),
            Value::Map(pairs) => pairs.iter_mut().for_each(|(key, value)| [key, value].into_iter().for_each(|node| node.renumber(ids))),
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) | Value::Given(_) => {}
        }
    }
}

/// Reads one document. An empty file is an empty mapping.
pub(super) fn parse(file: &str, text: &str) -> (Option<Node>, Vec<Fault>) {
    let mut reader = Reader { file, parser: Parser::new_from_str(text), anchors: BTreeMap::new(), ids: 0, faults: vec![] };
    let root = match reader.document() {
        Ok(root) => root,
        Err(fault) => {
            reader.faults.push(*fault);
            None
        }
    };
    (root, reader.faults)
}

struct Reader<'a> {
    file: &'a str,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: BTreeMap<usize, Node>,
    ids: usize,
    faults: Vec<Fault>,
}

type Read<T> = Result<T, Box<Fault>>;

impl<'a> Reader<'a> {
    fn fault(&self, line: usize, column: usize, message: String) -> Box<Fault> {
        Box::new(Fault { place: Place { file: self.file.to_owned(), line, column }, message })
    }

    fn next(&mut self) -> Read<(Event<'a>, Span)> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(e)) => Err(self.fault(e.marker().line(), e.marker().col() + 1, format!("not YAML: {}", e.info()))),
            None => Err(self.fault(0, 0, "the file ends in the middle of a value".into())),
        }
    }

    fn document(&mut self) -> Read<Option<Node>> {
        let mut root = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(Some(root.unwrap_or_else(|| self.node(1, 0, Value::Map(vec![]))))),
                (Event::DocumentStart(_), span) if root.is_some() => {
                    return Err(self.fault(span.start.line(), 1, "a second document; one file holds one".into()));
                }
                (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
                (event, span) => root = Some(self.value(event, span)?),
            }
        }
    }

    fn node(&mut self, line: usize, col: usize, value: Value) -> Node {
        self.ids += 1;
        Node { id: self.ids, line, column: col + 1, value }
    }

    fn value(&mut self, event: Event<'a>, span: Span) -> Read<Node> {
        let (line, col) = (span.start.line(), span.start.col());
        if self.ids > NODES_MAX {
            return Err(self.fault(line, col + 1, format!("more than {NODES_MAX} values in one file")));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (scalar(&text, style), anchor),
            Event::SequenceStart(anchor, _) => (self.list()?, anchor),
            Event::MappingStart(anchor, _) => (self.map()?, anchor),
            Event::Alias(id) => return self.alias(id, line, col),
            other => return Err(self.fault(line, col + 1, format!("unexpected {other:?}"))),
        };
        let node = self.node(line, col, value);
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// The anchored node again, with ids of its own so that it can be left out on its own.
    fn alias(&mut self, id: usize, line: usize, col: usize) -> Read<Node> {
        let Some(mut node) = self.anchors.get(&id).cloned() else {
            return Err(self.fault(line, col + 1, "an alias to an anchor that is not complete".into()));
        };
        node.renumber(&mut self.ids);
        if self.ids > NODES_MAX {
            return Err(self.fault(line, col + 1, format!("more than {NODES_MAX} values in one file")));
        }
        Ok(node)
    }

    fn list(&mut self) -> Read<Value> {
        let mut items = vec![];
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.value(event, span)?),
            }
        }
    }

    fn map(&mut self) -> Read<Value> {
        let mut pairs: Vec<(Node, Node)> = vec![];
        let mut first_at: BTreeMap<String, usize> = BTreeMap::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Map(pairs)),
                (event, span) => self.value(event, span)?,
            };
            let (event, span) = self.next()?;
            let value = self.value(event, span)?;
            let Some(name) = key_text(&key) else {
                let fault = self.fault(key.line, key.column, "a key must be plain text".into());
                self.faults.push(*fault);
                continue;
            };
            if let Some(line) = first_at.get(&name) {
                let fault = self.fault(key.line, key.column, format!("duplicate key `{name}`, first on line {line}; keep one"));
                self.faults.push(*fault);
                continue;
            }
            first_at.insert(name.clone(), key.line);
            pairs.push((Node { value: Value::Text(name), ..key }, value));
        }
    }
}

fn key_text(key: &Node) -> Option<String> {
    match &key.value {
        Value::Text(t) | Value::Given(t) => Some(t.clone()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Integer(i) => Some(i.to_string()),
        Value::Null | Value::Float(_) | Value::List(_) | Value::Map(_) => None,
    }
}

/// The YAML 1.2 core schema for plain scalars; what is quoted or a block is text.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style == ScalarStyle::Plain { plain(text) } else { Value::Text(text.to_owned()) }
}

/// What is not quoted.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).unwrap_or_else(|| Value::Text(text.to_owned())),
    }
}

/// A leading zero (`010`) is text: it is an octal number to some and a decimal one to others.
fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') || !digits.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if let Ok(integer) = text.parse() {
        return Some(Value::Integer(integer));
    }
    text.parse().ok().map(Value::Float)
}

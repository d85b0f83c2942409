//! The environment's variables, laid over what the settings' file says: `RICHTER__TIME__LATENESS=10s` is
//! `time: { lateness: 10s }`. A value in brackets or braces is YAML; any other one is a scalar, and no less strict than in the file.

use std::collections::BTreeMap;

use super::fault::{Fault, Place};
use super::yaml::{Node, Value, parse};

/// What the names begin with, and what separates the steps of a path.
const BEGINS: &str = "RICHTER__";
const STEP: &str = "__";

/// The list that may be written with commas and without brackets.
const WITH_COMMAS: [&str; 2] = ["kafka", "brokers"];

/// The variables that are Richter's, by name.
pub(super) fn ours(environment: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    environment.iter().filter(|(name, _)| name.starts_with(BEGINS)).map(|(name, value)| (name.as_str(), value.as_str()))
}

/// Sets what the variables say; gives the faults of those that are no YAML. What is set has no line.
pub(super) fn lay_over(root: &mut Node, environment: &BTreeMap<String, String>) -> Vec<Fault> {
    let mut faults = vec![];
    for (name, text) in ours(environment) {
        let path = name[BEGINS.len()..].to_lowercase();
        let path: Vec<&str> = path.split(STEP).collect();
        let value = if text.starts_with(['[', '{']) {
            let (node, wrong) = parse(name, text);
            faults.extend(wrong.into_iter().map(|fault| Fault { place: at(name), ..fault }));
            node.map_or(Value::Null, |node| unplaced(node).value)
        } else if path == WITH_COMMAS {
            Value::List(text.split(',').map(|item| Node::given(Value::Given(item.trim().to_owned()))).collect())
        } else {
            Value::Given(text.to_owned())
        };
        *path.iter().fold(&mut *root, |at, step| at.entry(step)) = Node::given(value);
    }
    root.renumber(&mut 0);
    faults
}

/// A fault of what has no line is one of the variables, of which it is not known which.
pub(super) fn placed(fault: Fault, environment: &BTreeMap<String, String>) -> Fault {
    let names: Vec<&str> = ours(environment).map(|(name, _)| name).collect();
    if fault.place.line > 0 || names.is_empty() {
        return fault;
    }
    Fault { place: at(&format!("environment ({})", names.join(", "))), ..fault }
}

fn at(file: &str) -> Place {
    Place { file: file.to_owned(), ..Place::default() }
}

fn unplaced(node: Node) -> Node {
    let value = match node.value {
        Value::List(items) => Value::List(items.into_iter().map(unplaced).collect()),
        Value::Map(pairs) => Value::Map(pairs.into_iter().map(|(key, value)| (unplaced(key), unplaced(value))).collect()),
        scalar => scalar,
    };
    Node::given(value)
}

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
        // An address of IPv6 begins with a bracket too.
        let is_yaml = text.starts_with('[') && text.ends_with(']') || text.starts_with('{') && text.ends_with('}');
        let value = if is_yaml {
            let (node, wrong) = parse(name, text);
            faults.extend(wrong.into_iter().map(|fault| Fault { place: at(name), ..fault }));
            let Some(node) = node else { continue };
            unplaced(node).value
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

/// A fault of what has no line is one of the variables, of which it is not known which, `or` of what else has none.
pub(super) fn placed(fault: Fault, or: &str, environment: &BTreeMap<String, String>) -> Fault {
    let names: Vec<&str> = ours(environment).map(|(name, _)| name).collect();
    if fault.place.line > 0 || names.is_empty() {
        return fault;
    }
    Fault { place: at(&format!("{or}environment ({})", names.join(", "))), ..fault }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::rules::settings;

    #[test]
    fn the_environment_is_as_strict_as_the_file_and_leaves_its_places_as_they_are() {
        let environment = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let file = "sources: [ { topic: a, kind: alerts, format: mapped, mapping: { key: [ /id ], name: [ /n ], labels: { kind: /k } } } ]";
        let wrong = |text: &str, name: &str, value: &str| settings("f", text, &environment(name, value)).2;
        assert_eq!(wrong(file, "RICHTER__TIME__LATENESS", "7s"), []);
        assert_eq!(
            wrong("kafka: { prefix: [] }", "RICHTER__TIME__LATENESS", "7s")[0].to_string(),
            "f:1:18: expected a string, found a list"
        );
        let number = wrong("", "RICHTER__SITUATIONS__SIZE_MAX", "3.7");
        let time = wrong("time: { lateness: 7s }", "RICHTER__TIME__LATENESS", "x");
        assert!(time[0].to_string().starts_with("environment (RICHTER__TIME__LATENESS): \"x\""), "{time:?}");
        assert_eq!(number[0].to_string(), "environment (RICHTER__SITUATIONS__SIZE_MAX): expected a whole number, found the number 3.7");
        let read = |name: &str, value: &str| settings("f", "", &environment(name, value)).0.expect("checked");
        assert_eq!(read("RICHTER__KAFKA__INSTANCE", "0").instance, Some("0".to_owned()), "a text that looks like a number is one");
        let topic = wrong("", "RICHTER__SOURCES", r#"[ { topic: "^x", kind: alerts } ]"#);
        assert!(topic[0].to_string().starts_with("f or environment (RICHTER__SOURCES): \"^x\" is no topic"), "{topic:?}");
        assert_eq!(read("RICHTER__HTTP__LISTEN", "[::1]:9464").listen.to_string(), "[::1]:9464");
        assert_eq!(read("RICHTER__KAFKA__BROKERS", "[fd00::1]:9092").brokers, ["[fd00::1]:9092"]);
        assert_eq!(read("RICHTER__SOURCES", "[ { topic: a, kind: alerts } ]").sources.len(), 1);
    }
}

//! The names in a target's own texts: they are those of what an event tells.

use schemars::schema_for;
use serde_json::Value;

use crate::contract::Data;
use crate::rules::notify::Target;
use crate::rules::{Fault, Text};

/// A fault for each name in a target's own texts that no event has, with those that there are in that place: it would be empty
/// in every message.
pub fn faults(target: &Target) -> Vec<Fault> {
    let schema = schema_for!(Data).to_value();
    let names = target.title.iter().chain(&target.text).flat_map(Text::names);
    let wrong = names.filter_map(|name| unknown(&schema, &name));
    wrong.map(|message| Fault { place: target.place.clone(), message }).collect()
}

/// What is wrong with a path such as `incident.level.rank`.
fn unknown(schema: &Value, path: &str) -> Option<String> {
    let mut at = resolved(schema, schema);
    let mut walked = "an event".to_owned();
    for name in path.split('.') {
        // A list, a text, or what has names of its own.
        let known = at.get("properties")?.as_object()?;
        let Some(next) = known.get(name) else {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            return Some(format!("a text of it names {path:?}; {walked} has {}", names.join(", ")));
        };
        (at, walked) = (resolved(schema, next), format!("{name:?}"));
    }
    None
}

/// What stands behind a reference, or behind one that may be missing.
fn resolved<'s>(schema: &'s Value, at: &'s Value) -> &'s Value {
    let some = at["anyOf"].as_array().and_then(|any| any.iter().find(|one| one["type"] != "null"));
    let at = some.unwrap_or(at);
    let reference = at["$ref"].as_str().and_then(|to| schema.pointer(to.trim_start_matches('#')));
    reference.unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_event_has_is_told_with_those_it_has() {
        let schema = schema_for!(Data).to_value();
        let wrong = |path: &str| unknown(&schema, path);
        assert_eq!(wrong("incident.titel").map(|why| why.contains("\"incident\" has acknowledged, actions")), Some(true));
        assert_eq!(wrong("incident.level.rnk").map(|why| why.contains("\"level\" has ")), Some(true));
        assert_eq!(wrong("insident.title"), Some("a text of it names \"insident.title\"; an event has event, incident".to_owned()));
        let fine = ["incident.title", "incident.level.rank", "incident.impact.numbers.lost", "incident.members", "event.reason"];
        assert_eq!(fine.map(wrong), [const { None }; 5]);
    }
}

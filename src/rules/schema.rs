//! JSON Schema of what SREs write, for editors: made from the very structures that it is read into.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};

use super::baseline::Season;
use super::compiled::{Absent, Amount};
use super::fault::At;
use super::raw::{self, Compared, Sensitivity, Share, Span, Written};
use super::settings::{Property, Raw};

/// The schemas, by what they are of.
#[must_use]
pub fn schemas() -> [(&'static str, Schema); 7] {
    [
        ("richter", schema_for!(Raw)),
        ("monitors", schema_for!(raw::MonitorFile)),
        ("levels", schema_for!(raw::LevelFile)),
        ("topology", schema_for!(raw::TopologyFile)),
        ("duty", schema_for!(raw::DutyFile)),
        ("plans", schema_for!(raw::PlanFile)),
        ("suppress", schema_for!(raw::SuppressFile)),
    ]
}

/// What a value with a place is, is the value.
impl<T: JsonSchema> JsonSchema for At<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Texts with a grammar of their own; a bare 0 is a duration.
fn text<T: Written>() -> Schema {
    json_schema!({"type": ["string", "integer"], "pattern": T::PATTERN, "description": T::EXPECTED})
}

macro_rules! written {
    ($($name:ident),*) => {$(
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                text::<$name>()
            }
        }
    )*};
}

written!(Span, Share, Compared, Season, Sensitivity, Absent);

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "number"], "description": "a share such as 30%, or a number in the query's unit"})
    }
}

impl JsonSchema for Property {
    fn schema_name() -> Cow<'static, str> {
        "Property".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let named = |name: &str, what: &str| {
            let property = json_schema!({"type": "string", "description": what});
            json_schema!({"type": "object", "properties": {name: property}, "required": [name], "additionalProperties": false})
        };
        json_schema!({
            "anyOf": [{"type": ["string", "number", "boolean"]}, named("file", "a file whose content it is"), named("env", "an environment variable whose value it is")],
            "description": "a text, number or boolean, or where a secret is: {file: ...} or {env: ...}",
        })
    }
}

impl JsonSchema for raw::Faults {
    fn schema_name() -> Cow<'static, str> {
        "Faults".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<raw::Definition>();
        json_schema!({"anyOf": [one, {"type": "array", "items": one}]})
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;

    /// The properties below a place that no description tells of.
    fn undescribed(place: &str, schema: &Json, found: &mut Vec<String>) {
        for (key, value) in schema.as_object().into_iter().flatten() {
            let inner = format!("{place}/{key}");
            if key != "properties" {
                undescribed(&inner, value, found);
                continue;
            }
            for (name, property) in value.as_object().into_iter().flatten() {
                if property.get("description").is_none() {
                    found.push(format!("{place}/{name}"));
                }
                undescribed(&format!("{place}/{name}"), property, found);
            }
        }
        schema.as_array().into_iter().flatten().for_each(|item| undescribed(place, item, found));
    }

    #[test]
    fn every_option_is_described() {
        let mut found = vec![];
        for (name, schema) in schemas() {
            undescribed(name, schema.as_value(), &mut found);
        }
        // What the keys of a map are is said of the map.
        found.retain(|place| !place.starts_with("levels/importance/"));
        assert!(found.is_empty(), "{found:#?}");
    }
}

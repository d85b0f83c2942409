//! `format: auto` for metrics: each JSON shape has keys of its own, by which it is known.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use smallvec::SmallVec;

use crate::rules::Format;

/// The keys of the first object there is.
struct Keys<'a> {
    list: bool,
    keys: SmallVec<[Cow<'a, str>; 16]>,
}

impl<'de> Deserialize<'de> for Keys<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct First;
        impl<'de> Visitor<'de> for First {
            type Value = Keys<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or a list of objects")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut keys = SmallVec::new();
                while let Some((super::metrics::Text(key), IgnoredAny)) = map.next_entry()? {
                    keys.push(key);
                }
                Ok(Keys { list: false, keys })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let first: Option<Keys<'de>> = seq.next_element()?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Keys { list: true, keys: first.map_or_else(SmallVec::new, |first| first.keys) })
            }
        }
        d.deserialize_any(First)
    }
}

/// By what each shape is known, the more particular first: whether it is a list, and the keys it has.
const SHAPES: [(Option<bool>, &[&str], Format); 15] = [
    (Some(false), &["resourceMetrics"], Format::OtlpJson),
    (Some(true), &["labels", "samples"], Format::NightingaleMetrics),
    (None, &["metric", "counterType", "timestamp"], Format::OpenFalcon),
    (Some(false), &["metric", "values", "timestamps"], Format::VictoriametricsJson),
    (Some(false), &["itemid", "clock", "host"], Format::ZabbixHistory),
    (Some(false), &["@timestamp", "agent", "event"], Format::Metricbeat),
    (Some(false), &["fields", "name", "timestamp"], Format::TelegrafJson),
    (Some(false), &["metrics"], Format::TelegrafJson),
    (Some(false), &["name", "kind", "counter"], Format::VectorJson),
    (Some(false), &["name", "kind"], Format::VectorJson),
    (Some(false), &["labels", "timestamp", "value"], Format::PrometheusKafkaAdapter),
    (Some(false), &["schema", "payload"], Format::PlainJson),
    (Some(false), &["name", "value", "timestamp"], Format::PlainJson),
    (Some(false), &["metric"], Format::VectorJson),
    (Some(false), &["name", "value"], Format::PlainJson),
];

/// The format of a metrics record, where it is JSON of a shape that is known.
#[must_use]
pub fn shape(payload: &[u8]) -> Option<Format> {
    let first = serde_json::Deserializer::from_slice(payload).into_iter::<Keys<'_>>().next()?.ok()?;
    let has = |key: &&str| first.keys.iter().any(|known| known == key);
    let fits = |(list, keys, _): &&(Option<bool>, &[&str], Format)| list.is_none_or(|list| list == first.list) && keys.iter().all(has);
    SHAPES.iter().find(fits).map(|(.., format)| *format)
}

//! Alerts and changes of any JSON, found where a mapping says.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::model::change::said;
use crate::model::{Alert, Change, Fingerprint, Labels, Signal, Timestamp};
use crate::rules::mapping::{Label, LabelText, Mapping, OneOrMore};
use crate::rules::{Kind, Unit};

use super::{Parts, Reject, few_enough, instant, time};

/// What a mapping is used for, and when the record was appended: the time of what has none of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use<'u> {
    pub(super) mapping: &'u Mapping,
    pub(super) kind: Kind,
    pub(super) appended: Timestamp,
}

/// Whether a record, or the first element of one that is a list, has a preset's marks.
pub(super) fn fits(marks: &BTreeMap<String, Vec<String>>, record: &Json) -> bool {
    let one = record.as_array().map_or(record, |list| list.first().unwrap_or(&Json::Null));
    marks.iter().all(|(path, values)| {
        one.pointer(path).is_some_and(|found| values.is_empty() || text(found).is_some_and(|text| values.contains(&text)))
    })
}

/// The signals of a record.
pub(super) fn signals(with: Use<'_>, record: &Json) -> Result<Parts, Reject> {
    let mapping = with.mapping;
    let inner: Json;
    let mut root = record;
    if let Some(path) = &mapping.text_at {
        let text = record.pointer(path).and_then(Json::as_str).ok_or_else(|| missing(path))?;
        inner = super::json(text.as_bytes())?;
        root = &inner;
    }
    if let Some(path) = &mapping.each {
        root = root.pointer(path).ok_or_else(|| missing(path))?;
    }
    let all = root.as_array().map_or(std::slice::from_ref(root), Vec::as_slice);
    few_enough(all.len())?;
    Ok(all.iter().filter_map(|one| signal(with, one).transpose()).collect())
}

fn missing(path: &str) -> Reject {
    Reject::new("unexpected_shape", format!("{path}: missing"))
}

/// A text, a number or a boolean, as a text.
fn text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(truth) => Some(truth.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// The first of these paths with a value.
fn first(one: &Json, paths: &[String]) -> Option<String> {
    paths.iter().find_map(|path| told(one, path))
}

fn told(one: &Json, path: &str) -> Option<String> {
    text(one.pointer(path)?).filter(|text| !text.is_empty())
}

fn key(one: &Json, keys: &[OneOrMore]) -> Option<String> {
    keys.iter().find_map(|key| match key {
        OneOrMore::One(path) => told(one, path),
        OneOrMore::More(paths) => {
            paths.iter().map(|path| text(one.pointer(path)?)).collect::<Option<Vec<_>>>().map(|parts| parts.join("|"))
        }
    })
}

/// The first of these times that is there.
fn when(one: &Json, paths: &[String], unit: Option<Unit>) -> Result<Option<Timestamp>, Reject> {
    let Some((path, text)) = paths.iter().find_map(|path| Some((path, told(one, path)?))) else { return Ok(None) };
    let unit = unit.unwrap_or(Unit::Milliseconds);
    let at = match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(number), _) => instant(path, number, unit),
        (_, Ok(seconds)) if seconds.is_finite() && unit == Unit::Seconds && seconds.fract() != 0.0 => {
            instant(path, (seconds * 1000.0).round() as i64, Unit::Milliseconds)
        }
        (_, Ok(number)) if number.is_finite() => instant(path, number.round() as i64, unit),
        _ => time(path, &text),
    };
    at.map(Some)
}

fn signal(with: Use<'_>, one: &Json) -> Result<Option<Signal>, Reject> {
    let Use { mapping, kind, appended } = with;
    let key = key(one, &mapping.key).ok_or_else(|| Reject::new("unexpected_shape", format!("the key is missing: {:?}", mapping.key)))?;
    let at = when(one, &mapping.at, mapping.unit)?;
    match kind {
        Kind::Changes => Ok(Some(Signal::Change(Change {
            id: key,
            source: first(one, &["/source".to_owned()]).unwrap_or_else(|| "mapped".into()),
            kind: first(one, &mapping.kind).unwrap_or_else(|| "change".into()),
            at: at.unwrap_or(appended),
            labels: labels(mapping, one, None),
            summary: first(one, &mapping.summary).map(|text| said(&text)).unwrap_or_default(),
        }))),
        Kind::Alerts | Kind::Metrics | Kind::Commands => alert(mapping, one, &key, at, appended),
    }
}

fn alert(mapping: &Mapping, one: &Json, key: &str, at: Option<Timestamp>, appended: Timestamp) -> Result<Option<Signal>, Reject> {
    let fires = match &mapping.status {
        None => true,
        Some(status) => {
            let value = one.pointer(&status.path).and_then(text).ok_or_else(|| missing(&status.path))?;
            if status.ignored.contains(&value) {
                return Ok(None);
            }
            let known = status.firing.contains(&value) || status.resolved.contains(&value);
            if !known {
                return Err(Reject::new("bad_status", format!("{}: {value:?} is neither firing nor resolved", status.path)));
            }
            status.firing.contains(&value)
        }
    };
    // A fingerprint that is one already stays, so that the alert is known by it elsewhere too.
    let known = (key.len() == 16).then(|| u64::from_str_radix(key, 16).ok()).flatten();
    let fingerprint = known.map_or_else(|| Fingerprint::of(&[key.as_bytes()]), Fingerprint);
    let starts_at = when(one, &mapping.starts_at, mapping.unit)?;
    let ends_at = when(one, &mapping.ends_at, mapping.unit)?.or(at).unwrap_or(appended);
    let labels = || labels(mapping, one, first(one, &mapping.name));
    let summary = || first(one, &mapping.summary).map(|text| said(&text)).unwrap_or_default();
    let known = |starts_at, ends_at| Alert {
        fingerprint,
        labels: labels(),
        summary: summary(),
        starts_at,
        ends_at,
        by_key: mapping.starts_at.is_empty(),
        recalled: false,
    };
    Ok(Some(match (fires, starts_at) {
        (true, starts_at) => Signal::Alert(known(starts_at.or(at).unwrap_or(appended), None)),
        (false, Some(starts_at)) => Signal::Alert(known(starts_at, Some(ends_at))),
        (false, None) => Signal::Resolved { fingerprint, at: ends_at },
    }))
}

fn labels(mapping: &Mapping, one: &Json, name: Option<String>) -> Labels {
    let mut pairs: Vec<(String, String)> = vec![];
    for path in &mapping.label_objects {
        if let Some(Json::Object(object)) = one.pointer(path) {
            pairs.extend(object.iter().filter_map(|(name, value)| Some((name.clone(), text(value)?))));
        }
    }
    for list in &mapping.label_lists {
        let elements = one.pointer(&list.path).and_then(Json::as_array).into_iter().flatten();
        pairs.extend(elements.filter_map(|element| Some((text(element.get(&list.name)?)?, text(element.get(&list.value)?)?))));
    }
    for texts in &mapping.label_texts {
        match one.pointer(&texts.path) {
            Some(Json::String(text)) => pairs.extend(split(text, texts)),
            Some(Json::Array(list)) => pairs.extend(list.iter().filter_map(Json::as_str).flat_map(|text| split(text, texts))),
            _ => {}
        }
    }
    for (label, from) in &mapping.labels {
        let value = match from {
            Label::Path(path) => first(one, std::slice::from_ref(path)),
            Label::Mapped { paths, words } => first(one, paths).map(|value| words.get(&value).cloned().unwrap_or(value)),
        };
        pairs.extend(value.map(|value| (label.clone(), value)));
    }
    pairs.extend(name.map(|name| ("alertname".to_owned(), name)));
    let spelt = |name: String| name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect::<String>();
    pairs.into_iter().map(|(name, value)| (spelt(name), value)).collect()
}

fn split(text: &str, how: &LabelText) -> Vec<(String, String)> {
    let parts: Vec<&str> = how.between.as_ref().map_or_else(|| vec![text], |between| text.split(between.as_str()).collect());
    let pair = |part: &str| part.trim().split_once(how.separator.as_str()).map(|(name, value)| (name.to_owned(), value.to_owned()));
    parts.into_iter().filter_map(pair).collect()
}

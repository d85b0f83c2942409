//! Influx line protocol: `measurement,tag=value field=1.5,other=2i 1795359600000000000`, a line a point.
//! Source: <https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/>.

use crate::model::Value;
use crate::wire::{Reject, SeriesBuf, Unit, instant};

use super::{Context, Scratch, Sink};

/// Decodes one record; times count nanoseconds where nothing else is said. A line that cannot be read is refused alone.
///
/// # Errors
/// It is no text, or no line of it can be read.
pub fn decode(payload: &[u8], context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let text = std::str::from_utf8(payload).map_err(|e| Reject::new("not_text", e.to_string()))?;
    let (mut read, mut first) = (0, None);
    for line in lines(text) {
        match point(line, context, scratch, sink) {
            Ok(()) => read += 1,
            Err(reject) if read > 0 || first.is_some() => sink.refuse(reject),
            Err(reject) => first = Some(reject),
        }
    }
    match first {
        Some(reject) if read == 0 => Err(reject),
        Some(reject) => {
            sink.refuse(reject);
            Ok(())
        }
        None => Ok(()),
    }
}

/// Lines that say something. A line end inside a quoted text is part of it; only the value of a field is one, and a quote elsewhere is
/// nothing but that.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let first = rest.find('\n').unwrap_or(rest.len());
            let indent = first - rest[..first].trim_start().len();
            let head = indent + until(&rest[indent..first], b' ', false);
            let end = if rest[indent..].starts_with('#') { first } else { head + until(&rest[head..], b'\n', true) };
            let line = rest[..end].trim();
            rest = rest.get(end + 1..).unwrap_or_default();
            if !line.is_empty() && !line.starts_with('#') {
                return Some(line);
            }
        }
        None
    })
}

/// Where a part ends: before a sign that is neither escaped nor, where quotes count, quoted.
fn until(text: &str, sign: u8, quotes: bool) -> usize {
    let (mut escaped, mut quoted) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        if byte == sign && !escaped && !quoted {
            return at;
        }
        quoted ^= quotes && byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
    }
    text.len()
}

fn bad(line: &str, why: &str) -> Reject {
    let shown: String = line.chars().take(120).collect();
    Reject::new("bad_line", format!("{why}: {shown:?}"))
}

fn point(line: &str, context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let head = until(line, b' ', false);
    let rest = line[head..].trim_start();
    let fields = until(rest, b' ', true);
    let time = rest[fields..].trim();
    let at = match time {
        "" => context.appended,
        time => {
            let number: i64 = time.parse().map_err(|_| bad(line, "the time is no whole number"))?;
            instant("time", number, context.unit.unwrap_or(Unit::Nanoseconds))?
        }
    };
    let (head, fields) = (&line[..head], &rest[..fields]);
    let measurement = until(head, b',', false);
    if measurement == 0 || fields.is_empty() {
        return Err(bad(line, "a measurement and a field are needed"));
    }
    let (written, tags) = (&head[..measurement], head.get(measurement + 1..).unwrap_or_default());
    let mut fields = fields;
    while !fields.is_empty() {
        let (field, next) = split(fields, b',', true);
        fields = next;
        let (key, value) = split(field, b'=', true);
        let Some(value) = field_value(value).map_err(|()| bad(line, "a field's value cannot be read"))? else {
            sink.skip("text_value");
            continue;
        };
        scratch.series.clear();
        scratch.series.lies_as(&["influx", written, key], tags.as_bytes());
        if !sink.knows(&scratch.series) {
            labels(tags, scratch)?;
            unescaped(&mut scratch.name, written);
            unescaped(&mut scratch.text, key);
            name(&mut scratch.series, &scratch.name, &scratch.text)?;
        }
        sink.sample(&scratch.series, at, Value::Float(value));
    }
    Ok(())
}

fn labels(mut tags: &str, scratch: &mut Scratch) -> Result<(), Reject> {
    let series = &mut scratch.series;
    while !tags.is_empty() {
        let (tag, next) = split(tags, b',', false);
        tags = next;
        let (name, value) = split(tag, b'=', false);
        unescaped(&mut scratch.text, name);
        series.begin_spelt(&scratch.text)?;
        unescaped(&mut scratch.text, value);
        series.part(&scratch.text);
        series.end()?;
    }
    Ok(())
}

/// Up to a sign, and after it.
fn split(text: &str, sign: u8, quotes: bool) -> (&str, &str) {
    let end = until(text, sign, quotes);
    (&text[..end], text.get(end + 1..).unwrap_or_default())
}

/// None for a text.
fn field_value(text: &str) -> Result<Option<f64>, ()> {
    match text {
        "t" | "T" | "true" | "True" | "TRUE" => return Ok(Some(1.0)),
        "f" | "F" | "false" | "False" | "FALSE" => return Ok(Some(0.0)),
        text if text.starts_with('"') => return Ok(None),
        _ => {}
    }
    let digits = text.strip_suffix(['i', 'u']).unwrap_or(text);
    digits.parse().map(Some).map_err(drop)
}

fn unescaped(into: &mut String, text: &str) {
    into.clear();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match rest.next_if(|next| c == '\\' && matches!(next, ',' | '=' | ' ' | '\\' | '"')) {
            Some(escaped) => into.push(escaped),
            None => into.push(c),
        }
    }
}

/// A series' name of a measurement and a field, as Telegraf's Prometheus output spells it; `value` says nothing.
pub(super) fn name(series: &mut SeriesBuf, measurement: &str, field: &str) -> Result<(), Reject> {
    series.begin_name()?;
    series.part_spelt(measurement);
    if field != "value" {
        series.part("_");
        series.part_spelt(field);
    }
    series.end()
}

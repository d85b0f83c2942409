//! Prometheus' text format and OpenMetrics: `name{label="value"} 1.5 1795359600250`.
//! Sources: <https://prometheus.io/docs/instrumenting/exposition_formats/>, <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use crate::model::{Timestamp, Value};
use crate::wire::{Reject, Unit, instant};

use super::{Context, Scratch, Sink, parse};

/// Decodes one record. A line that cannot be read is refused alone.
///
/// # Errors
/// It is no text, or no line of it can be read.
pub fn decode(payload: &[u8], context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let text = std::str::from_utf8(payload).map_err(|e| Reject::new("not_text", e.to_string()))?;
    let (mut read, mut last) = (false, None);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match sample(line, context, scratch, sink) {
            Ok(()) => read = true,
            Err(reject) => last.replace(reject).into_iter().for_each(|reject| sink.refuse(reject)),
        }
    }
    match last {
        Some(reject) if !read => Err(reject),
        Some(reject) => {
            sink.refuse(reject);
            Ok(())
        }
        None => Ok(()),
    }
}

fn bad(line: &str, why: &str) -> Reject {
    Reject::new("bad_line", format!("{why}: {:?}", line.chars().take(120).collect::<String>()))
}

fn sample(line: &str, context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let series = &mut scratch.series;
    series.clear();
    let end = line.find(|c: char| c == '{' || c.is_whitespace()).ok_or_else(|| bad(line, "no value"))?;
    if end > 0 {
        series.name(&[&line[..end]])?;
    }
    let mut rest = &line[end..];
    if let Some(labels) = rest.strip_prefix('{') {
        rest = labels.trim_start();
        loop {
            rest = rest.trim_start_matches([',', ' ']);
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            rest = label(line, rest, &mut scratch.text, series)?;
        }
    }
    if series.get(crate::model::labels::METRIC_NAME).is_empty() {
        return Err(Reject::new("no_metric_name", "a sample without a name"));
    }
    // What follows is an exemplar.
    let mut words = rest.split('#').next().unwrap_or_default().split_whitespace();
    let value = words.next().and_then(parse).ok_or_else(|| bad(line, "the value is no number"))?;
    let at = words.next().map_or(Ok(context.appended), time)?;
    sink.sample(series, at, Value::Float(value));
    Ok(())
}

/// Reads `name="value"`, and gives what follows.
fn label<'l>(line: &str, text: &'l str, unescaped: &mut String, series: &mut crate::wire::SeriesBuf) -> Result<&'l str, Reject> {
    // A quoted name alone is the metric's.
    if let Some(quoted) = text.strip_prefix('"') {
        let after = value(line, quoted, unescaped)?;
        if let Some(rest) = after.trim_start().strip_prefix('=') {
            let name = unescaped.clone();
            let quoted = rest.trim_start().strip_prefix('"').ok_or_else(|| bad(line, "a label's value is quoted"))?;
            let after = value(line, quoted, unescaped)?;
            series.label(&name, unescaped)?;
            return Ok(after);
        }
        series.name(&[unescaped])?;
        return Ok(after);
    }
    let (name, rest) = text.split_once('=').ok_or_else(|| bad(line, "a label has no value"))?;
    let quoted = rest.trim_start().strip_prefix('"').ok_or_else(|| bad(line, "a label's value is quoted"))?;
    let after = value(line, quoted, unescaped)?;
    series.label(name.trim(), unescaped)?;
    Ok(after)
}

fn value<'l>(line: &str, quoted: &'l str, unescaped: &mut String) -> Result<&'l str, Reject> {
    unescaped.clear();
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match (escaped, c) {
            (true, 'n') => unescaped.push('\n'),
            (true, c) => unescaped.push(c),
            (false, '\\') => {}
            (false, '"') => return Ok(&quoted[at + 1..]),
            (false, c) => unescaped.push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    Err(bad(line, "a quote is not closed"))
}

/// Seconds with a fraction in OpenMetrics, whole milliseconds in the text format.
fn time(text: &str) -> Result<Timestamp, Reject> {
    let wrong = || Reject::new("bad_timestamp", format!("{text:?} is no time"));
    if let Ok(whole) = text.parse::<i64>() {
        // As milliseconds it would be before 2001, as seconds after the year 5000.
        const SECONDS_MAX: i64 = 100_000_000_000;
        return instant("timestamp", whole, if whole.abs() < SECONDS_MAX { Unit::Seconds } else { Unit::Milliseconds });
    }
    let seconds = parse(text).filter(|seconds| seconds.is_finite()).ok_or_else(wrong)?;
    instant("timestamp", (seconds * 1000.0).round() as i64, Unit::Milliseconds)
}

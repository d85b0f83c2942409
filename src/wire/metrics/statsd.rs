//! StatsD lines, with DogStatsD's tags: `name:value|type|@rate|#tag:value`. Counters are what was added since the last
//! one; they have no time of their own.

use crate::model::Value;
use crate::wire::Reject;

use super::{Context, Scratch, Sink, parse};

/// Decodes one record. A line that cannot be read is refused alone.
///
/// # Errors
/// It is no text.
pub fn decode(payload: &[u8], context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let text = std::str::from_utf8(payload).map_err(|e| Reject::new("not_text", e.to_string()))?;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Err(reject) = sample(line, context, scratch, sink) {
            sink.refuse(reject);
        }
    }
    Ok(())
}

fn sample(line: &str, context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let bad = |why: &str| Reject::new("bad_line", format!("{why}: {:?}", line.chars().take(120).collect::<String>()));
    let (name, rest) = line.split_once(':').ok_or_else(|| bad("no value"))?;
    let mut parts = rest.split('|');
    let value = parts.next().and_then(parse).ok_or_else(|| bad("the value is no number"))?;
    let kind = parts.next().unwrap_or_default();
    if !matches!(kind, "c" | "g" | "ms" | "h" | "d") {
        return Err(Reject::new("unknown_metric_type", format!("type {kind:?}")));
    }
    let series = &mut scratch.series;
    series.clear();
    series.begin("__name__")?;
    series.part_spelt(name);
    series.end()?;
    let mut rate = 1.0;
    for part in parts {
        if let Some(tags) = part.strip_prefix('#') {
            for (name, value) in tags.split(',').map(|tag| tag.split_once(':').unwrap_or((tag, "true"))) {
                series.begin_spelt(name)?;
                series.part(value);
                series.end()?;
            }
        } else if let Some(sampled) = part.strip_prefix('@') {
            rate = parse(sampled).filter(|rate| *rate > 0.0 && *rate <= 1.0).ok_or_else(|| bad("the rate is none"))?;
        }
    }
    sink.sample(series, context.appended, Value::Float(if kind == "c" { value / rate } else { value }));
    Ok(())
}

//! Item values as Zabbix's Kafka connector writes them, one object a value: of its export protocol.
//! Source: <https://www.zabbix.com/documentation/current/en/manual/appendix/protocols/real_time_export>.

use serde::Deserialize;

use crate::model::Value;
use crate::wire::{Reject, Unit, instant};

use super::{Number, Scratch, Sink, Text, objects};

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    host: Host<'a>,
    #[serde(borrow, default)]
    item_tags: Vec<Tag<'a>>,
    itemid: u64,
    #[serde(borrow)]
    name: Text<'a>,
    clock: i64,
    #[serde(default)]
    ns: i64,
    value: Number,
    /// 0 and 3 are numbers; the others are texts.
    #[serde(rename = "type")]
    kind: u8,
}

#[derive(Deserialize)]
struct Host<'a> {
    #[serde(borrow)]
    host: Text<'a>,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow)]
    tag: Text<'a>,
    #[serde(borrow)]
    value: Text<'a>,
}

/// Decodes one record.
///
/// # Errors
/// It is not of this shape.
pub fn decode(payload: &[u8], scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    objects(payload, |raw: Raw<'_>| {
        if let Err(reject) = sample(&raw, scratch, sink) {
            sink.refuse(reject);
        }
    })
}

fn sample(raw: &Raw<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    let (Number::Of(value), 0 | 3) = (raw.value, raw.kind) else {
        sink.skip("text_value");
        return Ok(());
    };
    let at = instant("clock", raw.clock, Unit::Seconds)?;
    let at = at + std::time::Duration::from_nanos(raw.ns.clamp(0, 999_999_999).unsigned_abs());
    let series = &mut scratch.series;
    series.clear();
    series.begin_name()?;
    series.part_spelt(&raw.name.0);
    series.end()?;
    series.label("host", &raw.host.host.0)?;
    series.label("itemid", &raw.itemid.to_string())?;
    for Tag { tag, value } in &raw.item_tags {
        series.begin_spelt(&tag.0)?;
        series.part(&value.0);
        series.end()?;
    }
    sink.sample(series, at, Value::Float(value));
    Ok(())
}

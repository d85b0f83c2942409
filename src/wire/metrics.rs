//! Metrics as others write them. A decoder hands each sample to a [`Sink`] as it finds it, and keeps nothing.

pub mod influx;
pub mod metricbeat;
pub mod nightingale;
pub mod open_falcon;
pub mod otlp;
pub mod otlp_json;
pub mod otlp_proto;
pub mod plain_json;
pub mod prometheus_kafka_adapter;
pub mod remote_write;
pub mod statsd;
pub mod telegraf;
pub mod text;
pub mod vector;
pub mod victoriametrics;
pub mod zabbix;

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::model::{Timestamp, Value};
use crate::rules::Format;

use super::{Reject, SeriesBuf, Unit, instant, time};

/// Where samples go.
pub trait Sink {
    /// Whether it takes a sample of a series by how that lies in the record ([`SeriesBuf::lies_as`]), without all labels.
    fn knows(&mut self, _: &SeriesBuf) -> bool {
        false
    }

    /// Takes a sample of the series whose labels are in the buffer.
    fn sample(&mut self, series: &SeriesBuf, at: Timestamp, value: Value);

    /// Takes note of a part of the record that was not read.
    fn refuse(&mut self, reject: Reject);

    /// Takes note of a value that is none by nature, such as a text.
    fn skip(&mut self, reason: &'static str);
}

/// What a record is decoded with, besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Context<'c> {
    /// When it was appended: the time of samples that have none of their own.
    pub appended: Timestamp,
    /// What a bare number of time counts.
    pub unit: Option<super::Unit>,
    /// OTLP resource attributes that become labels of every sample.
    pub promote: &'c [String],
    /// The version that a record's header tells, as Mimir's do.
    pub version: Option<u32>,
}

/// Buffers that are used again from record to record.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) series: SeriesBuf,
    pub(super) inflated: Vec<u8>,
    /// Where the texts of a table are in the payload.
    pub(super) table: Vec<(u32, u32)>,
    pub(super) text: String,
    pub(super) bound: String,
    pub(super) name: String,
    pub(super) counts: Vec<f64>,
    pub(super) bounds: Vec<f64>,
}

/// Labels as a JSON object, borrowed where they need no unescaping.
pub(super) struct Pairs<'a>(pub(super) SmallVec<[(Text<'a>, Text<'a>); 16]>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        entries(d).map(Self)
    }
}

/// Labels that were left as they lie.
pub(super) fn pairs(raw: &RawValue) -> Result<Pairs<'_>, Reject> {
    serde_json::from_str(raw.get()).map_err(|e| Reject::json(&e))
}

/// The entries of an object, in the order they lie; null has none.
pub(super) fn entries<'de, K, V, D, const N: usize>(d: D) -> Result<SmallVec<[(K, V); N]>, D::Error>
where
    K: Deserialize<'de>,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct Object<K, V, const N: usize>(std::marker::PhantomData<(K, V)>);
    impl<'de, K: Deserialize<'de>, V: Deserialize<'de>, const N: usize> Visitor<'de> for Object<K, V, N> {
        type Value = SmallVec<[(K, V); N]>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = SmallVec::new();
            while let Some(entry) = map.next_entry()? {
                entries.push(entry);
            }
            Ok(entries)
        }
        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(SmallVec::new())
        }
    }
    d.deserialize_any(Object(std::marker::PhantomData))
}

impl Default for Pairs<'_> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

/// A time as text, or as a number: of milliseconds, where the source's unit is not named.
fn milliseconds(field: &str, text: &Text<'_>, context: &Context<'_>) -> Result<Timestamp, Reject> {
    match text.0.parse() {
        Ok(number) => instant(field, number, context.unit.unwrap_or(Unit::Milliseconds)),
        Err(_) => time(field, &text.0),
    }
}

/// A text, borrowed where it needs no unescaping; numbers and booleans are spelt out.
pub(in crate::wire) struct Text<'a>(pub(in crate::wire) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl<'de> Visitor<'de> for Scalar {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(if value { "true" } else { "false" })))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed("")))
            }
        }
        d.deserialize_any(Scalar)
    }
}

/// A value as JSON has it: a number, or a text with a number in it, which is how NaN and the infinities travel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Of(f64),
    /// A text that is no number.
    Text,
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl Visitor<'_> for Scalar {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
                Ok(Number::Of(value as f64))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
                Ok(Number::Of(value as f64))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
                Ok(Number::Of(value))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Number, E> {
                Ok(Number::Of(f64::from(u8::from(value))))
            }
            fn visit_str<E>(self, text: &str) -> Result<Number, E> {
                Ok(parse(text).map_or(Number::Text, Number::Of))
            }
            fn visit_unit<E>(self) -> Result<Number, E> {
                Ok(Number::Text)
            }
        }
        d.deserialize_any(Scalar)
    }
}

/// A number as Go, protobuf's JSON and Prometheus write it.
pub(super) fn parse(text: &str) -> Option<f64> {
    // Rust reads "inf" and "infinity" in any case, with a sign, too. What has digits is out of range where it reads as that.
    text.trim().parse().ok().filter(|number: &f64| number.is_finite() || !text.contains(|c: char| c.is_ascii_digit()))
}

/// Reads a list element by element, or the one thing there is, without keeping it.
pub(super) fn each<'p, T: Deserialize<'p>>(payload: &'p [u8], take: impl FnMut(T)) -> Result<(), Reject> {
    if payload.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') { list(payload, take) } else { objects(payload, take) }
}

/// Reads objects that follow one another, as in NDJSON.
pub(super) fn objects<'p, T: Deserialize<'p>>(payload: &'p [u8], mut take: impl FnMut(T)) -> Result<(), Reject> {
    let mut found = false;
    for object in serde_json::Deserializer::from_slice(payload).into_iter::<T>() {
        take(object.map_err(|e| Reject::json(&e))?);
        found = true;
    }
    if found { Ok(()) } else { Err(Reject::new("not_json", "an empty record")) }
}

/// Reads a list element by element.
pub(super) fn list<'p, T: Deserialize<'p>>(payload: &'p [u8], take: impl FnMut(T)) -> Result<(), Reject> {
    struct Elements<T, F>(F, std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Elements<T, F> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }
        fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
            while let Some(element) = seq.next_element()? {
                (self.0)(element);
            }
            Ok(())
        }
        fn visit_unit<E: de::Error>(self) -> Result<(), E> {
            Ok(())
        }
    }
    let mut json = serde_json::Deserializer::from_slice(payload);
    json.deserialize_any(Elements(take, std::marker::PhantomData)).map_err(|e| Reject::json(&e))?;
    json.end().map_err(|e| Reject::json(&e))
}

/// A bucket's or quantile's bound as Prometheus writes it in a label.
pub(super) fn bound(text: &mut String, value: f64) -> &str {
    use fmt::Write as _;
    text.clear();
    if value == f64::INFINITY {
        text.push_str("+Inf");
    } else if value == f64::NEG_INFINITY {
        text.push_str("-Inf");
    } else {
        // A text can be written to.
        write!(text, "{value}").ok();
    }
    text
}

/// Decodes one record of a format for metrics.
///
/// # Errors
/// It is not of the format. What it held before that was found may have been taken.
pub fn decode(format: Format, payload: &[u8], context: &Context<'_>, scratch: &mut Scratch, sink: &mut dyn Sink) -> Result<(), Reject> {
    super::within_limits(payload)?;
    match format {
        Format::PrometheusKafkaAdapter => prometheus_kafka_adapter::decode(payload, context, scratch, sink),
        Format::OtlpProto => otlp_proto::decode(payload, context, scratch, sink),
        Format::OtlpJson => otlp_json::decode(payload, context, scratch, sink),
        Format::RemoteWrite => remote_write::decode(payload, context, scratch, sink),
        Format::Influx => influx::decode(payload, context, scratch, sink),
        Format::TelegrafJson => telegraf::decode(payload, context, scratch, sink),
        Format::NightingaleMetrics => nightingale::decode(payload, scratch, sink),
        Format::OpenFalcon => open_falcon::decode(payload, scratch, sink),
        Format::VectorJson => vector::decode(payload, context, scratch, sink),
        Format::VictoriametricsJson => victoriametrics::decode(payload, scratch, sink),
        Format::PrometheusText => text::decode(payload, context, scratch, sink),
        Format::Statsd => statsd::decode(payload, context, scratch, sink),
        Format::Metricbeat => metricbeat::decode(payload, scratch, sink),
        Format::ZabbixHistory => zabbix::decode(payload, scratch, sink),
        Format::PlainJson => plain_json::decode(payload, context, scratch, sink),
        Format::Auto
        | Format::AlertmanagerWebhook
        | Format::AlertmanagerApi
        | Format::AlertmanagerEvents
        | Format::AlertmanagerEventsProto
        | Format::Cdevents
        | Format::GithubDeploymentStatus
        | Format::KubernetesEvents
        | Format::Mapped => Err(Reject::new("unknown_shape", "JSON of no shape that is known; name the format")),
    }
}

/// The version that a record's header tells, four bytes, big end first, as Mimir's do.
#[must_use]
pub fn version(headers: &super::Headers<'_>) -> Option<u32> {
    super::header(headers, "Version").and_then(|value| Some(u32::from_be_bytes(value.try_into().ok()?)))
}

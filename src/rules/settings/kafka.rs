//! What may be said of Kafka.

use std::time::Duration;

use super::super::fault::{Fault, Place};
use super::Property;
use super::raw::{Kafka, SnapshotEvery};

/// Properties whose value is a secret and may not stand in the file.
const SECRETS: [&str; 6] = [
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
];

/// A replay reaches back to the snapshot before the newest: within the day that the internal topics keep at the least.
const SNAPSHOT_EVERY_MAX: Duration = Duration::from_secs(12 * 3600);

/// Properties that the promise of the daemon rests on, with the reason they are not for passing through.
const RESERVED: [(&str, &str); 13] = [
    ("message.timeout.ms", "records are never given up"),
    ("delivery.timeout.ms", "records are never given up"),
    ("partition.assignment.strategy", "partitions move one by one, cooperatively"),
    ("group.protocol", "partitions move by the classic protocol"),
    ("group.instance.id", "set kafka.instance"),
    ("transactional.id", "set kafka.instance"),
    ("isolation.level", "what was taken back must not be read"),
    ("enable.auto.commit", "offsets are committed after delivery"),
    ("enable.auto.offset.store", "offsets are committed after delivery"),
    ("enable.idempotence", "the producer is idempotent"),
    ("group.id", "set kafka.prefix"),
    ("bootstrap.servers", "set kafka.brokers"),
    ("metadata.broker.list", "set kafka.brokers"),
];

/// Every fault in what is said of Kafka.
pub(super) fn check(file: &str, kafka: &Kafka, faults: &mut Vec<Fault>) {
    if kafka.brokers.is_empty() {
        let place = Place { file: file.to_owned(), ..Place::default() };
        faults.push(Fault { place, message: "`kafka.brokers` names none; write at least one host:port".into() });
    }
    for broker in &kafka.brokers {
        let port = broker.value.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        if port.is_none_or(|(host, _)| host.is_empty()) {
            faults.push(broker.fault(file, format!("{:?} is not a broker; write host:port", broker.value)));
        }
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if kafka.prefix.value.is_empty() || !kafka.prefix.value.chars().all(legal) {
        faults.push(kafka.prefix.fault(file, format!("{:?} cannot start a topic's name; use letters, digits, . _ -", kafka.prefix.value)));
    }
    if !(1..=1024).contains(&kafka.partitions.value.samples) {
        faults.push(kafka.partitions.fault(file, "`partitions.samples` is from 1 to 1024"));
    }
    if let Some(instance) = kafka.instance.as_ref().filter(|i| i.value.is_empty() || i.value.len() > 200 || !i.value.chars().all(legal)) {
        faults.push(instance.fault(file, format!("{:?} cannot name an instance; use letters, digits, . _ -", instance.value)));
    }
    let milliseconds = |ms: u64| Duration::from_millis(ms);
    if !(milliseconds(1)..=milliseconds(5000)).contains(&kafka.commit_every.value.0) {
        faults.push(kafka.commit_every.fault(file, "the time between commits is from 1ms to 5s"));
    }
    let SnapshotEvery { min, max } = &kafka.snapshot_every.value;
    if min.0 > max.0 || max.0 > SNAPSHOT_EVERY_MAX || max.0.is_zero() {
        faults.push(kafka.snapshot_every.fault(file, "the time between snapshots is at most 12h, and `min` is not above `max`"));
    }
    if !(1..=15).contains(&kafka.replication_factor.value) {
        faults.push(kafka.replication_factor.fault(file, "a replication factor is from 1 to 15"));
    }
    check_mechanism(file, kafka, faults);
    for (name, value) in &kafka.properties {
        if SECRETS.contains(&name.as_str()) && matches!(value.value, Property::Inline(_)) {
            faults.push(value.fault(file, format!("`{name}` is a secret; give {{file: ...}} or {{env: ...}} instead")));
        }
        if let Some((_, why)) = RESERVED.iter().find(|(reserved, _)| reserved == name) {
            faults.push(value.fault(file, format!("`{name}` cannot be set: {why}")));
        }
        // The client would read 5s as five milliseconds.
        if let Property::Inline(text) = &value.value
            && name.ends_with(".ms")
            && !text.parse::<f64>().is_ok_and(f64::is_finite)
        {
            faults.push(value.fault(file, format!("`{name}` is a number of milliseconds, found {text:?}")));
        }
    }
}

/// How it proves who it is.
fn check_mechanism(file: &str, kafka: &Kafka, faults: &mut Vec<Fault>) {
    let mechanism = kafka.properties.iter().find(|(name, _)| matches!(name.as_str(), "sasl.mechanism" | "sasl.mechanisms"));
    let bearer = |value: &Property| matches!(value, Property::Inline(text) if text.eq_ignore_ascii_case("OAUTHBEARER"));
    let kerberos = |value: &Property| matches!(value, Property::Inline(text) if text.eq_ignore_ascii_case("GSSAPI"));
    let asked = |value: &Property| matches!(value, Property::Inline(text) if text.to_ascii_lowercase().starts_with("sasl_"));
    let unsaid = kafka.properties.get("security.protocol").filter(|protocol| asked(&protocol.value));
    let built_in = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER";
    match (&kafka.oauth_token_file, mechanism) {
        (Some(_), None) => {
            let place = Place { file: file.to_owned(), ..Place::default() };
            let message = "`kafka.oauth_token_file` is for the property `sasl.mechanism: OAUTHBEARER`, which is not set";
            faults.push(Fault { place, message: message.into() });
        }
        (Some(_), Some((name, value))) if matches!(value.value, Property::Inline(_)) && !bearer(&value.value) => {
            faults.push(value.fault(file, format!("`kafka.oauth_token_file` is for `{name}: OAUTHBEARER`")));
        }
        (None, Some((name, value))) if kerberos(&value.value) => {
            faults.push(value.fault(file, format!("`{name}: GSSAPI` is not built in; use {built_in}")));
        }
        (None, None) => faults.extend(unsaid.map(|protocol| {
            protocol.fault(file, format!("it needs a `sasl.mechanism`: {built_in}; without one it is GSSAPI, which is not built in"))
        })),
        (None, Some((name, value))) if bearer(&value.value) => {
            faults.push(value.fault(file, format!("`{name}: OAUTHBEARER` needs `kafka.oauth_token_file`")));
        }
        _ => {}
    }
}

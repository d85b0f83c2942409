//! Every sample of what others put on Kafka, decoded by the program to what a reader would expect.
//! `UPDATE_GOLDEN=1` writes what came out.

use std::fs;
use std::path::{Path, PathBuf};

use super::program::richter;

/// The format of samples that are no JSON of a shape with marks of its own; the rest is recognised.
const NAMED: [(&str, &str); 12] = [
    ("influx_line_protocol.lp", "influx"),
    ("mimir_record_v2.pb", "remote_write"),
    ("openmetrics.txt", "prometheus_text"),
    ("otlp_metrics.pb", "otlp_proto"),
    ("remote_write_v1.raw.pb", "remote_write"),
    ("remote_write_v1.snappy", "remote_write"),
    ("remote_write_v2.raw.pb", "remote_write"),
    ("remote_write_v2.snappy", "remote_write"),
    ("service_graph.prom", "prometheus_text"),
    ("statsd.txt", "statsd"),
    ("alertmanager_event_recorder_created.pb", "alertmanager_events_proto"),
    // With a field that is not known yet.
    ("alertmanager_event_recorder_newer.pb", "alertmanager_events_proto"),
];

/// One minute after what the samples tell of.
const APPENDED: &str = "2026-11-22T15:01:00Z";

fn samples(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(kind);
    let files = fs::read_dir(folder).expect("samples").map(|entry| entry.expect("a sample").path());
    let mut samples: Vec<PathBuf> = files.filter(|path| path.extension().is_none_or(|e| e != "expected")).collect();
    samples.sort();
    samples
}

fn decoded(kind: &str, path: &Path) -> String {
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let format = NAMED.iter().find(|(known, _)| *known == name).map_or("auto", |(_, format)| format);
    let file = path.to_string_lossy();
    let mut arguments = vec!["decode", "--kind", kind, "--format", format, "--appended", APPENDED];
    if name.starts_with("mimir") {
        arguments.extend(["--header", "Version=00000002"]);
    }
    if name.starts_with("telegraf_json_batch") {
        arguments.extend(["--timestamp-unit", "ms"]);
    }
    arguments.push(&file);
    let run = richter(&arguments);
    assert!(run.code.is_some_and(|code| code < 2), "{name}: {}", run.stderr);
    run.stdout
}

#[test]
fn every_sample_is_decoded_to_what_a_reader_would_expect() {
    let mut wrong = vec![];
    for kind in ["metrics", "alerts", "changes", "topology"] {
        for path in samples(kind) {
            let expected_path = PathBuf::from(format!("{}.expected", path.display()));
            let expected = fs::read_to_string(&expected_path).unwrap_or_default();
            let decoded = decoded(kind, &path);
            if decoded != expected || decoded.is_empty() {
                if std::env::var_os("UPDATE_GOLDEN").is_some() {
                    fs::write(&expected_path, &decoded).expect("writable");
                }
                wrong.push(format!("{}: expected\n{expected}got\n{decoded}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_alert_has_one_fingerprint_in_every_format() {
    let fingerprints: Vec<String> = samples("alerts")
        .iter()
        .filter(|path| path.to_string_lossy().contains("alertmanager") || path.to_string_lossy().contains("prometheus"))
        .flat_map(|path| decoded("alerts", path).lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.contains("\"cluster\":\"eu1\""))
        .map(|line| serde_json::from_str::<serde_json::Value>(&line).expect("JSON")["fingerprint"].as_str().expect("text").to_owned())
        .collect();
    assert!(fingerprints.len() >= 4 && fingerprints.iter().all(|f| f == "a2cbf957a626321b"), "{fingerprints:?}");
}

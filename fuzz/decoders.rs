//! Every decoder against whatever bytes there are. What is decoded goes on through the whole engine: no bytes may
//! panic, hang or take memory without limit, and a stage must be able to read what the one before it wrote.
//!
//! `fuzz/run SECONDS [TARGET…]`. A target is `KIND/FORMAT` as in the settings, `files/KIND` for a configuration file,
//! or `query`; the binary takes it from `RICHTER_FUZZ`, so that one build serves all.

#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use richter::engine::Pipeline;
use richter::model::{Origin, Timestamp};
use richter::query::Query;
use richter::rules::{Config, Files, Settings, check, settings};
use richter::stage::{Count, Record};
use richter::wire::recording;

/// One minute after what the samples tell of: 2026-11-22T15:01:00Z.
const APPENDED: Timestamp = Timestamp(1_795_359_660_000);

const MONITORS: &str = r#"
monitors:
  - { name: all, scenario: all, entity: "service={{ service }}", query: 'sum by (service) (rate({__name__=~".+"}[5m]))',
      judge: { static: { above: 1 }, baseline: { season: none, sensitivity: normal, direction: both } },
      fault: { sequence: P, ladder: [ { level: 1 } ] } }
  - { name: each, entity: "service={{ service }}", query: 'histogram_quantile(0.9, {__name__=~".+"}) or {__name__=~".+"}',
      judge: { static: { below: 1 } } }
  - { name: told, scenario: told, entity: "service={{ service }}", alerts: '{alertname=~".+"}',
      fault: { sequence: P, ladder: [ { level: 2 } ] } }
"#;

enum Target {
    /// Records of a source, all the way.
    Source(Arc<Config>, Arc<Settings>),
    /// A file of the configuration.
    File(fn(String) -> Files),
    Query,
    Recording,
}

fn target() -> &'static Target {
    static TARGET: OnceLock<Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("RICHTER_FUZZ").unwrap_or_else(|_| "metrics/auto".into());
        match name.split_once('/') {
            Some(("files", "topology")) => Target::File(|text| Files { topology: vec![("file.yaml".into(), text)], ..Files::default() }),
            Some(("files", "duty")) => Target::File(|text| Files { duty: vec![("file.yaml".into(), text)], ..Files::default() }),
            Some(("files", "suppress")) => Target::File(|text| Files { suppress: vec![("file.yaml".into(), text)], ..Files::default() }),
            Some(("files", "monitors")) => Target::File(|text| Files { monitors: vec![("file.yaml".into(), text)], ..Files::default() }),
            Some(("files", "levels")) => Target::File(|text| Files { levels: vec![("file.yaml".into(), text)], ..Files::default() }),
            Some((kind, format)) => source(kind, format),
            None if name == "query" => Target::Query,
            None if name == "recording" => Target::Recording,
            None => panic!("RICHTER_FUZZ={name}: expected KIND/FORMAT, files/KIND, query or recording"),
        }
    })
}

fn source(kind: &str, format: &str) -> Target {
    let text =
        format!("sources: [ {{ topic: t, kind: {kind}, format: {format} }} ]\nkafka: {{ partitions: {{ samples: 1 }} }}");
    let (settings, _, faults) = settings("fuzz", &text, &BTreeMap::new());
    assert_eq!(faults, []);
    let settings = Arc::new(settings.expect("settings"));
    let files = Files { monitors: vec![("m.yaml".into(), MONITORS.into())], ..Files::default() };
    let (config, faults) = Config::new(&files, settings.tuning.clone());
    assert_eq!(faults, []);
    Target::Source(Arc::new(config), settings)
}

/// Twice, so that what was learnt from the first meets the second; as Mimir's second version, and as a CloudEvent too.
fn records(config: &Arc<Config>, settings: &Arc<Settings>, payload: &[u8]) {
    let (mut pipeline, _) = Pipeline::new(config, settings, [Origin { topic: "t".into(), partition: 0 }]);
    let headers: [&[(&str, &[u8])]; 3] = [
        &[],
        &[("Version", &[0, 0, 0, 2])],
        &[("ce_specversion", b"1.0"), ("ce_type", b"dev.cdevents.service.deployed.0.2.0"), ("ce_id", b"1"), ("ce_source", b"/s")],
    ];
    for (offset, headers) in headers.into_iter().chain([&[][..]]).enumerate() {
        let timestamp = APPENDED + Duration::from_secs(60 * offset as u64);
        let out = pipeline.push(&Record { topic: "t", partition: 0, offset: offset as i64, timestamp, headers, payload });
        let internal = |count: &&Count| matches!(count, Count::DeadLetters(_, reason) if reason.starts_with("internal_"));
        assert_eq!(out.counts.keys().find(internal), None, "a stage cannot read what the one before it wrote");
    }
}

fuzz_target!(init: { target(); }, |data: &[u8]| {
    match target() {
        Target::Source(config, settings) => records(config, settings, data),
        Target::File(files) => {
            if let Ok(text) = str::from_utf8(data) {
                _ = check(&files(text.to_owned()));
            }
        }
        Target::Query => {
            if let Ok(text) = str::from_utf8(data) {
                _ = Query::plan(text, Duration::from_secs(30), Duration::from_secs(300));
            }
        }
        Target::Recording => {
            _ = recording::line(data);
        }
    }
});

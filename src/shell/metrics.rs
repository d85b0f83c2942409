//! What the daemon tells of itself: one struct on its own registry, names `richter_<noun>_<unit>`, bounded labels.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::core::Collector as _;
use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, process_collector::ProcessCollector,
};

use crate::model::labels::Fnv;
use crate::rules::{Config, Settings};
use crate::stage::{Count, Limit, Outbox, Outcome, Topic};

use super::daemon::STAGES;

/// All metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    records: IntCounterVec,
    dead_letters: IntCounterVec,
    samples: IntCounterVec,
    matched: IntCounter,
    losses: Losses,
    evaluations: IntCounter,
    signals: IntCounterVec,
    declarations: IntCounterVec,
    suppressed: IntCounterVec,
    ungraded: IntCounter,
    notifications: Notifications,
    pub(super) groups: IntGaugeVec,
    monitor_groups: IntGaugeVec,
    pub(super) situations: IntGaugeVec,
    incidents: IntGaugeVec,
    states: IntGaugeVec,
    watermark: GaugeVec,
    watermark_lag: GaugeVec,
    pub(super) consumer_lag: IntGaugeVec,
    pub(super) source_partitions: IntGaugeVec,
    stage_seconds: HistogramVec,
    produced: IntCounterVec,
    ready: IntGaugeVec,
    pub(super) kafka_errors: IntCounterVec,
    pub(super) rebalances: IntCounterVec,
    pub(super) blocked: IntCounterVec,
    pub(super) transactions: IntCounterVec,
    snapshots: Snapshots,
    recovery_seconds: GaugeVec,
    recovery_records: IntGaugeVec,
    configuration: Configuration,
}

/// What becomes of an event for a target.
const OUTCOMES: [&str; 4] = ["delivered", "retried", "dead_lettered", "not_routed"];

/// What was not taken in, and why.
#[derive(Debug)]
struct Losses {
    refused: IntCounterVec,
    skipped: IntCounterVec,
    gaps: IntCounterVec,
    lost: IntCounterVec,
    limited: IntCounterVec,
    unmatched: IntCounterVec,
}

impl Losses {
    fn new(make: &Maker) -> Result<Self, prometheus::Error> {
        Ok(Self {
            refused: make.counters(
                "richter_refused_parts_total",
                "Parts of records that could not be read, while the rest was.",
                &["topic", "reason"],
            )?,
            skipped: make.counters("richter_skipped_values_total", "Values that no number can be made of.", &["topic", "reason"])?,
            gaps: make.counters("richter_alert_gaps_total", "Alerts heard of in passing, whose own event never came.", &["topic"])?,
            lost: make.counters(
                "richter_lost_records_total",
                "Records that are lost, by topic: too large for Kafka, or removed by its retention before they were read.",
                &["topic"],
            )?,
            limited: make.counters(
                "richter_limited_total",
                "What a limit kept out: samples, series, groups, heartbeats, and incidents that are not declared.",
                &["monitor", "limit"],
            )?,
            unmatched: make.counters(
                "richter_evaluations_unmatched_total",
                "Evaluations without a result: the query's vectors do not match.",
                &["monitor"],
            )?,
        })
    }
}

/// What is kept of a stage's state.
#[derive(Debug)]
struct Snapshots {
    written: IntCounterVec,
    at: GaugeVec,
    bytes: IntGaugeVec,
    seconds: HistogramVec,
}

impl Snapshots {
    fn new(make: &Maker) -> Result<Self, prometheus::Error> {
        let labels = ["stage", "partition"];
        Ok(Self {
            written: make.counters("richter_snapshots_total", "Snapshots written.", &["stage"])?,
            at: make.floats("richter_snapshot_timestamp_seconds", "When the newest snapshot was whole.", &labels)?,
            bytes: make.gauges("richter_snapshot_bytes", "Size of the newest snapshot.", &labels)?,
            seconds: make.histograms("richter_snapshot_duration_seconds", "From a state to its bytes.", &["stage"])?,
        })
    }
}

/// What the targets are told.
#[derive(Debug)]
struct Notifications {
    events: IntCounterVec,
    age: GaugeVec,
}

impl Notifications {
    fn new(make: &Maker) -> Result<Self, prometheus::Error> {
        let events = "Events for the targets that are notified, by what became of them; a try that failed counts as retried.";
        let age = "How old the event is that a target is told of; 0 where none waits.";
        Ok(Self {
            events: make.counters("richter_notifications_total", events, &["target", "outcome"])?,
            age: make.floats("richter_notification_age_seconds", age, &["target"])?,
        })
    }
}

/// Which configuration is run and followed.
#[derive(Debug)]
struct Configuration {
    info: IntGaugeVec,
    followed: IntGaugeVec,
    reload_successful: IntGauge,
    reload_success_seconds: IntGauge,
    restart_required: IntGauge,
}

impl Configuration {
    fn new(make: &Maker) -> Result<Self, prometheus::Error> {
        let info = "Always 1; instances with different fingerprints run different configurations.";
        let followed = "Whether a partition follows this instance's configuration.";
        Ok(Self {
            info: make.gauges("richter_config_info", info, &["fingerprint"])?,
            followed: make.gauges("richter_config_followed", followed, &["stage", "partition"])?,
            reload_successful: make.gauge("richter_config_last_reload_successful", "Whether the last reload was taken.")?,
            reload_success_seconds: make.gauge("richter_config_last_reload_success_timestamp_seconds", "When one was taken last.")?,
            restart_required: make.gauge(
                "richter_config_restart_required",
                "Whether the files say something of kafka, sources, notify or http that is taken at the next start.",
            )?,
        })
    }
}

impl Metrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let make = Maker(Registry::new());
        make.0.register(Box::new(ProcessCollector::for_self()))?;
        let build = make.gauges("richter_build_info", "Always 1; the labels say what was built.", &["version", "librdkafka"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), &rdkafka::util::get_rdkafka_version().1]).set(1);
        let place = ["stage", "partition"];
        Ok(Self {
            records: make.counters("richter_records_total", "Records of the sources, by what became of them.", &["topic", "outcome"])?,
            dead_letters: make.counters(
                "richter_dead_letters_total",
                "Dead letters, by the topic of what could not be read, and why.",
                &["topic", "reason"],
            )?,
            samples: make.counters("richter_samples_total", "Samples in detection, by what became of them.", &["outcome"])?,
            matched: make.counter("richter_samples_matched_total", "Samples that a monitor wants; one for each monitor.")?,
            losses: Losses::new(&make)?,
            evaluations: make.counter("richter_evaluations_total", "Evaluations of a group at a step.")?,
            signals: make.counters("richter_signals_total", "Signals in correlation, by what became of them.", &["outcome"])?,
            declarations: make.counters("richter_declarations_total", "Events and answers to commands, by type.", &["type"])?,
            notifications: Notifications::new(&make)?,
            suppressed: make.counters(
                "richter_suppressed_total",
                "What made no fault although it could, by the kind of reason.",
                &["by"],
            )?,
            ungraded: make.counter(
                "richter_ungraded_alerts_total",
                "Alerts that no monitor and no generic definition is for: they make no fault by themselves.",
            )?,
            groups: make.gauges("richter_groups", "Groups under watch.", &["partition"])?,
            monitor_groups: make.gauges("richter_monitor_groups", "Groups under watch, of queries that do not filter.", &["monitor"])?,
            situations: make.gauges("richter_situations_open", "Situations that are open, declared or not.", &["partition"])?,
            incidents: make.gauges("richter_incidents_open", "Incidents that are declared and have not recovered.", &["level"])?,
            states: make.gauges("richter_incidents", "Incidents that are not closed, by state.", &["state"])?,
            watermark: make.floats("richter_watermark_timestamp_seconds", "The event time a stage has reached.", &place)?,
            watermark_lag: make.floats("richter_watermark_lag_seconds", "How far that is behind the clock.", &place)?,
            consumer_lag: make.gauges("richter_consumer_lag_records", "Records not yet consumed.", &["topic", "partition"])?,
            source_partitions: make.gauges("richter_source_partitions", "Partitions of a source; 0: it is not there.", &["topic"])?,
            stage_seconds: make.histograms(
                "richter_stage_duration_seconds",
                "A round: from records polled to what came of them, with the commit where one was due.",
                &["stage"],
            )?,
            produced: make.counters("richter_produced_records_total", "Records delivered, by topic.", &["topic"])?,
            ready: make.gauges("richter_ready", "Whether a stage has its partitions and has rebuilt them: 1, or 0.", &["stage"])?,
            kafka_errors: make.counters(
                "richter_kafka_errors_total",
                "Errors that Kafka clients told of, and transactions that failed.",
                &["stage"],
            )?,
            rebalances: make.counters("richter_rebalances_total", "Partitions assigned or revoked.", &["stage", "what"])?,
            blocked: make.counters(
                "richter_partition_blocked_total",
                "Times that a log went on but could not be read: a transaction was left open.",
                &["stage"],
            )?,
            transactions: make.counters("richter_transactions_total", "Transactions, by what became of them.", &["stage", "outcome"])?,
            snapshots: Snapshots::new(&make)?,
            recovery_seconds: make.floats(
                "richter_recovery_duration_seconds",
                "How long the log's replay took when a partition was taken over.",
                &place,
            )?,
            recovery_records: make.gauges("richter_recovery_records", "How many records were replayed then.", &place)?,
            configuration: Configuration::new(&make)?,
            registry: make.0,
        })
    }

    /// Performs what a stage wants counted.
    pub(super) fn count(&self, out: &Outbox) {
        for (count, number) in &out.counts {
            match count {
                Count::Records(topic, outcome) => self.records.with_label_values(&[topic.as_str(), outcome.as_str()]).inc_by(*number),
                Count::Samples(outcome) => self.samples.with_label_values(&[outcome.as_str()]).inc_by(*number),
                Count::Signals(outcome) => self.signals.with_label_values(&[outcome.as_str()]).inc_by(*number),
                Count::DeadLetters(topic, reason) => self.dead_letters.with_label_values(&[topic.as_str(), *reason]).inc_by(*number),
                Count::Refused(topic, reason) => self.losses.refused.with_label_values(&[topic.as_str(), *reason]).inc_by(*number),
                Count::Skipped(topic, reason) => self.losses.skipped.with_label_values(&[topic.as_str(), *reason]).inc_by(*number),
                Count::Gaps(topic) => self.losses.gaps.with_label_values(&[topic.as_str()]).inc_by(*number),
                Count::Limited(monitor, limit) => {
                    self.losses.limited.with_label_values(&[monitor.as_str(), limit.as_str()]).inc_by(*number)
                }
                Count::Unmatched(monitor) => self.losses.unmatched.with_label_values(&[monitor.as_str()]).inc_by(*number),
                Count::Matched => self.matched.inc_by(*number),
                Count::Evaluations => self.evaluations.inc_by(*number),
                Count::Ungraded(_) => self.ungraded.inc_by(*number),
                Count::Suppressed(by) => self.suppressed.with_label_values(&[*by]).inc_by(*number),
                Count::Declarations(kind) => self.declarations.with_label_values(&[*kind]).inc_by(*number),
            }
        }
    }

    pub(super) fn watermark(&self, stage: &str, partition: u32, at: crate::model::Timestamp) {
        let labels = [stage, &partition.to_string()];
        self.watermark.with_label_values(&labels).set(at.as_seconds());
        self.watermark_lag.with_label_values(&labels).set(super::kafka::now().as_seconds() - at.as_seconds());
    }

    /// A partition's newest snapshot is whole.
    pub(super) fn snapshot_written(&self, stage: &str, partition: u32) {
        self.snapshots.written.with_label_values(&[stage]).inc();
        self.snapshots.at.with_label_values(&[stage, &partition.to_string()]).set(super::kafka::now().as_seconds());
    }

    /// A record was delivered.
    pub(super) fn produced(&self, topic: Topic, settings: &Settings) {
        self.produced.with_label_values(&[&topic.name(&settings.prefix)]).inc();
    }

    /// The size of a partition's newest snapshot.
    pub(super) fn snapshot_is(&self, stage: &str, partition: u32, bytes: usize) {
        self.snapshots.bytes.with_label_values(&[stage, &partition.to_string()]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(super) fn snapshot_took(&self, stage: &str, took: Duration) {
        self.snapshots.seconds.with_label_values(&[stage]).observe(took.as_secs_f64());
    }

    /// A partition taken over has caught up.
    pub(super) fn recovered(&self, stage: &str, partition: u32, records: u64, took: Duration) {
        let labels = [stage, &partition.to_string()];
        self.recovery_seconds.with_label_values(&labels).set(took.as_secs_f64());
        self.recovery_records.with_label_values(&labels).set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// Counters that somebody is alerted on begin at 0: one that begins at 1 has not increased.
    pub(super) fn expects(&self, settings: &Settings) {
        for topic in Topic::ALL {
            self.losses.lost.with_label_values(&[&topic.name(&settings.prefix)]);
        }
        for source in &settings.sources {
            self.losses.gaps.with_label_values(&[&source.topic]);
            for outcome in [Outcome::Applied, Outcome::DeadLettered] {
                self.records.with_label_values(&[source.topic.as_str(), outcome.as_str()]);
            }
        }
        for stage in STAGES {
            self.blocked.with_label_values(&[stage]);
        }
        self.losses.limited.with_label_values(&["", Limit::Incidents.as_str()]);
        self.signals.with_label_values(&[Outcome::Limited.as_str()]);
        for target in &settings.notify {
            for outcome in OUTCOMES {
                self.notifications.events.with_label_values(&[target.name.as_str(), outcome]);
            }
        }
    }

    /// Which configuration this instance runs, its sources included.
    pub(super) fn runs(&self, config: &Config, settings: &Settings) {
        self.configuration.info.reset();
        self.configuration.info.with_label_values(&[&fingerprint(config, settings)]).set(1);
    }

    pub(super) fn follows(&self, stage: &str, partition: u32, ours: bool) {
        self.configuration.followed.with_label_values(&[stage, &partition.to_string()]).set(i64::from(ours));
    }

    /// So many records of a topic are lost: too large for Kafka, or gone before they were read.
    pub(super) fn lost(&self, topic: &str, records: u64) {
        self.losses.lost.with_label_values(&[topic]).inc_by(records);
    }

    pub(super) fn ready(&self, stage: &str, ready: bool) {
        self.ready.with_label_values(&[stage]).set(i64::from(ready));
    }

    /// Groups by monitor.
    pub(super) fn watched(&self, monitors: &BTreeMap<String, i64>) {
        set_all(&self.monitor_groups, monitors);
    }

    /// Incidents by level and by state.
    pub(super) fn open(&self, levels: &BTreeMap<String, i64>, states: &BTreeMap<String, i64>) {
        set_all(&self.incidents, levels);
        set_all(&self.states, states);
    }

    /// A partition that is no longer ours tells nothing.
    pub(super) fn forget(&self, stage: &str, topic: &str, partition: u32) {
        let partition = partition.to_string();
        let labels = [stage, partition.as_str()];
        // Removing what was never set is no error worth telling.
        self.watermark.remove_label_values(&labels).ok();
        self.watermark_lag.remove_label_values(&labels).ok();
        self.snapshots.at.remove_label_values(&labels).ok();
        self.snapshots.bytes.remove_label_values(&labels).ok();
        self.recovery_seconds.remove_label_values(&labels).ok();
        self.recovery_records.remove_label_values(&labels).ok();
        self.configuration.followed.remove_label_values(&labels).ok();
        self.consumer_lag.remove_label_values(&[topic, &partition]).ok();
        if stage == "detect" {
            self.groups.remove_label_values(&[&partition]).ok();
        } else if stage == "declare" {
            self.situations.remove_label_values(&[&partition]).ok();
        }
    }

    pub(super) fn took(&self, stage: &str, duration: Duration) {
        let histogram: Histogram = self.stage_seconds.with_label_values(&[stage]);
        histogram.observe(duration.as_secs_f64());
    }

    /// How old the event is that a target is told of.
    pub(super) fn notification_age(&self, target: &str, age: Duration) {
        self.notifications.age.with_label_values(&[target]).set(age.as_secs_f64());
    }

    /// What became of an event for a target.
    pub(super) fn notified(&self, target: &str, outcome: &str) {
        self.notifications.events.with_label_values(&[target, outcome]).inc();
    }

    /// Whether something of the configuration is taken at the next start only.
    pub(super) fn waits_for_restart(&self, waits: bool) {
        self.configuration.restart_required.set(i64::from(waits));
    }

    pub(super) fn reloaded(&self, taken: bool) {
        self.configuration.reload_successful.set(i64::from(taken));
        if taken {
            self.configuration.reload_success_seconds.set(super::kafka::now().0 / 1000);
        }
    }

    /// The text format, and its content type: Prometheus refuses a scrape without a valid one.
    pub(super) fn exposition(&self) -> Result<(String, Vec<u8>), prometheus::Error> {
        let encoder = TextEncoder::new();
        let mut text = vec![];
        encoder.encode(&self.registry.gather(), &mut text)?;
        Ok((encoder.format_type().to_owned(), text))
    }
}

struct Maker(Registry);

impl Maker {
    fn registered<C: prometheus::core::Collector + Clone + 'static>(&self, collector: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.registered(IntCounter::new(name, help)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.registered(IntGauge::new(name, help)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.registered(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.registered(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn floats(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, prometheus::Error> {
        self.registered(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str]) -> Result<HistogramVec, prometheus::Error> {
        let buckets = prometheus::exponential_buckets(0.001, 2.5, 12)?;
        self.registered(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels)?)
    }
}

/// Sets the gauge of each label's value, and removes those that are not there any more; whoever scrapes meanwhile misses none.
fn set_all(gauges: &IntGaugeVec, values: &BTreeMap<String, i64>) {
    for family in gauges.collect() {
        let labels = family.get_metric().iter().flat_map(|metric| metric.get_label());
        for gone in labels.map(|label| label.value()).filter(|label| !values.contains_key(*label)) {
            gauges.remove_label_values(&[gone]).ok();
        }
    }
    for (label, value) in values {
        gauges.with_label_values(&[label]).set(*value);
    }
}

/// By what a configuration is told from another one, its sources included.
pub(super) fn fingerprint(config: &Config, settings: &Settings) -> String {
    let shared = format!("{:?} {} {:?}", settings.sources, settings.prefix, settings.partitions);
    format!("{:016x}", Fnv::of(&[&config.fingerprint().to_be_bytes(), shared.as_bytes()]))
}

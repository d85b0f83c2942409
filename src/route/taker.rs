//! What becomes of the samples of a record: each goes to the monitors that want it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Call, Entity, Labels, Timestamp, Value, labels::METRIC_NAME};
use crate::rules::{Config, Topology};
use crate::stage::Outbox;
use crate::wire::metrics::Sink;
use crate::wire::{Reject, SeriesBuf};

use super::input::Input;
use super::limits::Refused;
use super::memo::{Destination, Known, Memo, Seen};

/// Bytes that the samples of one record may come to, with the labels of each: a histogram's are those of every bucket.
const SPREAD_BYTES_MAX: usize = 64 << 20;

/// The metric that says who calls whom, of Tempo's metrics generator and OpenTelemetry's service graph connector.
const CALLS: &str = "traces_service_graph_request_total";

/// Who is called by whom is told this often at the most.
const CALL_EVERY: Duration = Duration::from_secs(60);

/// What traces have for a caller that is none of ours.
const PSEUDO_CLIENT: &str = "user";

pub(super) struct Taker<'t> {
    pub(super) config: &'t Config,
    pub(super) memo: &'t mut Memo,
    pub(super) input: &'t mut Input,
    pub(super) last_batch: &'t mut u64,
    pub(super) partitions: u32,
    pub(super) appended: Timestamp,
    pub(super) out: &'t mut Outbox,
    pub(super) taken: Taken,
}

/// What came of a record.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Samples that were read.
    pub(super) taken: u64,
    /// Those that a monitor wants; one for each monitor.
    pub(super) matched: u64,
    pub(super) refused: Refused,
    pub(super) skipped: BTreeMap<&'static str, u64>,
    pub(super) calls: Vec<Call>,
    /// Bytes that were passed on.
    spread: usize,
}

impl Sink for Taker<'_> {
    fn knows(&mut self, series: &SeriesBuf) -> bool {
        self.memo.has(series.key())
    }

    fn sample(&mut self, series: &SeriesBuf, at: Timestamp, value: Value) {
        if at > self.appended + self.config.tuning.ahead_max {
            let detail = format!("timestamp: {at} is ahead of its record, appended at {}", self.appended);
            return self.refuse(Reject { reason: "timestamp_ahead", detail });
        }
        if self.taken.spread > SPREAD_BYTES_MAX {
            let detail = format!("its samples come to more than {SPREAD_BYTES_MAX} bytes with the labels of each; the others are not read");
            return self.refuse(Reject { reason: "too_large", detail });
        }
        self.taken.taken += 1;
        // Not beyond the record's own time: one clock that is fast makes nobody else late.
        self.input.progress = self.input.progress.max(at.min(self.appended));
        let (config, partitions) = (self.config, self.partitions);
        let Some(known) = self.memo.known(series, || found_out(&series.labels(), config, partitions)) else { return };
        for to in &mut known.destinations {
            self.taken.matched += 1;
            let full = self.input.add(to, &known.labels, at, &value, self.last_batch);
            self.taken.spread += full.iter().map(|message| message.payload.len()).sum::<usize>();
            self.out.messages.extend(full);
        }
        if let (Some(seen), Some(value)) = (&mut known.call, value.float()) {
            self.taken.calls.extend(seen.call(at, value));
        }
    }

    fn refuse(&mut self, reject: Reject) {
        self.taken.refused.add(reject);
    }

    fn skip(&mut self, reason: &'static str) {
        *self.taken.skipped.entry(reason).or_default() += 1;
    }
}

impl Seen {
    /// Told where the counter moved, but not more often than it needs to be.
    fn call(&mut self, at: Timestamp, value: f64) -> Option<Call> {
        if value.to_bits() == self.value.to_bits() || at.since(self.told_at) < CALL_EVERY {
            return None;
        }
        (self.value, self.told_at) = (value, at);
        Some(Call { client: self.client.clone(), server: self.server.clone(), at })
    }
}

/// Where a series goes: for each monitor that reads it, the partition of its cell.
fn found_out(series: &Labels, config: &Config, partitions: u32) -> Option<Known> {
    let wanted = config.rules.inputs().filter(|(_, watch)| watch.query.reads(series));
    let destinations = wanted.map(|(_, watch)| {
        let partition = watch.partition(&watch.query.key(series), partitions);
        Destination { monitor: watch.key, partition, batch: 0, place: 0 }
    });
    let destinations = destinations.collect();
    let known = Known { labels: series.clone(), destinations, call: calls(series, &config.rules.topology) };
    (!known.destinations.is_empty() || known.call.is_some()).then_some(known)
}

fn calls(series: &Labels, topology: &Topology) -> Option<Seen> {
    let (client, server) = (series.get("client"), series.get("server"));
    let told = series.get(METRIC_NAME) == CALLS && !client.is_empty() && !server.is_empty() && client != PSEUDO_CLIENT;
    let (client, server) = (told.then(|| side(series, "client", topology))??, side(series, "server", topology)?);
    (client != server).then_some(Seen { client, server, value: f64::NAN, told_at: Timestamp::MIN })
}

/// One side of a call, as a label `service` of its name would name it; with it the labels of that side (`client_cluster`), and those
/// of both.
fn side(series: &Labels, side: &str, topology: &Topology) -> Option<Entity> {
    let both = series.iter().filter(|(name, _)| !matches!(*name, METRIC_NAME | "client" | "server" | "service"));
    let own = series.iter().filter_map(|(name, value)| Some((name.strip_prefix(side)?.strip_prefix('_')?, value)));
    topology.service(series.get(side), &Labels::of(both.chain(own)))
}

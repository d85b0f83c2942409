//! Telling targets of events: each target has a consumer group of its own on the incidents topic, and a thread. An event is
//! tried until it is taken, or is a dead letter; only then its offset is committed. So each event is delivered at least
//! once, in order, and a target that is away holds back nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;
use tracing::{error, info, warn};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

use crate::declare::contract::Data;
use crate::model::Timestamp;
use crate::notify::{Addressed, Answer, Rate, answer, is_told, request};
use crate::rules::notify::Target;
use crate::rules::{Property, Settings};
use crate::stage::{Record, Topic};
use crate::wire::{Reject, dead_letter};

use super::kafka::{Follower, now, secret, send};
use super::metrics::Metrics;

/// Between two tries: at first, and at the most; each wait is twice as long as the one before.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// How long a poll waits for an event.
const IDLE: Duration = Duration::from_millis(500);

/// While it waits, it looks this often whether it is to stop.
const NAP: Duration = Duration::from_millis(100);

/// Of an answer no more is read.
const ANSWER_BYTES_MAX: u64 = 16 << 10;

/// One target's loop.
pub(super) struct Notifier {
    target: Target,
    url: String,
    secret: Option<String>,
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
    agent: Agent,
    stop: Arc<AtomicBool>,
    since: Instant,
    rate: Rate,
}

/// The daemon is to stop: what is under way is tried again after the next start.
struct Stopped;

impl Notifier {
    /// Reads the target's secrets.
    pub(super) fn new(target: &Target, settings: Arc<Settings>, metrics: Arc<Metrics>, stop: Arc<AtomicBool>) -> anyhow::Result<Self> {
        let read = |what: &str, property: &Property| secret(property).with_context(|| format!("{what} of the target {}", target.name));
        let url = read("url", &target.url)?;
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(anyhow!("the url of the target {} is none: it begins with neither https:// nor http://", target.name));
        }
        let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder().timeout_global(Some(target.timeout)).http_status_as_error(false).max_redirects(0);
        Ok(Self {
            url,
            secret: target.secret.as_ref().map(|property| read("secret", property)).transpose()?,
            target: target.clone(),
            settings,
            metrics,
            agent: config.tls_config(tls).user_agent("richter").build().into(),
            stop,
            since: Instant::now(),
            rate: Rate::new(target.rate),
        })
    }

    /// Tells the target of every event, until it is to stop.
    ///
    /// # Errors
    /// Kafka refuses what it must not refuse.
    pub(super) fn run(mut self) -> anyhow::Result<()> {
        let mut follower = Follower::new(&self.settings, &format!("notify.{}", self.target.name), Topic::Incidents)?;
        info!(target = self.target.name, kind = %self.target.kind, "notifying");
        while !self.stop.load(Ordering::Relaxed) {
            let Some(message) = follower.poll(IDLE)? else {
                self.metrics.notification_age(&self.target.name, Duration::ZERO);
                follower.find_back()?;
                continue;
            };
            match self.deliver(&message) {
                Ok(()) => follower.done(&message),
                Err(Stopped) => break,
            }
        }
        Ok(())
    }

    /// Delivers an event, or makes a dead letter of it.
    fn deliver(&mut self, message: &BorrowedMessage<'_>) -> Result<(), Stopped> {
        let data = match Data::of(message.payload().unwrap_or_default()) {
            Ok(Some(data)) => data,
            // What is about no incident is for who gave the command.
            Ok(None) => return Ok(()),
            Err(why) => return self.bury(message, "notification_unreadable", &format!("no event that can be read: {why}")),
        };
        if !is_told(&self.target, &data) {
            self.metrics.notified(&self.target.name, "not_routed");
            return Ok(());
        }
        let (begun, mut wait) = (Instant::now(), RETRY_MIN);
        let appended = Timestamp(message.timestamp().to_millis().unwrap_or(0));
        loop {
            self.keep_rate()?;
            self.metrics.notification_age(&self.target.name, now().since(appended));
            let (outcome, after) = self.try_once(&data);
            match outcome {
                Answer::Taken => {
                    self.metrics.notified(&self.target.name, "delivered");
                    return Ok(());
                }
                Answer::Later(why) if begun.elapsed() < self.target.give_up_after => {
                    self.metrics.notified(&self.target.name, "retried");
                    warn!(target = self.target.name, incident = data.incident.id, why, "a notification is tried again");
                    self.sleep(after.unwrap_or(wait).clamp(RETRY_MIN, RETRY_MAX))?;
                    wait = (wait * 2).min(RETRY_MAX);
                }
                Answer::Later(why) | Answer::Never(why) => {
                    let told = format!("it does not take {}.{}: {why}", data.incident.id, data.incident.sequence);
                    return self.bury(message, "notification_refused", &told);
                }
            }
        }
    }

    /// Tries once; gives when it wants to be tried again, where it says so.
    fn try_once(&self, data: &Data) -> (Answer, Option<Duration>) {
        let to = Addressed { target: &self.target, url: &self.url, secret: self.secret.as_deref() };
        let request = match request(&to, data, now()) {
            Ok(request) => request,
            Err(why) => return (Answer::Never(why), None),
        };
        let mut post = self.agent.post(&request.url).header("Content-Type", "application/json");
        for (name, value) in &request.headers {
            post = post.header(*name, value);
        }
        match post.send(request.body.as_str()) {
            // Its words may repeat the address, which may be a secret.
            Err(why) => (Answer::Later(why.to_string().replace(&self.url, "(its url)")), None),
            Ok(mut response) => {
                let after = response.headers().get("Retry-After").and_then(|value| value.to_str().ok()?.trim().parse().ok());
                let status = response.status().as_u16();
                let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().unwrap_or_default();
                (answer(self.target.kind, status, &body), after.map(Duration::from_secs))
            }
        }
    }

    /// Keeps an event that the target will never take, with the reason, where somebody can look at it.
    fn bury(&mut self, message: &BorrowedMessage<'_>, reason: &'static str, why: &str) -> Result<(), Stopped> {
        let record = Record {
            topic: message.topic(),
            partition: u32::try_from(message.partition()).unwrap_or(0),
            offset: message.offset(),
            timestamp: Timestamp(message.timestamp().to_millis().unwrap_or(0)),
            headers: &[],
            payload: message.payload().unwrap_or_default(),
        };
        let detail = format!("the target {}: {why}", self.target.name);
        let letter = dead_letter::letter(&record, &Reject { reason, detail });
        error!(target = self.target.name, why, "a notification is a dead letter");
        self.metrics.notified(&self.target.name, "dead_lettered");
        let topic = Topic::DeadLetter.name(&self.settings.prefix);
        while let Err(why) = send(&self.settings, &topic, &letter.key, &letter.payload) {
            warn!(error = format!("{why:#}"), "a dead letter is tried again");
            self.sleep(RETRY_MIN)?;
        }
        Ok(())
    }

    /// Waits until one more message in this minute is not too many.
    fn keep_rate(&mut self) -> Result<(), Stopped> {
        while let Err(wait) = self.rate.take(self.since.elapsed()) {
            self.sleep(wait)?;
        }
        Ok(())
    }

    fn sleep(&self, long: Duration) -> Result<(), Stopped> {
        let until = Instant::now() + long;
        while Instant::now() < until {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Stopped);
            }
            std::thread::sleep(NAP.min(until.saturating_duration_since(Instant::now())));
        }
        Ok(())
    }
}

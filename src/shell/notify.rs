//! Telling targets of events: each target has a consumer group of its own on the incidents topic, and a thread. An event is
//! tried until it is taken, or is a dead letter; only then its offset is committed. So each event is delivered at least
//! once, those of an incident in order. A target that is away holds back nobody else, and an event that a target fails on
//! holds back none but those of its incident.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use rdkafka::Message as _;
use rdkafka::message::OwnedMessage;
use tracing::{error, info, warn};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

use crate::contract::Data;
use crate::model::Timestamp;
use crate::notify::{Addressed, Answer, Rate, answer, is_told, request};
use crate::rules::notify::Target;
use crate::rules::{Property, Settings};
use crate::stage::{Record, Topic};
use crate::wire::{Reject, dead_letter};

use super::kafka::{Follower, Grumbles, Whose, now, secret, send};
use super::metrics::Metrics;

/// Between two tries: at first, and at the most; each wait is twice as long as the one before.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// How long a poll waits for an event.
const IDLE: Duration = Duration::from_millis(500);

/// While it waits, it looks this often whether it is to stop.
const NAP: Duration = Duration::from_millis(100);

/// So many events, of so many bytes, wait for others of their incident; beyond it no more are read.
const WAITING_MAX: usize = 1000;
const WAITING_BYTES_MAX: usize = 32 << 20;

/// Of an answer no more is read.
const ANSWER_BYTES_MAX: u64 = 16 << 10;

/// A part of an address that is as long may be a secret.
const SECRET_MIN: usize = 6;

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
    /// By incident, in order: the first has failed.
    waiting: BTreeMap<String, VecDeque<Task>>,
    grumbles: Grumbles,
    /// Since when it takes nothing.
    refuses: Option<Instant>,
}

/// An event that the target is to be told of.
struct Task {
    data: Data,
    message: OwnedMessage,
    begun: Instant,
    /// When it is tried again, and how long that was put off.
    due: Instant,
    wait: Duration,
}

impl Task {
    fn appended(&self) -> Timestamp {
        Timestamp(self.message.timestamp().to_millis().unwrap_or(0))
    }
}

/// What became of a task.
enum Delivery {
    /// It is done with.
    Done,
    /// It failed, and is tried again.
    Failed,
    /// Somebody else has told of it.
    DoneElsewhere,
    /// Its partition is somebody else's by now, who tells of it.
    Lost(i32),
}

/// The daemon is to stop: what is under way is tried again after the next start.
#[derive(Debug, thiserror::Error)]
#[error("told to stop")]
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
            waiting: BTreeMap::new(),
            grumbles: Grumbles::default(),
            refuses: None,
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
            match self.go_on(&mut follower) {
                Err(why) if !why.is::<Stopped>() => return Err(why),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Tries again what is due, and takes the next event.
    fn go_on(&mut self, follower: &mut Follower) -> anyhow::Result<()> {
        self.retry(follower)?;
        let waiting = || self.waiting.values().flatten();
        let bytes: usize = waiting().map(|task| task.message.payload().map_or(0, <[u8]>::len)).sum();
        if bytes >= WAITING_BYTES_MAX || waiting().count() >= WAITING_MAX || follower.is_full() {
            return Ok(self.sleep(IDLE)?);
        }
        let Some(message) = follower.poll(IDLE)? else {
            let oldest = waiting().map(Task::appended).min();
            self.metrics.notification_age(&self.target.name, oldest.map_or(Duration::ZERO, |oldest| now().since(oldest)));
            return follower.find_back();
        };
        Ok(self.take(message, follower)?)
    }

    /// Delivers an event, or has it wait, or makes a dead letter of it.
    fn take(&mut self, message: OwnedMessage, follower: &mut Follower) -> Result<(), Stopped> {
        let data = match Data::of(message.payload().unwrap_or_default()) {
            Ok(Some(data)) if is_told(&self.target, &data) => data,
            Ok(told) => {
                // What is about no incident is for who gave the command.
                if told.is_some() {
                    self.metrics.notified(&self.target.name, "not_routed");
                }
                follower.done(&message);
                return Ok(());
            }
            Err(why) => {
                self.bury(&message, "notification_unreadable", &format!("no event that can be read: {why}"))?;
                follower.done(&message);
                return Ok(());
            }
        };
        let now = Instant::now();
        let task = Task { data, message, begun: now, due: now, wait: RETRY_MIN };
        self.waiting.entry(task.data.incident.id.clone()).or_default().push_back(task);
        self.retry(follower)
    }

    /// Tries the first of each incident that is due, and those after it, until one fails.
    fn retry(&mut self, follower: &mut Follower) -> Result<(), Stopped> {
        let is_due = |queue: &VecDeque<Task>| queue.front().is_some_and(|task| task.due <= Instant::now());
        let due: Vec<String> = self.waiting.iter().filter(|(_, queue)| is_due(queue)).map(|(incident, _)| incident.clone()).collect();
        for incident in due {
            let mut queue = self.waiting.remove(&incident).unwrap_or_default();
            while let Some(task) = queue.front_mut() {
                match self.deliver(task, follower)? {
                    Delivery::Done => follower.done(&task.message),
                    Delivery::DoneElsewhere => {}
                    Delivery::Failed => break,
                    Delivery::Lost(partition) => {
                        warn!(target = self.target.name, partition, "others tell of it from here on");
                        let ours = |task: &Task| task.message.partition() != partition;
                        queue.retain(ours);
                        self.waiting.values_mut().for_each(|queue| queue.retain(ours));
                        self.waiting.retain(|_, queue| !queue.is_empty());
                        follower.forget(partition);
                        continue;
                    }
                }
                queue.pop_front();
            }
            if !queue.is_empty() {
                self.waiting.insert(incident, queue);
            }
        }
        Ok(())
    }

    /// Delivers an event, or makes a dead letter of it, unless the target fails on it and may take others.
    fn deliver(&mut self, task: &mut Task, follower: &mut Follower) -> Result<Delivery, Stopped> {
        let incident = &task.data.incident;
        loop {
            self.keep_rate()?;
            self.metrics.notification_age(&self.target.name, now().since(task.appended()));
            match follower.whose(&task.message) {
                Whose::Ours => {}
                Whose::Done => return Ok(Delivery::DoneElsewhere),
                Whose::Theirs => return Ok(Delivery::Lost(task.message.partition())),
                Whose::Open => {
                    task.due = Instant::now() + RETRY_MIN;
                    return Ok(Delivery::Failed);
                }
            }
            let (outcome, after) = self.try_once(&task.data);
            let (why, alone) = match outcome {
                Answer::Taken => {
                    if let Some(since) = self.refuses.take() {
                        info!(target = self.target.name, after = ?since.elapsed(), "notifications are taken again");
                    }
                    self.metrics.notified(&self.target.name, "delivered");
                    return Ok(Delivery::Done);
                }
                Answer::Later(why) if task.begun.elapsed() < self.target.give_up_after => (why, false),
                Answer::Failed(why) if task.begun.elapsed() < self.target.give_up_after => (why, true),
                Answer::Later(why) | Answer::Failed(why) | Answer::Never(why) => {
                    let told = format!("it does not take {}.{}: {why}", incident.id, incident.sequence);
                    self.refuses = None;
                    self.bury(&task.message, "notification_refused", &told)?;
                    return Ok(Delivery::Done);
                }
            };
            self.metrics.notified(&self.target.name, "retried");
            // What fails alone says nothing of the target.
            let since = if alone { task.begun } else { *self.refuses.get_or_insert_with(Instant::now) }.elapsed().as_secs();
            if self.grumbles.are_due() {
                let (incident, event) = (&incident.id, incident.sequence);
                warn!(
                    target = self.target.name,
                    incident,
                    event,
                    failing_seconds = since,
                    why,
                    "a notification is tried again, as may be others"
                );
            }
            let wait = after.unwrap_or(task.wait).clamp(RETRY_MIN, RETRY_MAX);
            task.wait = (task.wait * 2).min(RETRY_MAX);
            if alone {
                task.due = Instant::now() + wait;
                return Ok(Delivery::Failed);
            }
            self.sleep(wait)?;
        }
    }

    /// What it says without the parts of its address that may be secret, and the secret, which it may repeat.
    fn redacted(&self, text: &str) -> String {
        let parts = self.url.split(['/', '?', '&', '=']).skip(3).chain(self.secret.as_deref()).filter(|part| part.len() >= SECRET_MIN);
        parts.fold(text.replace(&self.url, "(its url)"), |text, part| text.replace(part, "…"))
    }

    /// Tries once; gives when it wants to be tried again, where it says so.
    fn try_once(&self, data: &Data) -> (Answer, Option<Duration>) {
        let to = Addressed { target: &self.target, url: &self.url, secret: self.secret.as_deref() };
        let request = request(&to, data, now());
        let mut post = self.agent.post(&request.url).header("Content-Type", "application/json");
        for (name, value) in &request.headers {
            post = post.header(*name, value);
        }
        match post.send(request.body.as_str()) {
            Err(why) => (Answer::Later(self.redacted(&why.to_string())), None),
            Ok(mut response) => {
                let after = response.headers().get("Retry-After").and_then(|value| value.to_str().ok()?.trim().parse().ok());
                let status = response.status().as_u16();
                let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().unwrap_or_default();
                (answer(self.target.kind, status, &self.redacted(&body)), after.map(Duration::from_secs))
            }
        }
    }

    /// Keeps an event that the target will never take, with the reason, where somebody can look at it.
    fn bury(&self, message: &OwnedMessage, reason: &'static str, why: &str) -> Result<(), Stopped> {
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

//! The daemon: starts the workers, serves HTTP, takes signals, reloads, drains.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, anyhow};
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::files::{Loaded, load};
use super::http::{ReloadRequest, Served, router, serve};
use super::kafka::{Control, NotReady, Router, Worker, begin_at_end, client_config, prepare};
use super::metrics::{Metrics, fingerprint};
use super::notify::Notifier;
use crate::declare::Declare;
use crate::detect::Detect;
use crate::route::Route;
use crate::rules::{Config, Input, Settings};
use crate::stage::Topic;

/// Between two tries to reach the brokers at the start.
const RETRY: Duration = Duration::from_secs(1);

/// Runs until a signal or a worker ends it.
///
/// # Errors
/// What stopped it.
pub fn run(path: &Path, loaded: Loaded) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(Daemon::new(path, loaded)?.run());
    // What still waits for brokers that do not answer is waited for no longer.
    runtime.shutdown_background();
    outcome
}

struct Daemon {
    path: PathBuf,
    loaded: Loaded,
    metrics: Arc<Metrics>,
    stop: Arc<AtomicBool>,
    controls: Vec<Sender<Control>>,
    /// The fingerprint of the sources that there were at the start.
    sources: u64,
    /// Why nothing has begun yet.
    waits: Arc<Mutex<Option<String>>>,
}

/// The stages in the order they are started: who receives before who sends.
pub(super) const STAGES: [&str; 3] = ["declare", "detect", "route"];

/// Whether a worker is ready, by its name.
type Ready = (&'static str, Arc<AtomicBool>);

/// How a worker ended.
type Ended = (String, anyhow::Result<()>);

impl Daemon {
    fn new(path: &Path, loaded: Loaded) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new()?);
        metrics.reloaded(true);
        metrics.runs(&loaded.config, &loaded.settings);
        metrics.expects(&loaded.settings);
        STAGES.iter().for_each(|stage| metrics.ready(stage, false));
        Ok(Self { path: path.to_owned(), loaded, metrics, stop: Arc::default(), controls: vec![], sources: 0, waits: Arc::default() })
    }

    async fn run(mut self) -> anyhow::Result<()> {
        let listen = self.loaded.settings.listen;
        let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        let ready: Vec<Ready> = STAGES.map(|name| (name, Arc::default())).into();
        let (reloads, mut wished) = mpsc::channel(8);
        let served = Served { metrics: self.metrics.clone(), ready: ready.clone(), reloads, waits: self.waits.clone() };
        let http = tokio::spawn(serve(listener, router(served)));
        info!(%listen, "serving /metrics, /-/healthy, /-/ready, /-/reload");

        let mut signals = Signals::new()?;
        let outcome = match self.prepared(&mut signals, &mut wished).await {
            Ok(Some(sources)) => {
                self.sources = sources;
                self.work(&ready, &mut signals, &mut wished).await
            }
            Ok(None) => Ok(()),
            Err(why) => Err(why),
        };
        http.abort();
        outcome
    }

    /// Waits for the brokers and makes the topics; gives the sources' fingerprint, or none where it is told to stop meanwhile.
    async fn prepared(&mut self, signals: &mut Signals, wished: &mut mpsc::Receiver<ReloadRequest>) -> anyhow::Result<Option<u64>> {
        loop {
            let (base, settings) = (client_config(&self.loaded.settings)?, self.loaded.settings.clone());
            let mut attempt = tokio::task::spawn_blocking(move || prepare(&base, &settings));
            let result = loop {
                tokio::select! {
                    result = &mut attempt => break result?,
                    wish = signals.next() => match wish {
                        Wish::Stop => return Ok(None),
                        Wish::Reload => drop(self.reload()),
                    },
                    Some(answer) = wished.recv() => drop(answer.send(self.reload())),
                }
            };
            match result {
                Ok(sources) => {
                    self.waits_for(None);
                    return Ok(Some(sources));
                }
                Err(NotReady::Wrong(why)) => return Err(why),
                Err(NotReady::Unreachable(why)) => {
                    warn!(error = format!("{why:#}"), "waiting for kafka");
                    self.waits_for(Some(format!("{why:#}")));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                wish = signals.next() => match wish {
                    Wish::Stop => return Ok(None),
                    Wish::Reload => drop(self.reload()),
                },
            }
        }
    }

    fn waits_for(&self, what: Option<String>) {
        if let Ok(mut waits) = self.waits.lock() {
            *waits = what;
        }
    }

    async fn work(&mut self, ready: &[Ready], signals: &mut Signals, wished: &mut mpsc::Receiver<ReloadRequest>) -> anyhow::Result<()> {
        let (ended, mut endings) = mpsc::channel::<Ended>(3 + self.loaded.settings.notify.len());
        // Before the stages: what they say first is told too.
        self.notify(&ended)?;
        self.start(ready, &ended)?;
        drop(ended);
        tell_systemd(&[NotifyState::Ready]);
        info!(brokers = ?self.loaded.settings.brokers, monitors = self.loaded.config.rules.monitors.len(), "running");
        say_notes(&self.loaded);
        let mut heartbeat = tokio::time::interval(sd_notify::watchdog_enabled().map_or(Duration::from_secs(3600), |limit| limit / 2));
        let mut outcome = Ok(());
        loop {
            tokio::select! {
                wish = signals.next() => match wish {
                    Wish::Stop => break,
                    Wish::Reload => drop(self.reload()),
                },
                Some(answer) = wished.recv() => drop(answer.send(self.reload())),
                Some((name, result)) = endings.recv() => {
                    outcome = Err(result.err().unwrap_or_else(|| anyhow!("the {name} worker ended by itself")));
                    break;
                }
                _ = heartbeat.tick() => tell_systemd(&[NotifyState::Watchdog]),
            }
        }
        tell_systemd(&[NotifyState::Stopping]);
        info!("stopping: delivering and committing what is under way");
        self.stop.store(true, Ordering::Relaxed);
        loop {
            tokio::select! {
                ended = endings.recv() => match ended {
                    Some((name, Err(why))) => error!(stage = name, error = format!("{why:#}"), "worker failed"),
                    Some((_, Ok(()))) => {}
                    None => return outcome,
                },
                wish = signals.next() => if let Wish::Stop = wish {
                    let twice = anyhow!("told to stop while stopping; what was not committed is made again after a restart");
                    return outcome.and(Err(twice));
                },
            }
        }
    }

    fn start(&mut self, ready: &[Ready], ended: &mpsc::Sender<Ended>) -> anyhow::Result<()> {
        let Loaded { settings, config } = self.loaded.clone();
        let base = client_config(&settings)?;
        info!(instance = base.instance, fingerprint = fingerprint(&config, &settings), "joining");
        for (name, ready) in ready {
            let (control, controls) = std::sync::mpsc::channel();
            self.controls.push(control);
            let (config, settings, metrics) = (config.clone(), settings.clone(), self.metrics.clone());
            let (stop, ready) = (self.stop.clone(), ready.clone());
            let work: Work = match *name {
                "declare" => {
                    let worker = Worker::<Declare>::new(config, &base, settings, metrics, controls, stop, ready)?;
                    Box::new(|| worker.run())
                }
                "detect" => {
                    let worker = Worker::<Detect>::new(config, &base, settings, metrics, controls, stop, ready)?;
                    Box::new(|| worker.run())
                }
                _ => {
                    let route = Route::new(config, settings.clone());
                    let router = Router::new(route, &base.of_sources(self.sources), settings, metrics, controls, stop, ready)?;
                    Box::new(|| router.run())
                }
            };
            spawn((*name).to_owned(), ended.clone(), work)?;
        }
        Ok(())
    }

    /// Starts a thread for each target that is notified.
    fn notify(&self, ended: &mpsc::Sender<Ended>) -> anyhow::Result<()> {
        let settings = &self.loaded.settings;
        for target in &settings.notify {
            begin_at_end(settings, &format!("notify.{}", target.name), Topic::Incidents)?;
            let notifier = Notifier::new(target, settings.clone(), self.metrics.clone(), self.stop.clone())?;
            spawn(format!("notify.{}", target.name), ended.clone(), Box::new(|| notifier.run()))?;
        }
        Ok(())
    }

    /// Takes a new configuration if it is without fault; the old one stays otherwise.
    fn reload(&mut self) -> Result<String, String> {
        let had = self.loaded.config.rules.monitors.len();
        let loaded = match load(&self.path) {
            Ok(Ok(loaded)) if had > 0 && loaded.config.rules.monitors.is_empty() => {
                Err(format!("there is no monitor left of {had}: were the files written whole? A restart takes them as they are\n"))
            }
            Ok(Ok(loaded)) => Ok(loaded),
            Ok(Err(faults)) => Err(faults.iter().map(|fault| format!("{fault}\n")).collect()),
            Err(why) => Err(format!("{why:#}\n")),
        };
        let new = match loaded {
            Ok(new) => new,
            Err(why) => {
                self.metrics.reloaded(false);
                for fault in why.lines() {
                    error!(fault, "reload refused; the old configuration stays");
                }
                return Err(why);
            }
        };
        self.note_removed(&new.config);
        say_notes(&new);
        self.loaded.config = new.config;
        self.metrics.runs(&self.loaded.config, &self.loaded.settings);
        for control in &self.controls {
            // A worker that has ended is noticed by its ending.
            control.send(Control::Follow(self.loaded.config.clone())).ok();
        }
        self.metrics.reloaded(true);
        info!(monitors = self.loaded.config.rules.monitors.len(), "reloaded");
        let tuned = Settings { tuning: new.settings.tuning.clone(), ..(*self.loaded.settings).clone() };
        self.metrics.waits_for_restart(*new.settings != tuned);
        if *new.settings == tuned {
            return Ok("reloaded\n".into());
        }
        warn!(
            "`kafka`, `sources`, `notify` or `http` of richter.yaml have changed: they are taken at the next start, the rest is taken now"
        );
        Ok("reloaded; changes to kafka, sources, notify or http are taken at the next start\n".into())
    }

    fn note_removed(&self, new: &Config) {
        for monitor in &self.loaded.config.rules.monitors {
            let Some(after) = new.rules.monitor(&monitor.name) else {
                warn!(monitor = monitor.name, "removed; what it has open ends in an hour, unless it comes back");
                continue;
            };
            if let (Input::Watch(old), Input::Watch(new)) = (&monitor.input, &after.input)
                && old.query.key_scope() != new.query.key_scope()
            {
                warn!(monitor = monitor.name, "its groups have changed; a breach open in a group that is no more stays open");
            }
        }
    }
}

/// What should be looked at in a configuration, as `check` says it.
fn say_notes(loaded: &Loaded) {
    for note in &loaded.config.rules.notes {
        warn!(%note, "configuration");
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hangup.recv() => Wish::Reload,
        }
    }
}

type Work = Box<dyn FnOnce() -> anyhow::Result<()> + Send>;

fn spawn(name: String, ended: mpsc::Sender<Ended>, work: Work) -> anyhow::Result<()> {
    std::thread::Builder::new().name(name.clone()).spawn(move || {
        // A panic must end the daemon, not leave it alive without a stage.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        let result = result.unwrap_or_else(|_| Err(anyhow!("the {name} worker panicked")));
        ended.blocking_send((name, result)).ok()
    })?;
    Ok(())
}

/// What a signal wishes.
enum Wish {
    Stop,
    Reload,
}

fn tell_systemd(state: &[NotifyState<'_>]) {
    if let Err(why) = sd_notify::notify(state) {
        warn!(error = %why, "cannot tell systemd");
    }
}

//! What the daemon serves: `/metrics`, health, readiness and the reload.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::metrics::Metrics;

/// Connections at a time; beyond it one waits. Files and the brokers need descriptors as well.
const CONNECTIONS_MAX: usize = 128;

/// Within this time a request has been told whole: an idle connection is closed, and so is one that drips.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);

/// A connection lasts no longer, whoever does not read what it is answered.
const CONNECTION_MAX: Duration = Duration::from_secs(600);

/// All lines of a request's head together.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// After an error of the listener, as where there are no more descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// A wish to reload; the answer says why it was refused.
pub(super) type ReloadRequest = oneshot::Sender<Result<String, String>>;

/// What the handlers need.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) metrics: Arc<Metrics>,
    /// Of each worker, by its name.
    pub(super) ready: Vec<(&'static str, Arc<AtomicBool>)>,
    pub(super) reloads: mpsc::Sender<ReloadRequest>,
    /// Why nothing has begun yet.
    pub(super) waits: Arc<Mutex<Option<String>>>,
}

pub(super) fn router(served: Served) -> Router {
    Router::new()
        .route("/", get(|| async { "richter: /metrics, /-/healthy, /-/ready, POST /-/reload\n" }))
        .route("/metrics", get(metrics))
        .route("/-/healthy", get(healthy))
        .route("/healthz", get(healthy))
        .route("/livez", get(healthy))
        .route("/-/ready", get(ready))
        .route("/readyz", get(ready))
        .route("/-/reload", post(reload).put(reload))
        .with_state(served)
}

/// Serves within these limits, for ever.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(REQUEST_WITHIN).max_buf_size(HEAD_BYTES_MAX);
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else { return };
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let connection = http.serve_connection(TokioIo::new(socket), TowerToHyperService::new(router.clone()));
        tokio::spawn(async move {
            // How it ended is its other end's business.
            let _ended = timeout(CONNECTION_MAX, connection).await;
            drop(permit);
        });
    }
}

async fn metrics(State(served): State<Served>) -> Response {
    match served.metrics.exposition() {
        Ok((content_type, text)) => ([(header::CONTENT_TYPE, content_type)], text).into_response(),
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")).into_response(),
    }
}

/// Alive means: it answers. A broker that is away is no reason to be killed.
async fn healthy() -> &'static str {
    "healthy\n"
}

/// Ready: every stage has its partitions, and has rebuilt them.
async fn ready(State(served): State<Served>) -> (StatusCode, String) {
    let waiting: Vec<&str> = served.ready.iter().filter(|(_, ready)| !ready.load(Ordering::Relaxed)).map(|(name, _)| *name).collect();
    if let Ok(Some(why)) = served.waits.lock().as_deref() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("not ready, waiting for kafka: {why}\n"));
    }
    if waiting.is_empty() {
        (StatusCode::OK, "ready\n".into())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not ready, no partitions yet or still rebuilding: {}\n", waiting.join(", ")))
    }
}

/// A reload, but not by a page that some browser shows: those say where they come from.
async fn reload(State(served): State<Served>, headers: HeaderMap) -> (StatusCode, String) {
    if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
        return (StatusCode::FORBIDDEN, "not from a browser\n".into());
    }
    let (answer, answered) = oneshot::channel();
    if served.reloads.send(answer).await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".into());
    }
    match answered.await {
        Ok(Ok(text)) => (StatusCode::OK, text),
        Ok(Err(why)) => (StatusCode::BAD_REQUEST, why),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".into()),
    }
}

//! What the daemon serves: `/metrics`, health, readiness and the reload.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::{mpsc, oneshot};

use super::metrics::Metrics;

/// A wish to reload; the answer says why it was refused.
pub(super) type ReloadRequest = oneshot::Sender<Result<String, String>>;

/// What the handlers need.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) metrics: Arc<Metrics>,
    /// Of each worker, by its name.
    pub(super) ready: Vec<(&'static str, Arc<AtomicBool>)>,
    pub(super) reloads: mpsc::Sender<ReloadRequest>,
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

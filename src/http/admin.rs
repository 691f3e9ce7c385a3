//! The admin listener: health, readiness, version and metrics. It holds no secret, and is on loopback by default.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Serialize;
use serde_json::json;
use tower::Service;

use super::Readiness;
use super::server::{Answers, Peer};
use crate::telemetry::Metrics;

/// What this process is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Build {
    pub(crate) version: &'static str,
    /// SHA-256 of the merged configuration without its secrets: equal on replicas that are configured alike.
    pub(crate) config_hash: String,
}

#[derive(Debug)]
struct Admin {
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    build: Build,
}

pub(crate) fn admin_router(
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    build: Build,
) -> Router {
    Router::new()
        .route("/healthz", get(async || Json(json!({"Status": "alive"}))))
        .route("/readyz", get(readyz))
        .route("/version", get(async |State(admin): State<Arc<Admin>>| Json(admin.build.clone())))
        .route("/metrics", get(metrics_text))
        .with_state(Arc::new(Admin { readiness, metrics, build }))
}

impl Answers for Router {
    async fn answer(&self, request: Request, _: Peer) -> Response {
        match self.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    match admin.readiness.obstacle() {
        None => match admin.readiness.details().as_slice() {
            [] => Json(json!({"Status": "ready"})).into_response(),
            details => Json(json!({"Status": "ready", "Details": details})).into_response(),
        },
        Some(obstacle) => {
            let body = json!({"Status": "not ready", "Reason": obstacle});
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

async fn metrics_text(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    admin.metrics.ready(admin.readiness.obstacle().is_none());
    admin.readiness.measure();
    // The media type of the OpenMetrics text format, which `prometheus-client` writes.
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, media_type)], admin.metrics.encoded())
}

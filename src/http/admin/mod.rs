//! The admin listener: health, readiness, version and metrics. It holds no secret, and is on loopback by default.

pub(super) mod active_config;
pub(super) mod readiness;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::json;
use tower::Service;

use self::active_config::ActiveConfig;
use self::readiness::Readiness;
use crate::server::{ConnectionHandler, FramingError, Peer};
use crate::telemetry::{Metrics, MetricsFormat};

#[derive(Debug)]
struct Admin {
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    active_config: Arc<ActiveConfig>,
}

pub(crate) fn admin_router(
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    active_config: Arc<ActiveConfig>,
) -> Router {
    Router::new()
        .route("/healthz", get(async || Json(json!({"Status": "alive"}))))
        .route("/readyz", get(readyz))
        .route(
            "/version",
            get(async |State(admin): State<Arc<Admin>>| Json(admin.active_config.version())),
        )
        .route("/metrics", get(metrics_text))
        .with_state(Arc::new(Admin { readiness, metrics, active_config }))
}

impl ConnectionHandler for Router {
    async fn handle(&self, request: Request, _: Arc<Peer>) -> Response {
        if let Some(error) = request.extensions().get::<FramingError>() {
            let text = format!("The request is malformed: {}.\n", error.message());
            return (StatusCode::BAD_REQUEST, text).into_response();
        }
        match self.clone().call(request).await {
            Ok(mut response) => {
                let nosniff = HeaderValue::from_static("nosniff");
                response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
                response
            }
            Err(never) => match never {},
        }
    }

    /// No proxy is in front of it.
    fn trusts_proxy(&self, _: IpAddr) -> bool {
        false
    }
}

async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    match admin.readiness.not_ready_reason() {
        None => match details(&admin).as_slice() {
            [] => Json(json!({"Status": "ready"})).into_response(),
            details => Json(json!({"Status": "ready", "Details": details})).into_response(),
        },
        Some(not_ready_reason) => {
            let body = match details(&admin).as_slice() {
                [] => json!({"Status": "not ready", "Reason": not_ready_reason}),
                details => {
                    json!({"Status": "not ready", "Reason": not_ready_reason, "Details": details})
                }
            };
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

/// Conditions that an operator should fix, whether the server is ready or not.
fn details(admin: &Admin) -> Vec<&'static str> {
    let config = &admin.metrics.config;
    let table = [
        (admin.readiness.is_degraded(), "store_degraded"),
        (admin.readiness.is_unaudited(), "audit_down"),
        (!config.last_reload_successful(), "config_last_reload_failed"),
        (config.needs_restart.get() != 0, "config_needs_restart"),
        (config.is_a_key_unverified(), "access_key_unverified"),
    ];
    table.into_iter().filter_map(|(is, detail)| is.then_some(detail)).collect()
}

async fn metrics_text(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> impl IntoResponse {
    admin.metrics.ready(admin.readiness.not_ready_reason().is_none());
    admin.readiness.measure();
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = MetricsFormat::accepted(accept);
    let headers = [(header::CONTENT_TYPE, format.media_type()), (header::VARY, "Accept")];
    (headers, format.write(admin.metrics.encoded()))
}

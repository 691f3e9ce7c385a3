//! The control routes: they script faults, show calls and move the clock for whoever shares the machine.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode, header};
use axum::routing::get;
use chrono::SecondsFormat;
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::ScriptedFault;
use super::handle::Handle;

pub(crate) fn routes(handle: Handle) -> Router {
    Router::new()
        .route("/_emulator/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/_emulator/calls", get(calls).delete(clear_calls))
        .route("/_emulator/oss/calls", get(oss_calls).delete(clear_oss_calls))
        .route("/_emulator/clock", get(clock).post(move_clock).delete(reset_clock))
        .with_state(Arc::new(handle))
}

async fn faults(State(handle): State<Arc<Handle>>) -> Response<Body> {
    answer(StatusCode::OK, &json!({ "Faults": handle.faults() }))
}

async fn add_fault(State(handle): State<Arc<Handle>>, body: Bytes) -> Response<Body> {
    match serde_json::from_slice::<ScriptedFault>(&body) {
        Ok(fault) => {
            handle.script(fault);
            faults(State(handle)).await
        }
        Err(error) => malformed("no scripted fault", &error),
    }
}

async fn clear_faults(State(handle): State<Arc<Handle>>) -> StatusCode {
    handle.clear_faults();
    StatusCode::NO_CONTENT
}

async fn calls(State(handle): State<Arc<Handle>>) -> Response<Body> {
    let shown = json!({
        "Calls": handle.calls(),
        "Totals": handle.totals(),
        "NarrowingViolations": handle.narrowing_violations(),
    });
    answer(StatusCode::OK, &shown)
}

async fn clear_calls(State(handle): State<Arc<Handle>>) -> StatusCode {
    handle.clear_calls();
    StatusCode::NO_CONTENT
}

async fn oss_calls(State(handle): State<Arc<Handle>>) -> Response<Body> {
    let shown = json!({ "Calls": handle.oss_calls(), "Totals": handle.oss_totals() });
    answer(StatusCode::OK, &shown)
}

async fn clear_oss_calls(State(handle): State<Arc<Handle>>) -> StatusCode {
    handle.clear_oss_calls();
    StatusCode::NO_CONTENT
}

/// How to move the clock.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Move {
    /// Back, if negative.
    advance_seconds: i64,
}

async fn clock(State(handle): State<Arc<Handle>>) -> Response<Body> {
    let now = handle.now().to_rfc3339_opts(SecondsFormat::Secs, true);
    answer(StatusCode::OK, &json!({ "Now": now, "OffsetSeconds": handle.clock_offset_seconds() }))
}

async fn move_clock(State(handle): State<Arc<Handle>>, body: Bytes) -> Response<Body> {
    match serde_json::from_slice::<Move>(&body) {
        Ok(Move { advance_seconds }) => {
            handle.advance_clock(advance_seconds);
            clock(State(handle)).await
        }
        Err(error) => malformed("no move of the clock", &error),
    }
}

async fn reset_clock(State(handle): State<Arc<Handle>>) -> StatusCode {
    handle.reset_clock();
    StatusCode::NO_CONTENT
}

fn malformed(what: &str, error: &serde_json::Error) -> Response<Body> {
    let message = format!("The body is {what}: {error}");
    answer(StatusCode::BAD_REQUEST, &json!({ "Code": "MalformedRequest", "Message": message }))
}

fn answer(status: StatusCode, value: &Value) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(format!("{value}\n")))
        .expect("the header is plain ASCII")
}

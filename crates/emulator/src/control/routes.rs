//! Control over HTTP: faults, recorded calls and the clock, for every process on this machine.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode, header};
use axum::routing::get;
use chrono::SecondsFormat;
use serde::Deserialize;
use serde_json::{Value, json};

use super::emulator_control::EmulatorControl;
use super::faults::ScriptedFault;

pub(crate) fn routes(control: EmulatorControl) -> Router {
    Router::new()
        .route("/_emulator/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/_emulator/calls", get(calls).delete(clear_calls))
        .route("/_emulator/oss/calls", get(oss_calls).delete(clear_oss_calls))
        .route("/_emulator/clock", get(clock).post(move_clock).delete(reset_clock))
        .with_state(Arc::new(control))
}

async fn faults(State(control): State<Arc<EmulatorControl>>) -> Response<Body> {
    answer(StatusCode::OK, &json!({ "Faults": control.faults() }))
}

async fn add_fault(State(control): State<Arc<EmulatorControl>>, body: Bytes) -> Response<Body> {
    match serde_json::from_slice::<ScriptedFault>(&body) {
        Ok(fault) => {
            control.script(fault);
            faults(State(control)).await
        }
        Err(error) => malformed("not a scripted fault", &error),
    }
}

async fn clear_faults(State(control): State<Arc<EmulatorControl>>) -> StatusCode {
    control.clear_faults();
    StatusCode::NO_CONTENT
}

async fn calls(State(control): State<Arc<EmulatorControl>>) -> Response<Body> {
    let body = json!({
        "Calls": control.calls(),
        "Totals": control.totals(),
        "NarrowingViolations": control.narrowing_violations(),
    });
    answer(StatusCode::OK, &body)
}

async fn clear_calls(State(control): State<Arc<EmulatorControl>>) -> StatusCode {
    control.clear_calls();
    StatusCode::NO_CONTENT
}

async fn oss_calls(State(control): State<Arc<EmulatorControl>>) -> Response<Body> {
    let body = json!({ "Calls": control.oss_calls(), "Totals": control.oss_totals() });
    answer(StatusCode::OK, &body)
}

async fn clear_oss_calls(State(control): State<Arc<EmulatorControl>>) -> StatusCode {
    control.clear_oss_calls();
    StatusCode::NO_CONTENT
}

/// The body of a request to move the clock.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Move {
    /// Backwards if negative.
    advance_seconds: i64,
}

async fn clock(State(control): State<Arc<EmulatorControl>>) -> Response<Body> {
    let now = control.now().to_rfc3339_opts(SecondsFormat::Secs, true);
    answer(StatusCode::OK, &json!({ "Now": now, "OffsetSeconds": control.clock_offset_seconds() }))
}

async fn move_clock(State(control): State<Arc<EmulatorControl>>, body: Bytes) -> Response<Body> {
    match serde_json::from_slice::<Move>(&body) {
        Ok(Move { advance_seconds }) => {
            control.advance_clock(advance_seconds);
            clock(State(control)).await
        }
        Err(error) => malformed("not a move of the clock", &error),
    }
}

async fn reset_clock(State(control): State<Arc<EmulatorControl>>) -> StatusCode {
    control.reset_clock();
    StatusCode::NO_CONTENT
}

fn malformed(problem: &str, error: &serde_json::Error) -> Response<Body> {
    let message = format!("The body is {problem}: {error}");
    answer(StatusCode::BAD_REQUEST, &json!({ "Code": "MalformedRequest", "Message": message }))
}

fn answer(status: StatusCode, value: &Value) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(format!("{value}\n")))
        .expect("the header is plain ASCII")
}

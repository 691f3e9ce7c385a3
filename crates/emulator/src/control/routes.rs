//! Control over HTTP: faults, recorded calls, the clock and tokens of the demo's issuer, for every process on this machine.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{Response, StatusCode, header};
use axum::routing::get;
use chrono::SecondsFormat;
use serde::Deserialize;
use serde_json::{Value, json};

use super::emulator_control::EmulatorControl;
use super::faults::ScriptedFault;
use crate::demo_issuer::demo_jwt_for;

pub(crate) fn routes(control: EmulatorControl) -> Router {
    Router::new()
        .route("/_emulator/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/_emulator/calls", get(calls).delete(clear_calls))
        .route("/_emulator/oss/calls", get(oss_calls).delete(clear_oss_calls))
        .route(
            "/_emulator/metadata/faults",
            get(metadata_faults).post(add_metadata_fault).delete(clear_metadata_faults),
        )
        .route("/_emulator/metadata/calls", get(metadata_calls).delete(clear_metadata_calls))
        .route("/_emulator/jwt", get(jwt))
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

async fn metadata_faults(State(control): State<Arc<EmulatorControl>>) -> Response<Body> {
    answer(StatusCode::OK, &json!({ "Faults": control.metadata_faults() }))
}

async fn add_metadata_fault(
    State(control): State<Arc<EmulatorControl>>,
    body: Bytes,
) -> Response<Body> {
    match serde_json::from_slice::<ScriptedFault>(&body) {
        Ok(fault) => {
            control.script_metadata(fault);
            metadata_faults(State(control)).await
        }
        Err(error) => malformed("not a scripted fault", &error),
    }
}

async fn clear_metadata_faults(State(control): State<Arc<EmulatorControl>>) -> StatusCode {
    control.clear_metadata_faults();
    StatusCode::NO_CONTENT
}

async fn metadata_calls(State(control): State<Arc<EmulatorControl>>) -> Response<Body> {
    let body = json!({ "Calls": control.metadata_calls(), "Totals": control.metadata_totals() });
    answer(StatusCode::OK, &body)
}

async fn clear_metadata_calls(State(control): State<Arc<EmulatorControl>>) -> StatusCode {
    control.clear_metadata_calls();
    StatusCode::NO_CONTENT
}

/// The query of a request for a token of the demo's issuer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JwtQuery {
    sub: String,
    aud: String,
}

/// A token of the demo's issuer, valid for an hour of the emulator's clock, as text.
async fn jwt(
    State(control): State<Arc<EmulatorControl>>,
    Query(JwtQuery { sub, aud }): Query<JwtQuery>,
) -> String {
    demo_jwt_for(&sub, &aud, control.now())
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

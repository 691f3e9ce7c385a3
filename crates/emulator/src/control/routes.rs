//! Control over HTTP: faults, recorded calls, the clock and tokens of the demo's issuer, for every process on this machine.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderValue, Response, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use chrono::SecondsFormat;
use serde::Deserialize;
use serde_json::{Value, json};

use super::calls::Calls;
use super::emulator_control::EmulatorControl;
use super::faults::{Faults, ScriptedFault};
use crate::demo_issuer::demo_jwt_for;
use appserver_domain::is_loopback;

pub(crate) fn routes(control: EmulatorControl) -> Router {
    let faults = [
        ("/_emulator/faults", &control.faults),
        ("/_emulator/ram/faults", &control.ram_faults),
        ("/_emulator/metadata/faults", &control.metadata_faults),
    ];
    let calls = [
        ("/_emulator/oss/calls", &control.oss_calls),
        ("/_emulator/ram/calls", &control.ram_calls),
        ("/_emulator/metadata/calls", &control.metadata_calls),
    ];
    let faults = faults.map(|(path, faults)| fault_routes(path, Arc::clone(faults)));
    let calls = calls.map(|(path, calls)| call_routes(path, Arc::clone(calls)));
    let own = Router::new()
        .route("/_emulator/calls", get(sts_calls).delete(clear_sts_calls))
        .route("/_emulator/jwt", get(jwt))
        .route("/_emulator/clock", get(clock).post(move_clock).delete(reset_clock))
        .with_state(Arc::new(control));
    faults.into_iter().chain(calls).fold(own, Router::merge).layer(from_fn(of_no_website))
}

/// Browsers name the site whose script sends a request. Only a page of this machine may control the emulator.
async fn of_no_website(request: Request, next: Next) -> axum::response::Response {
    let is_local = |origin: &HeaderValue| {
        let uri = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        uri.is_some_and(|uri| uri.host().is_some_and(is_loopback))
    };
    if request.headers().get_all(header::ORIGIN).iter().all(is_local) {
        return next.run(request).await;
    }
    let refusal = json!({"Code": "Forbidden", "Message": "websites do not control the emulator"});
    answer(StatusCode::FORBIDDEN, &refusal)
}

/// The faults of one service.
fn fault_routes(path: &str, faults: Arc<Faults>) -> Router {
    Router::new()
        .route(path, get(list_faults).post(add_fault).delete(clear_faults))
        .with_state(faults)
}

async fn list_faults(State(faults): State<Arc<Faults>>) -> Response<Body> {
    answer(StatusCode::OK, &json!({ "Faults": faults.list() }))
}

async fn add_fault(State(faults): State<Arc<Faults>>, body: Bytes) -> Response<Body> {
    match serde_json::from_slice::<ScriptedFault>(&body) {
        Ok(fault) => {
            faults.add(fault);
            list_faults(State(faults)).await
        }
        Err(error) => malformed("not a scripted fault", &error),
    }
}

async fn clear_faults(State(faults): State<Arc<Faults>>) -> StatusCode {
    faults.clear();
    StatusCode::NO_CONTENT
}

async fn sts_calls(State(control): State<Arc<EmulatorControl>>) -> Response<Body> {
    let body = json!({
        "Calls": control.calls(),
        "Totals": control.totals(),
        "UnrestrictedCalls": control.unrestricted_calls(),
    });
    answer(StatusCode::OK, &body)
}

async fn clear_sts_calls(State(control): State<Arc<EmulatorControl>>) -> StatusCode {
    control.clear_calls();
    StatusCode::NO_CONTENT
}

/// The log of calls of a service other than STS.
fn call_routes(path: &str, calls: Arc<Calls>) -> Router {
    Router::new().route(path, get(list_calls).delete(clear_log)).with_state(calls)
}

async fn list_calls(State(calls): State<Arc<Calls>>) -> Response<Body> {
    answer(StatusCode::OK, &json!({ "Calls": calls.list(), "Totals": calls.totals() }))
}

async fn clear_log(State(calls): State<Arc<Calls>>) -> StatusCode {
    calls.clear();
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

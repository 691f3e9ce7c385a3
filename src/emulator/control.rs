//! The control route: scripts faults and shows calls to whoever shares the machine.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode, header};
use axum::routing::get;
use serde_json::{Value, json};

use super::faults::ScriptedFault;
use super::handle::Handle;

pub(crate) fn routes(handle: Handle) -> Router {
    Router::new()
        .route("/_emulator/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/_emulator/calls", get(calls).delete(clear_calls))
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
        Err(error) => {
            let message = format!("The body is no scripted fault: {error}");
            answer(
                StatusCode::BAD_REQUEST,
                &json!({ "Code": "MalformedRequest", "Message": message }),
            )
        }
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

fn answer(status: StatusCode, value: &Value) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(format!("{value}\n")))
        .expect("the header is plain ASCII")
}

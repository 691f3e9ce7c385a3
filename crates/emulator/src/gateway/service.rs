//! Serves one call: reads it, applies faults, and sends the answer of the product's action.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, Response, header};
use axum::routing::any;
use chrono::{DateTime, Utc};
use http_body_util::{BodyExt, Limited};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::acs3::Acs3;
use super::authenticate::{Gateway, Proof};
use super::error::{GatewayError, Refusal};
use super::params::Params;
use super::product::{AdmittedCall, Product};
use super::response::{Answer, Format, Frame, html};
use crate::control::{Call, Calls, Fault, Faults, MovableClock};

/// The longest body that the gateway accepts.
const BODY_LIMIT_BYTES: usize = 10 << 20;

/// A product behind the gateway, with its own faults and its own log of calls.
pub(crate) struct Service<P> {
    pub(crate) gateway: Gateway,
    pub(crate) product: P,
    pub(crate) faults: Arc<Faults>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) clock: MovableClock,
}

pub(crate) fn routes<P: Product>(service: Service<P>) -> Router {
    // Every path and method, so that a wrong one gets the gateway's own error.
    Router::new().fallback(any(answer::<P>)).with_state(Arc::new(service))
}

async fn answer<P: Product>(
    State(service): State<Arc<Service<P>>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let request_id = Uuid::new_v4().to_string().to_uppercase();
    let (parts, body) = request.into_parts();
    let content_type =
        parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let read = match read_body(body).await {
        Ok(body) => Params::read(parts.uri.query(), content_type, &body)
            .and_then(|params| Ok((params, Acs3::read(&parts, &body)?))),
        Err(refusal) => Err(refusal),
    };
    let (params, acs3, unreadable) = match read {
        Ok((params, Some(acs3))) => (acs3.complete(params, &parts.headers), Some(acs3), None),
        Ok((params, None)) => (params, None, None),
        Err(refusal) => (Params::default(), None, Some(refusal)),
    };
    let call =
        Call::of_rpc(service.clock.now(), parts.method.as_str(), params.as_map(), &request_id);
    let pending = service.calls.arrived(call);
    let action = params.get("Action").unwrap_or_default();
    let (delay, skew) = service.faults.on_arrival(action);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let now = service.clock.now() + skew;

    let refused = unreadable.or_else(|| wrong_target(&parts.method, parts.uri.path()));
    let outcome = if let Some(refusal) = refused {
        Err(refusal.into())
    } else {
        let rpc = Proof::Rpc { method: parts.method.as_str() };
        service.outcome(&acs3.as_ref().map_or(rpc, Proof::Acs3), &params, now, peer)
    };

    let product = service.product.name(params.get("Version").unwrap_or_default());
    let (answer, fault) = match outcome {
        Ok(Outcome { acted, fault }) => {
            let name = match (&fault, &acted) {
                (Some(fault), _) => fault.name().to_owned(),
                (None, Ok(_)) => "Success".to_owned(),
                (None, Err(refusal)) => refusal.code.clone(),
            };
            pending.answered(name);
            let answer = match acted {
                Ok(fields) => Answer::success(action, fields),
                Err(refusal) => Answer::refusal(product, refusal),
            };
            (answer, fault)
        }
        Err(refusal) => {
            pending.answered(refusal.code.clone());
            (Answer::refusal(product, refusal), None)
        }
    };

    let frame = Frame { format: Format::of(&params), request_id, now };
    if let Some(Fault::Html { status }) = fault {
        return html(status.into(), now);
    }
    answer.into_response(frame, fault.as_ref())
}

/// The outcome of an action, and the fault that changes its answer.
struct Outcome {
    acted: Result<Map<String, Value>, Refusal>,
    fault: Option<Fault>,
}

impl<P: Product> Service<P> {
    fn outcome(
        &self,
        proof: &Proof<'_>,
        params: &Params,
        now: DateTime<Utc>,
        peer: SocketAddr,
    ) -> Result<Outcome, Refusal> {
        let principal = self.gateway.admit(&self.product, proof, params, now, peer.ip())?;
        let action = params.need("Action")?;
        // The quota follows the emulator's clock: a scripted skew must not change it.
        if let Some(time_left_ms) = self.faults.beyond_quota(action, self.clock.now()) {
            return Err(GatewayError::Throttled { time_left_ms }.into());
        }
        let fault = self.faults.on_answer(action);
        if let Some(Fault::Throttle { time_left_ms }) = fault {
            return Err(GatewayError::Throttled { time_left_ms }.into());
        }
        if let Some(Fault::Error { status, code, message }) = fault {
            return Err(GatewayError::Scripted { status: status.into(), code, message }.into());
        }
        let call = AdmittedCall { action, principal, params, now, source_ip: peer.ip() };
        Ok(Outcome { acted: self.product.act(&call), fault })
    }
}

/// Exactly `YYYY-MM-DDTHH:MM:SSZ`: several SDKs can read nothing else.
pub(crate) fn format_time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn wrong_target(method: &Method, path: &str) -> Option<GatewayError> {
    match (method, path) {
        (&Method::GET | &Method::POST, "/") => None,
        (_, "/") => Some(GatewayError::Method),
        _ => Some(GatewayError::Api),
    }
}

async fn read_body(body: Body) -> Result<Bytes, GatewayError> {
    match Limited::new(body, BODY_LIMIT_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        // Any other error ends the connection too, so that the answer is not read.
        Err(_) => Err(GatewayError::TooLarge),
    }
}

//! Serves one call to STS: reads it, applies faults, and sends the answer.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, Response, header};
use axum::routing::any;
use chrono::{DateTime, Utc};
use http_body_util::{BodyExt, Limited};
use uuid::Uuid;

use super::acs3::Acs3;
use super::assume_role::{AssumeRoleCall, assume_role};
use super::assume_role_with_oidc::{WithOidcCall, assume_role_with_oidc};
use super::caller_identity::caller_identity;
use super::error::StsError;
use super::gateway::{Action, Gateway, Proof};
use super::params::Params;
use super::response::{Answer, Format, Frame, html};
use crate::control::Call;
use crate::control::EmulatorControl;
use crate::control::Fault;
use crate::ram::IssuerKeys;

/// The longest body that STS accepts.
const BODY_LIMIT_BYTES: usize = 10 << 20;

pub(crate) struct Sts {
    pub(crate) gateway: Gateway,
    pub(crate) control: EmulatorControl,
    pub(crate) issuer_keys: IssuerKeys,
}

pub(crate) fn routes(sts: Sts) -> Router {
    // Every path and method, so that a wrong one gets STS's own error.
    Router::new().fallback(any(answer)).with_state(Arc::new(sts))
}

async fn answer(
    State(sts): State<Arc<Sts>>,
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
    let call = Call::of_sts(sts.control.now(), parts.method.as_str(), params.as_map(), &request_id);
    let pending = sts.control.calls.arrived(call);
    let action = params.get("Action").unwrap_or_default();
    let (delay, skew) = sts.control.faults.on_arrival(action);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let now = sts.control.now() + skew;

    let refused = unreadable.or_else(|| wrong_target(&parts.method, parts.uri.path()));
    let outcome = if let Some(refusal) = refused {
        Err(refusal)
    } else {
        let rpc = Proof::Rpc { method: parts.method.as_str() };
        sts.outcome(&acs3.as_ref().map_or(rpc, Proof::Acs3), &params, now, peer)
    };

    let (answer, fault) = match outcome {
        Ok(Outcome { answer, fault, name }) => {
            pending.answered(fault.as_ref().map_or(name, |fault| fault.name().to_owned()));
            (answer, fault)
        }
        Err(refusal) => {
            pending.answered(refusal.code());
            (Answer::refusal(&refusal), None)
        }
    };

    let frame = Frame { format: Format::of(&params), request_id, now };
    if let Some(Fault::Html { status }) = fault {
        return html(status.into(), now);
    }
    answer.into_response(frame, fault.as_ref())
}

/// An answer, and the fault that changes it.
struct Outcome {
    answer: Answer,
    fault: Option<Fault>,
    /// The outcome for the log, unless there is a fault.
    name: String,
}

impl Sts {
    fn outcome(
        &self,
        proof: &Proof<'_>,
        params: &Params,
        now: DateTime<Utc>,
        peer: SocketAddr,
    ) -> Result<Outcome, StsError> {
        let action = self.gateway.admit(proof, params, now)?;
        let name = params.need("Action")?;
        let faults = &self.control.faults;
        // The quota follows the emulator's clock: a scripted skew must not change it.
        if let Some(time_left_ms) = faults.beyond_quota(name, self.control.now()) {
            return Err(StsError::Throttled { time_left_ms });
        }
        let fault = faults.on_answer(name);
        if let Some(Fault::Throttle { time_left_ms }) = fault {
            return Err(StsError::Throttled { time_left_ms });
        }
        if let Some(Fault::Error { status, code, message }) = fault {
            return Err(StsError::Scripted { status: status.into(), code, message });
        }
        let source_ip = peer.ip().to_string();
        let acted = match &action {
            Action::AssumeRole(principal) => {
                let scripted_lifetime = faults.lifetime(name);
                let call = AssumeRoleCall { principal, params, now, source_ip, scripted_lifetime };
                assume_role(&self.gateway, &call)
            }
            Action::AssumeRoleWithOidc => {
                let scripted_lifetime = faults.lifetime(name);
                let issuer_keys = &self.issuer_keys;
                let call = WithOidcCall { params, issuer_keys, now, source_ip, scripted_lifetime };
                assume_role_with_oidc(&self.gateway, &call)
            }
            Action::GetCallerIdentity(principal) => caller_identity(&self.gateway.ram, principal),
        };
        Ok(match acted {
            Ok(fields) => {
                Outcome { answer: Answer::success(name, fields), fault, name: "Success".to_owned() }
            }
            Err(refusal) => {
                Outcome { answer: Answer::refusal(&refusal), fault, name: refusal.code() }
            }
        })
    }
}

fn wrong_target(method: &Method, path: &str) -> Option<StsError> {
    match (method, path) {
        (&Method::GET | &Method::POST, "/") => None,
        (_, "/") => Some(StsError::Method),
        _ => Some(StsError::Api),
    }
}

async fn read_body(body: Body) -> Result<Bytes, StsError> {
    match Limited::new(body, BODY_LIMIT_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        // Any other error ends the connection too, so that the answer is not read.
        Err(_) => Err(StsError::TooLarge),
    }
}

//! Finds the credential in a request and has it checked; whoever it proves has limits, and so has who fails.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::Api;
use super::context::Context;
use super::error::ApiError;
use super::failing;
use crate::auth::{Caller, PresentedCredential};

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        caller(api, Context::within(&parts.extensions), &parts.headers).await
    }
}

/// Whoever sends these headers, within its limits.
pub(super) async fn caller(
    api: &Api,
    context: &Context,
    headers: &HeaderMap,
) -> Result<Caller, ApiError> {
    let presented = presented(headers, context);
    failing::look_at(api, context, &presented)?;
    let authenticator = &context.rules.authenticator;
    let authenticated = authenticator.authenticate(&presented, api.clock.now()).await;
    match &authenticated {
        Ok(caller) => context.note_caller(caller),
        Err(error) => {
            if let Some(client) = error.client() {
                context.note_client(client);
            }
        }
    }
    let caller = authenticated.map_err(|error| failing::failed(api, context, &presented, error))?;
    let (limits, counts) = (&context.rules.limits, &api.metrics.throttled);
    limits.admit(caller.client(), caller.issuer().zip(caller.subject()), counts).await?;
    Ok(caller)
}

/// A header wins over a certificate: who sends one says by whom this request is.
fn presented(headers: &HeaderMap, context: &Context) -> PresentedCredential {
    let mut headers = headers.get_all(AUTHORIZATION).iter();
    match (headers.next(), headers.next()) {
        (Some(only), None) => PresentedCredential::from_authorization(only.as_bytes()),
        (Some(_), Some(_)) => PresentedCredential::Malformed,
        (None, _) => match context.peer.certificate() {
            Some(names) => PresentedCredential::Certificate(Arc::clone(names)),
            None => PresentedCredential::Nothing,
        },
    }
}

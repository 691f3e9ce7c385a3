//! Finds the credential in a request, authenticates it, and applies the caller's limits.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::context::RequestContext;
use super::{auth_failures, revocation};
use crate::auth::{Caller, PresentedCredential};
use crate::http::api::Api;
use crate::http::error::ApiError;

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        caller(api, RequestContext::within(&parts.extensions), &parts.headers).await
    }
}

/// The authenticated caller, within its limits.
pub(crate) async fn caller(
    api: &Api,
    context: &RequestContext,
    headers: &HeaderMap,
) -> Result<Caller, ApiError> {
    let presented = presented(headers, context);
    auth_failures::check(api, context, &presented)?;
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
    let caller =
        authenticated.map_err(|error| auth_failures::record(api, context, &presented, error))?;
    // Before the limits: a revoked caller takes nothing from the others of its client.
    revocation::check(api, context)?;
    let (limits, counts) = (&context.rules.limits, &api.metrics.throttled);
    limits.admit(caller.client(), caller.issuer().zip(caller.subject()), counts).await?;
    Ok(caller)
}

/// A header takes precedence over a certificate: it is specific to this request.
fn presented(headers: &HeaderMap, context: &RequestContext) -> PresentedCredential {
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

//! The limit of failed authentications, by address and by client.

use super::context::RequestContext;
use crate::auth::{AuthError, PresentedCredential};
use crate::http::api::Api;
use crate::http::error::ApiError;
use crate::limit::{LimitKind, LimitMode, Throttled};

/// Bounds the work that an address beyond its limit of failures can cause.
///
/// Thousands of well-behaved apps share the one address of a carrier's network, so a valid credential
/// passes even if its neighbours fail. Checking a secret, or a token that was verified before, costs a hash; signatures
/// of other tokens are verified at a bounded rate for each such address.
pub(crate) fn check(
    api: &Api,
    context: &RequestContext,
    presented: &PresentedCredential,
) -> Result<(), ApiError> {
    let RequestContext { rules, address, started, .. } = context;
    let Some(spent) = rules.failures.exceeded_by(*address, *started) else {
        return Ok(());
    };
    let is_costly = rules.authenticator.needs_signature_check(presented, api.clock.now());
    if !is_costly || rules.failures.may_verify(*address, *started) {
        return Ok(());
    }
    reject(api, context, spent).map_or(Ok(()), Err)
}

/// Counts a failure and returns the error that answers it.
pub(crate) fn record(
    api: &Api,
    context: &RequestContext,
    presented: &PresentedCredential,
    error: AuthError,
) -> ApiError {
    let RequestContext { rules, address, started, .. } = context;
    let failures = &rules.failures;
    let recorded = if error.is_attempt() {
        // Beyond its limit an address gets one answer for every credential and every client.
        let spent = failures.exceeded_by(*address, *started);
        if let Some(refusal) = spent.and_then(|spent| reject(api, context, spent)) {
            return refusal;
        }
        failures.record(*address, presented.named_client(), *started)
    } else if matches!(error, AuthError::Missing) {
        failures.record_missing(*address, *started)
    } else {
        return error.into();
    };
    for limit in recorded.reached.into_iter().flatten() {
        let client = error.client().filter(|_| limit == LimitKind::ClientFailures);
        tracing::warn!(
            request.id = context.id.as_str(),
            peer.address = context.peer.as_str(),
            client.id = client.map(appserver_domain::ClientId::as_str),
            limit.name = limit.as_str(),
            limit.mode = failures.mode().as_str(),
            request.without_credential = matches!(error, AuthError::Missing).then_some(true),
            "a limit of failed authentications is reached; requests beyond it are counted in \
             appserver_throttled_total and not logged",
        );
    }
    let rejection = recorded.beyond.and_then(|beyond| reject(api, context, beyond));
    rejection.unwrap_or_else(|| error.into())
}

/// Counts a request beyond a limit, and rejects it if the limits are enforced.
///
/// It is counted without a client, which the warning has named: the lookup of an existing client's count would take longer
/// than that of an unknown client's, which reveals that the client exists.
fn reject(api: &Api, context: &RequestContext, beyond: Throttled) -> Option<ApiError> {
    let mode = context.rules.failures.mode();
    api.metrics.throttled.beyond(None, beyond.limit.as_str(), mode.as_str());
    match mode {
        LimitMode::Enforce => Some(beyond.into()),
        LimitMode::Shadow => None,
    }
}

//! What failing to prove oneself costs: little at first, and later an answer that says nothing of the credential.

use super::Api;
use super::context::Context;
use super::error::ApiError;
use crate::auth::{AuthError, PresentedCredential};
use crate::limit::{LimitKind, LimitMode, Throttled};

/// Bounds what an address beyond its limit of failures can have us do.
///
/// Behind the one address of a carrier's network are thousands of phones that do nothing wrong, so a valid credential
/// passes whatever its neighbours do. Checking a secret, or a token that was verified before, costs a hash; signatures
/// of other tokens are verified at a bounded rate for each such address.
pub(super) fn look_at(
    api: &Api,
    context: &Context,
    presented: &PresentedCredential,
) -> Result<(), ApiError> {
    let Context { rules, address, started, .. } = context;
    let Some(spent) = rules.failures.spent_by(*address, *started) else {
        return Ok(());
    };
    let is_costly = rules.authenticator.needs_a_signature(presented, api.clock.now());
    if !is_costly || rules.failures.may_verify(*address, *started) {
        return Ok(());
    }
    refused(api, context, spent).map_or(Ok(()), Err)
}

/// Counts a failure, and says what it is answered.
pub(super) fn failed(
    api: &Api,
    context: &Context,
    presented: &PresentedCredential,
    error: AuthError,
) -> ApiError {
    let Context { rules, address, started, .. } = context;
    let failures = &rules.failures;
    let noted = if error.is_attempt() {
        // Beyond its limit an address is answered alike, whatever it tried and in whose name.
        let spent = failures.spent_by(*address, *started);
        if let Some(refusal) = spent.and_then(|spent| refused(api, context, spent)) {
            return refusal;
        }
        failures.note(*address, presented.named_client(), *started)
    } else if matches!(error, AuthError::Missing) {
        failures.note_bare(*address, *started)
    } else {
        return error.into();
    };
    for limit in noted.reached.into_iter().flatten() {
        let client = error.client().filter(|_| limit == LimitKind::ClientFailures);
        tracing::warn!(
            request.id = context.id.as_str(),
            peer.address = context.peer.as_str(),
            client.id = client.map(|client| client.as_str()),
            limit.name = limit.as_str(),
            limit.mode = failures.mode().as_str(),
            request.without_credential = matches!(error, AuthError::Missing).then_some(true),
            "a limit of failed authentications is reached; requests beyond it are counted in \
             appserver_throttled_total and not logged",
        );
    }
    let refused = noted.beyond.and_then(|beyond| refused(api, context, beyond));
    refused.unwrap_or_else(|| error.into())
}

/// Counts a request beyond a limit, and refuses it if the limits are enforced.
///
/// It is counted without a client, which the warning has named: finding the count of one that exists would take longer
/// than finding that of one that does not.
fn refused(api: &Api, context: &Context, beyond: Throttled) -> Option<ApiError> {
    let mode = context.rules.failures.mode();
    api.metrics.throttled.beyond(None, beyond.limit.as_str(), mode.as_str());
    match mode {
        LimitMode::Enforce => Some(beyond.into()),
        LimitMode::Shadow => None,
    }
}

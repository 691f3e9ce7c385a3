//! What failing to prove oneself costs: little at first, and an answer that does not look at the credential later.

use super::Api;
use super::context::Context;
use super::error::ApiError;
use crate::auth::{AuthError, Presented};
use crate::limit::{LimitKind, LimitMode, Throttled};

/// Refuses an address whose failures are spent before its credential is looked at.
///
/// A token that was verified before still passes: it costs a hash, and behind the one address of a carrier's network
/// are thousands of phones that do nothing wrong.
pub(super) fn look_at(api: &Api, context: &Context, presented: &Presented) -> Result<(), ApiError> {
    let rules = &context.rules;
    let Some(spent) = rules.failures.spent_by(context.address, context.started) else {
        return Ok(());
    };
    if rules.authenticator.remembers(presented, api.clock.now()) {
        return Ok(());
    }
    refused(api, context, spent).map_or(Ok(()), Err)
}

/// Counts a failure, and says what it is answered.
pub(super) fn failed(
    api: &Api,
    context: &Context,
    presented: &Presented,
    error: AuthError,
) -> ApiError {
    if !error.is_attempt() {
        return error.into();
    }
    let failures = &context.rules.failures;
    let noted = failures.note(context.address, presented.named_client(), context.started);
    for limit in noted.reached.into_iter().flatten() {
        let client = error.client().filter(|_| limit == LimitKind::ClientFailures);
        tracing::warn!(
            request_id = context.id.as_str(),
            peer = context.peer.as_str(),
            client = client.map(|client| client.as_str()),
            limit = limit.as_str(),
            mode = failures.mode().as_str(),
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

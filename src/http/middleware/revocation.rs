//! Refuses callers that are revoked, after authentication and once more before an answer leaves.

use super::context::RequestContext;
use crate::http::api::Api;
use crate::http::error::ApiError;

/// Fails if the authenticated caller, its ticket or its token is revoked. A look at an empty list is one atomic load.
///
/// It is independent of what is cached of the caller: verified tokens, tickets and vended tokens are looked up before or
/// after it.
pub(crate) fn check(api: &Api, context: &RequestContext) -> Result<(), ApiError> {
    let Some(presented) = context.presented() else { return Ok(()) };
    match api.revocations.find(&presented, || api.clock.now()) {
        None => Ok(()),
        Some(revocation) => Err(ApiError::Revoked(revocation)),
    }
}

//! What a caller sees of the decision hook.

use axum::http::StatusCode;

use super::public_error::{Public, RETRY_AFTER};
use crate::decision::DecisionError;

/// The hook refused. Its reason is for the audit and the log alone.
pub(super) fn decision_refused() -> Public {
    Public::new(
        StatusCode::FORBIDDEN,
        "Forbidden.Decision",
        "The operator of the service refuses this request by a decision of its own; quote the RequestId to the operator.",
    )
}

/// There is no decision.
pub(super) fn undecided(error: &DecisionError) -> Public {
    let retry_after = match error {
        DecisionError::CircuitOpen { retry_after } => *retry_after,
        DecisionError::Unreachable(_)
        | DecisionError::TimedOut
        | DecisionError::Failed(_)
        | DecisionError::WrongAnswer(_)
        | DecisionError::Busy
        | DecisionError::Lost => RETRY_AFTER,
    };
    Public::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "DecisionUnavailable",
        "It cannot be decided now whether this request is allowed; retry later.",
    )
    .retry_after(retry_after)
}

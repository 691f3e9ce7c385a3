//! What OSS sees of a callback that fails. It passes the status on to the app; the reason is in the log alone.

use axum::http::StatusCode;

use super::public_error::Public;
use crate::callback::{CallbackError, NoVariable, Obstacle};

pub(super) fn callback_failed(error: &CallbackError) -> Public {
    match error {
        CallbackError::NotConfigured => Public::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            "This service is not set up for callbacks of OSS.",
        ),
        // One answer for every cause: a forger must not find out how far a forgery comes.
        CallbackError::Refused(_) => Public::new(
            StatusCode::FORBIDDEN,
            "Forbidden.Callback",
            "The callback is not a valid report of an upload; the operator finds the reason in the log.",
        ),
        CallbackError::NotForwarded(Obstacle::TimedOut, _) => Public::new(
            StatusCode::GATEWAY_TIMEOUT,
            "Upstream.CallbackTimedOut",
            "The object is stored. The app's backend did not confirm its report in time; do not upload again.",
        ),
        CallbackError::NotForwarded(..)
        | CallbackError::KeyUnavailable(_)
        | CallbackError::Full
        | CallbackError::Lost => Public::new(
            StatusCode::BAD_GATEWAY,
            "Upstream.Callback",
            "The object is stored. Its report could not be passed on to the app's backend; do not upload again.",
        ),
    }
}

/// A form cannot be signed for this caller.
pub(super) fn variable_missing(missing: &NoVariable) -> Public {
    match missing {
        NoVariable::OfParameters(_) => Public::parameter("Parameters", missing.to_string()),
        NoVariable::Missing(_) | NoVariable::Invalid(_) => Public::new(
            StatusCode::FORBIDDEN,
            "Forbidden.Grant",
            format!("This credential does not fit the grant: {missing}."),
        ),
    }
}

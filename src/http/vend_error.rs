//! What a caller sees of a failure of vending: ours, or that of STS.

use axum::http::StatusCode;

use super::public_error::{Public, RETRY_AFTER};
use crate::sts::StsError;
use crate::vend::VendError;

pub(super) fn vend_failed(error: &VendError) -> Public {
    match error {
        VendError::NotReady => Public::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "NotReady",
            "The service is starting; retry later.",
        )
        .retry_after(RETRY_AFTER),
        VendError::NoCredentials => no_credentials(),
        VendError::Sts(error) => upstream(error),
        VendError::Overloaded { retry_after } | VendError::Crowded { retry_after } => {
            throttled().retry_after(*retry_after)
        }
        VendError::CircuitOpen { retry_after } => unavailable().retry_after(*retry_after),
        VendError::TimedOut | VendError::CallTimedOut | VendError::CallLost => {
            unavailable().retry_after(RETRY_AFTER)
        }
        VendError::ShortSession => Public::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Upstream.Unavailable",
            "Alibaba Cloud STS issued a session that ends too soon to sign with; retry later.",
        )
        .retry_after(RETRY_AFTER),
    }
}

fn upstream(error: &StsError) -> Public {
    match error {
        StsError::Throttled { .. } => {
            throttled().retry_after(error.retry_after().unwrap_or(RETRY_AFTER))
        }
        StsError::Refused { .. } => Public::new(
            StatusCode::BAD_GATEWAY,
            "Upstream.Refused",
            "Alibaba Cloud STS refused; quote the RequestId to the operator.",
        ),
        StsError::NoCredentials => no_credentials(),
        StsError::Unavailable { .. }
        | StsError::NonceUsed { .. }
        | StsError::ClockSkewed { .. }
        | StsError::Unreachable(_)
        | StsError::Proxy(_)
        | StsError::TimedOut
        | StsError::InvalidResponse { .. } => unavailable().retry_after(RETRY_AFTER),
    }
}

/// By STS, or by us before STS does it: to the caller it is the same.
fn throttled() -> Public {
    Public::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "Upstream.Throttled",
        "Alibaba Cloud STS is throttling; retry later.",
    )
}

pub(super) fn unavailable() -> Public {
    Public::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "Upstream.Unavailable",
        "Alibaba Cloud STS cannot be reached; retry later.",
    )
}

/// The source of our own credentials has given none for so long that the last ones have ended.
fn no_credentials() -> Public {
    Public::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "UpstreamIdentity",
        "The service has no valid credentials of its own at present; retry later.",
    )
    .retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn vending_errors_are_answered_503_with_their_time_to_retry() {
        let secs = Duration::from_secs;
        let table = [
            (VendError::NotReady, "NotReady", secs(5)),
            (VendError::Overloaded { retry_after: secs(77) }, "Upstream.Throttled", secs(77)),
            (VendError::CircuitOpen { retry_after: secs(3) }, "Upstream.Unavailable", secs(3)),
            (VendError::Crowded { retry_after: secs(9) }, "Upstream.Throttled", secs(9)),
            (VendError::NoCredentials, "UpstreamIdentity", secs(5)),
            (VendError::Sts(Arc::new(StsError::NoCredentials)), "UpstreamIdentity", secs(5)),
            (VendError::TimedOut, "Upstream.Unavailable", secs(5)),
            (VendError::CallTimedOut, "Upstream.Unavailable", secs(5)),
            (VendError::CallLost, "Upstream.Unavailable", secs(5)),
            (VendError::ShortSession, "Upstream.Unavailable", secs(5)),
            (VendError::Sts(Arc::new(StsError::TimedOut)), "Upstream.Unavailable", secs(5)),
        ];
        for (error, code, retry_after) in table {
            let public = vend_failed(&error);
            assert_eq!((public.status.as_u16(), public.class), (503, code));
            assert_eq!(public.retry_after, Some(retry_after), "{code}");
        }
    }
}

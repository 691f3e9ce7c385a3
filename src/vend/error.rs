//! Why there are no credentials.

use std::sync::Arc;
use std::time::Duration;

use crate::sts::StsError;

/// What a caller gets instead of credentials. All who waited for one call share its error.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum VendError {
    #[error("the AccessKey has not been verified yet")]
    NotReady,
    #[error("STS gave no credentials")]
    Sts(#[source] Arc<StsError>),
    /// The budget is spent; STS was not asked.
    #[error("more calls to STS are wanted than the budget holds")]
    Overloaded { retry_after: Duration },
    /// There is no room to wait.
    #[error("more callers wait for STS than may (`vend.max_waiting`)")]
    Crowded { retry_after: Duration },
    /// STS has not answered for a while, and was not asked again.
    #[error("STS has been out of reach, and the next try is not due")]
    CircuitOpen { retry_after: Duration },
    /// The caller's deadline.
    #[error("the request's time-out came before a token (`server.request_timeout_ms`)")]
    TimedOut,
    /// That of the call which the caller shared.
    #[error("the call's time-out came before a token (`vend.call_timeout_ms`)")]
    CallTimedOut,
    /// The call ended without a word: it panicked, or the process stops.
    #[error("the call to STS ended without an outcome")]
    CallLost,
}

impl VendError {
    /// Whether the trouble passes by itself: until then a token that is still valid is better than none.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Sts(error) => error.is_transient(),
            Self::Overloaded { .. }
            | Self::Crowded { .. }
            | Self::CircuitOpen { .. }
            | Self::TimedOut
            | Self::CallTimedOut
            | Self::CallLost => true,
            Self::NotReady => false,
        }
    }

    /// Which bound was reached or what failed, for metrics and the log.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NotReady => "not_ready",
            Self::Sts(error) => match &**error {
                StsError::Throttled { .. } => "sts_throttled",
                StsError::Unavailable { .. } => "sts_unavailable",
                StsError::NonceUsed { .. } => "sts_nonce_used",
                StsError::ClockSkewed { .. } => "sts_clock_skewed",
                StsError::Refused { .. } => "sts_refused",
                StsError::Unreachable(_) => "sts_unreachable",
                StsError::TimedOut => "sts_timed_out",
                StsError::InvalidResponse { .. } => "sts_invalid_response",
            },
            Self::Overloaded { .. } => "budget",
            Self::Crowded { .. } => "max_waiting",
            Self::CircuitOpen { .. } => "breaker",
            Self::TimedOut => "request_timeout",
            Self::CallTimedOut => "call_timeout",
            Self::CallLost => "call_lost",
        }
    }
}

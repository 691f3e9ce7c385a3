//! Why there are no credentials.

use std::sync::Arc;
use std::time::Duration;

use super::cache::Token;
use crate::sts::StsError;

/// The outcome of a call, for all of its waiters.
pub(super) type Outcome = Result<Arc<Token>, VendError>;

/// What a caller gets instead of credentials. All waiters of one call share its error.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum VendError {
    #[error("the AccessKey has not been verified yet")]
    NotReady,
    /// STS was not called: there is nothing to sign with.
    #[error("there are no valid credentials to sign with (`sts.identity`)")]
    NoCredentials,
    #[error("STS gave no credentials")]
    Sts(#[source] Arc<StsError>),
    /// The budget is spent; STS was not called.
    #[error("the budget for calls to STS is spent")]
    Overloaded { retry_after: Duration },
    /// Too many callers wait already.
    #[error("the maximum number of callers wait for STS already (`vend.max_waiting`)")]
    Crowded { retry_after: Duration },
    /// The last attempts at STS failed, and it was not called again.
    #[error(
        "the circuit breaker is open after repeated failures of STS, which the log names (`vend.breaker`)"
    )]
    CircuitOpen { retry_after: Duration },
    /// The caller's deadline passed.
    #[error("the request's time-out came before a token (`server.request_timeout_ms`)")]
    TimedOut,
    /// The deadline of the shared call passed.
    #[error("the call's time-out came before a token (`vend.call_timeout_ms`)")]
    CallTimedOut,
    /// The call ended without an outcome: it panicked, or the process stops.
    #[error("the call to STS ended without an outcome")]
    CallLost,
    /// Nothing can be signed with it.
    #[error("STS gave a session that ends within a minute")]
    ShortSession,
}

impl VendError {
    /// Whether the failure is temporary: until it is over, a token that is still valid is better than none.
    pub(super) fn is_temporary(&self) -> bool {
        match self {
            Self::Sts(error) => error.is_transient(),
            Self::NoCredentials
            | Self::Overloaded { .. }
            | Self::Crowded { .. }
            | Self::CircuitOpen { .. }
            | Self::TimedOut
            | Self::CallTimedOut
            | Self::CallLost
            | Self::ShortSession => true,
            Self::NotReady => false,
        }
    }

    /// Which limit was reached or what failed, for metrics and the log.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NotReady => "not_ready",
            Self::NoCredentials => "no_credentials",
            Self::Sts(error) => match &**error {
                StsError::Throttled { .. } => "sts_throttled",
                StsError::Unavailable { .. } => "sts_unavailable",
                StsError::NonceUsed { .. } => "sts_nonce_used",
                StsError::ClockSkewed { .. } => "sts_clock_skewed",
                StsError::Refused { .. } => "sts_refused",
                StsError::Unreachable(_) => "sts_unreachable",
                StsError::Proxy(_) => "sts_proxy",
                StsError::TimedOut => "sts_timed_out",
                StsError::NoCredentials => "no_credentials",
                StsError::InvalidResponse { .. } => "sts_invalid_response",
            },
            Self::Overloaded { .. } => "budget",
            Self::Crowded { .. } => "max_waiting",
            Self::CircuitOpen { .. } => "breaker",
            Self::TimedOut => "request_timeout",
            Self::CallTimedOut => "call_timeout",
            Self::CallLost => "call_lost",
            Self::ShortSession => "short_session",
        }
    }
}

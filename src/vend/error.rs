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
    /// The budget or the room to wait is spent; STS was not asked.
    #[error("more calls to STS are wanted than the budget holds")]
    Overloaded { retry_after: Duration },
    /// STS has not answered for a while, and was not asked again.
    #[error("STS has been out of reach, and the next try is not due")]
    CircuitOpen { retry_after: Duration },
    #[error("the deadline came before STS's answer")]
    TimedOut,
}

impl VendError {
    /// Whether the trouble passes by itself: until then a token that is still valid is better than none.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Sts(error) => error.is_transient(),
            Self::Overloaded { .. } | Self::CircuitOpen { .. } | Self::TimedOut => true,
            Self::NotReady => false,
        }
    }
}

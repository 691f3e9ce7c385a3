//! Why a call to STS brought nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::refusal::{Refusal, RequestId};
use appserver_domain::IncompleteCredentials;

/// The outcome of a failed call, told by STS's `Code` where there is one: throttling, for one,
/// comes with the HTTP status of a bad request.
///
/// STS's own message is kept nowhere: that of a `SignatureDoesNotMatch` echoes the AccessKey's id,
/// the role and the policy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StsError {
    /// The account's quota is spent.
    #[error("STS throttles the account")]
    Throttled {
        /// What STS asked us to wait.
        retry_after: Option<Duration>,
        request_id: Option<RequestId>,
    },
    /// STS is in trouble, and says so.
    #[error("STS is in trouble, HTTP status {status}")]
    Unavailable { status: u16, request_id: Option<RequestId> },
    /// STS took our request for a replay.
    #[error("STS has seen the nonce before")]
    NonceUsed { request_id: Option<RequestId> },
    /// STS's clock and ours differ too much.
    #[error("STS found the timestamp too far off")]
    ClockSkewed {
        /// What STS's clock showed, unless it is not believed.
        sts_time: Option<DateTime<Utc>>,
        request_id: Option<RequestId>,
    },
    /// STS will not do it, now or later.
    #[error("STS refused: {refusal}")]
    Refused { refusal: Refusal, request_id: Option<RequestId> },
    /// There was no connection, or it broke.
    #[error("STS cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The attempt's time or the caller's was up.
    #[error("STS did not answer in time")]
    TimedOut,
    /// Something answered, but not as STS does.
    #[error("STS's answer cannot be used")]
    InvalidResponse {
        #[source]
        problem: InvalidResponse,
        request_id: Option<RequestId>,
    },
}

/// What is wrong with an answer. It names places, never what stood there.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum InvalidResponse {
    /// Also what a proxy or a load balancer in between writes.
    #[error("it is not JSON")]
    NotJson,
    /// A field is absent, empty or not text.
    #[error("there is no text at `{0}`")]
    Lacks(&'static str),
    /// A field holds text that it cannot hold.
    #[error("the text at `{0}` is not of its kind")]
    Malformed(&'static str),
    /// A field holds something else than what was asked for.
    #[error("what stands at `{0}` is not what was asked for")]
    NotAsked(&'static str),
    /// Credentials that nobody can use.
    #[error(transparent)]
    Credentials(#[from] IncompleteCredentials),
    /// An answer of STS has one or two kilobytes.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// Neither a success nor an error of STS's own, such as a redirect.
    #[error("it has HTTP status {0} and no `Code`")]
    Status(u16),
}

impl StsError {
    /// Whether the same call may succeed if it is sent again.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Throttled { .. }
            | Self::Unavailable { .. }
            | Self::NonceUsed { .. }
            | Self::ClockSkewed { .. }
            | Self::Unreachable(_)
            | Self::TimedOut
            // Not a decision of STS's, so nothing to remember: empty credentials, a proxy's page of
            // apology.
            | Self::InvalidResponse { .. } => true,
            Self::Refused { .. } => false,
        }
    }

    /// Whether asking again soon for the same session would only spend quota on the same answer.
    pub(crate) fn is_worth_remembering(&self) -> bool {
        self.code_to_remember().is_some()
    }

    /// The `Code` of a refusal that is worth remembering, for other replicas.
    pub(crate) fn code_to_remember(&self) -> Option<&str> {
        match self {
            Self::Refused { refusal, .. } => {
                refusal.reason().is_about_the_session().then(|| refusal.code().as_str())
            }
            Self::Throttled { .. }
            | Self::Unavailable { .. }
            | Self::NonceUsed { .. }
            | Self::ClockSkewed { .. }
            | Self::Unreachable(_)
            | Self::TimedOut
            | Self::InvalidResponse { .. } => None,
        }
    }

    /// STS's `Code`, of a refusal.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.code().as_str()),
            Self::Throttled { .. }
            | Self::Unavailable { .. }
            | Self::NonceUsed { .. }
            | Self::ClockSkewed { .. }
            | Self::Unreachable(_)
            | Self::TimedOut
            | Self::InvalidResponse { .. } => None,
        }
    }

    /// A refusal that another replica was given and remembers by its `Code`.
    pub(crate) fn remembered(code: &str) -> Option<Self> {
        let refusal = Refusal::repeated(code)?;
        Some(Self::Refused { refusal, request_id: None })
    }

    /// Whether STS was not there: no answer, or only that it is in trouble.
    pub(crate) fn is_an_outage(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Unreachable(_) | Self::TimedOut => true,
            Self::Throttled { .. }
            | Self::NonceUsed { .. }
            | Self::ClockSkewed { .. }
            | Self::Refused { .. }
            // Something answered. What is wrong with one session's answer need not be with others'.
            | Self::InvalidResponse { .. } => false,
        }
    }

    /// Whether STS said that the account's quota is spent.
    pub(crate) fn is_throttling(&self) -> bool {
        matches!(self, Self::Throttled { .. })
    }

    /// Whether another endpoint may do better: this one did not answer as STS.
    pub(super) fn should_fail_over(&self) -> bool {
        match self {
            Self::Unavailable { .. }
            | Self::Unreachable(_)
            | Self::TimedOut
            | Self::InvalidResponse { .. } => true,
            Self::Throttled { .. }
            | Self::NonceUsed { .. }
            | Self::ClockSkewed { .. }
            | Self::Refused { .. } => false,
        }
    }

    /// The outcome in a word, of a closed set: a metric's label.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Throttled { .. } => "throttled",
            Self::Unavailable { .. } => "unavailable",
            Self::NonceUsed { .. } => "nonce_used",
            Self::ClockSkewed { .. } => "clock_skewed",
            Self::Refused { refusal, .. } => refusal.reason().label(),
            Self::Unreachable(_) => "unreachable",
            Self::TimedOut => "timed_out",
            Self::InvalidResponse { .. } => "invalid_response",
        }
    }

    /// How long STS asked us to wait, if it did.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } => *retry_after,
            Self::Unavailable { .. }
            | Self::NonceUsed { .. }
            | Self::ClockSkewed { .. }
            | Self::Refused { .. }
            | Self::Unreachable(_)
            | Self::TimedOut
            | Self::InvalidResponse { .. } => None,
        }
    }

    /// What Alibaba's support asks for.
    pub(crate) fn request_id(&self) -> Option<&str> {
        let id = match self {
            Self::Throttled { request_id, .. }
            | Self::Unavailable { request_id, .. }
            | Self::NonceUsed { request_id }
            | Self::ClockSkewed { request_id, .. }
            | Self::Refused { request_id, .. }
            | Self::InvalidResponse { request_id, .. } => request_id.as_ref(),
            Self::Unreachable(_) | Self::TimedOut => None,
        };
        id.map(RequestId::as_str)
    }
}

impl From<reqwest::Error> for StsError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::TimedOut } else { Self::Unreachable(error.without_url()) }
    }
}

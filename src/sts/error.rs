//! Errors of calls to STS.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::refusal::{Reason, Refusal, RequestId};
use crate::outbound::ProxyError;
use appserver_domain::{IncompleteCredentials, UnusableCredentials};

/// A failed call, classified by STS's `Code` if there is one: throttling, for example, has the HTTP status of a bad
/// request.
///
/// STS's own message is never kept: that of `SignatureDoesNotMatch` echoes the AccessKey's id, the role and the
/// policy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StsError {
    /// The account's quota is spent.
    #[error("STS throttles the account")]
    Throttled {
        /// The wait that STS asked for.
        retry_after: Option<Duration>,
        request_id: Option<RequestId>,
    },
    /// STS answered with a server error.
    #[error("STS is in trouble, HTTP status {status}")]
    Unavailable { status: u16, request_id: Option<RequestId> },
    /// STS rejected the request as a replay.
    #[error("STS has seen the nonce before")]
    NonceUsed { request_id: Option<RequestId> },
    /// STS's clock and ours differ too much.
    #[error("STS found the timestamp too far off")]
    ClockSkewed {
        /// STS's time, unless it is implausible.
        sts_time: Option<DateTime<Utc>>,
        request_id: Option<RequestId>,
    },
    /// STS refused; a retry does not help.
    #[error("STS refused: {refusal}")]
    Refused { refusal: Refusal, request_id: Option<RequestId> },
    /// The connection failed or broke.
    #[error("STS cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The proxy on the way made no connection.
    #[error(transparent)]
    Proxy(ProxyError),
    /// The attempt's time-out or the caller's deadline passed.
    #[error("STS did not answer in time")]
    TimedOut,
    /// Nothing was sent: there are no credentials to sign with, or they are about to expire.
    #[error("there are no valid credentials to sign with")]
    NoCredentials,
    /// The response is not one of STS.
    #[error("STS's answer cannot be used")]
    InvalidResponse {
        #[source]
        problem: InvalidResponse,
        request_id: Option<RequestId>,
    },
}

/// What is wrong with a response. It contains paths of fields, never their values.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum InvalidResponse {
    /// For example the page of a proxy or a load balancer.
    #[error("it is not JSON")]
    NotJson,
    /// A field is missing, empty or not text.
    #[error("there is no text at `{0}`")]
    Lacks(&'static str),
    /// A field contains invalid text.
    #[error("the text at `{0}` is not of its kind")]
    Malformed(&'static str),
    /// A field differs from the request.
    #[error("the value at `{0}` differs from the request")]
    NotAsked(&'static str),
    /// The credentials are not usable.
    #[error(transparent)]
    Credentials(#[from] IncompleteCredentials),
    /// The same about credentials that are to sign.
    #[error(transparent)]
    Signing(#[from] UnusableCredentials),
    /// A response of STS has one or two kilobytes.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// Neither a success nor an error of STS's own, such as a redirect.
    #[error("it has HTTP status {0} and no `Code`")]
    Status(u16),
}

impl StsError {
    /// Why STS refused, if it did.
    pub(crate) fn refused_for(&self) -> Option<Reason> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.reason()),
            Self::Throttled { .. }
            | Self::Unavailable { .. }
            | Self::NonceUsed { .. }
            | Self::ClockSkewed { .. }
            | Self::Unreachable(_)
            | Self::Proxy(_)
            | Self::TimedOut
            | Self::NoCredentials
            | Self::InvalidResponse { .. } => None,
        }
    }

    /// Whether the same call may succeed if it is sent again.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Throttled { .. }
            | Self::Unavailable { .. }
            | Self::NonceUsed { .. }
            | Self::ClockSkewed { .. }
            | Self::Unreachable(_)
            | Self::Proxy(_)
            | Self::TimedOut
            | Self::NoCredentials
            // Not a decision of STS, for example empty credentials or a proxy's error page.
            | Self::InvalidResponse { .. } => true,
            Self::Refused { .. } => false,
        }
    }

    /// Whether another call for the same session would soon get the same response and only spend quota.
    pub(crate) fn is_worth_remembering(&self) -> bool {
        self.code_to_remember().is_some()
    }

    /// The `Code` of a refusal that is cached, for other replicas.
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
            | Self::Proxy(_)
            | Self::TimedOut
            | Self::NoCredentials
            | Self::InvalidResponse { .. } => None,
        }
    }

    /// STS's `Code`, if it refused.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.code().as_str()),
            Self::Throttled { .. }
            | Self::Unavailable { .. }
            | Self::NonceUsed { .. }
            | Self::ClockSkewed { .. }
            | Self::Unreachable(_)
            | Self::Proxy(_)
            | Self::TimedOut
            | Self::NoCredentials
            | Self::InvalidResponse { .. } => None,
        }
    }

    /// A refusal that another replica received and cached by its `Code`.
    pub(crate) fn remembered(code: &str) -> Option<Self> {
        let refusal = Refusal::repeated(code)?;
        Some(Self::Refused { refusal, request_id: None })
    }

    /// Whether STS is down: no response, or a server error.
    pub(crate) fn is_an_outage(&self) -> bool {
        match self {
            Self::Unavailable { .. }
            | Self::Unreachable(_)
            | Self::Proxy(_)
            | Self::TimedOut => true,
            Self::Throttled { .. }
            | Self::NonceUsed { .. }
            | Self::ClockSkewed { .. }
            | Self::Refused { .. }
            | Self::NoCredentials
            // A response arrived. An error in one session's response need not affect others.
            | Self::InvalidResponse { .. } => false,
        }
    }

    /// Whether the proxy asks for another user or password. Some proxies lock a user after a few wrong passwords.
    pub(crate) fn is_proxy_authentication(&self) -> bool {
        matches!(self, Self::Proxy(ProxyError::Authentication { .. }))
    }

    /// Whether STS throttles the account.
    pub(crate) fn is_throttling(&self) -> bool {
        matches!(self, Self::Throttled { .. })
    }

    /// Whether to try another endpoint: this one did not respond as STS does.
    pub(super) fn should_fail_over(&self) -> bool {
        match self {
            Self::Unavailable { .. }
            | Self::Unreachable(_)
            // The proxy may allow another host, or another endpoint may need no proxy.
            | Self::Proxy(_)
            | Self::TimedOut
            | Self::InvalidResponse { .. } => true,
            Self::Throttled { .. }
            | Self::NonceUsed { .. }
            | Self::ClockSkewed { .. }
            | Self::Refused { .. }
            | Self::NoCredentials => false,
        }
    }

    /// The metric label of the outcome, of a closed set.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Throttled { .. } => "throttled",
            Self::Unavailable { .. } => "unavailable",
            Self::NonceUsed { .. } => "nonce_used",
            Self::ClockSkewed { .. } => "clock_skewed",
            Self::Refused { refusal, .. } => refusal.reason().label(),
            Self::Unreachable(_) => "unreachable",
            Self::Proxy(error) => error.kind(),
            Self::TimedOut => "timed_out",
            Self::NoCredentials => "no_credentials",
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
            | Self::Proxy(_)
            | Self::TimedOut
            | Self::NoCredentials
            | Self::InvalidResponse { .. } => None,
        }
    }

    /// STS's request id, which Alibaba's support asks for.
    pub(crate) fn request_id(&self) -> Option<&str> {
        let id = match self {
            Self::Throttled { request_id, .. }
            | Self::Unavailable { request_id, .. }
            | Self::NonceUsed { request_id }
            | Self::ClockSkewed { request_id, .. }
            | Self::Refused { request_id, .. }
            | Self::InvalidResponse { request_id, .. } => request_id.as_ref(),
            Self::Unreachable(_) | Self::Proxy(_) | Self::TimedOut | Self::NoCredentials => None,
        };
        id.map(RequestId::as_str)
    }
}

impl From<reqwest::Error> for StsError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::TimedOut } else { Self::Unreachable(error.without_url()) }
    }
}

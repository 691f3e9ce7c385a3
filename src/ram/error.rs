//! Errors of calls to RAM, IMS and STS by an administrator.

use super::call::Service;
use super::refusal::Refusal;
use crate::outbound::ProxyError;

/// A failed call. What the service wrote beside its `Code` is never kept: it can echo parameters and signatures.
#[derive(Debug, thiserror::Error)]
#[error("{action} for {subject} failed")]
pub(crate) struct RamError {
    pub(super) action: &'static str,
    /// Such as `role/oss-readonly`.
    pub(super) subject: String,
    #[source]
    pub(super) problem: Box<RamProblem>,
}

/// Why a call failed, each with the way out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RamProblem {
    #[error("{0} throttles the account; run the command again in a minute")]
    Throttled(&'static str),
    #[error("{service} is in trouble, HTTP status {status}; run the command again")]
    Unavailable { service: &'static str, status: u16 },
    #[error("{0} has seen the nonce before; run the command again")]
    NonceUsed(&'static str),
    #[error("{0} found the timestamp too far off; set this machine's clock")]
    ClockSkewed(&'static str),
    /// No connection was made.
    #[error("{service} cannot be reached at {host}; check the network and the endpoint")]
    Unreachable {
        service: &'static str,
        host: String,
        #[source]
        cause: reqwest::Error,
    },
    #[error("{service} cannot be reached through the proxy of [egress]; {}", cause.fix())]
    Proxy {
        service: &'static str,
        #[source]
        cause: ProxyError,
    },
    /// The connection broke after it was made.
    #[error("the connection to {service} broke before its answer; run the command again")]
    Broken {
        service: &'static str,
        #[source]
        cause: reqwest::Error,
    },
    #[error(
        "{service} at {host} did not answer in time; check the network and the endpoint, and run the command again"
    )]
    TimedOut { service: &'static str, host: String },
    #[error("{service}'s answer cannot be used: {problem}; check the endpoint")]
    InvalidResponse { service: &'static str, problem: InvalidAnswer },
    #[error("{refusal}{}", quoted(request_id.as_deref()))]
    Refused { refusal: Refusal, request_id: Option<String> },
}

/// What is wrong with an answer. It contains names of fields, never their values.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum InvalidAnswer {
    #[error("it is not JSON")]
    NotJson,
    #[error("it has no valid `{0}`")]
    Lacks(&'static str),
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    #[error("it has HTTP status {0} and no `Code`")]
    Status(u16),
}

fn quoted(request_id: Option<&str>) -> String {
    request_id.map_or_else(String::new, |id| format!("; RequestId is {id}"))
}

impl RamError {
    /// Whether the thing to be made exists already.
    pub(crate) fn is_already_there(&self) -> bool {
        matches!(self.refusal(), Some(Refusal::AlreadyExists(_)))
    }

    /// Whether the thing does not exist.
    pub(crate) fn is_not_there(&self) -> bool {
        matches!(self.refusal(), Some(Refusal::NotExist(_)))
    }

    /// Whether the service may have done what it was asked although the call failed.
    pub(crate) fn may_be_done(&self) -> bool {
        self.problem.may_be_done()
    }

    fn refusal(&self) -> Option<&Refusal> {
        match &*self.problem {
            RamProblem::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }
}

impl RamProblem {
    pub(super) fn invalid(service: Service, problem: InvalidAnswer) -> Self {
        Self::InvalidResponse { service: service.name(), problem }
    }

    /// Whether the same call may succeed soon.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Throttled(_)
            | Self::Unavailable { .. }
            | Self::NonceUsed(_)
            | Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::TimedOut { .. } => true,
            Self::ClockSkewed(_)
            | Self::Proxy { .. }
            | Self::InvalidResponse { .. }
            | Self::Refused { .. } => false,
        }
    }

    /// Whether the service may have done what it was asked: its answer is lost or says nothing of it.
    pub(super) fn may_be_done(&self) -> bool {
        match self {
            Self::Unavailable { .. }
            | Self::Broken { .. }
            | Self::TimedOut { .. }
            | Self::InvalidResponse { .. } => true,
            Self::Throttled(_)
            | Self::NonceUsed(_)
            | Self::ClockSkewed(_)
            | Self::Unreachable { .. }
            | Self::Proxy { .. }
            | Self::Refused { .. } => false,
        }
    }
}

//! Why a source gave no credentials.

use std::io;

use crate::outbound::BodyError;
use crate::sts::StsError;
use appserver_domain::UnusableCredentials;

/// A failed renewal. It contains no part of an answer but a plain `Code`: the rest may be a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("the source cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the source did not answer in time")]
    TimedOut,
    /// A metadata server without version 2 answers so, too.
    #[error("the metadata server gave no metadata token, HTTP status {0}")]
    NoMetadataToken(u16),
    #[error(
        "the instance has no RAM role, or not the configured one: the metadata server answered HTTP status 404"
    )]
    NoRole,
    /// Redirects are not followed.
    #[error("the source answered HTTP status {0}, not 200")]
    Status(u16),
    #[error("the source's answer cannot be read")]
    Body(#[source] BodyError),
    #[error("the source's answer is not a JSON object")]
    NotJson,
    #[error("the source's answer has no text at `{0}`")]
    Lacks(&'static str),
    #[error("the source's answer is malformed at `{0}`")]
    Malformed(&'static str),
    #[error("the source's answer has {0}, and not `Success`")]
    Failed(String),
    #[error("the source's credentials cannot be used")]
    Unusable(#[from] UnusableCredentials),
    #[error("the file of the OIDC token cannot be read (`sts.identity.oidc.token_file`)")]
    TokenFile(#[source] io::Error),
    #[error("the file of the OIDC token has no JSON Web Token (`sts.identity.oidc.token_file`)")]
    NoToken,
    #[error("STS gave no credentials for the OIDC token")]
    Sts(#[source] StsError),
}

impl FetchError {
    /// The log's word for it, of a closed set.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::TimedOut => "timed_out",
            Self::NoMetadataToken(_) | Self::Status(_) => "status",
            Self::NoRole => "no_role",
            Self::Body(_) | Self::NotJson | Self::Lacks(_) | Self::Malformed(_) => {
                "invalid_response"
            }
            Self::Failed(_) => "failed",
            Self::Unusable(UnusableCredentials::Expired) => "expired",
            Self::Unusable(UnusableCredentials::Key(_) | UnusableCredentials::NoToken) => {
                "invalid_response"
            }
            Self::TokenFile(_) | Self::NoToken => "token_file",
            Self::Sts(error) => error.kind(),
        }
    }

    /// Whether a proxy asks for another user or password.
    pub(super) fn is_proxy_authentication(&self) -> bool {
        matches!(self, Self::Sts(error) if error.is_proxy_authentication())
    }
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        // The URL of a credentials URI may contain a secret.
        if error.is_timeout() { Self::TimedOut } else { Self::Unreachable(error.without_url()) }
    }
}

impl From<BodyError> for FetchError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Broken(error) if error.is_timeout() => Self::TimedOut,
            BodyError::Broken(error) => Self::Body(BodyError::Broken(error.without_url())),
            BodyError::TooLong(limit) => Self::Body(BodyError::TooLong(limit)),
        }
    }
}

//! Why OSS gets no answer of a backend.

use super::claims::ClaimsProblem;
use super::key_cache::KeyError;
use super::key_url::KeyUrlProblem;
use super::outcome::Obstacle;
use super::report::{Contradiction, ReportProblem};

/// Why a request is no report of an upload. Its sender learns none of this.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallbackRefusal {
    #[error("it has no `{0}` header, or several")]
    Header(&'static str),
    #[error("its `x-oss-pub-key-url` is refused: {0}")]
    KeyUrl(KeyUrlProblem),
    #[error("its `x-oss-pub-key-url` names a key that does not exist")]
    NoKey(#[source] KeyError),
    #[error("its signature is not that of OSS")]
    Signature,
    #[error("its body is not what the service requested: {0}")]
    Report(ReportProblem),
    #[error("its `x:upload` is not valid: {0}")]
    Claims(ClaimsProblem),
    #[error("it contradicts its `x:upload`: {0}")]
    Contradicts(Contradiction),
    #[error("the grant `{0}` has no callback now")]
    NoCallback(String),
    #[error("the upload was reported before, and its first report has no outcome yet")]
    InProgress,
    #[error("the bucket has another object than the reported one")]
    OtherObject,
    #[error("the object is confirmed as that of another upload")]
    OtherUpload,
}

/// Why a callback is not answered by the backend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallbackError {
    #[error("the service has no callbacks: no grant has `upload.callback`")]
    NotConfigured,
    #[error("the callback is refused: {0}")]
    Refused(CallbackRefusal),
    #[error("the public key of OSS cannot be fetched")]
    KeyUnavailable(#[source] KeyError),
    #[error("too many uploads are remembered")]
    Full,
    /// The first report met an obstacle; whether it is kept.
    #[error("the upload is not forwarded yet ({}), and {}", .0.as_str(), if *.1 { "kept" } else { "lost: too many are kept" })]
    NotForwarded(Obstacle, bool),
    #[error("the task of the callback ended early")]
    Lost,
}

impl CallbackError {
    /// What failed of what OSS cannot fix, for metrics and the log.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::NotConfigured | Self::Refused(_) => None,
            Self::KeyUnavailable(_) => Some("callback_key"),
            Self::Full => Some("callback_full"),
            Self::NotForwarded(obstacle, _) => Some(obstacle.as_str()),
            Self::Lost => Some("callback_lost"),
        }
    }
}

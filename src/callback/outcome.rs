//! How the report of one upload ended, as it is remembered and answered again.

use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};

/// The longest answer of a backend that is passed on and remembered.
pub(super) const MAX_ANSWER_BYTES: usize = 16 << 10;

/// How a report ended.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Outcome {
    /// The backend has it. OSS gets this JSON.
    Answered(String),
    /// It is kept and delivered again; OSS gets an error.
    Kept(Obstacle),
    /// There is no space to keep it; OSS gets an error.
    Dropped(Obstacle),
}

/// What kept a report from the backend.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize, thiserror::Error)]
pub(crate) enum Obstacle {
    #[error("the object cannot be looked at: OSS or STS fails")]
    Unconfirmed,
    #[error("the backend is not reachable, or answered with another status than 2xx")]
    BackendFailed,
    #[error("no answer came in time")]
    TimedOut,
    #[error("the audit does not accept its line")]
    AuditUnavailable,
    #[error("its grant has no callback now")]
    NotConfigured,
}

impl Obstacle {
    /// The label in metrics and the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unconfirmed => "callback_unconfirmed",
            Self::BackendFailed => "callback_backend",
            Self::TimedOut => "callback_timed_out",
            Self::AuditUnavailable => "callback_audit",
            Self::NotConfigured => "callback_not_configured",
        }
    }
}

impl Outcome {
    pub(super) fn to_json(&self) -> SecretSlice<u8> {
        serde_json::to_vec(self).expect("text can be written").into()
    }

    pub(super) fn from_json(json: &SecretSlice<u8>) -> Option<Self> {
        serde_json::from_slice(json.expose_secret()).ok()
    }

    /// How much memory it takes beside its fixed size.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Answered(json) => json.len(),
            Self::Kept(_) | Self::Dropped(_) => 0,
        }
    }
}

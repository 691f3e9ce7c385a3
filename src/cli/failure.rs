//! How a command fails: its exit code and its message.

use std::fmt::Display;

use crate::app::StartError;
use crate::config::Problems;
use crate::telemetry::with_causes;

/// An account differs from its plan.
pub(super) const EXIT_DRIFT: u8 = 1;
/// An account could not be read or changed.
pub(super) const EXIT_NOT_EXAMINED: u8 = 2;
/// The command line is wrong, as clap reports it.
pub(super) const EXIT_USAGE: u8 = 2;
/// The configuration or the command line is wrong (BSD's `EX_USAGE`).
pub(super) const EXIT_CONFIG: u8 = 64;
/// A needed resource is unavailable, such as an address (`EX_UNAVAILABLE`).
pub(super) const EXIT_UNAVAILABLE: u8 = 69;
/// Results cannot be written, as on a full disk (`EX_IOERR`).
pub(super) const EXIT_IO: u8 = 74;
/// The AccessKey must not be used (`EX_NOPERM`).
pub(super) const EXIT_KEY_REFUSED: u8 = 77;

/// Why a command failed: exit code and message.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: u8,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(exit: u8, message: impl Display) -> Self {
        Self { exit, message: message.to_string() }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        let count = problems.iter().count();
        let noun = if count == 1 { "problem" } else { "problems" };
        Self::new(EXIT_CONFIG, format!("the configuration has {count} {noun}:\n{problems}"))
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Secrets(problems) => problems.into(),
            StartError::Listen { .. }
            | StartError::Tls(_)
            | StartError::IdentityTls(_)
            | StartError::IssuersTls(_)
            | StartError::UploadsTls(_)
            | StartError::DecisionTls(_)
            | StartError::Tracing(_)
            | StartError::Store(_) => Self::new(EXIT_UNAVAILABLE, with_causes(&error)),
        }
    }
}

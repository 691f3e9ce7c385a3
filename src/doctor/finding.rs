//! What a check found.

use serde::Serialize;

/// One line of the result.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Finding {
    /// What was looked at, of a closed set: `endpoint`, `role` and so on.
    pub(crate) check: &'static str,
    pub(crate) outcome: Outcome,
    /// Which one, where there can be several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    pub(crate) message: String,
    /// What the operator should do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mend: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) enum Outcome {
    Ok,
    /// It works, and not as well as it should.
    Warning,
    Failed,
    /// Something before it failed, so it could not be tried.
    Skipped,
}

impl Finding {
    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Outcome::Ok, message.into())
    }

    pub(super) fn warning(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Outcome::Warning, message.into())
    }

    pub(super) fn failed(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Outcome::Failed, message.into())
    }

    pub(super) fn skipped(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Outcome::Skipped, message.into())
    }

    pub(super) fn of(self, subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), ..self }
    }

    pub(super) fn mend(self, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..self }
    }

    fn new(check: &'static str, outcome: Outcome, message: String) -> Self {
        Self { check, outcome, subject: None, message, mend: None }
    }
}

//! The result of one check.

use serde::Serialize;

use appserver_domain::UpstreamName;

/// One line of the result.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Finding {
    /// The check, of a closed set: `endpoint`, `role` and so on.
    pub(crate) check: &'static str,
    pub(crate) outcome: Outcome,
    /// The upstream that it is about; `[sts]` itself has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upstream: Option<String>,
    /// The tested item, if a check has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    pub(crate) message: String,
    /// What the operator should do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) enum Outcome {
    Ok,
    /// It works, but not as well as it should.
    Warning,
    Failed,
    /// Not tested, because an earlier check failed.
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

    /// The deadline came first.
    pub(super) fn out_of_time(check: &'static str) -> Self {
        Self::failed(check, "not tested: the time is up")
            .fix("run it again with a longer --timeout")
    }

    pub(super) fn of(self, subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), ..self }
    }

    pub(super) fn of_upstream(self, upstream: &UpstreamName) -> Self {
        Self { upstream: upstream.name_unless_default().map(str::to_owned), ..self }
    }

    pub(super) fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }

    fn new(check: &'static str, outcome: Outcome, message: String) -> Self {
        Self { check, outcome, upstream: None, subject: None, message, fix: None }
    }
}

//! One difference between an account and its plan.

use serde::Serialize;

use super::permission_set::Incomparable;

/// One difference.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Drift {
    pub(crate) kind: DriftKind,
    /// Such as `role/oss-readonly`.
    pub(crate) subject: String,
    pub(crate) message: String,
    /// The statement that allows too much, minified JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) statement: Option<String>,
    /// A request that shows the difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<String>,
    /// What to do by hand.
    pub(crate) fix: String,
}

/// The kinds of difference.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) enum DriftKind {
    /// It does not exist. `setup apply` makes it.
    Missing,
    /// It allows what no grant needs.
    WiderThanNeeded,
    /// It does not allow what a grant needs.
    NarrowerThanNeeded,
    /// It cannot be compared.
    Undecided,
}

impl DriftKind {
    /// The words of it in a report.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::WiderThanNeeded => "wider than needed",
            Self::NarrowerThanNeeded => "narrower than needed",
            Self::Undecided => "undecided",
        }
    }
}

impl Drift {
    pub(super) fn new(kind: DriftKind, subject: &str, message: String, fix: String) -> Self {
        let (subject, statement, request) = (subject.to_owned(), None, None);
        Self { kind, subject, message, statement, request, fix }
    }

    pub(super) fn undecided(subject: &str, problem: &Incomparable) -> Self {
        let message = format!("its policies cannot be compared: {problem}");
        let fix = "compare them by hand with those of `appserver setup plan`".to_owned();
        Self::new(DriftKind::Undecided, subject, message, fix)
    }
}

//! Why a caller gets no grant.

use std::collections::BTreeSet;

use appserver_domain::{GrantName, SessionDuration};
use appserver_policy::{PolicyRefusal, RenderProblem, ValueProblem};

/// Why a caller gets no grant.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The grant does not exist or is not one of the client's. Callers do not learn which.
    #[error("the client may not use this grant")]
    NotGranted,
    /// The grant signs uploads, and a token would not be bound by their rules.
    #[error("the grant is for uploads: `POST /v1/uploads` answers for it")]
    UploadsOnly {
        /// Grants of the client that vend tokens.
        others: Vec<GrantName>,
    },
    #[error("the client has several grants: name one of {}", names(.0))]
    NameRequired(BTreeSet<GrantName>),
    #[error(
        "a duration for this grant is {} to {} seconds", .shortest.as_secs(), .longest.as_secs()
    )]
    Duration { shortest: SessionDuration, longest: SessionDuration },
    #[error("the login ends too soon for credentials that must end with it")]
    LoginEndsSoon,
    #[error("the login ends, and what is signed would end with it")]
    LoginEnds,
    #[error(transparent)]
    Value(#[from] ValueProblem),
    /// The caller's own policy is not within the grant's.
    #[error(transparent)]
    Policy(#[from] PolicyRefusal),
}

impl From<RenderProblem> for Refusal {
    fn from(problem: RenderProblem) -> Self {
        match problem {
            RenderProblem::Value(problem) => Self::Value(problem),
            RenderProblem::Policy(refusal) => Self::Policy(refusal),
        }
    }
}

fn names(grants: &BTreeSet<GrantName>) -> String {
    grants.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

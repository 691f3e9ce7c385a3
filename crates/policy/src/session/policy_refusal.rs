//! Why no session is rendered for a policy that a caller sends.

use std::fmt;

use crate::containment::intersection::ContainmentError;
use crate::document::tree::{Document, Effect};
use crate::exact::{Bounds, Inclusion, TooComplex, Witness};

/// Why a request with a policy of its own is refused. It quotes what the caller sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PolicyRefusal {
    /// The policy is not within the grant's, or not in a form in which containment proves it.
    #[error("{error}{}", Compared(inclusion.as_deref()))]
    NotContained {
        /// The part that containment does not find in the grant.
        error: ContainmentError,
        /// What the exact comparison of this part says, if it was compared.
        inclusion: Option<Box<Inclusion>>,
    },
    /// Containment accepts the policy, and the exact comparison finds this request beyond the grant. One of them has a bug.
    #[error("two proofs disagree about it; quote the RequestId to the operator")]
    Disagreement(Witness),
    /// The exact comparison is not decided within the bounds of a request.
    #[error("{}", simpler(*.0))]
    TooComplex(TooComplex),
}

impl PolicyRefusal {
    /// With the exact comparison of the statement in which containment failed.
    ///
    /// Conditions and denials of the grant are added to what is sent, so they are no reason why an action on a resource is
    /// refused.
    pub(super) fn not_contained(
        error: ContainmentError,
        requested: &Document<String>,
        granted: &Document<String>,
    ) -> Self {
        let (statement, compares_conditions) = match &error {
            ContainmentError::Beyond { statement, .. } => (*statement, false),
            ContainmentError::Condition { statement, .. } => (*statement, true),
            ContainmentError::TooLong { .. } => {
                return Self::NotContained { error, inclusion: None };
            }
        };
        let mut granted = granted.clone();
        granted.statements.retain(|statement| statement.effect == Effect::Allow);
        if !compares_conditions {
            for statement in &mut granted.statements {
                statement.condition.clear();
            }
        }
        let statements = requested.statements.get(statement).cloned().into_iter().collect();
        let requested = Document { version: requested.version, statements };
        let inclusion = requested.inclusion_within(&granted, Bounds::REQUEST);
        Self::NotContained { error, inclusion: Some(Box::new(inclusion)) }
    }
}

struct Compared<'a>(Option<&'a Inclusion>);

impl fmt::Display for Compared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Inclusion::Beyond(witness)) => {
                write!(f, "; the policy allows {witness}, and the grant does not")
            }
            Some(Inclusion::Included) => f.write_str(
                "; the grant allows it in several parts: split the statement, so that each statement lies in one of them",
            ),
            Some(Inclusion::TooComplex(_)) | None => Ok(()),
        }
    }
}

fn simpler(bound: TooComplex) -> &'static str {
    match bound {
        TooComplex::Statements => "together with the grant's it has too many statements; use fewer",
        TooComplex::Patterns => {
            "its patterns overlap in too many ways to compare them with the grant's; use fewer `*` and `?`"
        }
        TooComplex::Conditions => {
            "its conditions combine in too many ways to compare them with the grant's; use fewer"
        }
        TooComplex::Characters => "it has a character that cannot be compared; leave it out",
        TooComplex::Kinds => {
            "a condition key is compared as values of two kinds, or ignoring case beyond ASCII; \
             compare it in one way"
        }
    }
}

//! Why no session is rendered for a policy that a caller sends.

use std::fmt;

use crate::containment::intersection::ContainmentError;
use crate::document::tree::{Document, Effect, Statement};
use crate::exact::{Bounds, Inclusion, TooComplex, Witness};
use crate::oss::operation::Operation;

/// Why a request with a policy of its own is refused. It quotes what the caller sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PolicyRefusal {
    /// The policy is not within the grant's, or not in a form in which containment proves it.
    #[error("{error}{}", Compared(comparison.as_deref()))]
    NotContained {
        /// The part that containment does not find in the grant.
        error: ContainmentError,
        /// What the exact comparison of this part says, if it was compared and decided.
        comparison: Option<Box<Comparison>>,
    },
    /// Containment accepts the policy, and the exact comparison finds this request beyond the grant. One of them has a bug.
    #[error("two proofs disagree about it; quote the RequestId to the operator")]
    Disagreement(Witness),
    /// The exact comparison is not decided within the bounds of a request.
    #[error("{}{}", simpler(*bound), FirstIn(*statement))]
    TooComplex {
        /// The bound that was met.
        bound: TooComplex,
        /// The requested statement that contributes most to it, if there is one.
        statement: Option<usize>,
    },
}

/// What the exact comparison says about a statement that containment does not find in the grant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Comparison {
    /// The requested policy allows this request, and the grant does not.
    Beyond(Witness),
    /// Only denials of the requested policy keep the statement within the grant.
    WithinByDenials,
    /// The grant allows the statement in several parts.
    InParts,
}

impl PolicyRefusal {
    /// With the exact comparison of the statement in which containment failed, beside the denials of the requested
    /// policy.
    ///
    /// Conditions and denials of the grant are added to what is sent, so they are no reason why an action on a resource is
    /// refused.
    pub(super) fn not_contained(
        error: ContainmentError,
        requested: &Document<String>,
        granted: &Document<String>,
    ) -> Self {
        let (statement, compares_conditions) = match &error {
            // A request for the operation is decided as one for another action, so none shows what the grant lacks.
            ContainmentError::Beyond { action, .. }
                if Operation::named(action) != Operation::Action =>
            {
                return Self::NotContained { error, comparison: None };
            }
            ContainmentError::Beyond { statement, .. } => (*statement, false),
            ContainmentError::Condition { statement, .. } => (*statement, true),
            ContainmentError::TooLong { .. } => {
                return Self::NotContained { error, comparison: None };
            }
        };
        let mut granted = granted.clone();
        granted.statements.retain(|statement| statement.effect == Effect::Allow);
        if !compares_conditions {
            for statement in &mut granted.statements {
                statement.condition.clear();
            }
        }
        let alone: Vec<_> = requested.statements.get(statement).cloned().into_iter().collect();
        let denials = requested.statements.iter().filter(|one| one.effect == Effect::Deny);
        let included = |statements| {
            let requested = Document { version: requested.version, statements };
            requested.inclusion_within(&granted, Bounds::REQUEST)
        };
        let comparison = match included(alone.iter().chain(denials).cloned().collect()) {
            Inclusion::Beyond(witness) => Some(Comparison::Beyond(witness)),
            Inclusion::TooComplex(_) => None,
            Inclusion::Included => match included(alone) {
                Inclusion::Included => Some(Comparison::InParts),
                Inclusion::Beyond(_) => Some(Comparison::WithinByDenials),
                Inclusion::TooComplex(_) => None,
            },
        };
        Self::NotContained { error, comparison: comparison.map(Box::new) }
    }

    /// With the requested statement that contributes most to the bound.
    pub(super) fn located(self, requested: &Document<String>) -> Self {
        let Self::TooComplex { bound, .. } = self else { return self };
        let weight = |statement: &Statement<String>| match bound {
            TooComplex::Patterns => {
                let texts =
                    statement.actions.patterns().iter().chain(statement.resource.as_slice());
                texts.flat_map(|text| text.chars()).filter(|c| matches!(c, '*' | '?')).count()
            }
            TooComplex::Conditions => {
                let keys = statement.condition.values().flatten();
                keys.map(|(_, values)| values.as_slice().len()).sum()
            }
            TooComplex::Statements | TooComplex::Characters | TooComplex::Kinds => 0,
        };
        let weights = requested.statements.iter().map(weight).enumerate();
        let heaviest = weights.filter(|(_, weight)| *weight > 0).max_by_key(|(_, weight)| *weight);
        Self::TooComplex { bound, statement: heaviest.map(|(statement, _)| statement) }
    }
}

struct Compared<'a>(Option<&'a Comparison>);

impl fmt::Display for Compared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Comparison::Beyond(witness)) => {
                write!(f, "; the policy allows {witness}, and the grant does not")
            }
            Some(Comparison::WithinByDenials) => f.write_str(
                "; a Deny of the policy itself does not count here: leave out of the Allow what it denies",
            ),
            Some(Comparison::InParts) => f.write_str(
                "; the grant allows it in several parts: split the statement, so that each statement lies in one of them",
            ),
            None => Ok(()),
        }
    }
}

struct FirstIn(Option<usize>);

impl fmt::Display for FirstIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(statement) => write!(f, ", first in Statement[{statement}], which has the most"),
            None => Ok(()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_named_if_one_of_them_adds_to_the_bound() {
        let requested = |statements: &str| {
            Document::plain(&format!(r#"{{"Version":"1","Statement":[{statements}]}}"#)).unwrap()
        };
        let one = |key: &str| {
            format!(
                r#"{{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:oss:11223344:b/{key}"}}"#
            )
        };
        let located = |bound, statements: &str| {
            let refusal = PolicyRefusal::TooComplex { bound, statement: None };
            match refusal.located(&requested(statements)) {
                PolicyRefusal::TooComplex { statement, .. } => statement,
                other => panic!("{other}"),
            }
        };
        let (plain, with_wildcard) = (one("a"), one("a*"));
        let both = format!("{with_wildcard},{plain}");
        assert_eq!(located(TooComplex::Patterns, &both), Some(0));
        assert_eq!(located(TooComplex::Patterns, &format!("{plain},{plain}")), None);
        assert_eq!(located(TooComplex::Conditions, &both), None);
        assert_eq!(located(TooComplex::Characters, &both), None);
    }
}

//! All that a grant renders for one request.

use crate::domain::{SessionName, SourceIdentity};

use super::problem::PolicyProblem;
use super::session::SessionPolicy;
use super::session_name::{NameFlaw, NameTemplate, SessionNameTemplate, SourceIdentityTemplate};
use super::template::{Breadth, Template};
use super::values::{RawValues, Uses, ValueProblem, ValueRules, Values};

/// A grant's texts together with the rules they were read by.
///
/// They stay together because rendering relies on it: values admitted by other rules could be missing or too
/// long, and then rendering could fail.
pub(crate) struct Narrowing {
    rules: ValueRules,
    uses: Uses,
    policy: Template,
    session_name: SessionNameTemplate,
    source_identity: Option<SourceIdentityTemplate>,
}

/// A grant's texts as they are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NarrowingTexts<'a> {
    /// A RAM policy document with placeholders.
    pub(crate) policy: &'a str,
    pub(crate) breadth: Breadth,
    pub(crate) session_name: &'a str,
    pub(crate) source_identity: Option<&'a str>,
}

/// What is wrong with one of the texts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NarrowingProblem {
    #[error(transparent)]
    Policy(PolicyProblem),
    #[error(transparent)]
    SessionName(NameFlaw),
    #[error(transparent)]
    SourceIdentity(NameFlaw),
}

/// One caller's share of a grant, as STS will see it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Narrowed {
    pub(crate) policy: SessionPolicy,
    pub(crate) session_name: SessionName,
    pub(crate) source_identity: Option<SourceIdentity>,
}

impl Narrowing {
    /// Reads the texts, or says everything that is wrong with any of them.
    pub(crate) fn parse(
        texts: NarrowingTexts<'_>,
        rules: ValueRules,
    ) -> Result<Self, Vec<NarrowingProblem>> {
        let mut problems = Vec::new();
        let policy = Template::parse(texts.policy, &rules, texts.breadth)
            .map_err(|found| problems.extend(found.into_iter().map(NarrowingProblem::Policy)));
        let session_name = SessionNameTemplate::parse(texts.session_name, &rules)
            .map_err(|found| problems.extend(found.into_iter().map(NarrowingProblem::SessionName)));
        let source_identity = texts
            .source_identity
            .map(|written| SourceIdentityTemplate::parse(written, &rules))
            .transpose()
            .map_err(|found| {
                problems.extend(found.into_iter().map(NarrowingProblem::SourceIdentity));
            });
        match (policy, session_name, source_identity) {
            (Ok(policy), Ok(session_name), Ok(source_identity)) => {
                let name_uses = source_identity.as_ref().map(NameTemplate::uses);
                let uses =
                    policy.uses().and(session_name.uses()).and(name_uses.unwrap_or_default());
                Ok(Self { rules, uses, policy, session_name, source_identity })
            }
            _ => Err(problems),
        }
    }

    /// What a credential must prove for this grant.
    pub(crate) fn uses(&self) -> &Uses {
        &self.uses
    }

    /// What a request may and must bring.
    pub(crate) fn rules(&self) -> &ValueRules {
        &self.rules
    }

    /// The only way from a request's values to a session policy: through their admission.
    pub(crate) fn render(&self, raw: RawValues<'_>) -> Result<Narrowed, ValueProblem> {
        let values = Values::admit(&self.rules, &self.uses, raw)?;
        Ok(Narrowed {
            policy: self.policy.render(&values),
            session_name: self.session_name.render(&values),
            source_identity: self.source_identity.as_ref().map(|name| name.render(&values)),
        })
    }
}

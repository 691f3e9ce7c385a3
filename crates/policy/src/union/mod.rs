//! The permissions that a role needs: everything that its grants can render, and as little else as RAM can express.
//!
//! A placeholder becomes its values, if they are listed and few, and else `*`, because RAM knows nothing of them. Whatever a grant renders or signs is included; the union is
//! minimised by the exact comparison of [`crate::exact`], and split into documents that RAM accepts.

mod comparison;
pub(crate) mod grant_need;
mod minimise;
mod split;
mod widen;

use comparison::UnionComparison;

use crate::document::tree::{Document, Effect};
use grant_need::GrantNeed;

/// The longest document of a custom policy, in bytes. Source: RAM `CreatePolicyVersion`.
pub const MAX_ROLE_POLICY_BYTES: usize = 6144;

/// The permissions of the role of some grants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GrantUnion {
    document: Document<String>,
    is_complete: bool,
}

impl GrantUnion {
    /// The union of what the grants need. The result does not depend on their order.
    pub fn of<'a>(needs: impl IntoIterator<Item: Into<GrantNeed<'a>>>) -> Self {
        let widest: Vec<_> = needs.into_iter().flat_map(|need| need.into().widest("*")).collect();
        let statements = |effect: Effect| {
            let all = widest.iter().flat_map(|document| &document.statements);
            let statements: Vec<_> =
                all.filter(|statement| statement.effect == effect).cloned().collect();
            Document::of(statements).canonicalize().statements
        };
        let mut comparison = UnionComparison::new();
        let mut union =
            Document::of(minimise::minimise(statements(Effect::Allow), &mut comparison));
        // A denial of one grant would also bind the others. It stays if no grant loses anything by it.
        for denial in statements(Effect::Deny) {
            let keeps_all = |grant| {
                let loses = comparison.loses(grant, &denial);
                if loses.is_none() {
                    comparison.set_incomplete();
                }
                loses == Some(false)
            };
            if widest.iter().all(keeps_all) {
                union.statements.push(denial);
            }
        }
        Self { document: union, is_complete: comparison.is_complete() }
    }

    /// Whether all comparisons ended within their bounds. If not, it allows all that the grants need, and may repeat what it
    /// allows elsewhere or lack a denial that it could have.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The union as RAM policies of at most [`MAX_ROLE_POLICY_BYTES`] each, minified. Together they allow what it allows.
    pub fn policies(&self) -> Vec<String> {
        split::split(&self.document.statements, MAX_ROLE_POLICY_BYTES)
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! The permissions that a role needs: everything that its grants can render, and as little else as RAM can express.
//!
//! A placeholder becomes `*`, because RAM knows nothing of its values. Whatever a grant renders is included; the union is
//! minimised by the exact comparison of [`crate::exact`], and split into documents that RAM accepts.

mod minimise;
mod split;
mod widen;

use crate::document::tree::{Document, Effect, Statement, Version};
use crate::exact::Inclusion;
use crate::session::grant_template::GrantTemplate;

/// The longest document of a custom policy, in bytes. Source: RAM `CreatePolicyVersion`.
pub const MAX_ROLE_POLICY_BYTES: usize = 6144;

/// The permissions of the role of some grants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GrantUnion(Document<String>);

impl GrantUnion {
    /// The union of what the grants can render. The result does not depend on their order.
    pub fn of<'a>(grants: impl IntoIterator<Item = &'a GrantTemplate>) -> Self {
        let widest: Vec<_> =
            grants.into_iter().map(|grant| widen::widest(grant.document())).collect();
        let statements = |effect: Effect| {
            let all = widest.iter().flat_map(|document| &document.statements);
            let statements: Vec<_> =
                all.filter(|statement| statement.effect == effect).cloned().collect();
            document(statements).canonicalize().statements
        };
        let mut union = document(minimise::minimise(statements(Effect::Allow)));
        // A denial of one grant would also bind the others. It stays if no grant loses anything by it.
        for denial in statements(Effect::Deny) {
            let mut denied = union.clone();
            denied.statements.push(denial);
            let is_included =
                |grant: &Document<String>| grant.inclusion_in(&denied) == Inclusion::Included;
            if widest.iter().all(is_included) {
                union = denied;
            }
        }
        Self(union)
    }

    /// The union as RAM policies of at most [`MAX_ROLE_POLICY_BYTES`] each, minified. Together they allow what it allows.
    pub fn policies(&self) -> Vec<String> {
        split::split(&self.0.statements, MAX_ROLE_POLICY_BYTES)
    }
}

impl GrantTemplate {
    /// The bytes that everything it can render takes of its role's policies, if nothing is shared with other grants.
    pub fn widest_bytes(&self) -> usize {
        widen::widest(self.document()).minified().len()
    }
}

fn document(statements: Vec<Statement<String>>) -> Document<String> {
    Document { version: Version::One, statements }
}

#[cfg(test)]
mod tests;

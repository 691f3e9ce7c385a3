//! Policies that callers send, and their containment in the policy of the grant.

mod condition;
pub(crate) mod intersection;
pub(crate) mod requested_policy;

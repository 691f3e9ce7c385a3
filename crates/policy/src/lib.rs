//! RAM policies: documents, the templates that session policies are rendered from, and the proofs about both. Pure, no
//! I/O.
//!
//! [`GrantTemplate`] is the entry point. It parses a grant's texts when the configuration loads and reports every
//! problem in them; for a request it turns the values into a [`RenderedSession`] with its [`SessionPolicy`]. A caller
//! that wants less than its grant gives sends a [`RequestedPolicy`], which is rendered only if it lies within the
//! grant's policy. An [`Explanation`] evaluates a [`Request`] against the session policy that would be sent. A
//! [`GrantSessionPolicy`] is what the server itself signs with for all callers of a grant.

mod containment;
mod disjoint;
mod document;
mod evaluate;
mod exact;
mod lint;
mod matching;
mod oss;
mod session;
mod template;
mod union;

pub use containment::intersection::ContainmentError;
pub use containment::requested_policy::RequestedPolicy;
pub use disjoint::{
    Callers, Disjointness, NotDisjoint, SharedReach, SharedResource, SharedResourceProblem,
    Unproven,
};
pub use document::problem::PolicyProblem;
pub use evaluate::explanation::{Explanation, RolePolicy, StatementVerdict};
pub use evaluate::request::{Request, RequestProblem};
pub use exact::{ComparablePolicy, Inclusion, TooComplex, Witness};
pub use lint::policy_file::{LintReport, lint_file};
pub use session::admitted_caller::{AdmittedCaller, UploadKeyProblem};
pub use session::grant_session_policy::{GrantSessionPolicy, GrantSessionProblem, ObjectActions};
pub use session::grant_template::{
    GrantTemplate, GrantTemplateProblem, GrantTexts, RenderProblem, RenderedSession,
};
pub use session::object_key_template::ObjectKeyFlaw;
pub use session::policy_refusal::PolicyRefusal;
pub use session::session_policy::SessionPolicy;
pub use template::policy_template::Breadth;
pub use template::value_rule::{Shape, ValueRule, ValueRules};
pub use template::values::{RawValues, SubjectUse, ValueProblem};
pub use template::whole_pattern::WholePattern;
pub use union::grant_need::GrantNeed;
pub use union::{GrantUnion, MAX_ROLE_POLICY_BYTES};

#[cfg(test)]
mod tests;

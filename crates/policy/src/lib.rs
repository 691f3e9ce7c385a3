//! What a token may do: RAM policies, the templates they are rendered from, and their proofs. Pure, no I/O.
//!
//! [`GrantTemplate`] is the front door: it reads a grant's texts when the configuration loads, with all that is
//! wrong with them, and turns a request's values into a [`SessionPolicy`] and a session name. A caller that asks
//! for less sends an [`RequestedPolicy`], which becomes one only within its grant's. An [`Explanation`] puts a
//! [`Request`] to the very policy that would be sent.

mod containment;
mod document;
mod evaluate;
mod lint;
mod matching;
mod oss;
mod session;
mod template;

pub use containment::intersection::ContainmentError;
pub use containment::requested_policy::RequestedPolicy;
pub use document::problem::PolicyProblem;
pub use evaluate::explanation::{Explanation, RolePolicy, StatementVerdict};
pub use evaluate::request::{Request, RequestProblem};
pub use lint::file::{LintReport, lint_file};
pub use session::grant_template::{
    GrantTemplate, GrantTemplateProblem, GrantTexts, RenderProblem, RenderedSession,
};
pub use session::session_policy::SessionPolicy;
pub use template::policy_template::Breadth;
pub use template::value_rule::{Shape, ValueRule, ValueRules};
pub use template::values::{RawValues, SubjectUse, ValueProblem};

#[cfg(test)]
mod tests;

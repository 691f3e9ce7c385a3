//! What a token may do: RAM policies, the templates they are rendered from, and their proofs. Pure, no I/O.
//!
//! [`GrantTemplate`] is the front door: it reads a grant's texts when the configuration loads, with all that is
//! wrong with them, and turns a request's values into a [`SessionPolicy`] and a session name. A caller that asks
//! for less sends an [`RequestedPolicy`], which becomes one only within its grant's. An [`Explanation`] puts a
//! [`Request`] to the very policy that would be sent.

mod action;
mod advice;
mod breadth;
mod caller_chosen;
mod canonicalize;
mod catalogue;
mod condition;
mod containment;
mod document;
mod evaluate;
mod explanation;
mod grammar;
mod grant_template;
mod hint;
mod isolation;
mod json;
mod lint;
mod member;
mod network;
mod operation;
mod operator;
mod oss_resource;
mod overlap;
mod parser;
mod path_rules;
mod pattern;
mod placeholder;
mod problem;
mod request;
mod requested_policy;
mod resource;
mod rule;
mod session;
mod session_name;
mod subject_form;
mod template;
mod text;
mod time_format;
mod unknown_names;
mod values;

pub use containment::ContainmentError;
pub use explanation::{Explanation, RolePolicy, StatementVerdict};
pub use grant_template::{
    GrantTemplate, GrantTemplateProblem, GrantTexts, RenderProblem, RenderedSession,
};
pub use lint::{LintReport, lint_file};
pub use problem::PolicyProblem;
pub use request::{Request, RequestProblem};
pub use requested_policy::RequestedPolicy;
pub use rule::{Shape, ValueRule};
pub use session::SessionPolicy;
pub use template::Breadth;
pub use values::{RawValues, SubjectUse, ValueProblem, ValueRules};

#[cfg(test)]
mod tests;

//! What a token may do: RAM policies, the templates they are rendered from, and their proofs. Pure, no I/O.
//!
//! [`Narrowing`] is the front door: it reads a grant's texts when the configuration loads, with all that is
//! wrong with them, and turns a request's values into a [`SessionPolicy`] and a session name. A caller that asks
//! for less sends an [`AskedPolicy`], which becomes one only within its grant's. An [`Explanation`] puts a
//! [`Request`] to the very policy that would be sent.

mod action;
mod advice;
mod asked;
mod breadth;
mod caller_chosen;
mod catalogue;
mod condition;
mod contain;
mod document;
mod evaluate;
mod explanation;
mod grammar;
mod hint;
mod isolation;
mod json;
mod lint;
mod member;
mod narrowing;
mod network;
mod normal;
mod operation;
mod operator;
mod oss_resource;
mod overlap;
mod path_rules;
mod pattern;
mod placeholder;
mod problem;
mod reader;
mod request;
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

pub use asked::AskedPolicy;
pub use contain::Excess;
pub use explanation::{Explanation, Judged, RolePolicy};
pub use lint::{Linted, lint_file};
pub use narrowing::{Narrowed, Narrowing, NarrowingProblem, NarrowingTexts, RenderProblem};
pub use problem::PolicyProblem;
pub use request::{Request, RequestProblem};
pub use rule::{Shape, ValueRule};
pub use session::SessionPolicy;
pub use template::Breadth;
pub use values::{RawValues, SubjectUse, ValueProblem, ValueRules};

#[cfg(test)]
mod tests;

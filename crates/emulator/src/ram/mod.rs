//! A small RAM: accounts, users and roles, and the evaluation of their policies.
//!
//! It shares no code with the service's policy crate, so that tests which compare the two find errors in either.

mod account;
mod condition;
mod evaluate;
mod issuers;
mod network;
mod pattern;
mod policy;
mod session_token;
mod statement;
mod system;
mod trust;

pub(crate) use account::{Key, Owner, Principal, Ram, Role, User};
pub use condition::ConditionProblem;
pub use evaluate::{Deciding, Decision, Request, decide};
pub(crate) use issuers::{IssuerKeys, OidcProvider};
pub use policy::{Policy, PolicyProblem};
pub use session_token::{Session, TokenKey, TokenProblem};
pub use statement::StatementProblem;
pub(crate) use system::system_policy;
pub(crate) use trust::{TrustPolicy, Trustee};

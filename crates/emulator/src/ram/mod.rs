//! A small RAM: accounts, users and roles, and the evaluation of their policies.
//!
//! It shares no code with the service's policy crate, so that tests which compare the two find errors in either.

mod access_key;
mod bucket_policy;
mod condition;
mod custom_policy;
mod document;
mod evaluate;
mod issuer_keys;
mod network;
mod network_policy;
mod oidc_provider;
mod pattern;
mod policy;
mod principal;
mod role;
mod session_token;
mod shared;
mod state;
mod state_file;
mod statement;
mod system;
mod trust;
mod user;

pub(crate) use access_key::AccessKey;
pub(crate) use bucket_policy::BucketPolicy;
pub use condition::ConditionProblem;
pub(crate) use custom_policy::{CustomPolicy, PolicyVersion};
pub(crate) use document::{Document, Parsed};
pub use evaluate::{Deciding, Decision, Request, decide};
pub(crate) use issuer_keys::IssuerKeys;
pub(crate) use network_policy::NetworkPolicy;
pub(crate) use oidc_provider::OidcProvider;
pub use policy::{Policy, PolicyProblem};
pub(crate) use principal::{Owner, Principal};
pub(crate) use role::Role;
pub use session_token::{Session, TokenKey, TokenProblem};
pub(crate) use shared::SharedRam;
pub(crate) use state::Ram;
pub use state_file::StateFileProblem;
pub use statement::StatementProblem;
pub(crate) use system::SystemPolicy;
pub(crate) use trust::{TrustPolicy, Trustee};
pub(crate) use user::{Attachment, PolicyType, User};

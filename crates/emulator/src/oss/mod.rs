//! The emulated OSS.
//!
//! A request passes `service` (reads it) → `head` (bucket and key) → `signature`, `identity` (authentication) → `operation` →
//! `request_context`, `access` (authorization) → `actions` on `store` → `callback`, for an upload that asks for one → `response`.

mod access;
mod actions;
mod body;
mod bucket_settings;
mod callback;
mod cors;
mod cors_rules;
mod demo_images;
mod error;
mod form_problem;
mod head;
mod identity;
mod listing;
mod new_account_rules;
mod operation;
mod query;
mod range;
mod request_context;
mod response;
mod service;
mod signature;
mod state;
mod store;
mod xml;

pub(crate) use access::Acl;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use actions::fuzz_forms;
pub use bucket_settings::BucketSettings;
pub(crate) use callback::{CallbackSender, CallbackSettings, PUBLIC_KEY_PATH};
pub(crate) use head::check_key;
pub(crate) use identity::Identities;
pub use new_account_rules::NewAccountRules;
pub(crate) use service::routes;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use signature::fuzz_signature;
pub(crate) use state::Oss;
pub(crate) use store::Store;

#[cfg(test)]
mod tests;

//! Local OSS for development and tests.
//!
//! A request passes `service` (arrival) → `head` (what is addressed) → `signature`, `identity` (who is it) → `operation`
//! (what is asked) → `visit`, `access` (may they) → `actions` over `store` → `answer`.

mod access;
mod actions;
mod answer;
mod body;
mod cors;
mod head;
mod identity;
mod listing;
mod operation;
mod painting;
mod query;
mod range;
mod refusal;
mod service;
mod signature;
mod store;
mod visit;
mod xml;

pub(crate) use access::Acl;
pub(crate) use head::check_key;
pub(crate) use identity::Identities;
pub(crate) use service::{Oss, routes};
pub(crate) use store::Store;

#[cfg(test)]
mod tests;

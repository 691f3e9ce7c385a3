//! The API of the emulated RAM (version 2015-05-01) and IMS (2019-08-15), behind the gateway.
//!
//! An action authorizes the caller by its policies, checks its parameters and reads or changes the one state that STS and OSS read too.

mod access;
mod access_keys;
mod api_call;
mod attachments;
mod entities;
mod error;
mod network_policies;
mod oidc_providers;
mod parameter_rules;
mod policies;
mod policy_versions;
mod roles;
mod service;
mod users;

pub(crate) use service::RamApi;

//! The emulated metadata server of an ECS instance: metadata tokens, the name of its role, and the role's credentials.
//!
//! A request passes `service` (applies faults, checks the metadata token) → `metadata_tokens` or `role_credentials` → `answer`. The
//! credentials are sessions that the emulated STS and OSS accept.

mod answer;
mod instance;
mod metadata_tokens;
mod role_credentials;
mod service;

pub(crate) use instance::Instance;
pub(crate) use service::{Metadata, routes};

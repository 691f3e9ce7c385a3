//! The decision hook: the operator's own server refuses or shortens what a grant allows, and can never widen it.
//!
//! An answer serves only requests of which every byte that the hook gets, except the request id, is the same.

mod error;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz_decision;
mod hook;
mod hook_answer;
mod hook_client;
mod hook_request;
mod hook_settings;
mod probe;
#[cfg(test)]
mod tests;

pub(crate) use error::DecisionError;
pub(crate) use hook::DecisionHook;
pub(crate) use hook_answer::HookDecision;
pub(crate) use hook_client::HookTlsError;
pub(crate) use hook_request::{HookKind, HookObject, HookRequest};
pub(crate) use hook_settings::{HookMode, HookSettings, HookUrl, ListedHeader, OnError};

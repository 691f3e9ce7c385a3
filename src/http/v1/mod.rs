//! The routes of `/v1`: one file a route, its wire types beside its handler.

pub(super) mod explain;
pub(super) mod fields;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz_token_request;
mod hook_decision;
mod json_body;
pub(super) mod no_query;
mod object_signature;
pub(super) mod oss_callback;
mod oss_view;
pub(super) mod success;
pub(super) mod ticket_rules;
pub(super) mod tickets;
pub(super) mod token;
pub(super) mod token_request;
pub(super) mod token_response;
mod upload_callback;
mod upload_view;
pub(super) mod uploads;
pub(super) mod urls;
pub(super) mod whoami;

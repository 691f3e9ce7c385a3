//! The routes of the public and of the admin listener, their wire types, and the one table of errors.

mod admin;
mod api;
mod callback_error;
mod contract;
mod decision_error;
#[cfg(feature = "emulator")]
mod dev_pages;
mod error;
mod error_response;
mod middleware;
mod public_error;
mod public_url;
mod refusal_error;
mod route;
mod routes;
mod signed_thing;
mod v1;
mod vend_error;

pub(crate) use admin::active_config::ActiveConfig;
pub(crate) use admin::admin_router;
pub(crate) use admin::readiness::Readiness;
pub(crate) use api::{Api, Rules};
#[cfg(feature = "emulator")]
pub(crate) use dev_pages::WithDevPages;
pub(crate) use middleware::cors::{Cors, Origin};
pub(crate) use public_url::PublicUrl;
pub(crate) use routes::router;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use v1::fuzz_token_request;
pub(crate) use v1::oss_callback::PATH as CALLBACK_PATH;
pub(crate) use v1::ticket_rules::TicketRules;
#[cfg(feature = "bench")]
pub(crate) use v1::token_response::token_response;

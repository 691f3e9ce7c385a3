//! The emulated STS, behind the gateway.
//!
//! `assume_role_with_oidc` is unsigned: an issuer's token, which `oidc_token` verifies, takes the place of the signature.

mod assume_role;
mod assume_role_with_oidc;
mod caller_identity;
mod error;
mod oidc_token;
mod parameter_rules;
mod requested_session;
mod service;

pub(crate) use parameter_rules::is_role_arn;
pub(crate) use service::Sts;

//! The emulated STS.
//!
//! A call passes `service` (reads the request, applies faults) → `gateway` (authenticates it by `rpc_signature` or `acs3`) →
//! `assume_role` or `caller_identity` (authorizes and answers) → `response`. `assume_role_with_oidc` is unsigned: an issuer's token, which
//! `oidc_token` verifies, takes the place of the signature.

mod acs3;
mod assume_role;
mod assume_role_with_oidc;
mod caller_identity;
mod error;
mod gateway;
mod nonces;
mod oidc_token;
mod parameter_rules;
mod params;
mod requested_session;
mod response;
mod rpc_signature;
mod service;

pub(crate) use gateway::Gateway;
pub(crate) use nonces::Nonces;
pub(crate) use parameter_rules::is_role_arn;
#[cfg(test)]
pub(crate) use params::Params;
#[cfg(test)]
pub(crate) use rpc_signature::sign;
pub(crate) use service::{Sts, routes};

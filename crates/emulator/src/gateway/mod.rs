//! The RPC gateway that the emulated STS and RAM share.
//!
//! A call passes `service` (reads the request, applies faults) → `authenticate` (by `rpc_signature` or `acs3`) → the action of the
//! [`Product`] → `response`.

mod acs3;
mod authenticate;
mod error;
mod nonces;
mod params;
mod product;
mod response;
mod rpc_signature;
mod service;

pub(crate) use authenticate::Gateway;
pub(crate) use error::{GatewayError, Refusal};
pub(crate) use nonces::Nonces;
pub(crate) use params::Params;
pub(crate) use product::{AdmittedCall, Product};
#[cfg(test)]
pub(crate) use rpc_signature::sign;
pub(crate) use service::{Service, format_time, routes};

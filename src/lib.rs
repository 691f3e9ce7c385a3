//! AppServer vends narrowed, temporary Alibaba Cloud credentials to mobile apps.
//!
//! A request is a chain of types, and only each stage can make the next one:
//! `TokenRequest` → `auth` → `Caller` → `grant` → `Grant` → `policy` → `SessionPolicy` → `vend` →
//! `Credentials` → `TokenResponse`. Imports point one way:
//! `cli → app → config → http → server → auth, limit, grant, vend → sts, store → policy → domain`.

pub mod app;
mod audit;
mod auth;
mod backoff;
#[cfg(feature = "bench")]
pub mod bench;
mod breaker;
mod bucket_policy;
mod callback;
mod capacity;
pub mod cli;
pub mod config;
mod decision;
#[cfg(feature = "emulator")]
mod dev;
mod doctor;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod grant;
mod http;
mod json_member;
mod limit;
mod oss_bucket;
mod outbound;
mod ram;
mod revocation;
mod seal;
mod server;
mod setup;
mod sign;
mod single_flight;
mod store;
mod sts;
mod telemetry;
mod upstream;
mod vend;

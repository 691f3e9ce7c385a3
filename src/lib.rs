//! AppServer vends narrowed, temporary Alibaba Cloud credentials to mobile apps.
//!
//! A request is a chain of types, and only each stage can make the next one:
//! `TokenRequest` → `auth` → `Caller` → `grant` → `Grant` → `policy` → `SessionPolicy` → `vend` →
//! `Credentials` → `TokenResponse`. Imports point one way:
//! `cli → app → config → http → auth, grant, vend → sts → policy → domain`.

pub mod clock;
pub mod domain;
#[cfg(feature = "emulator")]
pub mod emulator;
mod policy;
mod sts;
mod telemetry;

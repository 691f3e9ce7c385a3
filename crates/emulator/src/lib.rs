//! Local STS, OSS, RAM and ECS metadata for development and tests.
//!
//! `server` binds the listeners and serves `sts`, `oss`, `ram_api`, `metadata` and `control` on them; all services decide by `ram`. The emulator shares no
//! code with the clients that call it: it verifies signatures and reads policies with its own.

mod connections;
mod control;
mod demo_issuer;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod gateway;
mod metadata;
mod oss;
mod percent;
pub mod ram;
mod ram_api;
mod server;
mod settings;
mod strict_json;
mod sts;
#[cfg(test)]
mod tests;

pub use control::{
    Call, EmulatorControl, ErrorStatus, Fault, NoErrorStatus, ScriptedFault, Totals,
};
pub use demo_issuer::{DEMO_AUDIENCE, DEMO_ISSUER, demo_jwt, demo_jwt_for, sign};
pub use oss::{BucketSettings, NewAccountRules};
pub use ram::{Session, StateFileProblem, TokenKey, TokenProblem};
pub use server::{Emulator, OssProblem, RamProblem};
pub use settings::{EmulatorProblem, EmulatorSettings, Field, FieldProblem};

//! Local STS, OSS and RAM for development and tests.
//!
//! A call to STS passes `sts` (arrival) → `gateway` (who is it) → `actions` (may they, and what do they get) → `answer`. It
//! shares nothing with the client that it stands opposite to, the signature least of all.

mod connections;
mod control;
mod demo_issuer;
mod oss;
mod percent;
pub mod ram;
mod server;
mod settings;
mod sts;
#[cfg(test)]
mod tests;

pub use control::{
    Call, EmulatorControl, ErrorStatus, Fault, NoErrorStatus, ScriptedFault, Totals,
};
pub use demo_issuer::{DEMO_AUDIENCE, DEMO_ISSUER, demo_jwt, sign};
pub use oss::BucketSettings;
pub use ram::{Session, TokenKey, TokenProblem};
pub use server::{Emulator, OssProblem};
pub use settings::{EmulatorProblem, EmulatorSettings, Field, FieldProblem};

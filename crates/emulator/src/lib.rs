//! Local STS, OSS and RAM for development and tests.
//!
//! A call to STS passes `sts` (arrival) → `gateway` (who is it) → `actions` (may they, and what do they get) → `answer`. It
//! shares nothing with the client that it stands opposite to, the signature least of all.

mod acs3;
mod actions;
mod answer;
mod calls;
mod control;
mod faults;
mod gateway;
mod handle;
mod issuer;
mod nonces;
mod oss;
mod params;
pub mod ram;
mod refusal;
mod server;
mod settings;
mod settings_problem;
mod signature;
mod sts;
#[cfg(test)]
mod tests;
mod time;
mod token;
mod wire;

pub use calls::{Call, Totals};
pub use faults::{ErrorStatus, Fault, NoErrorStatus, ScriptedFault};
pub use handle::Handle;
pub use issuer::{DEMO_AUDIENCE, DEMO_ISSUER, demo_jwt, sign};
pub use server::{Emulator, OssProblem};
pub use settings::BucketSettings;
pub use settings::EmulatorSettings;
pub use settings_problem::{EmulatorProblem, Field, FieldProblem};
pub use token::{Session, TokenKey, TokenProblem};

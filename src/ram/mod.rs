//! A client of RAM and IMS, the services in which an account's users, roles, policies and AccessKeys are made.
//!
//! It signs as the STS client does. It repeats only calls that may be repeated: reads, and writes that the service is
//! known not to have done. After any other failed write its caller reads back what was done.

mod call;
mod client;
mod entities;
mod error;
mod reads;
mod refusal;
#[cfg(test)]
pub(crate) mod scripted_account;
#[cfg(test)]
mod tests;
mod writes;

pub(crate) use client::{RamClient, RamSettings};
pub(crate) use entities::{KeyEntry, PolicyKind, Provider, Role};
pub(crate) use error::RamError;
pub(crate) use reads::AttachmentTarget;

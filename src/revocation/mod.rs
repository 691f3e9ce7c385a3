//! Revocations: users, clients, tickets, tokens and issuers that are refused until a time, although their credentials are valid.
//!
//! There are two lists: one of a file, and one that replicas share through Redis. A caller is refused if either has it. A list
//! that cannot be read any more stays active as it was read last, and each entry ends at its own time.

mod entry;
mod file_format;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz_revocation;
mod list;
mod revocations;
mod revoked;
mod shared;
mod state;
mod stored_state;
#[cfg(test)]
mod tests;

pub(crate) use entry::{Reason, Revocation};
pub(crate) use file_format::{FileRevocations, parse_file, write_row};
pub(crate) use list::{PresentedIdentity, RevocationList};
pub(crate) use revocations::{RevocationSource, Revocations};
pub(crate) use revoked::{Revoked, RevokedKind};
pub(crate) use shared::{Polled, ReadRevocations, SharedRevocations};
pub(crate) use stored_state::{CurrentState, RevokeOutcome};

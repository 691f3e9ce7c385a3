//! Tickets: a short-lived URL that vends one grant, for SDKs that cannot send a header.
//!
//! The service stores no tickets. A ticket is encrypted, so that its holder can neither read nor change it. It contains the
//! caller and the request, never permissions: the present configuration decides these each time the ticket is used.

mod encoding;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz_ticket;
mod seal;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};

use super::Caller;
use appserver_domain::{ClientId, Fingerprint, GrantName, Invalid};

pub(crate) use seal::TicketSeal;

/// The content of a ticket.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) id: TicketId,
    /// The caller that it was issued for, with the fingerprint of the credential that authenticated it: the ticket
    /// ends with that credential.
    pub(crate) caller: Caller,
    /// How the caller authenticated when the ticket was issued, for the log.
    pub(crate) proven_by: String,
    pub(crate) grant: GrantName,
    /// Of the grant when the ticket was issued: the ticket ends when the grant changes.
    pub(crate) fingerprint: Fingerprint,
    pub(crate) duration_secs: Option<u64>,
    pub(crate) parameters: BTreeMap<String, String>,
    /// The caller's own policy, as JSON.
    pub(crate) policy: Option<String>,
    pub(crate) issued_at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
}

/// Identifies a ticket in the log, which must not contain the ticket.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct TicketId([u8; 8]);

impl TicketId {
    pub(crate) fn fresh() -> Self {
        Self(rand::random())
    }
}

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// As the log and the answer that has the ticket show it.
impl FromStr for TicketId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let id = u64::from_str_radix(text, 16).map(|id| Self(id.to_be_bytes())).ok();
        // One text for one ticket: 16 digits, in lower case, without a sign.
        id.filter(|id| id.to_string() == text)
            .ok_or(Invalid("a ticket is named by its `TicketId`: 16 digits of 0-9 and a-f"))
    }
}

/// Why a ticket is invalid. The holder learns none of it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum TicketProblem {
    #[error("a ticket is presented, and `tickets.key_file` is not set")]
    NotConfigured,
    #[error("the query has several tickets")]
    Several,
    #[error("the ticket is too long or not base64")]
    Malformed,
    #[error("the ticket was changed, or is encrypted with a key that is no longer configured")]
    Unsealed,
    #[error("the ticket's version is unknown")]
    Version,
    #[error("the ticket has expired")]
    Expired { ticket: TicketId, client: ClientId },
    #[error("the ticket's grant was changed, or the client no longer has it")]
    GrantChanged(ClientId),
    #[error(
        "the credential that the ticket was issued with is no longer valid: its client, its secret \
         or the certificate's name was removed, or its issuer was changed"
    )]
    ParentEnded(ClientId),
}

impl TicketProblem {
    /// The client of the ticket, if the ticket is authentic.
    pub(super) fn client(&self) -> Option<&ClientId> {
        match self {
            Self::Expired { client, .. }
            | Self::GrantChanged(client)
            | Self::ParentEnded(client) => Some(client),
            Self::NotConfigured
            | Self::Several
            | Self::Malformed
            | Self::Unsealed
            | Self::Version => None,
        }
    }
}

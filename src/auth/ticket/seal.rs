//! Tickets as their holders have them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};

use super::{Ticket, TicketProblem, encoding};
use crate::seal::{Seal, SealKey};

/// The longest ticket, in characters: a URL of 4 KB passes through every proxy and SDK.
const LONGEST: usize = 3584;
/// What a ticket is sealed as.
const NAME: &str = "ticket";

/// Makes tickets, and knows its own again.
#[derive(Debug)]
pub(crate) struct TicketSeal(Seal);

/// What a ticket would have to hold is too long for a URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TooLong;

impl TicketSeal {
    /// The first key seals, all open.
    pub(crate) fn new(keys: &[SealKey]) -> Self {
        Self(Seal::new("appserver ticket seal 1", keys))
    }

    /// The ticket as text, of letters that stand for themselves in a URL.
    pub(crate) fn seal(&self, ticket: &Ticket) -> Result<SecretString, TooLong> {
        let text = URL_SAFE_NO_PAD.encode(self.0.seal(NAME, &encoding::write(ticket)));
        if text.len() > LONGEST { Err(TooLong) } else { Ok(text.into()) }
    }

    /// What the ticket says, if it is one of ours and not over.
    ///
    /// Everything that has a ticket's form costs the same work until it is found to be sealed by us; who made it up
    /// learns nothing from the time that it takes.
    pub(crate) fn open(
        &self,
        text: &SecretString,
        now: DateTime<Utc>,
    ) -> Result<Ticket, TicketProblem> {
        let text = text.expose_secret();
        if text.len() > LONGEST {
            return Err(TicketProblem::Malformed);
        }
        // Strict: a ticket has one text, and no other that means the same.
        let sealed = URL_SAFE_NO_PAD.decode(text).map_err(|_| TicketProblem::Malformed)?;
        let plain = self.0.open(NAME, &sealed).ok_or(TicketProblem::Unsealed)?;
        let ticket = encoding::read(plain.expose_secret()).ok_or(TicketProblem::Version)?;
        if ticket.expires_at <= now {
            let client = ticket.caller.client().clone();
            return Err(TicketProblem::Expired { ticket: ticket.id, client });
        }
        Ok(ticket)
    }
}

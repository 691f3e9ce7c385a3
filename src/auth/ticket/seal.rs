//! Encrypts tickets to text and decrypts them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};

use super::{Ticket, TicketProblem, encoding};
use crate::seal::{Seal, SealKey};

/// The longest ticket, in characters: a URL of 4 KB passes through every proxy and SDK.
const LONGEST: usize = 3584;
/// The associated data of encrypted tickets.
const NAME: &str = "ticket";

/// Encrypts and decrypts tickets.
#[derive(Debug)]
pub(crate) struct TicketSeal(Seal);

/// The ticket is too long for a URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TooLong;

impl TicketSeal {
    /// The first key encrypts, all decrypt.
    pub(crate) fn new(keys: &[SealKey]) -> Self {
        Self(Seal::new("appserver ticket seal 1", keys))
    }

    /// The ticket as text that needs no escaping in a URL.
    pub(crate) fn seal(&self, ticket: &Ticket) -> Result<SecretString, TooLong> {
        let text = URL_SAFE_NO_PAD.encode(self.0.seal(NAME, &encoding::write(ticket)));
        if text.len() > LONGEST { Err(TooLong) } else { Ok(text.into()) }
    }

    /// The ticket, if it is authentic and has not expired.
    ///
    /// Every text in the form of a ticket takes the same work until it is authenticated, so that the time reveals nothing
    /// about a forgery.
    pub(crate) fn open(
        &self,
        text: &SecretString,
        now: DateTime<Utc>,
    ) -> Result<Ticket, TicketProblem> {
        let text = text.expose_secret();
        if text.len() > LONGEST {
            return Err(TicketProblem::Malformed);
        }
        // Strict: a ticket has exactly one text.
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

//! The compact binary encoding of tickets, which become part of a URL.
//!
//! Numbers are encoded as LEB128, and strings with their length in front. An absent value is 0 or an empty string, which no
//! present value can be.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use secrecy::SecretSlice;

use super::{Ticket, TicketId};
use crate::auth::{Caller, JwtId};
use appserver_domain::Fingerprint;

/// The version of the encoding, the first byte. Unknown versions are refused.
const VERSION: u8 = 2;
/// With the id of the token that the ticket was made with, at the end.
const VERSION_WITH_JWT: u8 = 3;

pub(super) fn write(ticket: &Ticket) -> SecretSlice<u8> {
    let caller = &ticket.caller;
    // Without an id it is a ticket that earlier versions read, too.
    let version = if caller.jwt().is_some() { VERSION_WITH_JWT } else { VERSION };
    let mut plain = Writer(vec![version]);
    plain.0.extend(ticket.id.0);
    plain.0.extend(ticket.fingerprint.to_bytes());
    plain.0.extend(caller.parent().to_bytes());
    plain.moment(Some(ticket.issued_at));
    plain.moment(Some(ticket.expires_at));
    plain.moment(caller.until());
    plain.number(ticket.duration_secs.unwrap_or(0));
    plain.text(&ticket.proven_by);
    plain.text(caller.client().as_str());
    plain.text(caller.issuer().map_or("", |issuer| issuer.as_str()));
    plain.text(caller.subject().map_or("", |subject| subject.as_str()));
    plain.texts(caller.claims());
    plain.text(ticket.grant.as_str());
    plain.texts(&ticket.parameters);
    plain.text(ticket.policy.as_deref().unwrap_or(""));
    if let Some(jwt) = caller.jwt() {
        plain.0.extend(jwt.to_bytes());
    }
    plain.0.into()
}

/// Decodes a ticket; `None` unless the input is exactly one ticket of these versions.
pub(super) fn read(plain: &[u8]) -> Option<Ticket> {
    let mut plain = Reader(plain);
    let [version] = plain.bytes()?;
    if ![VERSION, VERSION_WITH_JWT].contains(&version) {
        return None;
    }
    let id = TicketId(plain.bytes()?);
    let fingerprint = Fingerprint::from(plain.bytes()?);
    let parent = Fingerprint::from(plain.bytes()?);
    let (issued_at, expires_at) = (plain.moment()??, plain.moment()??);
    let until = plain.moment()?;
    let duration_secs = Some(plain.number()?).filter(|secs| *secs != 0);
    let proven_by = plain.text()?.to_owned();
    let client = plain.text()?.parse().ok()?;
    let user = match (plain.text()?, plain.text()?) {
        ("", "") => None,
        (issuer, subject) => Some((issuer.parse().ok()?, subject.parse().ok()?)),
    };
    let claims = plain.texts()?;
    let grant = plain.text()?.parse().ok()?;
    let parameters = plain.texts()?;
    let policy = Some(plain.text()?).filter(|policy| !policy.is_empty()).map(str::to_owned);
    let jwt =
        if version == VERSION_WITH_JWT { Some(JwtId::from_bytes(plain.bytes()?)) } else { None };
    let caller = Caller::by_ticket(client, user, claims, until, parent).with_jwt(jwt);
    plain.0.is_empty().then_some(Ticket {
        id,
        caller,
        proven_by,
        grant,
        fingerprint,
        duration_secs,
        parameters,
        policy,
        issued_at,
        expires_at,
    })
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }

    /// In whole seconds. Times before 1970 do not occur.
    fn moment(&mut self, moment: Option<DateTime<Utc>>) {
        let secs = moment.map_or(0, |moment| moment.timestamp());
        self.number(u64::try_from(secs).unwrap_or(0));
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    fn texts(&mut self, texts: &BTreeMap<String, String>) {
        self.number(texts.len() as u64);
        for (name, text) in texts {
            self.text(name);
            self.text(text);
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.bytes()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn moment(&mut self) -> Option<Option<DateTime<Utc>>> {
        match self.number()? {
            0 => Some(None),
            secs => DateTime::from_timestamp(i64::try_from(secs).ok()?, 0).map(Some),
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn texts(&mut self) -> Option<BTreeMap<String, String>> {
        let count = self.number()?;
        let pair = |_| Some((self.text()?.to_owned(), self.text()?.to_owned()));
        (0..count).map(pair).collect()
    }
}

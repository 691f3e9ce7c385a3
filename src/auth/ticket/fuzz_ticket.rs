//! Fuzz target of tickets: no text opens that was not sealed, and what a ticket contains is read as it was written.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use secrecy::{ExposeSecret, SecretString};

use super::{TicketProblem, TicketSeal, encoding};
use crate::seal::SealKey;

/// The bytes are the text of a ticket, the bytes under its base64, and what is encrypted in it.
pub(crate) fn ticket(bytes: &[u8]) {
    let seal = TicketSeal::new(&[SealKey::demo()]);
    let now = DateTime::UNIX_EPOCH;
    let forged = [String::from_utf8_lossy(bytes).into_owned(), URL_SAFE_NO_PAD.encode(bytes)];
    for text in forged {
        let opened = seal.open(&SecretString::from(text), now);
        let is_refused = matches!(opened, Err(TicketProblem::Malformed | TicketProblem::Unsealed));
        assert!(is_refused, "a text opens that was not sealed");
    }

    let Some(ticket) = encoding::read(bytes) else { return };
    let written = encoding::write(&ticket);
    let again = encoding::read(written.expose_secret()).expect("what is written is read");
    assert_eq!(
        encoding::write(&again).expose_secret(),
        written.expose_secret(),
        "what is written is read otherwise"
    );
    assert_eq!(format!("{again:?}"), format!("{ticket:?}"), "a ticket changes when it is written");
    let longer = [written.expose_secret(), &[0]].concat();
    assert!(encoding::read(&longer).is_none(), "bytes after a ticket are ignored");

    let Ok(text) = seal.seal(&ticket) else { return };
    assert!(seal.open(&text, now).is_ok(), "a sealed ticket does not open");
    // One character of the text is replaced; the input says which.
    let mut changed = text.expose_secret().to_owned().into_bytes();
    let at = bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>() % changed.len();
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).expect("base64 is ASCII");
    assert!(seal.open(&changed.into(), now).is_err(), "a changed ticket opens");
}

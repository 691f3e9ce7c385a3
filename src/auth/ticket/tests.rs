//! Encrypted tickets decrypt to the same ticket, and nothing else decrypts.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};

use super::*;
use crate::auth::SecretHash;
use crate::auth::caller::{JwtId, Method};
use crate::seal::{Seal, SealKey};

fn now() -> DateTime<Utc> {
    "2016-01-13T14:02:37Z".parse().unwrap()
}

fn seal(keys: &[u8]) -> TicketSeal {
    TicketSeal::new(&keys.iter().map(|byte| SealKey::for_tests(*byte)).collect::<Vec<_>>())
}

fn alices() -> Ticket {
    let claims = BTreeMap::from([("tenant".to_owned(), "canary-tenant".to_owned())]);
    let caller = Caller::by_jwt(
        "photo-app".parse().unwrap(),
        ("company".parse().unwrap(), "canary-alice".parse().unwrap()),
        claims,
        Some(now() + TimeDelta::hours(9)),
        Fingerprint::of([b"issuer".as_slice()]),
    );
    let caller = caller.with_jwt(Some(JwtId::of("canary-jti")));
    Ticket {
        id: TicketId::fresh(),
        proven_by: caller.method().as_str().to_owned(),
        caller,
        grant: "my-photos".parse().unwrap(),
        fingerprint: Fingerprint::of([b"canary".as_slice()]),
        duration_secs: Some(1800),
        parameters: BTreeMap::from([("album".to_owned(), "canary-album".to_owned())]),
        policy: Some(r#"{"Version":"1"}"#.to_owned()),
        issued_at: now(),
        expires_at: now() + TimeDelta::hours(1),
    }
}

/// The content of a ticket, except for the caller's present authentication method.
fn said(ticket: &Ticket) -> String {
    let Ticket { id, caller, proven_by, grant, fingerprint, duration_secs, .. } = ticket;
    let user = (caller.issuer(), caller.subject());
    let of_caller =
        (caller.client(), user, caller.claims(), caller.until(), caller.parent(), caller.jwt());
    let asked = (grant, fingerprint, duration_secs, &ticket.parameters, &ticket.policy);
    format!("{id} {proven_by} {of_caller:?} {asked:?} {} {}", ticket.issued_at, ticket.expires_at)
}

#[test]
fn an_encrypted_ticket_decrypts_to_the_same_ticket() {
    let ticket = alices();
    let opened = seal(&[1]).open(&seal(&[1]).seal(&ticket).unwrap(), now()).unwrap();
    assert_eq!(said(&opened), said(&ticket));
    assert_eq!((opened.caller.method(), opened.proven_by.as_str()), (Method::Ticket, "Jwt"));
    // Absent parts stay absent.
    let plain = Ticket {
        caller: Caller::by_secret("client-002".parse().unwrap(), SecretHash::of(&"canary".into())),
        duration_secs: None,
        parameters: BTreeMap::new(),
        policy: None,
        ..alices()
    };
    let opened = seal(&[1]).open(&seal(&[1]).seal(&plain).unwrap(), now()).unwrap();
    assert_eq!(said(&opened), said(&plain));
}

#[test]
fn a_ticket_has_one_name_of_sixteen_digits() {
    let id = TicketId([0, 1, 0xab, 3, 4, 5, 6, 0xff]);
    assert_eq!(id.to_string(), "0001ab03040506ff");
    assert_eq!("0001ab03040506ff".parse::<TicketId>().unwrap(), id);
    for bad in
        ["", "1ab03040506ff", "0001AB03040506FF", "+001ab03040506ff", "00001ab03040506ff", "canary"]
    {
        assert!(bad.parse::<TicketId>().is_err(), "{bad}");
    }
}

#[test]
fn an_authentic_ticket_that_is_not_valid_names_its_client() {
    let client: ClientId = "photo-app".parse().unwrap();
    let text = seal(&[1]).seal(&alices()).unwrap();
    let expired = seal(&[1]).open(&text, now() + TimeDelta::hours(1)).unwrap_err();
    for problem in [
        expired,
        TicketProblem::GrantChanged(client.clone()),
        TicketProblem::ParentEnded(client.clone()),
    ] {
        assert_eq!(problem.client(), Some(&client), "{problem}");
    }
    assert_eq!(seal(&[2]).open(&text, now()).unwrap_err().client(), None);
}

proptest! {
    #[test]
    fn any_parameters_that_fit_survive_encryption(
        parameters in proptest::collection::btree_map("\\PC{0,8}", "\\PC{0,24}", 0..12),
        duration_secs in proptest::option::of(1..u64::MAX),
    ) {
        let ticket = Ticket { duration_secs, parameters, ..alices() };
        let opened = seal(&[1]).open(&seal(&[1]).seal(&ticket).unwrap(), now()).unwrap();
        prop_assert_eq!(said(&opened), said(&ticket));
    }
}

/// The holder can neither change nor read a ticket.
#[test]
fn any_change_or_truncation_of_a_ticket_is_refused() {
    let (seal, ticket) = (seal(&[1]), alices());
    let text = seal.seal(&ticket).unwrap().expose_secret().to_owned();
    let opens = |text: &str| seal.open(&text.into(), now()).is_ok();
    assert!(opens(&text));
    let sealed = URL_SAFE_NO_PAD.decode(&text).unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!opens(&URL_SAFE_NO_PAD.encode(changed)), "bit {bit}");
    }
    // Changes of the text too: unused bits of base64 must be zero.
    for at in 0..text.len() {
        for bit in 0..7 {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1 << bit;
            assert!(!opens(&String::from_utf8(changed).unwrap()), "letter {at}, bit {bit}");
        }
        assert!(!opens(&text[..at]), "{at} letters");
    }
    for added in ["A", "AA", "AAA", "AAAA", "=", "==", " ", "\n"] {
        assert!(!opens(&format!("{text}{added}")), "{added:?}");
        assert!(!opens(&format!("{added}{text}")), "{added:?}");
    }
    assert!(!sealed.windows(6).any(|bytes| bytes == b"canary"));
    assert!(!format!("{:?}", seal.seal(&ticket).unwrap()).contains(&text[..8]));
}

#[test]
fn a_ticket_has_at_most_3584_characters() {
    let sealed = |bytes: usize| {
        let parameters = BTreeMap::from([("album".to_owned(), "x".repeat(bytes))]);
        seal(&[1]).seal(&Ticket { parameters, ..alices() })
    };
    let lengths: Vec<_> = (1500..3000).collect();
    let refused = lengths.partition_point(|bytes| sealed(*bytes).is_ok());
    let longest = sealed(lengths[refused - 1]).unwrap();
    assert_eq!(longest.expose_secret().len(), 3584);
    assert!(seal(&[1]).open(&longest, now()).is_ok());
    let longer = SecretString::from(format!("{}A", longest.expose_secret()));
    assert_eq!(seal(&[1]).open(&longer, now()).unwrap_err(), TicketProblem::Malformed);
}

#[test]
fn a_ticket_expires_at_its_end() {
    let (seal, ticket) = (seal(&[1]), alices());
    let text = seal.seal(&ticket).unwrap();
    assert!(seal.open(&text, ticket.expires_at - TimeDelta::seconds(1)).is_ok());
    let problem = seal.open(&text, ticket.expires_at).unwrap_err();
    let client = ticket.caller.client().clone();
    assert_eq!(problem, TicketProblem::Expired { ticket: ticket.id, client });
}

#[test]
fn tickets_decrypt_with_the_previous_key_and_not_with_a_removed_one() {
    let before = seal(&[1]).seal(&alices()).unwrap();
    let opened = |keys: &[u8]| seal(keys).open(&before, now()).map(|_| ());
    assert_eq!(opened(&[2, 1]), Ok(()));
    assert_eq!(opened(&[3, 2]), Err(TicketProblem::Unsealed));
    // New tickets are encrypted with the newest key.
    let newer = seal(&[2, 1]).seal(&alices()).unwrap();
    assert!(seal(&[2]).open(&newer, now()).is_ok());
    assert!(seal(&[1]).open(&newer, now()).is_err());
}

#[test]
fn the_log_distinguishes_kinds_of_invalid_tickets() {
    let open = |text: SecretString| seal(&[1]).open(&text, now()).unwrap_err();
    assert_eq!(open("".into()), TicketProblem::Unsealed);
    assert_eq!(open("canary".into()), TicketProblem::Malformed);
    assert_eq!(open("not base64".into()), TicketProblem::Malformed);
    assert_eq!(open("A".repeat(4000).into()), TicketProblem::Malformed);
    assert_eq!(open("A".repeat(3000).into()), TicketProblem::Unsealed);
    // Of an older or a newer version with the same key, or of the one without the id that this one has.
    let plain = super::encoding::write(&alices()).expose_secret().to_vec();
    let sealed = |plain: &[u8]| {
        let seal = Seal::new("appserver ticket seal 1", &[SealKey::for_tests(1)]);
        URL_SAFE_NO_PAD.encode(seal.seal("ticket", &plain.to_vec().into())).into()
    };
    assert!(seal(&[1]).open(&sealed(&plain), now()).is_ok());
    for version in [1, 2, 4] {
        assert_eq!(open(sealed(&[&[version], &plain[1..]].concat())), TicketProblem::Version);
    }
    assert_eq!(open(sealed(&[&plain, [0].as_slice()].concat())), TicketProblem::Version);
    for length in 0..plain.len() {
        assert_eq!(open(sealed(&plain[..length])), TicketProblem::Version, "{length} bytes");
    }
}

#[test]
fn a_ticket_too_long_for_a_url_is_refused() {
    let with = |bytes| Ticket { policy: Some("x".repeat(bytes)), ..alices() };
    let text = seal(&[1]).seal(&with(2047)).unwrap();
    assert!(text.expose_secret().len() < 3584);
    assert!(seal(&[1]).open(&text, now()).is_ok());
    assert!(seal(&[1]).seal(&with(4000)).is_err());
}

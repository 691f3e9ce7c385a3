//! What names a user in a line: as it is, or as a keyed hash (`audit.hash_subjects`).
//!
//! The same name has the same hash, so that the lines of one user can still be counted and found. Without the key nobody can
//! test whether a hash is that of a name.

use std::borrow::Cow;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a hashed name begins with.
const MARK: &str = "hmac:";
/// 128 bits are enough: a search for collisions needs the key.
const HASH_BYTES: usize = 16;

/// How lines name users.
#[derive(Clone, Debug)]
pub(crate) enum UserNames {
    Plain,
    Hashed(NameHash),
}

/// HMAC-SHA256 with the operator's key.
#[derive(Clone)]
pub(crate) struct NameHash(Hmac<Sha256>);

impl NameHash {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    /// The hash of these lines of text. Only the last part may contain a line feed, so different parts are different text.
    fn hash(&self, parts: &[&str]) -> String {
        let mut hash = self.0.clone();
        hash.update(parts.join("\n").as_bytes());
        format!("{MARK}{}", hex::encode(&hash.finalize().into_bytes()[..HASH_BYTES]))
    }
}

impl fmt::Debug for NameHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameHash")
    }
}

impl UserNames {
    /// Of a user of this issuer. Equal subjects of two issuers are two users, and their hashes differ.
    pub(crate) fn subject<'a>(&self, issuer: Option<&str>, subject: &'a str) -> Cow<'a, str> {
        self.name(subject, &["subject", issuer.unwrap_or_default(), subject])
    }

    /// Of a caller's session, whose name contains the user's.
    pub(crate) fn session<'a>(&self, session_name: &'a str) -> Cow<'a, str> {
        self.name(session_name, &["session", session_name])
    }

    /// Of an object, whose key usually contains the user's name.
    pub(crate) fn key<'a>(&self, key: &'a str) -> Cow<'a, str> {
        self.name(key, &["key", key])
    }

    /// Whether a name in a line is a hash.
    pub(crate) fn is_hashed(name: &str) -> bool {
        name.starts_with(MARK)
    }

    /// Whether lines may have texts that contain names among other things, such as session policies.
    pub(crate) fn are_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    fn name<'a>(&self, plain: &'a str, parts: &[&str]) -> Cow<'a, str> {
        match self {
            Self::Plain => Cow::Borrowed(plain),
            Self::Hashed(hash) => Cow::Owned(hash.hash(parts)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_the_kind_the_issuer_and_the_name() {
        let names = UserNames::Hashed(NameHash::new(b"canary key"));
        // printf 'subject\ncompany\nalice' | openssl dgst -sha256 -hmac 'canary key'
        let alice = names.subject(Some("company"), "alice");
        assert_eq!(alice, "hmac:fbe8a9e011dd73f53bf4bde0ae6d72a3");
        assert_eq!(alice, names.clone().subject(Some("company"), "alice"));
        let others = [
            names.subject(Some("other"), "alice"),
            names.subject(None, "company\nalice"),
            names.subject(Some("company"), "bob"),
            names.session("alice"),
            names.key("alice"),
            UserNames::Hashed(NameHash::new(b"other key")).subject(Some("company"), "alice"),
        ];
        assert!(others.iter().all(|other| *other != alice), "{others:?}");
        assert!(!format!("{names:?}").contains("canary"));
        assert_eq!(UserNames::Plain.subject(Some("company"), "alice"), "alice");
    }
}

//! The keys of shared state in Redis. They reveal no role, policy or caller.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

use crate::seal::SealKey;
use appserver_domain::{AccountId, text_type};

/// The layout of what is stored under these keys. A change after which replicas of both versions would misread each other's
/// values takes the next number: then they share nothing, and neither sees the other's values as foreign.
const LAYOUT: u32 = 2;

/// The start of every key in Redis. Replicas with the same prefix share tokens and the budget.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct KeyPrefix(String);

text_type!(
    KeyPrefix,
    |s| (1..=64).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b)),
    "a key prefix is 1 to 64 characters of A-Z, a-z, 0-9, `.`, `_`, `:` and `-`"
);

impl KeyPrefix {
    fn name(&self, tag: &str, kind: &str) -> String {
        format!("{self}:{LAYOUT}:{{{tag}}}:{kind}")
    }

    /// The Redis key of something that belongs to no session, client or user.
    pub(super) fn common(&self, kind: &str) -> String {
        self.name("common", kind)
    }

    /// A key of its own slot, which is never written.
    pub(super) fn in_slot(&self, number: u32) -> String {
        self.name(&format!("doctor-{number}"), "slot")
    }
}

/// The Redis keys of one session, one client, one user or one upload.
///
/// The part in braces is a keyed hash, so that somebody who reads Redis learns neither roles nor policies nor callers.
/// A Redis Cluster chooses the slot by it, so that one script may use all keys of a session.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(super) token: String,
    pub(super) refusal: String,
    pub(super) lease: String,
    pub(super) limit: String,
    pub(super) once: String,
}

/// The Redis keys of a budget of calls. One script uses both, so they share a slot.
#[derive(Debug)]
pub(super) struct BudgetName {
    pub(super) level: String,
    pub(super) waiting: String,
}

/// Derives Redis keys from what they belong to.
pub(super) struct Names {
    prefix: KeyPrefix,
    hash: Hmac<Sha256>,
}

impl Names {
    /// Names that cannot be derived without the encryption key.
    pub(super) fn new(prefix: KeyPrefix, key: &SealKey) -> Self {
        let derived = key.derived("appserver store names 1");
        let hash =
            Hmac::new_from_slice(derived.as_slice()).expect("HMAC takes a key of any length");
        Self { prefix, hash }
    }

    /// The Redis keys of the session, client or user that these parts identify.
    pub(super) fn of(&self, parts: &[impl AsRef<str>]) -> Name {
        let tag = self.tag(parts);
        let name = |kind| self.prefix.name(&tag, kind);
        Name {
            token: name("token"),
            refusal: name("refusal"),
            lease: name("lease"),
            limit: name("limit"),
            once: name("once"),
        }
    }

    /// Identifies these parts within a list, and reveals none of them.
    pub(super) fn id(&self, parts: &[impl AsRef<str>]) -> String {
        self.tag(parts)
    }

    /// Identifies the key, and does not reveal it.
    pub(super) fn key_id(&self) -> String {
        self.tag(&["encryption key"])
    }

    fn tag(&self, parts: &[impl AsRef<str>]) -> String {
        let mut hash = self.hash.clone();
        for part in parts.iter().map(AsRef::as_ref) {
            // With the length in front, different lists of parts are different bytes.
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        // 128 bits are enough: a search for collisions needs the key.
        hex::encode(&hash.finalize().into_bytes()[..16])
    }

    /// The Redis keys of the budget of this account; of the only budget where there is one upstream.
    pub(super) fn budget(&self, account: Option<&AccountId>) -> BudgetName {
        let name = |kind| match account {
            None => self.common(kind),
            Some(account) => {
                let tag = self.tag(&["budget", account.as_str()]);
                self.prefix.name(&tag, kind)
            }
        };
        BudgetName { level: name("budget"), waiting: name("waiting") }
    }

    /// The Redis key of something that belongs to no session, client or user.
    pub(super) fn common(&self, kind: &str) -> String {
        self.prefix.common(kind)
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(key: u8) -> Names {
        Names::new("app".parse().unwrap(), &SealKey::for_tests(key))
    }

    #[test]
    fn names_reveal_no_role_or_client_and_share_one_slot() {
        let name = names(1).of(&["acs:ram::11223344:role/oss-readonly", "client-002"]);
        let shown = [&name.token, &name.refusal, &name.lease].map(|name| {
            let (start, rest) = name.split_once('{').unwrap();
            let (tag, end) = rest.split_once('}').unwrap();
            (start.to_owned(), tag.len(), tag.to_owned(), end.to_owned())
        });
        for (kind, (start, length, tag, end)) in ["token", "refusal", "lease"].iter().zip(&shown) {
            assert_eq!((start.as_str(), *length, end), ("app:2:", 32, &format!(":{kind}")));
            assert_eq!(tag, &shown[0].2);
        }
    }

    #[test]
    fn different_parts_or_keys_have_different_names() {
        let of = |key, parts: &[&str]| names(key).of(parts).token;
        let all = [
            of(1, &["ab", "c"]),
            of(1, &["a", "bc"]),
            of(1, &["abc"]),
            of(1, &["ab", "c", ""]),
            of(2, &["ab", "c"]),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(of(1, &["ab", "c"]), all[0]);
    }

    #[test]
    fn accounts_have_budgets_of_their_own_and_their_names_reveal_none() {
        let accounts = ["11223344", "55667788"].map(|account| account.parse().unwrap());
        let [one, other] = accounts.map(|account| names(1).budget(Some(&account)));
        assert_ne!(one.level, other.level);
        assert!(!one.level.contains("11223344"), "{one:?}");
        let slot = |name: &str| name.rsplit_once(':').unwrap().0.to_owned();
        assert_eq!(slot(&one.level), slot(&one.waiting));
        assert_eq!(names(1).budget(None).level, "app:2:{common}:budget");
    }
}

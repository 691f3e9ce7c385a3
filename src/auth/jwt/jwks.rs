//! The keys of one issuer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use secrecy::{ExposeSecret, SecretSlice};
use serde::Deserialize;
use serde_json::Value;

use super::jwk::{self, FaultyKey};
use super::parsed::Parsed;
use super::{JwtProblem, SignatureAlgorithm};
use appserver_domain::clock::{Moment, SharedEnd};

/// An HMAC key shorter than the hash can be guessed (RFC 7518 §3.2).
const SHORTEST_SECRET: usize = 32;

/// What some editors put before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The keys that tokens may be signed with.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) struct Jwks {
    /// Each once.
    keys: Vec<Arc<Key>>,
    /// Those that were meant for tokens and can verify none.
    faulty: Vec<FaultyKey>,
}

/// One key, and until when it is believed.
pub(super) struct Key {
    id: Option<String>,
    /// What the key is for; a key for one algorithm is never used with another.
    algorithms: Vec<Algorithm>,
    verifying: DecodingKey,
    /// Shared, because a token that was verified before is looked up with the key that verified it: a look tells that the
    /// issuer has withdrawn the key, or was not heard of for too long.
    valid_until: SharedEnd,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyProblem {
    #[error("it is not a JSON Web Key Set")]
    NotAKeySet(#[source] serde_json::Error),
    #[error("no key in it can verify a signature of the configured algorithms{}", faults(.0))]
    NoKey(Vec<FaultyKey>),
    #[error("a shared secret has at least {SHORTEST_SECRET} bytes")]
    ShortSecret,
}

impl Jwks {
    /// The public keys of a JSON Web Key Set (RFC 7517). Keys of other kinds or for other uses or algorithms are passed
    /// over, as the RFC asks; so are symmetric ones, which have no business in a file that is published. Those that were
    /// meant for tokens and are broken are passed over, too, and named by [`Self::faulty`].
    pub(crate) fn from_jwks(
        json: &[u8],
        algorithms: &[SignatureAlgorithm],
    ) -> Result<Self, KeyProblem> {
        /// Read one by one: a key that cannot be read must not take the others with it.
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let json = without_mark(json);
        let set: Set = serde_json::from_slice(json).map_err(KeyProblem::NotAKeySet)?;
        let mut read = Self::default();
        for (at, key) in set.keys.iter().enumerate() {
            match jwk::read(key, algorithms) {
                Ok(None) => {}
                Ok(Some(key)) if read.keys.iter().any(|other| **other == key) => {}
                Ok(Some(key)) => read.keys.push(Arc::new(key)),
                Err(fault) => read.faulty.push(FaultyKey::new(at, key, fault)),
            }
        }
        if read.keys.is_empty() { Err(KeyProblem::NoKey(read.faulty)) } else { Ok(read) }
    }

    /// A secret that the issuer and we share, for HS256.
    pub(crate) fn from_secret(secret: &SecretSlice<u8>) -> Result<Self, KeyProblem> {
        let secret = secret.expose_secret();
        if secret.len() < SHORTEST_SECRET {
            return Err(KeyProblem::ShortSecret);
        }
        let key = Key::new(None, vec![Algorithm::HS256], DecodingKey::from_secret(secret));
        Ok(Self { keys: vec![Arc::new(key)], faulty: Vec::new() })
    }

    /// The keys that a token's header may mean: those of the name that it gives, or all where it gives none, as far as they
    /// are for its algorithm. Names need not be unique (RFC 7517 §4.5), and a key need not have one.
    pub(super) fn fitting(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &Arc<Key>> {
        self.keys.iter().filter(move |key| {
            let named = match (id, &key.id) {
                (Some(id), Some(own)) => id == own,
                (Some(_), None) | (None, _) => true,
            };
            named && key.algorithms.contains(&algorithm)
        })
    }

    /// The keys of the set that were meant for tokens and can verify none.
    pub(crate) fn faulty(&self) -> &[FaultyKey] {
        &self.faulty
    }

    /// These keys, where one was known before the known one itself: what it has verified stays verified.
    pub(super) fn known_by(self, before: &Self) -> Self {
        let known = |key: Arc<Key>| {
            let same = before.keys.iter().find(|known| **known == key);
            same.map_or(key, Arc::clone)
        };
        Self { keys: self.keys.into_iter().map(known).collect(), faulty: self.faulty }
    }

    /// Those of these keys that the others do not hold.
    pub(super) fn without<'a>(&'a self, others: &'a Self) -> impl Iterator<Item = &'a Arc<Key>> {
        self.keys.iter().filter(|key| !others.keys.contains(key))
    }

    /// The secret of HS256, where that is what these keys are.
    pub(super) fn shared_secret(&self) -> Option<&[u8]> {
        let [key] = self.keys.as_slice() else { return None };
        match key.verifying.kind() {
            DecodingKeyKind::SecretOrDer(secret) if key.algorithms == [Algorithm::HS256] => {
                Some(secret)
            }
            DecodingKeyKind::SecretOrDer(_) | DecodingKeyKind::RsaModulusExponent { .. } => None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.keys.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

impl Key {
    /// A key that is believed for ever.
    pub(super) fn new(
        id: Option<String>,
        algorithms: Vec<Algorithm>,
        verifying: DecodingKey,
    ) -> Self {
        Self { id, algorithms, verifying, valid_until: SharedEnd::never() }
    }

    /// Whether the token's signature is this key's.
    pub(super) fn verifies(
        &self,
        token: &Parsed<'_>,
        algorithm: Algorithm,
    ) -> Result<bool, JwtProblem> {
        let message = token.message.as_bytes();
        jsonwebtoken::crypto::verify(token.signature, message, &self.verifying, algorithm)
            .map_err(|_| JwtProblem::Malformed)
    }

    /// Whether what it has signed proves anything at this moment.
    pub(super) fn is_valid(&self, now: Moment) -> bool {
        !self.valid_until.is_over(now)
    }

    pub(super) fn set_valid_for(&self, now: Moment, max_age: Duration) {
        self.valid_until.set(now, max_age);
    }

    /// What it has signed proves nothing from now on.
    pub(super) fn revoke(&self) {
        self.valid_until.set_over();
    }
}

/// The same name, the same use and the same key; until when it is believed is no part of what it is.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        use DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
        let same = match (self.verifying.kind(), other.verifying.kind()) {
            (SecretOrDer(ours), SecretOrDer(theirs)) => ours == theirs,
            (RsaModulusExponent { n, e }, RsaModulusExponent { n: their_n, e: their_e }) => {
                (n, e) == (their_n, their_e)
            }
            (SecretOrDer(_), RsaModulusExponent { .. })
            | (RsaModulusExponent { .. }, SecretOrDer(_)) => false,
        };
        same && (&self.id, &self.algorithms) == (&other.id, &other.algorithms)
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.id).field(&self.algorithms).finish()
    }
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}

/// The text without a byte-order mark, which RFC 8259 §8.1 allows a reader to ignore.
pub(super) fn without_mark(json: &[u8]) -> &[u8] {
    json.strip_prefix(BYTE_ORDER_MARK).unwrap_or(json)
}

fn faults(faulty: &[FaultyKey]) -> String {
    faulty.iter().map(|key| format!("; {key}")).collect()
}

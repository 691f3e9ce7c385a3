//! The keys of one issuer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use secrecy::{ExposeSecret, SecretSlice};
use serde::Deserialize;
use serde_json::Value;

use super::json::from_object;
use super::jwk::{self, FaultyKey};
use super::parsed::Parsed;
use super::{JwtProblem, SignatureAlgorithm};
use appserver_domain::clock::{Moment, SharedEnd};

/// An HMAC key shorter than the hash can be guessed (RFC 7518 §3.2).
const SHORTEST_SECRET: usize = 32;

/// Some editors write it at the start of UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The keys that verify an issuer's tokens.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) struct Jwks {
    /// Each once.
    keys: Vec<Arc<Key>>,
    /// Those that are meant for tokens but cannot be used.
    faulty: Vec<FaultyKey>,
}

/// One key and the end of its validity.
pub(super) struct Key {
    id: Option<String>,
    /// The algorithms that it may be used with, and no other.
    algorithms: Vec<Algorithm>,
    verifying: DecodingKey,
    /// Shared with the cached tokens that the key verified: they end when the issuer removes the key, or could not be
    /// reached for too long.
    valid_until: SharedEnd,
}

/// Why a set or secret has no usable key.
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
    /// The public keys of a JSON Web Key Set (RFC 7517). Keys of other kinds, uses or algorithms are ignored, as the
    /// RFC requires, and so are symmetric keys, which must not be published. Keys that are meant for tokens but
    /// broken are ignored and listed by [`Self::faulty`].
    pub(crate) fn from_jwks(
        json: &[u8],
        algorithms: &[SignatureAlgorithm],
    ) -> Result<Self, KeyProblem> {
        /// Parsed one by one: a broken key must not affect the others.
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = from_object(without_mark(json)).map_err(KeyProblem::NotAKeySet)?;
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

    /// A secret shared with the issuer, for HS256.
    pub(crate) fn from_secret(secret: &SecretSlice<u8>) -> Result<Self, KeyProblem> {
        let secret = secret.expose_secret();
        if secret.len() < SHORTEST_SECRET {
            return Err(KeyProblem::ShortSecret);
        }
        let key = Key::new(None, vec![Algorithm::HS256], DecodingKey::from_secret(secret));
        Ok(Self { keys: vec![Arc::new(key)], faulty: Vec::new() })
    }

    /// The keys that match a token's header: the algorithm, and the `kid` where both have one. A `kid` need not be
    /// unique (RFC 7517 §4.5).
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

    /// The keys of the set that are meant for tokens but cannot be used.
    pub(crate) fn faulty(&self) -> &[FaultyKey] {
        &self.faulty
    }

    /// These keys, with the known instance of each key that `before` has: tokens that it verified stay valid.
    pub(super) fn reusing(self, before: &Self) -> Self {
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

    /// The HS256 secret, if this is one.
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
    /// A key that does not expire.
    pub(super) fn new(
        id: Option<String>,
        algorithms: Vec<Algorithm>,
        verifying: DecodingKey,
    ) -> Self {
        Self { id, algorithms, verifying, valid_until: SharedEnd::never() }
    }

    /// Whether the key verifies the token's signature.
    pub(super) fn verifies(
        &self,
        token: &Parsed<'_>,
        algorithm: Algorithm,
    ) -> Result<bool, JwtProblem> {
        let message = token.message.as_bytes();
        jsonwebtoken::crypto::verify(token.signature, message, &self.verifying, algorithm)
            .map_err(|_| JwtProblem::Malformed)
    }

    /// Whether tokens that it signed are valid now.
    pub(super) fn is_valid(&self, now: Moment) -> bool {
        !self.valid_until.is_over(now)
    }

    pub(super) fn set_valid_for(&self, now: Moment, max_age: Duration) {
        self.valid_until.set(now, max_age);
    }

    /// Tokens that it signed are invalid from now on.
    pub(super) fn revoke(&self) {
        self.valid_until.set_over();
    }
}

/// The same id, algorithms and key material. The end of validity is not compared.
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

/// The text without a byte-order mark, which RFC 8259 §8.1 allows a parser to ignore.
pub(super) fn without_mark(json: &[u8]) -> &[u8] {
    json.strip_prefix(BYTE_ORDER_MARK).unwrap_or(json)
}

fn faults(faulty: &[FaultyKey]) -> String {
    faulty.iter().map(|key| format!("; {key}")).collect()
}

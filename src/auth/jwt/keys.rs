//! The keys of one issuer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use secrecy::{ExposeSecret, SecretSlice};
use serde::Deserialize;
use serde_json::Value;

use super::SignatureAlgorithm;
use crate::clock::{Moment, SharedEnd};

/// An HMAC key shorter than the hash can be guessed (RFC 7518 §3.2).
const SHORTEST_SECRET: usize = 32;

/// The keys that tokens may be signed with.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) struct Keys(Vec<Arc<Key>>);

/// One key, and until when it is believed.
pub(super) struct Key {
    id: Option<String>,
    /// What the key is for; a key for one algorithm is never used with another.
    algorithms: Vec<Algorithm>,
    verifying: DecodingKey,
    /// Shared, because a token that was verified before is looked up with the key that verified it: a look tells that the
    /// issuer has withdrawn the key, or was not heard of for too long.
    believed_until: SharedEnd,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyProblem {
    #[error("it is not a JSON Web Key Set")]
    NotAKeySet(#[source] serde_json::Error),
    #[error("no key in it can verify a signature of the configured algorithms")]
    NoKey,
    #[error("a shared secret has at least {SHORTEST_SECRET} bytes")]
    ShortSecret,
}

impl Keys {
    /// The public keys of a JSON Web Key Set (RFC 7517). Keys of other kinds or for other uses or algorithms are passed
    /// over, as the RFC asks; so are symmetric ones, which have no business in a file that is published.
    pub(crate) fn from_jwks(
        json: &[u8],
        algorithms: &[SignatureAlgorithm],
    ) -> Result<Self, KeyProblem> {
        /// Read one by one: a key that cannot be read must not take the others with it.
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(json).map_err(KeyProblem::NotAKeySet)?;
        let read = set.keys.into_iter().filter_map(|key| Jwk::deserialize(key).ok());
        let keys = read.filter_map(|key| Key::from_jwk(&key, algorithms)).map(Arc::new);
        let keys: Vec<_> = keys.collect();
        if keys.is_empty() { Err(KeyProblem::NoKey) } else { Ok(Self(keys)) }
    }

    /// A secret that the issuer and we share, for HS256.
    pub(crate) fn from_secret(secret: &SecretSlice<u8>) -> Result<Self, KeyProblem> {
        let secret = secret.expose_secret();
        if secret.len() < SHORTEST_SECRET {
            return Err(KeyProblem::ShortSecret);
        }
        let key = Key::new(None, vec![Algorithm::HS256], DecodingKey::from_secret(secret));
        Ok(Self(vec![Arc::new(key)]))
    }

    /// The key that a token's header names; without a name the only one that fits.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Arc<Key>> {
        let mut fitting = self.0.iter().filter(|key| {
            let named = match (id, &key.id) {
                (Some(id), Some(own)) => id == own,
                // A shared secret has no name.
                (Some(_), None) | (None, _) => true,
            };
            named && key.algorithms.contains(&algorithm)
        });
        let found = fitting.next()?;
        fitting.next().is_none().then(|| Arc::clone(found))
    }

    /// These keys, where one was known before the known one itself: what it has verified stays verified.
    pub(super) fn known_by(self, before: &Self) -> Self {
        let known = |key: Arc<Key>| {
            let same = before.0.iter().find(|known| **known == key);
            same.map_or(key, Arc::clone)
        };
        Self(self.0.into_iter().map(known).collect())
    }

    /// Those of these keys that the others do not hold.
    pub(super) fn without<'a>(&'a self, others: &'a Self) -> impl Iterator<Item = &'a Arc<Key>> {
        self.0.iter().filter(|key| !others.0.contains(key))
    }

    /// The secret of HS256, where that is what these keys are.
    pub(super) fn shared_secret(&self) -> Option<&[u8]> {
        let [key] = self.0.as_slice() else { return None };
        match key.verifying.kind() {
            DecodingKeyKind::SecretOrDer(secret) if key.algorithms == [Algorithm::HS256] => {
                Some(secret)
            }
            DecodingKeyKind::SecretOrDer(_) | DecodingKeyKind::RsaModulusExponent { .. } => None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.0.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Key {
    /// A key that is believed for ever.
    fn new(id: Option<String>, algorithms: Vec<Algorithm>, verifying: DecodingKey) -> Self {
        Self { id, algorithms, verifying, believed_until: SharedEnd::never() }
    }

    pub(super) fn verifying(&self) -> &DecodingKey {
        &self.verifying
    }

    /// Whether what it has signed proves anything at this moment.
    pub(super) fn is_believed(&self, now: Moment) -> bool {
        !self.believed_until.is_over(now)
    }

    pub(super) fn believe_for(&self, now: Moment, max_age: Duration) {
        self.believed_until.set(now, max_age);
    }

    /// What it has signed proves nothing from now on.
    pub(super) fn withdraw(&self) {
        self.believed_until.set_over();
    }

    fn from_jwk(jwk: &Jwk, wanted: &[SignatureAlgorithm]) -> Option<Self> {
        let common = &jwk.common;
        let for_signatures = match (&common.public_key_use, &common.key_operations) {
            (Some(PublicKeyUse::Signature), _) => true,
            (Some(_), _) => false,
            (None, Some(operations)) => operations.contains(&KeyOperations::Verify),
            (None, None) => true,
        };
        let kind = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => vec![
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
                EllipticCurve::P256 => vec![Algorithm::ES256],
                EllipticCurve::P384 => vec![Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(pair) => match pair.curve {
                EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
                _ => return None,
            },
            _ => return None,
        };
        let algorithms = match common.key_algorithm {
            None => kind,
            Some(named) => {
                let named = named.to_string().parse().ok()?;
                kind.into_iter().filter(|algorithm| *algorithm == named).collect()
            }
        };
        let algorithms: Vec<_> = algorithms
            .into_iter()
            .filter(|algorithm| wanted.contains(&SignatureAlgorithm::from(*algorithm)))
            .collect();
        let verifying = DecodingKey::from_jwk(jwk).ok()?;
        let usable = for_signatures && !algorithms.is_empty();
        usable.then(|| Self::new(common.key_id.clone(), algorithms, verifying))
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

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

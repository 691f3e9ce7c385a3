//! The keys of one issuer.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use secrecy::{ExposeSecret, SecretSlice};

/// An HMAC key shorter than the hash can be guessed (RFC 7518 §3.2).
const SHORTEST_SECRET: usize = 32;

/// The keys that tokens may be signed with.
pub(crate) struct Keys(Vec<Key>);

struct Key {
    id: Option<String>,
    /// What the key is for; a key for one algorithm is never used with another.
    algorithms: Vec<Algorithm>,
    key: Arc<DecodingKey>,
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
    /// The public keys of a JSON Web Key Set (RFC 7517). Keys of other kinds or for other uses are passed over, as the
    /// RFC asks; so are symmetric ones, which have no business in a file that is published.
    pub(crate) fn from_jwks(json: &str) -> Result<Self, KeyProblem> {
        let set: JwkSet = serde_json::from_str(json).map_err(KeyProblem::NotAKeySet)?;
        let keys: Vec<_> = set.keys.iter().filter_map(Key::from_jwk).collect();
        if keys.is_empty() { Err(KeyProblem::NoKey) } else { Ok(Self(keys)) }
    }

    /// A secret that the issuer and we share, for HS256.
    pub(crate) fn from_secret(secret: &SecretSlice<u8>) -> Result<Self, KeyProblem> {
        let secret = secret.expose_secret();
        if secret.len() < SHORTEST_SECRET {
            return Err(KeyProblem::ShortSecret);
        }
        let key = Arc::new(DecodingKey::from_secret(secret));
        Ok(Self(vec![Key { id: None, algorithms: vec![Algorithm::HS256], key }]))
    }

    /// The key that a token's header names; without a name the only one that fits.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Arc<DecodingKey>> {
        let mut fitting = self.0.iter().filter(|key| {
            let named = match (id, &key.id) {
                (Some(id), Some(own)) => id == own,
                // A shared secret has no name.
                (Some(_), None) | (None, _) => true,
            };
            named && key.algorithms.contains(&algorithm)
        });
        let found = fitting.next()?;
        fitting.next().is_none().then(|| Arc::clone(&found.key))
    }
}

impl Key {
    fn from_jwk(jwk: &Jwk) -> Option<Self> {
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
        let key = Arc::new(DecodingKey::from_jwk(jwk).ok()?);
        let usable = for_signatures && !algorithms.is_empty();
        usable.then(|| Self { id: common.key_id.clone(), algorithms, key })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| (&key.id, &key.algorithms))).finish()
    }
}

//! The algorithms that tokens may be signed with.

use std::fmt;

use jsonwebtoken::Algorithm;
use serde::Deserialize;

use appserver_domain::Invalid;

/// One signature algorithm.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct SignatureAlgorithm(Algorithm);

impl SignatureAlgorithm {
    /// As a configuration names them. `none` is not among them; HS384 and HS512 add nothing to HS256.
    pub(crate) const NAMES: [&str; 11] = [
        "ES256", "ES384", "Ed25519", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
        "HS256",
    ];

    /// All algorithms with public keys, which come in key sets.
    pub(crate) fn asymmetric() -> impl Iterator<Item = Self> {
        let names =
            ["ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
        names.into_iter().filter_map(|name| Self::try_from(name.to_owned()).ok())
    }

    pub(crate) fn is_symmetric(self) -> bool {
        matches!(self.0, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
    }

    /// By its name in tokens and keys. `Ed25519` is RFC 9864's name for what `EdDSA` was with keys on that curve, the only
    /// ones here.
    pub(super) fn named(name: &str) -> Option<Algorithm> {
        if name == "Ed25519" { Some(Algorithm::EdDSA) } else { name.parse().ok() }
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl From<Algorithm> for SignatureAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        Self(algorithm)
    }
}

impl TryFrom<String> for SignatureAlgorithm {
    type Error = Invalid;

    fn try_from(name: String) -> Result<Self, Invalid> {
        let is_known = Self::NAMES.contains(&name.as_str());
        is_known.then(|| Self::named(&name)).flatten().map(Self).ok_or(Invalid(
            "an algorithm is `ES256`, `ES384`, `Ed25519` or `EdDSA` (the same), `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512` or, \
             with a shared secret, `HS256`",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_set_may_have_keys_of_every_algorithm_that_is_not_symmetric() {
        let asymmetric: Vec<_> = SignatureAlgorithm::asymmetric().collect();
        let mut known: Vec<_> = SignatureAlgorithm::NAMES
            .map(|name| SignatureAlgorithm::try_from(name.to_owned()).unwrap())
            .into_iter()
            .filter(|algorithm| !algorithm.is_symmetric())
            .collect();
        // `Ed25519` is another name of `EdDSA`.
        known.dedup();
        assert_eq!(asymmetric, known);
    }
}

//! Where an issuer's keys come from.

use std::time::Duration;

use super::address::KeyAddress;
use super::jwks::Jwks;

/// What the operator says of an issuer's keys. Nothing of it ever comes from a token.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum ConfiguredKeys {
    /// They were read with the configuration.
    Static(Jwks),
    /// They are fetched, again and again.
    Fetched(JwksEndpoint, RefreshPolicy),
}

/// Whom keys are fetched from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum JwksEndpoint {
    /// A JSON Web Key Set.
    KeySet(KeyAddress),
    /// The issuer's description of itself, which says where its key set is.
    Discovery(KeyAddress),
}

/// When keys are fetched again, and how long they are good for without.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RefreshPolicy {
    pub(crate) refresh: Duration,
    /// So long after the last fetch that succeeded the issuer's tokens are believed.
    pub(crate) max_age: Duration,
}

impl JwksEndpoint {
    pub(super) fn address(&self) -> &KeyAddress {
        let (Self::KeySet(address) | Self::Discovery(address)) = self;
        address
    }
}

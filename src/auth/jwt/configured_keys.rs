//! The configured source of an issuer's keys.

use std::time::Duration;

use super::address::KeyAddress;
use super::jwks::Jwks;

/// The source of an issuer's keys. It comes from the configuration only, never from a token.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum ConfiguredKeys {
    /// Read with the configuration.
    Static(Jwks),
    /// Fetched at intervals.
    Fetched(JwksEndpoint, RefreshPolicy),
}

/// The URL that keys are fetched from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum JwksEndpoint {
    /// A JSON Web Key Set.
    KeySet(KeyAddress),
    /// A discovery document, which names the key set.
    Discovery(KeyAddress),
}

/// How often keys are fetched, and how long they stay valid without a successful fetch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RefreshPolicy {
    pub(crate) refresh: Duration,
    /// How long after the last successful fetch keys are valid.
    pub(crate) max_age: Duration,
}

impl JwksEndpoint {
    pub(super) fn address(&self) -> &KeyAddress {
        let (Self::KeySet(address) | Self::Discovery(address)) = self;
        address
    }
}

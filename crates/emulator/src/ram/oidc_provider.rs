//! OIDC identity providers.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// An OIDC identity provider of an account: an issuer whose tokens may assume roles.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OidcProvider {
    pub(crate) account: String,
    pub(crate) name: String,
    pub(crate) description: String,
    /// `iss` of its tokens, compared exactly.
    pub(crate) issuer: String,
    /// The values of `aud` that it accepts.
    pub(crate) client_ids: Vec<String>,
    /// Of the certificates of the issuer's HTTPS endpoint. Kept and answered; the emulator does not connect to issuers.
    pub(crate) fingerprints: Vec<String>,
    pub(crate) created: DateTime<Utc>,
    pub(crate) updated: DateTime<Utc>,
}

impl OidcProvider {
    pub(crate) fn arn(&self) -> String {
        Self::arn_of(&self.account, &self.name)
    }

    pub(crate) fn arn_of(account: &str, name: &str) -> String {
        format!("acs:ram::{account}:oidc-provider/{name}")
    }
}

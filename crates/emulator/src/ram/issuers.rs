//! OIDC providers of accounts, and the keys of the issuers that they name.

use std::collections::HashMap;

use jsonwebtoken::jwk::JwkSet;

/// An OIDC provider of an account: an issuer whose tokens may assume roles.
#[derive(Clone, Debug)]
pub(crate) struct OidcProvider {
    /// `iss` of its tokens, compared exactly.
    pub(crate) issuer: String,
    /// The values of `aud` that it accepts.
    pub(crate) client_ids: Vec<String>,
}

/// The keys of token issuers, by `iss`. The real STS fetches them from each issuer; the emulator makes no requests.
#[derive(Debug, Default)]
pub(crate) struct IssuerKeys(pub(crate) HashMap<String, JwkSet>);

impl IssuerKeys {
    pub(crate) fn of(&self, issuer: &str) -> Option<&JwkSet> {
        self.0.get(issuer)
    }
}

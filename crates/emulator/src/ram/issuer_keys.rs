//! The keys of the issuers that OIDC providers name.

use std::collections::HashMap;

use jsonwebtoken::jwk::JwkSet;

/// The keys of token issuers, by `iss`. The real STS fetches them from each issuer; the emulator fetches none.
#[derive(Debug, Default)]
pub(crate) struct IssuerKeys(pub(crate) HashMap<String, JwkSet>);

impl IssuerKeys {
    pub(crate) fn of(&self, issuer: &str) -> Option<&JwkSet> {
        self.0.get(issuer)
    }
}

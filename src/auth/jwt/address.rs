//! The URL of an issuer's keys.

use std::fmt;

use reqwest::Url;
use serde::Deserialize;

use crate::outbound::SecureUrl;
use appserver_domain::Invalid;

/// A URL that keys may be fetched from: HTTPS, or plain HTTP that does not leave the machine.
///
/// An attacker on the path could otherwise replace the keys and impersonate any user.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct KeyAddress(SecureUrl);

impl KeyAddress {
    /// Whether it has neither path nor query.
    pub(crate) fn is_of_host_alone(&self) -> bool {
        self.url().path() == "/" && self.url().query().is_none()
    }

    /// The issuer's discovery document (OpenID Connect Discovery 1.0 §4.1): a slash at the end of the issuer is
    /// removed first.
    pub(crate) fn of_discovery(issuer: &str) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "with `discovery` an issuer is an `https` URL without user, query and fragment (`http` on loopback), or it \
             cannot be asked for its keys",
        );
        let base = Self::try_from(issuer.to_owned()).map_err(|_| RULE)?;
        if base.url().query().is_some() {
            return Err(RULE);
        }
        let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
        let described = format!("{issuer}/.well-known/openid-configuration");
        Self::try_from(described).map_err(|_| RULE)
    }

    /// The `jwks_uri` of a discovery document that was fetched from here. Its host may differ: large providers keep
    /// keys elsewhere, and the issuer says so, never a token. A remote document cannot point to loopback.
    pub(super) fn named_by_this(&self, uri: &str) -> Option<Self> {
        let named = Self::try_from(uri.to_owned()).ok()?;
        (named.is_encrypted() || !self.is_encrypted()).then_some(named)
    }

    pub(super) fn url(&self) -> &Url {
        self.0.url()
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.0.is_encrypted()
    }
}

/// For the log: without the query, which may contain secrets.
impl fmt::Display for KeyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0.origin(), self.url().path())
    }
}

impl TryFrom<String> for KeyAddress {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "keys are fetched from an `https` URL without user and fragment; `http` is admitted on `localhost` and \
             loopback addresses only",
        );
        SecureUrl::parse(&raw).map(Self).ok_or(RULE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_below_the_issuer_with_and_without_a_slash() {
        let found = |issuer| KeyAddress::of_discovery(issuer).map(|found| found.url().to_string());
        let at = |place: &str| Ok(format!("https://{place}/.well-known/openid-configuration"));
        assert_eq!(found("https://login.example.com"), at("login.example.com"));
        assert_eq!(found("https://login.example.com/"), at("login.example.com"));
        assert_eq!(found("https://example.com/realms/a"), at("example.com/realms/a"));
        assert_eq!(found("https://example.com/realms/a/"), at("example.com/realms/a"));
        for bad in [
            "login.example.com",
            "http://login.example.com/",
            "https://example.com/?a=b",
            "https://example.com/#a",
            "urn:issuer",
        ] {
            assert!(found(bad).is_err(), "{bad}");
        }
    }

    /// A discovery document may name another host, and plain HTTP only on loopback if it was fetched from loopback.
    #[test]
    fn a_remote_discovery_document_must_name_an_https_jwks_uri() {
        let named = |from: &str, uri: &str| {
            KeyAddress::try_from(from.to_owned()).unwrap().named_by_this(uri).is_some()
        };
        let (outside, inside) = ("https://login.example.com/", "http://127.0.0.1:8090/");
        assert!(named(outside, "https://keys.example.net/jwks"));
        assert!(!named(outside, "http://127.0.0.1:9090/metrics"));
        assert!(!named(outside, "http://keys.example.net/jwks"));
        assert!(named(inside, "http://127.0.0.1:8090/jwks"));
        assert!(named(inside, "https://keys.example.net/jwks"));
        assert!(!named(inside, "http://keys.example.net/jwks"));
    }
}

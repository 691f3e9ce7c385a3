//! The OIDC provider whose tokens STS exchanges for the identity's role.

use appserver_domain::{ProviderName, text_type};

/// An OIDC provider of the account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PlannedProvider {
    pub(crate) name: ProviderName,
    pub(crate) issuer: OidcIssuer,
    pub(crate) audiences: Vec<OidcAudience>,
}

/// The token for which STS gives the identity's role.
#[derive(Clone, Debug)]
pub(crate) struct TrustedToken {
    pub(crate) issuer: OidcIssuer,
    /// At least one.
    pub(crate) audiences: Vec<OidcAudience>,
    pub(crate) subject: OidcSubject,
}

/// A token's `iss`, exactly as it is written there: a slash at its end makes it another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OidcIssuer(String);

text_type!(
    OidcIssuer,
    |s| s.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())
        && s.len() <= 1024
        && s.bytes().all(|b| b.is_ascii_graphic() && !b"\"\\?#".contains(&b)),
    "an issuer is an `https` URL without query and fragment, as the `iss` of its tokens writes it"
);

/// A token's `aud`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct OidcAudience(String);

text_type!(
    OidcAudience,
    |s| (1..=128).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_graphic() && b != b','),
    "an audience is 1 to 128 visible ASCII characters without `,`"
);

/// A token's `sub`, such as `system:serviceaccount:default:appserver`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OidcSubject(String);

text_type!(
    OidcSubject,
    |s| (1..=256).contains(&s.len()) && !s.chars().any(char::is_control),
    "a subject is 1 to 256 bytes of text without control characters"
);

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
    |s| s.strip_prefix("https://").is_some_and(has_plain_host)
        && s.len() <= 1024
        && s.bytes().all(|b| b.is_ascii_graphic() && !b"\"\\?#".contains(&b)),
    "an issuer is an `https` URL without user, query and fragment, as the `iss` of its tokens writes it"
);

/// Whether a URL has, behind its scheme, a host and no user or password before it.
fn has_plain_host(rest: &str) -> bool {
    let authority = rest.split('/').next().unwrap_or_default();
    !authority.is_empty() && !authority.starts_with(':') && !authority.contains('@')
}

/// A token's `aud`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct OidcAudience(String);

text_type!(
    OidcAudience,
    |s| (1..=128).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_graphic() && !b",*".contains(&b)),
    "an audience is 1 to 128 visible ASCII characters without `,` and `*`: the trust policy compares it as a whole"
);

/// A token's `sub`, such as `system:serviceaccount:default:appserver`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OidcSubject(String);

text_type!(
    OidcSubject,
    |s| (1..=256).contains(&s.len()) && !s.chars().any(|c| c.is_control() || c == '*'),
    "a subject is 1 to 256 bytes of text without control characters and `*`: the trust policy compares it as a whole"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_has_a_host_and_no_user() {
        for good in
            ["https://oidc.example.com", "https://oidc.example.com:8443/a@b", "https://[::1]/"]
        {
            assert!(good.parse::<OidcIssuer>().is_ok(), "{good}");
        }
        for bad in [
            "https://",
            "https:///a",
            "https://:443",
            "https://me:secret@oidc.example.com/",
            "https://@a",
        ] {
            assert!(bad.parse::<OidcIssuer>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_subject_and_an_audience_with_a_wildcard_are_refused() {
        assert!("system:serviceaccount:default:appserver".parse::<OidcSubject>().is_ok());
        for bad in ["*", "system:serviceaccount:default:*"] {
            assert!(bad.parse::<OidcSubject>().is_err(), "{bad}");
            assert!(bad.parse::<OidcAudience>().is_err(), "{bad}");
        }
    }
}

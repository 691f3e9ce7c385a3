//! Names that operators choose: of clients, roles, grants and issuers, and of the values of a policy template.

use std::borrow::Borrow;
use std::sync::Arc;

use serde::Deserialize;

use super::text_type;

/// A registered app, such as `photo-app-ios`.
///
/// It is part of policies and of session names, so it contains only characters that are plain in both. Its text is
/// shared: each request copies it to several places.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct ClientId(Arc<str>);

text_type!(ClientId, |s| is_name(s, 2), "a client id is 2 to 32 characters of a-z, 0-9 and `-`");

/// Lookup by the text that a request gives.
impl Borrow<str> for ClientId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A named entitlement, such as `daily-photos`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct GrantName(Arc<str>);

text_type!(
    GrantName,
    |s| is_name(s, 1),
    "a grant's name is 1 to 32 characters of a-z, 0-9 and `-`"
);

/// The name of a RAM role in the configuration; the role itself is its ARN.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct RoleName(String);

text_type!(RoleName, |s| is_name(s, 1), "a role's name is 1 to 32 characters of a-z, 0-9 and `-`");

/// The name of an identity provider in the configuration: `[issuers.NAME]`. Its `iss` may change; policies, limits and
/// the audit distinguish users of different issuers by this name.
///
/// It is part of policies and of session names, as a client's id is.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct IssuerName(Arc<str>);

text_type!(
    IssuerName,
    |s| is_name(s, 1),
    "an issuer's name is 1 to 32 characters of a-z, 0-9 and `-`"
);

/// The name of a request parameter or of a claim, such as `album` in `${params.album}`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct ValueName(String);

text_type!(
    ValueName,
    |s| (1..=32).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)),
    "a parameter's or claim's name is 1 to 32 characters of A-Z, a-z, 0-9, `_` and `-`"
);

pub(super) fn is_name(raw: &str, shortest: usize) -> bool {
    (shortest..=32).contains(&raw.len())
        && raw.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_is_lower_case_and_plain() {
        for good in ["client-002", "photo-app-ios", "ab"] {
            assert!(good.parse::<ClientId>().is_ok(), "{good}");
        }
        for bad in ["", "a", "Client", "a_b", "a/b", "a*", "ü2", &"x".repeat(33)] {
            assert!(bad.parse::<ClientId>().is_err(), "{bad}");
        }
    }
}

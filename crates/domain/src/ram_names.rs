//! Names that RAM gives to users, policies and identity providers.

use serde::Deserialize;

use super::text_type;

/// A RAM user, such as `appserver`.
///
/// Source: RAM `CreateUser`: 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct UserName(String);

text_type!(
    UserName,
    |s| (1..=64).contains(&s.len()) && is_plain(s, b"._-"),
    "a RAM user's name is 1 to 64 characters of A-Z, a-z, 0-9, `.`, `_` and `-`"
);

/// A RAM policy, such as `oss-readonly-appserver`.
///
/// Source: RAM `CreatePolicy`: 1 to 128 characters of `A-Z a-z 0-9 -`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct PolicyName(String);

text_type!(
    PolicyName,
    |s| (1..=128).contains(&s.len()) && is_plain(s, b"-"),
    "a RAM policy's name is 1 to 128 characters of A-Z, a-z, 0-9 and `-`"
);

/// An OIDC provider of an account, such as `ack-rrsa-c0ffee`.
///
/// Source: IMS `CreateOIDCProvider`: 1 to 128 characters of `A-Z a-z 0-9 . _ -`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct ProviderName(String);

text_type!(
    ProviderName,
    |s| (1..=128).contains(&s.len()) && is_plain(s, b"._-"),
    "an OIDC provider's name is 1 to 128 characters of A-Z, a-z, 0-9, `.`, `_` and `-`"
);

fn is_plain(raw: &str, others: &[u8]) -> bool {
    raw.bytes().all(|b| b.is_ascii_alphanumeric() || others.contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_characters_and_lengths_of_ram() {
        let long = "x".repeat(65);
        for (name, is_user, is_policy) in [
            ("appserver", true, true),
            ("App.server_1", true, false),
            ("oss-readonly-appserver-2", true, true),
            ("", false, false),
            ("a/b", false, false),
            ("a b", false, false),
            ("ü", false, false),
            ("*", false, false),
            (long.as_str(), false, true),
        ] {
            assert_eq!(name.parse::<UserName>().is_ok(), is_user, "{name}");
            assert_eq!(name.parse::<PolicyName>().is_ok(), is_policy, "{name}");
        }
        assert!("x".repeat(129).parse::<PolicyName>().is_err());
    }
}

//! Alibaba Cloud Resource Names of RAM.

use std::sync::Arc;

use serde::Deserialize;

use super::{Invalid, text_type};

/// An Alibaba Cloud account's number, such as `11223344`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(try_from = "String")]
pub struct AccountId(Arc<str>);

text_type!(
    AccountId,
    |s| (1..=32).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit()),
    "an account id is 1 to 32 digits"
);

/// The name of a RAM role, such as `oss-readonly`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(try_from = "String")]
pub struct RamRoleName(Arc<str>);

text_type!(
    RamRoleName,
    |s| (1..=64).contains(&s.len()) && s.bytes().all(is_of_a_role_name),
    "a RAM role's name is 1 to 64 characters of A-Z, a-z, 0-9, `.` and `-`"
);

fn is_of_a_role_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-' || b == b'.'
}

/// An OIDC provider in RAM, `acs:ram::<account>:oidc-provider/<name>`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(try_from = "String")]
pub struct OidcProviderArn(Arc<str>);

text_type!(
    OidcProviderArn,
    |s| {
        let parts = s.strip_prefix("acs:ram::").and_then(|rest| rest.split_once(":oidc-provider/"));
        parts.is_some_and(|(account, name)| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            let is_name = (1..=128).contains(&name.len()) && name.bytes().all(plain);
            is_name && account.parse::<AccountId>().is_ok()
        })
    },
    "an OIDC provider's ARN reads `acs:ram::<account id>:oidc-provider/<provider name>`, the name 1 to 128 characters of \
     A-Z, a-z, 0-9, `.`, `_` and `-`"
);

impl OidcProviderArn {
    /// The account that owns the provider.
    pub fn account(&self) -> &str {
        self.0.split(':').nth(3).expect("it has an account")
    }

    /// The provider's name.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().expect("a split text has a last part")
    }
}

/// A RAM role, `acs:ram::<account>:role/<name>`.
///
/// RAM lower-cases role names in ARNs; the name is kept as it was written.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(try_from = "String")]
pub struct RoleArn {
    text: Arc<str>,
    account: AccountId,
}

impl RoleArn {
    /// The whole ARN.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The role of that name in an account. A name has the rules of the ARN's.
    pub fn of(account: &AccountId, name: &str) -> Result<Self, Invalid> {
        Self::try_from(format!("acs:ram::{account}:role/{name}"))
    }

    /// The role's name in RAM, as it is written.
    pub fn name(&self) -> &str {
        self.text.rsplit('/').next().expect("a split text has a last part")
    }

    /// The account that owns the role.
    pub fn account(&self) -> &AccountId {
        &self.account
    }
}

impl TryFrom<String> for RoleArn {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "a role's ARN reads `acs:ram::<account id>:role/<role name>`, the name 1 to 64 characters of \
             A-Z, a-z, 0-9, `.` and `-`",
        );
        let (account, name) = text
            .strip_prefix("acs:ram::")
            .and_then(|rest| rest.split_once(":role/"))
            .ok_or(RULE)?;
        if !(1..=64).contains(&name.len()) || !name.bytes().all(is_of_a_role_name) {
            return Err(RULE);
        }
        let account = account.parse().map_err(|_| RULE)?;
        Ok(Self { text: text.into(), account })
    }
}

impl std::fmt::Display for RoleArn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_arn_knows_its_account() {
        let arn = RoleArn::try_from("acs:ram::11223344:role/oss-readonly".to_owned()).unwrap();
        assert_eq!(
            (arn.account().as_str(), arn.as_str()),
            ("11223344", "acs:ram::11223344:role/oss-readonly")
        );
        assert_eq!(arn.name(), "oss-readonly");
        assert_eq!(RoleArn::of(arn.account(), arn.name()), Ok(arn));
        let provider: OidcProviderArn = "acs:ram::11223344:oidc-provider/ack".parse().unwrap();
        assert_eq!((provider.account(), provider.name()), ("11223344", "ack"));
    }

    #[test]
    fn anything_but_one_role_of_one_account_is_refused() {
        let bad = [
            "",
            "oss-readonly",
            "acs:ram::11223344:root",
            "acs:ram::11223344:user/appserver",
            "acs:ram::*:role/oss-readonly",
            "acs:ram::11223344:role/*",
            "acs:ram::11223344:role/",
            "acs:ram::11223344:role/a/b",
            "acs:ram:cn-hangzhou:11223344:role/a",
        ];
        for arn in bad {
            assert!(RoleArn::try_from(arn.to_owned()).is_err(), "{arn}");
        }
    }

    #[test]
    fn an_oidc_providers_arn_is_one_provider_of_one_account() {
        let read = |arn: &str| OidcProviderArn::try_from(arn.to_owned());
        assert!(read("acs:ram::11223344:oidc-provider/ack-rrsa-c1").is_ok());
        for bad in [
            "",
            "ack-rrsa-c1",
            "acs:ram::*:oidc-provider/a",
            "acs:ram::1:role/a",
            "acs:ram::1:oidc-provider/",
            "acs:ram::1:oidc-provider/a/b",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}

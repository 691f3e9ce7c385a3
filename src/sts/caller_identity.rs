//! Whose AccessKey it is.

use chrono::{DateTime, Utc};

use super::answer::Answer;
use super::call::Call;
use super::error::Unintelligible;
use super::rpc::Parameters;
use crate::domain::AccountId;

/// Whom STS takes us for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CallerIdentity {
    pub(crate) kind: IdentityKind,
    pub(crate) account: AccountId,
    /// Such as `acs:ram::11223344:user/appserver`.
    pub(crate) arn: String,
}

/// What an AccessKey can belong to.
///
/// There is no "other": the start-up check that refuses an account's own key would let through what
/// nobody knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum IdentityKind {
    /// The Alibaba Cloud account itself, which may do everything.
    Account,
    RamUser,
    AssumedRole,
}

/// The call without parameters that needs no permission.
pub(super) struct GetCallerIdentity;

impl Call for GetCallerIdentity {
    type Brings = CallerIdentity;
    const ACTION: &'static str = "GetCallerIdentity";

    fn parameters(&self) -> Parameters<'_> {
        Parameters::new()
    }

    fn read(&self, answer: &Answer, _: DateTime<Utc>) -> Result<CallerIdentity, Unintelligible> {
        const TYPE: &str = "/IdentityType";
        const ACCOUNT: &str = "/AccountId";
        // Pages of the documentation differ in the case of `RAMUser`.
        let kind = match answer.text(TYPE)?.to_ascii_lowercase().as_str() {
            "account" => IdentityKind::Account,
            "ramuser" => IdentityKind::RamUser,
            "assumedroleuser" => IdentityKind::AssumedRole,
            _ => return Err(Unintelligible::Malformed(TYPE)),
        };
        let account = answer.text(ACCOUNT)?;
        let account = account.parse().map_err(|_| Unintelligible::Malformed(ACCOUNT))?;
        Ok(CallerIdentity { kind, account, arn: answer.text("/Arn")?.into() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(kind: &str, account: Value) -> Result<CallerIdentity, Unintelligible> {
        let arn = "acs:ram::11223344:user/appserver";
        let body = json!({"IdentityType": kind, "AccountId": account, "Arn": arn, "UserId": "1"});
        let answer = Answer::parse(body.to_string().as_bytes()).unwrap();
        GetCallerIdentity.read(&answer, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn every_kind_of_identity_is_told_apart() {
        let identity = |kind| CallerIdentity {
            kind,
            account: "11223344".parse().unwrap(),
            arn: "acs:ram::11223344:user/appserver".into(),
        };
        for (text, kind) in [
            ("Account", IdentityKind::Account),
            ("RAMUser", IdentityKind::RamUser),
            ("RamUser", IdentityKind::RamUser),
            ("AssumedRoleUser", IdentityKind::AssumedRole),
        ] {
            assert_eq!(read(text, "11223344".into()), Ok(identity(kind)), "{text}");
        }
    }

    #[test]
    fn an_identity_that_is_not_understood_is_an_error() {
        assert_eq!(read("", "1".into()), Err(Unintelligible::Lacks("/IdentityType")));
        assert_eq!(read("Martian", "1".into()), Err(Unintelligible::Malformed("/IdentityType")));
        assert_eq!(read("RAMUser", "x".into()), Err(Unintelligible::Malformed("/AccountId")));
        assert_eq!(read("RAMUser", 1.into()), Err(Unintelligible::Lacks("/AccountId")));
    }
}

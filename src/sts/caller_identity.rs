//! GetCallerIdentity: the identity of an AccessKey.

use chrono::{DateTime, Utc};

use super::call::Call;
use super::error::InvalidResponse;
use super::response_body::ResponseBody;
use super::rpc::Parameters;
use appserver_domain::AccountId;

/// The identity that STS reports for the AccessKey.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CallerIdentity {
    pub(crate) kind: IdentityKind,
    pub(crate) account: AccountId,
    /// Such as `acs:ram::11223344:user/appserver`.
    pub(crate) arn: String,
}

/// The kinds of identity that an AccessKey can belong to.
///
/// There is no "other": the start-up check that rejects an account's own key must not accept an unknown kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum IdentityKind {
    /// The Alibaba Cloud account itself, which may do everything.
    Account,
    RamUser,
    AssumedRole,
}

/// A call without parameters that needs no permission.
pub(super) struct GetCallerIdentity;

impl Call for GetCallerIdentity {
    type Output = CallerIdentity;
    const ACTION: &'static str = "GetCallerIdentity";

    fn parameters(&self) -> Parameters<'_> {
        Parameters::new()
    }

    fn read(
        &self,
        answer: &ResponseBody<'_>,
        _: DateTime<Utc>,
    ) -> Result<CallerIdentity, InvalidResponse> {
        const TYPE: &str = "/IdentityType";
        const ACCOUNT: &str = "/AccountId";
        const ARN: &str = "/Arn";
        // Pages of the documentation differ in the case of `RAMUser`.
        let kind = match answer.text(TYPE)?.to_ascii_lowercase().as_str() {
            "account" => IdentityKind::Account,
            "ramuser" => IdentityKind::RamUser,
            "assumedroleuser" => IdentityKind::AssumedRole,
            _ => return Err(InvalidResponse::Malformed(TYPE)),
        };
        let account = answer.text(ACCOUNT)?;
        let account: AccountId =
            account.parse().map_err(|_| InvalidResponse::Malformed(ACCOUNT))?;
        let arn = answer.text(ARN)?;
        if !kind.is_of(&account, arn) {
            return Err(InvalidResponse::Malformed(ARN));
        }
        Ok(CallerIdentity { kind, account, arn: arn.into() })
    }
}

impl IdentityKind {
    /// Whether an ARN names an identity of this kind in the account. Both must agree, because an account's own key is
    /// rejected by the kind.
    fn is_of(self, account: &AccountId, arn: &str) -> bool {
        let rest = arn.strip_prefix("acs:ram::").and_then(|rest| rest.split_once(':'));
        rest.is_some_and(|(owner, whose)| {
            let is_of_kind = match self {
                Self::Account => whose == "root",
                Self::RamUser => whose.starts_with("user/"),
                Self::AssumedRole => {
                    whose.starts_with("assumed-role/") || whose.starts_with("role/")
                }
            };
            owner == account.as_str() && is_of_kind
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const USER: &str = "acs:ram::11223344:user/appserver";
    const SESSION: &str = "acs:ram::11223344:assumed-role/deployer/ci";

    fn read(kind: &str, account: Value, arn: &str) -> Result<CallerIdentity, InvalidResponse> {
        let body = json!({"IdentityType": kind, "AccountId": account, "Arn": arn, "UserId": "1"});
        let body = body.to_string();
        let answer = ResponseBody::parse(body.as_bytes()).unwrap();
        GetCallerIdentity.read(&answer, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn every_kind_of_identity_is_distinguished() {
        for (text, kind, arn) in [
            ("Account", IdentityKind::Account, "acs:ram::11223344:root"),
            ("RAMUser", IdentityKind::RamUser, USER),
            ("RamUser", IdentityKind::RamUser, USER),
            ("AssumedRoleUser", IdentityKind::AssumedRole, SESSION),
        ] {
            let account = "11223344".parse().unwrap();
            let identity = CallerIdentity { kind, account, arn: arn.into() };
            assert_eq!(read(text, "11223344".into(), arn), Ok(identity), "{text}");
        }
    }

    #[test]
    fn an_unknown_kind_of_identity_is_an_error() {
        let read = |kind, account| read(kind, account, USER);
        assert_eq!(read("", "1".into()), Err(InvalidResponse::Lacks("/IdentityType")));
        assert_eq!(read("Martian", "1".into()), Err(InvalidResponse::Malformed("/IdentityType")));
        assert_eq!(read("RAMUser", "x".into()), Err(InvalidResponse::Malformed("/AccountId")));
        assert_eq!(read("RAMUser", 1.into()), Err(InvalidResponse::Lacks("/AccountId")));
    }

    /// An account's own key that is called a user's would pass the check at the start.
    #[test]
    fn an_identity_whose_arn_contradicts_its_kind_is_an_error() {
        for (kind, arn) in [
            ("RAMUser", "acs:ram::11223344:root"),
            ("AssumedRoleUser", "acs:ram::11223344:root"),
            ("RAMUser", SESSION),
            ("AssumedRoleUser", USER),
            ("Account", USER),
            ("RAMUser", "acs:ram::55667788:user/appserver"),
            ("RAMUser", "appserver"),
        ] {
            let refused = read(kind, "11223344".into(), arn);
            assert_eq!(refused, Err(InvalidResponse::Malformed("/Arn")), "{kind} {arn}");
        }
    }
}

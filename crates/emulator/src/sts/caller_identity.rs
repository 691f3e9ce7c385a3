//! GetCallerIdentity, which needs no permission.

use serde_json::{Map, Value};

use super::error::StsError;
use crate::ram::{Principal, Ram};

/// The caller's identity.
pub(crate) fn caller_identity(
    ram: &Ram,
    principal: &Principal,
) -> Result<Map<String, Value>, StsError> {
    match principal {
        Principal::Root(account) => Ok(fields([
            ("IdentityType", "Account"),
            ("AccountId", account),
            ("PrincipalId", account),
            ("UserId", account),
            ("Arn", &format!("acs:ram::{account}:root")),
        ])),
        Principal::User(user) => Ok(fields([
            ("IdentityType", "RAMUser"),
            ("AccountId", &user.account),
            ("PrincipalId", &user.id),
            ("UserId", &user.id),
            ("Arn", &user.arn()),
        ])),
        Principal::Session(session) => {
            // Sessions of a deleted role are invalid.
            let role = ram.role_of(session).ok_or(StsError::RoleNotFound)?;
            let name = &session.session_name;
            Ok(fields([
                ("IdentityType", "AssumedRoleUser"),
                ("AccountId", &role.account),
                ("PrincipalId", &format!("{}:{name}", role.id)),
                ("RoleId", &role.id),
                ("Arn", &format!("acs:ram::{}:assumed-role/{}/{name}", role.account, role.name)),
            ]))
        }
    }
}

fn fields(pairs: [(&str, &str); 5]) -> Map<String, Value> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

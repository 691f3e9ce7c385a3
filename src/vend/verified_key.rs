//! The proof that AppServer may sign with an AccessKey.

use crate::sts::{CallerIdentity, IdentityKind};
use appserver_domain::AccountId;

/// An AccessKey whose owner is a RAM user or a role, as STS has confirmed. No token is vended without one.
#[derive(Clone, Debug)]
pub(crate) struct VerifiedKey(CallerIdentity);

/// Why an AccessKey is rejected for good.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum KeyRefused {
    #[error(
        "the AccessKey belongs to the Alibaba Cloud account `{0}` itself; it can do everything, and STS does \
         not let it assume roles: use the AccessKey of a RAM user (`appserver setup plan`)"
    )]
    RootAccount(AccountId),
    #[error(
        "the AccessKey belongs to account `{key}`, but a configured role to account `{role}`; set \
         `cross_account = true` on the role if that is intended"
    )]
    ForeignRole { key: AccountId, role: AccountId },
}

impl VerifiedKey {
    /// Admits an identity that may assume roles of `accounts`, the owners of the configured roles.
    pub(crate) fn admit<'a>(
        identity: CallerIdentity,
        accounts: impl IntoIterator<Item = &'a AccountId>,
    ) -> Result<Self, KeyRefused> {
        if identity.kind == IdentityKind::Account {
            return Err(KeyRefused::RootAccount(identity.account));
        }
        let verified = Self(identity);
        verified.admits(accounts)?;
        Ok(verified)
    }

    /// The account that it belongs to.
    pub(super) fn account(&self) -> &AccountId {
        &self.0.account
    }

    /// Whether it may assume roles of these accounts.
    pub(super) fn admits<'a>(
        &self,
        accounts: impl IntoIterator<Item = &'a AccountId>,
    ) -> Result<(), KeyRefused> {
        let key = &self.0.account;
        match accounts.into_iter().find(|account| *account != key) {
            Some(role) => Err(KeyRefused::ForeignRole { key: key.clone(), role: role.clone() }),
            None => Ok(()),
        }
    }

    /// The owner's ARN, safe to log.
    pub(crate) fn arn(&self) -> &str {
        &self.0.arn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(kind: IdentityKind, role_account: &str) -> Result<(), KeyRefused> {
        let identity = CallerIdentity {
            kind,
            account: "11223344".parse().unwrap(),
            arn: "acs:ram::11223344:user/appserver".into(),
        };
        VerifiedKey::admit(identity, &[role_account.parse().unwrap()]).map(|_| ())
    }

    #[test]
    fn only_a_ram_user_or_role_of_the_roles_own_account_is_admitted() {
        let [ours, theirs]: [AccountId; 2] = ["11223344", "55667788"].map(|id| id.parse().unwrap());
        assert_eq!(admit(IdentityKind::RamUser, "11223344"), Ok(()));
        assert_eq!(admit(IdentityKind::AssumedRole, "11223344"), Ok(()));
        assert_eq!(
            admit(IdentityKind::Account, "11223344"),
            Err(KeyRefused::RootAccount(ours.clone()))
        );
        assert_eq!(
            admit(IdentityKind::RamUser, "55667788"),
            Err(KeyRefused::ForeignRole { key: ours, role: theirs })
        );
    }
}

//! The calls that read. What does not exist is `None` or an empty list, not an error.

use std::fmt;

use super::call::{RamCall, Service};
use super::client::RamClient;
use super::entities::{
    AdminIdentity, AttachedPolicy, KeyEntry, PolicyKind, Provider, Role, network_policy,
    policy_document,
};
use super::error::RamError;

/// Whom a policy is attached to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AttachmentTarget<'a> {
    User(&'a str),
    Role(&'a str),
}

impl fmt::Display for AttachmentTarget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user {name}"),
            Self::Role(name) => write!(f, "role {name}"),
        }
    }
}

impl AttachmentTarget<'_> {
    /// As RAM's ARNs name it.
    pub(super) fn subject(self) -> String {
        match self {
            Self::User(name) => format!("user/{name}"),
            Self::Role(name) => format!("role/{name}"),
        }
    }

    /// The parameter that names it.
    pub(super) fn parameter(self) -> (&'static str, String) {
        match self {
            Self::User(name) => ("UserName", name.to_owned()),
            Self::Role(name) => ("RoleName", name.to_owned()),
        }
    }
}

impl RamClient {
    /// Who the administrator's AccessKey belongs to. Needs no permission.
    pub(crate) async fn identity(&self) -> Result<AdminIdentity, RamError> {
        let subject = "the administrator's AccessKey".to_owned();
        let call = RamCall::reads(Service::Sts, "GetCallerIdentity", subject, vec![]);
        self.call(&call, AdminIdentity::read).await
    }

    pub(crate) async fn has_user(&self, name: &str) -> Result<bool, RamError> {
        let own = vec![("UserName", name.into())];
        let call = RamCall::reads(Service::Ram, "GetUser", format!("user/{name}"), own);
        Ok(there(self.call(&call, |_| Ok(())).await)?.is_some())
    }

    pub(crate) async fn access_keys(&self, user: &str) -> Result<Vec<KeyEntry>, RamError> {
        let own = vec![("UserName", user.into())];
        let call = RamCall::reads(Service::Ram, "ListAccessKeys", format!("user/{user}"), own);
        Ok(there(self.call(&call, KeyEntry::list).await)?.unwrap_or_default())
    }

    pub(crate) async fn role(&self, name: &str) -> Result<Option<Role>, RamError> {
        let own = vec![("RoleName", name.into())];
        let call = RamCall::reads(Service::Ram, "GetRole", format!("role/{name}"), own);
        there(self.call(&call, Role::read).await)
    }

    /// The policies that are attached directly to a user or a role.
    pub(crate) async fn attached(
        &self,
        holder: AttachmentTarget<'_>,
    ) -> Result<Vec<AttachedPolicy>, RamError> {
        let action = match holder {
            AttachmentTarget::User(_) => "ListPoliciesForUser",
            AttachmentTarget::Role(_) => "ListPoliciesForRole",
        };
        let (parameter, name) = holder.parameter();
        let own = vec![(parameter, name.into())];
        let call = RamCall::reads(Service::Ram, action, holder.subject(), own);
        Ok(there(self.call(&call, AttachedPolicy::list).await)?.unwrap_or_default())
    }

    /// The document of a policy's default version.
    pub(crate) async fn policy(
        &self,
        kind: PolicyKind,
        name: &str,
    ) -> Result<Option<String>, RamError> {
        let own = vec![("PolicyName", name.into()), ("PolicyType", kind.as_str().into())];
        let call = RamCall::reads(Service::Ram, "GetPolicy", format!("policy/{name}"), own);
        there(self.call(&call, policy_document).await)
    }

    /// The network policy of an AccessKey.
    pub(crate) async fn network_policy(
        &self,
        user: &str,
        key: &str,
    ) -> Result<Option<serde_json::Value>, RamError> {
        let principal = self.user_principal(user);
        let own = vec![("UserPrincipalName", principal.into()), ("UserAccessKeyId", key.into())];
        let call = RamCall::reads(Service::Ims, "GetAccessKeyPolicy", format!("user/{user}"), own);
        Ok(there(self.call(&call, network_policy).await)?.flatten())
    }

    pub(crate) async fn provider(&self, name: &str) -> Result<Option<Provider>, RamError> {
        let own = vec![("OIDCProviderName", name.into())];
        let subject = format!("oidc-provider/{name}");
        let call = RamCall::reads(Service::Ims, "GetOIDCProvider", subject, own);
        there(self.call(&call, Provider::read).await)
    }
}

/// `None` if the service says that the thing does not exist.
fn there<T>(read: Result<T, RamError>) -> Result<Option<T>, RamError> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_there() => Ok(None),
        Err(error) => Err(error),
    }
}

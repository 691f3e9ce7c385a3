//! The whole state of the emulated RAM, as one value.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::access_key::AccessKey;
use super::custom_policy::CustomPolicy;
use super::evaluate::{Decision, Request, decide};
use super::oidc_provider::OidcProvider;
use super::policy::Policy;
use super::principal::{Owner, Principal};
use super::role::Role;
use super::session_token::Session;
use super::system::SystemPolicies;
use super::user::{Attachment, PolicyType, User};

/// The state of the emulated RAM. STS, OSS and RAM itself decide by it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ram {
    /// By AccessKey id.
    pub(crate) keys: BTreeMap<String, AccessKey>,
    /// By ARN, as all below.
    pub(crate) users: BTreeMap<String, Arc<User>>,
    pub(crate) roles: BTreeMap<String, Arc<Role>>,
    pub(crate) policies: BTreeMap<String, Arc<CustomPolicy>>,
    pub(crate) oidc_providers: BTreeMap<String, Arc<OidcProvider>>,
    #[serde(skip)]
    pub(crate) system_policies: SystemPolicies,
}

impl Ram {
    /// A long-lived AccessKey and its owner.
    pub(crate) fn key(&self, id: &str) -> Option<(&AccessKey, Principal)> {
        let key = self.keys.get(id)?;
        let principal = match &key.owner {
            Owner::Root(account) => Principal::Root(account.clone()),
            Owner::User(arn) => Principal::User(Arc::clone(self.users.get(arn)?)),
        };
        Some((key, principal))
    }

    /// The role of a session. Deleting a role ends its sessions: a new role of the same name has another id.
    pub(crate) fn role_of(&self, session: &Session) -> Option<&Arc<Role>> {
        self.roles.get(&session.role_arn).filter(|role| role.id == session.role_id)
    }

    /// Whether the principal's own policies allow the request. A session needs its role's policies *and* its session policy; a session
    /// of a deleted role is allowed nothing.
    pub(crate) fn permits(&self, principal: &Principal, request: &Request<'_>) -> bool {
        match principal {
            Principal::Root(_) => true,
            Principal::User(user) => {
                self.decide(&user.account, &user.attached, request).is_allowed()
            }
            Principal::Session(session) => {
                let role = self.role_of(session);
                role.is_some_and(|role| {
                    self.decide(&role.account, &role.attached, request).is_allowed()
                }) && session.permits(request)
            }
        }
    }

    /// Whether there may be such a user or role: those of accounts that are not emulated are not known.
    pub(crate) fn may_exist(&self, arn: &str) -> bool {
        let account = |arn: &str| arn.split(':').nth(3).map(str::to_owned);
        let is_emulated = |known: &String| account(known) == account(arn);
        self.users.contains_key(arn)
            || self.roles.contains_key(arn)
            || !self.users.keys().chain(self.roles.keys()).any(is_emulated)
    }

    /// Evaluates the policies that are attached to a user or role of the account.
    pub(crate) fn decide(
        &self,
        account: &str,
        attached: &[Attachment],
        request: &Request<'_>,
    ) -> Decision {
        decide(attached.iter().filter_map(|attachment| self.policy(account, attachment)), request)
    }

    /// The document of the default version of an attached policy.
    fn policy(&self, account: &str, attachment: &Attachment) -> Option<&Policy> {
        match attachment.policy_type {
            PolicyType::System => {
                self.system_policies.get(&attachment.policy).map(|policy| policy.document.parsed())
            }
            PolicyType::Custom => self
                .policies
                .get(&CustomPolicy::arn_of(account, &attachment.policy))
                .map(|policy| policy.default_version().document.parsed()),
        }
    }
}

//! What an account has of the names in a plan.

use std::collections::BTreeMap;

use super::plan::{AccountPlan, PlannedIdentity, PlannedPolicy, PlannedRole, PlannedUser};
use crate::ram::{AttachmentTarget, KeyEntry, PolicyKind, Provider, RamClient, RamError, Role};
use serde_json::Value;

/// The state of an account, as far as a plan is about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountState {
    /// The user of the identity.
    pub(super) user: Option<UserState>,
    /// The OIDC provider of the identity.
    pub(super) provider: Option<Provider>,
    /// Roles by name, as the plan spells it.
    pub(super) roles: BTreeMap<String, RoleState>,
    /// The documents of custom policies with a planned name.
    pub(super) policies: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct UserState {
    pub(super) keys: Vec<KeyEntry>,
    pub(super) attached: Vec<AttachedDocument>,
    /// The network policies of the AccessKeys that have one; read only if the plan has one.
    pub(super) networks: BTreeMap<String, Value>,
}

#[derive(Clone, Debug)]
pub(super) struct RoleState {
    pub(super) role: Role,
    pub(super) attached: Vec<AttachedDocument>,
}

/// A policy that is attached, with the document of its default version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct AttachedDocument {
    pub(super) name: String,
    pub(super) kind: PolicyKind,
    pub(super) document: String,
}

impl AccountState {
    /// Reads it. Nothing is changed.
    pub(crate) async fn read(ram: &RamClient, plan: &AccountPlan) -> Result<Self, RamError> {
        let mut reader = Reader { ram, documents: BTreeMap::new() };
        let mut state = Self::default();
        match &plan.identity {
            PlannedIdentity::User(user) => {
                state.user = reader.user(user).await?;
                reader.planned(&user.policies, &mut state).await?;
            }
            PlannedIdentity::InstanceRole(_) => {}
            PlannedIdentity::OidcRole { provider, .. } => {
                state.provider = ram.provider(provider.name.as_str()).await?;
            }
        }
        for role in plan.identity.role().into_iter().chain(&plan.roles) {
            if let Some(found) = reader.role(role).await? {
                state.roles.insert(role.arn.name().to_owned(), found);
            }
            reader.planned(&role.policies, &mut state).await?;
        }
        Ok(state)
    }
}

struct Reader<'a> {
    ram: &'a RamClient,
    /// Read once each: roles share system policies.
    documents: BTreeMap<(PolicyKind, String), Option<String>>,
}

impl Reader<'_> {
    async fn user(&mut self, planned: &PlannedUser) -> Result<Option<UserState>, RamError> {
        let name = planned.name.as_str();
        if !self.ram.has_user(name).await? {
            return Ok(None);
        }
        let keys = self.ram.access_keys(name).await?;
        let mut networks = BTreeMap::new();
        if planned.network.is_some() {
            for key in &keys {
                let id = key.id.as_str();
                if let Some(policy) = self.ram.network_policy(name, id).await? {
                    networks.insert(id.to_owned(), policy);
                }
            }
        }
        let attached = self.attached(AttachmentTarget::User(name)).await?;
        Ok(Some(UserState { keys, attached, networks }))
    }

    async fn role(&mut self, planned: &PlannedRole) -> Result<Option<RoleState>, RamError> {
        let name = planned.arn.name();
        let Some(role) = self.ram.role(name).await? else { return Ok(None) };
        Ok(Some(RoleState { role, attached: self.attached(AttachmentTarget::Role(name)).await? }))
    }

    async fn attached(
        &mut self,
        holder: AttachmentTarget<'_>,
    ) -> Result<Vec<AttachedDocument>, RamError> {
        let mut attached = Vec::new();
        for policy in self.ram.attached(holder).await? {
            // One that was deleted in between allows nothing any more.
            if let Some(document) = self.document(policy.kind, &policy.name).await? {
                let (name, kind) = (policy.name, policy.kind);
                attached.push(AttachedDocument { name, kind, document });
            }
        }
        Ok(attached)
    }

    /// Reads the custom policies that have planned names.
    async fn planned(
        &mut self,
        planned: &[PlannedPolicy],
        state: &mut AccountState,
    ) -> Result<(), RamError> {
        for policy in planned {
            let name = policy.name.as_str();
            if let Some(document) = self.document(PolicyKind::Custom, name).await? {
                state.policies.insert(name.to_owned(), document);
            }
        }
        Ok(())
    }

    async fn document(&mut self, kind: PolicyKind, name: &str) -> Result<Option<String>, RamError> {
        let key = (kind, name.to_owned());
        if let Some(known) = self.documents.get(&key) {
            return Ok(known.clone());
        }
        let document = self.ram.policy(kind, name).await?;
        self.documents.insert(key, document.clone());
        Ok(document)
    }
}

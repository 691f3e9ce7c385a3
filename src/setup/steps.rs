//! What is to be made so that nothing of a plan is missing, in the order in which it can be made. Pure.
//!
//! No step replaces, widens or removes what exists.

use std::fmt;

use super::drift::{Needs, is_foreign, lacks_planned, lacks_policies, not_attached};
use super::plan::{
    AccountPlan, NetworkPolicy, PlannedIdentity, PlannedPolicy, PlannedProvider, PlannedRole,
    PlannedUser,
};
use super::state::{AccountState, AttachedDocument, UserState};
use crate::ram::AttachmentTarget;

/// One change of the account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step<'a> {
    CreatePolicy(&'a PlannedPolicy),
    CreateUser(&'a PlannedUser),
    CreateProvider(&'a PlannedProvider),
    CreateRole(&'a PlannedRole),
    Attach {
        policy: &'a PlannedPolicy,
        holder: AttachmentTarget<'a>,
    },
    CreateAccessKey(&'a PlannedUser),
    /// For the key whose files are in the directory.
    SetNetworkPolicy {
        user: &'a PlannedUser,
        network: &'a NetworkPolicy,
    },
}

/// What is to be done about the user's AccessKey.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeySteps {
    /// Whether one is made.
    pub(crate) creates: bool,
    /// Whether the key of the files gets the network policy.
    pub(crate) sets_network: bool,
}

/// All steps.
pub(crate) fn steps<'a>(
    plan: &'a AccountPlan,
    state: &AccountState,
    needs: &Needs,
    keys: KeySteps,
) -> Vec<Step<'a>> {
    let mut attached: Vec<(&'a PlannedPolicy, AttachmentTarget<'a>)> = Vec::new();
    let mut made = Vec::new();
    match &plan.identity {
        PlannedIdentity::User(user) => {
            let has = state.user.as_ref().map_or(&[][..], |user| &user.attached);
            if state.user.is_none() {
                made.push(Step::CreateUser(user));
            }
            if lacks_planned(&user.policies, has) {
                let holder = AttachmentTarget::User(user.name.as_str());
                attached.extend(attachable(&user.policies, has, state).map(|p| (p, holder)));
            }
        }
        PlannedIdentity::InstanceRole(_) => {}
        PlannedIdentity::OidcRole { provider, .. } => {
            if state.provider.is_none() {
                made.push(Step::CreateProvider(provider));
            }
        }
    }
    // The vending roles trust the identity's, which must exist before them.
    for role in plan.identity.role().into_iter().chain(&plan.roles) {
        let has = state.roles.get(role.arn.name());
        if has.is_none() {
            made.push(Step::CreateRole(role));
        }
        let has = has.map_or(&[][..], |role| &role.attached);
        let lacks = match role.grants.as_slice() {
            [] => lacks_planned(&role.policies, has),
            _ => lacks_policies(role, has, needs),
        };
        if lacks {
            let holder = AttachmentTarget::Role(role.arn.name());
            attached.extend(attachable(&role.policies, has, state).map(|p| (p, holder)));
        }
    }
    let exists = |policy: &PlannedPolicy| state.policies.contains_key(policy.name.as_str());
    let created = attached.iter().filter(|(policy, _)| !exists(policy));
    let mut steps: Vec<_> = created.map(|(policy, _)| Step::CreatePolicy(policy)).collect();
    steps.extend(made);
    steps.extend(attached.into_iter().map(|(policy, holder)| Step::Attach { policy, holder }));
    match &plan.identity {
        PlannedIdentity::User(user) => steps.extend(of_keys(user, keys)),
        PlannedIdentity::InstanceRole(_) | PlannedIdentity::OidcRole { .. } => {}
    }
    steps
}

/// The policies to attach: not one whose name belongs to a policy that allows something else.
fn attachable<'a>(
    planned: &'a [PlannedPolicy],
    has: &[AttachedDocument],
    state: &AccountState,
) -> impl Iterator<Item = &'a PlannedPolicy> {
    not_attached(planned, has).into_iter().filter(|policy| !is_foreign(policy, state))
}

fn of_keys(user: &PlannedUser, keys: KeySteps) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    if keys.creates {
        steps.push(Step::CreateAccessKey(user));
    }
    if let Some(network) = user.network.as_ref().filter(|_| keys.sets_network) {
        steps.push(Step::SetNetworkPolicy { user, network });
    }
    steps
}

impl KeySteps {
    /// `kept` is the id in the files.
    pub(super) fn of(user: &PlannedUser, state: Option<&UserState>, kept: Option<&str>) -> Self {
        let keys = state.map_or(&[][..], |state| &state.keys);
        let creates = kept.is_none() && keys.is_empty();
        let has_policy = |id: &str| state.is_some_and(|state| state.networks.contains_key(id));
        let is_own = |id: &str| keys.iter().any(|key| key.id.as_str() == id);
        let sets_network = user.network.is_some()
            && (creates || kept.is_some_and(|id| is_own(id) && !has_policy(id)));
        Self { creates, sets_network }
    }
}

impl Step<'_> {
    /// What it does, as a command or, once it is done, as a fact.
    fn written(&self, f: &mut fmt::Formatter<'_>, is_done: bool) -> fmt::Result {
        let verb = |command, fact| if is_done { fact } else { command };
        let create = verb("create", "created");
        match self {
            Self::CreatePolicy(policy) => write!(f, "{create} policy {}", policy.name),
            Self::CreateUser(user) => write!(f, "{create} user {}", user.name),
            Self::CreateProvider(provider) => {
                write!(f, "{create} OIDC provider {}", provider.name)
            }
            Self::CreateRole(role) => write!(f, "{create} role {}", role.arn.name()),
            Self::Attach { policy, holder } => {
                let attach = verb("attach", "attached");
                write!(f, "{attach} policy {} to {holder}", policy.name)
            }
            Self::CreateAccessKey(user) => {
                write!(f, "{create} an AccessKey of user {}, in two files", user.name)
            }
            Self::SetNetworkPolicy { user, .. } => {
                let set = verb("set", "set");
                write!(f, "{set} the network policy of the AccessKey of user {}", user.name)
            }
        }
    }

    /// It, when it is done.
    pub(crate) fn done(&self) -> impl fmt::Display {
        struct Done<'a>(&'a Step<'a>);
        impl fmt::Display for Done<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.written(f, true)
            }
        }
        Done(self)
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written(f, false)
    }
}

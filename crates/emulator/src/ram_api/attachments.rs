//! `AttachPolicyTo…`, `DetachPolicyFrom…` and `ListPoliciesFor…`, of users and of roles.

use serde_json::{Value, json};

use super::api_call::{ActionResult, ApiCall};
use super::entities::{self, fields};
use super::error::{Existing, Limit, Missing, RamError};
use super::parameter_rules::policy_type;
use super::policies::require_policy;
use crate::gateway::format_time;
use crate::ram::{Attachment, PolicyType, Ram};

/// The default quotas of a user or role.
const MOST_CUSTOM: usize = 5;
const MOST_SYSTEM: usize = 20;

/// The user or role that a call is about.
enum AttachmentTarget<'a> {
    User(&'a str),
    Role(&'a str),
}

impl<'a> AttachmentTarget<'a> {
    fn of(call: &ApiCall<'a>) -> Result<Self, RamError> {
        if call.action().ends_with("User") {
            call.need("UserName").map(Self::User)
        } else {
            call.need("RoleName").map(Self::Role)
        }
    }

    fn resource(&self) -> String {
        match self {
            Self::User(name) => format!("user/{name}"),
            Self::Role(name) => format!("role/{name}"),
        }
    }

    fn attached<'r>(&self, ram: &'r Ram, account: &str) -> Result<&'r Vec<Attachment>, RamError> {
        match self {
            Self::User(name) => entities::user(ram, account, name).map(|user| &user.attached),
            Self::Role(name) => entities::role(ram, account, name).map(|role| &role.attached),
        }
    }

    fn attached_mut<'r>(
        &self,
        ram: &'r mut Ram,
        account: &str,
    ) -> Result<&'r mut Vec<Attachment>, RamError> {
        match self {
            Self::User(name) => {
                entities::user_mut(ram, account, name).map(|user| &mut user.attached)
            }
            Self::Role(name) => {
                entities::role_mut(ram, account, name).map(|role| &mut role.attached)
            }
        }
    }

    /// Errors of one policy more, one policy twice, and a policy that is not attached.
    fn errors(&self) -> (Limit, Existing, Missing) {
        match self {
            Self::User(_) => (Limit::UserPolicies, Existing::UserPolicy, Missing::UserPolicy),
            Self::Role(_) => (Limit::RolePolicies, Existing::RolePolicy, Missing::RolePolicy),
        }
    }
}

/// Needs the permission on the user or role and on the policy. (That both are needed is inferred.)
pub(super) fn attach(call: &ApiCall<'_>, ram: &mut Ram) -> ActionResult {
    let target = AttachmentTarget::of(call)?;
    let name = call.need("PolicyName")?;
    let policy_type = policy_type(call)?;
    call.require(ram, &target.resource())?;
    require_policy(call, ram, policy_type, name)?;
    let most = match policy_type {
        PolicyType::System => {
            ram.system_policies.get(name).ok_or(RamError::NotFound(Missing::Policy))?;
            MOST_SYSTEM
        }
        PolicyType::Custom => {
            entities::policy(ram, call.account, name)?;
            MOST_CUSTOM
        }
    };
    let (limit, existing, _) = target.errors();
    let attached = target.attached_mut(ram, call.account)?;
    if attached.iter().any(|attachment| attachment.is(policy_type, name)) {
        return Err(RamError::Exists(existing));
    }
    let of_type = attached.iter().filter(|attachment| attachment.policy_type == policy_type);
    if of_type.count() >= most {
        return Err(RamError::LimitExceeded(limit));
    }
    let policy = name.to_owned();
    attached.push(Attachment { policy_type, policy, attached: call.now() });
    Ok(fields([]))
}

pub(super) fn detach(call: &ApiCall<'_>, ram: &mut Ram) -> ActionResult {
    let target = AttachmentTarget::of(call)?;
    let name = call.need("PolicyName")?;
    let policy_type = policy_type(call)?;
    call.require(ram, &target.resource())?;
    require_policy(call, ram, policy_type, name)?;
    let (.., missing) = target.errors();
    let attached = target.attached_mut(ram, call.account)?;
    let before = attached.len();
    attached.retain(|attachment| !attachment.is(policy_type, name));
    if attached.len() == before {
        return Err(RamError::NotFound(missing));
    }
    Ok(fields([]))
}

pub(super) fn list(call: &ApiCall<'_>, ram: &Ram) -> ActionResult {
    let target = AttachmentTarget::of(call)?;
    call.require(ram, &target.resource())?;
    let attached = target.attached(ram, call.account)?;
    let policies: Vec<Value> =
        attached.iter().map(|attachment| view(ram, call.account, attachment)).collect();
    Ok(fields([("Policies", json!({ "Policy": policies }))]))
}

fn view(ram: &Ram, account: &str, attachment: &Attachment) -> Value {
    let (description, version) = match attachment.policy_type {
        PolicyType::System => {
            let policy = ram.system_policies.get(&attachment.policy);
            (policy.map_or("", |policy| policy.description), 1)
        }
        PolicyType::Custom => match entities::policy(ram, account, &attachment.policy) {
            Ok(policy) => (policy.description.as_str(), policy.default_version().number),
            Err(_) => ("", 1),
        },
    };
    json!({
        "PolicyName": attachment.policy,
        "PolicyType": attachment.policy_type.as_str(),
        "Description": description,
        "DefaultVersion": format!("v{version}"),
        "AttachDate": format_time(attachment.attached),
    })
}

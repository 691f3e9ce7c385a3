//! `CreatePolicy`, `GetPolicy` and `DeletePolicy`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::api_call::{ActionResult, ApiCall};
use super::entities::{self, fields};
use super::error::{Conflict, Existing, Limit, Missing, RamError};
use super::parameter_rules::{LONGEST_POLICY, document, new_name, policy_type, text};
use super::policy_versions;
use crate::gateway::format_time;
use crate::ram::{Attachment, CustomPolicy, PolicyType, Ram};

/// The default quota.
const MOST_POLICIES: usize = 200;

pub(super) fn create(call: &ApiCall<'_>, ram: &mut Ram) -> ActionResult {
    let name = new_name(call, "PolicyName", 128, "-")?;
    let json = call.need("PolicyDocument")?;
    call.require(ram, &format!("policy/{name}"))?;
    let description = text(call, "Description", 1024)?;
    let document = document("PolicyDocument", json, LONGEST_POLICY)?;
    let policy = CustomPolicy::new(call.account, name, &description, document, call.now());
    let arn = policy.arn();
    // System and custom policies have one space of names; inferred.
    if ram.policies.contains_key(&arn) || ram.system_policies.get(name).is_some() {
        return Err(RamError::Exists(Existing::Policy));
    }
    let count = ram.policies.values().filter(|policy| policy.account == call.account).count();
    if count >= MOST_POLICIES {
        return Err(RamError::LimitExceeded(Limit::Policies));
    }
    let answer = fields([(
        "Policy",
        json!({
            "PolicyName": name,
            "PolicyType": "Custom",
            "Description": description,
            "DefaultVersion": "v1",
            "CreateDate": format_time(policy.created),
        }),
    )]);
    ram.policies.insert(arn, Arc::new(policy));
    Ok(answer)
}

/// The policy and the document of its default version.
pub(super) fn get(call: &ApiCall<'_>, ram: &Ram) -> ActionResult {
    let name = call.need("PolicyName")?;
    let policy_type = policy_type(call)?;
    require_policy(call, ram, policy_type, name)?;
    let (description, created, updated, version) = match policy_type {
        PolicyType::System => {
            let policy = ram.system_policies.get(name);
            let policy = policy.ok_or(RamError::NotFound(Missing::Policy))?;
            let date = policy_versions::SYSTEM_POLICY_DATE.to_owned();
            let version = policy_versions::system_view(policy);
            (policy.description, date.clone(), date, version)
        }
        PolicyType::Custom => {
            let policy = entities::policy(ram, call.account, name)?;
            let version = policy_versions::view(policy, policy.default_version());
            let (created, updated) = (format_time(policy.created), format_time(policy.updated));
            (policy.description.as_str(), created, updated, version)
        }
    };
    let shown = json!({
        "PolicyName": name,
        "PolicyType": policy_type.as_str(),
        "Description": description,
        "DefaultVersion": version["VersionId"],
        "CreateDate": created,
        "UpdateDate": updated,
        "AttachmentCount": attachments(ram, call.account, policy_type, name),
    });
    Ok(fields([("Policy", shown), ("DefaultPolicyVersion", version)]))
}

/// `CascadingDelete` detaches the policy and deletes its versions; inferred from its name.
pub(super) fn delete(call: &ApiCall<'_>, ram: &mut Ram) -> ActionResult {
    let name = call.need("PolicyName")?;
    call.require(ram, &format!("policy/{name}"))?;
    let cascades = call.flag("CascadingDelete")?;
    let policy = entities::policy(ram, call.account, name)?;
    let arn = policy.arn();
    let is_this = |attachment: &Attachment| attachment.is(PolicyType::Custom, name);
    if !cascades {
        let of_account = |account: &str| account == call.account;
        let (mut users, mut roles) = (ram.users.values(), ram.roles.values());
        if users.any(|user| of_account(&user.account) && user.attached.iter().any(is_this)) {
            return Err(RamError::DeleteConflict(Conflict::PolicyUser));
        }
        if roles.any(|role| of_account(&role.account) && role.attached.iter().any(is_this)) {
            return Err(RamError::DeleteConflict(Conflict::PolicyRole));
        }
        if policy.versions().len() > 1 {
            return Err(RamError::DeleteConflict(Conflict::PolicyVersion));
        }
    }
    for user in ram.users.values_mut().filter(|user| user.account == call.account) {
        Arc::make_mut(user).attached.retain(|attachment| !is_this(attachment));
    }
    for role in ram.roles.values_mut().filter(|role| role.account == call.account) {
        Arc::make_mut(role).attached.retain(|attachment| !is_this(attachment));
    }
    ram.policies.remove(&arn);
    Ok(fields([]))
}

/// Requires access to a policy: the system policies belong to no account.
pub(super) fn require_policy(
    call: &ApiCall<'_>,
    ram: &Ram,
    policy_type: PolicyType,
    name: &str,
) -> Result<(), RamError> {
    let owner = match policy_type {
        PolicyType::System => "system",
        PolicyType::Custom => call.account,
    };
    call.require_in(ram, owner, &format!("policy/{name}"))
}

/// How many users and roles of the account have the policy.
fn attachments(ram: &Ram, account: &str, policy_type: PolicyType, name: &str) -> Value {
    let has = |attached: &[Attachment]| attached.iter().any(|one| one.is(policy_type, name));
    let users = ram.users.values().filter(|user| user.account == account && has(&user.attached));
    let roles = ram.roles.values().filter(|role| role.account == account && has(&role.attached));
    (users.count() + roles.count()).into()
}

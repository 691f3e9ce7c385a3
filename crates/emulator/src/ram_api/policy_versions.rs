//! `CreatePolicyVersion`, `GetPolicyVersion`, `ListPolicyVersions`, `SetDefaultPolicyVersion` and `DeletePolicyVersion`.

use serde_json::{Value, json};

use super::api_call::{ActionResult, ApiCall};
use super::entities::{self, fields};
use super::error::{Conflict, Limit, Missing, RamError};
use super::parameter_rules::{LONGEST_POLICY, document, policy_type, version_id};
use super::policies::require_policy;
use crate::gateway::format_time;
use crate::ram::{CustomPolicy, PolicyType, PolicyVersion, Ram, SystemPolicy};

const MOST_VERSIONS: usize = 5;
/// The emulator's system policies have one version of one date.
pub(super) const SYSTEM_POLICY_DATE: &str = "2015-04-28T00:00:00Z";

pub(super) fn create(call: &ApiCall<'_>, ram: &mut Ram) -> ActionResult {
    let name = call.need("PolicyName")?;
    let json = call.need("PolicyDocument")?;
    call.require(ram, &format!("policy/{name}"))?;
    let as_default = call.flag("SetAsDefault")?;
    let rotates = match call.get("RotateStrategy") {
        None | Some("None") => false,
        Some("DeleteOldestNonDefaultVersionWhenLimitExceeded") => true,
        Some(_) => return Err(RamError::Incorrect("RotateStrategy")),
    };
    let document = document("PolicyDocument", json, LONGEST_POLICY)?;
    let policy = entities::policy_mut(ram, call.account, name)?;
    if policy.versions().len() >= MOST_VERSIONS {
        match policy.oldest_not_default().filter(|_| rotates) {
            Some(oldest) => policy.remove_version(oldest),
            None => return Err(RamError::LimitExceeded(Limit::PolicyVersions)),
        }
    }
    let version = policy.add_version(document, as_default, call.now());
    Ok(fields([("PolicyVersion", view(policy, &version))]))
}

pub(super) fn get(call: &ApiCall<'_>, ram: &Ram) -> ActionResult {
    let name = call.need("PolicyName")?;
    let policy_type = policy_type(call)?;
    let number = version_id(call)?;
    require_policy(call, ram, policy_type, name)?;
    let version = match policy_type {
        PolicyType::System => {
            let policy = ram.system_policies.get(name);
            let policy = policy.ok_or(RamError::NotFound(Missing::Policy))?;
            (number == 1).then(|| system_view(policy))
        }
        PolicyType::Custom => {
            let policy = entities::policy(ram, call.account, name)?;
            policy.version(number).map(|version| view(policy, version))
        }
    };
    let version = version.ok_or(RamError::NotFound(Missing::PolicyVersion))?;
    Ok(fields([("PolicyVersion", version)]))
}

pub(super) fn list(call: &ApiCall<'_>, ram: &Ram) -> ActionResult {
    let name = call.need("PolicyName")?;
    let policy_type = policy_type(call)?;
    require_policy(call, ram, policy_type, name)?;
    let versions: Vec<Value> = match policy_type {
        PolicyType::System => {
            let policy = ram.system_policies.get(name);
            vec![system_view(policy.ok_or(RamError::NotFound(Missing::Policy))?)]
        }
        PolicyType::Custom => {
            let policy = entities::policy(ram, call.account, name)?;
            policy.versions().iter().map(|version| view(policy, version)).collect()
        }
    };
    Ok(fields([("PolicyVersions", json!({ "PolicyVersion": versions }))]))
}

pub(super) fn set_default(call: &ApiCall<'_>, ram: &mut Ram) -> ActionResult {
    let name = call.need("PolicyName")?;
    let number = version_id(call)?;
    call.require(ram, &format!("policy/{name}"))?;
    let policy = entities::policy_mut(ram, call.account, name)?;
    if policy.set_default(number, call.now()) {
        Ok(fields([]))
    } else {
        Err(RamError::NotFound(Missing::PolicyVersion))
    }
}

pub(super) fn delete(call: &ApiCall<'_>, ram: &mut Ram) -> ActionResult {
    let name = call.need("PolicyName")?;
    let number = version_id(call)?;
    call.require(ram, &format!("policy/{name}"))?;
    let policy = entities::policy_mut(ram, call.account, name)?;
    let version = policy.version(number).ok_or(RamError::NotFound(Missing::PolicyVersion))?;
    if policy.is_default(version) {
        return Err(RamError::DeleteConflict(Conflict::PolicyDefaultVersion));
    }
    policy.remove_version(number);
    Ok(fields([]))
}

pub(super) fn view(policy: &CustomPolicy, version: &PolicyVersion) -> Value {
    json!({
        "VersionId": format!("v{}", version.number),
        "IsDefaultVersion": policy.is_default(version),
        "PolicyDocument": version.document.text(),
        "CreateDate": format_time(version.created),
    })
}

pub(super) fn system_view(policy: &SystemPolicy) -> Value {
    json!({
        "VersionId": "v1",
        "IsDefaultVersion": true,
        "PolicyDocument": policy.document.text(),
        "CreateDate": SYSTEM_POLICY_DATE,
    })
}

//! The calls that change what policies a user or a role has, for a person to run. None takes away what another deployment may
//! use without saying so.

use super::aliyun;
use super::permission_set::{PermissionSet, joined};
use super::plan::PlannedPolicy;
use super::state::AttachedDocument;
use crate::ram::PolicyKind;
use appserver_policy::MAX_ROLE_POLICY_BYTES;

/// The calls that give the attached policies of planned names what they lack of the plan; empty if that is not what is
/// lacking.
pub(super) fn extend(planned: &[PlannedPolicy], has: &[AttachedDocument]) -> String {
    let calls: Vec<_> = planned.iter().filter_map(|policy| extend_one(policy, has)).collect();
    calls.join(" and ")
}

fn extend_one(planned: &PlannedPolicy, has: &[AttachedDocument]) -> Option<String> {
    let is_own = |one: &&AttachedDocument| {
        one.kind == PolicyKind::Custom && one.name.eq_ignore_ascii_case(planned.name.as_str())
    };
    let own = has.iter().find(is_own)?;
    let lacks = || {
        let has = PermissionSet::of([(own.name.as_str(), own.document.as_str())])?;
        has.lacks_of(&PermissionSet::of([(own.name.as_str(), planned.document.as_str())])?)
    };
    // One that cannot be compared is replaced, too.
    let is_enough = matches!(lacks(), Ok(None));
    (!is_enough).then(|| new_version(planned, &own.document))
}

/// The call that makes the policy allow what the plan needs. What it allows already stays allowed, if both are short enough
/// together.
fn new_version(planned: &PlannedPolicy, has: &str) -> String {
    let joined = joined(has, &planned.document).ok();
    match joined.filter(|both| both.len() <= MAX_ROLE_POLICY_BYTES) {
        Some(both) => version_call(planned, &both),
        None => format!("{} (it replaces what the policy is now)", replace(planned)),
    }
}

/// The call that makes the policy what is planned, and nothing else.
pub(super) fn replace(planned: &PlannedPolicy) -> String {
    version_call(planned, &planned.document)
}

/// The version before stays, so that it can be made the default again.
fn version_call(planned: &PlannedPolicy, document: &str) -> String {
    let parameters = [
        ("PolicyName", planned.name.as_str()),
        ("PolicyDocument", document),
        ("SetAsDefault", "true"),
        ("RotateStrategy", "DeleteOldestNonDefaultVersionWhenLimitExceeded"),
    ];
    format!("`{}`", aliyun::call("ram CreatePolicyVersion", &parameters))
}

/// The call that attaches a custom policy to the subject of a difference, such as `role/oss-readonly`.
pub(super) fn attach(subject: &str, policy: &str) -> String {
    change(subject, ["AttachPolicyToUser", "AttachPolicyToRole"], policy, PolicyKind::Custom)
}

/// The call that detaches a policy from it.
pub(super) fn detach(subject: &str, policy: &str, kind: PolicyKind) -> String {
    change(subject, ["DetachPolicyFromUser", "DetachPolicyFromRole"], policy, kind)
}

fn change(subject: &str, [of_user, of_role]: [&str; 2], policy: &str, kind: PolicyKind) -> String {
    let (action, holder) = match subject.split_once('/') {
        Some(("user", name)) => (of_user, ("UserName", name)),
        Some((_, name)) => (of_role, ("RoleName", name)),
        None => (of_role, ("RoleName", subject)),
    };
    let parameters = [("PolicyType", kind.as_str()), ("PolicyName", policy), holder];
    format!("`{}`", aliyun::call(&format!("ram {action}"), &parameters))
}

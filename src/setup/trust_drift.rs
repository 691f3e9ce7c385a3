//! The differences between the trust policy of a role and the plan's. Pure.

use std::collections::BTreeSet;

use super::aliyun;
use super::difference::{Drift, DriftKind};
use super::permission_set::{self, Incomparable, PermissionSet, WiderStatement};
use super::plan::PlannedRole;
use super::state::RoleState;

pub(super) fn of(subject: &str, planned: &PlannedRole, role: &RoleState, found: &mut Vec<Drift>) {
    match Comparison::of(planned, role) {
        Err(problem) => found.push(Drift::undecided(subject, &problem)),
        Ok(Comparison { has, needed, lacks, excess }) => {
            if lacks {
                let message = format!("{}{}", lack(&has, &needed), needed_by(planned));
                let fix = lack_fix(&has, &needed, planned, role);
                found.push(Drift::new(DriftKind::NarrowerThanNeeded, subject, message, fix));
            }
            let others = excess.iter().map(|one| one.origin.as_str());
            let others: BTreeSet<_> = others.filter(|origin| !needed.names(origin)).collect();
            let others = others.into_iter().collect::<Vec<_>>().join("`, `");
            let first = if lacks { "after the fix above, and " } else { "" };
            let when = match others.as_str() {
                "" => "once nothing relies on more than the plan has".to_owned(),
                others => format!(
                    "once nothing but the identity of the plan assumes the role by `{others}` any more"
                ),
            };
            let fix = format!("{first}{when}: {}", update_call(planned, role, &planned.trust));
            for WiderStatement { origin, statement, .. } in excess {
                let whom = match origin.strip_suffix(":root") {
                    Some(_) => format!("`{origin}`, every user and role of that account"),
                    None if needed.names(&origin) => {
                        format!("`{origin}` under other conditions than the plan does")
                    }
                    None => format!("`{origin}`, which the plan does not name"),
                };
                let message = format!("it trusts {whom}: {statement}");
                let kind = DriftKind::WiderThanNeeded;
                let mut drift = Drift::new(kind, subject, message, fix.clone());
                drift.request = Some(format!("sts:AssumeRole by {origin}"));
                drift.statement = Some(statement);
                found.push(drift);
            }
        }
    }
}

/// The trust policy of a role against the plan's.
struct Comparison {
    has: PermissionSet,
    needed: PermissionSet,
    lacks: bool,
    excess: Vec<WiderStatement>,
}

impl Comparison {
    fn of(planned: &PlannedRole, role: &RoleState) -> Result<Self, Incomparable> {
        let needed = PermissionSet::of_trust(&planned.trust)?;
        let has = PermissionSet::of_trust(&role.role.trust)?;
        let lacks = has.lacks_of(&needed)?.is_some();
        Ok(Self { excess: has.excess_over(&needed)?, lacks, has, needed })
    }
}

/// A deployment that runs may use the identities that the role trusts already: they stay.
fn lack_fix(
    has: &PermissionSet,
    needed: &PermissionSet,
    planned: &PlannedRole,
    role: &RoleState,
) -> String {
    let kept = kept_trust(planned, role);
    if let Ok(Some(denial)) = has.denial_of(needed) {
        let rest = permission_set::without(&kept, &denial.statement).unwrap_or(kept);
        let call = update_call(planned, role, &rest);
        return format!("narrow this statement, or if nothing relies on it, remove it: {call}");
    }
    update_call(planned, role, &kept)
}

/// The trust policy that the role has, with what the plan needs beside it.
fn kept_trust(planned: &PlannedRole, role: &RoleState) -> String {
    let has = &role.role.trust;
    let lacks = Comparison::of(planned, role).is_ok_and(|compared| compared.lacks);
    if lacks { permission_set::joined(has, &planned.trust).ok() } else { None }
        .unwrap_or_else(|| has.clone())
}

/// The call that gives the role the longest session of the plan and leaves no identity out. A trust policy without a session
/// would be read as one with the default of RAM, so both are sent.
pub(super) fn extend_call(planned: &PlannedRole, role: &RoleState) -> String {
    update_call(planned, role, &kept_trust(planned, role))
}

fn update_call(planned: &PlannedRole, role: &RoleState, trust: &str) -> String {
    let secs = role.role.max_session_secs.max(u64::from(planned.max_session.as_secs()));
    let secs = secs.to_string();
    let parameters = [
        ("RoleName", planned.arn.name()),
        ("NewMaxSessionDuration", secs.as_str()),
        ("NewAssumeRolePolicyDocument", trust),
    ];
    format!("`{}`", aliyun::call("ram UpdateRole", &parameters))
}

/// Why the identity of the plan is not trusted as it is planned.
fn lack(has: &PermissionSet, needed: &PermissionSet) -> String {
    if let Ok(Some(denial)) = has.denial_of(needed) {
        return format!("it denies the identity of the plan: {}", denial.statement);
    }
    match has.statement_about(needed) {
        Some(statement) => format!(
            "it trusts the identity of the plan only under conditions or for actions other than the plan's: {statement}"
        ),
        None => "it does not trust the identity of the plan".to_owned(),
    }
}

/// `; grants a and b need it`
pub(super) fn needed_by(role: &PlannedRole) -> String {
    match role.grants.as_slice() {
        [] => String::new(),
        [one] => format!("; grant {one} needs it"),
        [one, others @ ..] => format!("; grant {one} and {} more need it", others.len()),
    }
}

/// Whether two trust policies trust the same.
pub(super) fn is_same_trust(one: &str, other: &str) -> bool {
    let same = || {
        let (one, other) = (PermissionSet::of_trust(one)?, PermissionSet::of_trust(other)?);
        Ok::<_, Incomparable>(one.lacks_of(&other)?.is_none() && other.lacks_of(&one)?.is_none())
    };
    same().unwrap_or(false)
}

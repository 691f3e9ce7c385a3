//! The differences between the trust policy of a role and the plan's. Pure.

use super::difference::{Drift, DriftKind};
use super::permission_set::{Incomparable, PermissionSet, WiderStatement};
use super::plan::PlannedRole;
use super::state::RoleState;

pub(super) fn of(subject: &str, planned: &PlannedRole, role: &RoleState, found: &mut Vec<Drift>) {
    let compared = PermissionSet::of_trust(&planned.trust).and_then(|needed| {
        let has = PermissionSet::of_trust(&role.role.trust)?;
        let lacks = has.lacks_of(&needed)?.is_some();
        Ok((has.excess_over(&needed)?, lacks, has, needed))
    });
    let fix = || {
        format!(
            "`aliyun ram UpdateRole --RoleName {} --NewMaxSessionDuration {} --NewAssumeRolePolicyDocument '{}'`",
            planned.arn.name(),
            role.role.max_session_secs.max(u64::from(planned.max_session.as_secs())),
            planned.trust,
        )
    };
    match compared {
        Err(problem) => found.push(Drift::undecided(subject, &problem)),
        Ok((excess, lacks, has, needed)) => {
            if lacks {
                let message = format!("{}{}", lack(&has, &needed), needed_by(planned));
                found.push(Drift::new(DriftKind::NarrowerThanNeeded, subject, message, fix()));
            }
            for WiderStatement { origin, statement, .. } in excess {
                let whom = match origin.strip_suffix(":root") {
                    Some(_) => format!("`{origin}`, every user and role of that account"),
                    None if needed.names(&origin) => {
                        format!("`{origin}` under other conditions than the plan does")
                    }
                    None => format!("`{origin}`, which the plan does not name"),
                };
                let message = format!("it trusts {whom}: {statement}");
                let mut drift = Drift::new(DriftKind::WiderThanNeeded, subject, message, fix());
                drift.request = Some(format!("sts:AssumeRole by {origin}"));
                drift.statement = Some(statement);
                found.push(drift);
            }
        }
    }
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

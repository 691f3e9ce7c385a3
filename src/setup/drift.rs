//! The differences between an account and its plan. Pure: what is compared has been read before.
//!
//! Policies are compared by what they allow together, so an account that has other policies of the same effect has no drift.

use std::collections::BTreeMap;

use serde::Serialize;

use super::network_drift;
use super::permission_set::{Excess, Incomparable, PermissionSet};
use super::plan::{AccountPlan, PlannedIdentity, PlannedPolicy, PlannedRole, PlannedUser};
use super::state::{AccountState, AttachedDocument, RoleState};
use crate::grant::{Entitlement, Grants};
use appserver_domain::GrantName;
use appserver_policy::GrantUnion;

/// One difference.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Drift {
    pub(crate) kind: DriftKind,
    /// Such as `role/oss-readonly`.
    pub(crate) subject: String,
    pub(crate) message: String,
    /// The statement that allows too much, minified JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) statement: Option<String>,
    /// A request that shows the difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<String>,
    /// What to do by hand.
    pub(crate) fix: String,
}

/// The kinds of difference.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) enum DriftKind {
    /// It does not exist. `setup apply` makes it.
    Missing,
    /// It allows what no grant needs.
    WiderThanNeeded,
    /// It does not allow what a grant needs.
    NarrowerThanNeeded,
    /// It cannot be compared.
    Undecided,
}

/// The policies that each grant needs of its role.
#[derive(Debug, Default)]
pub(crate) struct Needs(BTreeMap<GrantName, Vec<String>>);

impl Needs {
    pub(crate) fn of(grants: &Grants) -> Self {
        let needed = |grant: &Entitlement| GrantUnion::of([&grant.template]).policies();
        let grants = grants.entitlements.values();
        Self(grants.map(|grant| (grant.name.clone(), needed(grant))).collect())
    }

    fn of_grant(&self, grant: &GrantName) -> Result<PermissionSet, Incomparable> {
        let documents = self.0.get(grant).into_iter().flatten();
        PermissionSet::of(documents.map(|document| (grant.as_str(), document.as_str())))
    }
}

impl DriftKind {
    /// The words of it in a report.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::WiderThanNeeded => "wider than needed",
            Self::NarrowerThanNeeded => "narrower than needed",
            Self::Undecided => "undecided",
        }
    }
}

impl Drift {
    pub(super) fn new(kind: DriftKind, subject: &str, message: String, fix: String) -> Self {
        let (subject, statement, request) = (subject.to_owned(), None, None);
        Self { kind, subject, message, statement, request, fix }
    }

    fn undecided(subject: &str, problem: &Incomparable) -> Self {
        let message = format!("its policies cannot be compared: {problem}");
        let fix = "compare them by hand with those of `appserver setup plan`".to_owned();
        Self::new(DriftKind::Undecided, subject, message, fix)
    }
}

/// All differences, those of the identity first.
pub(crate) fn drift(plan: &AccountPlan, state: &AccountState, needs: &Needs) -> Vec<Drift> {
    let mut found = Vec::new();
    match &plan.identity {
        PlannedIdentity::User(user) => of_user(plan, user, state, &mut found),
    }
    for role in &plan.roles {
        of_role(role, state, needs, &mut found);
    }
    found
}

fn of_user(
    plan: &AccountPlan,
    planned: &PlannedUser,
    state: &AccountState,
    found: &mut Vec<Drift>,
) {
    let subject = format!("user/{}", planned.name);
    let Some(user) = &state.user else {
        let message = "it does not exist, nor does its AccessKey".to_owned();
        found.push(missing(&subject, message));
        return missing_policies(&subject, &planned.policies, &[], state, None, found);
    };
    let needed_by = |role: &str| {
        let role = plan.roles.iter().find(|one| one.arn.as_str().eq_ignore_ascii_case(role));
        role.and_then(|role| role.grants.first())
    };
    let compared = policies(&planned.policies).and_then(|needed| {
        let has = attached(&user.attached)?;
        let lacks = has.lacks_of(&needed)?;
        Ok((has.excess_over(&needed)?, lacks))
    });
    match compared {
        Err(problem) => found.push(Drift::undecided(&subject, &problem)),
        Ok((excess, lacks)) => {
            if let Some(request) = lacks {
                let grant = needed_by(&request.resource);
                let lack = grant.map(|grant| Lack { grant, request: request.to_string() });
                missing_policies(&subject, &planned.policies, &user.attached, state, lack, found);
            }
            found.extend(excess.into_iter().map(|excess| wider(&subject, excess, "role")));
        }
    }
    if !user.keys.iter().any(|key| key.is_active) {
        let what = if user.keys.is_empty() { "no AccessKey" } else { "no active AccessKey" };
        found.push(missing(&subject, format!("it has {what}")));
    }
    if let Some(planned) = &planned.network {
        network_drift::of(&subject, planned, user, found);
    }
}

/// What a grant needs and a policy does not allow.
struct Lack<'a> {
    grant: &'a GrantName,
    request: String,
}

fn of_role(planned: &PlannedRole, state: &AccountState, needs: &Needs, found: &mut Vec<Drift>) {
    let subject = format!("role/{}", planned.arn.name());
    let Some(role) = state.roles.get(planned.arn.name()) else {
        let message = format!("it does not exist{}", needed_by(planned));
        found.push(missing(&subject, message));
        return missing_policies(&subject, &planned.policies, &[], state, None, found);
    };
    trust(&subject, planned, role, found);
    let (has, needed) = (role.role.max_session_secs, u64::from(planned.max_session.as_secs()));
    if has < needed {
        let message =
            format!("its longest session is {has} seconds, and its grants ask for {needed}");
        let trust = "--NewAssumeRolePolicyDocument with the trust policy that it has";
        let fix = format!(
            "`aliyun ram UpdateRole --RoleName {} --NewMaxSessionDuration {needed}`, and {trust}",
            planned.arn.name(),
        );
        found.push(Drift::new(DriftKind::NarrowerThanNeeded, &subject, message, fix));
    }
    if let Err(problem) = permissions(&subject, planned, role, state, needs, found) {
        found.push(Drift::undecided(&subject, &problem));
    }
}

fn permissions(
    subject: &str,
    planned: &PlannedRole,
    role: &RoleState,
    state: &AccountState,
    needs: &Needs,
    found: &mut Vec<Drift>,
) -> Result<(), Incomparable> {
    let has = attached(&role.attached)?;
    let mut lacks = Vec::new();
    for grant in &planned.grants {
        if let Some(request) = has.lacks_of(&needs.of_grant(grant)?)? {
            lacks.push(Lack { grant, request: request.to_string() });
        }
    }
    let not_attached = not_attached(&planned.policies, &role.attached);
    let mut lacks = lacks.into_iter();
    if not_attached.is_empty() {
        found.extend(lacks.map(|lack| narrower(subject, &lack)));
    } else if let Some(first) = lacks.next() {
        let policies = &planned.policies;
        missing_policies(subject, policies, &role.attached, state, Some(first), found);
    }
    let needed = policies(&planned.policies)?;
    found.extend(
        has.excess_over(&needed)?.into_iter().map(|excess| wider(subject, excess, "grant")),
    );
    Ok(())
}

fn trust(subject: &str, planned: &PlannedRole, role: &RoleState, found: &mut Vec<Drift>) {
    let compared = PermissionSet::of_trust(&planned.trust).and_then(|needed| {
        let has = PermissionSet::of_trust(&role.role.trust)?;
        let lacks = has.lacks_of(&needed)?.is_some();
        Ok((has.excess_over(&needed)?, lacks, needed))
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
        Ok((excess, lacks, needed)) => {
            if lacks {
                let message =
                    format!("it does not trust the identity of the plan{}", needed_by(planned));
                found.push(Drift::new(DriftKind::NarrowerThanNeeded, subject, message, fix()));
            }
            for Excess { origin, statement, .. } in excess {
                let whom = match origin.strip_suffix(":root") {
                    Some(_) => format!("`{origin}`, every user and role of that account"),
                    None if needed.names(&origin) => {
                        format!("`{origin}` under fewer conditions than the plan does")
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

fn missing(subject: &str, message: String) -> Drift {
    Drift::new(DriftKind::Missing, subject, message, "`appserver setup apply` makes it".to_owned())
}

/// `; grants a and b need it`
fn needed_by(role: &PlannedRole) -> String {
    match role.grants.as_slice() {
        [] => String::new(),
        [one] => format!("; grant {one} needs it"),
        [one, others @ ..] => format!("; grant {one} and {} more need it", others.len()),
    }
}

fn narrower(subject: &str, lack: &Lack<'_>) -> Drift {
    let Lack { grant, request } = lack;
    let message = format!("it does not allow what grant {grant} needs, for example {request}");
    let fix = "compare its policies with those of `appserver setup plan`, and give it the rest"
        .to_owned();
    let mut drift = Drift::new(DriftKind::NarrowerThanNeeded, subject, message, fix);
    drift.request = Some(request.clone());
    drift
}

/// The planned policies that are not attached, while something that they allow is lacking.
fn missing_policies(
    subject: &str,
    planned: &[PlannedPolicy],
    has: &[AttachedDocument],
    state: &AccountState,
    lack: Option<Lack<'_>>,
    found: &mut Vec<Drift>,
) {
    let missing_policies = not_attached(planned, has);
    if let (true, Some(lack)) = (missing_policies.is_empty(), &lack) {
        found.push(narrower(subject, lack));
    }
    let why = match &lack {
        Some(Lack { grant, request }) => {
            format!("; grant {grant} needs it, for example for {request}")
        }
        None => String::new(),
    };
    for policy in missing_policies {
        let name = &policy.name;
        let message = format!("policy {name} is not attached{why}");
        let mut drift = missing(subject, message);
        if is_foreign(policy, state) {
            "a policy of this name exists and allows something else: change it to what `appserver setup plan` prints, or \
             delete it, and run `appserver setup apply`"
                .clone_into(&mut drift.fix);
        }
        drift.request = lack.as_ref().map(|lack| lack.request.clone());
        found.push(drift);
    }
}

/// Whether a user's policies do not allow all that is planned.
pub(super) fn user_lacks_policies(planned: &PlannedUser, has: &[AttachedDocument]) -> bool {
    let lacks = || attached(has)?.lacks_of(&policies(&planned.policies)?);
    matches!(lacks(), Ok(Some(_)))
}

/// Whether a role's policies do not allow all that its grants need.
pub(super) fn lacks_policies(
    planned: &PlannedRole,
    has: &[AttachedDocument],
    needs: &Needs,
) -> bool {
    let Ok(has) = attached(has) else { return false };
    let lacks = |grant| has.lacks_of(&needs.of_grant(grant)?);
    planned.grants.iter().any(|grant| matches!(lacks(grant), Ok(Some(_))))
}

/// The planned policies that a user or a role does not have under their names.
pub(super) fn not_attached<'a>(
    planned: &'a [PlannedPolicy],
    has: &[AttachedDocument],
) -> Vec<&'a PlannedPolicy> {
    let is_attached = |policy: &&PlannedPolicy| {
        has.iter().any(|has| has.name.eq_ignore_ascii_case(policy.name.as_str()))
    };
    planned.iter().filter(|policy| !is_attached(policy)).collect()
}

/// Whether the account has a policy of the same name that allows something else.
pub(super) fn is_foreign(planned: &PlannedPolicy, state: &AccountState) -> bool {
    let name = planned.name.as_str();
    state.policies.get(name).is_some_and(|document| !is_same(name, &planned.document, document))
}

/// Whether two documents allow the same.
pub(super) fn is_same(name: &str, one: &str, other: &str) -> bool {
    let same = || {
        let (one, other) = (PermissionSet::of([(name, one)])?, PermissionSet::of([(name, other)])?);
        Ok::<_, Incomparable>(one.lacks_of(&other)?.is_none() && other.lacks_of(&one)?.is_none())
    };
    same().unwrap_or(false)
}

/// Whether two trust policies trust the same.
pub(super) fn is_same_trust(one: &str, other: &str) -> bool {
    let same = || {
        let (one, other) = (PermissionSet::of_trust(one)?, PermissionSet::of_trust(other)?);
        Ok::<_, Incomparable>(one.lacks_of(&other)?.is_none() && other.lacks_of(&one)?.is_none())
    };
    same().unwrap_or(false)
}

/// A statement that allows more than the plan. `by` is what would have to need it.
fn wider(subject: &str, excess: Excess, by: &str) -> Drift {
    let Excess { origin, statement, request } = excess;
    let request = request.to_string();
    let message = format!("{origin} allows {request}, which no {by} needs: {statement}");
    let fix = format!("narrow {origin}, or detach it once the policies of the plan are attached");
    let mut drift = Drift::new(DriftKind::WiderThanNeeded, subject, message, fix);
    (drift.statement, drift.request) = (Some(statement), Some(request));
    drift
}

fn policies(planned: &[PlannedPolicy]) -> Result<PermissionSet, Incomparable> {
    PermissionSet::of(planned.iter().map(|policy| (policy.name.as_str(), policy.document.as_str())))
}

fn attached(has: &[AttachedDocument]) -> Result<PermissionSet, Incomparable> {
    PermissionSet::of(has.iter().map(|policy| (policy.name.as_str(), policy.document.as_str())))
}

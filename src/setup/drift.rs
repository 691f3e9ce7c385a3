//! The differences between an account and its plan. Pure: what is compared has been read before.
//!
//! Policies are compared by what they allow together, so an account that has other policies of the same effect has no drift.

use std::collections::BTreeMap;

use super::difference::{Drift, DriftKind};
use super::key_situation;
use super::network_drift;
use super::permission_set::{DenyingStatement, Incomparable, PermissionSet, WiderStatement};
use super::plan::{AccountPlan, PlannedIdentity, PlannedPolicy, PlannedRole, PlannedUser};
use super::policy_calls;
use super::provider_drift;
use super::state::{AccountState, AttachedDocument, RoleState};
use super::trust_drift;
use crate::config::Settings;
use crate::grant::Entitlement;
use crate::ram::PolicyKind;
use appserver_domain::GrantName;
use appserver_policy::Witness;

/// What each grant needs of its role, as policies. A denial in one of them takes nothing from the others.
#[derive(Debug, Default)]
pub(crate) struct Needs(BTreeMap<GrantName, Vec<String>>);

impl Needs {
    pub(crate) fn of(settings: &Settings) -> Self {
        let needed = |grant: &Entitlement| {
            let confirms = settings.uploads.confirms(&grant.name);
            (grant.name.clone(), grant.need(confirms).policies())
        };
        Self(settings.rules.grants.entitlements.values().map(needed).collect())
    }

    fn of_grant(&self, grant: &GrantName) -> Result<Vec<PermissionSet>, Incomparable> {
        let documents = self.0.get(grant).into_iter().flatten();
        documents.map(|document| PermissionSet::of([(grant.as_str(), document.as_str())])).collect()
    }
}

/// All differences, those of the identity first.
pub(crate) fn drift(plan: &AccountPlan, state: &AccountState, needs: &Needs) -> Vec<Drift> {
    let mut found = Vec::new();
    match &plan.identity {
        PlannedIdentity::User(user) => of_user(plan, user, state, &mut found),
        PlannedIdentity::InstanceRole(role) => of_identity_role(plan, role, state, &mut found),
        PlannedIdentity::OidcRole { provider, role } => {
            provider_drift::of(provider, state, &mut found);
            of_identity_role(plan, role, state, &mut found);
        }
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
    of_identity_policies(plan, &subject, &planned.policies, &user.attached, state, found);
    if user.keys.is_empty() {
        found.push(missing(&subject, "it has no AccessKey".to_owned()));
    } else if !user.keys.iter().any(|key| key.is_active) {
        found.push(key_situation::inactive(planned, &user.keys));
    }
    if let Some(network) = &planned.network {
        let principal = planned.principal(&plan.account);
        network_drift::of(&subject, (network, &principal), user, found);
    }
}

/// The policies of the identity allow it to assume the roles.
fn of_identity_policies(
    plan: &AccountPlan,
    subject: &str,
    planned: &[PlannedPolicy],
    has: &[AttachedDocument],
    state: &AccountState,
    found: &mut Vec<Drift>,
) {
    let compared = policies(planned).and_then(|needed| {
        let set = attached(has)?;
        let lacks = set.without_denials().lacks_of(&needed)?;
        let denial = denial(&set, planned, has, &needed)?;
        Ok((set.excess_over(&needed)?, lacks, denial))
    });
    let needed_by = |role: &str| {
        let mut roles = plan.roles.iter().chain(&plan.foreign_roles);
        let role = roles.find(|one| one.arn.as_str().eq_ignore_ascii_case(role));
        role.and_then(|role| role.grants.first())
    };
    match compared {
        Err(problem) => found.push(Drift::undecided(subject, &problem)),
        Ok((excess, lacks, denial)) => {
            found.extend(denial.map(|denial| denied(subject, denial)));
            if let Some(request) = lacks {
                let grant = needed_by(&request.resource);
                let lack = grant.map(|grant| Lack { grant, request: request.to_string() });
                missing_policies(subject, planned, has, state, lack, found);
            }
            let wider = |excess| wider(subject, excess, "role", planned, has);
            found.extend(excess.into_iter().map(wider));
        }
    }
}

fn of_identity_role(
    plan: &AccountPlan,
    planned: &PlannedRole,
    state: &AccountState,
    found: &mut Vec<Drift>,
) {
    let subject = format!("role/{}", planned.arn.name());
    let Some(role) = existing(&subject, planned, state, found) else { return };
    trust_drift::of(&subject, planned, role, found);
    of_identity_policies(plan, &subject, &planned.policies, &role.attached, state, found);
}

/// The role; if it does not exist, that is a difference.
fn existing<'a>(
    subject: &str,
    planned: &PlannedRole,
    state: &'a AccountState,
    found: &mut Vec<Drift>,
) -> Option<&'a RoleState> {
    let role = state.roles.get(planned.arn.name());
    if role.is_none() {
        let message = format!("it does not exist{}", trust_drift::needed_by(planned));
        found.push(missing(subject, message));
        missing_policies(subject, &planned.policies, &[], state, None, found);
    }
    role
}

/// What a grant needs and a policy does not allow.
struct Lack<'a> {
    grant: &'a GrantName,
    request: String,
}

fn of_role(planned: &PlannedRole, state: &AccountState, needs: &Needs, found: &mut Vec<Drift>) {
    let subject = format!("role/{}", planned.arn.name());
    let Some(role) = existing(&subject, planned, state, found) else { return };
    trust_drift::of(&subject, planned, role, found);
    let (has, needed) = (role.role.max_session_secs, u64::from(planned.max_session.as_secs()));
    if has < needed {
        let message =
            format!("its longest session is {has} seconds, and its grants ask for {needed}");
        let fix = trust_drift::extend_call(planned, role);
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
    let allowed = has.without_denials();
    let mut lacks = Vec::new();
    let mut denial = None;
    for grant in &planned.grants {
        let needed = needs.of_grant(grant)?;
        if let Some(request) = lack_of(&allowed, &needed)? {
            lacks.push(Lack { grant, request: request.to_string() });
        }
        for needed in &needed {
            if denial.is_none() {
                denial = self::denial(&has, &planned.policies, &role.attached, needed)?;
            }
        }
    }
    found.extend(denial.map(|denial| denied(subject, denial)));
    let not_attached = not_attached(&planned.policies, &role.attached);
    let mut lacks = lacks.into_iter();
    if not_attached.is_empty() {
        let (planned, has) = (&planned.policies, &role.attached);
        found.extend(lacks.map(|lack| narrower(subject, &lack, planned, has)));
    } else if let Some(first) = lacks.next() {
        let policies = &planned.policies;
        missing_policies(subject, policies, &role.attached, state, Some(first), found);
    }
    let needed = policies(&planned.policies)?;
    let wider = |excess| wider(subject, excess, "grant", &planned.policies, &role.attached);
    found.extend(has.excess_over(&needed)?.into_iter().map(wider));
    Ok(())
}

/// A request that one of the sets needs, and that is not allowed.
fn lack_of(
    allowed: &PermissionSet,
    needed: &[PermissionSet],
) -> Result<Option<Witness>, Incomparable> {
    for needed in needed {
        if let Some(request) = allowed.lacks_of(needed)? {
            return Ok(Some(request));
        }
    }
    Ok(None)
}

/// The statement that denies what is needed and would do so once the planned policies are attached.
fn denial(
    has: &PermissionSet,
    planned: &[PlannedPolicy],
    attached: &[AttachedDocument],
    needed: &PermissionSet,
) -> Result<Option<DenyingStatement>, Incomparable> {
    has.clone().with(policies(not_attached(planned, attached))?).denial_of(needed)
}

fn denied(subject: &str, denial: DenyingStatement) -> Drift {
    let DenyingStatement { origin, statement, request } = denial;
    let request = request.to_string();
    let message = format!("{origin} denies what is needed, for example {request}: {statement}");
    let fix = format!(
        "narrow this statement of {origin}, or detach the policy if nothing else relies on it; no other policy can allow \
         what it denies"
    );
    let mut drift = Drift::new(DriftKind::NarrowerThanNeeded, subject, message, fix);
    (drift.statement, drift.request) = (Some(statement), Some(request));
    drift
}

fn missing(subject: &str, message: String) -> Drift {
    Drift::new(DriftKind::Missing, subject, message, "`appserver setup apply` makes it".to_owned())
}

fn narrower(
    subject: &str,
    lack: &Lack<'_>,
    planned: &[PlannedPolicy],
    has: &[AttachedDocument],
) -> Drift {
    let Lack { grant, request } = lack;
    let message = format!("it does not allow what grant {grant} needs, for example {request}");
    let calls = policy_calls::extend(planned, has);
    let fix = match calls.as_str() {
        "" => "compare its policies with those of `appserver setup plan`, and give it the rest",
        calls => calls,
    };
    let fix = fix.to_owned();
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
        found.push(narrower(subject, lack, planned, has));
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
            let other = if subject.starts_with("user/") {
                "choose another `--user`"
            } else {
                "give this one a role of another name"
            };
            drift.fix = format!(
                "a policy of this name exists and allows something else: if another deployment uses it, {other}; if none \
                 does, {} and {}",
                policy_calls::replace(policy),
                policy_calls::attach(subject, name.as_str()),
            );
        }
        drift.request = lack.as_ref().map(|lack| lack.request.clone());
        found.push(drift);
    }
}

/// Whether the policies of an identity do not allow all that is planned. What they deny, no further policy allows.
pub(super) fn lacks_planned(planned: &[PlannedPolicy], has: &[AttachedDocument]) -> bool {
    let lacks = || attached(has)?.without_denials().lacks_of(&policies(planned)?);
    matches!(lacks(), Ok(Some(_)))
}

/// Whether a role's policies do not allow all that its grants need. What they deny, no further policy allows.
pub(super) fn lacks_policies(
    planned: &PlannedRole,
    has: &[AttachedDocument],
    needs: &Needs,
) -> bool {
    let Ok(has) = attached(has) else { return false };
    let has = has.without_denials();
    let lacks = |grant| lack_of(&has, &needs.of_grant(grant)?);
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

/// A statement that allows more than the plan. `by` is what would have to need it.
fn wider(
    subject: &str,
    excess: WiderStatement,
    by: &str,
    planned: &[PlannedPolicy],
    has: &[AttachedDocument],
) -> Drift {
    let WiderStatement { origin, statement, request } = excess;
    let request = request.to_string();
    let message = format!("{origin} allows {request}, which no {by} needs: {statement}");
    let is_named = |name: &str| name.eq_ignore_ascii_case(&origin);
    let kind =
        has.iter().find(|one| is_named(&one.name)).map_or(PolicyKind::Custom, |one| one.kind);
    let own = planned.iter().find(|policy| is_named(policy.name.as_str()));
    let fix = match own {
        Some(policy) if kind == PolicyKind::Custom => {
            format!("once nothing relies on it any more: {}", policy_calls::replace(policy))
        }
        _ => format!(
            "once the policies of the plan are attached, and if nothing else relies on it: {}",
            policy_calls::detach(subject, &origin, kind)
        ),
    };
    let mut drift = Drift::new(DriftKind::WiderThanNeeded, subject, message, fix);
    (drift.statement, drift.request) = (Some(statement), Some(request));
    drift
}

fn policies<'a>(
    planned: impl IntoIterator<Item = &'a PlannedPolicy>,
) -> Result<PermissionSet, Incomparable> {
    let documents = planned.into_iter();
    PermissionSet::of(documents.map(|policy| (policy.name.as_str(), policy.document.as_str())))
}

fn attached(has: &[AttachedDocument]) -> Result<PermissionSet, Incomparable> {
    PermissionSet::of(has.iter().map(|policy| (policy.name.as_str(), policy.document.as_str())))
}

//! The roles that grants assume.

use std::collections::{BTreeMap, BTreeSet};

use appserver_domain::{MaxSessionDuration, RoleArn};
use appserver_policy::{GrantNeed, GrantUnion, MAX_ROLE_POLICY_BYTES};

use super::identity::{is_same, numbered};
use super::plan_error::PlanError;
use super::planned::{PlannedPolicy, PlannedRole};
use super::trust::{Principal, trust};
use crate::config::Settings;
use crate::grant::{Entitlement, Grants};

/// RAM's default quota of custom policies for a role.
const USUAL_POLICIES: usize = 5;

/// The roles of all grants, sorted. RAM compares their names without regard to case.
pub(super) fn arns(grants: &Grants) -> Result<Vec<RoleArn>, PlanError> {
    let arns: BTreeMap<_, _> = sorted(grants)
        .into_iter()
        .rev()
        .map(|grant| (grant.role.as_str().to_ascii_lowercase(), grant.role.clone()))
        .collect();
    if arns.is_empty() { Err(PlanError::NoGrants) } else { Ok(arns.into_values().collect()) }
}

/// The plan of each role.
pub(super) fn of(
    settings: &Settings,
    arns: &[RoleArn],
    trusted: &Principal,
    warnings: &mut Vec<String>,
) -> Result<Vec<PlannedRole>, PlanError> {
    let mut named: BTreeMap<String, &RoleArn> = BTreeMap::new();
    let mut roles = Vec::new();
    for arn in arns {
        let base = format!("{}-appserver", arn.name().replace('.', "-"));
        let in_account = format!("{} {}", arn.account(), base.to_ascii_lowercase());
        if let Some(other) = named.insert(in_account, arn) {
            return Err(PlanError::SameName(other.clone(), arn.clone()));
        }
        let mut own = sorted(&settings.rules.grants);
        own.retain(|grant| is_same(&grant.role, arn));
        let needs: Vec<_> =
            own.iter().map(|grant| grant.need(settings.uploads.confirms(&grant.name))).collect();
        roles.push(role(arn, &base, &own, &needs, trusted, warnings)?);
    }
    Ok(roles)
}

fn sorted(grants: &Grants) -> Vec<&Entitlement> {
    let mut sorted: Vec<_> = grants.entitlements.values().collect();
    sorted.sort_by(|one, two| one.name.cmp(&two.name));
    sorted
}

fn role(
    arn: &RoleArn,
    base: &str,
    grants: &[&Entitlement],
    needs: &[GrantNeed<'_>],
    trusted: &Principal,
    warnings: &mut Vec<String>,
) -> Result<PlannedRole, PlanError> {
    let names = grants.iter().map(|grant| grant.name.clone()).collect();
    let union = GrantUnion::of(needs.iter().copied());
    let documents = union.policies();
    if !union.is_complete() {
        warnings.push(incomplete(arn));
    }
    if documents.len() > USUAL_POLICIES {
        warnings.push(too_many(arn, documents.len(), grants, needs));
    }
    let policy = |(i, document)| {
        let description = "AppServer: everything that the grants of the role can render".to_owned();
        Ok(PlannedPolicy { name: numbered(base, i)?, document, description })
    };
    let policies = documents.into_iter().enumerate().map(policy).collect::<Result<_, _>>()?;
    warnings.extend(source_identity(arn, grants));
    let longest = grants.iter().map(|grant| grant.durations.longest().as_secs()).max();
    let longest = longest.and_then(MaxSessionDuration::from_secs);
    Ok(PlannedRole {
        arn: arn.clone(),
        trust: trust(trusted, &external_ids(arn, grants, warnings)),
        max_session: longest.unwrap_or(MaxSessionDuration::DEFAULT),
        policies,
        grants: names,
    })
}

/// The external ids of which a call must have one; none if a grant sends none.
fn external_ids<'a>(
    arn: &RoleArn,
    grants: &[&'a Entitlement],
    warnings: &mut Vec<String>,
) -> BTreeSet<&'a str> {
    let ids = grants.iter().filter_map(|grant| grant.external_id.as_ref());
    let ids: BTreeSet<_> = ids.map(appserver_domain::ExternalId::as_str).collect();
    let without = grants.iter().find(|grant| grant.external_id.is_none());
    match without {
        Some(grant) if !ids.is_empty() => {
            warnings.push(format!(
                "{arn}: grants.{} sends no `external_id` and others of the role do, so the trust policy can require none: \
                 give all of them one, or a role of its own to those with one",
                grant.name
            ));
            BTreeSet::new()
        }
        Some(_) | None => ids,
    }
}

fn source_identity(arn: &RoleArn, grants: &[&Entitlement]) -> Option<String> {
    let grant = grants.iter().find(|grant| grant.sets_source_identity())?;
    Some(format!(
        "{arn}: grants.{} sends a SourceIdentity. Whether RAM demands a permission for it is not documented; the plan has none. \
         `appserver doctor` assumes the role with one and says so if it is refused",
        grant.name
    ))
}

fn incomplete(arn: &RoleArn) -> String {
    format!(
        "{arn}: its grants overlap in too many ways to be merged wholly. The planned policies allow all that the grants need; \
         they may repeat what they allow elsewhere, or lack a `Deny` that they could have. Use fewer wildcards in the grants' \
         policies, or divide the grants among several roles"
    )
}

fn too_many(
    arn: &RoleArn,
    count: usize,
    grants: &[&Entitlement],
    needs: &[GrantNeed<'_>],
) -> String {
    let mut sizes: Vec<_> =
        grants.iter().zip(needs).map(|(grant, need)| (need.bytes(), &grant.name)).collect();
    sizes.sort_by(|one, two| two.0.cmp(&one.0).then(one.1.cmp(two.1)));
    let largest =
        sizes.iter().take(3).map(|(bytes, name)| format!("grants.{name} ({bytes} bytes)"));
    format!(
        "{arn}: what its grants need is {count} policies of at most {MAX_ROLE_POLICY_BYTES} bytes. The default quota of RAM is \
         {USUAL_POLICIES} for a role: let it be raised, or divide the grants among several roles. The largest are {}",
        largest.collect::<Vec<_>>().join(", ")
    )
}

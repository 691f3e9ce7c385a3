//! A plan as data. Members may be added; none is renamed or removed.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::setup::plan::{
    AccountPlan, OidcAudience, PlannedIdentity, PlannedPolicy, PlannedRole, PlannedUser,
};

#[derive(Serialize)]
struct Plan<'a> {
    account: &'a str,
    identity: Identity<'a>,
    roles: Vec<Role<'a>>,
    foreign_roles: Vec<Role<'a>>,
    warnings: &'a [String],
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Identity<'a> {
    User { name: &'a str, policies: Vec<Policy<'a>>, access_key_policy: Option<Box<RawValue>> },
    InstanceRole { role: Role<'a> },
    OidcRole { provider: Provider<'a>, role: Role<'a> },
}

#[derive(Serialize)]
struct Provider<'a> {
    name: &'a str,
    issuer: &'a str,
    audiences: Vec<&'a str>,
}

#[derive(Serialize)]
struct Role<'a> {
    arn: &'a str,
    name: &'a str,
    trust_policy: Box<RawValue>,
    max_session_duration_secs: u32,
    policies: Vec<Policy<'a>>,
    grants: Vec<&'a str>,
}

#[derive(Serialize)]
struct Policy<'a> {
    name: &'a str,
    description: &'a str,
    document: Box<RawValue>,
}

/// The plan as JSON; each policy in it is one line.
pub(super) fn json(plan: &AccountPlan) -> String {
    let plan = Plan {
        account: plan.account.as_str(),
        identity: identity(&plan.identity),
        roles: plan.roles.iter().map(role).collect(),
        foreign_roles: plan.foreign_roles.iter().map(role).collect(),
        warnings: &plan.warnings,
    };
    serde_json::to_string_pretty(&plan).expect("texts, lists and documents are always JSON")
}

fn identity(identity: &PlannedIdentity) -> Identity<'_> {
    match identity {
        PlannedIdentity::User(PlannedUser { name, policies, network }) => Identity::User {
            name: name.as_str(),
            policies: policies.iter().map(policy).collect(),
            access_key_policy: network.as_ref().map(|network| raw(network.document())),
        },
        PlannedIdentity::InstanceRole(of) => Identity::InstanceRole { role: role(of) },
        PlannedIdentity::OidcRole { provider, role: of } => Identity::OidcRole {
            provider: Provider {
                name: provider.name.as_str(),
                issuer: provider.issuer.as_str(),
                audiences: provider.audiences.iter().map(OidcAudience::as_str).collect(),
            },
            role: role(of),
        },
    }
}

fn role(role: &PlannedRole) -> Role<'_> {
    Role {
        arn: role.arn.as_str(),
        name: role.arn.name(),
        trust_policy: raw(role.trust.clone()),
        max_session_duration_secs: role.max_session.as_secs(),
        policies: role.policies.iter().map(policy).collect(),
        grants: role.grants.iter().map(appserver_domain::GrantName::as_str).collect(),
    }
}

fn policy(policy: &PlannedPolicy) -> Policy<'_> {
    Policy {
        name: policy.name.as_str(),
        description: &policy.description,
        document: raw(policy.document.clone()),
    }
}

fn raw(document: String) -> Box<RawValue> {
    RawValue::from_string(document).expect("the documents of a plan are JSON")
}

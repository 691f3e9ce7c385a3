//! A plan for people: what the account needs, in the order in which it can be made, and why.

use std::fmt::{self, Write};

use appserver_domain::AccountId;

use crate::setup::plan::{
    AccountPlan, PlannedIdentity, PlannedPolicy, PlannedProvider, PlannedRole, PlannedUser,
};

/// The plan as a numbered list.
pub(super) fn text(plan: &AccountPlan) -> String {
    let mut text = String::new();
    written(plan, &mut text).expect("a string takes every text");
    text.truncate(text.trim_end().len());
    text
}

fn written(plan: &AccountPlan, out: &mut String) -> fmt::Result {
    writeln!(out, "Account {} needs for AppServer, in this order:", plan.account)?;
    let trusted = match &plan.identity {
        PlannedIdentity::User(user) => {
            of_user(user, out)?;
            format!("the RAM user {}", user.name)
        }
        PlannedIdentity::InstanceRole(role) => {
            of_instance_role(role, out)?;
            format!("the role {}", role.arn.name())
        }
        PlannedIdentity::OidcRole { provider, role } => {
            of_oidc_role(provider, role, out)?;
            format!("the role {}", role.arn.name())
        }
    };
    let mut number = match &plan.identity {
        PlannedIdentity::User(_) | PlannedIdentity::InstanceRole(_) => 2,
        PlannedIdentity::OidcRole { .. } => 3,
    };
    for role in &plan.roles {
        writeln!(out, "\n{number}. The role {}", role.arn.name())?;
        of_role(role, &trusted, out)?;
        number += 1;
    }
    last_step(&plan.identity, number, out)?;
    for role in &plan.foreign_roles {
        let account = role.arn.account();
        writeln!(
            out,
            "\nIn account {account}, by its administrator: the role {}",
            role.arn.name()
        )?;
        of_role(role, &trusted, out)?;
    }
    wider_choices(&plan.account, out)?;
    for warning in &plan.warnings {
        writeln!(out, "\nwarning: {warning}")?;
    }
    Ok(())
}

fn of_user(user: &PlannedUser, out: &mut String) -> fmt::Result {
    writeln!(out, "\n1. The RAM user {}, whose AccessKey signs the calls to STS", user.name)?;
    identity_policies(&user.policies, out)
}

fn of_instance_role(role: &PlannedRole, out: &mut String) -> fmt::Result {
    let name = role.arn.name();
    writeln!(
        out,
        "\n1. The role {name} of the ECS instances, whose credentials sign the calls to STS"
    )?;
    writeln!(out, "   Trust policy: ECS gives it to instances that it is attached to.")?;
    document(&role.trust, out)?;
    identity_policies(&role.policies, out)
}

fn of_oidc_role(provider: &PlannedProvider, role: &PlannedRole, out: &mut String) -> fmt::Result {
    let audiences: Vec<_> = provider.audiences.iter().map(ToString::to_string).collect();
    writeln!(out, "\n1. The OIDC provider {}, whose tokens STS verifies", provider.name)?;
    writeln!(out, "   Issuer {}, client ids {}.", provider.issuer, audiences.join(", "))?;
    writeln!(out, "   ACK creates the one of a cluster when RRSA is switched on.")?;
    writeln!(out, "\n2. The role {}, whose credentials sign the calls to STS", role.arn.name())?;
    writeln!(
        out,
        "   Trust policy: STS gives it for a token of exactly this issuer, audience and subject."
    )?;
    document(&role.trust, out)?;
    identity_policies(&role.policies, out)
}

fn identity_policies(policies: &[PlannedPolicy], out: &mut String) -> fmt::Result {
    for policy in policies {
        let name = &policy.name;
        writeln!(out, "   Policy {name}: it may assume the configured roles, and no others.")?;
        document(&policy.document, out)?;
    }
    writeln!(out, "   (The system policy AliyunSTSAssumeRoleAccess would allow it every role.)")
}

fn of_role(role: &PlannedRole, trusted: &str, out: &mut String) -> fmt::Result {
    let grants: Vec<_> = role.grants.iter().map(ToString::to_string).collect();
    let secs = role.max_session.as_secs();
    writeln!(out, "   Grants: {}.", grants.join(", "))?;
    writeln!(
        out,
        "   Maximum session duration: {secs} seconds, for the longest token of these grants."
    )?;
    writeln!(out, "   Trust policy: only {trusted} may assume it.")?;
    document(&role.trust, out)?;
    for policy in &role.policies {
        let name = &policy.name;
        writeln!(
            out,
            "   Policy {name}: what these grants can give to any caller; each token has less."
        )?;
        document(&policy.document, out)?;
    }
    Ok(())
}

/// The usual choices that allow more than the plan.
fn wider_choices(account: &AccountId, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "\nWider, and not needed for a role: the principal acs:ram::{account}:root lets in every user and role of the account \
         that may\nassume roles; the system policies AliyunOSSReadOnlyAccess and AliyunOSSFullAccess reach every bucket of the \
         account."
    )
}

fn last_step(identity: &PlannedIdentity, number: u32, out: &mut String) -> fmt::Result {
    match identity {
        PlannedIdentity::User(user) => {
            writeln!(out, "\n{number}. An AccessKey of {}", user.name)?;
            writeln!(
                out,
                "   RAM shows its secret once. Write id and secret to two files that only AppServer can read, for"
            )?;
            writeln!(out, "   `sts.identity.access_key` with `source = \"files\"`.")?;
            match &user.network {
                Some(network) => {
                    writeln!(
                        out,
                        "   Network policy: the AccessKey is valid from these addresses only."
                    )?;
                    document(&network.document(), out)?;
                    writeln!(
                        out,
                        "   It binds the AccessKey and no token: tokens of STS are valid from every address."
                    )
                }
                None => writeln!(
                    out,
                    "   It is valid from every address; `--egress CIDR` plans a network policy for it."
                ),
            }
        }
        PlannedIdentity::InstanceRole(role) => {
            let name = role.arn.name();
            writeln!(
                out,
                "\n{number}. The role {name} attached to the instances that AppServer runs on"
            )
        }
        PlannedIdentity::OidcRole { role, .. } => {
            writeln!(
                out,
                "\n{number}. No AccessKey: AppServer exchanges its token file for the role {}",
                role.arn.name()
            )
        }
    }
}

fn document(json: &str, out: &mut String) -> fmt::Result {
    writeln!(out, "     {json}")
}

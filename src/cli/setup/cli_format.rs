//! A plan as a bash script of calls of Alibaba's command line, `aliyun`.

use appserver_domain::AccountId;

use crate::setup::aliyun::call;
use crate::setup::plan::{
    AccountPlan, OidcAudience, PlannedIdentity, PlannedPolicy, PlannedProvider, PlannedRole,
    PlannedUser,
};

/// What begins the script. A name that is taken ends it, as every failure does.
const HEAD: &str = r#"#!/usr/bin/env bash
# What AppServer needs in account ACCOUNT: printed by `appserver setup plan`, to be run by an administrator of the account.
# It is for an account that has none of this: it changes nothing that exists, and ends at the first name that is taken, so it
# cannot continue a run that was interrupted. `appserver setup apply` makes what is missing, and can be repeated.
set -euo pipefail
umask 077

found=$(aliyun sts GetCallerIdentity | jq -r .AccountId)
if [ "$found" != ACCOUNT ]; then
  echo "the administrator is of account $found, and the plan is for ACCOUNT" >&2
  exit 1
fi
"#;

/// What precedes every change for a user with an AccessKey.
const KEY_FILES: &str = r#"
# With a directory as its argument the script also creates an AccessKey, in two files there. It is never shown.
key_dir=${1:-}
for file in access-key-id access-key-secret; do
  if [ -n "$key_dir" ] && [ -e "$key_dir/$file" ]; then
    echo "$key_dir/$file exists and is not overwritten: name another directory" >&2
    exit 1
  fi
done
"#;

/// The script.
pub(super) fn script(plan: &AccountPlan) -> String {
    let account = plan.account.as_str();
    let mut out = HEAD.replace("ACCOUNT", account);
    if let PlannedIdentity::User(_) = &plan.identity {
        out += KEY_FILES;
    }
    match &plan.identity {
        PlannedIdentity::User(user) => {
            section(&mut out, "The user whose AccessKey signs the calls to STS.", user_calls(user));
        }
        PlannedIdentity::InstanceRole(role) => {
            section(&mut out, "The role of the ECS instances.", role_calls(role));
        }
        PlannedIdentity::OidcRole { provider, role } => {
            out += &provider_calls(provider);
            section(&mut out, "The role that STS gives for a token.", role_calls(role));
        }
    }
    for role in &plan.roles {
        section(&mut out, &format!("The role {}.", role.arn.name()), role_calls(role));
    }
    match &plan.identity {
        PlannedIdentity::User(user) => out += &key_calls(user, &plan.account),
        PlannedIdentity::InstanceRole(role) => {
            let name = role.arn.name();
            out += &format!(
                "\n# Then attach the role to the instances that AppServer runs on:\n#   aliyun ecs AttachInstanceRamRole \
                 --RegionId REGION --RamRoleName {name} --InstanceIds '[\"INSTANCE\"]'\n"
            );
        }
        PlannedIdentity::OidcRole { .. } => {}
    }
    for role in &plan.foreign_roles {
        let account = role.arn.account();
        out += &format!("\n# In account {account}, by its administrator:\n");
        for call in role_calls(role) {
            out += &format!("# {call}\n");
        }
    }
    for warning in &plan.warnings {
        out += &format!("\n# warning: {warning}\n");
    }
    out.truncate(out.trim_end().len());
    out
}

fn section(out: &mut String, title: &str, calls: Vec<String>) {
    *out += &format!("\n# {title}\n");
    for call in calls {
        *out += &call;
        out.push('\n');
    }
}

fn user_calls(user: &PlannedUser) -> Vec<String> {
    let name = user.name.as_str();
    let mut calls = vec![call("ram CreateUser", &[("UserName", name)])];
    for policy in &user.policies {
        calls.push(create_policy(policy));
        calls.push(call(
            "ram AttachPolicyToUser",
            &[("PolicyType", "Custom"), ("PolicyName", policy.name.as_str()), ("UserName", name)],
        ));
    }
    calls
}

fn role_calls(role: &PlannedRole) -> Vec<String> {
    let name = role.arn.name();
    let secs = role.max_session.as_secs().to_string();
    let parameters = [
        ("RoleName", name),
        ("MaxSessionDuration", secs.as_str()),
        ("AssumeRolePolicyDocument", role.trust.as_str()),
    ];
    let mut calls = vec![call("ram CreateRole", &parameters)];
    for policy in &role.policies {
        calls.push(create_policy(policy));
        calls.push(call(
            "ram AttachPolicyToRole",
            &[("PolicyType", "Custom"), ("PolicyName", policy.name.as_str()), ("RoleName", name)],
        ));
    }
    calls
}

fn create_policy(policy: &PlannedPolicy) -> String {
    let parameters = [
        ("PolicyName", policy.name.as_str()),
        ("Description", policy.description.as_str()),
        ("PolicyDocument", policy.document.as_str()),
    ];
    call("ram CreatePolicy", &parameters)
}

fn provider_calls(provider: &PlannedProvider) -> String {
    let audiences: Vec<_> = provider.audiences.iter().map(OidcAudience::as_str).collect();
    let audiences = audiences.join(",");
    let name = provider.name.as_str();
    let get = call("ims GetOIDCProvider", &[("OIDCProviderName", name)]);
    let parameters = [
        ("OIDCProviderName", name),
        ("IssuerUrl", provider.issuer.as_str()),
        ("ClientIds", audiences.as_str()),
    ];
    let create = call("ims CreateOIDCProvider", &parameters);
    format!(
        "\n# The OIDC provider, unless it exists: ACK creates the one of a cluster when RRSA is switched on. OIDC_FINGERPRINTS \
         is the\n# SHA-1 fingerprint of the CA certificate of the issuer, or several separated by commas.\nif ! {get} \
         >/dev/null 2>&1; then\n  {create} --Fingerprints \"${{OIDC_FINGERPRINTS:?}}\"\nfi\n"
    )
}

/// The AccessKey, in two files if the script has an argument.
fn key_calls(user: &PlannedUser, account: &AccountId) -> String {
    let create = call("ram CreateAccessKey", &[("UserName", user.name.as_str())]);
    let mut restricted = String::new();
    if let Some(network) = &user.network {
        let principal = user.principal(account);
        let document = network.document();
        let parameters =
            [("UserPrincipalName", principal.as_str()), ("AccessKeyPolicy", document.as_str())];
        let set = call("ims SetAccessKeyPolicy", &parameters);
        restricted = format!(
            "  # It binds this AccessKey and no token: tokens of STS are valid from every address.\n  {set} --UserAccessKeyId \
             \"$(cat \"$key_dir/access-key-id\")\"\n"
        );
    }
    format!(
        r#"
if [ -z "$key_dir" ]; then
  echo "No AccessKey was created: RAM shows its secret once, and this script is to write it to files and not to the terminal."
  echo "Name a directory as its argument, or create one in the RAM console."
else
  mkdir -p "$key_dir"
  key=$({create})
  printf '%s' "$key" | jq -r .AccessKey.AccessKeyId >"$key_dir/access-key-id"
  printf '%s' "$key" | jq -r .AccessKey.AccessKeySecret >"$key_dir/access-key-secret"
{restricted}fi
"#
    )
}

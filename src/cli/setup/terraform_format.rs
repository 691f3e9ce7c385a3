//! A plan as a Terraform module for the provider `aliyun/alicloud`.

use crate::setup::plan::{
    AccountPlan, OidcAudience, PlannedIdentity, PlannedPolicy, PlannedProvider, PlannedRole,
    PlannedUser,
};

/// The first version with the names of arguments that are used here.
const PROVIDER_VERSION: &str = ">= 1.252.0";
/// The first version with `alicloud_ram_access_key_policy`.
const WITH_KEY_POLICY: &str = ">= 1.286.0";

/// The module.
pub(super) fn module(plan: &AccountPlan) -> String {
    let account = &plan.account;
    let mut blocks = vec![format!(
        "# What AppServer needs in account {account}: printed by `appserver setup plan`."
    )];
    blocks.push(required_provider(&plan.identity));
    match &plan.identity {
        PlannedIdentity::User(user) => blocks.extend(of_user(user, account.as_str())),
        PlannedIdentity::InstanceRole(role) => {
            blocks.extend(of_role(role, None));
            blocks.push(
                "# `alicloud_ecs_ram_role_attachment` attaches this role to the instances that AppServer runs on."
                    .to_owned(),
            );
        }
        PlannedIdentity::OidcRole { provider, role } => {
            blocks.extend(of_provider(provider));
            blocks.extend(of_role(role, Some("alicloud_ims_oidc_provider.appserver".to_owned())));
        }
    }
    // A trust policy can name only what exists.
    let trusted = match &plan.identity {
        PlannedIdentity::User(_) => "alicloud_ram_user.appserver".to_owned(),
        PlannedIdentity::InstanceRole(role) | PlannedIdentity::OidcRole { role, .. } => {
            format!("alicloud_ram_role.{}", role_label(role))
        }
    };
    for role in &plan.roles {
        blocks.extend(of_role(role, Some(trusted.clone())));
    }
    for role in &plan.foreign_roles {
        let account = role.arn.account();
        let lines = of_role(role, None).join("\n\n");
        let lines: Vec<_> = lines.lines().map(|line| format!("# {line}")).collect();
        blocks.push(format!(
            "# In account {account}, by its administrator:\n#\n{}",
            lines.join("\n")
        ));
    }
    blocks.extend(plan.warnings.iter().map(|warning| format!("# warning: {warning}")));
    blocks.join("\n\n").replace("# \n", "#\n")
}

fn required_provider(identity: &PlannedIdentity) -> String {
    let has_key_policy = matches!(identity, PlannedIdentity::User(user) if user.network.is_some());
    let version = if has_key_policy { WITH_KEY_POLICY } else { PROVIDER_VERSION };
    format!(
        "terraform {{\n  required_providers {{\n    alicloud = {{\n      source  = \"aliyun/alicloud\"\n      version = \
         \"{version}\"\n    }}\n  }}\n}}"
    )
}

fn of_user(user: &PlannedUser, account: &str) -> Vec<String> {
    let name = user.name.as_str();
    let mut blocks = vec![resource("alicloud_ram_user", "appserver", &[("name", text(name))])];
    for policy in &user.policies {
        let label = policy_label(policy);
        blocks.push(of_policy(policy));
        blocks.push(resource(
            "alicloud_ram_user_policy_attachment",
            &label,
            &[
                ("policy_name", format!("alicloud_ram_policy.{label}.policy_name")),
                ("policy_type", format!("alicloud_ram_policy.{label}.type")),
                ("user_name", "alicloud_ram_user.appserver.name".to_owned()),
            ],
        ));
    }
    blocks.push(
        "# The AccessKey is not made here: its secret would be in the state. Create it outside, into two files that only AppServer\n\
         # can read."
            .to_owned(),
    );
    if let Some(network) = &user.network {
        blocks.push(
            "# The id of the AccessKey, once there is one: then its network policy is set. It binds this AccessKey and no token:\n\
             # tokens of STS are valid from every address.\n\
             variable \"access_key_id\" {\n  type    = string\n  default = \"\"\n}"
                .to_owned(),
        );
        let principal = format!("{name}@{account}.onaliyun.com");
        blocks.push(resource(
            "alicloud_ram_access_key_policy",
            "appserver",
            &[
                ("count", "var.access_key_id == \"\" ? 0 : 1".to_owned()),
                ("user_access_key_id", "var.access_key_id".to_owned()),
                ("user_principal_name", text(&principal)),
                ("access_key_policy", text(&network.document())),
                ("depends_on", "[alicloud_ram_user.appserver]".to_owned()),
            ],
        ));
    }
    blocks
}

fn of_provider(provider: &PlannedProvider) -> Vec<String> {
    let audiences: Vec<_> = provider.audiences.iter().map(OidcAudience::as_str).map(text).collect();
    let entries = [
        ("oidc_provider_name", text(provider.name.as_str())),
        ("issuer_url", text(provider.issuer.as_str())),
        ("client_ids", format!("[{}]", audiences.join(", "))),
        ("fingerprints", "var.oidc_fingerprints".to_owned()),
    ];
    vec![
        "# SHA-1 fingerprints of the CA certificate of the issuer.\nvariable \"oidc_fingerprints\" {\n  type    = list(string)\n  \
         default = []\n}"
            .to_owned(),
        format!(
            "# ACK creates the provider of a cluster when RRSA is switched on: then import it.\n{}",
            resource("alicloud_ims_oidc_provider", "appserver", &entries)
        ),
    ]
}

fn of_role(role: &PlannedRole, trusted: Option<String>) -> Vec<String> {
    let label = role_label(role);
    let mut entries = vec![
        ("role_name", text(role.arn.name())),
        ("max_session_duration", role.max_session.as_secs().to_string()),
        ("assume_role_policy_document", text(&role.trust)),
    ];
    entries.extend(trusted.map(|trusted| ("depends_on", format!("[{trusted}]"))));
    let mut blocks = vec![resource("alicloud_ram_role", &label, &entries)];
    for policy in &role.policies {
        let policy_label = policy_label(policy);
        blocks.push(of_policy(policy));
        blocks.push(resource(
            "alicloud_ram_role_policy_attachment",
            &policy_label,
            &[
                ("policy_name", format!("alicloud_ram_policy.{policy_label}.policy_name")),
                ("policy_type", format!("alicloud_ram_policy.{policy_label}.type")),
                ("role_name", format!("alicloud_ram_role.{label}.role_name")),
            ],
        ));
    }
    blocks
}

fn of_policy(policy: &PlannedPolicy) -> String {
    let entries = [
        ("policy_name", text(policy.name.as_str())),
        ("description", text(&policy.description)),
        ("policy_document", text(&policy.document)),
        // Without it the sixth change of a policy is refused.
        ("rotate_strategy", text("DeleteOldestNonDefaultVersionWhenLimitExceeded")),
    ];
    resource("alicloud_ram_policy", &policy_label(policy), &entries)
}

fn role_label(role: &PlannedRole) -> String {
    format!("role_{}", label(role.arn.name()))
}

fn policy_label(policy: &PlannedPolicy) -> String {
    format!("policy_{}", label(policy.name.as_str()))
}

fn label(name: &str) -> String {
    name.replace(['-', '.'], "_")
}

/// A block as `terraform fmt` writes it.
fn resource(kind: &str, label: &str, entries: &[(&str, String)]) -> String {
    let width = entries.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut block = format!("resource \"{kind}\" \"{label}\" {{\n");
    for (name, value) in entries {
        block += &format!("  {name:width$} = {value}\n");
    }
    block + "}"
}

/// A quoted template of HCL that stands for exactly this text.
fn text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            '\n' => quoted += "\\n",
            '\r' => quoted += "\\r",
            '\t' => quoted += "\\t",
            // `${` and `%{` begin an expression; doubled, they are text.
            '$' | '%' if characters.peek() == Some(&'{') => quoted.extend([c, c]),
            c => quoted.push(c),
        }
    }
    format!("\"{quoted}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_quoted_so_that_terraform_reads_it_back() {
        for (raw, expected) in [
            ("a", r#""a""#),
            (r#"{"a":"b\\c"}"#, r#""{\"a\":\"b\\\\c\"}""#),
            ("${x} $ %{y} % $${z}", r#""$${x} $ %%{y} % $$${z}""#),
            ("a\nb", r#""a\nb""#),
        ] {
            assert_eq!(text(raw), expected);
        }
    }
}

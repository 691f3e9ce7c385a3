//! A plan as a template of ROS. It is YAML: comments, and JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::setup::plan::{
    AccountPlan, OidcAudience, PlannedIdentity, PlannedPolicy, PlannedRole, PlannedUser,
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Template<'a> {
    #[serde(rename = "ROSTemplateFormatVersion")]
    version: &'static str,
    description: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parameters: BTreeMap<&'static str, Parameter>,
    resources: BTreeMap<String, Resource<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    r#type: &'static str,
    description: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Resource<'a> {
    r#type: &'static str,
    properties: BTreeMap<&'static str, Property<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Property<'a> {
    Text(&'a str),
    Number(u32),
    Texts(Vec<&'a str>),
    Document(Box<RawValue>),
    Parameter(BTreeMap<&'static str, &'static str>),
}

const USER: &str = "user";
const PROVIDER: &str = "oidc-provider";
const FINGERPRINTS: &str = "OidcFingerprints";

/// The template.
pub(super) fn template(plan: &AccountPlan) -> String {
    let mut resources = BTreeMap::new();
    let mut parameters = BTreeMap::new();
    let trusted = match &plan.identity {
        PlannedIdentity::User(user) => {
            of_user(user, &mut resources);
            USER.to_owned()
        }
        PlannedIdentity::InstanceRole(role) => of_role(role, Vec::new(), &mut resources),
        PlannedIdentity::OidcRole { provider, role } => {
            let audiences = provider.audiences.iter().map(OidcAudience::as_str).collect();
            let properties = [
                ("OIDCProviderName", Property::Text(provider.name.as_str())),
                ("IssuerUrl", Property::Text(provider.issuer.as_str())),
                ("ClientIds", Property::Texts(audiences)),
                ("Fingerprints", Property::Parameter([("Ref", FINGERPRINTS)].into())),
            ];
            let provider = resource("ALIYUN::RAM::OIDCProvider", properties, Vec::new());
            resources.insert(PROVIDER.to_owned(), provider);
            let fingerprints = Parameter {
                r#type: "CommaDelimitedList",
                description: "SHA-1 fingerprints of the CA certificate of the issuer",
            };
            parameters.insert(FINGERPRINTS, fingerprints);
            of_role(role, vec![PROVIDER.to_owned()], &mut resources)
        }
    };
    for role in &plan.roles {
        of_role(role, vec![trusted.clone()], &mut resources);
    }
    let description = format!(
        "What AppServer needs in account {}: printed by `appserver setup plan`",
        plan.account
    );
    let template = Template { version: "2015-09-01", description, parameters, resources };
    comments(plan) + &pretty(&template)
}

/// What has no type in ROS, and what is made elsewhere.
fn comments(plan: &AccountPlan) -> String {
    let mut lines = Vec::new();
    match &plan.identity {
        PlannedIdentity::User(user) => {
            lines.push(
                "The AccessKey is not made here: its secret would be readable in the stack. Create it outside, into two files \
                 that only AppServer can read."
                    .to_owned(),
            );
            if let Some(network) = &user.network {
                lines.push(format!(
                    "ROS has no type for its network policy. It binds the AccessKey and no token:\n  aliyun ims \
                     SetAccessKeyPolicy --UserPrincipalName {}@{}.onaliyun.com --UserAccessKeyId ID --AccessKeyPolicy '{}'",
                    user.name,
                    plan.account,
                    network.document()
                ));
            }
        }
        PlannedIdentity::InstanceRole(role) => lines.push(format!(
            "Attach the role {} to the instances that AppServer runs on.",
            role.arn.name()
        )),
        PlannedIdentity::OidcRole { .. } => lines.push(format!(
            "ACK creates the provider of a cluster when RRSA is switched on: then take `{PROVIDER}` out, and `DependsOn` of it."
        )),
    }
    for role in &plan.foreign_roles {
        let mut resources = BTreeMap::new();
        of_role(role, Vec::new(), &mut resources);
        let account = role.arn.account();
        lines.push(format!("In account {account}, by its administrator:\n{}", pretty(&resources)));
    }
    lines.extend(plan.warnings.iter().map(|warning| format!("warning: {warning}")));
    lines.iter().flat_map(|text| text.lines()).map(|line| format!("# {line}\n")).collect()
}

fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("texts, lists and documents are always JSON")
}

fn of_user<'a>(user: &'a PlannedUser, resources: &mut BTreeMap<String, Resource<'a>>) {
    let name = user.name.as_str();
    let properties = [("UserName", Property::Text(name))];
    resources.insert(USER.to_owned(), resource("ALIYUN::RAM::User", properties, Vec::new()));
    for policy in &user.policies {
        of_policy(policy, ("Users", name), USER, resources);
    }
}

/// Adds the role and its policies; returns the name of its resource.
fn of_role<'a>(
    role: &'a PlannedRole,
    depends_on: Vec<String>,
    resources: &mut BTreeMap<String, Resource<'a>>,
) -> String {
    let name = role.arn.name();
    let id = format!("role-{}", name.replace('.', "-"));
    let properties = [
        ("RoleName", Property::Text(name)),
        ("MaxSessionDuration", Property::Number(role.max_session.as_secs())),
        ("AssumeRolePolicyDocument", Property::Document(raw(&role.trust))),
    ];
    resources.insert(id.clone(), resource("ALIYUN::RAM::Role", properties, depends_on));
    for policy in &role.policies {
        of_policy(policy, ("Roles", name), &id, resources);
    }
    id
}

fn of_policy<'a>(
    policy: &'a PlannedPolicy,
    (holders, holder): (&'static str, &'a str),
    depends_on: &str,
    resources: &mut BTreeMap<String, Resource<'a>>,
) {
    let name = policy.name.as_str();
    let properties = [
        ("PolicyName", Property::Text(name)),
        ("Description", Property::Text(&policy.description)),
        // It takes every element of a policy, such as several conditions.
        ("PolicyDocumentUnchecked", Property::Document(raw(&policy.document))),
        (holders, Property::Texts(vec![holder])),
    ];
    let resource = resource("ALIYUN::RAM::ManagedPolicy", properties, vec![depends_on.to_owned()]);
    resources.insert(format!("policy-{name}"), resource);
}

fn resource<'a, const N: usize>(
    kind: &'static str,
    properties: [(&'static str, Property<'a>); N],
    depends_on: Vec<String>,
) -> Resource<'a> {
    Resource { r#type: kind, properties: properties.into(), depends_on }
}

fn raw(document: &str) -> Box<RawValue> {
    RawValue::from_string(document.to_owned()).expect("the documents of a plan are JSON")
}

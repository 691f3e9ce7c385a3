//! Trust policies of roles.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::oidc::{OidcAudience, TrustedToken};

/// Who may assume a role.
#[derive(Clone, Debug)]
pub(super) enum Principal {
    /// A RAM user or role, by its ARN.
    Ram(String),
    /// The instances of a service, such as those of ECS that the role is attached to.
    Service(&'static str),
    /// The holder of such a token of the provider with this ARN.
    Oidc(String, TrustedToken),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Trust<'a> {
    version: &'static str,
    statement: [Statement<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement<'a> {
    effect: &'static str,
    action: &'static str,
    principal: BTreeMap<&'static str, [&'a str; 1]>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    condition: BTreeMap<&'static str, BTreeMap<&'static str, Values<'a>>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Values<'a> {
    One(&'a str),
    Many(Vec<&'a str>),
}

impl<'a> Values<'a> {
    fn of(texts: impl Iterator<Item = &'a str>) -> Self {
        match *texts.collect::<Vec<_>>() {
            [only] => Self::One(only),
            ref texts => Self::Many(texts.to_vec()),
        }
    }
}

/// A trust policy that names exactly this principal; with external ids, only calls with one of them.
pub(super) fn trust(principal: &Principal, external_ids: &BTreeSet<&str>) -> String {
    let (kind, arn) = match principal {
        Principal::Ram(arn) => ("RAM", arn.as_str()),
        Principal::Service(name) => ("Service", *name),
        Principal::Oidc(arn, _) => ("Federated", arn.as_str()),
    };
    let mut equals = BTreeMap::new();
    if let Principal::Oidc(_, token) = principal {
        let audiences = token.audiences.iter().map(OidcAudience::as_str);
        equals.insert("oidc:aud", Values::of(audiences));
        equals.insert("oidc:iss", Values::One(token.issuer.as_str()));
        equals.insert("oidc:sub", Values::One(token.subject.as_str()));
    }
    if !external_ids.is_empty() {
        equals.insert("sts:ExternalId", Values::of(external_ids.iter().copied()));
    }
    let condition =
        if equals.is_empty() { BTreeMap::new() } else { [("StringEquals", equals)].into() };
    let trust = Trust {
        version: "1",
        statement: [Statement {
            effect: "Allow",
            action: "sts:AssumeRole",
            principal: [(kind, [arn])].into(),
            condition,
        }],
    };
    serde_json::to_string(&trust).expect("texts, lists and maps of texts are always JSON")
}

//! `[issuers]`, resolved.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde_json::Value;

use super::Mode;
use super::field::{Field, List};
use super::issuer_keys::{self, RawKeys};
use super::problems::Problems;
use super::raw::{RawClaim, RawClaimRule, RawClaimType, RawIssuer, RawTypedClaim};
use super::resolve::number;
use crate::auth::{ClaimKind, ClaimPath, ClaimRule, Issuer, NamedClaim, SubjectType, TokenKind};
use appserver_domain::{ClientId, Fingerprint, IssuerName, ValueName};

/// The issuers whose tokens are trusted, for clients that are registered; and all whose names can be read, with the clients
/// that they serve.
pub(super) fn resolve(
    raw: BTreeMap<String, RawIssuer>,
    clients: &[&ClientId],
    json: &Value,
    mode: Mode,
    problems: &mut Problems,
) -> (Vec<Issuer>, Vec<(IssuerName, BTreeSet<ClientId>)>) {
    let (mut issuers, mut serving) = (Vec::new(), Vec::new());
    let mut names = BTreeSet::new();
    for (id, raw) in raw {
        let path = format!("issuers.{id}");
        // Of what is written: paths are the same wherever the files lie, so that replicas agree.
        let configured = Fingerprint::of([json["issuers"][&id].to_string().as_bytes()]);
        let id: Option<IssuerName> =
            id.parse().map_err(|invalid| problems.add(&path, invalid)).ok();
        let mut known = Known::default();
        issuers.extend(issuer(
            (id.clone(), configured),
            &path,
            raw,
            clients,
            mode,
            &mut known,
            problems,
        ));
        if known.name.is_some_and(|name| !names.insert(name)) {
            problems.add(
                format!("{path}.issuer"),
                "another entry has the same `issuer`; list all audiences in one",
            );
        }
        serving.extend(id.map(|id| (id, known.clients)));
    }
    (issuers, serving)
}

/// What others must know of an issuer, whatever else of it is wrong.
#[derive(Default)]
struct Known {
    name: Option<String>,
    clients: BTreeSet<ClientId>,
}

fn issuer(
    (id, configured): (Option<IssuerName>, Fingerprint),
    path: &str,
    mut raw: RawIssuer,
    registered: &[&ClientId],
    mode: Mode,
    known: &mut Known,
    problems: &mut Problems,
) -> Option<Issuer> {
    let at = |key: &str| format!("{path}.{key}");
    // What a provider that cannot be read would set is not missing.
    let is_set = raw.provider.is_wrong();
    let provider = problems.take(&at("provider"), std::mem::take(&mut raw.provider));
    if let Some(provider) = provider {
        provider.apply(path, &mut raw, problems);
    }
    let name = match raw.issuer {
        Field::Absent if is_set => None,
        field => problems.require(&at("issuer"), field),
    };
    known.name.clone_from(&name);
    let algorithms = match raw.algorithms {
        Field::Absent if is_set => None,
        field => problems.require(&at("algorithms"), field),
    };
    let algorithms = algorithms.map(|List(algorithms)| algorithms);
    let keys = RawKeys {
        jwks_file: raw.jwks_file,
        jwks_url: raw.jwks_url,
        discovery: raw.discovery,
        secret_file: raw.secret_file,
        refresh_secs: raw.keys_refresh_secs,
        max_age_secs: raw.keys_max_age_secs,
        is_set,
    };
    let keys =
        issuer_keys::resolve(path, keys, name.as_deref(), algorithms.as_deref(), mode, problems);
    let (mut audiences, mut audiences_are_wrong) = (BTreeMap::new(), false);
    for (audience, clients) in raw.audiences {
        let path = format!("{path}.audiences.{audience}");
        let Some(List(clients)) = problems.take(&path, clients) else {
            audiences_are_wrong = true;
            continue;
        };
        known.clients.extend(clients.iter().cloned());
        for client in clients.iter().filter(|client| !registered.contains(client)) {
            problems.add_absence(
                path.as_str(),
                format!("there is no client `{client}`; add `[clients.{client}]` or take it out"),
            );
        }
        if clients.len() != 1 && raw.client_claim.is_absent() {
            problems.add_absence(
                path,
                "name one client, or several and the `client_claim` that tells them apart",
            );
        }
        audiences.insert(audience, clients);
    }
    if audiences.is_empty() && !audiences_are_wrong {
        problems
            .add_absence(at("audiences"), "name the audiences that are ours, each with its client");
    }
    let names_clients = !matches!(raw.client_claim, Field::Absent);
    let client_claim = problems.take(&at("client_claim"), raw.client_claim);
    if !raw.client_ids.is_empty() && !names_clients {
        problems
            .add_absence(at("client_ids"), "name the claim that has these values: `client_claim`");
    }
    let mut client_ids = BTreeMap::new();
    for (value, client) in raw.client_ids {
        let path = format!("{path}.client_ids.{value}");
        let Some(client) = problems.take(&path, client) else { continue };
        let is_named = audiences.values().any(|clients: &Vec<_>| clients.contains(&client));
        if !is_named && !audiences_are_wrong {
            problems.add_absence(path, format!("no audience has the client `{client}`"));
        }
        client_ids.insert(value, client);
    }
    let subject_claim =
        problems.or(&at("subject_claim"), raw.subject_claim, ClaimPath::named("sub"));
    let subject_type = problems.or(&at("subject_type"), raw.subject_type, SubjectType::default());
    let token_kind = problems.or(&at("token_kind"), raw.token_kind, TokenKind::default());
    let audience_claim =
        problems.or(&at("audience_claim"), raw.audience_claim, ClaimPath::named("aud"));
    let leeway = match raw.leeway_secs {
        Field::Absent => Some(60),
        given => number(problems, &at("leeway_secs"), given, 0, 300, "seconds"),
    };
    let expire_with_token = problems.or(&at("expire_with_token"), raw.expire_with_token, false);
    let mut claims = BTreeMap::new();
    for (name, claim) in raw.claims {
        let path = format!("{path}.claims.{name}");
        let claim = problems.take(&path, claim).map(named_claim);
        let name = name.parse::<ValueName>().map_err(|invalid| problems.add(path, invalid));
        claims.extend(name.ok().zip(claim));
    }
    let mut required = BTreeMap::new();
    for (claim, rule) in raw.required {
        let path = format!("{path}.required.{claim}");
        let rule = claim_rule(&path, rule, problems);
        let claim = ClaimPath::try_from(claim).map_err(|invalid| problems.add(path, invalid));
        required.extend(claim.ok().zip(rule));
    }
    Some(Issuer {
        id: id?,
        configured,
        name: name?,
        algorithms: algorithms?,
        keys: keys?,
        token_kind: token_kind?,
        audience_claim: audience_claim?,
        audiences,
        client_claim,
        client_ids,
        subject_claim: subject_claim?,
        subject_type: subject_type?,
        claims,
        required,
        leeway: TimeDelta::seconds(leeway?),
        expire_with_token: expire_with_token?,
    })
}

fn named_claim(raw: RawClaim) -> NamedClaim {
    let (claim, kind) = match raw {
        RawClaim::Name(claim) => (claim, RawClaimType::String),
        RawClaim::Typed(RawTypedClaim { claim, kind }) => (claim, kind),
    };
    let kind = match kind {
        RawClaimType::String => ClaimKind::String,
        RawClaimType::Integer => ClaimKind::Integer,
        RawClaimType::Boolean => ClaimKind::Boolean,
    };
    NamedClaim { claim, kind }
}

fn claim_rule(path: &str, raw: RawClaimRule, problems: &mut Problems) -> Option<ClaimRule> {
    let is_wrong = raw.equals.is_wrong() || raw.pattern.is_wrong() || raw.contains.is_wrong();
    let equals = problems.take(&format!("{path}.equals"), raw.equals);
    let pattern = problems.take(&format!("{path}.pattern"), raw.pattern);
    let contains = problems.take(&format!("{path}.contains"), raw.contains);
    match (equals, pattern, contains) {
        (Some(text), None, None) => Some(ClaimRule::Equals(text)),
        (None, Some(pattern), None) => ClaimRule::pattern(&pattern)
            .map_err(|error| problems.add_error(format!("{path}.pattern"), &error))
            .ok(),
        (None, None, Some(List(members))) if !members.is_empty() => {
            Some(ClaimRule::Contains(members))
        }
        _ if is_wrong => None,
        _ => {
            problems.add_absence(
                path,
                "say one of what the claim `equals`, which `pattern` it matches as a whole, and what it `contains`",
            );
            None
        }
    }
}

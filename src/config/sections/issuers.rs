//! `[issuers]`: identity providers whose tokens are trusted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::Value;

use super::claims::{RawClaim, RawClaimRule, claim_rule, named_claim};
use super::issuer_keys::{self, MaxAgeSecs, RefreshSecs, UnresolvedKeys};
use super::providers::Provider;
use crate::auth::{ClaimPath, Issuer, KeyAddress, SignatureAlgorithm, SubjectType, TokenKind};
use crate::config::bounds::Secs;
use crate::config::environment::Mode;
use crate::config::field::{Field, FieldValue, List};
use crate::config::problems::Problems;
use appserver_domain::{ClientId, Fingerprint, IssuerName, ValueName};

#[derive(Debug, Deserialize)]
pub(crate) struct RawIssuer {
    /// A well-known provider, whose presets fill in the keys that are not set.
    pub(crate) provider: Field<Provider>,
    /// Required: `iss`, to the letter.
    pub(crate) issuer: Field<String>,
    /// Required: `ES256`, `RS256` and so on; `HS256` with `secret_file`.
    pub(crate) algorithms: Field<List<SignatureAlgorithm>>,
    /// Its public keys, a JSON Web Key Set. One of `jwks_file`, `jwks_url`, `discovery` and `secret_file` is required.
    pub(crate) jwks_file: Field<PathBuf>,
    /// Where they are fetched from. HTTPS only, except on loopback.
    pub(crate) jwks_url: Field<KeyAddress>,
    /// Default false. Asks the issuer for their URL, by OpenID Connect Discovery 1.0.
    pub(crate) discovery: Field<bool>,
    /// Default 300. After it fetched keys are fetched again.
    pub(crate) keys_refresh_secs: Field<RefreshSecs>,
    /// Default 86400, more than `keys_refresh_secs`. When keys could not be fetched for so long, the issuer's tokens are
    /// refused.
    pub(crate) keys_max_age_secs: Field<MaxAgeSecs>,
    /// For HS256: holds the shared secret. White space at its ends is trimmed.
    pub(crate) secret_file: Field<PathBuf>,
    /// `access`, `id`, or `any` (default) of the two.
    pub(crate) token_kind: Field<TokenKind>,
    /// Default `aud`.
    pub(crate) audience_claim: Field<ClaimPath>,
    /// Required: each accepted `aud` with its clients.
    pub(crate) audiences: BTreeMap<String, Field<List<ClientId>>>,
    /// Names the client, where an audience has several.
    pub(crate) client_claim: Field<ClaimPath>,
    /// With `client_claim`: its values with their clients, where they are not our clients' ids.
    pub(crate) client_ids: BTreeMap<String, Field<ClientId>>,
    /// Default `sub`.
    pub(crate) subject_claim: Field<ClaimPath>,
    /// `text` (default) or `integer`.
    pub(crate) subject_type: Field<SubjectType>,
    /// Default 60. By how much clocks may differ.
    pub(crate) leeway_secs: Field<Secs<0, 300>>,
    /// Default false. Credentials expire no later than the token they were issued for.
    pub(crate) expire_with_token: Field<bool>,
    /// Claims for policies, by the NAME of `${claims.NAME}`.
    pub(crate) claims: BTreeMap<String, Field<RawClaim>>,
    /// Claims that a token must have.
    pub(crate) required: BTreeMap<String, RawClaimRule>,
}

/// The trusted issuers; and every issuer with a valid name, with the clients it serves.
pub(crate) fn resolve(
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
        // Of the text as written: paths do not depend on where the files are, so that replicas agree.
        let configured = Fingerprint::of([json["issuers"][&id].to_string().as_bytes()]);
        let id: Option<IssuerName> = problems.name(&path, &id);
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

/// What other sections need of an issuer, whatever else of it is invalid.
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
    // An invalid provider may be one that sets the required keys: they are not missing.
    let is_preset = raw.provider.is_invalid();
    let provider = match std::mem::take(&mut raw.provider).into_parts() {
        (path, FieldValue::Invalid(rule)) => {
            problems.add(path, format!("{rule}; omit it for any other provider"));
            None
        }
        (_, FieldValue::Given(provider)) => Some(provider),
        (_, FieldValue::Absent) => None,
    };
    if let Some(provider) = provider {
        provider.apply(path, &mut raw, problems);
    }
    let name =
        if raw.issuer.is_absent() && is_preset { None } else { problems.require(raw.issuer) };
    known.name.clone_from(&name);
    let algorithms = if raw.algorithms.is_absent() && is_preset {
        None
    } else {
        problems.require(raw.algorithms)
    };
    let algorithms = algorithms.map(|List(algorithms)| algorithms);
    let keys = UnresolvedKeys {
        jwks_file: raw.jwks_file,
        jwks_url: raw.jwks_url,
        discovery: raw.discovery,
        secret_file: raw.secret_file,
        refresh_secs: raw.keys_refresh_secs,
        max_age_secs: raw.keys_max_age_secs,
        is_preset,
    };
    let keys =
        issuer_keys::resolve(path, keys, name.as_deref(), algorithms.as_deref(), mode, problems);
    let (mut audiences, mut audiences_are_invalid) = (BTreeMap::new(), false);
    for (audience, clients) in raw.audiences {
        if audience.is_empty() {
            problems.add(
                at("audiences"),
                "an audience must not be empty: write the `aud` of the tokens",
            );
            audiences_are_invalid = true;
        }
        let path = format!("{path}.audiences.{audience}");
        let Some(List(clients)) = problems.take(clients) else {
            audiences_are_invalid = true;
            continue;
        };
        known.clients.extend(clients.iter().cloned());
        for client in clients.iter().filter(|client| !registered.contains(client)) {
            problems.add_absence(
                path.as_str(),
                format!("there is no client `{client}`; add `[clients.{client}]` or remove it"),
            );
        }
        if clients.len() != 1 && raw.client_claim.is_absent() {
            problems.add_absence(
                path,
                "name one client, or several and the `client_claim` that distinguishes them",
            );
        }
        audiences.insert(audience, clients);
    }
    if audiences.is_empty() && !audiences_are_invalid {
        problems.add_absence(at("audiences"), "name the accepted audiences, each with its client");
    }
    let names_clients = !raw.client_claim.is_absent();
    let client_claim = problems.take(raw.client_claim);
    if !raw.client_ids.is_empty() && !names_clients {
        problems
            .add_absence(at("client_ids"), "set `client_claim` to the claim that has these values");
    }
    let mut client_ids = BTreeMap::new();
    for (value, client) in raw.client_ids {
        if value.is_empty() {
            problems.add(at("client_ids"), "a value must not be empty: write the claim's value");
        }
        let path = format!("{path}.client_ids.{value}");
        let Some(client) = problems.take(client) else { continue };
        let is_named = audiences.values().any(|clients: &Vec<_>| clients.contains(&client));
        if !is_named && !audiences_are_invalid {
            problems.add_absence(path, format!("no audience has the client `{client}`"));
        }
        client_ids.insert(value, client);
    }
    let subject_claim = problems.or(raw.subject_claim, ClaimPath::named("sub"));
    let subject_type = problems.or(raw.subject_type, SubjectType::default());
    let token_kind = problems.or(raw.token_kind, TokenKind::default());
    let audience_claim = problems.or(raw.audience_claim, ClaimPath::named("aud"));
    let leeway = problems.or(raw.leeway_secs, const { Secs::new(60) });
    let expire_with_token = problems.or(raw.expire_with_token, false);
    let mut claims = BTreeMap::new();
    for (name, claim) in raw.claims {
        let path = format!("{path}.claims.{name}");
        let claim = problems.take(claim).map(named_claim);
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
        leeway: TimeDelta::seconds(leeway?.get()),
        expire_with_token: expire_with_token?,
    })
}

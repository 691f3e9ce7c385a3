//! `[issuers]`, resolved.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretSlice};

use super::Mode;
use super::field::{Field, List};
use super::problems::Problems;
use super::raw::{RawClaimRule, RawIssuer};
use super::resolve::number;
use super::secret_file::read_secret;
use crate::auth::{ClaimRule, Issuer, Keys, SignatureAlgorithm};
use crate::domain::{ClientId, ValueName};

/// A coordinate of the demo issuer's key, which is published with its other half.
const DEMO_KEY: &str = "5sZUvafPPBaFafQa3maZJQR-hkk014XJDlZr4FqoXYk";

/// The issuers whose tokens are believed, for clients that are registered.
pub(super) fn resolve(
    raw: BTreeMap<String, RawIssuer>,
    clients: &[&ClientId],
    mode: Mode,
    problems: &mut Problems,
) -> Vec<Issuer> {
    let mut issuers: Vec<Issuer> = Vec::new();
    for (id, raw) in raw {
        let path = format!("issuers.{id}");
        let Some(issuer) = issuer(&path, raw, clients, mode, problems) else { continue };
        if issuers.iter().any(|other| other.name == issuer.name) {
            problems.add(
                format!("{path}.issuer"),
                "another entry has the same `issuer`; list all audiences in one",
            );
        }
        issuers.push(issuer);
    }
    issuers
}

fn issuer(
    path: &str,
    raw: RawIssuer,
    registered: &[&ClientId],
    mode: Mode,
    problems: &mut Problems,
) -> Option<Issuer> {
    let at = |key: &str| format!("{path}.{key}");
    let name = problems.require(&at("issuer"), raw.issuer);
    let algorithms = problems.require(&at("algorithms"), raw.algorithms);
    let algorithms = algorithms.map(|List(algorithms)| algorithms);
    let keys = algorithms.as_ref().and_then(|algorithms| {
        keys(path, raw.jwks_file, raw.secret_file, algorithms, mode, problems)
    });
    let mut audiences = BTreeMap::new();
    for (audience, clients) in raw.audiences {
        let path = format!("{path}.audiences.{audience}");
        let Some(List(clients)) = problems.take(&path, clients) else { continue };
        for client in clients.iter().filter(|client| !registered.contains(client)) {
            problems.add(path.as_str(), format!("there is no client `{client}`"));
        }
        if clients.len() != 1 && matches!(raw.client_claim, Field::Absent) {
            problems.add(
                path,
                "name one client, or several and the `client_claim` that tells them apart",
            );
        }
        audiences.insert(audience, clients);
    }
    if audiences.is_empty() {
        problems.add(at("audiences"), "name the audiences that are ours, each with its client");
    }
    let client_claim = problems.take(&at("client_claim"), raw.client_claim);
    let subject_claim = problems.or(&at("subject_claim"), raw.subject_claim, "sub".to_owned());
    let leeway = match raw.leeway_secs {
        Field::Absent => Some(60),
        given => number(problems, &at("leeway_secs"), given, 0, 300, "seconds"),
    };
    let mut claims = BTreeMap::new();
    for (name, claim) in raw.claims {
        let path = format!("{path}.claims.{name}");
        let claim = problems.take(&path, claim);
        let name = name.parse::<ValueName>().map_err(|invalid| problems.add(path, invalid));
        claims.extend(name.ok().zip(claim));
    }
    let mut required = BTreeMap::new();
    for (claim, rule) in raw.required {
        let rule = claim_rule(&format!("{path}.required.{claim}"), rule, problems);
        required.extend(rule.map(|rule| (claim, rule)));
    }
    Some(Issuer {
        name: name?,
        algorithms: algorithms?,
        keys: keys?,
        audiences,
        client_claim,
        subject_claim: subject_claim?,
        claims,
        required,
        leeway: TimeDelta::seconds(leeway?),
    })
}

/// Public keys for asymmetric algorithms, a shared secret for symmetric ones: never one for the other.
fn keys(
    path: &str,
    jwks_file: Field<PathBuf>,
    secret_file: Field<PathBuf>,
    algorithms: &[SignatureAlgorithm],
    mode: Mode,
    problems: &mut Problems,
) -> Option<Keys> {
    let jwks = problems.take(&format!("{path}.jwks_file"), jwks_file);
    let secret = problems.take(&format!("{path}.secret_file"), secret_file);
    let symmetric = algorithms.iter().filter(|algorithm| algorithm.is_symmetric()).count();
    match (jwks, secret) {
        (Some(file), None) if symmetric == 0 && !algorithms.is_empty() => {
            let path = format!("{path}.jwks_file");
            let json = std::fs::read_to_string(&file);
            let json = json
                .map_err(|error| {
                    problems.add(path.as_str(), format!("{}: {error}", file.display()))
                })
                .ok()?;
            if mode == Mode::Production && json.contains(DEMO_KEY) {
                problems.add(
                    path,
                    "the demo issuer's key is published and works in `appserver dev` only",
                );
                return None;
            }
            Keys::from_jwks(&json).map_err(|problem| problems.add_error(path, &problem)).ok()
        }
        (None, Some(file)) if symmetric == algorithms.len() && symmetric > 0 => {
            let path = format!("{path}.secret_file");
            let secret = problems.gather(read_secret(&path, &file))?;
            let bytes = SecretSlice::from(secret.expose_secret().as_bytes().to_vec());
            Keys::from_secret(&bytes).map_err(|problem| problems.add_error(path, &problem)).ok()
        }
        _ => {
            problems.add(
                format!("{path}.algorithms"),
                "asymmetric algorithms go with `jwks_file`, and HS256 alone with `secret_file`",
            );
            None
        }
    }
}

fn claim_rule(path: &str, raw: RawClaimRule, problems: &mut Problems) -> Option<ClaimRule> {
    let is = problems.take(&format!("{path}.is"), raw.is);
    let pattern = problems.take(&format!("{path}.pattern"), raw.pattern);
    match (is, pattern) {
        (Some(text), None) => Some(ClaimRule::Is(text)),
        (None, Some(pattern)) => ClaimRule::pattern(&pattern)
            .map_err(|error| problems.add_error(format!("{path}.pattern"), &error))
            .ok(),
        (Some(_), Some(_)) | (None, None) => {
            problems.add(
                path,
                "say either what the claim `is` or which `pattern` it matches as a whole",
            );
            None
        }
    }
}

//! Valid entries that refuse every request: clients that cannot authenticate or hold no grant, grants that use what no token
//! contains, claims whose names no token has.

use crate::auth::{ClaimPath, ConfiguredKeys, Issuer, JwksEndpoint, SecretHash};
use crate::config::problems::Problem;
use crate::config::sections::clients::ResolvedClient;
use crate::grant::{Entitlement, Grants};
use appserver_domain::ClientId;
use appserver_policy::SubjectUse;

/// The warnings, in the order of their keys.
pub(in crate::config) fn unusable(
    clients: &[ResolvedClient],
    grants: &Grants,
    issuers: &[Issuer],
) -> Vec<Problem> {
    let enabled = clients.iter().filter(|client| client.client.enabled);
    let of_clients = enabled.flat_map(|client| of_client(client, grants, issuers));
    let of_grants =
        grants.entitlements.values().flat_map(|entitlement| of_grant(entitlement, grants, issuers));
    let of_issuers = issuers.iter().flat_map(of_issuer);
    let mut found: Vec<_> = of_clients.chain(of_grants).chain(of_issuers).collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn of_client(
    ResolvedClient { id, client, .. }: &ResolvedClient,
    grants: &Grants,
    issuers: &[Issuer],
) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut add = |key: &str, message: &str| {
        let path = format!("clients.{id}{key}");
        found.push(Problem { path, message: message.to_owned() });
    };
    let is_served = issuers.iter().any(|issuer| issuer.serves(id));
    // A ticket needs a caller that has authenticated otherwise. Unused certificates have a warning of their own.
    if client.secrets.is_none() && client.certificates.is_empty() && !is_served {
        add(
            "",
            "it has no way to authenticate, so each of its requests is refused with 401: set `secret_sha256` \
             (`appserver client new` makes a secret), set `certificates`, or list it in `audiences` of an issuer",
        );
    }
    if client.secrets.iter().flatten().any(SecretHash::is_blank) {
        add(
            ".secret_sha256",
            "a hash of zeros is an example, and no secret has it: put the hash there that `appserver client new` prints",
        );
    }
    if grants.of_clients.get(id).is_none_or(std::collections::BTreeSet::is_empty) {
        add(
            ".grants",
            "it holds no grant, so each of its requests for a token is refused with 403: name one of `[grants]`, or set \
             `enabled = false`",
        );
    }
    found
}

/// What a grant uses of a token, where no token of its clients has it.
fn of_grant(entitlement: &Entitlement, grants: &Grants, issuers: &[Issuer]) -> Vec<Problem> {
    let name = &entitlement.name;
    let holds =
        |client: &ClientId| grants.of_clients.get(client).is_some_and(|own| own.contains(name));
    if !grants.of_clients.values().any(|own| own.contains(name)) {
        return Vec::new();
    }
    let serving: Vec<_> =
        issuers.iter().filter(|issuer| issuer.audiences.values().flatten().any(holds)).collect();
    let uses = entitlement.template.uses();
    let takes_a_token =
        uses.subject != SubjectUse::Unused || uses.issuer || !uses.claims.is_empty();
    if takes_a_token && serving.is_empty() {
        let message = "it takes its user from a token, and no issuer serves a client that holds it, so each request for it \
                       is refused: list such a client in `audiences` of an issuer, or remove the placeholders";
        return vec![Problem { path: format!("grants.{name}"), message: message.to_owned() }];
    }
    let missing = uses
        .claims
        .iter()
        .filter(|claim| !serving.iter().any(|issuer| issuer.claims.contains_key(*claim)));
    let names: Vec<_> =
        serving.iter().map(|issuer| format!("`[issuers.{}.claims]`", issuer.id)).collect();
    missing
        .map(|claim| Problem {
            path: format!("grants.{name}.claims.{claim}"),
            message: format!(
                "no issuer of its clients has the claim `{claim}` for policies, so each request for the grant is refused: add `{claim}` to {}",
                names.join(" or "),
            ),
        })
        .collect()
}

fn of_issuer(issuer: &Issuer) -> Vec<Problem> {
    let at = |key: &str| format!("issuers.{}.{key}", issuer.id);
    let required = issuer.required.keys().map(|claim| (at(&format!("required.{claim}")), claim));
    let claims = issuer.claims.iter();
    let claims = claims.map(|(name, named)| (at(&format!("claims.{name}")), &named.claim));
    let others = [
        (at("audience_claim"), &issuer.audience_claim),
        (at("subject_claim"), &issuer.subject_claim),
    ];
    let client = issuer.client_claim.as_ref().map(|claim| (at("client_claim"), claim));
    let named = required.chain(claims).chain(others).chain(client);
    let dotted = named.filter_map(|(path, claim): (String, &ClaimPath)| {
        let meant = claim.suggested_path()?;
        Some(Problem {
            path,
            message: format!(
                "this is one claim with dots in its name, which few tokens have; a claim inside another is written `{meant}`"
            ),
        })
    });
    let is_without_path = matches!(
        &issuer.keys,
        ConfiguredKeys::Fetched(JwksEndpoint::KeySet(address), _) if address.is_of_host_alone()
    );
    let without_path = is_without_path.then(|| Problem {
        path: at("jwks_url"),
        message: "it names a host and no path, where key sets are seldom: add the path, or set `discovery = true` so that \
                  the issuer provides it"
            .to_owned(),
    });
    dotted.chain(without_path).collect()
}

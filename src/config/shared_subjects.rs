//! Users of different issuers whom a grant would take for one.

use std::collections::{BTreeMap, BTreeSet};

use super::problems::{Problem, Problems};
use crate::auth::Issuer;
use crate::domain::{ClientId, GrantName, IssuerName};
use crate::grant::{Entitlement, Grants};

/// Refuses grants by which users of several issuers come, and which do not tell these apart, unless the operator has said
/// that they are the same people. What is said for nothing is answered.
///
/// Grants whose policies meet are looked at together: they reach the same objects, by whichever of them a user comes.
pub(super) fn check(
    grants: &Grants,
    issuers: &[Issuer],
    shared: &BTreeSet<GrantName>,
    problems: &mut Problems,
) -> Vec<Problem> {
    let mut advice = Vec::new();
    for group in &groups(grants) {
        let comers = comers(group, grants, issuers);
        let of_issuers: BTreeSet<_> = comers.values().flatten().collect();
        let (shares, others): (Vec<&Entitlement>, Vec<&Entitlement>) =
            group.iter().copied().partition(|entitlement| shared.contains(&entitlement.name));
        if of_issuers.len() < 2 {
            advice.extend(shares.into_iter().map(|entitlement| Problem {
                path: format!("grants.{}.shared_subjects", entitlement.name),
                message: "users of one issuer at the most come by this grant: take it out, or the next issuer's \
                          would silently share"
                    .to_owned(),
            }));
            continue;
        }
        // Where each client has one issuer, the client tells the issuer.
        let by_client = comers.values().all(|issuers| issuers.len() < 2);
        for entitlement in others {
            for (key, texts) in entitlement.narrowing.merging_issuers(by_client) {
                let path = format!("grants.{}.{key}", entitlement.name);
                problems.add(path, told(&of_issuers, &texts, by_client));
            }
        }
    }
    advice.sort_by(|a, b| a.path.cmp(&b.path));
    advice
}

/// Grants by which users may reach the same objects, together with all that share with one of these.
fn groups(grants: &Grants) -> Vec<Vec<&Entitlement>> {
    let mut groups: Vec<Vec<&Entitlement>> = Vec::new();
    for entitlement in grants.entitlements.values() {
        let shares =
            |other: &&Entitlement| other.narrowing.shares_users_with(&entitlement.narrowing);
        let (sharing, apart): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group: &Vec<_>| group.iter().any(shares));
        let mut group: Vec<_> = sharing.into_iter().flatten().collect();
        group.push(entitlement);
        groups = apart;
        groups.push(group);
    }
    groups
}

/// The clients that hold one of the grants, each with the issuers of its users.
fn comers<'a>(
    group: &[&Entitlement],
    grants: &'a Grants,
    issuers: &'a [Issuer],
) -> BTreeMap<&'a ClientId, Vec<&'a IssuerName>> {
    let holds = |own: &BTreeSet<GrantName>| group.iter().any(|one| own.contains(&one.name));
    let holders = grants.of_clients.iter().filter(|(_, own)| holds(own));
    let of_client = |client| {
        let serving = issuers.iter().filter(move |issuer| issuer.serves(client));
        serving.map(|issuer| &issuer.id).collect()
    };
    holders.map(|(client, _)| (client, of_client(client))).collect()
}

fn told(issuers: &BTreeSet<&&IssuerName>, texts: &[String], by_client: bool) -> String {
    let quoted = |text: String| format!("`{text}`");
    let issuers: Vec<_> = issuers.iter().map(|name| quoted(name.to_string())).collect();
    let texts: Vec<_> = texts.iter().map(|text| quoted(text.clone())).collect();
    let client = if by_client { "`${issuer}` or `${client}`" } else { "`${issuer}`" };
    format!(
        "users of the issuers {} whose subjects or claims are alike would be one user in {}: write {client} beside them, \
         as in `users/${{issuer}}/${{subject}}/` (paths move with it: objects that are there stay under the old ones), \
         write `${{subject.hash}}`, or say in `shared_subjects` why they are the same people",
        issuers.join(", "),
        texts.join(", "),
    )
}

//! Users of different issuers whom a grant would take for one.

use std::collections::{BTreeMap, BTreeSet};

use super::problems::{Problem, Problems};
use appserver_domain::{ClientId, GrantName, IssuerName};
use appserver_policy::GrantTemplate;

/// What is looked at, as far as it can be read.
pub(super) struct Looked<'a> {
    pub(super) grants: &'a [(&'a GrantName, &'a GrantTemplate)],
    /// The clients with the grants that they name.
    pub(super) holders: &'a [(ClientId, Vec<GrantName>)],
    /// The issuers with the clients that they serve.
    pub(super) issuers: &'a [(IssuerName, BTreeSet<ClientId>)],
}

/// A grant with its texts.
type Grant<'a> = (&'a GrantName, &'a GrantTemplate);

/// Refuses grants by which users of several issuers come, and which do not tell these apart, unless the operator has said
/// that they are the same people. What is said for nothing is answered.
///
/// Grants whose policies meet are looked at together: they reach the same objects, by whichever of them a user comes.
pub(super) fn check(
    looked: &Looked<'_>,
    shared: &BTreeSet<GrantName>,
    problems: &mut Problems,
) -> Vec<Problem> {
    let mut warnings = Vec::new();
    for group in &groups(looked) {
        let comers = comers(group, looked);
        let of_issuers: BTreeSet<_> = comers.values().flatten().collect();
        let (shares, others): (Vec<Grant<'_>>, Vec<Grant<'_>>) =
            group.iter().copied().partition(|(name, _)| shared.contains(*name));
        if of_issuers.len() < 2 {
            warnings.extend(shares.into_iter().map(|(name, _)| Problem {
                path: format!("grants.{name}.shared_subjects"),
                message: "users of one issuer at the most come by this grant: take it out, or the next issuer's \
                          would silently share"
                    .to_owned(),
            }));
            continue;
        }
        // Where each client has one issuer, the client tells the issuer.
        let by_client = comers.values().all(|issuers| issuers.len() < 2);
        for (name, template) in &others {
            for (key, texts) in template.issuer_collisions(by_client) {
                let path = format!("grants.{name}.{key}");
                problems.add_absence(path, told(&of_issuers, key, &texts, by_client));
            }
        }
        // Of those that take users and not their issuers, that is said; the rest meet by how they name issuers.
        let merges = |one: &Grant<'_>| !one.1.issuer_collisions(by_client).is_empty();
        let mut apart: Vec<_> = others.into_iter().filter(|one| !merges(one)).collect();
        apart.sort_by_key(|(name, _)| *name);
        for (i, one) in apart.iter().enumerate() {
            if let Some(told) = apart[i..].iter().find_map(|other| overlap(one, other, looked)) {
                problems.add_absence(format!("grants.{}.policy", one.0), told);
            }
        }
    }
    warnings.sort_by(|a, b| a.path.cmp(&b.path));
    warnings
}

/// Grants by which users may reach the same objects, together with all that share with one of these.
fn groups<'a>(looked: &Looked<'a>) -> Vec<Vec<Grant<'a>>> {
    let mut groups: Vec<Vec<Grant<'a>>> = Vec::new();
    for &(name, template) in looked.grants {
        let shares = |other: &Grant<'_>| {
            other.1.shares_users_with(template)
                || overlap(other, &(name, template), looked).is_some()
        };
        let (sharing, apart): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group: &Vec<_>| group.iter().any(shares));
        let mut group: Vec<_> = sharing.into_iter().flatten().collect();
        group.push((name, template));
        groups = apart;
        groups.push(group);
    }
    groups
}

/// What a caller of one grant could reach of a caller of the other, whose issuer is another, in words.
fn overlap(one: &Grant<'_>, other: &Grant<'_>, looked: &Looked<'_>) -> Option<String> {
    let of = |grant: &Grant<'_>| -> Vec<_> {
        let comers = comers(&[*grant], looked).into_iter();
        let pair = |(client, issuers): (_, Vec<_>)| {
            issuers.into_iter().map(move |issuer| (client, issuer))
        };
        let mut all: Vec<_> = comers.flat_map(pair).collect();
        if !grant.1.policy_uses_client() {
            // One client of each issuer stands for all.
            all.sort_by_key(|(_, issuer)| *issuer);
            all.dedup_by_key(|(_, issuer)| *issuer);
        }
        all
    };
    let others = of(other);
    of(one).into_iter().find_map(|we| {
        let mut others = others.iter().copied().filter(|they| they.1 != we.1);
        others.find_map(|they| {
            let (ours, theirs) = one.1.overlaps(we, other.1, they)?;
            Some(format!(
                "a user of the issuer `{}` and one of `{}` could reach the same objects, by `{ours}` and, in the grant \
                 `{}`, `{theirs}`, where a subject or a claim of one reads like a name in the other: begin them with \
                 different restart_only segments, write `${{issuer}}` at the same place in both, or say in `shared_subjects` \
                 why they are the same people",
                we.1, they.1, other.0
            ))
        })
    })
}

/// The clients that hold one of the grants, each with the issuers of its users.
fn comers<'a>(
    group: &[Grant<'_>],
    looked: &Looked<'a>,
) -> BTreeMap<&'a ClientId, Vec<&'a IssuerName>> {
    let holds = |own: &[GrantName]| group.iter().any(|(name, _)| own.contains(name));
    let holders = looked.holders.iter().filter(|(_, own)| holds(own));
    let of_client = |client| {
        let serving = looked.issuers.iter().filter(move |(_, clients)| clients.contains(client));
        serving.map(|(name, _)| name).collect()
    };
    holders.map(|(client, _)| (client, of_client(client))).collect()
}

fn told(issuers: &BTreeSet<&&IssuerName>, key: &str, texts: &[String], by_client: bool) -> String {
    let quoted = |text: String| format!("`{text}`");
    let issuers: Vec<_> = issuers.iter().map(|name| quoted(name.to_string())).collect();
    let texts: Vec<_> = texts.iter().map(|text| quoted(text.clone())).collect();
    let client = if by_client { "`${issuer}` or `${client}`" } else { "`${issuer}`" };
    // In the form that stands there: two in one policy would be refused.
    let written = texts.concat();
    let forms = ["${subject}", "${subject.encoded}", "${claims."];
    let form = forms.into_iter().find(|form| written.contains(form)).unwrap_or(forms[0]);
    let form = if form.ends_with('.') { "${claims.NAME}" } else { form };
    let example = if key == "policy" {
        format!(
            "`users/${{issuer}}/{form}/` (paths move with it: objects that are there stay under the old ones)"
        )
    } else {
        format!("`${{issuer}}.{form}`")
    };
    format!(
        "users of the issuers {} whose subjects or claims are alike would be one user in {}: write {client} beside them, \
         as in {example}, write `${{subject.hash}}`, or say in `shared_subjects` why they are the same people",
        issuers.join(", "),
        texts.join(", "),
    )
}

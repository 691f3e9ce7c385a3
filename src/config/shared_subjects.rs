//! Users of different issuers whom a grant would treat as one.

use std::collections::{BTreeMap, BTreeSet};

use super::problems::{Problem, Problems};
use appserver_domain::{ClientId, GrantName, IssuerName};
use appserver_policy::GrantTemplate;

/// Which issuers' users can get which grants, as far as the configuration is valid.
pub(super) struct Users<'a> {
    pub(super) grants: &'a [(&'a GrantName, &'a GrantTemplate)],
    /// The clients with the grants they list.
    pub(super) holders: &'a [(ClientId, Vec<GrantName>)],
    /// The issuers with the clients they serve.
    pub(super) issuers: &'a [(IssuerName, BTreeSet<ClientId>)],
}

/// A grant with its template.
type Grant<'a> = (&'a GrantName, &'a GrantTemplate);

/// Refuses grants that serve users of several issuers and do not distinguish them, unless `shared_subjects` says that they
/// are the same people. Returns a warning for each `shared_subjects` without effect.
///
/// Grants whose policies overlap are checked together: they reach the same objects, whichever of them a user holds.
pub(super) fn check(
    users: &Users<'_>,
    shared: &BTreeSet<GrantName>,
    problems: &mut Problems,
) -> Vec<Problem> {
    let mut warnings = Vec::new();
    for group in &groups(users) {
        let by_holder = issuers_by_client(group, users);
        let of_issuers: BTreeSet<_> = by_holder.values().flatten().collect();
        let (shares, others): (Vec<Grant<'_>>, Vec<Grant<'_>>) =
            group.iter().copied().partition(|(name, _)| shared.contains(*name));
        if of_issuers.len() < 2 {
            warnings.extend(shares.into_iter().map(|(name, _)| Problem {
                path: format!("grants.{name}.shared_subjects"),
                message: "this grant serves users of at most one issuer: remove it, or the next issuer's users \
                          would silently share"
                    .to_owned(),
            }));
            continue;
        }
        // If each client has one issuer, the client identifies the issuer.
        let by_client = by_holder.values().all(|issuers| issuers.len() < 2);
        for (name, template) in &others {
            for (key, texts) in template.issuer_collisions(by_client) {
                let path = format!("grants.{name}.{key}");
                problems.add_absence(path, message(&of_issuers, key, &texts, by_client));
            }
        }
        // Those that use the user without the issuer have a problem already; the rest may overlap by how they name issuers.
        let merges = |one: &Grant<'_>| !one.1.issuer_collisions(by_client).is_empty();
        let mut unmerged: Vec<_> = others.into_iter().filter(|one| !merges(one)).collect();
        unmerged.sort_by_key(|(name, _)| *name);
        for (i, one) in unmerged.iter().enumerate() {
            if let Some(overlap) = unmerged[i..].iter().find_map(|other| overlap(one, other, users))
            {
                problems.add_absence(format!("grants.{}.policy", one.0), overlap);
            }
        }
    }
    warnings.sort_by(|a, b| a.path.cmp(&b.path));
    warnings
}

/// Groups of grants that may reach the same objects, directly or through another grant of the group.
fn groups<'a>(users: &Users<'a>) -> Vec<Vec<Grant<'a>>> {
    let mut groups: Vec<Vec<Grant<'a>>> = Vec::new();
    for &(name, template) in users.grants {
        let shares = |other: &Grant<'_>| {
            other.1.shares_users_with(template)
                || overlap(other, &(name, template), users).is_some()
        };
        let (sharing, unmerged): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group: &Vec<_>| group.iter().any(shares));
        let mut group: Vec<_> = sharing.into_iter().flatten().collect();
        group.push((name, template));
        groups = unmerged;
        groups.push(group);
    }
    groups
}

/// Why a caller of one grant and a caller of the other, with different issuers, could reach the same objects.
fn overlap(one: &Grant<'_>, other: &Grant<'_>, users: &Users<'_>) -> Option<String> {
    let of = |grant: &Grant<'_>| -> Vec<_> {
        let by_holder = issuers_by_client(&[*grant], users).into_iter();
        let pair = |(client, issuers): (_, Vec<_>)| {
            issuers.into_iter().map(move |issuer| (client, issuer))
        };
        let mut all: Vec<_> = by_holder.flat_map(pair).collect();
        if !grant.1.policy_uses_client() {
            // One client of each issuer represents all.
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
                 different fixed segments, write `${{issuer}}` at the same place in both, or say in `shared_subjects` \
                 why they are the same people",
                we.1, they.1, other.0
            ))
        })
    })
}

/// The clients that hold one of the grants, each with the issuers of its users.
fn issuers_by_client<'a>(
    group: &[Grant<'_>],
    users: &Users<'a>,
) -> BTreeMap<&'a ClientId, Vec<&'a IssuerName>> {
    let holds = |own: &[GrantName]| group.iter().any(|(name, _)| own.contains(name));
    let holders = users.holders.iter().filter(|(_, own)| holds(own));
    let of_client = |client| {
        let serving = users.issuers.iter().filter(move |(_, clients)| clients.contains(client));
        serving.map(|(name, _)| name).collect()
    };
    holders.map(|(client, _)| (client, of_client(client))).collect()
}

fn message(
    issuers: &BTreeSet<&&IssuerName>,
    key: &str,
    texts: &[String],
    by_client: bool,
) -> String {
    let quoted = |text: String| format!("`{text}`");
    let issuers: Vec<_> = issuers.iter().map(|name| quoted(name.to_string())).collect();
    let texts: Vec<_> = texts.iter().map(|text| quoted(text.clone())).collect();
    let client = if by_client { "`${issuer}` or `${client}`" } else { "`${issuer}`" };
    // In the form that the grant uses: a policy with two forms would be refused.
    let used = texts.concat();
    let forms = ["${subject}", "${subject.encoded}", "${claims."];
    let form = forms.into_iter().find(|form| used.contains(form)).unwrap_or(forms[0]);
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

//! Refuses a grant unless its different callers are proven to reach different data, outside what its `allow_shared` lists.

use std::collections::BTreeMap;

use super::problems::{Problem, Problems};
use super::shared_subjects::Users;
use appserver_domain::{ClientId, GrantName};
use appserver_policy::{Callers, Disjointness, GrantTemplate, SharedResource};

/// Adds a problem for each grant that is not proven. Returns a warning for each entry of `allow_shared` that the proof
/// does not need. Grants whose `allow_shared` is invalid have a problem of their own.
pub(super) fn check(
    users: &Users<'_>,
    shared: &BTreeMap<GrantName, Option<Vec<SharedResource>>>,
    problems: &mut Problems,
) -> Vec<Problem> {
    let mut warnings = Vec::new();
    for &(name, template) in users.grants {
        let Some(Some(shared)) = shared.get(name) else { continue };
        let callers = callers(users, name);
        match template.disjointness(&callers, shared).problem() {
            Some(problem) => problems.add_absence(format!("grants.{name}.policy"), problem),
            None => warnings.extend(unneeded(name, template, &callers, shared)),
        }
    }
    warnings
}

fn callers(users: &Users<'_>, name: &GrantName) -> Callers {
    let holders = users.holders.iter().filter(|(_, own)| own.contains(name));
    let clients: Vec<ClientId> = holders.map(|(client, _)| client.clone()).collect();
    let serves = |serving: &std::collections::BTreeSet<ClientId>| {
        clients.iter().any(|client| serving.contains(client))
    };
    let issuers = users.issuers.iter().filter(|(_, serving)| serves(serving));
    let issuers = issuers.map(|(issuer, _)| issuer.clone()).collect();
    Callers { clients, issuers }
}

/// The entries without which the proof succeeds, too.
fn unneeded(
    name: &GrantName,
    template: &GrantTemplate,
    callers: &Callers,
    shared: &[SharedResource],
) -> Vec<Problem> {
    let is_unneeded = |entry: &&SharedResource| {
        let others: Vec<_> = shared.iter().filter(|other| other != entry).cloned().collect();
        template.disjointness(callers, &others) == Disjointness::Proven
    };
    let warning = |entry: &SharedResource| Problem {
        path: format!("grants.{name}.allow_shared"),
        message: format!(
            "no callers of the grant share `{}`: remove the entry, or a later change of the policy would share it \
             unnoticed",
            entry.as_str()
        ),
    };
    shared.iter().filter(is_unneeded).map(warning).collect()
}

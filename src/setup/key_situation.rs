//! What is to be done about the user's AccessKey, and what only a person can decide about it. Pure.

use super::difference::{Drift, DriftKind};
use super::key_files::FoundKey;
use super::plan::{AccountPlan, PlannedIdentity, PlannedUser};
use super::state::AccountState;
use super::steps::KeySteps;

/// The user's AccessKeys against the files of one.
#[derive(Debug, Default)]
pub(crate) struct KeySituation<'a> {
    pub(crate) steps: KeySteps<'a>,
    pub(crate) differences: Vec<Drift>,
}

impl<'a> KeySituation<'a> {
    /// `has_directory` is whether a directory for the files was named.
    pub(crate) fn of(
        plan: &AccountPlan,
        state: &'a AccountState,
        found: &FoundKey,
        has_directory: bool,
    ) -> Self {
        let PlannedIdentity::User(user) = &plan.identity else { return Self::default() };
        let state = state.user.as_ref();
        let keys = state.map_or(&[][..], |state| &state.keys);
        let lost = found.lost(user.name.as_str(), keys);
        let kept = found.id.as_ref().map(appserver_domain::AccessKeyId::as_str);
        let others: Vec<_> = keys
            .iter()
            .filter(|key| !lost.iter().any(|lost| lost.id == key.id))
            .map(|key| key.id.as_str())
            .collect();
        let differences = match kept {
            Some(kept) if !others.contains(&kept) => vec![not_of_the_user(user, kept)],
            None if has_directory && !others.is_empty() => vec![no_files(user, &others)],
            Some(_) | None => Vec::new(),
        };
        Self { steps: KeySteps::of(user, state, kept, lost), differences }
    }
}

fn not_of_the_user(user: &PlannedUser, kept: &str) -> Drift {
    let message =
        format!("the files of --key-dir hold AccessKey {kept}, which is not one of the user's");
    let fix = "name the directory of the right key, or move the files away to have a new one made";
    Drift::new(DriftKind::Missing, &format!("user/{}", user.name), message, fix.to_owned())
}

/// Making another would widen what exists, and a user has two at most.
fn no_files(user: &PlannedUser, keys: &[&str]) -> Drift {
    let name = &user.name;
    let (noun, list) =
        (if keys.len() == 1 { "AccessKey" } else { "AccessKeys" }, keys.join(" and "));
    let message =
        format!("it has the {noun} {list}, and --key-dir has no files of a key; none was made");
    let fix = format!(
        "name the directory that has the files; if the secret is lost, delete the key, `aliyun ram DeleteAccessKey \
         --UserName {name} --UserAccessKeyId {}`, and run `appserver setup apply` again; a user has two keys at most",
        keys[0],
    );
    Drift::new(DriftKind::Missing, &format!("user/{name}"), message, fix)
}

//! What is to be done about the user's AccessKey, and what only a person can decide about it. Pure.

use super::difference::{Drift, DriftKind};
use super::key_files::FoundKey;
use super::plan::{AccountPlan, PlannedIdentity, PlannedUser};
use super::state::AccountState;
use super::steps::KeySteps;
use crate::ram::KeyEntry;

/// The user's AccessKeys against the files of one.
#[derive(Debug, Default)]
pub(crate) struct KeySituation {
    pub(crate) steps: KeySteps,
    pub(crate) differences: Vec<Drift>,
}

impl KeySituation {
    /// `has_directory` is whether a directory for the files was named.
    pub(crate) fn of(
        plan: &AccountPlan,
        state: &AccountState,
        found: &FoundKey,
        has_directory: bool,
    ) -> Self {
        let PlannedIdentity::User(user) = &plan.identity else { return Self::default() };
        let state = state.user.as_ref();
        let keys = state.map_or(&[][..], |state| &state.keys);
        let kept = found.id.as_ref().map(appserver_domain::AccessKeyId::as_str);
        let own = kept.and_then(|kept| keys.iter().find(|key| key.id.as_str() == kept));
        let differences = match (kept, own) {
            (Some(kept), None) => vec![not_of_the_user(user, kept, keys)],
            // If no key is active, the comparison with the plan says so.
            (Some(_), Some(own)) if !own.is_active && keys.iter().any(|key| key.is_active) => {
                vec![inactive(user, std::slice::from_ref(own))]
            }
            (None, _) if has_directory && !keys.is_empty() => vec![no_files(user, keys, found)],
            _ => Vec::new(),
        };
        Self { steps: KeySteps::of(user, state, kept), differences }
    }
}

/// Such as `AccessKey LTAI1 (active, created 2016-01-13T14:02:37Z)`.
pub(super) fn listed(keys: &[KeyEntry]) -> String {
    let one = |key: &KeyEntry| {
        let status = if key.is_active { "active" } else { "inactive" };
        format!("AccessKey {} ({status}, created {})", key.id, key.created)
    };
    keys.iter().map(one).collect::<Vec<_>>().join(" and ")
}

/// Keys that exist and cannot be used. Only a person knows why they are inactive.
pub(super) fn inactive(user: &PlannedUser, keys: &[KeyEntry]) -> Drift {
    let name = &user.name;
    let id = match keys {
        [only] => only.id.as_str(),
        _ => "ID",
    };
    let message = format!("it has {}, and STS refuses the calls of an inactive one", listed(keys));
    let second = match keys {
        [_] => format!(
            ", or make a second key with `aliyun ram CreateAccessKey --UserName {name}` and keep it in the files"
        ),
        _ => String::new(),
    };
    let fix = format!(
        "`aliyun ram UpdateAccessKey --UserName {name} --UserAccessKeyId {id} --Status Active` if it may be used \
         again{second}; `setup apply` does neither"
    );
    Drift::new(DriftKind::Missing, &format!("user/{name}"), message, fix)
}

fn not_of_the_user(user: &PlannedUser, kept: &str, keys: &[KeyEntry]) -> Drift {
    let message =
        format!("the files of --key-dir hold AccessKey {kept}, which is not one of the user's");
    let fix = if keys.is_empty() {
        "move the files away, or name another directory, and run `appserver setup apply` again: it makes a key for a user \
         without one"
            .to_owned()
    } else {
        format!(
            "name the directory that has the files of {}; if there is none, move the files away and run `appserver setup \
             apply` again, which says how to replace a key whose secret is lost",
            listed(keys)
        )
    };
    Drift::new(DriftKind::Missing, &format!("user/{}", user.name), message, fix)
}

/// Making another would widen what exists, and a user has two at most.
fn no_files(user: &PlannedUser, keys: &[KeyEntry], found: &FoundKey) -> Drift {
    let name = &user.name;
    let made = match found.interrupted_at(name.as_str()) {
        Some(at) => format!(
            "; a run that was interrupted after {} may have made one whose secret is lost",
            at.format("%Y-%m-%dT%H:%M:%SZ"),
        ),
        None => String::new(),
    };
    let message = format!(
        "it has {}, and --key-dir has no files of a key; none was made{made}",
        listed(keys)
    );
    let (which, id) = match keys {
        [only] => ("it", only.id.as_str()),
        _ => ("both, one after the other", "ID"),
    };
    let fix = format!(
        "name the directory that has the files; if the secret is lost and nothing else uses the key, delete {which} with \
         `aliyun ram DeleteAccessKey --UserName {name} --UserAccessKeyId {id}`, and run `appserver setup apply` again: it \
         makes a key for a user without one"
    );
    Drift::new(DriftKind::Missing, &format!("user/{name}"), message, fix)
}

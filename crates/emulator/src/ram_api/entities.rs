//! Looks up the users, roles and policies that a call names, and pages through lists.

use std::sync::Arc;

use rand::RngExt;
use serde_json::{Map, Value, json};

use super::api_call::ApiCall;
use super::error::{Missing, RamError};
use crate::ram::{CustomPolicy, Ram, Role, User};

pub(super) fn user<'r>(ram: &'r Ram, account: &str, name: &str) -> Result<&'r User, RamError> {
    let user = ram.users.get(&User::arn_of(account, name)).map(Arc::as_ref);
    user.ok_or(RamError::NotFound(Missing::User))
}

pub(super) fn user_mut<'r>(
    ram: &'r mut Ram,
    account: &str,
    name: &str,
) -> Result<&'r mut User, RamError> {
    let user = ram.users.get_mut(&User::arn_of(account, name)).map(Arc::make_mut);
    user.ok_or(RamError::NotFound(Missing::User))
}

pub(super) fn role<'r>(ram: &'r Ram, account: &str, name: &str) -> Result<&'r Role, RamError> {
    let role = ram.roles.get(&Role::arn_of(account, name)).map(Arc::as_ref);
    role.ok_or(RamError::NotFound(Missing::Role))
}

pub(super) fn role_mut<'r>(
    ram: &'r mut Ram,
    account: &str,
    name: &str,
) -> Result<&'r mut Role, RamError> {
    let role = ram.roles.get_mut(&Role::arn_of(account, name)).map(Arc::make_mut);
    role.ok_or(RamError::NotFound(Missing::Role))
}

pub(super) fn policy<'r>(
    ram: &'r Ram,
    account: &str,
    name: &str,
) -> Result<&'r CustomPolicy, RamError> {
    let policy = ram.policies.get(&CustomPolicy::arn_of(account, name)).map(Arc::as_ref);
    policy.ok_or(RamError::NotFound(Missing::Policy))
}

pub(super) fn policy_mut<'r>(
    ram: &'r mut Ram,
    account: &str,
    name: &str,
) -> Result<&'r mut CustomPolicy, RamError> {
    let policy = ram.policies.get_mut(&CustomPolicy::arn_of(account, name)).map(Arc::make_mut);
    policy.ok_or(RamError::NotFound(Missing::Policy))
}

/// A new id of 18 digits, as users and roles have it.
pub(super) fn new_id() -> String {
    rand::rng().random_range(200_000_000_000_000_000_u64..400_000_000_000_000_000).to_string()
}

/// The answer's fields from an object.
pub(super) fn fields<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// One page of entities in order of their names: `MaxItems` of them after the name in `Marker`.
pub(super) fn page<'r, T>(
    call: &ApiCall<'_>,
    (list, item): (&str, &str),
    entities: impl Iterator<Item = &'r T>,
    name: impl Fn(&T) -> &str,
    view: impl Fn(&T) -> Value,
) -> Result<Map<String, Value>, RamError>
where
    T: 'r,
{
    let most: usize = match call.get("MaxItems") {
        None => 100,
        Some(text) => text
            .parse()
            .ok()
            .filter(|most| (1..=1000).contains(most))
            .ok_or(RamError::Incorrect("MaxItems"))?,
    };
    let marker = call.get("Marker").unwrap_or_default();
    let mut after: Vec<&T> = entities.filter(|entity| name(entity) > marker).collect();
    after.sort_by_key(|entity| name(entity).to_owned());
    let is_truncated = after.len() > most;
    after.truncate(most);
    let items: Vec<Value> = after.iter().map(|entity| view(entity)).collect();
    let mut answer =
        fields([("IsTruncated", is_truncated.into()), (list, json!({ (item): items }))]);
    if let Some(last) = after.last().filter(|_| is_truncated) {
        answer.insert("Marker".to_owned(), name(last).into());
    }
    Ok(answer)
}

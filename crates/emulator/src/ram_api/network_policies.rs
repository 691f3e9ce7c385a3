//! `SetAccessKeyPolicy` and `GetAccessKeyPolicy` of IMS.

use super::access_keys::KeyOwner;
use super::api_call::{ActionResult, ApiCall};
use super::entities::fields;
use super::error::RamError;
use crate::ram::{AccessKey, NetworkPolicy, Ram};

pub(super) fn set(call: &ApiCall<'_>, ram: &mut Ram) -> ActionResult {
    let (id, json) = (call.need("UserAccessKeyId")?, call.need("AccessKeyPolicy")?);
    let owner = KeyOwner::of(call)?;
    call.require(ram, &owner.resource)?;
    // Inferred: the code is not documented.
    let policy = NetworkPolicy::parse(json).map_err(|_| RamError::Format("AccessKeyPolicy"))?;
    let key = owner.key_mut(ram, id)?;
    key.network = Some(policy);
    Ok(answer(id, key))
}

pub(super) fn get(call: &ApiCall<'_>, ram: &Ram) -> ActionResult {
    let id = call.need("UserAccessKeyId")?;
    let owner = KeyOwner::of(call)?;
    call.require(ram, &owner.resource)?;
    Ok(answer(id, owner.key(ram, id)?))
}

/// A key that never had a policy is answered with `{}`.
fn answer(id: &str, key: &AccessKey) -> serde_json::Map<String, serde_json::Value> {
    let policy = key.network.as_ref().map_or_else(|| "{}".to_owned(), NetworkPolicy::json);
    fields([("AccessKeyId", id.into()), ("AccessKeyPolicy", policy.into())])
}

//! `CreateAccessKey`, `ListAccessKeys`, `UpdateAccessKey` and `DeleteAccessKey`, of RAM and of IMS.

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::api_call::{ActionResult, ApiCall};
use super::entities::fields;
use super::error::{Limit, Missing, RamError};
use crate::gateway::format_time;
use crate::ram::{AccessKey, Owner, Principal, Ram, User};

/// Of one user.
const MOST_KEYS: usize = 2;

/// The owner of the keys that a call is about, and its resource. RAM names the user by `UserName`, IMS by `UserPrincipalName`; without
/// a name the caller itself is meant.
pub(super) struct KeyOwner {
    pub(super) owner: Owner,
    pub(super) resource: String,
}

impl KeyOwner {
    pub(super) fn of(call: &ApiCall<'_>) -> Result<Self, RamError> {
        let named = if call.is_ims { principal_name(call)? } else { call.get("UserName") };
        let own = match call.principal {
            Principal::User(user) => Some(user.name.as_str()),
            Principal::Root(_) => None,
            // A session has no long-lived keys.
            Principal::Session(_) if named.is_none() => {
                return Err(RamError::NotFound(Missing::User));
            }
            Principal::Session(_) => None,
        };
        Ok(match named.or(own) {
            Some(name) => Self {
                owner: Owner::User(User::arn_of(call.account, name)),
                resource: format!("user/{name}"),
            },
            None => {
                Self { owner: Owner::Root(call.account.to_owned()), resource: "user/*".to_owned() }
            }
        })
    }

    /// The owner, if it exists.
    pub(super) fn require_exists(&self, ram: &Ram) -> Result<(), RamError> {
        match &self.owner {
            Owner::Root(_) => Ok(()),
            Owner::User(arn) if ram.users.contains_key(arn) => Ok(()),
            Owner::User(_) => Err(RamError::NotFound(Missing::User)),
        }
    }

    /// The key that the call names, if it belongs to the owner.
    pub(super) fn key_mut<'r>(
        &self,
        ram: &'r mut Ram,
        id: &str,
    ) -> Result<&'r mut AccessKey, RamError> {
        self.require_exists(ram)?;
        let key = ram.keys.get_mut(id).filter(|key| key.owner == self.owner);
        key.ok_or(RamError::NotFound(Missing::AccessKey))
    }

    /// The same, to read it.
    pub(super) fn key<'r>(&self, ram: &'r Ram, id: &str) -> Result<&'r AccessKey, RamError> {
        self.require_exists(ram)?;
        let key = ram.keys.get(id).filter(|key| key.owner == self.owner);
        key.ok_or(RamError::NotFound(Missing::AccessKey))
    }
}

pub(super) fn create(call: &ApiCall<'_>, ram: &mut Ram) -> ActionResult {
    let owner = KeyOwner::of(call)?;
    call.require(ram, &owner.resource)?;
    owner.require_exists(ram)?;
    if ram.keys.values().filter(|key| key.owner == owner.owner).count() >= MOST_KEYS {
        return Err(RamError::LimitExceeded(Limit::AccessKeys));
    }
    let (id, key) = AccessKey::generate(owner.owner, call.now());
    let mut shown = view(&id, &key);
    // The only answer with the secret.
    shown["AccessKeySecret"] = key.secret.expose_secret().into();
    ram.keys.insert(id, key);
    Ok(fields([("AccessKey", shown)]))
}

pub(super) fn list(call: &ApiCall<'_>, ram: &Ram) -> ActionResult {
    let owner = KeyOwner::of(call)?;
    call.require(ram, &owner.resource)?;
    owner.require_exists(ram)?;
    let keys = ram.keys.iter().filter(|(_, key)| key.owner == owner.owner);
    let keys: Vec<Value> = keys.map(|(id, key)| view(id, key)).collect();
    Ok(fields([("AccessKeys", json!({ "AccessKey": keys }))]))
}

pub(super) fn update(call: &ApiCall<'_>, ram: &mut Ram) -> ActionResult {
    let (id, status) = (call.need("UserAccessKeyId")?, call.need("Status")?);
    let owner = KeyOwner::of(call)?;
    call.require(ram, &owner.resource)?;
    let active = match status {
        "Active" => true,
        "Inactive" => false,
        _ => return Err(RamError::Incorrect("Status")),
    };
    owner.key_mut(ram, id)?.active = active;
    Ok(fields([]))
}

pub(super) fn delete(call: &ApiCall<'_>, ram: &mut Ram) -> ActionResult {
    let id = call.need("UserAccessKeyId")?;
    let owner = KeyOwner::of(call)?;
    call.require(ram, &owner.resource)?;
    owner.key(ram, id)?;
    ram.keys.remove(id);
    Ok(fields([]))
}

/// The user of `<user>@<account>.onaliyun.com`.
fn principal_name<'a>(call: &ApiCall<'a>) -> Result<Option<&'a str>, RamError> {
    let Some(name) = call.get("UserPrincipalName") else { return Ok(None) };
    let domain = format!("@{}.onaliyun.com", call.account);
    name.strip_suffix(&domain).map(Some).ok_or(RamError::NotFound(Missing::User))
}

fn view(id: &str, key: &AccessKey) -> Value {
    json!({
        "AccessKeyId": id,
        "Status": if key.active { "Active" } else { "Inactive" },
        "CreateDate": format_time(key.created),
    })
}

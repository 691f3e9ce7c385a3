//! `CreateUser`, `GetUser`, `ListUsers` and `DeleteUser`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::api_call::{ActionResult, ApiCall};
use super::entities::{self, fields, new_id, page};
use super::error::{Conflict, Existing, Limit, RamError};
use super::parameter_rules::{email, mobile_phone, new_name, text};
use crate::gateway::format_time;
use crate::ram::{Owner, Ram, User};

/// The default quota.
const MOST_USERS: usize = 100;

pub(super) fn create(call: &ApiCall<'_>, ram: &mut Ram) -> ActionResult {
    let name = new_name(call, "UserName", 64, "._-")?;
    call.require(ram, &format!("user/{name}"))?;
    let display_name = text(call, "DisplayName", 128)?;
    let user = User {
        account: call.account.to_owned(),
        id: new_id(),
        name: name.to_owned(),
        display_name: if display_name.is_empty() { name.to_owned() } else { display_name },
        mobile_phone: mobile_phone(call)?,
        email: email(call)?,
        comments: text(call, "Comments", 128)?,
        created: call.now(),
        attached: Vec::new(),
    };
    let arn = user.arn();
    if ram.users.contains_key(&arn) {
        return Err(RamError::Exists(Existing::User));
    }
    if ram.users.values().filter(|user| user.account == call.account).count() >= MOST_USERS {
        return Err(RamError::LimitExceeded(Limit::Users));
    }
    let answer = fields([("User", view(&user))]);
    ram.users.insert(arn, Arc::new(user));
    Ok(answer)
}

pub(super) fn get(call: &ApiCall<'_>, ram: &Ram) -> ActionResult {
    let name = call.need("UserName")?;
    call.require(ram, &format!("user/{name}"))?;
    let mut user = view_updated(entities::user(ram, call.account, name)?);
    // Never logged in to the console, which the emulator does not have.
    user["LastLoginDate"] = "".into();
    Ok(fields([("User", user)]))
}

pub(super) fn list(call: &ApiCall<'_>, ram: &Ram) -> ActionResult {
    call.require(ram, "user/*")?;
    let users = ram.users.values().map(Arc::as_ref).filter(|user| user.account == call.account);
    page(call, ("Users", "User"), users, |user| &user.name, view_updated)
}

pub(super) fn delete(call: &ApiCall<'_>, ram: &mut Ram) -> ActionResult {
    let name = call.need("UserName")?;
    call.require(ram, &format!("user/{name}"))?;
    let user = entities::user(ram, call.account, name)?;
    let arn = user.arn();
    if ram.keys.values().any(|key| key.owner == Owner::User(arn.clone())) {
        return Err(RamError::DeleteConflict(Conflict::UserAccessKey));
    }
    if !user.attached.is_empty() {
        return Err(RamError::DeleteConflict(Conflict::UserPolicy));
    }
    ram.users.remove(&arn);
    Ok(fields([]))
}

/// No action changes a user.
fn view_updated(user: &User) -> Value {
    let mut shown = view(user);
    shown["UpdateDate"] = format_time(user.created).into();
    shown
}

fn view(user: &User) -> Value {
    json!({
        "UserId": user.id,
        "UserName": user.name,
        "DisplayName": user.display_name,
        "MobilePhone": user.mobile_phone,
        "Email": user.email,
        "Comments": user.comments,
        "CreateDate": format_time(user.created),
    })
}

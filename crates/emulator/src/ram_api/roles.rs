//! `CreateRole`, `GetRole`, `UpdateRole`, `ListRoles` and `DeleteRole`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::api_call::{ActionResult, ApiCall};
use super::entities::{self, fields, new_id, page};
use super::error::{Conflict, Existing, Limit, RamError};
use super::parameter_rules::{LONGEST_TRUST_POLICY, document, new_name, text};
use crate::gateway::format_time;
use crate::ram::{Document, Ram, Role, TrustPolicy};
use appserver_domain::MaxSessionDuration;

/// The default quota.
const MOST_ROLES: usize = 100;

pub(super) fn create(call: &ApiCall<'_>, ram: &mut Ram) -> ActionResult {
    let name = new_name(call, "RoleName", 64, ".-@")?;
    let trust = call.need("AssumeRolePolicyDocument")?;
    call.require(ram, &format!("role/{name}"))?;
    let role = Role {
        account: call.account.to_owned(),
        id: new_id(),
        name: name.to_owned(),
        description: text(call, "Description", 1024)?,
        max_session_duration: max_session_duration(call, "MaxSessionDuration")?,
        trust: trust_policy(ram, "AssumeRolePolicyDocument", trust)?,
        allow_console_login: call.flag("AllowConsoleLogin")?,
        created: call.now(),
        updated: call.now(),
        attached: Vec::new(),
    };
    let arn = role.arn();
    if ram.roles.contains_key(&arn) {
        return Err(RamError::Exists(Existing::Role));
    }
    if ram.roles.values().filter(|role| role.account == call.account).count() >= MOST_ROLES {
        return Err(RamError::LimitExceeded(Limit::Roles));
    }
    let answer = fields([("Role", view(&role))]);
    ram.roles.insert(arn, Arc::new(role));
    Ok(answer)
}

pub(super) fn get(call: &ApiCall<'_>, ram: &Ram) -> ActionResult {
    let name = call.need("RoleName")?;
    call.require(ram, &format!("role/{name}"))?;
    let found = entities::role(ram, call.account, name)?;
    let mut role = view(found);
    role["UpdateDate"] = format_time(found.updated).into();
    role["IsServiceLinkedRole"] = false.into();
    role["RolePrincipalName"] = format!("{name}@role.{}.onaliyunservice.com", call.account).into();
    Ok(fields([("Role", role)]))
}

/// Changes what is given. Inferred from "the default value is used": without `NewMaxSessionDuration` it becomes 3600.
pub(super) fn update(call: &ApiCall<'_>, ram: &mut Ram) -> ActionResult {
    const TRUST: &str = "NewAssumeRolePolicyDocument";
    let name = call.need("RoleName")?;
    call.require(ram, &format!("role/{name}"))?;
    let trust = call.get(TRUST).map(|json| trust_policy(ram, TRUST, json)).transpose()?;
    let max_session_duration = max_session_duration(call, "NewMaxSessionDuration")?;
    let description = text(call, "NewDescription", 1024)?;
    let allow_console_login = call.flag("NewAllowConsoleLogin")?;
    let role = entities::role_mut(ram, call.account, name)?;
    role.trust = trust.unwrap_or_else(|| role.trust.clone());
    role.max_session_duration = max_session_duration;
    if call.get("NewDescription").is_some() {
        role.description = description;
    }
    if call.get("NewAllowConsoleLogin").is_some() {
        role.allow_console_login = allow_console_login;
    }
    role.updated = call.now();
    let mut shown = view(role);
    shown["UpdateDate"] = format_time(role.updated).into();
    Ok(fields([("Role", shown)]))
}

pub(super) fn list(call: &ApiCall<'_>, ram: &Ram) -> ActionResult {
    call.require(ram, "role/*")?;
    let roles = ram.roles.values().map(Arc::as_ref).filter(|role| role.account == call.account);
    let view = |role: &Role| {
        let mut shown = view(role);
        shown["UpdateDate"] = format_time(role.updated).into();
        if let Some(shown) = shown.as_object_mut() {
            shown.remove("AssumeRolePolicyDocument");
        }
        shown
    };
    page(call, ("Roles", "Role"), roles, |role| &role.name, view)
}

pub(super) fn delete(call: &ApiCall<'_>, ram: &mut Ram) -> ActionResult {
    let name = call.need("RoleName")?;
    call.require(ram, &format!("role/{name}"))?;
    let role = entities::role(ram, call.account, name)?;
    if !role.attached.is_empty() {
        return Err(RamError::DeleteConflict(Conflict::RolePolicy));
    }
    let arn = role.arn();
    ram.roles.remove(&arn);
    Ok(fields([]))
}

/// A valid trust policy, whose users and roles exist if their account is emulated.
fn trust_policy(
    ram: &Ram,
    parameter: &'static str,
    json: &str,
) -> Result<Document<TrustPolicy>, RamError> {
    let document: Document<TrustPolicy> = document(parameter, json, LONGEST_TRUST_POLICY)?;
    let unknown = document.parsed().identities().find(|arn| !ram.may_exist(arn));
    match unknown {
        // Inferred: that a named user must exist is documented, the error is not.
        Some(arn) => {
            Err(RamError::MalformedPolicy(format!("the principal `{arn}` does not exist")))
        }
        None => Ok(document),
    }
}

fn max_session_duration(
    call: &ApiCall<'_>,
    parameter: &'static str,
) -> Result<MaxSessionDuration, RamError> {
    let Some(text) = call.get(parameter) else { return Ok(MaxSessionDuration::DEFAULT) };
    let duration = text.parse().ok().and_then(MaxSessionDuration::from_secs);
    // Inferred: the code is not documented.
    duration.ok_or(RamError::Incorrect(parameter))
}

fn view(role: &Role) -> Value {
    json!({
        "RoleId": role.id,
        "RoleName": role.name,
        "Arn": role.arn(),
        "Description": role.description,
        "AssumeRolePolicyDocument": role.trust.text(),
        "MaxSessionDuration": role.max_session_duration.as_secs(),
        "AllowConsoleLogin": role.allow_console_login,
        "CreateDate": format_time(role.created),
    })
}

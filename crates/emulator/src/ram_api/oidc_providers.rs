//! `CreateOIDCProvider`, `GetOIDCProvider` and `DeleteOIDCProvider` of IMS. Their rules, errors and answers are inferred from the fields of
//! the official SDK.

use std::sync::Arc;

use serde_json::{Value, json};

use super::api_call::{ActionResult, ApiCall};
use super::entities::fields;
use super::error::{Existing, Limit, Missing, RamError};
use super::parameter_rules::{new_name, text};
use crate::gateway::format_time;
use crate::ram::{OidcProvider, Ram};

const MOST_PROVIDERS: usize = 100;
const MOST_CLIENT_IDS: usize = 50;

pub(super) fn create(call: &ApiCall<'_>, ram: &mut Ram) -> ActionResult {
    let name = new_name(call, "OIDCProviderName", 128, ".-_")?;
    let (issuer, client_ids) = (call.need("IssuerUrl")?, call.need("ClientIds")?);
    call.require(ram, &format!("oidc-provider/{name}"))?;
    if issuer.strip_prefix("https://").is_none_or(str::is_empty) {
        return Err(RamError::Format("IssuerUrl"));
    }
    let client_ids = list(client_ids);
    if !(1..=MOST_CLIENT_IDS).contains(&client_ids.len()) {
        return Err(RamError::Length("ClientIds"));
    }
    let provider = OidcProvider {
        account: call.account.to_owned(),
        name: name.to_owned(),
        description: text(call, "Description", 256)?,
        issuer: issuer.to_owned(),
        client_ids,
        fingerprints: list(call.get("Fingerprints").unwrap_or_default()),
        created: call.now(),
        updated: call.now(),
    };
    let arn = provider.arn();
    if ram.oidc_providers.contains_key(&arn) {
        return Err(RamError::Exists(Existing::OidcProvider));
    }
    let of_account = |provider: &&Arc<OidcProvider>| provider.account == call.account;
    if ram.oidc_providers.values().filter(of_account).count() >= MOST_PROVIDERS {
        return Err(RamError::LimitExceeded(Limit::OidcProviders));
    }
    let answer = fields([("OIDCProvider", view(&provider))]);
    ram.oidc_providers.insert(arn, Arc::new(provider));
    Ok(answer)
}

pub(super) fn get(call: &ApiCall<'_>, ram: &Ram) -> ActionResult {
    let name = call.need("OIDCProviderName")?;
    call.require(ram, &format!("oidc-provider/{name}"))?;
    let provider = ram.oidc_providers.get(&OidcProvider::arn_of(call.account, name));
    let provider = provider.ok_or(RamError::NotFound(Missing::OidcProvider))?;
    Ok(fields([("OIDCProvider", view(provider))]))
}

pub(super) fn delete(call: &ApiCall<'_>, ram: &mut Ram) -> ActionResult {
    let name = call.need("OIDCProviderName")?;
    call.require(ram, &format!("oidc-provider/{name}"))?;
    let removed = ram.oidc_providers.remove(&OidcProvider::arn_of(call.account, name));
    removed.map(|_| fields([])).ok_or(RamError::NotFound(Missing::OidcProvider))
}

/// The values of a text with commas.
fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect()
}

fn view(provider: &OidcProvider) -> Value {
    json!({
        "OIDCProviderName": provider.name,
        "Arn": provider.arn(),
        "Description": provider.description,
        "IssuerUrl": provider.issuer,
        "ClientIds": provider.client_ids.join(","),
        "Fingerprints": provider.fingerprints.join(","),
        "CreateDate": format_time(provider.created),
        "UpdateDate": format_time(provider.updated),
    })
}

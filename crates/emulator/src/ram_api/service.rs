//! The table of actions.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::api_call::{ActionResult, ApiCall};
use super::{
    access_keys, attachments, network_policies, oidc_providers, policies, policy_versions, roles,
    users,
};
use crate::gateway::{AdmittedCall, GatewayError, Product, Refusal};
use crate::ram::{Ram, SharedRam};

const RAM: &str = "2015-05-01";
const IMS: &str = "2019-08-15";

/// RAM and IMS on one listener: the version of a call says which.
pub(crate) struct RamApi {
    pub(crate) ram: Arc<SharedRam>,
}

enum Handler {
    Read(fn(&ApiCall<'_>, &Ram) -> ActionResult),
    /// Authorization, checks and change are one step.
    Change(fn(&ApiCall<'_>, &mut Ram) -> ActionResult),
}

use Handler::{Change, Read};

/// Action, versions and handler.
const ACTIONS: [(&str, &[&str], Handler); 32] = [
    ("CreateUser", &[RAM], Change(users::create)),
    ("GetUser", &[RAM], Read(users::get)),
    ("ListUsers", &[RAM], Read(users::list)),
    ("DeleteUser", &[RAM], Change(users::delete)),
    ("CreateAccessKey", &[RAM, IMS], Change(access_keys::create)),
    ("ListAccessKeys", &[RAM, IMS], Read(access_keys::list)),
    ("UpdateAccessKey", &[RAM, IMS], Change(access_keys::update)),
    ("DeleteAccessKey", &[RAM, IMS], Change(access_keys::delete)),
    ("CreateRole", &[RAM], Change(roles::create)),
    ("GetRole", &[RAM], Read(roles::get)),
    ("UpdateRole", &[RAM], Change(roles::update)),
    ("ListRoles", &[RAM], Read(roles::list)),
    ("DeleteRole", &[RAM], Change(roles::delete)),
    ("CreatePolicy", &[RAM], Change(policies::create)),
    ("GetPolicy", &[RAM], Read(policies::get)),
    ("DeletePolicy", &[RAM], Change(policies::delete)),
    ("CreatePolicyVersion", &[RAM], Change(policy_versions::create)),
    ("GetPolicyVersion", &[RAM], Read(policy_versions::get)),
    ("ListPolicyVersions", &[RAM], Read(policy_versions::list)),
    ("SetDefaultPolicyVersion", &[RAM], Change(policy_versions::set_default)),
    ("DeletePolicyVersion", &[RAM], Change(policy_versions::delete)),
    ("AttachPolicyToUser", &[RAM], Change(attachments::attach)),
    ("AttachPolicyToRole", &[RAM], Change(attachments::attach)),
    ("DetachPolicyFromUser", &[RAM], Change(attachments::detach)),
    ("DetachPolicyFromRole", &[RAM], Change(attachments::detach)),
    ("ListPoliciesForUser", &[RAM], Read(attachments::list)),
    ("ListPoliciesForRole", &[RAM], Read(attachments::list)),
    ("SetAccessKeyPolicy", &[IMS], Change(network_policies::set)),
    ("GetAccessKeyPolicy", &[IMS], Read(network_policies::get)),
    ("CreateOIDCProvider", &[IMS], Change(oidc_providers::create)),
    ("GetOIDCProvider", &[IMS], Read(oidc_providers::get)),
    ("DeleteOIDCProvider", &[IMS], Change(oidc_providers::delete)),
];

impl Product for RamApi {
    fn name(&self, version: &str) -> &'static str {
        if version == IMS { "Ims" } else { "Ram" }
    }

    fn check(&self, action: &str, version: &str) -> Result<(), GatewayError> {
        if ![RAM, IMS].contains(&version) && ACTIONS.iter().any(|(name, ..)| *name == action) {
            return Err(GatewayError::Version);
        }
        handler(action, version).map(|_| ())
    }

    fn is_signed(&self, _: &str) -> bool {
        true
    }

    fn act(&self, call: &AdmittedCall<'_>) -> Result<Map<String, Value>, Refusal> {
        let version = call.params.need("Version")?;
        let acted = match handler(call.action, version)? {
            Read(read) => read(&ApiCall::new(call, version == IMS)?, &self.ram.load()),
            Change(change) => {
                let call = ApiCall::new(call, version == IMS)?;
                self.ram.change(|ram| change(&call, ram))
            }
        };
        acted.map_err(Refusal::from)
    }
}

fn handler(action: &str, version: &str) -> Result<&'static Handler, GatewayError> {
    let mut actions = ACTIONS.iter();
    let found = actions.find(|(name, versions, _)| *name == action && versions.contains(&version));
    found.map(|(.., handler)| handler).ok_or(GatewayError::Api)
}

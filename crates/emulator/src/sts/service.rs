//! The actions of the emulated STS.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::assume_role::{AssumeRoleCall, assume_role};
use super::assume_role_with_oidc::{WithOidcCall, assume_role_with_oidc};
use super::caller_identity::caller_identity;
use crate::control::Faults;
use crate::gateway::{AdmittedCall, GatewayError, Product, Refusal};
use crate::ram::{IssuerKeys, SharedRam, TokenKey};

pub(crate) struct Sts {
    pub(crate) ram: Arc<SharedRam>,
    pub(crate) token_key: TokenKey,
    pub(crate) issuer_keys: IssuerKeys,
    /// Some faults change what an action does.
    pub(crate) faults: Arc<Faults>,
}

impl Product for Sts {
    fn name(&self, _: &str) -> &'static str {
        "Sts"
    }

    fn check(&self, action: &str, version: &str) -> Result<(), GatewayError> {
        match (action, version) {
            ("AssumeRole" | "AssumeRoleWithOIDC" | "GetCallerIdentity", "2015-04-01") => Ok(()),
            ("AssumeRole" | "AssumeRoleWithOIDC" | "GetCallerIdentity", _) => {
                Err(GatewayError::Version)
            }
            _ => Err(GatewayError::Api),
        }
    }

    fn is_signed(&self, action: &str) -> bool {
        action != "AssumeRoleWithOIDC"
    }

    fn act(&self, call: &AdmittedCall<'_>) -> Result<Map<String, Value>, Refusal> {
        let ram = self.ram.load();
        let source_ip = call.source_ip.to_string();
        let acted = match call.action {
            "AssumeRole" => {
                let call = AssumeRoleCall {
                    principal: call.signer()?,
                    params: call.params,
                    now: call.now,
                    source_ip,
                    scripted_lifetime: self.faults.lifetime(call.action),
                };
                assume_role(&ram, &self.token_key, &call)
            }
            "AssumeRoleWithOIDC" => {
                let call = WithOidcCall {
                    params: call.params,
                    issuer_keys: &self.issuer_keys,
                    now: call.now,
                    source_ip,
                    scripted_lifetime: self.faults.lifetime(call.action),
                };
                assume_role_with_oidc(&ram, &self.token_key, &call)
            }
            "GetCallerIdentity" => caller_identity(&ram, call.signer()?),
            _ => return Err(GatewayError::Api.into()),
        };
        acted.map_err(Refusal::from)
    }
}

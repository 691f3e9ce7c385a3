//! One call to RAM: its caller, its parameters, and whether the caller may make it.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::access::{self, PermissionDenied};
use super::error::RamError;
use crate::gateway::{AdmittedCall, GatewayError, format_time};
use crate::ram::{Principal, Ram, Request};

/// The fields of an answer, without `RequestId`.
pub(super) type ActionResult = Result<Map<String, Value>, RamError>;

pub(super) struct ApiCall<'a> {
    call: &'a AdmittedCall<'a>,
    pub(super) principal: &'a Principal,
    /// The caller's account: calls reach no other.
    pub(super) account: &'a str,
    pub(super) is_ims: bool,
}

impl<'a> ApiCall<'a> {
    pub(super) fn new(call: &'a AdmittedCall<'a>, is_ims: bool) -> Result<Self, GatewayError> {
        let principal = call.signer()?;
        Ok(Self { call, principal, account: principal.account(), is_ims })
    }

    pub(super) fn action(&self) -> &'a str {
        self.call.action
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.call.now
    }

    pub(super) fn need(&self, name: &'static str) -> Result<&'a str, RamError> {
        Ok(self.call.params.need(name)?)
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.call.params.get(name)
    }

    /// A flag, in any letter case as SDKs send it; absent is false.
    pub(super) fn flag(&self, name: &'static str) -> Result<bool, RamError> {
        match self.get(name).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(RamError::Incorrect(name)),
        }
    }

    /// Requires that the caller's policies allow `ram:<action>` on a resource of its account, such as `role/oss-readonly`.
    pub(super) fn require(&self, ram: &Ram, relative_id: &str) -> Result<(), RamError> {
        self.require_in(ram, self.account, relative_id)
    }

    /// The same for a resource of another owner: `system` owns the system policies.
    pub(super) fn require_in(
        &self,
        ram: &Ram,
        owner: &str,
        relative_id: &str,
    ) -> Result<(), RamError> {
        // As documented: RAM names its resources with a region of `*`, IMS without one.
        let region = if self.is_ims { "" } else { "*" };
        let action = format!("ram:{}", self.call.action);
        let resource = format!("acs:ram:{region}:{owner}:{relative_id}");
        let request = Request::new(&action, &resource)
            .with("acs:CurrentTime", format_time(self.call.now))
            // The emulator listens on plain HTTP; the real RAM on HTTPS.
            .with("acs:SecureTransport", "true")
            .with("acs:SourceIp", self.call.source_ip.to_string());
        access::check(ram, self.principal, &request).map_err(|denied| self.denied(&action, denied))
    }

    /// `AccessDeniedDetail`, as newer answers have it.
    fn denied(&self, action: &str, denied: PermissionDenied) -> RamError {
        let (kind, name) = match self.principal {
            Principal::Root(account) => ("Account", account.clone()),
            Principal::User(user) => ("SubUser", user.id.clone()),
            Principal::Session(session) => {
                ("AssumedRoleUser", format!("{}:{}", session.role_id, session.session_name))
            }
        };
        let detail: Value = json!({
            "AuthAction": action,
            "AuthPrincipalType": kind,
            "AuthPrincipalOwnerId": self.account,
            "AuthPrincipalDisplayName": name,
            "NoPermissionType": denied.as_str(),
            "PolicyType": "AccountLevelIdentityBasedPolicy",
        });
        RamError::NoPermission(detail)
    }
}

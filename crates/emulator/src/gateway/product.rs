//! What lies behind the gateway: the actions of STS or of RAM.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::error::{GatewayError, Refusal};
use super::params::Params;
use crate::ram::Principal;

/// The actions of one listener.
pub(crate) trait Product: Send + Sync + 'static {
    /// The product of a version, such as `Sts`; it names the host in refusals.
    fn name(&self, version: &str) -> &'static str;

    /// Whether there is such an action in such a version.
    fn check(&self, action: &str, version: &str) -> Result<(), GatewayError>;

    /// Whether calls of the action are signed. An action of unsigned calls authenticates them by what they contain.
    fn is_signed(&self, action: &str) -> bool;

    /// The answer's fields, without `RequestId`.
    fn act(&self, call: &AdmittedCall<'_>) -> Result<Map<String, Value>, Refusal>;
}

/// A call that passed the gateway's checks.
pub(crate) struct AdmittedCall<'a> {
    pub(crate) action: &'a str,
    /// The authenticated caller; `None` if calls of the action are unsigned.
    pub(crate) principal: Option<Principal>,
    pub(crate) params: &'a Params,
    /// The time of the service's clock, which may be skewed.
    pub(crate) now: DateTime<Utc>,
    pub(crate) source_ip: IpAddr,
}

impl AdmittedCall<'_> {
    /// The authenticated caller of a signed call.
    pub(crate) fn signer(&self) -> Result<&Principal, GatewayError> {
        self.principal.as_ref().ok_or(GatewayError::Missing("AccessKeyId"))
    }
}

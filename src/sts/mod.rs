//! The Security Token Service: RPC signing, the client and its errors.
//!
//! Signing (`rpc`), parsing (`response_body`, `classify`) and the decision to retry (`retry`) are pure. Only `client`
//! and `probe` do I/O.

mod assume_role;
mod assume_role_with_oidc;
mod attempt;
mod call;
mod caller_identity;
mod classify;
mod client;
mod endpoint;
mod endpoints;
mod error;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz_sts;
mod probe;
mod refusal;
mod region;
mod response_body;
mod retry;
mod role_session;
mod rpc;
#[cfg(test)]
pub(crate) mod scripted;
mod sts_clock;
mod timestamp;

use tokio::time::Instant;

use appserver_domain::Credentials;

pub(crate) use assume_role_with_oidc::AssumeRoleWithOidc;
pub(crate) use call::{add_common, nonce};
pub(crate) use caller_identity::{CallerIdentity, IdentityKind};
pub(crate) use client::{StsClient, StsSettings};
pub(crate) use endpoint::Endpoint;
pub(crate) use endpoints::Endpoints;
pub(crate) use error::StsError;
pub(crate) use probe::{ProbeError, ProbeResult, ProbeRoute, probe};
#[cfg(test)]
pub(crate) use refusal::Refusal;
pub(crate) use refusal::{ErrorCode, Reason, RequestId};
pub(crate) use region::{KNOWN_REGIONS, Region};
pub(crate) use retry::retrying;
#[cfg(test)]
pub(crate) use role_session::tests::{grant_policy_for, policy_for};
pub(crate) use role_session::{CallerSession, GrantSession, InlinePolicy, RoleSession};
pub(crate) use rpc::{Parameters, encode as percent_encode, sign as sign_rpc};

#[cfg(feature = "bench")]
pub(crate) use call::signed_length;

/// Where credentials come from: STS, or what stands in for it in tests.
pub(crate) trait AssumeRole {
    /// Asks for credentials once, until `deadline` at the latest.
    ///
    /// Every attempt spends the account's quota, so who budgets it decides about the next one; [`retrying`] says
    /// when it is worth it. `attempt` is its number, for the log.
    fn assume_role(
        &self,
        session: &RoleSession,
        attempt: u32,
        deadline: Instant,
    ) -> impl Future<Output = Result<Credentials, StsError>> + Send;

    /// Whether there are credentials to sign a call with.
    fn can_sign(&self) -> bool {
        true
    }
}

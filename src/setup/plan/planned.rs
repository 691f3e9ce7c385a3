//! The parts of a plan, and the options that it is made with.

use appserver_domain::{AccountId, GrantName, MaxSessionDuration, PolicyName, RoleArn, UserName};
use ipnet::IpNet;

use super::network_policy::NetworkPolicy;
use super::oidc::{PlannedProvider, TrustedToken};

/// The identity that assumes the roles.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum PlannedIdentity {
    /// A RAM user, which needs an AccessKey.
    User(PlannedUser),
    /// A role of the ECS instances that AppServer runs on, whose credentials the metadata server gives out.
    InstanceRole(PlannedRole),
    /// A role that STS gives for the token of an OIDC provider, as RRSA does in ACK.
    OidcRole { provider: PlannedProvider, role: PlannedRole },
}

/// A RAM user with an AccessKey.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PlannedUser {
    pub(crate) name: UserName,
    pub(crate) policies: Vec<PlannedPolicy>,
    /// The addresses from which the AccessKey may be used; `None` if they are not restricted.
    pub(crate) network: Option<NetworkPolicy>,
}

impl PlannedUser {
    /// The user's name in IMS. Every account has the domain of its own number.
    pub(crate) fn principal(&self, account: &AccountId) -> String {
        format!("{}@{account}.onaliyun.com", self.name)
    }
}

/// A RAM role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PlannedRole {
    pub(crate) arn: RoleArn,
    /// The trust policy, minified JSON.
    pub(crate) trust: String,
    pub(crate) max_session: MaxSessionDuration,
    pub(crate) policies: Vec<PlannedPolicy>,
    /// The grants that assume it; none for the role of the identity.
    pub(crate) grants: Vec<GrantName>,
}

/// A custom policy, attached to the identity or role that it is listed under.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PlannedPolicy {
    pub(crate) name: PolicyName,
    /// Minified JSON, at most 6144 bytes.
    pub(crate) document: String,
    pub(crate) description: String,
}

/// What the configuration does not say.
#[derive(Clone, Debug)]
pub(crate) struct PlanOptions {
    pub(crate) account: AccountId,
    /// The name of the identity's RAM user, or of its role where the configuration names none.
    pub(crate) user: UserName,
    /// The addresses from which the AccessKey may be used; empty if they are not restricted.
    pub(crate) egress: Vec<IpNet>,
    /// The token for which STS gives the identity's role.
    pub(crate) oidc: Option<TrustedToken>,
}

//! The plan of an account: the identity that AppServer signs with, the roles that it assumes, and their policies.
//!
//! It is made of the configuration alone, without a network, and the same configuration always makes the same plan.

mod identity;
mod network_policy;
mod roles;
mod trust;

use appserver_domain::{
    AccountId, GrantName, Invalid, MaxSessionDuration, PolicyName, RoleArn, UserName,
};
use ipnet::IpNet;

pub(crate) use network_policy::NetworkPolicy;

use crate::config::Settings;

/// Everything that an account needs, sorted by name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AccountPlan {
    pub(crate) account: AccountId,
    pub(crate) identity: PlannedIdentity,
    /// The account's own roles.
    pub(crate) roles: Vec<PlannedRole>,
    /// Roles of other accounts, which their administrators set up.
    pub(crate) foreign_roles: Vec<PlannedRole>,
    /// What is valid and needs a decision of the administrator.
    pub(crate) warnings: Vec<String>,
}

/// The identity that assumes the roles.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum PlannedIdentity {
    /// A RAM user, which needs an AccessKey.
    User(PlannedUser),
}

/// A RAM user with an AccessKey.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PlannedUser {
    pub(crate) name: UserName,
    pub(crate) policies: Vec<PlannedPolicy>,
    /// The addresses from which the AccessKey may be used; `None` if they are not restricted.
    pub(crate) network: Option<NetworkPolicy>,
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
    /// The name of the identity's RAM user.
    pub(crate) user: UserName,
    /// The addresses from which the AccessKey may be used; empty if they are not restricted.
    pub(crate) egress: Vec<IpNet>,
}

/// Why there is no plan.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum PlanError {
    #[error(
        "--account is {given}, and the configured role `{role}` is of another account: give --account {}, \
         correct the role's `arn`, or set `cross_account = true` if the role does belong to another account",
        role.account()
    )]
    WrongAccount { given: AccountId, role: RoleArn },
    #[error("the configuration has no grants, so no role is assumed: add `[grants.NAME]`")]
    NoGrants,
    #[error(
        "the policies of the roles `{0}` and `{1}` would have one name, because a policy's name has no `.`: rename \
         one of the roles"
    )]
    SameName(RoleArn, RoleArn),
    #[error(
        "--egress {0} is every address and restricts nothing: leave it out, or name the addresses"
    )]
    EveryAddress(IpNet),
    #[error("the name `{name}` cannot be used: {rule}")]
    Name { name: String, rule: Invalid },
}

impl AccountPlan {
    /// The plan for a configuration.
    pub(crate) fn of(settings: &Settings, options: &PlanOptions) -> Result<Self, PlanError> {
        let mut warnings = Vec::new();
        let grants = &settings.rules.grants;
        let arns = roles::arns(grants)?;
        let own = |arn: &&RoleArn| settings.accounts.contains(arn.account());
        if let Some(role) = arns.iter().filter(own).find(|arn| *arn.account() != options.account) {
            return Err(PlanError::WrongAccount {
                given: options.account.clone(),
                role: role.clone(),
            });
        }
        let identity = identity::of(options, &arns, &mut warnings)?;
        let roles = roles::of(grants, &arns, &identity.trusted_by_roles(options), &mut warnings)?;
        let (roles, foreign_roles) =
            roles.into_iter().partition(|role| *role.arn.account() == options.account);
        let account = options.account.clone();
        Ok(Self { account, identity, roles, foreign_roles, warnings })
    }
}

/// A name that is made of others.
fn name<T: std::str::FromStr<Err = Invalid>>(name: String) -> Result<T, PlanError> {
    name.parse().map_err(|rule| PlanError::Name { name, rule })
}

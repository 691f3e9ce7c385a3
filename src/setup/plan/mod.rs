//! The plan of an account: the identity that AppServer signs with, the roles that it assumes, and their policies.
//!
//! It is made of the configuration alone, without a network, and the same configuration always makes the same plan.

mod identity;
mod network_policy;
mod oidc;
mod roles;
mod trust;

use appserver_domain::{
    AccountId, GrantName, Invalid, MaxSessionDuration, PolicyName, RoleArn, UserName,
};
use ipnet::IpNet;

pub(crate) use network_policy::NetworkPolicy;
pub(crate) use oidc::{OidcAudience, OidcIssuer, OidcSubject, PlannedProvider, TrustedToken};

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
    #[error(
        "--egress restricts an AccessKey, and with `sts.identity.source = \"{0}\"` there is none: leave it out"
    )]
    EgressWithoutKey(&'static str),
    #[error(
        "`sts.identity.source` is \"oidc\": add --oidc-issuer, --oidc-audience and --oidc-subject, which the trust policy of \
         the identity's role demands of a token"
    )]
    NoToken,
    #[error(
        "--oidc-issuer, --oidc-audience and --oidc-subject go with `sts.identity.source = \"oidc\"`: leave them out"
    )]
    UnusedToken,
    #[error(
        "`sts.identity.oidc.{0}` is not set: set it, or the variable {1}, so that the plan can name it"
    )]
    UnnamedOidc(&'static str, &'static str),
    #[error(
        "a grant's role is the identity's own, {0}: give the grant another role, or the identity another name by --user or in \
         `sts.identity`"
    )]
    OwnRole(RoleArn),
    #[error("--account is {given}, and `sts.identity.oidc` names {arn} of another account")]
    ForeignIdentity { given: AccountId, arn: String },
    #[error(
        "with `sts.identity.source = \"credentials-uri\"` the configuration does not say whose credentials are used: plan with \
         `access-key`, `ecs-ram-role` or `oidc`"
    )]
    UnknownIdentity,
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
        let identity = identity::of(&settings.identity, options, &arns)?;
        let trusted = identity.principal(&options.account);
        let roles = roles::of(grants, &arns, &trusted, &mut warnings)?;
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

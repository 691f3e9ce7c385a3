//! Why a configuration has no plan, each with the way out.

use appserver_domain::{AccountId, Invalid, RoleArn};
use ipnet::IpNet;

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
        "--egress allows every address of {0} and restricts nothing: leave it out, or name the addresses"
    )]
    EveryAddress(IpNet),
    #[error("--egress {given} is IPv4 written as IPv6: write {as_ipv4}")]
    MappedAddress { given: IpNet, as_ipv4: IpNet },
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

/// A name that is made of others.
pub(super) fn name<T: std::str::FromStr<Err = Invalid>>(name: String) -> Result<T, PlanError> {
    name.parse().map_err(|rule| PlanError::Name { name, rule })
}

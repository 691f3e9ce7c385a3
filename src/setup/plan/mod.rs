//! The plan of an account: the identity that AppServer signs with, the roles that it assumes, and their policies.
//!
//! It is made of the configuration alone, without a network, and the same configuration always makes the same plan.

mod identity;
mod network_policy;
mod oidc;
mod plan_error;
mod planned;
mod roles;
mod trust;

use appserver_domain::{AccountId, RoleArn};

pub(crate) use network_policy::NetworkPolicy;
pub(crate) use oidc::{OidcAudience, OidcIssuer, OidcSubject, PlannedProvider, TrustedToken};
pub(crate) use plan_error::PlanError;
pub(crate) use planned::{PlanOptions, PlannedIdentity, PlannedPolicy, PlannedRole, PlannedUser};

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
        let roles = roles::of(settings, &arns, &trusted, &mut warnings)?;
        let (roles, foreign_roles) =
            roles.into_iter().partition(|role| *role.arn.account() == options.account);
        let account = options.account.clone();
        Ok(Self { account, identity, roles, foreign_roles, warnings })
    }
}

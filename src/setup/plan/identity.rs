//! The identity that AppServer signs with.

use std::collections::BTreeSet;

use appserver_domain::{AccountId, MaxSessionDuration, PolicyName, RoleArn};
use appserver_policy::MAX_ROLE_POLICY_BYTES;
use serde_json::json;

use super::network_policy::NetworkPolicy;
use super::oidc::{PlannedProvider, TrustedToken};
use super::plan_error::{PlanError, name};
use super::planned::{PlanOptions, PlannedIdentity, PlannedPolicy, PlannedRole, PlannedUser};
use super::trust::{Principal, trust};
use crate::config::{IdentitySource, OidcSource};

/// The name of the identity's policy, which begins with that of its user or role: another deployment in the account has
/// another user, and so a policy of its own. Names of policies have neither `.` nor `_`.
fn policy_name(identity: &str) -> String {
    format!("{}-assume-roles", identity.replace(['.', '_'], "-"))
}

/// The identity that the configuration chooses, which may assume these roles.
pub(super) fn of(
    source: &IdentitySource,
    options: &PlanOptions,
    roles: &[RoleArn],
) -> Result<PlannedIdentity, PlanError> {
    let without_key = |source| match options.egress.first() {
        Some(_) => Err(PlanError::EgressWithoutKey(source)),
        None => Ok(()),
    };
    let without_token = || options.oidc.as_ref().map_or(Ok(()), |_| Err(PlanError::UnusedToken));
    match source {
        IdentitySource::AccessKey(_) => {
            without_token()?;
            Ok(PlannedIdentity::User(PlannedUser {
                name: options.user.clone(),
                policies: policies(options.user.as_str(), roles)?,
                network: NetworkPolicy::of(&options.egress)?,
            }))
        }
        IdentitySource::EcsRamRole(settings) => {
            without_key("ecs-ram-role")?;
            without_token()?;
            let role = settings.role.as_ref().map_or(options.user.as_str(), |role| role.as_str());
            let arn = RoleArn::of(&options.account, role)
                .map_err(|rule| PlanError::Name { name: role.to_owned(), rule })?;
            let principal = Principal::Service("ecs.aliyuncs.com");
            Ok(PlannedIdentity::InstanceRole(identity_role(arn, &principal, roles)?))
        }
        IdentitySource::Oidc(settings) => {
            without_key("oidc")?;
            let token = options.oidc.clone().ok_or(PlanError::NoToken)?;
            oidc_role(settings, options, token, roles)
        }
        IdentitySource::CredentialsUri(_) => Err(PlanError::UnknownIdentity),
    }
}

impl PlannedIdentity {
    /// The role that it is, unless it is a user.
    pub(crate) fn role(&self) -> Option<&PlannedRole> {
        match self {
            Self::User(_) => None,
            Self::InstanceRole(role) | Self::OidcRole { role, .. } => Some(role),
        }
    }

    /// What the trust policies of the roles name.
    pub(super) fn principal(&self, account: &AccountId) -> Principal {
        Principal::Ram(match self {
            Self::User(user) => format!("acs:ram::{account}:user/{}", user.name),
            Self::InstanceRole(role) | Self::OidcRole { role, .. } => role.arn.to_string(),
        })
    }
}

fn oidc_role(
    settings: &OidcSource,
    options: &PlanOptions,
    token: TrustedToken,
    roles: &[RoleArn],
) -> Result<PlannedIdentity, PlanError> {
    let unnamed = PlanError::UnnamedOidc;
    let arn = settings.role.clone().ok_or(unnamed("role_arn", "ALIBABA_CLOUD_ROLE_ARN"))?;
    let provider = settings.provider.as_ref();
    let provider = provider.ok_or(unnamed("provider_arn", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN"))?;
    let named = [(arn.account().as_str(), arn.as_str()), (provider.account(), provider.as_str())];
    if let Some((_, arn)) = named.iter().find(|(account, _)| *account != options.account.as_str()) {
        let (given, arn) = (options.account.clone(), (*arn).to_owned());
        return Err(PlanError::ForeignIdentity { given, arn });
    }
    let mut audiences = token.audiences.clone();
    audiences.sort();
    audiences.dedup();
    let token = TrustedToken { audiences: audiences.clone(), ..token };
    let issuer = token.issuer.clone();
    let planned = PlannedProvider { name: name(provider.name().to_owned())?, issuer, audiences };
    let principal = Principal::Oidc(provider.to_string(), token);
    let role = identity_role(arn, &principal, roles)?;
    Ok(PlannedIdentity::OidcRole { provider: planned, role })
}

fn identity_role(
    arn: RoleArn,
    principal: &Principal,
    roles: &[RoleArn],
) -> Result<PlannedRole, PlanError> {
    if let Some(vending) = roles.iter().find(|role| is_same(role, &arn)) {
        return Err(PlanError::OwnRole(vending.clone()));
    }
    Ok(PlannedRole {
        trust: trust(principal, &BTreeSet::new()),
        max_session: MaxSessionDuration::DEFAULT,
        policies: policies(arn.name(), roles)?,
        grants: Vec::new(),
        arn,
    })
}

/// RAM compares the names of roles without regard to case.
pub(super) fn is_same(one: &RoleArn, two: &RoleArn) -> bool {
    one.as_str().eq_ignore_ascii_case(two.as_str())
}

/// The policies that allow `sts:AssumeRole` on exactly these roles.
fn policies(identity: &str, roles: &[RoleArn]) -> Result<Vec<PlannedPolicy>, PlanError> {
    let mut parts: Vec<Vec<&str>> = vec![Vec::new()];
    for role in roles {
        let last = parts.last_mut().expect("there is a first part");
        last.push(role.as_str());
        if document(last).len() > MAX_ROLE_POLICY_BYTES {
            last.pop();
            parts.push(vec![role.as_str()]);
        }
    }
    let policy = |(i, roles): (usize, &Vec<&str>)| {
        Ok(PlannedPolicy {
            name: numbered(&policy_name(identity), i)?,
            document: document(roles),
            description: "AppServer: assume the configured roles and no others".to_owned(),
        })
    };
    parts.iter().enumerate().map(policy).collect()
}

fn document(roles: &[&str]) -> String {
    let resource = match roles {
        [only] => json!(only),
        roles => json!(roles),
    };
    // The order of the members is that of every other document here.
    format!(
        r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"sts:AssumeRole","Resource":{resource}}}]}}"#
    )
}

/// `name`, `name-2`, `name-3`…
pub(super) fn numbered(base: &str, i: usize) -> Result<PolicyName, PlanError> {
    name(if i == 0 { base.to_owned() } else { format!("{base}-{}", i + 1) })
}

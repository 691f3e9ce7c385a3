//! The identity that AppServer signs with.

use appserver_domain::{PolicyName, RoleArn};
use appserver_policy::MAX_ROLE_POLICY_BYTES;
use serde_json::json;

use super::trust::Principal;
use super::{
    NetworkPolicy, PlanError, PlanOptions, PlannedIdentity, PlannedPolicy, PlannedUser, name,
};

/// The policy of the identity.
const POLICY: &str = "appserver-assume-roles";

pub(super) fn of(
    options: &PlanOptions,
    roles: &[RoleArn],
    _warnings: &mut Vec<String>,
) -> Result<PlannedIdentity, PlanError> {
    Ok(PlannedIdentity::User(PlannedUser {
        name: options.user.clone(),
        policies: policies(roles)?,
        network: NetworkPolicy::of(&options.egress)?,
    }))
}

impl PlannedIdentity {
    /// What the trust policies of the vending roles name.
    pub(super) fn trusted_by_roles(&self, options: &PlanOptions) -> Principal {
        match self {
            Self::User(user) => {
                Principal::Ram(format!("acs:ram::{}:user/{}", options.account, user.name))
            }
        }
    }
}

/// The policies that allow `sts:AssumeRole` on exactly these roles.
fn policies(roles: &[RoleArn]) -> Result<Vec<PlannedPolicy>, PlanError> {
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
            name: numbered(POLICY, i)?,
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

//! Users, and the policies that are attached to users and roles.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A RAM user.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) account: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) mobile_phone: String,
    pub(crate) email: String,
    pub(crate) comments: String,
    pub(crate) created: DateTime<Utc>,
    pub(crate) attached: Vec<Attachment>,
}

/// A policy that is attached to a user or role.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attachment {
    pub(crate) policy_type: PolicyType,
    /// The policy's name.
    pub(crate) policy: String,
    pub(crate) attached: DateTime<Utc>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum PolicyType {
    System,
    Custom,
}

impl User {
    pub(crate) fn arn(&self) -> String {
        Self::arn_of(&self.account, &self.name)
    }

    pub(crate) fn arn_of(account: &str, name: &str) -> String {
        format!("acs:ram::{account}:user/{name}")
    }
}

impl PolicyType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::Custom => "Custom",
        }
    }
}

impl Attachment {
    pub(crate) fn is(&self, policy_type: PolicyType, policy: &str) -> bool {
        self.policy_type == policy_type && self.policy == policy
    }
}

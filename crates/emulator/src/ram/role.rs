//! Roles.

use chrono::{DateTime, Utc};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::document::Document;
use super::trust::TrustPolicy;
use super::user::Attachment;
use appserver_domain::MaxSessionDuration;

/// A RAM role.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Role {
    pub(crate) account: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    #[serde(serialize_with = "as_secs", deserialize_with = "from_secs")]
    pub(crate) max_session_duration: MaxSessionDuration,
    pub(crate) trust: Document<TrustPolicy>,
    pub(crate) allow_console_login: bool,
    pub(crate) created: DateTime<Utc>,
    pub(crate) updated: DateTime<Utc>,
    pub(crate) attached: Vec<Attachment>,
}

impl Role {
    pub(crate) fn arn(&self) -> String {
        Self::arn_of(&self.account, &self.name)
    }

    pub(crate) fn arn_of(account: &str, name: &str) -> String {
        format!("acs:ram::{account}:role/{name}")
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn as_secs<S: Serializer>(duration: &MaxSessionDuration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(duration.as_secs())
}

fn from_secs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MaxSessionDuration, D::Error> {
    let secs = u32::deserialize(deserializer)?;
    MaxSessionDuration::from_secs(secs)
        .ok_or_else(|| D::Error::custom("a role's sessions last at most 3600 to 43200 seconds"))
}

//! Custom policies with their versions.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::document::Document;
use super::policy::Policy;

/// A custom policy. RAM evaluates its default version.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "RawCustomPolicy")]
pub(crate) struct CustomPolicy {
    pub(crate) account: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) created: DateTime<Utc>,
    pub(crate) updated: DateTime<Utc>,
    /// Oldest first; never empty.
    versions: Vec<PolicyVersion>,
    /// The number of the default version, which is among `versions`.
    default_version: u32,
    /// Numbers are not used again.
    next_version: u32,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyVersion {
    pub(crate) number: u32,
    pub(crate) document: Document<Policy>,
    pub(crate) created: DateTime<Utc>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCustomPolicy {
    account: String,
    name: String,
    description: String,
    created: DateTime<Utc>,
    updated: DateTime<Utc>,
    versions: Vec<PolicyVersion>,
    default_version: u32,
    next_version: u32,
}

#[derive(Debug, thiserror::Error)]
#[error("a policy has no version with the number of its default version")]
struct NoDefaultVersion;

impl TryFrom<RawCustomPolicy> for CustomPolicy {
    type Error = NoDefaultVersion;

    fn try_from(raw: RawCustomPolicy) -> Result<Self, NoDefaultVersion> {
        let RawCustomPolicy {
            account,
            name,
            description,
            created,
            updated,
            versions,
            default_version,
            next_version,
        } = raw;
        if !versions.iter().any(|version| version.number == default_version) {
            return Err(NoDefaultVersion);
        }
        Ok(Self {
            account,
            name,
            description,
            created,
            updated,
            versions,
            default_version,
            next_version,
        })
    }
}

impl CustomPolicy {
    /// A new policy with one version.
    pub(crate) fn new(
        account: &str,
        name: &str,
        description: &str,
        document: Document<Policy>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            account: account.to_owned(),
            name: name.to_owned(),
            description: description.to_owned(),
            created: now,
            updated: now,
            versions: vec![PolicyVersion { number: 1, document, created: now }],
            default_version: 1,
            next_version: 2,
        }
    }

    pub(crate) fn arn(&self) -> String {
        Self::arn_of(&self.account, &self.name)
    }

    pub(crate) fn arn_of(account: &str, name: &str) -> String {
        format!("acs:ram::{account}:policy/{name}")
    }

    pub(crate) fn versions(&self) -> &[PolicyVersion] {
        &self.versions
    }

    pub(crate) fn version(&self, number: u32) -> Option<&PolicyVersion> {
        self.versions.iter().find(|version| version.number == number)
    }

    pub(crate) fn is_default(&self, version: &PolicyVersion) -> bool {
        version.number == self.default_version
    }

    /// The version that RAM evaluates.
    pub(crate) fn default_version(&self) -> &PolicyVersion {
        self.version(self.default_version).expect("the default version is among the versions")
    }

    /// Adds a version and returns it.
    pub(crate) fn add_version(
        &mut self,
        document: Document<Policy>,
        as_default: bool,
        now: DateTime<Utc>,
    ) -> PolicyVersion {
        let version = PolicyVersion { number: self.next_version, document, created: now };
        self.next_version += 1;
        if as_default {
            self.default_version = version.number;
        }
        self.versions.push(version.clone());
        self.updated = now;
        version
    }

    /// Makes another version the default; `false` if there is none with the number.
    pub(crate) fn set_default(&mut self, number: u32, now: DateTime<Utc>) -> bool {
        let exists = self.version(number).is_some();
        if exists {
            self.default_version = number;
            self.updated = now;
        }
        exists
    }

    /// Removes a version that is not the default.
    pub(crate) fn remove_version(&mut self, number: u32) {
        self.versions
            .retain(|version| version.number != number || version.number == self.default_version);
    }

    /// The oldest version that is not the default.
    pub(crate) fn oldest_not_default(&self) -> Option<u32> {
        let mut others = self.versions.iter().filter(|version| !self.is_default(version));
        others.next().map(|version| version.number)
    }
}

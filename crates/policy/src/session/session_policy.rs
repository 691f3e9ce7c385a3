//! The inline policy of one request.

use crate::containment::intersection::ContainmentError;
use crate::document::tree::MAX_POLICY_BYTES;

/// A rendered session policy: canonical minified JSON that STS accepts, at most 2047 bytes.
///
/// Its constructors are private to this folder, and only a `GrantTemplate` calls them: no code outside can write
/// down an STS call without a policy that a grant rendered.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct SessionPolicy(String);

impl SessionPolicy {
    /// From a `PolicyTemplate`, which has proven the size when it was loaded.
    pub(super) fn rendered(json: String) -> Self {
        Self(json)
    }

    /// From the intersection of a requested policy and its grant's, if it fits.
    pub(super) fn contained(json: String) -> Result<Self, ContainmentError> {
        let size = json.len();
        if size <= MAX_POLICY_BYTES {
            Ok(Self(json))
        } else {
            Err(ContainmentError::TooLong { size })
        }
    }

    /// The JSON, without a copy.
    pub fn into_json(self) -> String {
        self.0
    }

    /// The JSON as it goes to STS.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
impl SessionPolicy {
    /// For the tests of this crate alone.
    pub(crate) fn for_tests(json: &str) -> Self {
        Self(json.into())
    }
}

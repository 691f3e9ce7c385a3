//! The inline policy of one request.

use super::containment::ContainmentError;

/// A rendered session policy: canonical minified JSON that STS will accept, no longer than
/// [`Self::MAX_BYTES`].
///
/// Only a grant's `GrantTemplate` makes one, so whoever holds it holds a narrowing: an STS call without one
/// cannot be written down.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct SessionPolicy(String);

impl SessionPolicy {
    /// STS: "The size of Policy must be smaller than 2048 bytes."
    pub(crate) const MAX_BYTES: usize = 2047;

    /// For `Template::render` alone, which has proven the size.
    pub(super) fn rendered(json: String) -> Self {
        Self(json)
    }

    /// For `GrantTemplate::render_within` alone: what a caller's policy and its grant's have in common, if it fits.
    pub(super) fn contained(json: String) -> Result<Self, ContainmentError> {
        let size = json.len();
        if size <= Self::MAX_BYTES {
            Ok(Self(json))
        } else {
            Err(ContainmentError::TooLong { size })
        }
    }

    /// The same, for who keeps it.
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
    /// For the tests of this layer alone. Elsewhere a grant is the one way in.
    pub(super) fn for_tests(json: &str) -> Self {
        Self(json.into())
    }
}

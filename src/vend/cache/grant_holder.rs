//! The grant holders that tokens are fetched and kept for.

use std::collections::HashSet;

use appserver_domain::{ClientId, Fingerprint};

/// A client with a grant as configured. A changed grant has another fingerprint, which makes it another holder.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct GrantHolder {
    pub(crate) client: ClientId,
    pub(crate) grant: Fingerprint,
}

/// The grant holders that tokens may be kept for.
#[derive(Clone, Debug)]
pub(crate) enum GrantHolders {
    /// All of them: no client or grant has been removed since the start.
    All,
    Only(HashSet<GrantHolder>),
}

impl GrantHolders {
    pub(in crate::vend) fn contains(&self, holder: &GrantHolder) -> bool {
        match self {
            Self::All => true,
            Self::Only(holders) => holders.contains(holder),
        }
    }
}

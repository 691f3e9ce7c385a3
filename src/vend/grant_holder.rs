//! For whom tokens are fetched and kept.

use std::collections::HashSet;

use appserver_domain::{ClientId, Fingerprint};

/// A client with a grant as it is configured now. One that is changed has another fingerprint, and is another holder.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct GrantHolder {
    pub(crate) client: ClientId,
    pub(crate) grant: Fingerprint,
}

/// Those for whom tokens may be kept.
#[derive(Debug)]
pub(crate) enum GrantHolders {
    /// Everyone who asks: nothing was taken from anyone yet.
    All,
    Only(HashSet<GrantHolder>),
}

impl GrantHolders {
    pub(super) fn contain(&self, holder: &GrantHolder) -> bool {
        match self {
            Self::All => true,
            Self::Only(holders) => holders.contains(holder),
        }
    }
}

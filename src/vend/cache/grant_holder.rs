//! The grant holders that tokens are fetched and kept for.

use std::collections::HashSet;

use appserver_domain::{ClientId, Fingerprint, IssuerName, Subject};

/// A client with a grant as configured. A changed grant has another fingerprint, which makes it another holder.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct GrantHolder {
    pub(crate) client: ClientId,
    pub(crate) grant: Fingerprint,
    /// The user whose own session it is; none if users may share it.
    pub(crate) user: Option<(IssuerName, Subject)>,
}

/// The grant holders that tokens may be kept for.
#[derive(Clone, Debug)]
pub(crate) enum GrantHolders {
    /// All of them: no client or grant has been removed since the start.
    All,
    /// Without users: tokens are kept for all users of a grant, or for none.
    Only(HashSet<GrantHolder>),
}

impl GrantHolders {
    pub(in crate::vend) fn contains(&self, holder: &GrantHolder) -> bool {
        match self {
            Self::All => true,
            Self::Only(holders) => holders.contains(&GrantHolder { user: None, ..holder.clone() }),
        }
    }
}

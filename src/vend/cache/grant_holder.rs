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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_holds_a_grant_for_all_of_its_users() {
        let holder = |client: &str, user: Option<&str>| GrantHolder {
            client: client.parse().unwrap(),
            grant: Fingerprint::of([]),
            user: user.map(|user| ("company".parse().unwrap(), user.parse().unwrap())),
        };
        let kept = GrantHolders::Only([holder("photo-app", None)].into());
        assert!(kept.contains(&holder("photo-app", None)));
        assert!(kept.contains(&holder("photo-app", Some("alice"))));
        assert!(!kept.contains(&holder("web-app", Some("alice"))));
        assert!(GrantHolders::All.contains(&holder("web-app", Some("alice"))));
    }
}

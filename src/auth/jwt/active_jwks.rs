//! The present keys of one issuer.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use parking_lot::RwLock;

use super::jwks::{Jwks, Key};
use appserver_domain::clock::Moment;

/// Keys that are replaced while tokens are verified with them.
#[derive(Debug)]
pub(super) struct ActiveJwks {
    /// Read for each token that is not cached; written when keys were fetched.
    keys: RwLock<Arc<Jwks>>,
}

/// How a fetch changed the keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Change {
    pub(super) added: usize,
    pub(super) removed: usize,
    pub(super) count: usize,
}

impl ActiveJwks {
    pub(super) fn new(keys: Jwks) -> Self {
        Self { keys: RwLock::new(Arc::new(keys)) }
    }

    /// The valid keys that match a token's header.
    pub(super) fn fitting(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        now: Moment,
    ) -> Vec<Arc<Key>> {
        let keys = self.keys();
        keys.fitting(id, algorithm).filter(|key| key.is_valid(now)).cloned().collect()
    }

    /// Replaces all keys. Keys that the issuer removed are revoked, and with them each token that they verified.
    pub(super) fn replace(&self, fetched: Jwks, now: Moment, max_age: Duration) -> Change {
        let before = self.keys();
        let keys = fetched.reusing(&before);
        keys.iter().for_each(|key| key.set_valid_for(now, max_age));
        let removed = before.without(&keys).inspect(|key| key.revoke()).count();
        let change = Change { added: keys.without(&before).count(), removed, count: keys.len() };
        *self.keys.write() = Arc::new(keys);
        change
    }

    fn keys(&self) -> Arc<Jwks> {
        Arc::clone(&self.keys.read())
    }
}

//! The keys that one issuer has at the moment.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use parking_lot::RwLock;

use super::jwks::{Jwks, Key};
use appserver_domain::clock::Moment;

/// Keys that change while tokens are verified with them.
#[derive(Debug)]
pub(super) struct ActiveJwks {
    /// Read for each token that is not remembered, and written when the issuer's keys have changed.
    keys: RwLock<Arc<Jwks>>,
}

/// What a fetch has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Change {
    pub(super) came: usize,
    pub(super) went: usize,
    pub(super) held: usize,
}

impl ActiveJwks {
    pub(super) fn holding(keys: Jwks) -> Self {
        Self { keys: RwLock::new(Arc::new(keys)) }
    }

    /// The keys that a token's header may mean, of those that are trusted.
    pub(super) fn fitting(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        now: Moment,
    ) -> Vec<Arc<Key>> {
        let keys = self.keys();
        keys.fitting(id, algorithm).filter(|key| key.is_valid(now)).cloned().collect()
    }

    /// Takes what was fetched for all that there is. Keys that are gone are not believed from now on, nor is any token that
    /// was verified with them.
    pub(super) fn replace(&self, fetched: Jwks, now: Moment, max_age: Duration) -> Change {
        let before = self.keys();
        let keys = fetched.known_by(&before);
        keys.iter().for_each(|key| key.set_valid_for(now, max_age));
        let gone = before.without(&keys).inspect(|key| key.revoke()).count();
        let change = Change { came: keys.without(&before).count(), went: gone, held: keys.len() };
        *self.keys.write() = Arc::new(keys);
        change
    }

    fn keys(&self) -> Arc<Jwks> {
        Arc::clone(&self.keys.read())
    }
}

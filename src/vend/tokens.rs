//! The tokens that are kept.

use std::cell::RefCell;
use std::sync::Arc;

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use tokio::time::Instant;

use super::key::{Key, Prehashed, Sought};
use super::token::Token;

/// Tokens by what STS saw, at most so many.
///
/// They are not thrown out when they end: an ended token is never handed out, and the next that is needed for its
/// key takes its place.
#[derive(Debug)]
pub(super) struct Tokens(Cache<Arc<Key>, Arc<Token>, UnitWeighter, Prehashed>);

impl Tokens {
    pub(super) fn new(max_keys: usize) -> Self {
        let lifecycle = DefaultLifecycle::default();
        Self(Cache::with(max_keys, max_keys as u64, UnitWeighter, Prehashed::default(), lifecycle))
    }

    pub(super) fn of(&self, sought: &Sought<'_>) -> Option<Arc<Token>> {
        self.0.get(sought)
    }

    /// The same, without counting as a use that keeps the token from eviction.
    pub(super) fn peek(&self, key: &Arc<Key>) -> Option<Arc<Token>> {
        self.0.peek(key)
    }

    /// Keeps the token, or the one that is kept for its key if that lives longer; whichever it is.
    pub(super) fn keep(&self, key: &Arc<Key>, token: Arc<Token>) -> Arc<Token> {
        let now = Instant::now();
        match self.peek(key) {
            Some(held) if held.remaining(now) > token.remaining(now) => held,
            Some(_) | None => {
                self.0.insert(Arc::clone(key), Arc::clone(&token));
                token
            }
        }
    }

    pub(super) fn drop(&self, key: &Arc<Key>) {
        self.0.remove(key);
    }

    /// Drops all but what is to stay; the keys of what went.
    pub(super) fn drop_unless(&self, stays: impl Fn(&Key) -> bool) -> Vec<Arc<Key>> {
        let dropped = RefCell::new(Vec::new());
        self.0.retain(|key, _| {
            let stays = stays(key);
            if !stays {
                dropped.borrow_mut().push(Arc::clone(key));
            }
            stays
        });
        dropped.into_inner()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
